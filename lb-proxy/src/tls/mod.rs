//! TLS by rustls: towards clients with a certificate by name, towards backends with verification.
//!
//! [`ServerTls`] has certificates, of which SNI chooses one, and swaps them while connections go on. [`ClientTls`]
//! verifies backends. Both are cheap to clone and give configs and streams of rustls and tokio-rustls.
//!
//! ```no_run
//! use lb_proxy::tls::{CaBundle, Certificate, ClientTls, Roots, ServerTls, ServerNamePolicy};
//!
//! let site = Certificate::from_files("/etc/ssl/site.pem", "/etc/ssl/site.key")?;
//! let shop = Certificate::from_files("/etc/ssl/shop.pem", "/etc/ssl/shop.key")?.for_names(["*.shop.example"])?;
//! // The first is the default: for clients that ask for no name, or for one that nobody has.
//! let server = ServerTls::builder().certificate(site).certificate(shop).alpn(["h2", "http/1.1"]).build()?;
//!
//! // Later, when a certificate was renewed. Connections go on, new ones get the new one.
//! let renewed = Certificate::from_files("/etc/ssl/site.pem", "/etc/ssl/site.key")?;
//! server.replace_certificates([renewed])?;
//!
//! let client = ClientTls::builder(Roots::Bundle(CaBundle::from_file("/etc/ssl/internal-ca.pem")?))
//!     .server_name(ServerNamePolicy::fixed("app.internal")?)
//!     .build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod certificate;
mod client;
mod client_certificate;
mod names;
mod pem;
mod provider;
mod server;
mod unverified;
mod version;
mod x509;

pub use certificate::{CaBundle, Certificate, NameError};
pub use client::{ClientTls, ClientTlsBuilder, ClientTlsError, Roots, ServerNamePolicy};
pub use client_certificate::{ClientAuth, ClientCertificate};
pub use pem::{PemError, PemProblem};
pub use server::{ServerTls, ServerTlsBuilder, ServerTlsError, UnknownName};
pub use version::TlsVersion;
pub use x509::{Validity, ValidityWarning};

pub use rustls;
pub use tokio_rustls;
