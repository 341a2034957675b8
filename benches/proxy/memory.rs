//! What a connection costs in memory: clients that hold it open and say nothing, or have had one answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ha_benches::testbed::{Result, Table, pause};

use crate::body::BODIES;
use crate::contender::{Contender, Field};
use crate::cores::Place;
use crate::daemon::Daemon;
use crate::goal::{Goal, Goals};
use crate::load::{Load, Pace};
use crate::{Options, section};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the proxy may take to accept and to free.
const REST: Duration = Duration::from_millis(500);
/// Most that an idle connection may cost.
const LIMIT_KIB: f64 = 12.0;
/// Connections at once under load.
const BUSY: usize = 1000;
const BODY: crate::body::Body = BODIES[1];

/// Proportional memory in KiB.
struct Row {
    contender: Contender,
    start: u64,
    /// With clients that have said nothing.
    silent: u64,
    /// With the same after an answer each.
    idle: u64,
    /// Under full load, of [`BUSY`] connections and a new process.
    busy: u64,
}

pub(crate) fn run(field: &Field<'_>, options: &Options) -> Result<Goals> {
    let clients = options.clients;
    section(&format!(
        "Memory, {clients} idle clients, and {BUSY} under full load"
    ));
    let mut table = Table::new([
        "".to_owned(),
        "start MiB".to_owned(),
        format!("{clients} silent MiB"),
        "KiB each".to_owned(),
        format!("{clients} after an answer MiB"),
        "KiB each".to_owned(),
        format!("{BUSY} busy MiB"),
    ]);
    let mut goals = Goals::default();
    for contender in Contender::RIVALS {
        let row = measure(contender, field, clients)?;
        let each = |now: u64| now.saturating_sub(row.start) as f64 / clients as f64;
        table.row([
            row.contender.to_string(),
            mib(row.start),
            mib(row.silent),
            format!("{:.2}", each(row.silent)),
            mib(row.idle),
            format!("{:.2}", each(row.idle)),
            mib(row.busy),
        ]);
        if contender == Contender::Ours {
            let name = "memory of an idle connection".to_owned();
            goals.add(Goal::new(name, "12 KiB", each(row.idle) / LIMIT_KIB, 1.0));
        }
    }
    println!("{table}");
    Ok(goals)
}

fn measure(contender: Contender, field: &Field<'_>, clients: usize) -> Result<Row> {
    let daemon = contender.start(field, Place::Proxy, 1)?;
    // What the first request sets up is not a connection's.
    ask(&mut connect(daemon.address())?)?;
    pause(REST);
    let start = daemon.memory_kib()?;
    let mut streams = Vec::with_capacity(clients);
    for _ in 0..clients {
        streams.push(connect(daemon.address())?);
    }
    pause(REST);
    let silent = daemon.memory_kib()?;
    for stream in &mut streams {
        ask(stream)?;
    }
    pause(REST);
    let idle = daemon.memory_kib()?;
    drop(streams);
    drop(daemon);
    let daemon = contender.start(field, Place::Proxy, 1)?;
    Ok(Row {
        contender,
        start,
        silent,
        idle,
        busy: busy(&daemon)?,
    })
}

fn busy(daemon: &Daemon) -> Result<u64> {
    let load = Load {
        target: daemon.address(),
        path: BODY.path(),
        connections: BUSY,
        pace: Pace::Closed,
        tls: None,
        keep_alive: true,
        warm_up: REST,
        window: REST,
    };
    let [_, after] = load.run(|| daemon.memory_kib())?.meter;
    Ok(after)
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One request, with its whole answer.
fn ask(stream: &mut TcpStream) -> Result<()> {
    let request = format!("GET {} HTTP/1.1\r\nHost: bench.example\r\n\r\n", BODY.path());
    stream.write_all(request.as_bytes())?;
    let content = BODY.content();
    let mut answer = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while !answer.ends_with(&content) {
        let got = stream.read(&mut buffer)?;
        if got == 0 {
            return Err("an answer is cut short".into());
        }
        answer.extend_from_slice(&buffer[..got]);
    }
    Ok(())
}

fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}
