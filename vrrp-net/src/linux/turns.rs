//! Reads all sockets in turns, until each has been dry, and waits when all are.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::ndp;
use crate::network::{Input, LinkId, MacAddr, Network as _};

use super::LinuxNetwork;
use super::sockets::{Received, SOCKETS};

/// Most that is read from one socket before the next has its turn: more than its buffer holds, so that all that had come
/// before the first read is read, and a flood on one socket can't keep the others waiting.
const TURN: usize = 3000;
/// How late a deadline may be noticed without another look at every socket.
const PUNCTUAL: Duration = Duration::from_millis(1);

/// What a socket gave.
pub(super) enum Read {
    Packet(LinkId, Received),
    /// An IPv4 packet of protocol 51, so long.
    Ah(LinkId, usize),
    Claim(LinkId, IpAddr, MacAddr),
    /// Something that concerns nobody.
    Other,
    /// Nothing is left.
    Dry,
}

impl LinuxNetwork {
    pub(super) async fn wait_for_input(&mut self, until: Option<Duration>) -> io::Result<()> {
        self.worker.note_alive();
        if !std::mem::take(&mut self.dry) {
            // Not everything was read: no socket may become readable anew.
            tokio::task::yield_now().await;
            return Ok(());
        }
        if self.renewal.is_some() {
            return Ok(());
        }
        // Begun in the monitor's turn.
        self.ready[0] |= self.resync.deadline().is_some();
        let until = [until, self.resync.deadline()].into_iter().flatten().min();
        if let Some(rest) = self.pace.rest(self.now(), until) {
            #[expect(
                clippy::disallowed_methods,
                reason = "half a millisecond at most, and never past a deadline"
            )]
            thread::sleep(rest);
        }
        self.clock.arm(until)?;
        poll_fn(|context| self.note_ready(context)).await?;
        // The poller's word is of when it was asked. Late, more may have come since, and must be read before the timer
        // is acted upon.
        if until.is_some_and(|until| self.now() > until + PUNCTUAL) {
            self.ready.fill(true);
        }
        Ok(())
    }

    pub(super) fn next_input(&mut self) -> Option<Input<'_>> {
        if let Some(renewal) = self.renewal.take() {
            return Some(Input::Renewed(renewal));
        }
        if self.cursor == 0 && self.reads == 0 {
            // A command that came at the same time may have kept `wait` from asking.
            if let Poll::Ready(Err(error)) = self.note_ready(&mut Context::from_waker(Waker::noop())) {
                tracing::debug!(%error, "polling");
            }
        }
        let (link, arrived) = loop {
            // What the monitor says is told when it has said all: a link that went explains the addresses that went.
            if self.cursor > 0 {
                if let Some(input) = self.next_change() {
                    return Some(input);
                }
            }
            if self.reads == TURN {
                self.round_dry = false;
                self.next_turn();
            }
            self.reads += 1;
            match self.read() {
                Some(Read::Packet(link, received)) => break (link, Ok(received)),
                Some(Read::Ah(link, len)) => break (link, Err(len)),
                Some(Read::Claim(link, address, mac)) => return Some(Input::Claim { link, address, mac }),
                Some(Read::Other) => {}
                Some(Read::Dry) => {
                    self.ready[self.cursor] = false;
                    self.next_turn();
                }
                // Once for all that were reported together.
                None if self.routes.take_lost(self.table.take_address_gone()) => {
                    return Some(Input::RoutingRemoved);
                }
                None => {
                    (self.cursor, self.reads) = (0, 0);
                    self.dry = std::mem::replace(&mut self.round_dry, true);
                    return None;
                }
            }
        };
        self.pace.note_packet();
        Some(match arrived {
            Ok(received) => Input::Packet {
                link,
                envelope: received.envelope,
                payload: &self.buffer[received.payload],
            },
            Err(len) => Input::AhPacket {
                link,
                packet: &self.buffer[..len],
            },
        })
    }

    fn next_turn(&mut self) {
        self.cursor += 1;
        self.reads = 0;
    }

    /// Notes what the poller has said of the sockets, and whether it has said anything.
    fn note_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut any = self.clock.poll_expired(context)?.is_ready();
        let last_link = SOCKETS * self.listening.len();
        let mut note = |place: usize, polled: Poll<()>| {
            self.ready[place] |= polled.is_ready();
            any |= polled.is_ready();
        };
        note(0, self.monitor.poll_readable(context)?);
        note(0, self.worker.poll_done(context));
        for (place, link) in (1..).step_by(SOCKETS).zip(&self.listening) {
            let link = &self.links[link.0];
            if let Some(socket) = &link.ipv4 {
                note(place, socket.poll_readable(context)?);
            }
            if let Some(socket) = &link.ipv6 {
                note(place + 1, socket.poll_readable(context)?);
            }
            if let Some(socket) = &link.ah {
                note(place + 2, socket.poll_readable(context)?);
            }
        }
        note(last_link + 1, self.arp_claims.poll_readable(context)?);
        if let Some(socket) = &self.ndp_claims {
            note(last_link + 2, socket.poll_readable(context)?);
        }
        note(last_link + 3, self.routes.poll_readable(context)?);
        if any { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Reads once from the place of the cursor: the monitor, three sockets a link, the two that hear claims, and
    /// the one that hears of routes.
    /// `None` behind the last.
    fn read(&mut self) -> Option<Read> {
        let last_link = SOCKETS * self.listening.len();
        let read = match self.cursor {
            place if self.ready.get(place) == Some(&false) => Ok(Read::Dry),
            0 => Ok(self.read_reports()),
            place if place <= last_link => {
                let link = self.listening[(place - 1) / SOCKETS];
                self.read_packet(link, (place - 1) % SOCKETS)
            }
            place if place == last_link + 1 => self.read_arp_claim(),
            place if place == last_link + 2 => self.read_ndp_claim(),
            place if place == last_link + 3 && self.routes.read() => Ok(Read::Other),
            place if place == last_link + 3 => Ok(Read::Dry),
            _ => return None,
        };
        Some(read.unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Read::Dry,
            // A link that went down says so once before the packets that are left.
            io::ErrorKind::NetworkDown | io::ErrorKind::Interrupted => Read::Other,
            _ => {
                tracing::debug!(%error, "receiving");
                Read::Dry
            }
        }))
    }

    fn read_packet(&mut self, link: LinkId, socket: usize) -> io::Result<Read> {
        let sockets = &mut self.links[link.0];
        let received = match (socket, &sockets.ipv4, &mut sockets.ipv6, &sockets.ah) {
            (0, Some(socket), ..) => socket.receive(&mut self.buffer)?,
            (1, _, Some(socket), _) => socket.receive(&mut self.buffer)?.map(|(received, _)| received),
            (2, .., Some(socket)) => {
                return Ok(Read::Ah(link, socket.receive_packet(&mut self.buffer)?));
            }
            _ => return Ok(Read::Dry),
        };
        Ok(received.map_or(Read::Other, |received| Read::Packet(link, received)))
    }

    fn read_arp_claim(&mut self) -> io::Result<Read> {
        let claim = self.arp_claims.receive(&mut self.buffer)?;
        Ok(claim.map_or(Read::Other, |(index, address, mac)| {
            self.claim(index, IpAddr::V4(address), mac)
        }))
    }

    fn read_ndp_claim(&mut self) -> io::Result<Read> {
        let Some(socket) = &mut self.ndp_claims else {
            return Ok(Read::Dry);
        };
        let received = socket.receive(&mut self.buffer)?;
        // RFC 4861 §7.1.2: another hop limit means that it is from beyond the link.
        let received = received.filter(|(received, _)| received.envelope.hop_limit == 255);
        let claim = received.and_then(|(received, index)| {
            let (address, mac) = ndp::claim(&self.buffer[received.payload])?;
            Some(self.claim(index, IpAddr::V6(address), mac))
        });
        Ok(claim.unwrap_or(Read::Other))
    }

    fn claim(&self, index: u32, address: IpAddr, mac: MacAddr) -> Read {
        let link = self.table.link(index);
        link.map_or(Read::Other, |link| Read::Claim(link, address, mac))
    }
}
