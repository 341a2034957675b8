//! Telling others of a change of state: scripts, and a FIFO. See [`Notify`] and [`NotifyFifo`].

mod fifo;
mod group;
mod message;
mod notifier;
mod thread;
mod turns;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ha_health::probe::{Script, User};

pub use fifo::FifoError;
pub(super) use notifier::{Notifier, Start, Target};
pub(super) use thread::{Notifying, NotifyingError};

use message::{Message, What};

/// Scripts that are run when a virtual router, or a sync group, changes its state; keepalived's `notify_master` and so
/// on.
///
/// | script | run | arguments behind its own |
/// |---|---|---|
/// | [`master`](Self::master), [`backup`](Self::backup), [`fault`](Self::fault) | on entering the state; of master when the addresses are held | |
/// | [`stop`](Self::stop) | at the end | |
/// | [`any_state`](Self::any_state) | after these, on each change | `INSTANCE` or `GROUP`, the name, `MASTER`, `BACKUP`, `FAULT` or `STOP`, the priority (0 for a group) |
/// | [`master_rx_lower_pri`](Self::master_rx_lower_pri) | when a master hears an advert of lower priority | |
///
/// * For one virtual router or group one script runs at a time, in order. When several changes come while a script runs,
///   the last of them is told next, and those between are not: the latest state wins. (keepalived starts all at
///   once, and they may overtake each other.)
/// * A script that takes longer than [`timeout`](Self::timeout) is killed with its process group. At the end scripts have a
///   few seconds at most.
/// * VRRP never waits for any of it. A script that fails is told by [`Event::NotifyFailed`](super::Event::NotifyFailed).
/// * An instance is deleted by nothing but a stop; so there is no `notify_deleted`.
///
/// ```
/// use std::time::Duration;
/// use ha_health::probe::{Script, User};
/// use ha_stack::Notify;
///
/// let notify = Notify::new()
///     .master(Script::from_words("/usr/local/bin/claim-elastic-ip eipalloc-1")?.user(User::new(65534, 65534)))
///     .any_state(Script::new("/etc/ha/notify.sh", [] as [&str; 0])?)
///     .timeout(Duration::from_secs(10));
/// # Ok::<(), ha_health::probe::ScriptError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Notify {
    pub(super) master: Option<Script>,
    pub(super) backup: Option<Script>,
    pub(super) fault: Option<Script>,
    pub(super) stop: Option<Script>,
    pub(super) any_state: Option<Script>,
    pub(super) master_rx_lower_pri: Option<Script>,
    pub(super) priority_changes: bool,
    pub(super) timeout: Duration,
}

impl Notify {
    /// How long a script may take unless told otherwise: 60 s. keepalived never ends one.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
    /// The longest time that can be set: one day.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

    /// Begins without any script.
    pub const fn new() -> Self {
        Self {
            master: None,
            backup: None,
            fault: None,
            stop: None,
            any_state: None,
            master_rx_lower_pri: None,
            priority_changes: false,
            timeout: Self::DEFAULT_TIMEOUT,
        }
    }

    /// Sets the script for becoming master (`notify_master`). The addresses are held by then.
    pub fn master(mut self, script: Script) -> Self {
        self.master = Some(script);
        self
    }

    /// Sets the script for becoming backup (`notify_backup`), also at the start.
    pub fn backup(mut self, script: Script) -> Self {
        self.backup = Some(script);
        self
    }

    /// Sets the script for going into fault (`notify_fault`).
    pub fn fault(mut self, script: Script) -> Self {
        self.fault = Some(script);
        self
    }

    /// Sets the script for the end of VRRP (`notify_stop`). The stop of the stack waits for it, a few seconds at most.
    pub fn stop(mut self, script: Script) -> Self {
        self.stop = Some(script);
        self
    }

    /// Sets the script for each change of state (`notify`), which is told what has changed in four arguments.
    pub fn any_state(mut self, script: Script) -> Self {
        self.any_state = Some(script);
        self
    }

    /// Sets the script for an advert of lower priority heard as master (`notify_master_rx_lower_pri`): another has taken
    /// over meanwhile, and may have changed something outside, such as a cloud's routing, that has to be put back. While it
    /// runs, further such adverts are told once. It means nothing for a sync group.
    pub fn master_rx_lower_pri(mut self, script: Script) -> Self {
        self.master_rx_lower_pri = Some(script);
        self
    }

    /// Writes changes of the priority to the FIFOs too (`notify_priority_changes`), as `MASTER_PRIORITY` and
    /// `BACKUP_PRIORITY`. Default no. It means nothing for a sync group.
    pub fn priority_changes(mut self, priority_changes: bool) -> Self {
        self.priority_changes = priority_changes;
        self
    }

    /// Sets how long a script may take, up to [`MAX_TIMEOUT`](Self::MAX_TIMEOUT). Default
    /// [`DEFAULT_TIMEOUT`](Self::DEFAULT_TIMEOUT).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(Self::MAX_TIMEOUT);
        self
    }

    /// The script for what has happened, other than that for each change.
    fn script_for(&self, what: What) -> Option<&Script> {
        match what {
            What::Master => self.master.as_ref(),
            What::Backup => self.backup.as_ref(),
            What::Fault => self.fault.as_ref(),
            What::Stop => self.stop.as_ref(),
            What::LowerReceived => self.master_rx_lower_pri.as_ref(),
            What::MasterPriority | What::BackupPriority => None,
        }
    }

    /// The scripts for a message, in order, with their arguments.
    fn scripts(&self, message: &Message) -> impl Iterator<Item = Script> {
        let specific = self.script_for(message.what).cloned();
        let generic = self.any_state.as_ref().filter(|_| message.what.is_state());
        let generic = generic.map(|script| message.args().into_iter().fold(script.clone(), Script::arg));
        specific.into_iter().chain(generic)
    }

    fn has_scripts(&self) -> bool {
        let all = [
            &self.master,
            &self.backup,
            &self.fault,
            &self.stop,
            &self.any_state,
            &self.master_rx_lower_pri,
        ];
        all.into_iter().any(Option::is_some)
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

/// A FIFO that is told of each change, one line each, in order; keepalived's `notify_fifo` and `vrrp_notify_fifo`.
///
/// ```text
/// INSTANCE "VI_1" MASTER 100
/// GROUP "G1" BACKUP 0
/// ```
///
/// The words are those of [`Notify::any_state`], and besides `MASTER_RX_LOWER_PRI`, and `MASTER_PRIORITY` and
/// `BACKUP_PRIORITY` where [`Notify::priority_changes`] is set.
///
/// * It is made if it does not exist, for its owner alone, and removed at the end if it was made.
/// * Nobody needs to read it. Some 2,000 lines wait in the kernel and 1,024 here; beyond that the oldest of those here are
///   lost, counted, and told by [`Event::NotifyLost`](super::Event::NotifyLost).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct NotifyFifo {
    path: PathBuf,
    owner: Option<User>,
    script: Option<Script>,
}

impl NotifyFifo {
    /// Takes the path of the FIFO.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            owner: None,
            script: None,
        }
    }

    /// Sets whom it belongs to if it has to be made. Default: us.
    pub fn owner(mut self, owner: User) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Runs a reader (`notify_fifo_script`), with the path of the FIFO as its last argument. One that ends is started again
    /// after a second. At the end the FIFO is closed, and the reader has two seconds to read what is there.
    pub fn script(mut self, script: Script) -> Self {
        self.script = Some(script);
        self
    }

    /// The path of the FIFO.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for NotifyFifo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}
