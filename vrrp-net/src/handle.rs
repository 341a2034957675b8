//! Running a driver on a thread of its own.

use std::io;
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::thread;

use tokio::sync::{Notify, mpsc};

use crate::config::Attachment;
use crate::counters::{Cells, DriverCounters};
use crate::driver::{Driver, DriverError, DriverEvent};
use crate::linux::{LinuxNetwork, OpenError};
use crate::network::AddressError;
use crate::options::{DriverOptions, OptionsError};
use crate::plan::{Plan, PlanError};
use crate::routers::Routers;

/// Runs virtual routers on a thread named `vrrp`, in the network namespace of the caller.
///
/// A thread of its own, so that a program under full load never delays an advert. `events` is called on it: it must
/// return soon, and a channel is the usual way out. Returns once the sockets are open and the first states are set.
///
/// # Errors
/// Whatever keeps it from starting, in one line; nothing runs then. See [`StartError`].
pub fn spawn<R>(
    routers: R,
    attachments: Vec<Attachment>,
    events: impl FnMut(DriverEvent<R::Event>) + Send + 'static,
) -> Result<DriverHandle<R::Command>, StartError>
where
    R: Routers + Send + 'static,
    R::Command: Send + 'static,
{
    spawn_with(DriverOptions::default(), routers, attachments, events)
}

/// [`spawn`], with a say in how the thread is scheduled and whether memory is locked.
///
/// # Errors
/// As [`spawn`]; and where a right for the options is missing, unless they ask for best effort.
pub fn spawn_with<R>(
    options: DriverOptions,
    routers: R,
    attachments: Vec<Attachment>,
    events: impl FnMut(DriverEvent<R::Event>) + Send + 'static,
) -> Result<DriverHandle<R::Command>, StartError>
where
    R: Routers + Send + 'static,
    R::Command: Send + 'static,
{
    let plan = Plan::new(&routers, &attachments)?;
    drop(attachments);
    let (commands, inbox) = mpsc::unbounded_channel();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let (report, started) = blocking::sync_channel(1);
    let cells = Cells::default();
    let counters = cells.clone();
    let main = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = report.send(Err(StartError::Runtime { error }));
                return Ok(());
            }
        };
        runtime.block_on(async move {
            let open = || -> Result<_, StartError> {
                options.apply()?;
                let network = LinuxNetwork::open(plan.links())?;
                Ok(Driver::with_cells(routers, plan, network, cells)?)
            };
            let driver = match open() {
                Ok(driver) => driver,
                Err(error) => {
                    let _ = report.send(Err(error));
                    return Ok(());
                }
            };
            // The caller waits for this, so it is there.
            let _ = report.send(Ok(()));
            driver.run(inbox, events, stopped.notified()).await
        })
    };
    let thread = thread::Builder::new()
        .name("vrrp".into())
        .spawn(main)
        .map_err(|error| StartError::Runtime { error })?;
    match started.recv() {
        Ok(Ok(())) => Ok(DriverHandle {
            commands: Commands { commands },
            stop,
            thread: Some(thread),
            counters,
        }),
        Ok(Err(error)) => Err(error),
        Err(blocking::RecvError) => Err(StartError::Panicked),
    }
}

/// A driver that runs. Dropping it stops the driver as [`shutdown`](Self::shutdown) does, without waiting.
#[derive(Debug)]
pub struct DriverHandle<C> {
    commands: Commands<C>,
    stop: Arc<Notify>,
    /// There until `join`.
    thread: Option<thread::JoinHandle<Result<(), DriverError>>>,
    counters: Cells,
}

impl<C> DriverHandle<C> {
    /// Sends a command to the [`Routers`].
    ///
    /// # Errors
    /// When the driver has stopped.
    pub fn command(&self, command: C) -> Result<(), Stopped> {
        self.commands.send(command)
    }

    /// A sender of commands for other threads.
    pub fn commands(&self) -> Commands<C> {
        self.commands.clone()
    }

    /// The driver's counters at this moment.
    pub fn counters(&self) -> DriverCounters {
        self.counters.snapshot()
    }

    /// A reader of the driver's counters for other threads.
    pub fn counters_reader(&self) -> impl Fn() -> DriverCounters + Send + Sync + Clone + 'static + use<C> {
        let cells = self.counters.clone();
        move || cells.snapshot()
    }

    /// Whether the driver's thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(thread::JoinHandle::is_finished)
    }

    /// Asks the driver to stop: masters send priority 0 and remove their addresses. Doesn't wait;
    /// [`join`](Self::join) does.
    pub fn shutdown(&self) {
        self.stop.notify_one();
    }

    /// Stops the driver, and waits until it has. Blocks: in async code call it on a blocking thread.
    ///
    /// # Errors
    /// When the driver had failed.
    pub fn join(mut self) -> Result<(), DriverError> {
        self.shutdown();
        match self.thread.take() {
            Some(thread) => thread.join().unwrap_or(Err(DriverError::Panicked)),
            None => Ok(()),
        }
    }
}

impl<C> Drop for DriverHandle<C> {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Sends commands to a driver's [`Routers`], from any thread.
#[derive(Debug)]
pub struct Commands<C> {
    commands: mpsc::UnboundedSender<C>,
}

impl<C> Commands<C> {
    /// Sends a command.
    ///
    /// # Errors
    /// When the driver has stopped.
    pub fn send(&self, command: C) -> Result<(), Stopped> {
        self.commands.send(command).map_err(|_| Stopped)
    }
}

impl<C> Clone for Commands<C> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
        }
    }
}

/// The driver has stopped, and takes no commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the VRRP driver has stopped")]
pub struct Stopped;

/// Why a driver doesn't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Routers and attachments don't fit together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Sockets or interfaces are not to be had.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A virtual address can't be held.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The thread can't run as wanted.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// No thread, or no runtime on it.
    #[error("can't start the VRRP thread: {error}")]
    Runtime {
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// The driver panicked before it ran: a bug.
    #[error("the VRRP thread panicked at its start")]
    Panicked,
}
