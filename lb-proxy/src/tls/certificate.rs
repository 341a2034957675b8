//! A certificate with its chain and its key, and a bundle of CA certificates.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, DnsName};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};

use super::pem::{Pem, PemError, PemProblem};
use super::provider;
use super::x509::{Facts, Validity};

/// A certificate, the certificates that lead from it to a root, and its private key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) names: Arc<[String]>,
    facts: Arc<Facts>,
    file: Arc<str>,
}

impl Certificate {
    /// Reads a chain, the server's own certificate first, and its key from PEM files, which may be one and the same.
    ///
    /// # Errors
    /// A file can't be read, or is not what it should be, or the key is not that of the certificate.
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, PemError> {
        Self::new(&Pem::read(chain.as_ref())?, &Pem::read(key.as_ref())?)
    }

    /// As [`from_files`](Self::from_files), from PEM in memory.
    ///
    /// # Errors
    /// Either is not what it should be, or the key is not that of the certificate. In place of a file's name the
    /// errors say "certificate chain" and "private key".
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, PemError> {
        Self::new(
            &Pem::named("certificate chain", chain),
            &Pem::named("private key", key),
        )
    }

    fn new(chain: &Pem, key: &Pem) -> Result<Self, PemError> {
        let certificates = chain.certificates()?;
        let (key_line, der) = key.key()?;
        let unusable = |problem: Error| key.error(Some(key_line), PemProblem::Key(problem.to_string()));
        let signer = provider::ring()
            .key_provider
            .load_private_key(der)
            .map_err(unusable)?;
        let mut facts = Vec::with_capacity(certificates.len());
        for (line, certificate) in &certificates {
            let unreadable = |why: String| chain.error(Some(*line), PemProblem::Certificate(why));
            webpki::EndEntityCert::try_from(certificate).map_err(|error| unreadable(error.to_string()))?;
            facts.push(Facts::read(certificate).ok_or_else(|| unreadable("its fields".to_owned()))?);
        }
        let (lines, chain_der): (Vec<_>, Vec<_>) = certificates.into_iter().unzip();
        let belongs = |certificate: &CertificateDer<'static>| {
            let alone = CertifiedKey::new(vec![certificate.clone()], Arc::clone(&signer));
            // A key that can't tell its public half may be the right one.
            !matches!(
                alone.keys_match(),
                Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch))
            )
        };
        if !belongs(&chain_der[0]) {
            let file = chain.file.clone();
            let problem = match chain_der.iter().position(belongs) {
                Some(at) => PemProblem::Order {
                    chain: file,
                    line: lines[at],
                },
                None => PemProblem::Mismatch {
                    subject: facts[0].subject.clone(),
                    chain: file,
                    line: lines[0],
                },
            };
            return Err(key.error(Some(key_line), problem));
        }
        let leaf = webpki::EndEntityCert::try_from(&chain_der[0]).expect("parsed above");
        let names = leaf.valid_dns_names().map(str::to_ascii_lowercase).collect();
        Ok(Self {
            names,
            facts: Arc::new(facts.swap_remove(0)),
            file: chain.file.as_str().into(),
            key: Arc::new(CertifiedKey::new(chain_der, signer)),
        })
    }

    /// Serves it for these names instead of those in the certificate: host names, or `*.example.com`, which is any
    /// one label in place of the star. Case doesn't matter.
    ///
    /// # Errors
    /// A name is neither.
    pub fn for_names<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Result<Self, NameError> {
        self.names = names
            .into_iter()
            .map(|name| {
                let name = name.as_ref().to_ascii_lowercase();
                match DnsName::try_from(name.strip_prefix("*.").unwrap_or(&name)) {
                    Ok(_) => Ok(name),
                    Err(_) => Err(NameError::new(&name)),
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The names that it is served for, in lower case: those of the certificate (DNS names of its
    /// `subjectAltName`) unless others were [given](Self::for_names).
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whose it is, as RFC 4514 writes it: `CN=www.example.com,O=Example`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.facts.subject
    }

    /// From when to when it is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.facts.validity
    }

    /// The file that it was read from, or what stands for it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }
}

/// A name that no certificate can be served for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a host name; write one such as \"www.example.com\", or \"*.example.com\"")]
pub struct NameError {
    name: String,
}

impl NameError {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }
}

/// The CA certificates that peers are trusted by. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CaBundle {
    pub(super) roots: Arc<RootCertStore>,
}

impl CaBundle {
    /// Reads CA certificates from a PEM file.
    ///
    /// # Errors
    /// It can't be read, has no certificate, or one that is not X.509.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PemError> {
        Self::new(&Pem::read(path.as_ref())?)
    }

    /// As [`from_file`](Self::from_file), from PEM in memory; errors say "CA bundle" in place of a file's name.
    ///
    /// # Errors
    /// It has no certificate, or one that is not X.509.
    pub fn from_pem(bundle: &[u8]) -> Result<Self, PemError> {
        Self::new(&Pem::named("CA bundle", bundle))
    }

    fn new(bundle: &Pem) -> Result<Self, PemError> {
        let mut roots = RootCertStore::empty();
        for (line, certificate) in bundle.certificates()? {
            roots
                .add(certificate)
                .map_err(|error| bundle.error(Some(line), PemProblem::Certificate(error.to_string())))?;
        }
        Ok(Self {
            roots: Arc::new(roots),
        })
    }

    /// How many certificates it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.roots.len()
    }

    /// Whether it has none, which it never has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }
}
