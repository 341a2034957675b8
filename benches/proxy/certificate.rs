//! A certificate for all contenders, and a client that trusts it.

use std::path::PathBuf;
use std::sync::Arc;

use ha_benches::testbed::Result;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};

use crate::daemon::Directory;

/// Whom it is for.
pub(crate) const NAME: &str = "bench.example";

/// Made anew each time, ECDSA on P-256.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    /// Both in one file, as HAProxy wants it.
    pub(crate) both: PathBuf,
    client: Arc<ClientConfig>,
}

impl Certificate {
    pub(crate) fn new(directory: &Directory) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        Ok(Self {
            client: Arc::new(client(roots)?),
            both: directory.write("both.pem", format!("{chain}{key}"))?,
            chain: directory.write("chain.pem", chain)?,
            key: directory.write("key.pem", key)?,
        })
    }

    /// A client that does a whole handshake each time.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }
}

/// It offers one key exchange and one cipher, so that all contenders do the same.
fn client(roots: RootCertStore) -> Result<ClientConfig> {
    let provider = CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![ring::kx_group::X25519],
        ..ring::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}
