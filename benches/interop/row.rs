//! One row: our node and another program with one virtual router, from the first election to the last stop.
//!
//! What counts is what others see: states on both sides, the address on one of them alone, one answer to ARP or
//! Neighbor Solicitation, and whom a client reaches. Times are bounded by the protocol's own, with room for a busy
//! machine; a takeover by priority 0 must come well before Master_Down_Timer would have caused it.

use std::time::{Duration, Instant};

use ha_benches::testbed::lan::{Lan, Side};
use ha_benches::testbed::setup::{install_check, set_alive};
use ha_benches::testbed::{Client, Node, Result, Role, Setup, Variant, frr, pause, wait_until};
use vrrp_net::lab::MacAddr;

use super::peer::{Peer, Program};

/// Priority of the one who is to be master, of the backup, and of ours as the lower one.
const HIGH: u8 = 100;
const MIDDLE: u8 = 90;
const LOW: u8 = 80;
/// How often our check runs.
const CHECK: Duration = Duration::from_millis(50);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(700);
/// How long states may take to be seen after the client sees the takeover.
const SETTLES: Duration = Duration::from_secs(3);
/// Time between two of the client's questions.
const PERIOD: Duration = Duration::from_millis(2);

/// What is tried, in order.
pub(crate) const STEPS: [&str; 7] = [
    "ours elected",
    "our link cut",
    "re-election",
    "we stop",
    "theirs elected",
    "their link cut",
    "they stop",
];

/// What came of a row: the time of each step that passed, and why the next one did not.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) passed: Vec<Duration>,
    pub(crate) failed: Option<String>,
}

/// Who and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) program: Program,
    pub(crate) variant: Variant,
}

struct World {
    row: Row,
    lan: Lan,
    node: Option<Node>,
    peer: Peer,
    client: Client,
    /// When ours was started, and theirs right after it.
    began: Instant,
}

impl Row {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.program, self.variant)
    }

    /// Tries everything, up to the first that fails.
    pub(crate) fn run(self) -> Outcome {
        let mut passed = Vec::new();
        let failed = self.try_all(&mut passed).err().map(|error| error.to_string());
        Outcome { passed, failed }
    }

    fn setup(self, side: Side, priority: u8) -> Setup {
        Setup::new(self.variant, side, priority)
    }

    fn ours(self, priority: u8) -> Setup {
        self.setup(Side::A, priority).check(CHECK)
    }

    fn try_all(self, passed: &mut Vec<Duration>) -> Result<()> {
        let lan = Lan::new()?;
        install_check(lan.host(Side::A))?;
        let theirs = self.setup(Side::B, MIDDLE);
        let client = Client::start(&lan, theirs.service(), PERIOD)?;
        let began = Instant::now();
        let node = Node::start(lan.host(Side::A), &self.ours(HIGH))?;
        let peer = Peer::start(self.program, lan.host(Side::B), &theirs)?;
        let mut world = World {
            row: self,
            lan,
            node: Some(node),
            peer,
            client,
            began,
        };
        let steps: [fn(&mut World) -> Result<Duration>; STEPS.len()] = [
            World::ours_is_elected,
            World::our_link_is_cut,
            World::theirs_is_re_elected,
            World::we_stop,
            World::theirs_is_elected,
            World::their_link_is_cut,
            World::they_stop,
        ];
        for (step, name) in steps.into_iter().zip(STEPS) {
            let took = step(&mut world)
                .map_err(|error| format!("{name}: {error}\n{}", last_lines(&world.peer.log(), 25)))?;
            passed.push(took);
        }
        Ok(())
    }
}

impl World {
    fn ours_is_elected(&mut self) -> Result<Duration> {
        let took = self.served_by(Side::A, self.began, self.down(HIGH))?;
        self.expect_settled(Side::A)?;
        Ok(took)
    }

    fn our_link_is_cut(&mut self) -> Result<Duration> {
        self.link_is_cut(Side::A, MIDDLE, HIGH)
    }

    fn their_link_is_cut(&mut self) -> Result<Duration> {
        self.link_is_cut(Side::B, LOW, MIDDLE)
    }

    /// The master's cable is pulled: the other takes over. Plugged in again: the higher one takes it back.
    fn link_is_cut(&mut self, side: Side, backup: u8, master: u8) -> Result<Duration> {
        let began = Instant::now();
        self.lan.lab().cut(side.name())?;
        let took = self.served_by(side.other(), began, self.down(backup))?;
        if !wait_until(SETTLES, || Ok(self.role(side.other()) == Role::Master))? {
            return Err("the backup is not master".into());
        }
        let healed = Instant::now();
        self.lan.lab().heal(side.name())?;
        if side == Side::B && self.row.program == Program::Frr {
            // FRR stays master while it has no link, and doesn't announce itself when the link is back: a client that
            // has learnt our MAC address meanwhile goes on with it until its kernel asks anew.
            self.expect_settled(side)?;
            frr::ip(self.lan.client(), "neighbour flush dev eth0")?;
            self.served_by(side, Instant::now(), SETTLES)?;
        } else {
            self.served_by(side, healed, self.down(master) + self.row.variant.interval())?;
            self.expect_settled(side)?;
        }
        Ok(took)
    }

    /// A check lowers our priority below theirs while both are well.
    fn theirs_is_re_elected(&mut self) -> Result<Duration> {
        let began = Instant::now();
        set_alive(self.lan.host(Side::A), false)?;
        let took = self.served_by(Side::B, began, CHECK * 2 + self.by_skew(MIDDLE))?;
        self.expect_settled(Side::B)?;
        pause(Duration::from_millis(150));
        let gap = self.client.outage_since(began);
        let allowed = self.no_gap(MIDDLE);
        if gap > allowed {
            return Err(format!("nobody answered for {gap:?}, {allowed:?} are allowed").into());
        }
        let priority = self.ours()?.ask()?.priority;
        if priority != LOW {
            return Err(format!("our priority is {priority} instead of {LOW}").into());
        }
        let recovers = Instant::now();
        set_alive(self.lan.host(Side::A), true)?;
        self.served_by(Side::A, recovers, CHECK * 2 + self.down(HIGH))?;
        self.expect_settled(Side::A)?;
        self.expect_heard()?;
        Ok(took)
    }

    fn we_stop(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.node.take().ok_or("our node doesn't run")?.stop()?;
        let took = self.served_by(Side::B, began, self.by_skew(MIDDLE))?;
        self.expect_settled(Side::B)?;
        Ok(took)
    }

    fn theirs_is_elected(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.start_ours(LOW)?;
        let heard = wait_until(self.row.variant.interval() * 4 + SLACK, || {
            Ok(self.ours()?.role() == Role::Backup && self.ours()?.ask()?.received >= 2)
        })?;
        if !heard {
            return Err(format!("ours did not follow: {:?}", self.ours()?.ask()?).into());
        }
        let took = began.elapsed();
        self.expect_settled(Side::B)?;
        self.expect_heard()?;
        let answered = self.client.answered_since(began);
        if answered != [Side::B] {
            return Err(format!("the client was answered by {answered:?}").into());
        }
        Ok(took)
    }

    fn they_stop(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.peer.stop()?;
        let took = self.served_by(Side::A, began, self.by_skew(LOW))?;
        self.expect_settled(Side::A)?;
        self.expect_heard()?;
        Ok(took)
    }

    fn start_ours(&mut self, priority: u8) -> Result<()> {
        let setup = self.row.ours(priority);
        self.node = Some(Node::start(self.lan.host(Side::A), &setup)?);
        Ok(())
    }

    fn ours(&mut self) -> Result<&mut Node> {
        self.node.as_mut().ok_or_else(|| "our node doesn't run".into())
    }

    fn role(&mut self, side: Side) -> Role {
        match side {
            Side::A => self.node.as_mut().map_or(Role::Other, Node::role),
            Side::B => self.peer.role(),
        }
    }

    /// Longest time to a takeover by Master_Down_Timer.
    fn down(&self, priority: u8) -> Duration {
        self.row.variant.master_down_interval(priority) + SLACK
    }

    /// Longest time to a takeover after priority 0; Master_Down_Timer would take longer.
    fn by_skew(&self, priority: u8) -> Duration {
        self.row.variant.skew_time(priority) + self.row.variant.interval() * 3 / 2
    }

    /// Longest loss when both are alive: between an advert and a gratuitous ARP lie two processes' turns. Half the skew
    /// time, since going silent right after priority 0 would cost the skew time.
    fn no_gap(&self, priority: u8) -> Duration {
        self.row.variant.skew_time(priority) / 2
    }

    /// Waits until the client is served by a host. Returns how long that took since a moment.
    fn served_by(&self, side: Side, since: Instant, bound: Duration) -> Result<Duration> {
        // Looked for longer than allowed, to tell late from never.
        let first = self.client.expect_answer(side, since, bound * 2 + SETTLES)?;
        let took = first - since;
        if took > bound {
            return Err(format!("{} took over after {took:?}, {bound:?} are allowed", side.name()).into());
        }
        Ok(took)
    }

    /// Waits until one is master and the other is not, the addresses are there alone, and nobody else answers for them.
    fn expect_settled(&mut self, master: Side) -> Result<()> {
        let address = self.row.setup(master, MIDDLE).service();
        let mut seen = String::new();
        let settled = wait_until(SETTLES, || {
            let roles = Side::BOTH.map(|side| self.role(side));
            let holds = [
                self.lan.holds(Side::A, address)?,
                self.lan.holds(Side::B, address)?,
            ];
            seen = format!("roles {roles:?}, address there {holds:?}");
            let one = |side: Side, index: usize| {
                (roles[index] == Role::Master) == (side == master) && holds[index] == (side == master)
            };
            Ok(one(Side::A, 0) && one(Side::B, 1))
        })?;
        if !settled {
            return Err(format!("{} should be the only master: {seen}", master.name()).into());
        }
        let answers = self.lan.who_has(address)?;
        let expected = self.mac(master);
        if answers != [expected] {
            return Err(format!("{address} is answered for by {answers:?} instead of {expected}").into());
        }
        Ok(())
    }

    /// The MAC address that answers for the virtual address on a side.
    fn mac(&self, side: Side) -> MacAddr {
        let family = if self.row.variant.ipv6 { 2 } else { 1 };
        let frr = side == Side::B && self.row.program == Program::Frr;
        if self.row.variant.vmac || frr {
            MacAddr::new(0, 0, 0x5e, 0, family, 1)
        } else {
            self.lan.host(side).mac()
        }
    }

    /// Fails unless our node has heard adverts, and discarded none.
    fn expect_heard(&mut self) -> Result<()> {
        let answer = self.ours()?.ask()?;
        if answer.received == 0 || answer.discarded > 0 {
            return Err(format!("our counters: {answer:?}").into());
        }
        Ok(())
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
