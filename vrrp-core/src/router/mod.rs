//! The virtual router: the state machine of RFC 9568 §6.4 and RFC 3768 §6.4, without clock and without sockets.

mod counters;
mod demotion;
mod discard;
mod election;
mod fault;
mod member;
mod output;
mod proofs;
mod rival;
mod state;
mod switchover;
pub(crate) mod timers;

use alloc::collections::VecDeque;
use core::net::IpAddr;
use core::time::Duration;

pub use counters::{Counters, Discards};
pub use discard::Discard;
pub use fault::{Fault, Faults};
pub use output::{Announcement, Output, Reason, Transition};
pub use proofs::NoHmac;
pub use rival::{Rival, RivalCause};
pub use state::{Peer, State};
pub use switchover::{SwitchoverEnd, SwitchoverError};

use crate::authentication::{AuthenticationConfig, WallClock};
use crate::config::Config;
use crate::damping::Damper;
use crate::packet::{Advert, Authentication, Proof};
use crate::{AdverInterval, Packet, Priority};
use proofs::Proofs;
use rival::Rivals;
use state::{Backup, Master, Offer, Preemption, Role};

/// One virtual router: feed it facts with the time, do what [`poll_output`](Self::poll_output) says after each, and
/// come back at [`poll_timeout`](Self::poll_timeout).
///
/// `now` is the time since an epoch of the caller's, and must not run backwards. Nothing here blocks, fails or reads a
/// clock. Equality and hash cover everything but what was seen of [rivals](Rival), counters included;
/// [`take_counters`](Self::take_counters) sets those to zero for callers that compare states.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VirtualRouter {
    config: Config,
    /// Source of our adverts; breaks ties between equal priorities.
    source: IpAddr,
    /// Effective priority: the configured one after checks.
    priority: Priority,
    faults: Faults,
    role: Role,
    /// Why it is in that state.
    reason: Option<Reason>,
    /// It has handed over on purpose, and preempts nobody.
    held: bool,
    /// A member of a sync group, in which the longest silence is this.
    group: Option<Duration>,
    damper: Damper,
    rivals: Rivals,
    proofs: Proofs,
    wall_clock: WallClock,
    counters: Counters,
    outputs: VecDeque<Output>,
}

impl VirtualRouter {
    /// Most outputs that one fact yields: those of becoming master, or an announcement, an advert and news that are due
    /// at once. The queue never holds more when it is drained after each fact.
    pub const MAX_OUTPUTS: usize = 4;

    /// Makes a router in Initialize. `source` is the address that its adverts come from, the primary one of the
    /// interface.
    pub fn new(config: Config, source: IpAddr) -> Self {
        Self {
            priority: config.priority(),
            damper: Damper::new(config.damping),
            proofs: Proofs::new(config.authentication()),
            wall_clock: WallClock::default(),
            config,
            source,
            faults: Faults::default(),
            role: Role::Initialize { start_at: None },
            reason: None,
            held: false,
            group: None,
            rivals: Rivals::default(),
            counters: Counters::default(),
            outputs: VecDeque::with_capacity(Self::MAX_OUTPUTS),
        }
    }

    /// Startup (RFC 9568 §6.4.1): the owner becomes master at once, everyone else a backup for Master_Down_Interval.
    /// With a fault standing, the state is Fault. Does nothing once started.
    ///
    /// With [`Config::startup_delay`] all of that happens so much later.
    pub fn handle_startup(&mut self, now: Duration) {
        let delay = self.config.startup_delay();
        match &mut self.role {
            Role::Initialize { start_at } if !delay.is_zero() => *start_at = start_at.or(Some(now + delay)),
            Role::Initialize { .. } => self.start(now),
            Role::Backup(_) | Role::Master(_) | Role::Fault => {}
        }
    }

    /// Shutdown (RFC 9568 §6.4.2, §6.4.3): a master sends priority 0 and gives the addresses up. A hold ends.
    pub fn handle_shutdown(&mut self, now: Duration) {
        self.held = false;
        if let Role::Initialize { start_at } = &mut self.role {
            *start_at = None;
            return;
        }
        self.give_up();
        self.enter(now, Role::Initialize { start_at: None }, Reason::Shutdown);
    }

    /// An advert for this VRID, interface and family arrived.
    ///
    /// # Errors
    /// When the advert fails a check that needs configuration, or the router is not running. Then nothing but
    /// counters has changed.
    pub fn handle_advert(&mut self, now: Duration, packet: &Packet<'_>) -> Result<(), Discard> {
        let checked = match self.role {
            Role::Initialize { .. } | Role::Fault => Err(Discard::NotRunning),
            Role::Backup(_) | Role::Master(_) => self.check(now, packet),
        };
        if let Err(discard) = checked {
            self.discard(now, packet, discard);
            return checked;
        }
        self.counters.count_accepted(packet, &self.config);
        let cause = if self.count_mismatch(packet) {
            RivalCause::Addresses
        } else {
            RivalCause::Deaf
        };
        self.proofs.accept(packet);
        self.elect(now, Peer::sender_of(packet), packet.adver_interval(), cause);
        Ok(())
    }

    /// Time has come. Early, late and spurious calls are harmless.
    pub fn handle_timeout(&mut self, now: Duration) {
        match &self.role {
            Role::Backup(backup) if now >= backup.master_down_at => self.master_down(now),
            Role::Initialize { start_at: Some(at) } if now >= *at => self.start(now),
            Role::Initialize { .. } | Role::Backup(_) | Role::Fault => {}
            Role::Master(_) => self.master_timeout(now),
        }
    }

    /// When a master's next advert is due, if it may as well be sent sooner; see
    /// [`handle_advert_early`](Self::handle_advert_early). `None` while it keeps silent on purpose, and for everyone else.
    pub fn advert_due(&self) -> Option<Duration> {
        match &self.role {
            Role::Master(master) if master.offer.is_none() => Some(master.adver_at),
            Role::Initialize { .. } | Role::Backup(_) | Role::Master(_) | Role::Fault => None,
        }
    }

    /// Sends a master's next advert now instead of when it is due, and the one after that an interval from now. Who drives
    /// many virtual routers has them speak together so, at the cost of one wake. Does nothing where
    /// [`advert_due`](Self::advert_due) is `None`.
    pub fn handle_advert_early(&mut self, now: Duration) {
        if self.advert_due().is_none() {
            return;
        }
        self.speak(now);
        let adver_at = now + self.config.adver_interval().duration();
        if let Role::Master(master) = &mut self.role {
            master.adver_at = adver_at;
        }
        self.tell_parted_rival(now);
    }

    /// Something that the router needs is gone: it gives the addresses up and waits in Fault.
    pub fn handle_fault(&mut self, now: Duration, fault: Fault) {
        self.faults.insert(fault);
        if matches!(self.role, Role::Backup(_) | Role::Master(_)) {
            self.give_up();
            self.enter(now, Role::Fault, Reason::Fault(fault));
        }
    }

    /// Something that the router needs is back. When nothing is missing any more it becomes a backup.
    pub fn handle_recovery(&mut self, now: Duration, fault: Fault) {
        self.faults.remove(fault);
        if !matches!(self.role, Role::Fault) || !self.faults.is_empty() {
            return;
        }
        let backup = self.returning_backup(now);
        self.enter(now, Role::Backup(backup), Reason::Recovered);
    }

    /// The process stood still (SIGSTOP, suspend) for longer than the master-down interval, and another may have
    /// taken over: a master steps down without a word, and a backup listens for a whole Master_Down_Interval again
    /// (the owner for one interval).
    pub fn handle_pause(&mut self, now: Duration) {
        match self.role {
            Role::Initialize { .. } | Role::Fault => {}
            Role::Backup(ref mut backup) => {
                let interval = backup.master_adver_interval;
                backup.wants_master = None;
                backup.master_down_at =
                    now + timers::master_down_interval(&self.config, self.priority, interval);
            }
            Role::Master(_) => {
                self.outputs.push_back(Output::ReleaseAddresses);
                let backup = self.returning_backup(now);
                self.enter(now, Role::Backup(backup), Reason::Paused);
            }
        }
    }

    /// Sets the effective priority, 1 to 254; out of range is brought into it. The owner's never changes.
    ///
    /// A backup shifts its Master_Down_Timer by the change of skew time. A master whose priority drops does what
    /// [`Config::demotion`] says; otherwise its next advert carries the new one.
    ///
    /// The members of a sync group move together by [`SyncGroup::set_priority`](crate::SyncGroup::set_priority).
    pub fn set_priority(&mut self, now: Duration, priority: Priority) {
        if self.config.is_owner() {
            return;
        }
        let priority = priority.clamp(Priority::new(1), Priority::MAX_BACKUP);
        let before = core::mem::replace(&mut self.priority, priority);
        if priority == before {
            return;
        }
        match &mut self.role {
            Role::Initialize { .. } | Role::Fault => {}
            Role::Backup(backup) => {
                let skew = |priority| {
                    timers::skew_time(self.config.version(), priority, backup.master_adver_interval)
                };
                backup.master_down_at = (backup.master_down_at + skew(priority)).saturating_sub(skew(before));
                if priority > before && backup.preemption == Preemption::Renounced {
                    backup.preemption = Preemption::Idle;
                }
            }
            Role::Master(_) if priority < before => self.lower(now),
            Role::Master(_) => self.raise(now),
        }
    }

    /// Sets the address that adverts come from, when the interface's primary address has changed.
    pub fn set_source(&mut self, source: IpAddr) {
        self.source = source;
    }

    /// Gives the counters and sets them to zero.
    pub fn take_counters(&mut self) -> Counters {
        core::mem::take(&mut self.counters)
    }

    /// The next effect, in order. Drain it after every fact.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next; `None` for not at all.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match &self.role {
            Role::Initialize { start_at } => *start_at,
            Role::Fault => None,
            Role::Backup(backup) => Some(backup.master_down_at),
            Role::Master(master) => Some(master.next_deadline()),
        }
    }

    /// What an advert of this router with the given priority says: the one that [`next_advert`](Self::next_advert)
    /// gives, without the proof of AH or HMAC.
    pub fn advert(&self, priority: Priority) -> Advert<'_> {
        Advert {
            version: self.config.version(),
            vrid: self.config.vrid(),
            priority,
            adver_interval: self.config.adver_interval(),
            addresses: self.config.addresses().as_addresses(),
            authentication: match &self.config.authentication {
                AuthenticationConfig::None | AuthenticationConfig::Hmac(_) => Authentication::None,
                AuthenticationConfig::Simple(password) => Authentication::Simple(password),
                AuthenticationConfig::Ah(_) => Authentication::Ah,
            },
            proof: Proof::None,
        }
    }

    /// State of the machine.
    pub fn state(&self) -> State {
        match self.role {
            Role::Initialize { .. } => State::Initialize,
            Role::Backup(_) => State::Backup,
            Role::Master(_) => State::Master,
            Role::Fault => State::Fault,
        }
    }

    /// Configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Address that our adverts come from.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Effective priority.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Faults that stand.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// Who is master as far as this router knows: itself, or the sender of the last advert.
    pub fn master(&self) -> Option<Peer> {
        match &self.role {
            Role::Initialize { .. } | Role::Fault => None,
            Role::Backup(backup) => backup.master.filter(|peer| peer.priority != Priority::STOP),
            Role::Master(_) => Some(Peer {
                address: self.source,
                priority: self.priority,
            }),
        }
    }

    /// Master_Adver_Interval: our own, or in VRRPv3 the one learned from the master.
    pub fn master_adver_interval(&self) -> AdverInterval {
        match &self.role {
            Role::Backup(backup) => backup.master_adver_interval,
            Role::Initialize { .. } | Role::Master(_) | Role::Fault => self.config.adver_interval(),
        }
    }

    /// Skew_Time: how long a backup of our priority leaves to those above it.
    pub fn skew_time(&self) -> Duration {
        timers::skew_time(self.config.version(), self.priority, self.master_adver_interval())
    }

    /// Master_Down_Interval: three intervals of the master (or as many as configured) and the skew time.
    pub fn master_down_interval(&self) -> Duration {
        timers::master_down_interval(&self.config, self.priority, self.master_adver_interval())
    }

    /// Why it is in its state; `None` before the start.
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Whether it is a member of a [`SyncGroup`](crate::SyncGroup).
    pub fn is_grouped(&self) -> bool {
        self.group.is_some()
    }

    /// Until when flapping holds its preemption back, or did so last; `None` for never so far.
    pub fn damped_until(&self) -> Option<Duration> {
        self.damper.until()
    }

    /// Counts since the start, or since they were taken.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn start(&mut self, now: Duration) {
        if let Some(fault) = self.faults.iter().next() {
            self.enter(now, Role::Fault, Reason::Fault(fault));
        } else if self.config.is_owner() && self.group.is_none() {
            self.become_master(now, Reason::Startup);
        } else {
            let mut backup = self.fresh_backup(now);
            if self.config.is_owner() {
                backup.wants_master = Some(Reason::Startup);
            }
            self.enter(now, Role::Backup(backup), Reason::Startup);
        }
    }

    fn become_master(&mut self, now: Duration, reason: Reason) {
        self.counters.became_master += 1;
        self.advertise(self.priority);
        self.outputs.push_back(Output::AcquireAddresses);
        self.outputs
            .push_back(Output::AnnounceAddresses(Announcement::Takeover));
        let after = |delay: Duration| (!delay.is_zero()).then(|| now + delay);
        let master = Master {
            since: now,
            spoke_at: now,
            adver_at: now + self.config.adver_interval().duration(),
            announce_at: after(self.config.announce_delay()).map(|at| (at, Announcement::Again)),
            refresh_at: after(self.config.announce_refresh()),
            reassert_from: now,
            offer: None,
            demoted: None,
        };
        self.enter(now, Role::Master(master), reason);
    }

    /// Stops serving because of ourselves: others should know at once.
    fn give_up(&mut self) {
        if matches!(self.role, Role::Master(_)) {
            self.advertise(Priority::STOP);
            self.outputs.push_back(Output::ReleaseAddresses);
        }
    }

    fn fresh_backup(&self, now: Duration) -> Backup {
        let interval = self.config.adver_interval();
        Backup {
            master_down_at: now + timers::master_down_interval(&self.config, self.priority, interval),
            master_adver_interval: interval,
            master: None,
            preemption: Preemption::Idle,
            wants_master: None,
        }
    }

    /// A backup that comes back. keepalived lets an owner do so after one interval: it would ignore all adverts but
    /// those of another owner anyway.
    fn returning_backup(&self, now: Duration) -> Backup {
        let mut backup = self.fresh_backup(now);
        if self.config.is_owner() {
            backup.master_down_at = now + self.config.adver_interval().duration() + self.skew_time();
        }
        backup
    }

    fn enter(&mut self, now: Duration, role: Role, reason: Reason) {
        let from = self.state();
        let offer = self.take_offer();
        self.role = role;
        self.reason = Some(reason);
        let to = self.state();
        if let Some(damping) = &self.config.damping {
            let deliberate = matches!(reason, Reason::Startup | Reason::Shutdown);
            if (from == State::Master || to == State::Master) && !deliberate {
                self.damper.note(now, damping);
            }
        }
        self.outputs
            .push_back(Output::Transition(Transition { from, to, reason }));
        if offer == Some(Offer::Switchover) {
            self.outputs
                .push_back(Output::Switchover(SwitchoverEnd::Interrupted));
        }
    }

    fn advertise(&mut self, priority: Priority) {
        self.counters.adverts_sent += 1;
        self.counters.stops_sent += u64::from(priority == Priority::STOP);
        self.outputs.push_back(Output::Advertise(priority));
    }

    /// Counts an advert that carries other addresses than ours, and says whether this one does.
    fn count_mismatch(&mut self, packet: &Packet<'_>) -> bool {
        let mismatch = !self.has_our_addresses(packet);
        self.counters.address_mismatches += u64::from(mismatch);
        mismatch
    }

    #[cold]
    fn discard(&mut self, now: Duration, packet: &Packet<'_>, discard: Discard) {
        self.counters.discards.count(discard);
        if !matches!(discard, Discard::Vrid { .. } | Discard::Family { .. }) {
            self.count_mismatch(packet);
        }
        self.note_discarded(now, Peer::sender_of(packet), packet.adver_interval(), discard);
    }
}
