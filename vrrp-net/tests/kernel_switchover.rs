//! Handing over on purpose, and what comes after: the hold, its end, and what becomes of it when nobody is there.

mod node;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use node::client::{Client, Echo};
use node::lan::pair_and_client;
use node::{Node, PATIENCE, Setup, has, ip, pause, switch_over, within};
use vrrp_core::{Priority, Reason, State, SwitchoverEnd, Vrid};
use vrrp_net::lab::{Host, LabTest};
use vrrp_net::{DriverEvent, RouterCommand};

const VIP: &str = "192.0.2.100";
const OTHER_VIP: &str = "192.0.2.101";
/// What a client may miss, at the median of a few rounds: others may want the machine. Giving mastership up by priority
/// 0 and silence would cost the other's skew time, 61 ms in every round.
const MAX_GAP: Duration = Duration::from_millis(20);
const ROUNDS: usize = 5;
/// Long enough for a node to preempt that would.
const LONG: Duration = Duration::from_millis(1500);
/// Makes this program a node on the interface of that name; see `node_process`.
const INTERFACE: &str = "VRRP_TEST_NODE_INTERFACE";

#[test]
fn a_node_that_has_handed_over_is_held_until_the_new_one_is_killed() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = pair_and_client();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let mut program = NodeProcess::start(b);
        within(PATIENCE, || has(b, VIP));
        let high = Setup::new(a, 150, &[VIP]).start(a);
        high.wait_for(State::Master);
        within(PATIENCE, || !has(b, VIP));
        switch_over(&high);
        within(PATIENCE, || has(b, VIP) && !has(a, VIP));
        high.take_events();
        pause(LONG);
        let events = high.take_events();
        assert!(events.is_empty(), "it is above, and preempts nobody: {events:?}");
        program.kill();
        let (_, transition) = high.wait_for(State::Master);
        assert_eq!(transition.reason, Reason::MasterDown);
        // The dead node's lease ends.
        within(PATIENCE, || has(a, VIP) && !has(b, VIP));
    });
}

#[test]
fn with_nobody_to_take_over_the_master_stays_and_says_so() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = pair_and_client();
        let a = lab.host("a");
        let node = Setup::new(a, 150, &[VIP]).start(a);
        node.wait_for(State::Master);
        let vip = SocketAddr::new(ip(VIP), 7007);
        let _echo = Echo::start(a, vip);
        let client = Client::start(lab.host("client"), vip);
        node.handle
            .command(RouterCommand::Switchover { router: 0 })
            .unwrap();
        let (_, end) = node.wait_for_event(|event| match event {
            DriverEvent::Switchover { router: 0, end } => Some(*end),
            DriverEvent::Transition { .. } => panic!("it stays master: {event:?}"),
            _ => None,
        });
        assert_eq!(end, SwitchoverEnd::NobodyTookOver);
        pause(LONG);
        let events = node.take_events();
        assert!(events.is_empty(), "{events:?}");
        assert!(has(a, VIP));
        let gap = client.longest_gap();
        println!("the client saw a gap of {gap:?}");
        assert!(gap <= MAX_GAP, "it went on serving: {gap:?}");
        // And it is not held: it can be asked again.
        node.handle
            .command(RouterCommand::Switchover { router: 0 })
            .unwrap();
        node.wait_for_event(|event| match event {
            DriverEvent::Switchover { end, .. } => (*end == SwitchoverEnd::NobodyTookOver).then_some(()),
            _ => None,
        });
    });
}

#[test]
fn a_sync_group_is_handed_over_and_back_as_a_whole_with_hardly_a_gap() {
    LabTest::new().timeout(Duration::from_secs(120)).run(|| {
        let lab = pair_and_client();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let start = |host: &Host, priority| {
            let setup = |vrid, vip: &str| {
                Setup::with_vrid(host, Vrid::new(vrid).unwrap(), Priority::new(priority), &[vip])
            };
            Node::start_group(host, vec![setup(51, VIP), setup(52, OTHER_VIP)])
        };
        let vips = [VIP, OTHER_VIP].map(|vip| SocketAddr::new(ip(vip), 7007));
        // One socket serves both addresses.
        let _echoes = [Echo::start(a, vips[0]), Echo::start(b, vips[0])];
        let low = start(b, 100);
        let serves = |host: &Host, other: &Host| {
            [VIP, OTHER_VIP]
                .iter()
                .all(|vip| has(host, vip) && !has(other, vip))
        };
        within(PATIENCE, || serves(b, a));
        let high = start(a, 150);
        within(PATIENCE, || serves(a, b));
        let mut gaps = Vec::new();
        for _ in 0..ROUNDS {
            let clients = vips.map(|vip| Client::start(lab.host("client"), vip));
            high.take_events();
            low.take_events();
            switch_over(&high);
            within(PATIENCE, || serves(b, a));
            gaps.push(clients.map(Client::longest_gap).into_iter().max().unwrap());
            pause(LONG);
            assert!(serves(b, a), "held");
            assert_eq!([&low, &high].map(became_master), [2, 0]);
            high.handle.command(RouterCommand::Resume { router: 0 }).unwrap();
            within(PATIENCE, || serves(a, b));
        }
        gaps.sort_unstable();
        println!("longest time without an answer of either address: {gaps:?}");
        assert!(gaps[ROUNDS / 2] <= MAX_GAP, "{gaps:?}");
    });
}

/// How many routers of a node have become master lately.
fn became_master(node: &Node) -> usize {
    let is_master = |event: &DriverEvent<_>| matches!(event, DriverEvent::Transition { transition, .. } if transition.to == State::Master);
    node.take_events().iter().filter(|event| is_master(event)).count()
}

/// A node of priority 100 in a process of its own, to be killed.
struct NodeProcess(Child);

impl NodeProcess {
    fn start(host: &Host) -> Self {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program
            .args(["--exact", "node_process", "--nocapture"])
            .env(INTERFACE, host.interface())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Self(host.spawn(program).unwrap())
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Not a test by itself: the process that another kills.
#[test]
fn node_process() {
    let Ok(interface) = std::env::var(INTERFACE) else {
        return;
    };
    let setup = Setup::on(&interface, Vrid::new(51).unwrap(), Priority::new(100), &[VIP])
        .attachment(|attachment| attachment.lease(Some(Duration::from_secs(1))));
    let _handle = setup.start_here();
    pause(Duration::from_secs(60));
}
