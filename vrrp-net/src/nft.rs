//! nf_tables, spoken over netlink: no `nft` program is needed.
//!
//! What changes goes in a [`Batch`], which the kernel does whole or not at all.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// linux/netfilter/nf_tables.h: nf_tables_msg_types.
pub(crate) mod msg {
    pub(crate) const NEW_TABLE: u16 = 0;
    pub(crate) const GET_TABLE: u16 = 1;
    pub(crate) const DEL_TABLE: u16 = 2;
    pub(crate) const NEW_CHAIN: u16 = 3;
    pub(crate) const NEW_RULE: u16 = 6;
    pub(crate) const NEW_SET: u16 = 9;
    pub(crate) const NEW_SET_ELEM: u16 = 12;
    pub(crate) const DEL_SET_ELEM: u16 = 14;
}

/// linux/netfilter/nf_tables.h: nft_meta_keys.
pub(crate) mod meta {
    pub(crate) const IIF: u32 = 4;
    #[cfg(feature = "lab")]
    pub(crate) const OIF: u32 = 5;
    pub(crate) const IIFTYPE: u32 = 8;
    pub(crate) const NFPROTO: u32 = 15;
    pub(crate) const L4PROTO: u32 = 16;
}

/// linux/netfilter/nf_tables.h: nft_cmp_ops.
pub(crate) mod cmp {
    pub(crate) const EQ: u32 = 0;
    pub(crate) const LTE: u32 = 3;
    pub(crate) const GTE: u32 = 5;
}

/// linux/netfilter/nf_tables.h: nft_payload_bases.
pub(crate) mod base {
    pub(crate) const NETWORK: u32 = 1;
    pub(crate) const TRANSPORT: u32 = 2;
}

/// linux/netfilter.h: what becomes of a packet.
pub(crate) mod verdict {
    pub(crate) const DROP: u32 = 0;
    pub(crate) const ACCEPT: u32 = 1;
}

/// The first register of 16 octets.
pub(crate) const REGISTER: u32 = 1;
/// Registers of 4 octets, which are the same memory: this one begins where [`REGISTER`] does.
pub(crate) const SMALL_REGISTER: u32 = 8;

// linux/netfilter/nfnetlink.h, linux/netlink.h
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;
const NLA_F_NESTED: u16 = 0x8000;
const NLA_TYPE: u16 = 0x3fff;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER_LEN: usize = 16;
/// Behind the header: family, version, resource.
const NFGENMSG_LEN: usize = 4;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
/// A rule takes some 200 bytes; the kernel refuses datagrams above the send buffer (212,992 by default).
const ANSWER_MAX: usize = 32 * 1024;
/// The kernel answers before `sendto` returns; this only bounds the wait on a broken kernel.
const ANSWER_TIMEOUT_SECONDS: i64 = 5;

/// A connection with the kernel's nf_tables, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: OwnedFd,
}

/// A table that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) family: u8,
    pub(crate) name: String,
    pub(crate) flags: u32,
}

impl Socket {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &TimeVal::seconds(ANSWER_TIMEOUT_SECONDS),
        )?;
        Ok(Self { socket })
    }

    /// The kernel's address of this socket, unique in the network namespace.
    pub(crate) fn port(&self) -> io::Result<u32> {
        Ok(getsockname::<NetlinkAddr>(self.socket.as_raw_fd())?.pid())
    }

    /// All tables, of every family.
    pub(crate) fn tables(&self) -> io::Result<Vec<Table>> {
        let mut request = Vec::new();
        let kind = NFNL_SUBSYS_NFTABLES << 8 | msg::GET_TABLE;
        append(&mut request, kind, NLM_F_REQUEST | NLM_F_DUMP, 0, 0, 0, |_| ());
        self.send(&request)?;
        let mut tables = Vec::new();
        loop {
            let mut buffer = vec![0; ANSWER_MAX];
            let len = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            for message in messages(&buffer[..len]) {
                match message? {
                    (NLMSG_DONE, _) => return Ok(tables),
                    (NLMSG_ERROR, payload) => acknowledged(payload)?,
                    (_, payload) => tables.extend(table(payload)),
                }
            }
        }
    }

    fn send(&self, octets: &[u8]) -> io::Result<()> {
        sendto(
            self.socket.as_raw_fd(),
            octets,
            &NetlinkAddr::new(0, 0),
            MsgFlags::empty(),
        )?;
        Ok(())
    }
}

fn table(payload: &[u8]) -> Option<Table> {
    let family = *payload.first()?;
    let (mut name, mut flags) = (None, 0);
    let mut rest = payload.get(NFGENMSG_LEN..)?;
    while let Some((header, _)) = rest.split_first_chunk::<4>() {
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = rest.get(4..len)?;
        match u16::from_ne_bytes([header[2], header[3]]) & NLA_TYPE {
            NFTA_TABLE_NAME => {
                name = String::from_utf8(value.strip_suffix(&[0]).unwrap_or(value).to_vec()).ok();
            }
            NFTA_TABLE_FLAGS => flags = u32::from_be_bytes(*value.first_chunk()?),
            _ => {}
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Table {
        family,
        name: name?,
        flags,
    })
}

/// True if this error says that the kernel has no nf_tables, or none of a batch's family.
#[cfg(feature = "lab")]
pub(crate) fn is_missing(error: &io::Error) -> bool {
    const MISSING: [Errno; 4] = [
        Errno::ENOENT,
        Errno::EOPNOTSUPP,
        Errno::EAFNOSUPPORT,
        Errno::EPROTONOSUPPORT,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| MISSING.contains(&Errno::from_raw(code)))
}

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
            let len = match recv(socket.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
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

/// Appends nlmsghdr, nfgenmsg, and the attributes.
fn append(
    bytes: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    family: u8,
    resource: u16,
    attributes: impl FnOnce(&mut Attributes<'_>),
) {
    let start = bytes.len();
    bytes.extend_from_slice(&0_u32.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&0_u32.to_ne_bytes());
    bytes.extend_from_slice(&[family, 0]);
    bytes.extend_from_slice(&resource.to_be_bytes());
    attributes(&mut Attributes { bytes });
    let len = u32::try_from(bytes.len() - start).expect("a message is far below 4 GiB");
    bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
}

/// The messages of a datagram: type and payload.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), Errno>> {
    std::iter::from_fn(move || {
        let (header, _) = datagram.split_first_chunk::<HEADER_LEN>()?;
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if len < HEADER_LEN || len > datagram.len() {
            datagram = &[];
            return Some(Err(Errno::EBADMSG));
        }
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let payload = &datagram[HEADER_LEN..len];
        datagram = &datagram[len.next_multiple_of(4).min(datagram.len())..];
        Some(Ok((kind, payload)))
    })
}

/// What an NLMSG_ERROR says.
fn acknowledged(payload: &[u8]) -> Result<(), Errno> {
    match payload.first_chunk::<4>().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(Errno::from_raw(code.wrapping_neg())),
        None => Err(Errno::EBADMSG),
    }
}

/// Appends netlink attributes: length, type, value, padding to four bytes. nf_tables' integers are big-endian.
pub(crate) struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Attributes<'_> {
    fn nest(&mut self, kind: u16, f: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&0_u16.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        f(&mut Attributes { bytes: self.bytes });
        let len = u16::try_from(self.bytes.len() - start).expect("an attribute is kept below 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.nest(kind, |inside| inside.bytes.extend_from_slice(value));
    }

    fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    fn string(&mut self, kind: u16, value: &str) {
        self.nest(kind, |inside| {
            inside.bytes.extend_from_slice(value.as_bytes());
            inside.bytes.push(0);
        });
    }

    fn nested(&mut self, kind: u16, f: impl FnOnce(&mut Attributes<'_>)) {
        self.nest(kind | NLA_F_NESTED, f);
    }

    /// NFTA_LIST_ELEM { NFTA_EXPR_NAME, NFTA_EXPR_DATA }.
    fn expression(&mut self, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
        self.nested(1, |element| {
            element.string(1, name);
            element.nested(2, data);
        });
    }

    /// Loads a fact about the packet ([`meta`]), in the machine's byte order.
    pub(crate) fn load_meta(&mut self, key: u32, register: u32) {
        self.expression("meta", |load| {
            load.number(1, register);
            load.number(2, key);
        });
    }

    /// Loads octets of the packet.
    pub(crate) fn load_payload(&mut self, base: u32, offset: u32, len: u32, register: u32) {
        self.expression("payload", |load| {
            load.number(1, register);
            load.number(2, base);
            load.number(3, offset);
            load.number(4, len);
        });
    }

    /// Goes on with the rule if [`REGISTER`] compares so with the value.
    pub(crate) fn compare(&mut self, operation: u32, value: &[u8]) {
        self.expression("cmp", |compare| {
            compare.number(1, REGISTER);
            compare.number(2, operation);
            compare.nested(3, |data| data.bytes(1, value));
        });
    }

    /// Goes on with the rule if this fact about the packet is that.
    pub(crate) fn meta_is(&mut self, key: u32, value: &[u8]) {
        self.load_meta(key, REGISTER);
        self.compare(cmp::EQ, value);
    }

    /// Goes on with the rule if the key that begins in a register is in the set.
    pub(crate) fn lookup(&mut self, set: &str, register: u32) {
        self.expression("lookup", |lookup| {
            lookup.string(1, set);
            lookup.number(2, register);
        });
    }

    /// Ends the rule, and for this chain the packet's way.
    pub(crate) fn verdict(&mut self, verdict: u32) {
        const NFT_REG_VERDICT: u32 = 0;
        self.expression("immediate", |immediate| {
            immediate.number(1, NFT_REG_VERDICT);
            immediate.nested(2, |data| data.nested(2, |code| code.number(1, verdict)));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_message(code: i32) -> Vec<u8> {
        let mut message = 20_u32.to_ne_bytes().to_vec();
        message.extend_from_slice(&NLMSG_ERROR.to_ne_bytes());
        message.extend_from_slice(&[0; 10]);
        message.extend_from_slice(&code.to_ne_bytes());
        message
    }

    fn answers(datagram: &[u8]) -> Vec<Result<(), Errno>> {
        messages(datagram)
            .map(|message| message.and_then(|(_, payload)| acknowledged(payload)))
            .collect()
    }

    #[test]
    fn several_acknowledgements_in_one_datagram_are_told_apart() {
        let datagram = [error_message(0), error_message(-2), error_message(0)].concat();
        assert_eq!(answers(&datagram), [Ok(()), Err(Errno::ENOENT), Ok(())]);
    }

    #[test]
    fn a_truncated_answer_is_an_error() {
        assert_eq!(answers(&error_message(0)[..18]), [Err(Errno::EBADMSG)]);
    }

    #[test]
    fn attributes_are_padded_and_their_length_is_not() {
        let mut bytes = Vec::new();
        Attributes { bytes: &mut bytes }.string(1, "lab.");
        assert_eq!(bytes.len(), 12);
        assert_eq!(bytes[..2], 9_u16.to_ne_bytes());
        assert_eq!(bytes[4..], *b"lab.\0\0\0\0");
    }

    #[test]
    fn a_table_is_read_with_its_flags() {
        let mut bytes = vec![1, 0, 0, 0];
        let mut attributes = Attributes { bytes: &mut bytes };
        attributes.string(NFTA_TABLE_NAME, "vrrp-7");
        attributes.number(3, 0);
        attributes.number(NFTA_TABLE_FLAGS, 2);
        let read = table(&bytes).unwrap();
        assert_eq!((read.family, read.name.as_str(), read.flags), (1, "vrrp-7", 2));
        assert_eq!(table(&bytes[..6]), None);
    }
}
