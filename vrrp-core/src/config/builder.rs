//! Collecting the settings of a virtual router, and what must hold among them.

use core::time::Duration;

use super::{AddressMismatch, Config, ConfigError, Demotion};
use crate::damping::Damping;
use crate::{AdverInterval, AuthenticationConfig, ChecksumForm, Family, Priority, UnicastPeer, Version};

/// Longest `preempt_delay`, as in keepalived.
pub const MAX_PREEMPT_DELAY: Duration = Duration::from_secs(1000);
/// Longest `startup_delay`.
pub const MAX_STARTUP_DELAY: Duration = Duration::from_secs(1000);
/// Most `down_timer_adverts`, as in keepalived.
pub const MAX_DOWN_TIMER_ADVERTS: u8 = 100;
/// Shortest `announce_refresh`.
const MIN_ANNOUNCE_REFRESH: Duration = Duration::from_secs(1);

/// Collects settings; [`build`](Self::build) checks them together.
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfigBuilder {
    config: Config,
    address_mismatch: Option<AddressMismatch>,
}

impl ConfigBuilder {
    /// Begins with these settings.
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            address_mismatch: None,
        }
    }

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

    /// Whether an owner of the addresses (priority 255) that is master ignores what others advertise, as RFC 5798 §7.1
    /// has it: then not even another owner of a higher address makes it step down, and it answers none. Such adverts are
    /// counted, and who goes on is told as a rival. Without effect on any other priority. Default: no (keepalived's
    /// `owner_ignore_adverts`).
    pub fn owner_ignore_adverts(mut self, ignore: bool) -> Self {
        self.config.owner_ignore_adverts = ignore;
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
