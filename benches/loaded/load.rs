//! The load: `wrk`, or where it is missing a thread a connection that does the same.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use ha_benches::testbed::lan::Lan;
use ha_benches::testbed::{self, Result};

const CONNECTIONS: usize = 256;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Loads the virtual address from the client's host, and tells requests a second and by what.
///
/// # Errors
/// If the proxy answers with an error, or not at all: that is no load.
pub(crate) fn run(lan: &Lan, seconds: u64) -> Result<(f64, &'static str)> {
    if Command::new("wrk").arg("--version").output().is_ok() {
        return Ok((wrk(lan, seconds)?, "wrk"));
    }
    Ok((threads(lan, seconds)?, "threads, since wrk is not installed"))
}

fn wrk(lan: &Lan, seconds: u64) -> Result<f64> {
    let mut command = Command::new("wrk");
    command.args([
        &format!("-c{CONNECTIONS}"),
        "-t2",
        &format!("-d{seconds}s"),
        &format!("http://{}/", testbed::lan::virtual_address(1, false)),
    ]);
    let output = lan.client().output(command)?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") {
        return Err(format!("the proxy answers with errors:\n{text}").into());
    }
    text.lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok())
        .filter(|rate| *rate > 0.0)
        .ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            format!("wrk tells no rate:\n{text}{errors}").into()
        })
}

fn threads(lan: &Lan, seconds: u64) -> Result<f64> {
    let address = SocketAddr::new(testbed::lan::virtual_address(1, false), 80);
    let until = Instant::now() + Duration::from_secs(seconds);
    let clients = (0..CONNECTIONS)
        .map(|_| lan.client().spawn_thread(move || ask(address, until)))
        .collect::<std::io::Result<Vec<_>>>()?;
    let mut answers = 0;
    for client in clients {
        answers += client.join().map_err(|_| "a client panicked")??;
    }
    Ok(answers as f64 / seconds as f64)
}

/// Asks again and again on one connection; gives the number of answers.
fn ask(address: SocketAddr, until: Instant) -> Result<u64> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answers = 0;
    let mut answer = Vec::new();
    let mut buffer = [0; 2048];
    while Instant::now() < until {
        stream.write_all(REQUEST)?;
        answer.clear();
        while !answer.ends_with(super::backend::BODY) {
            let read = stream.read(&mut buffer)?;
            answer.extend_from_slice(&buffer[..read]);
            if read == 0 || !answer.starts_with(b"HTTP/1.1 200 ") {
                let answer = String::from_utf8_lossy(&answer);
                return Err(format!("the proxy answers with errors:\n{answer}").into());
            }
        }
        answers += 1;
    }
    Ok(answers)
}
