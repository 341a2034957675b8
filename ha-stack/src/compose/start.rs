//! Starting the parts of a stack.

use std::io;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc};
use vrrp_net::Routers as _;

use super::backends::Backends;
use super::bus::Bus;
use super::checking::Checking;
use super::control::Control;
use super::drive::Drive;
use super::event::Event;
use super::input::Input;
use super::notify::{FifoError, Notifying, NotifyingError, Start};
use super::proxies::Proxies;
use super::sources::Sources;
use super::stack::Stack;

/// Starts everything but the loop of the control thread, which the caller is: it runs the control on the runtime.
pub(super) fn start_parts(
    stack: Stack,
    events: broadcast::Sender<Event>,
    inputs: mpsc::UnboundedSender<Input>,
) -> Result<(Runtime, Control), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Control)?;
    let checks = stack.checks.iter().map(|check| Arc::clone(&check.name)).collect();
    let starts: Vec<_> = (0..stack.instances.len())
        .map(|index| Start {
            priority: stack.node.router(index).priority(),
            waits: stack.node.waits(index),
        })
        .collect();
    let (notifier, notifying) =
        Notifying::start(stack.targets, &starts, stack.fifos, events.clone())?.unzip();
    let mut bus = Bus::new(stack.instances, checks, events.clone(), inputs, notifier);
    let proxies = Proxies::start(stack.proxies).map_err(|(name, error)| StartError::Proxy { name, error })?;
    let checking = Checking::start(stack.checked, events.clone()).map_err(StartError::Checking)?;
    // VRRP last: whoever becomes master should be able to serve.
    let drive = if stack.attachments.is_empty() {
        Drive::here(stack.node, bus)
    } else {
        let driver = vrrp_net::spawn_with(stack.driver, stack.node, stack.attachments, move |event| {
            bus.publish(event);
        })?;
        Drive::Thread(driver)
    };
    let sources = Sources::start(stack.checks, &drive.commands()).map_err(StartError::Watching)?;
    let control = Control::new(
        stack.name,
        events,
        drive,
        sources,
        Backends::new(stack.upstreams, stack.backend_checks),
        proxies,
    )
    .notifying(notifying)
    .checking(checking);
    Ok((runtime, control))
}

/// Why a stack doesn't start. Nothing runs then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// VRRP doesn't: a privilege or an interface is missing, or an address can't be held.
    #[error(transparent)]
    Vrrp(#[from] vrrp_net::StartError),
    /// A proxy doesn't: its port is taken, or not allowed.
    #[error("proxy {name}: {error}{}", bind_hint(.error))]
    Proxy {
        /// The proxy.
        name: Arc<str>,
        /// The reason.
        error: lb_proxy::proxy::StartError,
    },
    /// The system gives no thread or no runtime.
    #[error("cannot start the control thread: {0}")]
    Control(#[source] io::Error),
    /// The system gives no thread or no runtime for watches.
    #[error("cannot start the thread that watches processes, files and interfaces: {0}")]
    Watching(#[source] io::Error),
    /// The system gives no thread or no runtime for checks of backends.
    #[error("cannot start the thread that checks backends: {0}")]
    Checking(#[source] io::Error),
    /// The system gives no thread or no runtime for notify scripts.
    #[error("cannot start the thread of notify scripts: {0}")]
    Notifying(#[source] io::Error),
    /// A FIFO for notifications is not to be had.
    #[error(transparent)]
    Fifo(#[from] FifoError),
    /// The control thread panicked before anything ran: a bug.
    #[error("the control thread panicked at its start")]
    Panicked,
}

impl From<NotifyingError> for StartError {
    fn from(error: NotifyingError) -> Self {
        match error {
            NotifyingError::Thread(error) => Self::Notifying(error),
            NotifyingError::Fifo(error) => Self::Fifo(error),
        }
    }
}

fn bind_hint(error: &lb_proxy::proxy::StartError) -> &'static str {
    let lb_proxy::proxy::StartError::Bind { source, .. } = error else {
        return "";
    };
    match source.kind() {
        io::ErrorKind::AddrInUse => ": another program listens there",
        io::ErrorKind::AddrNotAvailable => {
            ": no interface has the address; set freebind if it is a virtual one"
        }
        io::ErrorKind::PermissionDenied => ": ports below 1024 need CAP_NET_BIND_SERVICE",
        _ => "",
    }
}
