//! Our node beside keepalived and FRR on a LAN of network namespaces, and a client that asks for the virtual address.
//!
//! The programs `interop`, `failover` and `scale` are made of it. Each first calls [`node::main_if_asked`], since our
//! node is the same program started again on a host, and then [`enter`].

use std::error;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

pub mod busy;
pub mod client;
pub mod event;
pub mod frr;
pub mod histogram;
pub mod keepalived;
pub mod lan;
pub mod node;
pub mod process;
pub mod setup;
pub mod spread;
pub mod table;
pub mod variant;

pub use busy::Busy;
pub use client::Client;
pub use frr::Frr;
pub use histogram::Histogram;
pub use keepalived::Keepalived;
pub use lan::{Lan, Side};
pub use node::Node;
pub use setup::Setup;
pub use spread::Spread;
pub use table::Table;
pub use variant::{Authentication, Variant};

/// What goes wrong here is told to a person, and ends a cell or the program.
pub type Error = Box<dyn error::Error + Send + Sync>;
/// The result of anything that is done here.
pub type Result<T> = std::result::Result<T, Error>;

/// What a virtual router is, as far as peers agree on states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It has the addresses.
    Master,
    /// It has not, and waits.
    Backup,
    /// It can't have them, or doesn't run.
    Other,
}

/// The `main` of a bench on the LAN: a node where it was started as one; else `run`, which says whether all is well, in
/// namespaces of its own, with what `parse` makes of the arguments. `missing` tells what this machine lacks.
pub fn main<O>(
    name: &str,
    usage: &str,
    parse: impl FnOnce(&[String]) -> Option<O>,
    missing: impl FnOnce(&O) -> Option<&'static str>,
    run: impl FnOnce(&O) -> Result<bool>,
) -> ExitCode {
    if let Some(code) = node::main_if_asked() {
        return code;
    }
    // `cargo bench` adds --bench.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let Some(options) = parse(&arguments) else {
        eprintln!("{usage}");
        return ExitCode::from(2);
    };
    if let Err(code) = enter() {
        return code;
    }
    if let Some(reason) = missing(&options) {
        return skipped(reason);
    }
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Moves this process into namespaces. Call it before any thread exists.
///
/// # Errors
/// The exit code to end with where that is denied: success, with the reason on standard error, unless
/// `VRRP_LAB_REQUIRED` is set.
pub fn enter() -> std::result::Result<(), ExitCode> {
    vrrp_net::lab::enter().map_err(|error| skipped(&format!("no lab: {error}")))
}

/// Says that something can't be done here, and gives the exit code for it: failure where `VRRP_LAB_REQUIRED` is set.
pub fn skipped(reason: &str) -> ExitCode {
    eprintln!("skipped: {reason}");
    if is_required() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Whether what can't be done here counts as failed (`VRRP_LAB_REQUIRED`, as in the tests).
pub fn is_required() -> bool {
    std::env::var_os("VRRP_LAB_REQUIRED").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "a bench's own thread, no driver's")]
pub fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// Asks each two milliseconds until something is so; tells whether it was so in time.
///
/// # Errors
/// What the question answers.
pub fn wait_until(timeout: std::time::Duration, mut is_so: impl FnMut() -> Result<bool>) -> Result<bool> {
    let deadline = std::time::Instant::now() + timeout;
    loop {
        if is_so()? {
            return Ok(true);
        }
        if std::time::Instant::now() >= deadline {
            return Ok(false);
        }
        pause(std::time::Duration::from_millis(2));
    }
}
