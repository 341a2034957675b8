//! How far an address or a route reaches.

use std::fmt;

/// Scope of an IPv4 address or route: how far it is valid, as `ip` and keepalived know it.
///
/// The kernel knows any number of 0 to 255; `Scope(42)` makes one that has no name. IPv6 has no such setting: there the
/// address itself says how far it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope(
    /// Its number (`RT_SCOPE_*`): the smaller, the farther.
    pub u8,
);

impl Scope {
    /// Everywhere; the default of addresses, and of routes through a gateway.
    pub const GLOBAL: Self = Self(0);
    /// Inside this site.
    pub const SITE: Self = Self(200);
    /// On this link; the default of routes without a gateway.
    pub const LINK: Self = Self(253);
    /// On this host.
    pub const HOST: Self = Self(254);
    /// Nowhere.
    pub const NOWHERE: Self = Self(255);

    /// The scope of this name (`global`, `site`, `link`, `host`, `nowhere`) or number.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = Self::NAMED.iter().find(|(known, _)| *known == name);
        named
            .map(|(_, scope)| *scope)
            .or_else(|| name.parse().ok().map(Self))
    }

    const NAMED: [(&'static str, Self); 5] = [
        ("global", Self::GLOBAL),
        ("site", Self::SITE),
        ("link", Self::LINK),
        ("host", Self::HOST),
        ("nowhere", Self::NOWHERE),
    ];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, scope)| scope == self) {
            Some((name, _)) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_a_name_or_a_number() {
        for (text, number) in [("global", 0), ("link", 253), ("host", 254), ("42", 42)] {
            let scope = Scope::from_name(text).unwrap();
            assert_eq!(scope, Scope(number));
            assert_eq!(scope.to_string(), text);
        }
        assert_eq!(Scope::from_name("universe"), None);
        assert_eq!(Scope::from_name("256"), None);
    }
}
