//! A stack that runs.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use vrrp_core::HmacConfig;

use super::event::{Event, Events};
use super::hmac::SetHmacError;
use super::input::Input;
use super::proxies::ProxyError;
use super::reply::{Reply, Stopped};
use super::stack::Stack;
use super::start::{StartError, start_parts};
use super::status::Status;
use super::switchover::SwitchoverError;

/// A stack that runs. Dropping it stops everything without draining: masters still give up with priority 0.
#[derive(Debug)]
pub struct Handle {
    control: Controller,
    events: broadcast::WeakSender<Event>,
    /// From before the start, for the first caller of `events`.
    first: Option<Events>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Asks a running stack from elsewhere: cheap to clone, and doesn't keep the stack alive.
#[derive(Clone, Debug)]
pub struct Controller {
    inputs: mpsc::UnboundedSender<Input>,
}

impl Stack {
    /// Starts everything in the network namespace of the calling thread: VRRP on a thread of its own, probes on a
    /// control thread, each worker of a proxy on a thread. No runtime is needed to call it.
    ///
    /// # Errors
    /// The first thing that doesn't start, in one line. Nothing runs then. See [`StartError`].
    pub fn spawn(self) -> Result<Handle, StartError> {
        Handle::start(self)
    }
}

impl Handle {
    /// Everything starts on the control thread, which has the caller's namespaces and capabilities, and no runtime
    /// around it: the caller may be inside of one, where runtimes can be neither waited for nor dropped.
    fn start(stack: Stack) -> Result<Self, StartError> {
        let (inputs, inbox) = mpsc::unbounded_channel();
        let (events, first) = broadcast::channel(Events::CAPACITY);
        let weak = events.downgrade();
        let (report, started) = blocking::sync_channel(1);
        let control_inputs = inputs.clone();
        let main = move || {
            let (runtime, control) = match start_parts(stack, events, control_inputs) {
                Ok(parts) => parts,
                Err(error) => {
                    // The caller waits for it.
                    let _ = report.send(Err(error));
                    return;
                }
            };
            let _ = report.send(Ok(()));
            runtime.block_on(control.run(inbox));
            // Probes under way end here; a thread that hangs is not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new()
            .name("control".into())
            .spawn(main)
            .map_err(StartError::Control)?;
        match started.recv() {
            Ok(started) => started?,
            Err(blocking::RecvError) => return Err(StartError::Panicked),
        }
        Ok(Self {
            control: Controller { inputs },
            events: weak,
            first: Some(Events(first)),
            thread: Some(thread),
        })
    }

    /// Events. The first receiver gets all of them from the start on, later ones from when they were made.
    pub fn events(&mut self) -> Events {
        match (self.first.take(), self.events.upgrade()) {
            (Some(first), _) => first,
            (None, Some(events)) => Events(events.subscribe()),
            // All has ended: a receiver without a sender says so.
            (None, None) => Events(broadcast::channel(1).1),
        }
    }

    /// Asks the stack from elsewhere, as long as it runs.
    pub fn controller(&self) -> Controller {
        self.control.clone()
    }

    /// The whole status.
    pub fn status(&self) -> Reply<Status> {
        self.control.status()
    }

    /// Hands mastership of a virtual router, or of a sync group, to its best backup; a member moves with its sync group.
    /// This host serves until the backup does. The answer is the address of the new master.
    ///
    /// Afterwards it is held: it does not preempt, but takes over from a master that falls silent.
    /// [`resume`](Self::resume) ends the hold, and so does a new start.
    ///
    /// The answer comes when the backup has taken over, and within two advertisement intervals when none does: then it
    /// is [`SwitchoverError::NobodyTookOver`], and this host is master as before.
    pub fn switchover(&self, name: impl Into<Arc<str>>) -> Reply<Result<IpAddr, SwitchoverError>> {
        self.control.switchover(name)
    }

    /// Sets other keys, mode, guard or window of HMAC of a virtual router, without a change of state: keys are rotated by
    /// accepting the new one on all hosts, then signing with it, then dropping the old one.
    pub fn set_hmac(&self, name: impl Into<Arc<str>>, config: HmacConfig) -> Reply<Result<(), SetHmacError>> {
        self.control.set_hmac(name, config)
    }

    /// Ends the hold after a switchover; without one it does nothing.
    pub fn resume(&self, name: impl Into<Arc<str>>) -> Reply<Result<(), SwitchoverError>> {
        self.control.resume(name)
    }

    /// Ends a proxy at once, as if its process had died, while everything else goes on.
    pub fn abort_proxy(&self, name: impl Into<String>) -> Reply<Result<(), ProxyError>> {
        self.control.abort_proxy(name)
    }

    /// Starts a proxy again that was ended, with the same configuration.
    pub fn start_proxy(&self, name: impl Into<String>) -> Reply<Result<(), ProxyError>> {
        self.control.start_proxy(name)
    }

    /// Stops gracefully: masters send priority 0 and give up their addresses, then proxies finish the requests under
    /// way, `deadline` at the longest. The answer is the number of connections that were cut then.
    pub fn shutdown(mut self, deadline: Duration) -> Reply<usize> {
        let reply = self.control.shutdown(deadline);
        // The control thread ends with the answer.
        self.thread.take();
        reply
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Nobody waits for the answer.
            drop(self.control.shutdown(Duration::ZERO));
            // The thread has no panics of its own to tell; the hook has told those of tasks.
            let _ = thread.join();
        }
    }
}

impl Controller {
    /// The whole status.
    pub fn status(&self) -> Reply<Status> {
        self.ask(Input::Status)
    }

    /// See [`Handle::switchover`].
    pub fn switchover(&self, name: impl Into<Arc<str>>) -> Reply<Result<IpAddr, SwitchoverError>> {
        self.ask(|reply| Input::Switchover(name.into(), reply))
    }

    /// See [`Handle::set_hmac`].
    pub fn set_hmac(&self, name: impl Into<Arc<str>>, config: HmacConfig) -> Reply<Result<(), SetHmacError>> {
        self.ask(|reply| Input::SetHmac(name.into(), config, reply))
    }

    /// See [`Handle::resume`].
    pub fn resume(&self, name: impl Into<Arc<str>>) -> Reply<Result<(), SwitchoverError>> {
        self.ask(|reply| Input::Resume(name.into(), reply))
    }

    /// See [`Handle::abort_proxy`].
    pub fn abort_proxy(&self, name: impl Into<String>) -> Reply<Result<(), ProxyError>> {
        self.ask(|reply| Input::AbortProxy(name.into(), reply))
    }

    /// See [`Handle::start_proxy`].
    pub fn start_proxy(&self, name: impl Into<String>) -> Reply<Result<(), ProxyError>> {
        self.ask(|reply| Input::StartProxy(name.into(), reply))
    }

    fn shutdown(&self, deadline: Duration) -> Reply<usize> {
        self.ask(|reply| Input::Shutdown(deadline, reply))
    }

    fn ask<T>(&self, input: impl FnOnce(tokio::sync::oneshot::Sender<T>) -> Input) -> Reply<T> {
        let (sender, reply) = Reply::new();
        // When nobody listens any more, the dropped sender is the answer: stopped.
        let _ = self.inputs.send(input(sender));
        reply
    }
}

impl From<Stopped> for io::Error {
    fn from(stopped: Stopped) -> Self {
        Self::new(io::ErrorKind::NotConnected, stopped)
    }
}
