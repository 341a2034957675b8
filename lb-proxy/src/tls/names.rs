//! Which certificate is for which name.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// The certificates of a server by name.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    exact: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// By what stands after `*.`.
    wildcard: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    default: Option<Arc<CertifiedKey>>,
}

impl NameTable {
    /// The first of `certificates` is the default.
    pub(super) fn new(certificates: &[Certificate]) -> Self {
        let mut table = Self {
            default: certificates.first().map(|first| Arc::clone(&first.key)),
            ..Self::default()
        };
        for certificate in certificates {
            for name in certificate.names.iter() {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut table.wildcard, parent),
                    None => (&mut table.exact, name.as_str()),
                };
                map.entry(name.into())
                    .or_default()
                    .push(Arc::clone(&certificate.key));
            }
        }
        table
    }

    pub(super) fn fallback(&self) -> Option<&Arc<CertifiedKey>> {
        self.default.as_ref()
    }

    /// The certificate for `name`, in lower case: of that very name, or of a wildcard in place of its first label
    /// (RFC 6125 §6.4.3). Where there are several (one with an RSA key, one with an ECDSA key), the first that can
    /// sign in a way that the client understands.
    pub(super) fn find(&self, name: &str, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let of_name = self.exact.get(name);
        let of_wildcard = || self.wildcard.get(name.split_once('.')?.1);
        let candidates = of_name.or_else(of_wildcard)?;
        candidates
            .iter()
            .find(|candidate| candidate.key.choose_scheme(schemes).is_some())
            .or(candidates.first())
    }
}
