//! A client that asks the virtual address all the time, and services on both hosts that answer.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use socket2::{Domain, Socket, Type};
use vrrp_net::lab::Host;

use super::lan::{Lan, Side};
use super::{Result, wait_until};

const PORT: u16 = 7;
/// How long an answer may take before its question counts as lost.
const LATE: Duration = Duration::from_millis(100);
/// How often threads look whether they are still wanted.
const LOOK_UP: Duration = Duration::from_millis(50);

/// A UDP service on both hosts, bound to the virtual address while the host may not have it yet, and a client that
/// asks again and again until it is dropped.
#[derive(Debug)]
pub struct Client {
    stop: Arc<AtomicBool>,
    questions: Arc<Mutex<Vec<Question>>>,
}

/// A question and its answer.
#[derive(Clone, Copy, Debug)]
struct Question {
    asked: Instant,
    answered_by: Option<Side>,
}

impl Client {
    /// Starts asking for an address, once a period.
    ///
    /// # Errors
    /// If a socket or a thread can't be had.
    pub fn start(lan: &Lan, address: IpAddr, period: Duration) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let questions = Arc::<Mutex<Vec<Question>>>::default();
        let client = Self {
            stop: Arc::clone(&stop),
            questions: Arc::clone(&questions),
        };
        for side in Side::BOTH {
            serve(lan.host(side), side, address, &stop)?;
        }
        let unspecified: SocketAddr = match address {
            IpAddr::V4(_) => ([0; 4], 0).into(),
            IpAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let socket = lan.client().run(|| UdpSocket::bind(unspecified))?;
        let to = SocketAddr::new(address, PORT);
        lan.client()
            .spawn_thread(move || ask(&socket, to, period, &questions, &stop))?;
        Ok(client)
    }

    /// Waits until a question that was asked after `since` is answered by a host.
    ///
    /// # Errors
    /// If none is in time.
    pub fn expect_answer(&self, side: Side, since: Instant, timeout: Duration) -> Result<Instant> {
        let mut first = None;
        wait_until(timeout, || {
            first = lock(&self.questions)
                .iter()
                .rev()
                .take_while(|question| question.asked >= since)
                .filter(|question| question.answered_by == Some(side))
                .last()
                .map(|question| question.asked);
            Ok(first.is_some())
        })?;
        first
            .ok_or_else(|| format!("the client got no answer from {} within {timeout:?}", side.name()).into())
    }

    /// The longest time since a moment in which all questions were lost. Measured by when they were asked: a client
    /// that stands still loses nothing. Questions that may still be answered don't count.
    #[must_use]
    pub fn outage_since(&self, since: Instant) -> Duration {
        let until = Instant::now().checked_sub(LATE).unwrap_or(since);
        let questions = lock(&self.questions);
        let mut longest = Duration::ZERO;
        let mut lost_since: Option<Instant> = None;
        for question in questions.iter().filter(|question| question.asked >= since) {
            if question.answered_by.is_some() {
                if let Some(first) = lost_since.take() {
                    longest = longest.max(question.asked - first);
                }
            } else if question.asked < until {
                lost_since.get_or_insert(question.asked);
            }
        }
        if let Some(first) = lost_since {
            longest = longest.max(until.saturating_duration_since(first));
        }
        longest
    }

    /// Who has answered since a moment, in order, each time that it changed.
    #[must_use]
    pub fn answered_since(&self, since: Instant) -> Vec<Side> {
        let questions = lock(&self.questions);
        let mut sides: Vec<Side> = questions
            .iter()
            .filter(|question| question.asked >= since)
            .filter_map(|question| question.answered_by)
            .collect();
        sides.dedup();
        sides
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Answers with the question and the host's letter.
fn serve(host: &Host, side: Side, address: IpAddr, stop: &Arc<AtomicBool>) -> Result<()> {
    let socket = host.run(|| {
        let socket = Socket::new(
            Domain::for_address(SocketAddr::new(address, PORT)),
            Type::DGRAM,
            None,
        )?;
        match address {
            IpAddr::V4(_) => socket.set_freebind_v4(true)?,
            IpAddr::V6(_) => socket.set_freebind_v6(true)?,
        }
        socket.bind(&SocketAddr::new(address, PORT).into())?;
        std::io::Result::Ok(UdpSocket::from(socket))
    })?;
    socket.set_read_timeout(Some(LOOK_UP))?;
    let stop = Arc::clone(stop);
    host.spawn_thread(move || {
        let mut buffer = [0; 64];
        while !stop.load(Ordering::Relaxed) {
            let Ok((len, from)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let answer = [&buffer[..len], side.name().as_bytes()].concat();
            // Refused if the host has lost the address since.
            let _ = socket.send_to(&answer, from);
        }
    })?;
    Ok(())
}

fn ask(
    socket: &UdpSocket,
    to: SocketAddr,
    period: Duration,
    questions: &Mutex<Vec<Question>>,
    stop: &AtomicBool,
) {
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let number = {
            let mut questions = lock(questions);
            questions.push(Question {
                asked,
                answered_by: None,
            });
            questions.len() - 1
        };
        // Refused while nobody answers for the address: a lost question.
        let _ = socket.send_to(&number.to_be_bytes(), to);
        hear(socket, asked + period, questions);
    }
}

/// Takes answers until a moment. Waits by `ppoll`: a socket's own timeout is rounded up to the kernel's ticks.
fn hear(socket: &UdpSocket, until: Instant, questions: &Mutex<Vec<Question>>) {
    let mut buffer = [0; 64];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut readable = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        if left.is_zero() || ppoll(&mut readable, Some(left.into()), None).unwrap_or(0) == 0 {
            return;
        }
        // An error is an ICMP message about an earlier question, which is lost then.
        let Ok((len, _)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some((number, letter)) = buffer[..len].split_first_chunk() else {
            continue;
        };
        let side = Side::BOTH
            .into_iter()
            .find(|side| side.name().as_bytes() == letter);
        if let Some(question) = lock(questions).get_mut(usize::from_be_bytes(*number)) {
            // The kernel keeps questions until it knows the MAC address: those were not served when they were asked.
            if question.asked.elapsed() < LATE {
                question.answered_by = side;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
