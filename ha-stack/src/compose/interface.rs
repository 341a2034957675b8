//! A probe of a network interface, for `track_interface`.

use std::time::Duration;

use ha_health::probe::{Probe, ProbeFuture};
use ha_health::{Failure, Outcome};
use nix::net::if_::InterfaceFlags;

/// Succeeds while an interface exists, is up and has carrier.
///
/// A virtual router's own interface needs none: its link is watched by the driver, without delay.
///
/// ```
/// use ha_stack::Interface;
///
/// let probe = Interface::new("eth1");
/// assert_eq!(probe.name(), "eth1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    name: String,
}

impl Interface {
    /// Makes a probe of the interface of that name, in the network namespace where the stack is started.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn look(&self) -> Outcome {
        let Ok(mut interfaces) = nix::ifaddrs::getifaddrs() else {
            return Failure::Other("cannot list the interfaces").into();
        };
        match interfaces.find(|one| one.interface_name == self.name) {
            None => Failure::Other("no such interface").into(),
            Some(one) if !one.flags.contains(InterfaceFlags::IFF_UP) => {
                Failure::Other("interface is down").into()
            }
            Some(one) if !one.flags.contains(InterfaceFlags::IFF_RUNNING) => {
                Failure::Other("no carrier").into()
            }
            Some(_) => Outcome::success(),
        }
    }
}

impl Probe for Interface {
    fn probe(&self, _timeout: Duration) -> ProbeFuture<'_> {
        // A system call that doesn't wait: some 50 µs.
        Box::pin(async move { self.look() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_up_and_what_does_not_exist_is_not() {
        assert!(Interface::new("lo").look().is_success());
        let missing = Interface::new("no-such-if").look();
        assert_eq!(missing.to_string(), "no such interface");
    }
}
