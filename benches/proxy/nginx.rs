//! nginx, as the backend of all and as a peer.

use std::fmt::Write as _;
use std::net::SocketAddr;

use ha_benches::testbed::Result;

use crate::body::{BODIES, Body};
use crate::contender::{Field, Role};
use crate::cores::{Cores, Place};
use crate::daemon::{self, Daemon, Directory, free_address};

/// Above any number of connections here.
const KEEPALIVE: usize = 4096;
/// Nothing is closed for its age.
const FOREVER: &str = "keepalive_timeout 1h; keepalive_requests 1000000000;";

/// How nginx forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tuning {
    /// Upstream keepalive above the number of connections, buffers that hold the body, no temporary files.
    Tuned,
    /// Buffers as they are, and the 32 kept upstream connections of the manual's example, which later versions have by
    /// themselves.
    Default,
}

/// The backend: an answer out of the config for the shortest body, files and `sendfile` for the others.
pub(crate) fn backend(cores: &Cores, directory: &Directory, place: Place, name: &str) -> Result<Daemon> {
    let address = free_address()?;
    let mut locations = String::new();
    for body in BODIES {
        let content = body.content();
        if body.bytes < 1024 {
            let text = String::from_utf8(content)?;
            writeln!(locations, "location = {} {{ return 200 '{text}'; }}", body.path())?;
        } else {
            directory.write(body.name, content)?;
        }
    }
    let root = directory.path().display();
    let server = format!(
        "sendfile on; tcp_nopush on; open_file_cache max=100; {FOREVER}
         server {{
             listen {address} backlog=4096;
             root {root};
             {locations}
         }}"
    );
    start(cores, place, directory, name, address, 1, &server)
}

/// The peer, before these backends.
pub(crate) fn proxy(field: &Field<'_>, role: &Role<'_>, tuning: Tuning) -> Result<Daemon> {
    let Role { place, workers, tls } = *role;
    let backend = field.backend;
    let address = free_address()?;
    let (ssl, certificate) = match tls {
        None => ("", String::new()),
        Some(certificate) => (
            "ssl",
            format!(
                "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;",
                certificate.chain.display(),
                certificate.key.display()
            ),
        ),
    };
    let http = match tuning {
        Tuning::Tuned => {
            let locations = BODIES
                .iter()
                .map(|body| tuned_location(*body))
                .collect::<String>();
            format!(
                "{FOREVER} proxy_max_temp_file_size 0;
                 upstream app {{ server {backend}; keepalive {KEEPALIVE}; {FOREVER} }}
                 server {{ listen {address} {ssl} backlog=4096; {certificate} {locations} }}"
            )
        }
        Tuning::Default => format!(
            "upstream app {{ server {backend}; keepalive 32; }}
             server {{ listen {address} {ssl} backlog=4096; {certificate} location / {{ {FORWARD} }} }}"
        ),
    };
    let name = match tuning {
        Tuning::Tuned => "nginx",
        Tuning::Default => "nginx-default",
    };
    start(field.cores, place, field.directory, name, address, workers, &http)
}

/// Without these two, nginx keeps no upstream connection at all.
const FORWARD: &str = "proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection '';";

fn tuned_location(body: Body) -> String {
    // The first buffer is read into alone, and has to hold the head; a short body fits there too.
    let first = if body.bytes < 1024 { "4k" } else { "16k" };
    let buffers = match body.bytes.div_ceil(64 << 10) {
        0..=1 => "8 16k".to_owned(),
        n => format!("{} 64k", n + 2),
    };
    format!(
        "location = {} {{ {FORWARD} proxy_buffer_size {first}; proxy_buffers {buffers}; }}\n",
        body.path()
    )
}

fn start(
    cores: &Cores,
    place: Place,
    directory: &Directory,
    name: &str,
    address: SocketAddr,
    workers: usize,
    http: &str,
) -> Result<Daemon> {
    let path = directory.path().display();
    let user = if nix::unistd::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let connections = daemon::file_limit() - 64;
    let config = format!(
        "{user}
         daemon off;
         worker_processes {workers};
         pid {path}/{name}.pid;
         error_log stderr error;
         events {{ worker_connections {connections}; }}
         http {{
             access_log off;
             client_body_temp_path {path}/{name}-body;
             proxy_temp_path {path}/{name}-proxy;
             fastcgi_temp_path {path}/{name}-fastcgi;
             uwsgi_temp_path {path}/{name}-uwsgi;
             scgi_temp_path {path}/{name}-scgi;
             {http}
         }}
        "
    );
    let file = directory.write(&format!("{name}.conf"), config)?;
    let mut command = daemon::command("nginx");
    command
        .args(["-e", "stderr", "-p"])
        .arg(directory.path())
        .arg("-c")
        .arg(file);
    Daemon::start(cores, place, command, address, workers)
}
