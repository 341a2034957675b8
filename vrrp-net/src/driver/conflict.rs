//! Who else answers for an address that we have taken over?
//!
//! A while after a takeover has been announced, each address is asked for, and the last master's own address with
//! them: whoever claims a virtual address with the last master's hardware address is that master, which may still be
//! giving up. Any other is a stranger.

use std::net::IpAddr;
use std::time::Duration;

use crate::network::MacAddr;

/// Time from announcing to asking: the takeover comes first.
const DELAY: Duration = Duration::from_millis(100);
/// The kernel drops an address up to 0.3 s after its lease.
const LEASE_SLACK: Duration = Duration::from_millis(500);
/// Time in which answers count.
const WINDOW: Duration = Duration::from_millis(500);
/// Most claims that are kept: a flood of them tells no more than a few do.
const MAX_CLAIMS: usize = 64;

/// One takeover's question.
#[derive(Debug, Default)]
pub(super) enum Probe {
    /// None, or answered.
    #[default]
    Idle,
    /// To be asked.
    Due { at: Duration },
    /// Asked.
    Listening {
        until: Duration,
        claims: Vec<(IpAddr, MacAddr)>,
    },
}

impl Probe {
    pub(super) fn start(&mut self, now: Duration) {
        *self = Self::Due { at: now + DELAY };
    }

    /// For addresses where the last master's own is not known: when its leases have run out, whoever has them is a
    /// stranger.
    pub(super) fn start_after(&mut self, now: Duration, lease: Option<Duration>) {
        let at = now + DELAY + lease.map_or(Duration::ZERO, |lease| lease + LEASE_SLACK);
        *self = Self::Due { at };
    }

    pub(super) fn cancel(&mut self) {
        *self = Self::Idle;
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Idle => None,
            Self::Due { at } => Some(*at),
            Self::Listening { until, .. } => Some(*until),
        }
    }

    /// Whether to ask at this moment; if so, answers count from here on.
    pub(super) fn ask(&mut self, now: Duration) -> bool {
        let due = matches!(self, Self::Due { at } if *at <= now);
        if due {
            *self = Self::Listening {
                until: now + WINDOW,
                claims: Vec::new(),
            };
        }
        due
    }

    pub(super) fn handle_claim(&mut self, address: IpAddr, mac: MacAddr) {
        if let Self::Listening { claims, .. } = self {
            if claims.len() < MAX_CLAIMS && !claims.contains(&(address, mac)) {
                claims.push((address, mac));
            }
        }
    }

    /// The strangers, when the window is over: claims by others than `ours` and whoever answered for `last_master`.
    pub(super) fn conclude(
        &mut self,
        now: Duration,
        ours: Option<MacAddr>,
        last_master: Option<IpAddr>,
    ) -> Vec<(IpAddr, MacAddr)> {
        match self {
            Self::Listening { until, claims } if *until <= now => {
                let claims = std::mem::take(claims);
                *self = Self::Idle;
                let known = |mac| {
                    let masters = |claim: &(IpAddr, MacAddr)| Some(claim.0) == last_master && claim.1 == mac;
                    Some(mac) == ours || claims.iter().any(masters)
                };
                let stranger = |claim: &&(IpAddr, MacAddr)| Some(claim.0) != last_master && !known(claim.1);
                claims.iter().filter(stranger).copied().collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const MASTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
    const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 3]);

    #[test]
    fn a_stranger_is_told_from_us_and_the_last_master() {
        let (vip, master) = (ip("192.0.2.100"), ip("192.0.2.11"));
        let mut probe = asked();
        for (address, mac) in [
            (vip, OURS),
            (vip, MASTER),
            (master, MASTER),
            (vip, STRANGER),
            (vip, STRANGER),
        ] {
            probe.handle_claim(address, mac);
        }
        assert!(probe.conclude(ms(599), Some(OURS), Some(master)).is_empty());
        assert_eq!(
            probe.conclude(ms(600), Some(OURS), Some(master)),
            [(vip, STRANGER)]
        );
        assert_eq!(probe.deadline(), None);
    }

    #[test]
    fn where_the_last_master_is_not_known_the_question_waits_for_its_leases() {
        let mut probe = Probe::default();
        probe.start_after(ms(0), Some(ms(3000)));
        assert_eq!(probe.deadline(), Some(ms(3600)));
        probe.start_after(ms(0), None);
        assert_eq!(probe.deadline(), Some(ms(100)));
    }

    #[test]
    fn a_master_that_does_not_say_its_own_address_is_a_stranger() {
        let vip = ip("192.0.2.100");
        let mut probe = asked();
        probe.handle_claim(vip, MASTER);
        assert_eq!(
            probe.conclude(ms(600), Some(OURS), Some(ip("192.0.2.11"))),
            [(vip, MASTER)]
        );
    }

    #[test]
    fn claims_before_the_question_and_after_the_answer_do_not_count() {
        let mut probe = Probe::default();
        probe.handle_claim(ip("192.0.2.100"), STRANGER);
        probe.start(ms(0));
        probe.handle_claim(ip("192.0.2.100"), STRANGER);
        assert!(!probe.ask(ms(99)));
        assert!(probe.ask(ms(100)));
        assert!(probe.conclude(ms(600), Some(OURS), None).is_empty());
        probe.handle_claim(ip("192.0.2.100"), STRANGER);
        assert!(probe.conclude(ms(1200), Some(OURS), None).is_empty());
    }

    #[test]
    fn a_flood_of_claims_is_bounded() {
        let mut probe = asked();
        for n in 0..=u8::MAX {
            probe.handle_claim(ip("192.0.2.100"), MacAddr([2, 0, 0, 0, 1, n]));
        }
        assert_eq!(probe.conclude(ms(600), Some(OURS), None).len(), MAX_CLAIMS);
    }

    fn asked() -> Probe {
        let mut probe = Probe::default();
        probe.start(ms(0));
        assert!(probe.ask(ms(100)));
        probe
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }
}
