//! Netlink attributes, in which the parts of a message are told apart.

const NLA_F_NESTED: u16 = 0x8000;

/// Appends netlink attributes: length, type, value, padding to four bytes. nf_tables' integers are big-endian.
pub(crate) struct Attributes<'a> {
    pub(super) bytes: &'a mut Vec<u8>,
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

    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.nest(kind, |inside| inside.bytes.extend_from_slice(value));
    }

    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(super) fn string(&mut self, kind: u16, value: &str) {
        self.nest(kind, |inside| {
            inside.bytes.extend_from_slice(value.as_bytes());
            inside.bytes.push(0);
        });
    }

    pub(super) fn nested(&mut self, kind: u16, f: impl FnOnce(&mut Attributes<'_>)) {
        self.nest(kind | NLA_F_NESTED, f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_length_is_not() {
        let mut bytes = Vec::new();
        Attributes { bytes: &mut bytes }.string(1, "lab.");
        assert_eq!(bytes.len(), 12);
        assert_eq!(bytes[..2], 9_u16.to_ne_bytes());
        assert_eq!(bytes[4..], *b"lab.\0\0\0\0");
    }
}
