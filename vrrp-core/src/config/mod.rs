//! What a virtual router is configured to be. A [`Config`] that exists is valid.

mod builder;
mod error;
mod size;

pub use builder::{ConfigBuilder, MAX_DOWN_TIMER_ADVERTS, MAX_PREEMPT_DELAY, MAX_STARTUP_DELAY};
pub use error::ConfigError;

use alloc::boxed::Box;
use core::time::Duration;

use crate::damping::Damping;
use crate::{
    AddressList, AdverInterval, AuthenticationConfig, ChecksumForm, Family, Priority, UnicastPeer, Version,
    Vrid,
};

/// Adverts that may go missing unless configured (RFC 9568 §6.1: 3 × Active_Adver_Interval + Skew_Time).
const DEFAULT_DOWN_TIMER_ADVERTS: u8 = 3;

/// What a master does when its effective priority drops while it serves: a check failed, or an operator asked.
///
/// Only drops trigger it, at most once an advertisement interval; an owner never does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Demotion {
    /// Calls an election without a gap: priority 0 and, at once, an advert with the new priority. Backups above it
    /// take over after their skew time, all others stay; the master serves until a higher advert arrives.
    #[default]
    Elect,
    /// Hands over to anyone: priority 0 alone, then silence for the longest skew time and one interval, serving all
    /// the while and yielding to any advert. If none comes it goes on. One that has yielded does not preempt until its
    /// priority rises again.
    Yield,
    /// As keepalived does: the next advert carries the new priority, and a higher backup waits for its master-down
    /// timer.
    Plain,
}

/// What to do with an advert whose addresses are not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressMismatch {
    /// Count it and go on, as RFC 9568 §7.1 and keepalived since 2.3.3. VRRPv3's default.
    Accept,
    /// Count it and drop it unless it comes from the owner, as RFC 3768 §7.1. VRRPv2's default.
    Discard,
}

/// Configuration of one virtual router: one VRID of one family on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    pub(crate) vrid: Vrid,
    pub(crate) version: Version,
    pub(crate) addresses: AddressList,
    pub(crate) priority: Priority,
    pub(crate) adver_interval: AdverInterval,
    pub(crate) preempt: bool,
    pub(crate) preempt_delay: Duration,
    pub(crate) authentication: AuthenticationConfig,
    pub(crate) checksum: ChecksumForm,
    pub(crate) address_mismatch: AddressMismatch,
    pub(crate) peers: Box<[UnicastPeer]>,
    pub(crate) check_unicast_src: bool,
    pub(crate) demotion: Demotion,
    pub(crate) announce_delay: Duration,
    pub(crate) announce_refresh: Duration,
    pub(crate) lower_prio_announce_delay: Option<Duration>,
    pub(crate) reassert: bool,
    pub(crate) higher_prio_send_advert: bool,
    pub(crate) owner_ignore_adverts: bool,
    pub(crate) down_timer_adverts: u8,
    pub(crate) damping: Option<Damping>,
    pub(crate) startup_delay: Duration,
}

impl Config {
    /// Starts from the defaults: VRRPv2 for IPv4 (keepalived's default) and VRRPv3 for IPv6, priority 100, one
    /// second, preemption without delay, multicast, no authentication.
    pub fn builder(vrid: Vrid, addresses: AddressList) -> ConfigBuilder {
        let version = match addresses.family() {
            Family::Ipv4 => Version::V2,
            Family::Ipv6 => Version::V3,
        };
        ConfigBuilder::new(Self {
            vrid,
            version,
            addresses,
            priority: Priority::DEFAULT,
            adver_interval: AdverInterval::DEFAULT,
            preempt: true,
            preempt_delay: Duration::ZERO,
            authentication: AuthenticationConfig::None,
            checksum: ChecksumForm::PseudoHeader,
            address_mismatch: AddressMismatch::Accept,
            peers: Box::default(),
            check_unicast_src: true,
            demotion: Demotion::default(),
            announce_delay: Duration::from_secs(5),
            announce_refresh: Duration::ZERO,
            lower_prio_announce_delay: None,
            reassert: true,
            higher_prio_send_advert: true,
            owner_ignore_adverts: false,
            down_timer_adverts: DEFAULT_DOWN_TIMER_ADVERTS,
            damping: None,
            startup_delay: Duration::ZERO,
        })
    }

    /// Virtual router id.
    pub fn vrid(&self) -> Vrid {
        self.vrid
    }

    /// Protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Address family.
    pub fn family(&self) -> Family {
        self.addresses.family()
    }

    /// Addresses that it advertises and backs up.
    pub fn addresses(&self) -> &AddressList {
        &self.addresses
    }

    /// Priority before any check changes it.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Its own interval between adverts, `Advertisement_Interval` in the RFC.
    pub fn adver_interval(&self) -> AdverInterval {
        self.adver_interval
    }

    /// Whether a backup takes over from a master of lower priority, `Preempt_Mode` in the RFC.
    pub fn preempt(&self) -> bool {
        self.preempt
    }

    /// How long a backup waits before it preempts a lower master.
    pub fn preempt_delay(&self) -> Duration {
        self.preempt_delay
    }

    /// Whether this router owns the addresses: priority 255.
    pub fn is_owner(&self) -> bool {
        self.priority == Priority::OWNER
    }

    /// Authentication.
    pub fn authentication(&self) -> &AuthenticationConfig {
        &self.authentication
    }

    /// Unicast peers; none means multicast.
    pub fn peers(&self) -> &[UnicastPeer] {
        &self.peers
    }

    /// Whether unicast adverts from others than the peers are ignored.
    pub fn check_unicast_src(&self) -> bool {
        self.check_unicast_src
    }

    /// Form of checksum that it sends in VRRPv3 over IPv4.
    pub fn checksum(&self) -> ChecksumForm {
        self.checksum
    }

    /// What it does when its priority drops while it is master.
    pub fn demotion(&self) -> Demotion {
        self.demotion
    }

    /// Time from taking the addresses to announcing them once more; zero for never (`garp_master_delay`).
    pub fn announce_delay(&self) -> Duration {
        self.announce_delay
    }

    /// Time between announcements while it is master; zero for none (`garp_master_refresh`).
    pub fn announce_refresh(&self) -> Duration {
        self.announce_refresh
    }

    /// Time from announcing because of a losing advert to announcing once more; zero for never
    /// (`garp_lower_prio_delay`).
    pub fn lower_prio_announce_delay(&self) -> Duration {
        let interval = self.adver_interval.duration();
        self.lower_prio_announce_delay
            .unwrap_or(self.announce_delay.min(interval))
    }

    /// Whether it answers a losing advert with an advert and an announcement (not `lower_prio_no_advert`).
    pub fn reassert(&self) -> bool {
        self.reassert
    }

    /// Whether it sends one last advert when it is superseded.
    pub fn higher_prio_send_advert(&self) -> bool {
        self.higher_prio_send_advert
    }

    /// Whether an owner that is master ignores what others advertise.
    pub fn owner_ignore_adverts(&self) -> bool {
        self.owner_ignore_adverts
    }

    /// Adverts that may go missing before a backup takes over, 1 to 100.
    pub fn down_timer_adverts(&self) -> u8 {
        self.down_timer_adverts
    }

    /// When flapping holds preemption back; `None` for never.
    pub fn damping(&self) -> Option<&Damping> {
        self.damping.as_ref()
    }

    /// How long it stays in Initialize after the start (`vrrp_startup_delay`).
    pub fn startup_delay(&self) -> Duration {
        self.startup_delay
    }
}
