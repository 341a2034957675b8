//! Messages of netlink, as those of nf_tables are.

use nix::errno::Errno;

use super::attributes::Attributes;

/// linux/netfilter/nf_tables.h: nf_tables_msg_types.
pub(crate) mod kind {
    pub(crate) const NEW_TABLE: u16 = 0;
    pub(crate) const GET_TABLE: u16 = 1;
    pub(crate) const DEL_TABLE: u16 = 2;
    pub(crate) const NEW_CHAIN: u16 = 3;
    pub(crate) const NEW_RULE: u16 = 6;
    pub(crate) const NEW_SET: u16 = 9;
    pub(crate) const NEW_SET_ELEM: u16 = 12;
    pub(crate) const DEL_SET_ELEM: u16 = 14;
}

// linux/netfilter/nfnetlink.h, linux/netlink.h
pub(super) const NFNL_SUBSYS_NFTABLES: u16 = 10;
pub(super) const NLM_F_REQUEST: u16 = 1;
pub(super) const NLM_F_ACK: u16 = 4;
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLM_F_APPEND: u16 = 0x800;
pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;
const HEADER_LEN: usize = 16;
/// Behind the header: family, version, resource.
pub(super) const NFGENMSG_LEN: usize = 4;

/// Appends nlmsghdr, nfgenmsg, and the attributes.
pub(super) fn append(
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
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), Errno>> {
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
pub(super) fn acknowledged(payload: &[u8]) -> Result<(), Errno> {
    match payload.first_chunk::<4>().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(Errno::from_raw(code.wrapping_neg())),
        None => Err(Errno::EBADMSG),
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
}
