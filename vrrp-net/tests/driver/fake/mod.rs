//! A network in virtual time: a script says what comes, a log says what the driver did.
#![allow(unreachable_pub, reason = "a module of one test program")]

mod made;
mod network;
mod script;

pub use made::{advert, config, fast_advert, ms, peer, up, vip};
pub use script::{Acceptance, Act, Fact, Outcome};

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;
use vrrp_core::VirtualRouter;
use vrrp_net::{Attachment, AttachmentBuilder, Driver, DriverEvent, LinkState, MacAddr, Plan, RouterSet};

use network::{FakeNetwork, World};

pub const INTERFACE: &str = "eth0";
/// What the wall clock shows when the driver starts.
pub const EPOCH: Duration = Duration::from_secs(1_767_225_600);
pub const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// Runs routers of these priorities (VRIDs 1, 2, … with addresses 192.0.2.101, .102, …), VRRPv3 at 1 s, up to `end`,
/// and then shuts them down.
pub fn run(priorities: &[u8], end: Duration, script: impl IntoIterator<Item = (Duration, Fact)>) -> Outcome {
    run_with(priorities, up(), end, script)
}

pub fn run_with(
    priorities: &[u8],
    link: LinkState,
    end: Duration,
    script: impl IntoIterator<Item = (Duration, Fact)>,
) -> Outcome {
    run_attached(priorities, link, |attachment| attachment, end, script)
}

/// With settings of the attachments.
pub fn run_attached(
    priorities: &[u8],
    link: LinkState,
    attach: impl Fn(AttachmentBuilder) -> AttachmentBuilder,
    end: Duration,
    script: impl IntoIterator<Item = (Duration, Fact)>,
) -> Outcome {
    let routers = priorities.iter().zip(1..).map(|(priority, vrid)| {
        let config = config(vrid, *priority);
        VirtualRouter::new(config, IpAddr::from([0, 0, 0, 0]))
    });
    run_set(RouterSet::new(routers.collect()), link, attach, end, script)
}

/// With routers of the caller's own, to be found under the VRIDs 1, 2, …
pub fn run_set(
    routers: RouterSet,
    link: LinkState,
    attach: impl Fn(AttachmentBuilder) -> AttachmentBuilder,
    end: Duration,
    script: impl IntoIterator<Item = (Duration, Fact)>,
) -> Outcome {
    let attachment = || attach(Attachment::builder(INTERFACE)).build().unwrap();
    let attachments: Vec<_> = routers.routers().iter().map(|_| attachment()).collect();
    let plan = Plan::new(&routers, &attachments).unwrap();
    let (commands, inbox) = mpsc::unbounded_channel();
    let world = Rc::new(RefCell::new(World::new(script, end, link, commands)));
    let network = FakeNetwork::new(Rc::clone(&world), plan.link_id(INTERFACE).unwrap());
    let driver = Driver::new(routers, plan, network).unwrap();
    let counters = driver.counters_reader();
    let over = poll_fn(|_| {
        if world.borrow().now >= end {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let tell = |event| {
        let act = match event {
            DriverEvent::Transition { router, transition } => Act::Transition(router, transition),
            other => Act::Event(other),
        };
        world.borrow_mut().note(act);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(driver.run(inbox, tell, over)).unwrap();
    let log = std::mem::take(&mut world.borrow_mut().log);
    Outcome {
        log,
        counters: counters(),
    }
}
