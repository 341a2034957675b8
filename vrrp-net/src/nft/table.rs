//! The tables that there are.

use super::message::NFGENMSG_LEN;

pub(super) const NFTA_TABLE_NAME: u16 = 1;
pub(super) const NFTA_TABLE_FLAGS: u16 = 2;
const NLA_TYPE: u16 = 0x3fff;

/// A table that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) family: u8,
    pub(crate) name: String,
    pub(crate) flags: u32,
}

impl Table {
    /// What a message of the kernel tells of one.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
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
        Some(Self {
            family,
            name: name?,
            flags,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::attributes::Attributes;

    #[test]
    fn a_table_is_read_with_its_flags() {
        let mut bytes = vec![1, 0, 0, 0];
        let mut attributes = Attributes { bytes: &mut bytes };
        attributes.string(NFTA_TABLE_NAME, "vrrp-7");
        attributes.number(3, 0);
        attributes.number(NFTA_TABLE_FLAGS, 2);
        let read = Table::read(&bytes).unwrap();
        assert_eq!((read.family, read.name.as_str(), read.flags), (1, "vrrp-7", 2));
        assert_eq!(Table::read(&bytes[..6]), None);
    }
}
