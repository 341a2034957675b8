//! The Linux kernel as a [`Network`].

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::network::{AddressError, Input, LinkId, LinkState, MacAddr, Network, Placement};
use crate::plan::LinkPlan;

/// The Linux kernel as the driver sees it, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct LinuxNetwork {}

impl LinuxNetwork {
    /// Opens the sockets of these links. Must be called inside a tokio runtime with IO, and used on the same thread.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(_links: &[LinkPlan]) -> Result<Self, OpenError> {
        Ok(Self {})
    }
}
impl Network for LinuxNetwork {
    fn now(&self) -> Duration {
        Duration::ZERO
    }
    async fn wait(&mut self, _until: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
    fn poll_input(&mut self) -> Option<Input<'_>> {
        None
    }
    fn link(&self, _link: LinkId) -> LinkState {
        LinkState::default()
    }
    fn prepare(&mut self, _placements: &[&Placement]) -> Result<(), AddressError> {
        Ok(())
    }
    fn send_advert(
        &mut self,
        _link: LinkId,
        _source: IpAddr,
        _destination: IpAddr,
        _message: &[u8],
    ) -> io::Result<()> {
        Ok(())
    }
    fn acquire(&mut self, _placements: &[Placement]) -> Result<(), AddressError> {
        Ok(())
    }
    fn renew(&mut self, _placements: &[&Placement]) -> Vec<(usize, AddressError)> {
        Vec::new()
    }
    fn release(&mut self, _placements: &[Placement]) -> Result<(), AddressError> {
        Ok(())
    }
    fn announce(&mut self, _placements: &[Placement], _repeat: u8) -> io::Result<()> {
        Ok(())
    }
    fn probe(&mut self, _link: LinkId, _address: IpAddr) -> io::Result<()> {
        Ok(())
    }
    fn mac(&self, _link: LinkId) -> Option<MacAddr> {
        None
    }
}

/// Why the sockets can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// An interface is not there.
    #[error("interface {name} does not exist: create it, or correct the name (see ip link)")]
    NoInterface {
        /// Its name.
        name: String,
    },
    /// A capability is missing.
    #[error(
        "missing {capability} for {what}: run as root, or give the program cap_net_admin,cap_net_raw (setcap, or \
         AmbientCapabilities= of systemd)"
    )]
    Capability {
        /// The capability.
        capability: &'static str,
        /// What needs it.
        what: &'static str,
    },
    /// The kernel refused.
    #[error("{what}{}: {error}", on.as_ref().map_or_else(String::new, |name| format!(" on {name}")))]
    Refused {
        /// What it refused.
        what: &'static str,
        /// The interface, where one is meant.
        on: Option<String>,
        /// What it said.
        #[source]
        error: io::Error,
    },
}
