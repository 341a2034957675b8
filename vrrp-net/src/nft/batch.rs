//! What is done together or not at all.

use std::io;

use nix::errno::Errno;

use super::attributes::Attributes;
use super::message::kind as msg;
use super::message::{
    NFNL_SUBSYS_NFTABLES, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NLMSG_ERROR, acknowledged,
    append, messages,
};
use super::socket::{ANSWER_MAX, Socket};
use super::table::{NFTA_TABLE_FLAGS, NFTA_TABLE_NAME};

const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;

/// A transaction under construction.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    family: u8,
    sequence: u32,
    acks: usize,
}

impl Batch {
    /// Of tables of this family (`NFPROTO_*`).
    pub(crate) fn new(family: u8) -> Self {
        let mut batch = Self {
            bytes: Vec::with_capacity(1024),
            family,
            sequence: 0,
            acks: 0,
        };
        batch.message(
            NFNL_MSG_BATCH_BEGIN,
            NLM_F_REQUEST,
            0,
            NFNL_SUBSYS_NFTABLES,
            |_| (),
        );
        batch
    }

    /// Creates or deletes a table; creating what exists is none, deleting what doesn't fails.
    pub(crate) fn table(&mut self, kind: u16, name: &str, flags: u32) {
        self.operation(kind, |attributes| {
            attributes.string(NFTA_TABLE_NAME, name);
            if flags != 0 {
                attributes.number(NFTA_TABLE_FLAGS, flags);
            }
        });
    }

    /// Creates a chain of filter rules where packets pass `hook`, in the order of `priority` among the others there.
    pub(crate) fn chain(&mut self, table: &str, name: &str, hook: u32, priority: i32) {
        self.operation(msg::NEW_CHAIN, |attributes| {
            attributes.string(1, table);
            attributes.string(3, name);
            attributes.nested(4, |hooks| {
                hooks.bytes(1, &hook.to_be_bytes());
                hooks.bytes(2, &priority.to_be_bytes());
            });
            attributes.string(7, "filter");
        });
    }

    /// Appends a rule to a chain.
    pub(crate) fn rule(&mut self, table: &str, chain: &str, expressions: impl FnOnce(&mut Attributes<'_>)) {
        self.operation(msg::NEW_RULE, |attributes| {
            attributes.string(1, table);
            attributes.string(2, chain);
            attributes.nested(4, expressions);
        });
    }

    /// Creates a set of keys of `key_len` octets; `key_type` and `id` tell `nft` how to print it, and sets of a batch apart.
    pub(crate) fn set(&mut self, table: &str, name: &str, id: u32, key_type: u32, key_len: u32) {
        self.operation(msg::NEW_SET, |attributes| {
            attributes.string(1, table);
            attributes.string(2, name);
            attributes.number(3, 0);
            attributes.number(4, key_type);
            attributes.number(5, key_len);
            attributes.number(10, id);
        });
    }

    /// Adds ([`msg::NEW_SET_ELEM`]) or removes keys of a set.
    pub(crate) fn elements<'k>(
        &mut self,
        kind: u16,
        table: &str,
        set: &str,
        keys: impl IntoIterator<Item = &'k [u8]>,
    ) {
        self.operation(kind, |attributes| {
            attributes.string(1, table);
            attributes.string(2, set);
            attributes.nested(3, |list| {
                for key in keys {
                    list.nested(1, |element| element.nested(1, |data| data.bytes(1, key)));
                }
            });
        });
    }

    fn operation(&mut self, kind: u16, attributes: impl FnOnce(&mut Attributes<'_>)) {
        let kind = NFNL_SUBSYS_NFTABLES << 8 | kind;
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND;
        self.acks += 1;
        self.message(kind, flags, self.family, 0, attributes);
    }

    fn message(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        append(
            &mut self.bytes,
            kind,
            flags,
            self.sequence,
            family,
            resource,
            attributes,
        );
        self.sequence += 1;
    }

    /// Does all of it, or nothing.
    pub(crate) fn commit(mut self, socket: &Socket) -> io::Result<()> {
        self.message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES, |_| ());
        socket.send(&self.bytes)?;
        let mut buffer = vec![0; ANSWER_MAX];
        let mut first = Ok(());
        while self.acks > 0 {
            let len = match socket.receive(&mut buffer) {
                // After a refusal the rest may not be acknowledged.
                Err(Errno::EAGAIN) if first.is_err() => break,
                received => received?,
            };
            for message in messages(&buffer[..len]) {
                if let (NLMSG_ERROR, payload) = message? {
                    self.acks = self.acks.saturating_sub(1);
                    let result = acknowledged(payload);
                    if first.is_ok() {
                        first = result;
                    }
                }
            }
        }
        first.map_err(io::Error::from)
    }
}
