//! Telling a program that misbehaves from a machine that stood still.
//!
//! Tests on real time can't do without a machine that keeps it. Two things stop a program for longer than a backup waits
//! for its master: no CPU, and the kernel's one lock for all changes of network settings (RTNL), which making and removing
//! namespaces holds for long. So a test that failed is tried again if there was such a stop, and only then.

use std::fmt;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::wait::pause;

/// Time between two looks.
const PERIOD: Duration = Duration::from_millis(5);

/// The longest stops while somebody watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stops {
    /// For how long a thread that was due did not run.
    pub cpu: Duration,
    /// For how long the lock on network settings was not to be had.
    pub lock: Duration,
}

impl Stops {
    /// The longer of both.
    pub fn longest(&self) -> Duration {
        self.cpu.max(self.lock)
    }
}

impl fmt::Display for Stops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} (CPU) and {:?} (RTNL)", self.cpu, self.lock)
    }
}

/// A thread that watches how long the machine stands still. Ends when it is dropped.
#[derive(Debug)]
pub struct Stillness {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<Stops>>,
}

impl Stillness {
    /// Begins to watch.
    pub fn watch() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        Self {
            done,
            thread: Some(thread::spawn(move || look(&seen))),
        }
    }

    /// Ends, and tells the longest stops.
    pub fn end(mut self) -> Stops {
        self.done.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Stillness {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

fn look(done: &AtomicBool) -> Stops {
    let mut stops = Stops::default();
    // Without a socket the CPU alone is watched.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok();
    while !done.load(Ordering::Relaxed) {
        let started = Instant::now();
        pause(PERIOD);
        let awake = Instant::now();
        stops.cpu = stops.cpu.max((awake - started).saturating_sub(PERIOD));
        if let Some(socket) = &socket {
            // Joining takes the lock first, and may then fail for want of an interface.
            let group = Ipv4Addr::new(239, 0, 0, 1);
            let _ = socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST);
            let _ = socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST);
            stops.lock = stops.lock.max(awake.elapsed());
        }
    }
    stops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_the_longest_stop_of_a_thread_that_it_watches() {
        let watch = Stillness::watch();
        pause(Duration::from_millis(30));
        let stops = watch.end();
        assert!(stops.longest() < Duration::from_secs(20), "{stops}");
        assert_eq!(stops.longest(), stops.cpu.max(stops.lock));
    }
}
