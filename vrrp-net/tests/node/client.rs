//! A client that asks a virtual address without pause: what a switch that nobody should notice looks like to it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vrrp_net::lab::Host;

use super::{ip, pause};

/// From one question of the client to the next.
const EVERY: Duration = Duration::from_micros(250);

/// Sends back whatever comes.
pub struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub fn start(host: &Host, vip: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let socket = host.run(|| socket(vip, vip.port()));
        let echo = move || {
            let mut buffer = [0; 8];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..len], from);
                }
            }
        };
        Self {
            stop,
            thread: Some(host.spawn_thread(echo).unwrap()),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Asks the virtual address every 250 µs.
pub struct Client {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Instant>>,
    listening: JoinHandle<Vec<usize>>,
}

impl Client {
    pub fn start(host: &Host, vip: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (no_more, over) = (Arc::clone(&stop), Arc::clone(&stop));
        let socket = host.run(|| socket(vip, 0));
        let answers = socket.try_clone().unwrap();
        let ask = move || {
            let mut asked: Vec<Instant> = Vec::new();
            while !no_more.load(Ordering::Relaxed) {
                let number = u64::try_from(asked.len()).unwrap().to_be_bytes();
                asked.push(Instant::now());
                // A neighbour entry that is being renewed may refuse one.
                let _ = socket.send_to(&number, vip);
                pause(EVERY);
            }
            asked
        };
        let listen = move || {
            let (mut answered, mut buffer) = (Vec::new(), [0; 8]);
            loop {
                match answers.recv_from(&mut buffer) {
                    Ok(_) => answered.push(usize::try_from(u64::from_be_bytes(buffer)).unwrap()),
                    // Nothing came for as long as a read may take.
                    Err(_) if over.load(Ordering::Relaxed) => return answered,
                    Err(_) => {}
                }
            }
        };
        let client = Self {
            stop,
            listening: host.spawn_thread(listen).unwrap(),
            asking: host.spawn_thread(ask).unwrap(),
        };
        pause(Duration::from_millis(100));
        client
    }

    /// The longest time without an answer, when both nodes have long settled.
    pub fn longest_gap(self) -> Duration {
        pause(Duration::from_millis(300));
        self.stop.store(true, Ordering::Relaxed);
        let asked = self.asking.join().unwrap();
        let mut answered = vec![false; asked.len()];
        for number in self.listening.join().unwrap() {
            answered[number] = true;
        }
        let (mut longest, mut since) = (Duration::ZERO, None);
        for (at, answered) in asked.into_iter().zip(answered) {
            match (answered, since) {
                (true, Some(unanswered)) => {
                    longest = longest.max(at - unanswered);
                    since = None;
                }
                (false, None) => since = Some(at),
                _ => {}
            }
        }
        assert!(since.is_none(), "the last question was not answered");
        longest
    }
}

fn socket(vip: SocketAddr, port: u16) -> UdpSocket {
    let any = if vip.is_ipv4() { ip("0.0.0.0") } else { ip("::") };
    let socket = UdpSocket::bind((any, port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    socket
}
