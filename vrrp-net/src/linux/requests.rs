//! Netlink requests, answered before they return.
//!
//! The kernel works a request off inside `send`, so its acknowledgement is there when `send` returns, and nothing is
//! awaited on the way to a takeover. Many requests go in one `send`: a lease of an IPv4 address is renewed in 12 µs.

use std::io;

use nix::libc::MSG_DONTWAIT;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Most requests in one `send`, so that their acknowledgements fit the smallest receive buffer.
pub(super) const MAX_BATCH: usize = 64;
/// Room for one datagram: the kernel makes none longer for requests that don't ask for it.
const DATAGRAM: usize = 64 * 1024;
/// Types of messages that aren't answers themselves (linux/netlink.h).
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

#[derive(Debug)]
pub(super) struct Requests {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(DATAGRAM),
        })
    }

    /// Asks the kernel (4.20 and later) to obey what a dump asks for: else it gives everything.
    pub(super) fn check_strictly(&mut self) {
        if let Err(error) = self.socket.set_netlink_get_strict_chk(true) {
            tracing::debug!(%error, "strict checking of netlink dumps");
        }
    }

    /// Makes requests, each with its flags beside those that all need, and gives the kernel's answer to each.
    pub(super) fn make(
        &mut self,
        requests: impl IntoIterator<Item = (RouteNetlinkMessage, u16)>,
    ) -> Vec<io::Result<()>> {
        let mut results = Vec::new();
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let first = self.sequence;
            let mut batch = Vec::new();
            for place in 0..MAX_BATCH {
                let Some((request, flags)) = requests.next() else {
                    break;
                };
                // Errors are always told, and in order: one acknowledgement, of the last, says it for those before it.
                let last = place + 1 == MAX_BATCH || requests.peek().is_none();
                let ack = if last { NLM_F_ACK } else { 0 };
                self.append(&mut batch, request, flags | ack);
            }
            let count = self.sequence.wrapping_sub(first) as usize;
            let before = results.len();
            // What is not acknowledged has failed.
            results.extend((0..count).map(|_| Err(io::Error::from(io::ErrorKind::TimedOut))));
            if let Err(error) = self.send_batch(&batch, first, &mut results[before..]) {
                tracing::debug!(%error, "netlink request");
                let code = error.raw_os_error();
                for result in &mut results[before..] {
                    *result = Err(code.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error));
                }
            }
        }
        results
    }

    /// Asks for everything of a kind, and hands each message's type and payload to `each`. Fails with `Interrupted` when
    /// something changed meanwhile: then something else may be missing.
    pub(super) fn dump(
        &mut self,
        request: RouteNetlinkMessage,
        each: &mut dyn FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        let sequence = self.sequence;
        let mut octets = Vec::new();
        self.append(&mut octets, request, NLM_F_DUMP);
        self.socket.send(&octets, 0)?;
        let mut whole = true;
        loop {
            self.receive()?;
            for message in messages(&self.buffer) {
                if message.sequence_number() != sequence {
                    continue;
                }
                whole &= message.flags() & NLM_F_DUMP_INTR == 0;
                match message.message_type() {
                    NLMSG_DONE if whole => return Ok(()),
                    NLMSG_DONE => return Err(io::ErrorKind::Interrupted.into()),
                    // An acknowledgement of success where a dump was asked for is none.
                    NLMSG_ERROR => {
                        let error = code(message.payload()).err();
                        return Err(error.unwrap_or_else(|| io::ErrorKind::InvalidData.into()));
                    }
                    kind => each(kind, message.payload()),
                }
            }
        }
    }

    fn append(&mut self, batch: &mut Vec<u8>, request: RouteNetlinkMessage, flags: u16) {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let start = batch.len();
        // Messages are aligned to four octets.
        batch.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut batch[start..]);
    }

    fn send_batch(&mut self, batch: &[u8], first: u32, results: &mut [io::Result<()>]) -> io::Result<()> {
        self.socket.send(batch, 0)?;
        // The first that is not answered.
        let mut open = 0;
        while open < results.len() {
            self.receive()?;
            for message in messages(&self.buffer) {
                let place = message.sequence_number().wrapping_sub(first) as usize;
                // Older sequence numbers are answers to requests that were given up.
                if message.message_type() == NLMSG_ERROR && (open..results.len()).contains(&place) {
                    results[open..place]
                        .iter_mut()
                        .for_each(|result| *result = Ok(()));
                    results[place] = code(message.payload());
                    open = place + 1;
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.reserve(DATAGRAM);
        self.socket.recv(&mut self.buffer, MSG_DONTWAIT)?;
        Ok(())
    }
}

/// The messages of a datagram; ends at the first that is cut short.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = NetlinkBuffer<&[u8]>> {
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(datagram).ok()?;
        let len = (message.length() as usize)
            .next_multiple_of(4)
            .min(datagram.len());
        let (this, rest) = datagram.split_at(len);
        datagram = rest;
        NetlinkBuffer::new_checked(this).ok()
    })
}

/// The code of an acknowledgement: 0, or the negative of an error.
fn code(payload: &[u8]) -> io::Result<()> {
    match payload.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The link of this index, which anybody may ask for.
    fn link(index: u32) -> (RouteNetlinkMessage, u16) {
        let mut message = rtnetlink::packet_route::link::LinkMessage::default();
        message.header.index = index;
        (RouteNetlinkMessage::GetLink(message), 0)
    }

    #[test]
    fn each_request_of_a_batch_has_its_own_answer_wherever_one_fails() {
        const LOOPBACK: u32 = 1;
        const NOWHERE: u32 = i32::MAX as u32;
        let mut requests = Requests::open().unwrap();
        for failing in 0..3 {
            let index = |place| if place == failing { NOWHERE } else { LOOPBACK };
            let results = requests.make((0..3).map(|place| link(index(place))));
            let failed: Vec<_> = results.iter().map(Result::is_err).collect();
            assert_eq!(failed, (0..3).map(|place| place == failing).collect::<Vec<_>>());
        }
        let all = requests.make((0..3).map(|_| link(NOWHERE)));
        assert!(all.len() == 3 && all.iter().all(Result::is_err));
        assert!(requests.make([]).is_empty());
    }

    #[test]
    fn batches_longer_than_one_send_are_answered_whole() {
        const LOOPBACK: u32 = 1;
        let mut requests = Requests::open().unwrap();
        let results = requests.make((0..2 * MAX_BATCH + 1).map(|_| link(LOOPBACK)));
        assert!(results.len() == 2 * MAX_BATCH + 1 && results.iter().all(Result::is_ok));
    }
}
