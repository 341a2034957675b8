//! Skew_Time and Master_Down_Interval, exact to the nanosecond.

use core::time::Duration;

use crate::{AdverInterval, Config, Priority, Version};

/// The time of which skew times are shares: in VRRPv2 a second, in VRRPv3 the master's interval.
pub(crate) fn skew_unit(version: Version, master: AdverInterval) -> Duration {
    match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => master.duration(),
    }
}

/// Time that a backup of `priority` leaves to those above it.
///
/// VRRPv2: (256 − priority) / 256 s, whatever the interval (RFC 3768 §6.1). VRRPv3: (256 − priority) ×
/// Master_Adver_Interval / 256 (RFC 9568 §6.1). Never rounded to whole units: at an interval of 10 ms that would be
/// zero, and all backups would take over at once.
pub(crate) fn skew_time(version: Version, priority: Priority, master: AdverInterval) -> Duration {
    let share = 256 - u64::from(priority.get());
    Duration::from_nanos(match version {
        // 10^9 / 256 is a whole number.
        Version::V2 => share * (1_000_000_000 / 256),
        // 10^7 / 256 is not, but 2 × 10^7 / 512 = 78,125 / 2 is exact to half a nanosecond.
        Version::V3 => share * u64::from(master.centis()) * 78_125 / 2,
    })
}

/// Time without an advert after which a backup takes over (RFC 9568 §6.1; the factor is 3 unless configured).
pub(crate) fn master_down_interval(config: &Config, priority: Priority, master: AdverInterval) -> Duration {
    master.duration() * u32::from(config.down_timer_adverts()) + skew_time(config.version(), priority, master)
}
