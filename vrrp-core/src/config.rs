//! What a virtual router is configured to be. A [`Config`] that exists is valid.

use alloc::boxed::Box;
use core::net::IpAddr;
use core::time::Duration;

use crate::damping::Damping;
use crate::{
    AddressList, AdverInterval, AuthenticationConfig, ChecksumForm, Family, Priority, UnicastPeer, Version,
    Vrid,
};

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
        ConfigBuilder {
            address_mismatch: None,
            config: Self {
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
                down_timer_adverts: DEFAULT_DOWN_TIMER_ADVERTS,
                damping: None,
                startup_delay: Duration::ZERO,
            },
        }
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

/// Collects settings; [`build`](Self::build) checks them together.
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfigBuilder {
    config: Config,
    address_mismatch: Option<AddressMismatch>,
}

impl ConfigBuilder {
    /// Protocol version. Default: VRRPv2 for IPv4, VRRPv3 for IPv6.
    pub fn version(mut self, version: Version) -> Self {
        self.config.version = version;
        self
    }

    /// Priority, 1 to 255. Default: 100.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.config.priority = priority;
        self
    }

    /// Interval between adverts. Default: one second.
    pub fn adver_interval(mut self, adver_interval: AdverInterval) -> Self {
        self.config.adver_interval = adver_interval;
        self
    }

    /// Whether to take over from a master of lower priority. Default: yes.
    pub fn preempt(mut self, preempt: bool) -> Self {
        self.config.preempt = preempt;
        self
    }

    /// How long to wait before preempting, up to 1000 s, from the first advert of a lower master. A master that stops,
    /// dies or calls an election is not waited for, and an owner never waits. Default: not at all.
    pub fn preempt_delay(mut self, delay: Duration) -> Self {
        self.config.preempt_delay = delay;
        self
    }

    /// Authentication: a password or the IP authentication header in VRRPv2, HMAC in VRRPv3. Default: none.
    pub fn authentication(mut self, authentication: AuthenticationConfig) -> Self {
        self.config.authentication = authentication;
        self
    }

    /// Form of checksum to send in VRRPv3 over IPv4. Default: with pseudo-header, as keepalived and FRR.
    pub fn checksum(mut self, form: ChecksumForm) -> Self {
        self.config.checksum = form;
        self
    }

    /// What to do with an advert whose addresses are not ours. Default: by version.
    pub fn address_mismatch(mut self, action: AddressMismatch) -> Self {
        self.address_mismatch = Some(action);
        self
    }

    /// Unicast peers (`unicast_peer`), of the family of the addresses; plain addresses have no limits of TTL. Default:
    /// none, which means multicast.
    pub fn peers<P: Into<UnicastPeer> + Copy>(mut self, peers: &[P]) -> Self {
        self.config.peers = peers.iter().map(|peer| (*peer).into()).collect();
        self
    }

    /// Whether to ignore unicast adverts from others than the peers (`check_unicast_src`); it counts with peers alone.
    /// Default: yes.
    pub fn check_unicast_src(mut self, check: bool) -> Self {
        self.config.check_unicast_src = check;
        self
    }

    /// What to do when the priority drops while master. Default: [`Demotion::Elect`].
    pub fn demotion(mut self, demotion: Demotion) -> Self {
        self.config.demotion = demotion;
        self
    }

    /// Time from taking the addresses to announcing them once more; zero for never. Default: 5 s, as keepalived.
    pub fn announce_delay(mut self, delay: Duration) -> Self {
        self.config.announce_delay = delay;
        self
    }

    /// Time between announcements while it is master, for networks that forget where an address is; zero for none, else
    /// at least a second. Default: none, as keepalived's `garp_master_refresh`.
    pub fn announce_refresh(mut self, period: Duration) -> Self {
        self.config.announce_refresh = period;
        self
    }

    /// Time from announcing because of a losing advert to announcing once more; zero for never (keepalived's
    /// `garp_lower_prio_delay`). Default: one interval, since the other master may have announced itself while our first
    /// announcement was on its way, and then again after [`announce_delay`](Self::announce_delay), keepalived's default;
    /// or that alone where it is shorter.
    pub fn lower_prio_announce_delay(mut self, delay: Option<Duration>) -> Self {
        self.config.lower_prio_announce_delay = delay;
        self
    }

    /// Whether to answer the advert of a lower master at once, and to announce the addresses to hosts that it has led
    /// astray (RFC 9568 §6.4.3; keepalived unless `lower_prio_no_advert`). Without, such an advert is counted and
    /// discarded, as RFC 5798 has it, and the next advert comes in its time. Default: yes.
    pub fn reassert(mut self, reassert: bool) -> Self {
        self.config.reassert = reassert;
        self
    }

    /// Whether a master that is superseded sends one last advert, with its own, losing priority. Default: yes
    /// (keepalived's `higher_prio_send_advert`, where it is off).
    ///
    /// Why: two masters that were cut off from each other hear each other again. If the loser hears the winner first it
    /// steps down without a word, the winner never learns that there was another, and hosts that have learned the
    /// loser's hardware address keep it until it ages out. The last advert tells the winner, which announces the
    /// addresses anew.
    ///
    /// It decides no election. It is sent by a backup and loses against the master that it is for, so to that one it is
    /// one losing advert: ours and keepalived answer with an advert and an announcement, FRR and others that follow RFC
    /// 5798 log and discard it. Backups do with it what they do with any advert: those below it start their
    /// Master_Down_Timers anew, as the winner's own advert has made them do just before, and those above it that preempt
    /// take no notice. It is not sent where the winner's interval differs (VRRPv3): a third router would learn ours.
    pub fn higher_prio_send_advert(mut self, last_advert: bool) -> Self {
        self.config.higher_prio_send_advert = last_advert;
        self
    }

    /// Adverts that may go missing before a backup takes over, 1 to 100: the factor in Master_Down_Interval. More make
    /// a lossy network quieter and a takeover slower. Default: 3, the RFCs' number.
    pub fn down_timer_adverts(mut self, adverts: u8) -> Self {
        self.config.down_timer_adverts = adverts;
        self
    }

    /// When flapping holds preemption back. An owner is not held back, and neither is a takeover from a master that has
    /// fallen silent or stopped. Default: never.
    pub fn damping(mut self, damping: Option<Damping>) -> Self {
        self.config.damping = damping;
        self
    }

    /// How long to stay in Initialize after the start, up to 1000 s: for a host whose network is not ready at once, so
    /// that adverts of the master get lost. Default: not at all (keepalived's `vrrp_startup_delay`).
    pub fn startup_delay(mut self, delay: Duration) -> Self {
        self.config.startup_delay = delay;
        self
    }

    /// Checks the settings together.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn build(mut self) -> Result<Config, ConfigError> {
        let config = &mut self.config;
        let family = config.family();
        if config.priority == Priority::STOP {
            return Err(ConfigError::PriorityZero);
        }
        if config.version == Version::V2 && family == Family::Ipv6 {
            return Err(ConfigError::Ipv6InV2);
        }
        if !config.adver_interval.fits(config.version) {
            return Err(ConfigError::AdverInterval {
                version: config.version,
                got: config.adver_interval,
            });
        }
        match (config.version, &config.authentication) {
            (Version::V3, AuthenticationConfig::Simple(_) | AuthenticationConfig::Ah(_)) => {
                return Err(ConfigError::AuthenticationInV3);
            }
            (Version::V2, AuthenticationConfig::Hmac(_)) => return Err(ConfigError::HmacInV2),
            _ => {}
        }
        if config.is_owner() && !config.preempt {
            return Err(ConfigError::OwnerWithoutPreempt);
        }
        if config.preempt_delay > MAX_PREEMPT_DELAY {
            return Err(ConfigError::PreemptDelay {
                got: config.preempt_delay,
            });
        }
        if config.startup_delay > MAX_STARTUP_DELAY {
            return Err(ConfigError::StartupDelay {
                got: config.startup_delay,
            });
        }
        if !config.announce_refresh.is_zero() && config.announce_refresh < MIN_ANNOUNCE_REFRESH {
            return Err(ConfigError::AnnounceRefresh {
                got: config.announce_refresh,
            });
        }
        if !(1..=MAX_DOWN_TIMER_ADVERTS).contains(&config.down_timer_adverts) {
            return Err(ConfigError::DownTimerAdverts {
                got: config.down_timer_adverts,
            });
        }
        for (index, peer) in config.peers.iter().enumerate() {
            peer.check(family, &config.peers[..index])?;
        }
        config.address_mismatch = self.address_mismatch.unwrap_or(match config.version {
            Version::V2 => AddressMismatch::Discard,
            Version::V3 => AddressMismatch::Accept,
        });
        Ok(self.config)
    }
}

/// Longest `preempt_delay`, as in keepalived.
pub const MAX_PREEMPT_DELAY: Duration = Duration::from_secs(1000);
/// Longest `startup_delay`.
pub const MAX_STARTUP_DELAY: Duration = Duration::from_secs(1000);
/// Most `down_timer_adverts`, as in keepalived.
pub const MAX_DOWN_TIMER_ADVERTS: u8 = 100;
/// Adverts that may go missing unless configured (RFC 9568 §6.1: 3 × Active_Adver_Interval + Skew_Time).
const DEFAULT_DOWN_TIMER_ADVERTS: u8 = 3;
/// Shortest `announce_refresh`.
const MIN_ANNOUNCE_REFRESH: Duration = Duration::from_secs(1);

/// Why settings don't make a virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// 0 is what a master sends when it stops.
    #[error("priority 0: use 1 to 254, or 255 for the owner of the addresses")]
    PriorityZero,
    /// VRRPv2 is for IPv4.
    #[error("IPv6 addresses with VRRPv2: use version 3")]
    Ipv6InV2,
    /// The version can't put the interval on the wire.
    #[error("advertisement interval {got}: {}", interval_range(*.version))]
    AdverInterval {
        /// The version configured.
        version: Version,
        /// The interval configured.
        got: AdverInterval,
    },
    /// VRRPv3 has neither passwords nor the IP authentication header (RFC 5798 §9).
    #[error("a password or AH with VRRPv3, which has neither: use HMAC, or version 2 (IPv4)")]
    AuthenticationInV3,
    /// The HMAC trailer is for VRRPv3: other VRRPv2 routers would refuse the length.
    #[error("HMAC with VRRPv2: use version 3, or a password or AH")]
    HmacInV2,
    /// A simple text password is 1 to 8 octets.
    #[error("password of {got} octets: VRRPv2 carries 1 to 8")]
    PasswordLength {
        /// Octets given.
        got: usize,
    },
    /// An owner is master whenever it runs (RFC 9568 §6.1).
    #[error("priority 255 with preempt off: the owner of the addresses always preempts; use 254 or less")]
    OwnerWithoutPreempt,
    /// The delay is too long to be meant.
    #[error("preempt_delay {got:?}: use 0 to 1000 s")]
    PreemptDelay {
        /// The delay given.
        got: Duration,
    },
    /// The delay is too long to be meant.
    #[error("startup_delay {got:?}: use 0 to 1000 s")]
    StartupDelay {
        /// The delay given.
        got: Duration,
    },
    /// Announcing is broadcast, and every host on the link has to look at it.
    #[error("announce_refresh {got:?}: use 0 for none, or 1 s and more")]
    AnnounceRefresh {
        /// The period given.
        got: Duration,
    },
    /// A backup waits for one advert at least.
    #[error("down_timer_adverts {got}: use 1 to 100")]
    DownTimerAdverts {
        /// The number given.
        got: u8,
    },
    /// Peers are of the family of the addresses.
    #[error("peer {peer} of a virtual router of {family}: use an address of that family")]
    PeerFamily {
        /// Family of the virtual router.
        family: Family,
        /// The peer.
        peer: IpAddr,
    },
    /// A peer is one host.
    #[error("peer {peer} is not the address of a host: use the address that the peer sends its adverts from")]
    PeerAddress {
        /// The peer.
        peer: IpAddr,
    },
    /// One peer stands twice.
    #[error("peer {peer} stands twice: leave one out")]
    PeerTwice {
        /// The peer.
        peer: IpAddr,
    },
    /// No TTL is within the limits.
    #[error("peer {peer} with min_ttl {min} above max_ttl {max}: no advert could meet that")]
    PeerTtl {
        /// The peer.
        peer: IpAddr,
        /// Least TTL or hop limit.
        min: u8,
        /// Greatest TTL or hop limit.
        max: u8,
    },
}

fn interval_range(version: Version) -> &'static str {
    match version {
        Version::V2 => "VRRPv2 sends whole seconds, 1 to 255; use those, or version 3",
        Version::V3 => "VRRPv3 sends 0.01 s to 40.95 s",
    }
}
