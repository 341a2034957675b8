//! What goes wrong, one thing after the other, and what the client sees of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vrrp_core::State;

use super::client::{self, Client, Failure, KeptAlive, Seen};
use super::node::Command;
use super::report::{Outcome, Timeline, ms};
use super::topology::{CHECK_INTERVAL, CLIENT, LB1, LB2, VIP, WEBS};
use super::web::Server;
use super::world::{Node, Result, World};

/// Requests that are to alternate.
const TURNS: usize = 20;
/// How long to look on after a fault has been survived.
const AFTERMATH: Duration = Duration::from_millis(500);
/// When an open connection that doesn't answer counts as hanging.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a broken connection may leave its client in doubt.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Everything that runs.
struct Cluster {
    world: World,
    lb1: Node,
    lb2: Node,
    webs: [Option<Server>; 2],
    client: Client,
}

/// Runs all scenarios, about a minute.
pub(crate) fn run(timeline: &Arc<Timeline>) -> Result<Vec<Outcome>> {
    let world = World::new(Arc::clone(timeline))?;
    timeline
        .headline("Two nodes, one virtual IP: 192.168.192.130 on lb1 (priority 100) or lb2 (priority 90)");
    let webs = WEBS.map(|web| Server::start(world.lab.host(web.name), web));
    let [first, second] = webs;
    let webs = [Some(first?), Some(second?)];
    let lb1 = world.start(LB1)?;
    let lb2 = world.start(LB2)?;
    lb1.wait_for(State::Master)?;
    lb2.wait_for(State::Backup)?;
    pause(AFTERMATH);

    let mut outcomes = vec![alternates(&world)?];
    let client = Client::start(world.lab.host(CLIENT.0))?;
    let mut cluster = Cluster {
        world,
        lb1,
        lb2,
        webs,
        client,
    };
    outcomes.push(cluster.backend_dies()?);
    outcomes.push(cluster.proxy_dies()?);
    outcomes.push(cluster.proxy_recovers()?);
    let (mut cluster, outcome) = cluster.process_is_killed()?;
    outcomes.push(outcome);
    outcomes.push(cluster.link_is_cut()?);
    outcomes.push(cluster.planned_stop()?);
    Ok(outcomes)
}

fn alternates(world: &World) -> Result<Outcome> {
    world
        .timeline
        .headline("(a) requests alternate between the web servers");
    let ports = world.lab.host(CLIENT.0).block_on(async {
        let mut ports = Vec::with_capacity(TURNS);
        for _ in 0..TURNS {
            ports.push(client::ask_once().await);
        }
        ports
    });
    let ports: Vec<u16> = ports
        .into_iter()
        .collect::<std::result::Result<_, _>>()
        .map_err(|failure| format!("a request failed in peace: {failure}"))?;
    world
        .timeline
        .say(CLIENT.0, format_args!("{TURNS} requests: {:?} …", &ports[..6]));
    let alternate = ports.windows(2).all(|pair| pair[0] != pair[1]);
    Ok(
        Outcome::new("a", "requests alternate", Duration::ZERO, Duration::ZERO)
            .expect(alternate, || format!("the ports were {ports:?}")),
    )
}

impl Cluster {
    fn backend_dies(&mut self) -> Result<Outcome> {
        self.headline("(b) a web server dies");
        let began = Instant::now();
        self.webs[0] = None;
        self.say(WEBS[0].name, "dead");
        pause(Duration::from_secs(2));
        let seen = self.look("web2 serves alone", began);
        // One detection: what is under way to the dead server when it is found out may fail, nothing later.
        let late = seen
            .failed
            .iter()
            .filter(|(began_at, _)| *began_at > began + AFTERMATH)
            .count();
        let outcome = Outcome::new("b", "a web server dies", seen.longest_gap, Duration::ZERO)
            .note(format!(
                "{} answered, {} failed",
                seen.answered,
                seen.failed.len()
            ))
            .expect(late == 0, || {
                format!("{late} requests failed after the detection")
            })
            .expect(seen.failed.len() <= 1, || {
                format!("failed requests: {}", seen.failures())
            });

        self.webs[0] = Some(Server::start(self.world.lab.host(WEBS[0].name), WEBS[0])?);
        let back = Instant::now();
        self.say(WEBS[0].name, "back");
        while !self.client.seen_since(back).ports.contains(&WEBS[0].port) {
            if back.elapsed() > Duration::from_secs(5) {
                return Ok(outcome.expect(false, || "the web server got no request after its return".into()));
            }
            pause(Duration::from_millis(10));
        }
        self.say(
            CLIENT.0,
            format_args!("web1 answers again after {} ms", ms(back.elapsed())),
        );
        Ok(outcome)
    }

    fn proxy_dies(&mut self) -> Result<Outcome> {
        self.headline("(c) the master's proxy dies, VRRP runs on");
        let began = Instant::now();
        self.lb1.tell(Command::AbortProxy)?;
        self.lb2.wait_for(State::Master)?;
        self.lb1.wait_for(State::Backup)?;
        pause(AFTERMATH);
        let seen = self.look("served by lb2", began);
        let bound = CHECK_INTERVAL + LB2.skew_time();
        Ok(Outcome::new("c", "the master's proxy dies", seen.longest_gap, bound)
            .note("detection within the check's interval, then the skew time: lb1 calls an election at priority 80")
            .note(format!("failed requests: {}", seen.failures())))
    }

    fn proxy_recovers(&mut self) -> Result<Outcome> {
        self.headline("(d) the proxy recovers, lb1 preempts");
        let host = self.world.lab.host(CLIENT.0).clone();
        let mut open = KeptAlive::open(&host, PATIENCE)
            .map_err(|failure| format!("no connection to keep open: {failure}"))?;
        let began = Instant::now();
        self.lb1.tell(Command::StartProxy)?;
        self.lb1.wait_for(State::Master)?;
        self.lb2.wait_for(State::Backup)?;
        // A connection lives on the node that accepted it. The new master knows nothing of it and says so.
        let asked = Instant::now();
        let (fate, at_once) = match open.ask() {
            Ok(_) => ("goes on".to_owned(), true),
            Err(Failure::TimedOut) => ("hangs".to_owned(), false),
            Err(failure) => {
                let after = asked.elapsed();
                (
                    format!("breaks: {failure} after {} ms", ms(after)),
                    after < AT_ONCE,
                )
            }
        };
        self.say(CLIENT.0, format_args!("a connection opened through lb2 {fate}"));
        pause(AFTERMATH);
        let seen = self.look("served by lb1", began);
        Ok(Outcome::new(
            "d",
            "it recovers, lb1 takes the address back",
            seen.longest_gap,
            Duration::ZERO,
        )
        .note(format!(
            "an open connection {fate}; failed requests: {}",
            seen.failures()
        ))
        .expect(at_once, || {
            format!("an open connection {fate}, and should break at once")
        }))
    }

    fn process_is_killed(self) -> Result<(Self, Outcome)> {
        self.headline("(e) the master's process is killed (SIGKILL)");
        let Self {
            world,
            lb1,
            lb2,
            webs,
            client,
        } = self;
        let began = Instant::now();
        lb1.kill()?;
        world.timeline.say(LB1.name, "killed");
        let mut gone_after = None;
        while gone_after.is_none() && began.elapsed() < Duration::from_secs(6) {
            pause(Duration::from_millis(10));
            if !world.holds_vip(LB1)? {
                gone_after = Some(began.elapsed());
                world
                    .timeline
                    .say(LB1.name, format_args!("{VIP} is gone: nobody renewed its lease"));
            }
        }
        lb2.wait_for(State::Master)?;
        pause(AFTERMATH);
        let seen = client.seen_since(began);
        let answers = world.who_answers()?;
        let outcome = Outcome::new(
            "e",
            "the master's process is killed",
            seen.longest_gap,
            LB2.master_down_interval(),
        )
        .note(match gone_after {
            Some(after) => format!(
                "lb1's kernel dropped the address after {} ms by itself",
                ms(after)
            ),
            None => "lb1 still has the address".into(),
        })
        .note(format!("failed requests: {}", seen.failures()))
        .expect(gone_after.is_some(), || {
            "the dead node's address was not dropped".into()
        })
        .expect(answers == [LB2.name], || {
            format!("ARP for the address was answered by {answers:?}")
        });
        let lb1 = world.start(LB1)?;
        lb1.wait_for(State::Master)?;
        let cluster = Self {
            world,
            lb1,
            lb2,
            webs,
            client,
        };
        cluster.lb2.wait_for(State::Backup)?;
        Ok((cluster, outcome))
    }

    fn link_is_cut(&mut self) -> Result<Outcome> {
        self.headline("(f) the master's cable is pulled, and plugged in again");
        let began = Instant::now();
        self.world.lab.cut(LB1.name)?;
        self.say(LB1.name, "cable pulled");
        self.lb2.wait_for(State::Master)?;
        pause(AFTERMATH);
        let seen = self.look("served by lb2", began);
        self.world.lab.heal(LB1.name)?;
        self.say(LB1.name, "cable plugged in");
        self.lb1.wait_for(State::Master)?;
        self.lb2.wait_for(State::Backup)?;
        pause(AFTERMATH);
        let answers = self.world.who_answers()?;
        Ok(Outcome::new(
            "f",
            "the master's link is cut and healed",
            seen.longest_gap,
            LB2.master_down_interval(),
        )
        .note(format!("failed requests: {}", seen.failures()))
        .expect(answers == [LB1.name], || {
            format!("after healing, ARP was answered by {answers:?}")
        }))
    }

    fn planned_stop(self) -> Result<Outcome> {
        self.headline("(g) the master is stopped for maintenance");
        let began = Instant::now();
        let ended_well = self.lb1.stop()?;
        self.world.timeline.say(LB1.name, "stopped");
        self.lb2.wait_for(State::Master)?;
        pause(AFTERMATH);
        let seen = self.client.seen_since(began);
        let answers = self.world.who_answers()?;
        let outcome = Outcome::new("g", "planned stop", seen.longest_gap, LB2.skew_time())
            .note(format!("failed requests: {}", seen.failures()))
            .expect(ended_well, || "lb1 ended with an error".into())
            .expect(answers == [LB2.name], || {
                format!("ARP for the address was answered by {answers:?}")
            });
        let ended_well = self.lb2.stop()?;
        Ok(outcome.expect(ended_well, || "lb2 ended with an error".into()))
    }

    fn headline(&self, text: &str) {
        self.world.timeline.headline(text);
    }

    fn say(&self, who: &str, what: impl std::fmt::Display) {
        self.world.timeline.say(who, what);
    }

    fn look(&self, what: &str, since: Instant) -> Seen {
        let seen = self.client.seen_since(since);
        let Seen {
            longest_gap,
            answered,
            ..
        } = &seen;
        self.say(
            CLIENT.0,
            format_args!(
                "{what}: {answered} answers, none for {} ms, failed: {}",
                ms(*longest_gap),
                seen.failures()
            ),
        );
        seen
    }
}

#[expect(clippy::disallowed_methods, reason = "this thread sends no adverts")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
