//! The blocks of a PEM file (RFC 7468), with the line that each begins on.

use std::fmt;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why certificates or a key could not be taken from a file: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", Place { file, line: *line })]
pub struct PemError {
    file: String,
    line: Option<usize>,
    problem: PemProblem,
}

impl PemError {
    pub(super) fn new(file: &str, line: Option<usize>, problem: PemProblem) -> Self {
        Self {
            file: file.to_owned(),
            line,
            problem,
        }
    }

    /// The file, or what stands for it where bytes were given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1, on which the block in question begins; none if it is about the whole file.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        self.line
    }

    /// What is wrong.
    #[must_use]
    pub const fn problem(&self) -> &PemProblem {
        &self.problem
    }
}

struct Place<'a> {
    file: &'a str,
    line: Option<usize>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(self.file),
        }
    }
}

/// What is wrong with a file of certificates or a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemProblem {
    /// It can't be read.
    #[error("can't be read: {0}")]
    Read(#[source] std::io::Error),
    /// It has nothing in it.
    #[error("the file is empty")]
    Empty,
    /// It is binary.
    #[error(
        "the file is binary; PEM is needed, which `openssl x509 -inform der` makes of a certificate, `openssl pkey \
         -inform der` of a key, and `openssl pkcs12 -nodes` of both in a .p12 or .pfx"
    )]
    Binary,
    /// There is no certificate in it.
    #[error("no certificate: no line says -----BEGIN CERTIFICATE-----{}", Found(found))]
    NoCertificate {
        /// The labels of the blocks that are there.
        found: Vec<String>,
    },
    /// There is no private key in it.
    #[error("no private key: no line says -----BEGIN PRIVATE KEY-----{}", Found(found))]
    NoKey {
        /// The labels of the blocks that are there.
        found: Vec<String>,
    },
    /// There is more than one key in it.
    #[error("a second private key, the first begins on line {first}; leave the one of the certificate")]
    TwoKeys {
        /// Where the first begins.
        first: usize,
    },
    /// A passphrase would be needed.
    #[error(
        "the private key is encrypted, and nobody is there to type its passphrase; decrypt it with \
         `openssl pkey -in <this file> -out <new file>` and let only this service read the new file"
    )]
    EncryptedKey,
    /// A block without an end.
    #[error(
        "-----BEGIN {label}----- without -----END {label}-----: the file is cut off or two lines are mixed up"
    )]
    Unclosed {
        /// The block's label.
        label: String,
    },
    /// A block that is not Base64.
    #[error("what follows -----BEGIN {label}----- is not valid Base64")]
    Base64 {
        /// The block's label.
        label: String,
    },
    /// A block that is no X.509 certificate.
    #[error("the certificate can't be read ({0}); it must be X.509 version 3 in DER within the Base64")]
    Certificate(String),
    /// A key that can't be used.
    #[error(
        "the private key can't be used ({0}); RSA of 2048 to 8192 bits, ECDSA P-256, P-384 and Ed25519 can"
    )]
    Key(String),
    /// The key is not that of the first certificate, and not that of any other.
    #[error(
        "the private key is not that of the certificate of {subject:?} ({chain}:{line}); give the key that the \
         certificate was requested with, or have a new certificate made for this one"
    )]
    Mismatch {
        /// The first certificate's subject.
        subject: String,
        /// The file of the chain.
        chain: String,
        /// The line of its first certificate.
        line: usize,
    },
    /// The key is that of a certificate further down.
    #[error(
        "the private key is that of the certificate at line {line} of {chain}; that one must stand first, followed by \
         the one that signed it, and so on"
    )]
    Order {
        /// The file of the chain.
        chain: String,
        /// The line of the key's certificate.
        line: usize,
    },
}

struct Found<'a>(&'a [String]);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(", nor -----BEGIN anything");
        }
        write!(f, ", only {}", self.0.join(", "))
    }
}

/// A PEM file's bytes and its name.
#[derive(Debug)]
pub(super) struct Pem {
    pub(super) file: String,
    bytes: Vec<u8>,
}

/// One block: its label, the line that it begins on, and all of its text.
struct Block<'a> {
    label: &'a str,
    line: usize,
    text: &'a [u8],
}

impl Pem {
    pub(super) fn read(path: &Path) -> Result<Self, PemError> {
        let file = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self { file, bytes }),
            Err(error) => Err(PemError::new(&file, None, PemProblem::Read(error))),
        }
    }

    pub(super) fn named(file: &str, bytes: &[u8]) -> Self {
        Self {
            file: file.to_owned(),
            bytes: bytes.to_vec(),
        }
    }

    pub(super) fn error(&self, line: Option<usize>, problem: PemProblem) -> PemError {
        PemError::new(&self.file, line, problem)
    }

    /// All certificates in their order, with their lines; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<(usize, CertificateDer<'static>)>, PemError> {
        let blocks = self.blocks()?;
        let mut certificates = Vec::new();
        // `TRUSTED CERTIFICATE` is OpenSSL's own, with more behind the certificate than X.509 has.
        for block in blocks
            .iter()
            .filter(|block| matches!(block.label, "CERTIFICATE" | "X509 CERTIFICATE"))
        {
            let text = String::from_utf8_lossy(block.text).replace("X509 CERTIFICATE", "CERTIFICATE");
            let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| self.base64(block))?;
            certificates.push((block.line, der));
        }
        if certificates.is_empty() {
            let found = blocks.iter().map(|block| block.label.to_owned()).collect();
            return Err(self.error(None, PemProblem::NoCertificate { found }));
        }
        Ok(certificates)
    }

    /// The one private key, with its line.
    pub(super) fn key(&self) -> Result<(usize, PrivateKeyDer<'static>), PemError> {
        let blocks = self.blocks()?;
        let mut keys = blocks.iter().filter(|block| block.label.ends_with("PRIVATE KEY"));
        let Some(block) = keys.next() else {
            let found = blocks.iter().map(|block| block.label.to_owned()).collect();
            return Err(self.error(None, PemProblem::NoKey { found }));
        };
        if let Some(second) = keys.next() {
            let first = block.line;
            return Err(self.error(Some(second.line), PemProblem::TwoKeys { first }));
        }
        // RFC 1421's header of the keys that OpenSSL wrote before it wrote PKCS #8.
        let old_style = block.text.windows(10).any(|window| window == b",ENCRYPTED");
        if block.label.starts_with("ENCRYPTED") || old_style {
            return Err(self.error(Some(block.line), PemProblem::EncryptedKey));
        }
        if !matches!(block.label, "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY") {
            let problem = PemProblem::Key(format!("it is of the kind {:?}", block.label));
            return Err(self.error(Some(block.line), problem));
        }
        let key = PrivateKeyDer::from_pem_slice(block.text).map_err(|_| self.base64(block))?;
        Ok((block.line, key))
    }

    fn base64(&self, block: &Block<'_>) -> PemError {
        let label = block.label.to_owned();
        self.error(Some(block.line), PemProblem::Base64 { label })
    }

    fn blocks(&self) -> Result<Vec<Block<'_>>, PemError> {
        if self.bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(self.error(None, PemProblem::Empty));
        }
        let mut blocks = Vec::new();
        let mut open: Option<(&str, usize, usize)> = None;
        let mut at = 0;
        for (index, line) in self.bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let text = line.trim_ascii();
            if let Some((label, begin, start)) = open {
                if boundary(text, b"-----END ") == Some(label) {
                    let text = &self.bytes[start..at + line.len()];
                    blocks.push(Block {
                        label,
                        line: begin,
                        text,
                    });
                    open = None;
                } else if text.starts_with(b"-----") {
                    break;
                }
            } else if let Some(label) = boundary(text, b"-----BEGIN ") {
                open = Some((label, index + 1, at));
            }
            at += line.len();
        }
        if let Some((label, line, _)) = open {
            let label = label.to_owned();
            return Err(self.error(Some(line), PemProblem::Unclosed { label }));
        }
        if blocks.is_empty() && self.bytes.iter().any(|byte| !byte.is_ascii()) {
            return Err(self.error(None, PemProblem::Binary));
        }
        Ok(blocks)
    }
}

/// The label of a line that begins with `with` and ends as such lines do.
fn boundary<'a>(line: &'a [u8], with: &[u8]) -> Option<&'a str> {
    let label = line.strip_prefix(with)?.strip_suffix(b"-----")?;
    std::str::from_utf8(label).ok()
}

impl Drop for Pem {
    fn drop(&mut self) {
        // A key should not outlive its use in freed memory. Best effort: the file's text, not each copy.
        self.bytes.fill(0);
    }
}
