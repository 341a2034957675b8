//! Dropping frames in a bridge with nf_tables, spoken over netlink: no `nft` program is needed.
//!
//! One table of family `bridge` holds a chain at prerouting and one at forward. Each change replaces the table in one
//! transaction, so that no frame sees half of it.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// Which frames to drop. Numbers are interface indices of bridge ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drop {
    /// All that arrive at `input`, before the bridge looks at them.
    Arriving { input: u32 },
    /// Those that the bridge is about to send out at `output`, or of these only those that came in at `input`.
    Forwarded { input: Option<u32>, output: u32 },
}

/// Drops these frames and no others. Acts on the calling thread's network namespace.
///
/// # Errors
/// `ENOENT` or `EOPNOTSUPP` where the kernel has no nf_tables for bridges.
pub(super) fn replace_drops(drops: &[Drop]) -> io::Result<()> {
    let mut batch = Batch::new();
    // Deleting what does not exist fails the transaction; creating what exists does not.
    batch.table(msg::NEW_TABLE);
    batch.table(msg::DEL_TABLE);
    if !drops.is_empty() {
        batch.table(msg::NEW_TABLE);
        batch.chain("arriving", hook::PRE_ROUTING);
        batch.chain("forwarded", hook::FORWARD);
        for drop in drops {
            batch.rule(*drop);
        }
    }
    batch.commit()
}

/// True if this error of [`replace_drops`] says that the kernel has no nf_tables for bridges.
pub(super) fn is_missing(error: &io::Error) -> bool {
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

/// linux/netfilter/nf_tables.h: nf_tables_msg_types.
mod msg {
    pub(super) const NEW_TABLE: u16 = 0;
    pub(super) const DEL_TABLE: u16 = 2;
    pub(super) const NEW_CHAIN: u16 = 3;
    pub(super) const NEW_RULE: u16 = 6;
}

/// linux/netfilter_bridge.h.
mod hook {
    pub(super) const PRE_ROUTING: u32 = 0;
    pub(super) const FORWARD: u32 = 2;
}

/// linux/netfilter/nf_tables.h: nft_meta_keys.
mod meta {
    pub(super) const IIF: u32 = 4;
    pub(super) const OIF: u32 = 5;
}

const TABLE: &str = "lab";
const NFPROTO_BRIDGE: u8 = 7;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;
const NLA_F_NESTED: u16 = 0x8000;
const NLMSG_ERROR: u16 = 2;
const HEADER_LEN: usize = 16;
/// A rule takes some 200 bytes; the kernel refuses datagrams above the send buffer (212,992 by default).
const ANSWER_MAX: usize = 8192;
/// The kernel answers before `sendto` returns; this only bounds a test on a broken kernel.
const ANSWER_TIMEOUT_SECONDS: i64 = 5;

/// A transaction under construction.
struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
    acks: usize,
}

impl Batch {
    fn new() -> Self {
        let mut batch = Self {
            bytes: Vec::with_capacity(1024),
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

    fn table(&mut self, kind: u16) {
        self.operation(kind, |attributes| attributes.string(1, TABLE));
    }

    fn chain(&mut self, name: &str, hook: u32) {
        /// Ahead of whatever else may be hooked in (NF_BR_PRI_FILTER_BRIDGED).
        const PRIORITY: i32 = -200;
        self.operation(msg::NEW_CHAIN, |attributes| {
            attributes.string(1, TABLE);
            attributes.string(3, name);
            attributes.nested(4, |hooks| {
                hooks.bytes(1, &hook.to_be_bytes());
                hooks.bytes(2, &PRIORITY.to_be_bytes());
            });
            attributes.string(7, "filter");
        });
    }

    fn rule(&mut self, drop: Drop) {
        let (chain, input, output) = match drop {
            Drop::Arriving { input } => ("arriving", Some(input), None),
            Drop::Forwarded { input, output } => ("forwarded", input, Some(output)),
        };
        self.operation(msg::NEW_RULE, |attributes| {
            attributes.string(1, TABLE);
            attributes.string(2, chain);
            attributes.nested(4, |expressions| {
                if let Some(input) = input {
                    expressions.interface_is(meta::IIF, input);
                }
                if let Some(output) = output {
                    expressions.interface_is(meta::OIF, output);
                }
                expressions.drop();
            });
        });
    }

    fn operation(&mut self, kind: u16, attributes: impl FnOnce(&mut Attributes<'_>)) {
        let kind = NFNL_SUBSYS_NFTABLES << 8 | kind;
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND;
        self.acks += 1;
        self.message(kind, flags, NFPROTO_BRIDGE, 0, attributes);
    }

    /// Appends nlmsghdr, nfgenmsg, and the attributes.
    fn message(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        f: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&0_u32.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&self.sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&0_u32.to_ne_bytes());
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
        f(&mut Attributes {
            bytes: &mut self.bytes,
        });
        let len = u32::try_from(self.bytes.len() - start).expect("a message has a few hundred bytes");
        self.bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
        self.sequence += 1;
    }

    fn commit(mut self) -> io::Result<()> {
        self.message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES, |_| ());
        let socket = netfilter_socket()?;
        sendto(
            socket.as_raw_fd(),
            &self.bytes,
            &NetlinkAddr::new(0, 0),
            MsgFlags::empty(),
        )?;
        let mut buffer = [0; ANSWER_MAX];
        while self.acks > 0 {
            let len = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            self.acks = self.acks.saturating_sub(count_acks(&buffer[..len])?);
        }
        Ok(())
    }
}

fn netfilter_socket() -> nix::Result<OwnedFd> {
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
    Ok(socket)
}

/// Counts the acknowledgements in a datagram, or returns the first error in it.
fn count_acks(mut datagram: &[u8]) -> Result<usize, Errno> {
    let mut acks = 0;
    while let Some((header, _)) = datagram.split_first_chunk::<HEADER_LEN>() {
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if len < HEADER_LEN || len > datagram.len() {
            return Err(Errno::EBADMSG);
        }
        let payload = &datagram[HEADER_LEN..len];
        if u16::from_ne_bytes([header[4], header[5]]) == NLMSG_ERROR {
            match payload.first_chunk::<4>().map(|code| i32::from_ne_bytes(*code)) {
                Some(0) => acks += 1,
                Some(code) => return Err(Errno::from_raw(-code)),
                None => return Err(Errno::EBADMSG),
            }
        }
        datagram = &datagram[len.next_multiple_of(4).min(datagram.len())..];
    }
    Ok(acks)
}

/// Appends netlink attributes: length, type, value, padding to four bytes. nf_tables' integers are big-endian.
struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Attributes<'_> {
    fn nest(&mut self, kind: u16, f: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&0_u16.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        f(&mut Attributes { bytes: self.bytes });
        let len = u16::try_from(self.bytes.len() - start).expect("an attribute has a few hundred bytes");
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

    /// Goes on with the rule if the frame's interface (`key`: which of them) has this index.
    fn interface_is(&mut self, key: u32, index: u32) {
        const NFT_REG_1: u32 = 1;
        const NFT_CMP_EQ: u32 = 0;
        self.expression("meta", |load| {
            load.number(1, NFT_REG_1);
            load.number(2, key);
        });
        self.expression("cmp", |compare| {
            compare.number(1, NFT_REG_1);
            compare.number(2, NFT_CMP_EQ);
            // Registers hold interface indices in the machine's byte order.
            compare.nested(3, |data| data.bytes(1, &index.to_ne_bytes()));
        });
    }

    fn drop(&mut self) {
        const NFT_REG_VERDICT: u32 = 0;
        const NF_DROP: u32 = 0;
        self.expression("immediate", |immediate| {
            immediate.number(1, NFT_REG_VERDICT);
            immediate.nested(2, |data| data.nested(2, |verdict| verdict.number(1, NF_DROP)));
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

    #[test]
    fn several_acknowledgements_in_one_datagram_are_counted() {
        assert_eq!(count_acks(&[error_message(0), error_message(0)].concat()), Ok(2));
    }

    #[test]
    fn the_first_refusal_is_the_outcome() {
        assert_eq!(
            count_acks(&[error_message(0), error_message(-2)].concat()),
            Err(Errno::ENOENT)
        );
    }

    #[test]
    fn a_truncated_answer_is_an_error() {
        assert_eq!(count_acks(&error_message(0)[..18]), Err(Errno::EBADMSG));
    }

    #[test]
    fn attributes_are_padded_and_their_length_is_not() {
        let mut bytes = Vec::new();
        Attributes { bytes: &mut bytes }.string(1, "lab.");
        assert_eq!(bytes.len(), 12);
        assert_eq!(bytes[..2], 9_u16.to_ne_bytes());
        assert_eq!(bytes[4..], *b"lab.\0\0\0\0");
    }
}
