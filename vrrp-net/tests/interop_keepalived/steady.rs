//! Telling a node that misbehaves from a machine that stood still.
//!
//! Tests on real time can't do without a machine that keeps it. Two things stop a VRRP node, ours and keepalived
//! alike, for longer than its backup waits: no CPU, and the kernel's one lock for all changes of network settings
//! (RTNL), which making and removing namespaces holds for long. So a test that failed is tried again if there was such
//! a stop, and only then.

use std::fmt;
use std::net::{Ipv4Addr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::protocol::Protocol;
use crate::world::pause;

/// How often a test is tried.
const ATTEMPTS: usize = 3;

/// Time between two looks.
const PERIOD: Duration = Duration::from_millis(5);

/// The longest stops while a test ran.
#[derive(Clone, Copy, Debug, Default)]
struct Stops {
    cpu: Duration,
    lock: Duration,
}

/// Runs the body of a test. If it fails, and the machine stood still for a quarter of an advertisement interval
/// meanwhile, runs it again.
pub(crate) fn steadily(protocol: Protocol, body: impl Fn()) {
    let limit = protocol.interval() / 4;
    for attempt in 1.. {
        let (outcome, stops) = watched(&body);
        let Err(panic) = outcome else { return };
        if stops.cpu.max(stops.lock) < limit || attempt == ATTEMPTS {
            eprintln!("attempt {attempt} failed, on a machine that stood still for {stops}");
            resume_unwind(panic);
        }
        eprintln!("attempt {attempt} failed, but the machine stood still for {stops}: once more");
    }
}

fn watched(body: &impl Fn()) -> (thread::Result<()>, Stops) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| watch(&done));
        // Nothing of a failed attempt is used again.
        let outcome = catch_unwind(AssertUnwindSafe(body));
        done.store(true, Ordering::Relaxed);
        (outcome, watch.join().unwrap_or_default())
    })
}

fn watch(done: &AtomicBool) -> Stops {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let mut stops = Stops::default();
    while !done.load(Ordering::Relaxed) {
        let started = Instant::now();
        pause(PERIOD);
        let awake = Instant::now();
        stops.cpu = stops.cpu.max((awake - started).saturating_sub(PERIOD));
        // Joining takes the lock first, and may then fail for want of an interface.
        let _ = socket.join_multicast_v4(&Ipv4Addr::new(239, 0, 0, 1), &Ipv4Addr::LOCALHOST);
        let _ = socket.leave_multicast_v4(&Ipv4Addr::new(239, 0, 0, 1), &Ipv4Addr::LOCALHOST);
        stops.lock = stops.lock.max(awake.elapsed());
    }
    stops
}

impl fmt::Display for Stops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} (CPU) and {:?} (RTNL)", self.cpu, self.lock)
    }
}
