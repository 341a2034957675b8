//! Watching an interface.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;

use super::frame::{ETHERNET_LEN, Frame};
use super::namespace::Namespace;

/// How many frames a capture keeps. Later ones are counted in [`Capture::missed`].
pub const FRAMES_MAX: usize = 65_536;

/// linux/if_packet.h: the interface sent this frame.
const PACKET_OUTGOING: u8 = 4;

/// Larger than any frame: a veth pair carries packets of up to 64 KiB before segmentation.
const FRAME_LEN_MAX: usize = 65_536 + 64;

/// Which frames to keep.
type Filter = Box<dyn Fn(&Frame) -> bool + Send>;

/// Records the frames on an interface, from the moment it exists.
///
/// Made by [`Host::capture`](super::Host::capture) and [`Lab::capture`](super::Lab::capture). It remembers all
/// frames; reading them moves a cursor. Dropping it stops it.
#[derive(Debug)]
pub struct Capture {
    frames: Vec<Frame>,
    /// How many of `frames` have been read.
    read: usize,
    missed: Arc<AtomicUsize>,
    arriving: mpsc::Receiver<Frame>,
    /// The other end is seen closed by the recorder when this is dropped.
    stop: Option<UnixStream>,
    recorder: Option<JoinHandle<()>>,
}

impl Capture {
    /// Starts recording in a namespace. Frames that `keep` refuses are not remembered.
    pub(super) fn start(namespace: &Namespace, keep: Filter) -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let socket = namespace.run(packet_socket)?;
        let (frames, arriving) = mpsc::channel();
        let missed = Arc::new(AtomicUsize::new(0));
        let recorder = Recorder {
            socket,
            stopped,
            keep,
            frames,
            room: FRAMES_MAX,
            missed: Arc::clone(&missed),
        };
        let recorder = thread::Builder::new()
            .name("lab-capture".to_owned())
            .spawn(move || {
                // An error ends the capture early: the interface or the namespace is gone.
                let _ = recorder.record();
            })?;
        Ok(Self {
            frames: Vec::new(),
            read: 0,
            missed,
            arriving,
            stop: Some(stop),
            recorder: Some(recorder),
        })
    }

    /// The next frame, waiting for one at most so long.
    pub fn next_frame(&mut self, timeout: Duration) -> Option<Frame> {
        self.wait_for(timeout, |_| true)
    }

    /// The next frame for which `wanted` holds, waiting at most so long. Frames before it count as read.
    pub fn wait_for(&mut self, timeout: Duration, mut wanted: impl FnMut(&Frame) -> bool) -> Option<Frame> {
        let deadline = Instant::now() + timeout;
        loop {
            while let Some(frame) = self.frames.get(self.read) {
                self.read += 1;
                if wanted(frame) {
                    return Some(frame.clone());
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let frame = self.arriving.recv_timeout(left).ok()?;
            self.frames.push(frame);
        }
    }

    /// All frames so far, read or not.
    pub fn frames(&mut self) -> &[Frame] {
        while let Ok(frame) = self.arriving.try_recv() {
            self.frames.push(frame);
        }
        &self.frames
    }

    /// How many frames came after [`FRAMES_MAX`].
    #[must_use]
    pub fn missed(&self) -> usize {
        self.missed.load(Ordering::Relaxed)
    }

    /// Stops recording and returns all frames that were on the interface until this moment.
    #[must_use]
    pub fn stop(mut self) -> Vec<Frame> {
        self.end();
        self.frames();
        std::mem::take(&mut self.frames)
    }

    fn end(&mut self) {
        self.stop = None;
        if let Some(recorder) = self.recorder.take() {
            // A recorder that panicked has told so on stderr; what it recorded is still good.
            let _ = recorder.join();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.end();
    }
}

/// Opens a socket that sees all frames of all interfaces in the calling thread's network namespace.
fn packet_socket() -> nix::Result<OwnedFd> {
    const BUFFER: usize = 4 << 20;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    // The system's limit may be lower; then it is the limit.
    setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
    Ok(socket)
}

/// The thread that reads the socket.
struct Recorder {
    socket: OwnedFd,
    /// Readable, since closed at the other end, when the capture is to stop.
    stopped: UnixStream,
    keep: Filter,
    frames: mpsc::Sender<Frame>,
    /// How many more frames may be handed on.
    room: usize,
    missed: Arc<AtomicUsize>,
}

impl Recorder {
    /// Hands on frames until told to stop and all is read that came before.
    fn record(mut self) -> nix::Result<()> {
        let mut buffer = vec![0; FRAME_LEN_MAX];
        loop {
            let mut ready =
                [self.socket.as_fd(), self.stopped.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut ready, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            // Asked before the socket is drained, so that frames from before the stop are not lost.
            let stop = ready[1].any() == Some(true);
            let stopped_at = Instant::now();
            while let Some(frame) = receive(&self.socket, &mut buffer)? {
                if stop && frame.at > stopped_at {
                    break;
                }
                self.hand_on(frame);
            }
            if stop {
                return Ok(());
            }
        }
    }

    fn hand_on(&mut self, frame: Frame) {
        if !(self.keep)(&frame) {
            return;
        }
        if self.room == 0 {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.room -= 1;
        // The receiver is gone only when the capture is being dropped, and then nobody wants the frame.
        let _ = self.frames.send(frame);
    }
}

/// The next whole frame, or `None` if there is none now.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> nix::Result<Option<Frame>> {
    loop {
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut parts = [IoSliceMut::new(buffer)];
        let message = match recvmsg::<LinkAddr>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::empty(),
        ) {
            Err(Errno::EAGAIN) => return Ok(None),
            // ENETDOWN: an interface went down; it may come up again, and others go on.
            Err(Errno::EINTR | Errno::ENETDOWN) => continue,
            other => other?,
        };
        let time = message.cmsgs()?.find_map(|part| match part {
            ControlMessageOwned::ScmTimestampns(time) => Some(SystemTime::UNIX_EPOCH + Duration::from(time)),
            _ => None,
        });
        let (len, address) = (message.bytes, message.address);
        let (Some(address), ETHERNET_LEN..) = (address, len) else {
            continue;
        };
        let now = SystemTime::now();
        let time = time.unwrap_or(now);
        return Ok(Some(Frame {
            at: Instant::now() - now.duration_since(time).unwrap_or_default(),
            time,
            sent: address.pkttype() == PACKET_OUTGOING,
            interface_index: u32::try_from(address.ifindex()).expect("the kernel's indices are int"),
            bytes: Bytes::copy_from_slice(&buffer[..len]),
        }));
    }
}
