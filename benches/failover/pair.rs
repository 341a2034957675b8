//! Two nodes of one program, a client, and everything that happens to them in one run.

use std::os::unix::fs::symlink;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ha_benches::testbed::event::{CHECK, Event, FIRST, Program, SECOND};
use ha_benches::testbed::lan::{Lan, Side};
use ha_benches::testbed::setup::{expect_checked, install_check, set_alive};
use ha_benches::testbed::{Client, Keepalived, Node, Result, Setup, Variant, pause, wait_until};

use super::report::Report;

/// Time between two of the client's questions.
const PERIOD: Duration = Duration::from_micros(500);
/// How long to look on after a takeover: answers may still be under way, and a busy machine be late.
const AFTERMATH: Duration = Duration::from_millis(250);
/// Longest time that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The process that the master watches, on the host's own `/run`.
const WATCHED: &str = "/run/ha-watched";
const WATCHED_NAME: &str = "ha-watched";

enum Running {
    Ours(Node),
    Keepalived(Keepalived),
}

impl Running {
    fn stop(self) -> Result<()> {
        match self {
            Self::Ours(node) => node.stop(),
            Self::Keepalived(mut keepalived) => keepalived.stop(),
        }
    }
}

struct Pair {
    program: Program,
    lan: Lan,
    setup: Setup,
    first: Option<Running>,
    client: Client,
    watched: Option<Child>,
    /// Held for its end.
    _second: Running,
}

/// Starts both nodes, and lets happen what is asked, once each.
pub(crate) fn run(program: Program, interval_cs: u16, events: &[Event], report: &mut Report) -> Result<()> {
    let mut pair = Pair::start(program, interval_cs)?;
    for event in events.iter().filter(|event| event.is_possible(program)) {
        let took = pair
            .happens(*event)
            .map_err(|error| format!("{event}: {error}"))?;
        report.add(*event, interval_cs, program, took);
    }
    Ok(())
}

impl Pair {
    fn start(program: Program, interval_cs: u16) -> Result<Self> {
        let lan = Lan::new()?;
        let variant = Variant::v3(interval_cs);
        install_check(lan.host(Side::A))?;
        lan.host(Side::A).run(|| symlink("/usr/bin/sleep", WATCHED))?;
        let mut setup = Setup::new(variant, Side::A, FIRST).check(CHECK);
        if Event::DeadProcess.is_possible(program) {
            setup = setup.process(WATCHED_NAME);
        }
        let client = Client::start(&lan, setup.service(), PERIOD)?;
        let watched = watched(&lan)?;
        let second = start(program, &lan, &Setup::new(variant, Side::B, SECOND))?;
        let first = start(program, &lan, &setup)?;
        let pair = Self {
            program,
            lan,
            setup,
            first: Some(first),
            client,
            watched: Some(watched),
            _second: second,
        };
        pair.is_back(Instant::now()).map_err(|error| match &pair.first {
            Some(Running::Keepalived(keepalived)) => format!("{error}\n{}", keepalived.log()).into(),
            _ => error,
        })?;
        Ok(pair)
    }

    /// Lets it happen while the first serves, and sees to it that the first serves again. Returns how long clients were
    /// without what they came for.
    fn happens(&mut self, event: Event) -> Result<Duration> {
        match event {
            Event::LinkCut => self.link_is_cut(),
            Event::PlannedStop => self.is_stopped(),
            Event::Switchover => self.switches_over(),
            Event::FailedCheck => self.check_fails(),
            Event::DeadProcess => self.process_dies(),
            Event::Recovery => self.recovers(),
        }
    }

    fn link_is_cut(&mut self) -> Result<Duration> {
        let mut capture = self.lan.client().capture()?;
        capture
            .wait_for(PATIENCE, |frame| frame.vrrp().is_some())
            .ok_or("no adverts")?;
        let began = Instant::now();
        self.lan.lab().cut(Side::A.name())?;
        let outage = self.outage(began)?;
        let healed = Instant::now();
        self.lan.lab().heal(Side::A.name())?;
        self.is_back(healed)?;
        Ok(outage)
    }

    fn is_stopped(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.first.take().ok_or("the first node doesn't run")?.stop()?;
        let outage = self.outage(began)?;
        let starts = Instant::now();
        self.first = Some(start(self.program, &self.lan, &self.setup)?);
        self.is_back(starts)?;
        Ok(outage)
    }

    fn switches_over(&mut self) -> Result<Duration> {
        let Some(Running::Ours(node)) = &mut self.first else {
            return Err("keepalived has no such command".into());
        };
        let began = Instant::now();
        node.switch_over()?;
        let outage = self.outage(began)?;
        let resumes = Instant::now();
        if let Some(Running::Ours(node)) = &mut self.first {
            node.resume()?;
        }
        self.is_back(resumes)?;
        Ok(outage)
    }

    /// The service has failed when the check's file goes: what counts is when the other serves.
    fn check_fails(&mut self) -> Result<Duration> {
        let took = self.fail_check()?;
        let recovers = Instant::now();
        set_alive(self.lan.host(Side::A), true)?;
        self.is_back(recovers)?;
        Ok(took)
    }

    fn fail_check(&mut self) -> Result<Duration> {
        expect_checked(self.lan.host(Side::A))?;
        let began = Instant::now();
        set_alive(self.lan.host(Side::A), false)?;
        Ok(self.client.expect_answer(Side::B, began, PATIENCE)? - began)
    }

    fn process_dies(&mut self) -> Result<Duration> {
        let mut process = self.watched.take().ok_or("nothing is watched")?;
        let began = Instant::now();
        process.kill()?;
        process.wait()?;
        let took = self.client.expect_answer(Side::B, began, PATIENCE)? - began;
        let recovers = Instant::now();
        self.watched = Some(watched(&self.lan)?);
        self.is_back(recovers)?;
        Ok(took)
    }

    fn recovers(&mut self) -> Result<Duration> {
        self.fail_check()?;
        pause(AFTERMATH);
        let began = Instant::now();
        set_alive(self.lan.host(Side::A), true)?;
        self.client.expect_answer(Side::A, began, PATIENCE)?;
        pause(AFTERMATH);
        let outage = self.client.outage_since(began);
        self.is_back(Instant::now())?;
        Ok(outage)
    }

    /// How long nobody answered, until the second serves.
    fn outage(&self, since: Instant) -> Result<Duration> {
        self.client.expect_answer(Side::B, since, PATIENCE)?;
        pause(AFTERMATH);
        Ok(self.client.outage_since(since))
    }

    /// Waits until the first serves, and nobody else has for long enough that the second knows.
    fn is_back(&self, since: Instant) -> Result<()> {
        self.client.expect_answer(Side::A, since, PATIENCE)?;
        let mut seen = Vec::new();
        let settled = wait_until(PATIENCE, || {
            pause(AFTERMATH + self.setup.variant.interval());
            seen = self.client.answered_since(Instant::now() - AFTERMATH);
            Ok(seen == [Side::A])
        })?;
        if settled {
            Ok(())
        } else {
            Err(format!("answered by {seen:?} instead of the first").into())
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if let Some(process) = &mut self.watched {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn start(program: Program, lan: &Lan, setup: &Setup) -> Result<Running> {
    let host = lan.host(setup.side);
    Ok(match program {
        Program::Ours => Running::Ours(Node::start(host, setup)?),
        Program::Keepalived => Running::Keepalived(Keepalived::start(host, setup)?),
    })
}

/// A process with a name of its own that does nothing.
fn watched(lan: &Lan) -> Result<Child> {
    let mut command = Command::new(WATCHED);
    command.arg("3600");
    Ok(lan.host(Side::A).spawn(command)?)
}
