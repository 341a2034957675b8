//! Other programs that keep the kernel's network lock (RTNL) busy: adverts go out in time all the same.

mod node;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use node::{Node, Setup, has, pause};
use rtnetlink::LinkVeth;
use rtnetlink::packet_route::link::LinkAttribute;
use vrrp_core::{AdverInterval, State};
use vrrp_net::lab::{Host, Lab, LabTest};

const VIP: &str = "192.0.2.100";
/// Four intervals, beyond which a backup takes over.
const MAX_SILENCE: Duration = Duration::from_millis(40);
const WINDOW: Duration = Duration::from_millis(2500);
const WINDOWS: usize = 12;
/// Time between two looks of who watches the machine.
const LOOK: Duration = Duration::from_millis(2);

#[test]
fn renewing_leases_while_interfaces_are_made_and_deleted_elsewhere_delays_no_advert() {
    LabTest::new().timeout(Duration::from_secs(120)).run(|| {
        let (hogs_cpu, others) = split_cpus();
        // All threads from here on inherit it.
        sched_setaffinity(Pid::from_raw(0), &others).unwrap();
        let lab = Lab::builder()
            .host("a", ["192.0.2.10/24"])
            .host("b", ["192.0.2.11/24"])
            .host("busy", ["192.0.2.12/24"])
            .build()
            .unwrap();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let high = fast(a, 150);
        high.wait_for(State::Master);
        let low = fast(b, 100);
        low.wait_for(State::Backup);
        let mut capture = lab.capture().unwrap();
        let hog = Hog::start(lab.host("busy"), hogs_cpu);
        // A machine that runs nothing of ours for a while is not what this is about: so much is allowed for, and one
        // window will do. A driver that waits for the lock has none.
        let undelayed = (0..WINDOWS).any(|_| {
            let (taken, from) = (lock_taken(a), Instant::now());
            let renewals = high.handle.counters().renewals;
            let mut longest_lock = taken;
            let watch = Watch::start();
            while from.elapsed() < WINDOW {
                pause(Duration::from_millis(20));
                longest_lock = longest_lock.max(lock_taken(a));
            }
            let stood_still = watch.stop();
            let renewals = high.handle.counters().renewals - renewals;
            let adverts: Vec<_> = capture
                .frames()
                .iter()
                .filter(|frame| frame.at > from && frame.vrrp().is_some() && frame.source() == a.mac())
                .map(|frame| frame.at)
                .collect();
            let longest = adverts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            println!("lock held for {longest_lock:?}, {renewals} renewals, longest silence {longest:?}, machine stood still for {stood_still:?}");
            let busy = renewals >= 2 * EXTRA && longest_lock > 5 * MAX_SILENCE / 2;
            busy && longest < MAX_SILENCE + stood_still && longest < longest_lock / 2
        });
        hog.stop();
        assert!(undelayed && has(a, VIP));
    });
}

/// How long a request has to wait for the lock.
fn lock_taken(host: &Host) -> Duration {
    let other = "192.0.2.77/32".parse().unwrap();
    let asked = Instant::now();
    host.add_address(other).unwrap();
    let took = asked.elapsed();
    host.remove_address(other).unwrap();
    took
}

/// A thread that takes no lock, where the driver may run too: what keeps it waiting is the machine.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Watch {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let asleep = Instant::now();
                pause(LOOK);
                longest = longest.max(asleep.elapsed().saturating_sub(LOOK));
            }
            longest
        });
        Self { stop, thread }
    }

    /// The longest time for which it was kept waiting.
    fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Addresses beside the VIP: each one's renewal waits for the lock.
const EXTRA: u64 = 200;

fn fast(host: &Host, priority: u8) -> Node {
    Setup::new(host, priority, &[VIP])
        .config(|config| config.adver_interval(AdverInterval::from_centis(1).unwrap()))
        .attachment(|attachment| {
            let held = attachment
                .address(node::ip(VIP))
                .lease(Some(Duration::from_secs(1)));
            (0..EXTRA).fold(held, |held, n| held.address(node::ip(&format!("198.51.100.{n}"))))
        })
        .realtime()
        .start(host)
}

/// One CPU for the hog, which may run in the kernel for long without a break, and all others for the rest.
fn split_cpus() -> (CpuSet, CpuSet) {
    let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let mut cpus = (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu).unwrap());
    let first = cpus.next().unwrap();
    if cpus.next().is_none() {
        return (all, all);
    }
    let (mut one, mut others) = (CpuSet::new(), all);
    one.set(first).unwrap();
    others.unset(first).unwrap();
    (one, others)
}

/// Interfaces that are deleted at once.
const BATCH: usize = 1000;
/// Their group.
const GROUP: u32 = 7;

/// Makes and deletes interfaces on a host as fast as it can.
struct Hog {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Hog {
    fn start(host: &Host, cpu: CpuSet) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = async move {
            let (connection, handle, _) = rtnetlink::new_connection().unwrap();
            tokio::spawn(connection);
            while !stopped.load(Ordering::Relaxed) {
                for n in 0..BATCH {
                    let mut link = LinkVeth::new(&format!("hog{n}"), &format!("peer{n}"))
                        .up()
                        .build();
                    link.attributes.push(LinkAttribute::Group(GROUP));
                    handle.link().add(link).execute().await.unwrap();
                }
                // All of a group in one request, under one lock.
                let mut deletion = handle.link().del(0);
                deletion
                    .message_mut()
                    .attributes
                    .push(LinkAttribute::Group(GROUP));
                deletion.execute().await.unwrap();
            }
        };
        let thread = host.spawn_thread(move || {
            sched_setaffinity(Pid::from_raw(0), &cpu).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(work);
        });
        Self {
            stop,
            thread: thread.unwrap(),
        }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}
