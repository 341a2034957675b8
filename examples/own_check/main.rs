//! A check of one's own: replicas of a database tell how far they lag behind, and one that lags too far gets no requests.
//!
//! `cargo run --release --example own_check` starts two replicas on loopback, lets one of them fall behind and catch up, and
//! prints what becomes of it. It needs no privilege, and ends by itself.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ha_health::probe::{Probe, ProbeFuture};
use ha_health::{Failure, Outcome};
use ha_stack::{Event, Stack, UpstreamCheck};
use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Asks a replica for its lag in seconds: it sends that in decimal to whoever connects, and closes.
struct Lag {
    replica: SocketAddr,
    most: u32,
}

impl Lag {
    async fn ask(&self) -> io::Result<String> {
        let stream = TcpStream::connect(self.replica).await?;
        let mut answer = String::new();
        // Bounded, whoever answers there.
        stream.take(16).read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

impl Probe for Lag {
    fn probe(&self, limit: Duration) -> ProbeFuture<'_> {
        Box::pin(async move {
            let answer = match timeout(limit, self.ask()).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => return Outcome::failed(Failure::Closed).with_message(error.to_string()),
                Err(_) => return Failure::TimedOut { after: limit }.into(),
            };
            match answer.trim().parse::<u32>() {
                Ok(lag) if lag <= self.most => Outcome::success().with_message(format!("{lag} s behind")),
                Ok(lag) => {
                    Outcome::failed(Failure::Other("replica lags")).with_message(format!("{lag} s behind"))
                }
                Err(_) => Failure::Other("answer is no number of seconds").into(),
            }
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lags = [(); 2].map(|()| Arc::new(AtomicU32::new(0)));
    let mut backends = Vec::new();
    for (name, lag) in ["replica-1", "replica-2"].into_iter().zip(&lags) {
        backends.push(BackendConfig::new(name, replica(Arc::clone(lag)).await?).mandatory(true));
    }
    let upstream = Upstream::new(UpstreamConfig::builder("db").backends(backends).build()?);

    // Each replica gets a probe, and a check of its own.
    let times = UpstreamCheck::times("db")
        .interval(Duration::from_millis(200))
        .fast_interval(Duration::from_millis(50));
    let check = UpstreamCheck::new(times.build()?, |_id, replica| Lag { replica, most: 5 });
    let mut stack = Stack::builder("example")
        .upstream(upstream)
        .check_backends("db", check)
        .build()?
        .spawn()?;

    let mut events = stack.events();
    let mut known = 0;
    while let Some(event) = events.next().await {
        println!("{event}");
        match event {
            // Both have passed for the first time: now one falls behind.
            Event::Backend { .. } if known < 2 => {
                known += 1;
                if known == 2 {
                    lags[1].store(60, Ordering::Relaxed);
                }
            }
            Event::BackendCheck { up: false, .. } => lags[1].store(1, Ordering::Relaxed),
            Event::BackendCheck { up: true, .. } => break,
            _ => {}
        }
    }
    for check in stack.status().await?.backend_checks {
        let last = check.last.map_or_else(String::new, |last| last.to_string());
        println!("{}: {:?}: {last}", check.backend, check.up);
    }
    stack.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

/// Something that tells its lag to whoever connects.
async fn replica(lag: Arc<AtomicU32>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let lag = lag.load(Ordering::Relaxed);
            // Who asked may have gone.
            let _ = stream.write_all(format!("{lag}\n").as_bytes()).await;
        }
    });
    Ok(address)
}
