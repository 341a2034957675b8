//! A client that asks the virtual address all the time, and services that answer.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use socket2::{Domain, Socket, Type};
use vrrp_net::lab::Host;

use crate::world::{CLIENT, VIP, World};

const PORT: u16 = 7;

/// Time between two questions.
const PERIOD: Duration = Duration::from_millis(1);

/// How long an answer may take.
const LATE: Duration = Duration::from_millis(200);

/// A UDP service on both hosts, bound to the virtual address while the host may not have it yet, and a client that
/// asks each millisecond.
pub(crate) struct Client {
    stop: Arc<AtomicBool>,
    /// There until it is asked to stop.
    asker: Option<JoinHandle<Vec<Question>>>,
    services: Vec<JoinHandle<()>>,
}

/// A question and its answer.
#[derive(Clone, Copy, Debug)]
struct Question {
    asked: Instant,
    answered_by: Option<&'static str>,
}

/// What the client saw.
pub(crate) struct Service {
    questions: Vec<Question>,
}

impl Client {
    /// Starts asking.
    pub(crate) fn start(world: &World) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let services = ["ours", "theirs"].map(|name| serve(world.lab.host(name), name, &stop));
        let stopped = Arc::clone(&stop);
        let client = world.lab.host("client");
        let asker = client.spawn_thread(move || ask(&stopped)).unwrap();
        Self {
            stop,
            asker: Some(asker),
            services: services.into(),
        }
    }

    /// Stops asking.
    pub(crate) fn stop(mut self) -> Service {
        self.stop.store(true, Ordering::Relaxed);
        let asker = self
            .asker
            .take()
            .expect("this is the only place where it is taken");
        let questions = asker.join().unwrap();
        for service in self.services.drain(..) {
            service.join().unwrap();
        }
        Service { questions }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Service {
    /// Whose answers came, in order, each time that it changed.
    pub(crate) fn answered_by(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self
            .questions
            .iter()
            .filter_map(|question| question.answered_by)
            .collect();
        names.dedup();
        names
    }

    /// How many questions were asked, and how many got no answer.
    pub(crate) fn asked_and_lost(&self) -> (usize, usize) {
        let lost = self
            .questions
            .iter()
            .filter(|question| question.answered_by.is_none());
        (self.questions.len(), lost.count())
    }

    /// The longest time in which all questions were lost. Measured by when they were asked: a client that stands still
    /// loses nothing.
    pub(crate) fn longest_gap(&self) -> Duration {
        let mut longest = Duration::ZERO;
        let mut since: Option<Instant> = None;
        for question in &self.questions {
            if question.answered_by.is_some() {
                since = None;
                continue;
            }
            let first = *since.get_or_insert(question.asked);
            longest = longest.max(question.asked - first + PERIOD);
        }
        longest
    }
}

/// Answers with the question and the host's name.
fn serve(host: &Host, name: &'static str, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    const LOOK_UP: Duration = Duration::from_millis(50);
    let socket = host.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_freebind_v4(true).unwrap();
        socket.bind(&SocketAddr::from((VIP, PORT)).into()).unwrap();
        UdpSocket::from(socket)
    });
    socket.set_read_timeout(Some(LOOK_UP)).unwrap();
    let stop = Arc::clone(stop);
    host.spawn_thread(move || {
        let mut buffer = [0; 64];
        while !stop.load(Ordering::Relaxed) {
            let Ok((len, from)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let answer = [&buffer[..len], name.as_bytes()].concat();
            // Refused if the host has lost the address since.
            let _ = socket.send_to(&answer, from);
        }
    })
    .unwrap()
}

fn ask(stop: &AtomicBool) -> Vec<Question> {
    let socket = UdpSocket::bind((CLIENT, 0)).unwrap();
    let mut questions: Vec<Question> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = u32::try_from(questions.len()).unwrap().to_be_bytes();
        let asked = Instant::now();
        questions.push(Question {
            asked,
            answered_by: None,
        });
        // Refused while nobody answers ARP: a lost question.
        let _ = socket.send_to(&number, (VIP, PORT));
        hear(&socket, asked + PERIOD, &mut questions);
    }
    hear(&socket, Instant::now() + LATE, &mut questions);
    questions
}

/// Takes answers until a moment. Waits by `ppoll`: a socket's own timeout is rounded up to the kernel's ticks.
fn hear(socket: &UdpSocket, until: Instant, questions: &mut [Question]) {
    let mut buffer = [0; 64];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut readable = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        if left.is_zero() || ppoll(&mut readable, Some(left.into()), None).unwrap() == 0 {
            return;
        }
        // An error is an ICMP message about an earlier question, which is lost then.
        let Ok((len, _)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let (number, name) = buffer[..len].split_first_chunk().unwrap();
        let question = &mut questions[u32::from_be_bytes(*number) as usize];
        question.answered_by = Some(if name == b"ours" { "ours" } else { "theirs" });
    }
}
