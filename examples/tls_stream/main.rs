//! TLS in front of any TCP service: certificates by name, swapped while connections go on.
//!
//! `cargo run --release --example tls_stream -- 0.0.0.0:6697 site.pem site.key 192.0.2.21:6667 192.0.2.22:6667` ends the
//! TLS of clients and passes their bytes on, each client to the same backend as long as that is up. Enter reads the
//! certificate anew, as after a renewal; the end of the input drains and stops.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lb_proxy::balance::{BackendConfig, Strategy, Upstream, UpstreamConfig};
use lb_proxy::stream::{StreamConfig, StreamServer};
use lb_proxy::tls::{Certificate, PemError, ServerTls};

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, chain, key, backends @ ..] = &arguments[..] else {
        return Err("usage: tls_stream ADDRESS CERTIFICATE KEY BACKEND…".into());
    };
    let backends: Vec<SocketAddr> = backends.iter().map(|one| one.parse()).collect::<Result<_, _>>()?;
    let config = UpstreamConfig::builder("backends")
        .strategy(Strategy::IpHash)
        .backends(
            backends
                .into_iter()
                .map(|address| BackendConfig::new(address.to_string(), address)),
        )
        .build()?;
    let tls = ServerTls::builder().certificate(read(chain, key)?).build()?;
    let config = StreamConfig::builder(Upstream::new(config))
        .listen(listen.parse()?)
        .tls(tls.clone())
        .build()?;
    let server = StreamServer::spawn(config)?;
    println!("listening on {}", server.addresses()[0]);

    let mut line = String::new();
    while std::io::stdin().read_line(&mut line)? > 0 {
        match read(chain, key) {
            Ok(certificate) => tls.replace_certificates([certificate])?,
            Err(error) => eprintln!("the old certificate stays: {error}"),
        }
        println!("{:?}", server.status().counters);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let cut = runtime.block_on(server.shutdown(Duration::from_secs(10)));
    println!("{cut} connections were cut off");
    Ok(())
}

/// Reads the certificate, and says if it needs somebody's attention.
fn read(chain: &str, key: &str) -> Result<Certificate, PemError> {
    let certificate = Certificate::from_files(chain, key)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Some(warning) = certificate.validity().warning(now, MONTH) {
        eprintln!(
            "{}: the certificate of {:?} {warning}",
            certificate.file(),
            certificate.subject()
        );
    }
    Ok(certificate)
}
