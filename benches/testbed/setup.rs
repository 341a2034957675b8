//! How a node is configured, whatever program it is.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vrrp_net::lab::Host;

use super::lan::{Side, virtual_addresses};
use super::{Result, Variant, pause, wait_until};

/// A node's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// What it speaks.
    pub variant: Variant,
    /// Where it runs.
    pub side: Side,
    /// Its priority, for all its virtual routers.
    pub priority: u8,
    /// How many virtual routers it has.
    pub routers: u8,
    /// The interval of a check that looks whether [`set_alive`] has said so, and lowers the priority by 20 if not.
    pub check: Option<Duration>,
    /// The name of a process whose death lowers the priority by 20.
    pub process: Option<String>,
    /// Whether VRRP runs with real-time priority.
    pub realtime: bool,
    /// Nice value of the VRRP thread; `None` is what the library does by itself.
    pub nice: Option<i8>,
    /// A proxy on port 80 of every address, with this backend.
    pub proxy: Option<SocketAddr>,
}

/// Real-time priority of those that have one.
pub const REALTIME: u8 = 50;

/// The check's command line: the same script for all. It is on the host's own `/run`, as its files are.
pub const CHECK: &str = "/bin/sh /run/check";
const SCRIPT: &str = "/run/check";
const ALIVE: &str = "/run/alive";
const CHECKED: &str = "/run/checked";
/// By how much a failure lowers the priority.
pub const WEIGHT: i16 = -20;

impl Setup {
    /// One virtual router and no checks.
    #[must_use]
    pub fn new(variant: Variant, side: Side, priority: u8) -> Self {
        Self {
            variant,
            side,
            priority,
            routers: 1,
            check: None,
            process: None,
            realtime: false,
            nice: None,
            proxy: None,
        }
    }

    /// The same with several virtual routers.
    #[must_use]
    pub fn routers(mut self, routers: u8) -> Self {
        self.routers = routers;
        self
    }

    /// The same with the check.
    #[must_use]
    pub fn check(mut self, interval: Duration) -> Self {
        self.check = Some(interval);
        self
    }

    /// The same with a process that is watched.
    #[must_use]
    pub fn process(mut self, name: &str) -> Self {
        self.process = Some(name.to_owned());
        self
    }

    /// The same with or without real-time priority.
    #[must_use]
    pub fn realtime(mut self, realtime: bool) -> Self {
        self.realtime = realtime;
        self
    }

    /// The same with a nice value of the VRRP thread.
    #[must_use]
    pub fn nice(mut self, nice: Option<i8>) -> Self {
        self.nice = nice;
        self
    }

    /// The same with a proxy before a backend.
    #[must_use]
    pub fn proxy(mut self, backend: SocketAddr) -> Self {
        self.proxy = Some(backend);
        self
    }

    /// Virtual router ids: 1 and up.
    pub fn vrids(&self) -> impl Iterator<Item = u8> + use<> {
        1..=self.routers
    }

    /// The addresses of one of them.
    #[must_use]
    pub fn addresses(&self, vrid: u8) -> Vec<IpAddr> {
        virtual_addresses(vrid, self.variant.ipv6)
    }

    /// The address that clients ask for, of the first.
    #[must_use]
    pub fn service(&self) -> IpAddr {
        super::lan::virtual_address(1, self.variant.ipv6)
    }

    /// The node's own address.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.side.address(self.variant.ipv6)
    }

    /// The other node's address.
    #[must_use]
    pub fn peer(&self) -> IpAddr {
        self.side.other().address(self.variant.ipv6)
    }
}

/// Puts the check on a host, to succeed at first.
///
/// # Errors
/// What the file system says.
pub fn install_check(host: &Host) -> Result<()> {
    host.run(|| fs::write(SCRIPT, format!("echo > {CHECKED}\ntest -e {ALIVE}\n")))?;
    set_alive(host, true)
}

/// Makes the check succeed or fail from its next run on.
///
/// # Errors
/// What the file system says.
pub fn set_alive(host: &Host, alive: bool) -> Result<()> {
    host.run(|| match (alive, fs::exists(ALIVE)?) {
        (true, _) => fs::write(ALIVE, ""),
        (false, true) => fs::remove_file(ALIVE),
        (false, false) => Ok(()),
    })?;
    Ok(())
}

/// Waits until the check runs once more: whatever changes then is noticed as late as can be.
///
/// # Errors
/// If it does not run within a few seconds.
pub fn expect_checked(host: &Host) -> Result<()> {
    host.run(|| match fs::remove_file(CHECKED) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })?;
    if !wait_until(Duration::from_secs(5), || Ok(host.run(|| fs::exists(CHECKED))?))? {
        return Err("the check does not run".into());
    }
    // What it found is told when it has ended.
    pause(Duration::from_millis(20));
    Ok(())
}
