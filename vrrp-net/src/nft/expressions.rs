//! What a rule is made of: each expression of one does something, or ends the rule where something doesn't hold.

use super::attributes::Attributes;

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

impl Attributes<'_> {
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
