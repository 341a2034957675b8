//! A client that asks a virtual address all the time, and what it sees of a takeover.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use socket2::{Domain, Socket, Type};
use vrrp_net::lab::{Host, MacAddr};

use super::pause;

const PORT: u16 = 7;
/// Time between two questions.
const PERIOD: Duration = Duration::from_millis(2);
/// Time that an answer may take.
const LATE: Duration = Duration::from_millis(300);

/// Answers on a host while it lives, by the virtual address, which the host need not have yet.
pub struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub fn start(host: &Host, vip: IpAddr) -> Self {
        let socket = host.run(|| {
            let socket = match vip {
                IpAddr::V4(_) => {
                    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
                    socket.set_freebind_v4(true).unwrap();
                    socket
                }
                IpAddr::V6(_) => {
                    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
                    socket.set_freebind_v6(true).unwrap();
                    socket
                }
            };
            socket.bind(&SocketAddr::from((vip, PORT)).into()).unwrap();
            UdpSocket::from(socket)
        });
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let serve = move || {
            let mut buffer = [0; 64];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    // Refused if the host has lost the address since.
                    let _ = socket.send_to(&buffer[..len], from);
                }
            }
        };
        Self {
            stop,
            thread: Some(host.spawn_thread(serve).unwrap()),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Asks on a host each two milliseconds.
pub struct Asking {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Instant, bool)>>,
}

impl Asking {
    pub fn start(host: &Host, vip: IpAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let ask = move || {
            let any = match vip {
                IpAddr::V4(_) => "0.0.0.0:0",
                IpAddr::V6(_) => "[::]:0",
            };
            let socket = UdpSocket::bind(any).unwrap();
            socket.set_nonblocking(true).unwrap();
            let mut questions: Vec<(Instant, bool)> = Vec::new();
            let hear = |questions: &mut Vec<(Instant, bool)>| {
                let mut buffer = [0; 64];
                while let Ok((len, _)) = socket.recv_from(&mut buffer) {
                    let number: [u8; 4] = buffer[..len].try_into().unwrap();
                    questions[u32::from_be_bytes(number) as usize].1 = true;
                }
            };
            while !stopped.load(Ordering::Relaxed) {
                let number = u32::try_from(questions.len()).unwrap().to_be_bytes();
                questions.push((Instant::now(), false));
                // Refused while nobody has the address: a lost question.
                let _ = socket.send_to(&number, (vip, PORT));
                pause(PERIOD);
                hear(&mut questions);
            }
            pause(LATE);
            hear(&mut questions);
            questions
        };
        Self {
            stop,
            thread: host.spawn_thread(ask).unwrap(),
        }
    }

    /// The longest time in which all questions were lost, by when they were asked.
    pub fn longest_gap(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let questions = self.thread.join().unwrap();
        assert!(questions.iter().any(|(_, answered)| *answered), "never answered");
        let (mut longest, mut since) = (Duration::ZERO, None);
        for (asked, answered) in questions {
            if answered {
                since = None;
                continue;
            }
            longest = longest.max(asked - *since.get_or_insert(asked) + PERIOD);
        }
        longest
    }
}

/// Which hardware address a host has in its neighbour table for an address.
pub fn neighbour(host: &Host, address: IpAddr) -> Option<MacAddr> {
    let all: Vec<NeighbourMessage> = host.block_on(async {
        use futures_util::TryStreamExt;
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        handle.neighbours().get().execute().try_collect().await.unwrap()
    });
    all.into_iter().find_map(|entry| {
        let (mut of, mut mac) = (None, None);
        for attribute in entry.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => of = Some(IpAddr::V4(ip)),
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => of = Some(IpAddr::V6(ip)),
                NeighbourAttribute::LinkLayerAddress(octets) => mac = <[u8; 6]>::try_from(octets).ok(),
                _ => {}
            }
        }
        mac.filter(|_| of == Some(address)).map(MacAddr::from)
    })
}
