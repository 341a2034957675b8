//! The versions and intervals that are tried, and their times as the RFCs give them.

use std::fmt;
use std::time::Duration;

use vrrp_core::{AdverInterval, Version};

/// What both sides are configured to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) version: Version,
    pub(crate) interval_cs: u16,
}

/// VRRPv2 with a simple password, once a second: its shortest interval.
pub(crate) const V2: Protocol = Protocol {
    version: Version::V2,
    interval_cs: 100,
};

/// VRRPv3, fast enough for many tests, slow enough that a busy machine does not miss three adverts.
pub(crate) const V3: Protocol = v3(20);

/// VRRPv3 with an interval in centiseconds.
pub(crate) const fn v3(interval_cs: u16) -> Protocol {
    Protocol {
        version: Version::V3,
        interval_cs,
    }
}

/// How much earlier than allowed a takeover may look: the clocks' grain.
const GRAIN: Duration = Duration::from_millis(2);

impl Protocol {
    pub(crate) fn interval(self) -> Duration {
        Duration::from_millis(10) * u32::from(self.interval_cs)
    }

    pub(crate) fn adver_interval(self) -> AdverInterval {
        AdverInterval::from_centis(self.interval_cs).expect("the tests' intervals can be sent")
    }

    /// RFC 3768 §6.1, RFC 9568 §6.1. Computed here anew: the machine's own is under test.
    pub(crate) fn skew_time(self, priority: u8) -> Duration {
        let whole = match self.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.interval(),
        };
        whole * (256 - u32::from(priority)) / 256
    }

    /// What a client may miss when the one who serves goes on until keepalived has taken over: between keepalived's first
    /// advert and its gratuitous ARP lie two or three processes' turns. Half the skew time, since going silent right
    /// after priority 0 would cost the skew time.
    pub(crate) fn no_gap(self, priority: u8) -> Duration {
        self.skew_time(priority) / 2
    }

    pub(crate) fn master_down_interval(self, priority: u8) -> Duration {
        self.interval() * 3 + self.skew_time(priority)
    }

    /// Fails unless a takeover so long after priority 0 was caused by it: after the skew time, and sooner than halfway
    /// to where Master_Down_Timer would have caused it.
    #[track_caller]
    pub(crate) fn assert_after_skew(self, priority: u8, took: Duration) {
        let skew = self.skew_time(priority);
        let halfway = skew + self.interval() * 3 / 2;
        assert!(
            took + GRAIN >= skew && took < halfway,
            "{self}: took over {took:?} after priority 0, not within {skew:?} to {halfway:?}"
        );
    }

    /// Fails unless a takeover so long after the last advert was caused by Master_Down_Timer.
    #[track_caller]
    pub(crate) fn assert_after_master_down(self, priority: u8, took: Duration) {
        let down = self.master_down_interval(priority);
        let late = down + self.interval() * 3 / 2;
        assert!(
            took + GRAIN >= down && took < late,
            "{self}: took over {took:?} after the last advert, not within {down:?} to {late:?}"
        );
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{} at {} ms", self.version.get(), self.interval().as_millis())
    }
}
