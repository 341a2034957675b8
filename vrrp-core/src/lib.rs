//! VRRP without IO: the packet codec and the virtual-router state machine of VRRPv2 (RFC 3768) and VRRPv3 (RFC 5798,
//! RFC 9568).
//!
//! It holds no socket, no clock and no thread: it is fed facts together with the time, and says what to do. So it runs
//! in any runtime, in a simulator (feature `sim`), in a fuzzer and in a model checker. Sockets, virtual addresses and
//! gratuitous ARP on Linux are in `vrrp-net`; health checks and the load balancer compose with it in `ha-stack`.
//!
//! A driver waits, feeds one fact, drains the outputs, and re-arms one timer:
//!
//! ```
//! use std::net::IpAddr;
//! use std::time::Duration;
//! use vrrp_core::{AddressList, ChecksumForm, Config, GROUP_V4, Output, Priority, State, VirtualRouter, Vrid};
//!
//! let vip: IpAddr = "192.0.2.100".parse()?;
//! let source: IpAddr = "192.0.2.10".parse()?;
//! let config = Config::builder(Vrid::new(33).unwrap(), AddressList::new(&[vip])?)
//!     .priority(Priority::new(100))
//!     .build()?;
//! let mut router = VirtualRouter::new(config, source);
//!
//! // 1. One fact: here the start, later adverts (`handle_advert`) and faults.
//! let mut now = Duration::ZERO;
//! router.handle_startup(now);
//! loop {
//!     // 2. Drain the outputs.
//!     while let Some(output) = router.poll_output() {
//!         match output {
//!             Output::Advertise(priority) => {
//!                 let mut message = Vec::new();
//!                 let advert = router.next_advert(now, priority);
//!                 advert.emit(source, GROUP_V4.into(), ChecksumForm::PseudoHeader, &mut message)?;
//!                 // send `message` as IP protocol 112 with TTL 255
//!                 assert_eq!(message.len(), 20);
//!             }
//!             Output::AcquireAddresses => { /* add 192.0.2.100 to the interface */ }
//!             Output::AnnounceAddresses(_) => { /* gratuitous ARP */ }
//!             Output::ReleaseAddresses | Output::HandOverAddresses => { /* remove it */ }
//!             Output::Transition(change) => println!("{} -> {}: {}", change.from, change.to, change.reason),
//!             Output::Rival(rival) => println!("{rival}"),
//!             Output::Switchover(end) => println!("{end:?}"),
//!         }
//!     }
//!     if router.state() == State::Master {
//!         break;
//!     }
//!     // 3. Wait for an advert, or until the deadline; here time just passes.
//!     now = router.poll_timeout().expect("a backup has a deadline");
//!     router.handle_timeout(now);
//! }
//! // Nobody advertised for 3 s and (256 - 100) / 256 s.
//! assert_eq!(now, Duration::from_micros(3_609_375));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod addresses;
mod authentication;
mod config;
mod damping;
mod packet;
mod router;
#[cfg(feature = "sim")]
pub mod sim;
mod sync;
mod unicast;
mod units;

pub use addresses::{AddressList, AddressListError, Addresses, Family};
pub use authentication::{
    AhKey, AntiReplay, AuthenticationConfig, HmacConfig, HmacError, HmacKey, HmacKeys, HmacMode, Sequence,
};
pub use config::{
    AddressMismatch, Config, ConfigBuilder, ConfigError, Demotion, MAX_DOWN_TIMER_ADVERTS, MAX_PREEMPT_DELAY,
    MAX_STARTUP_DELAY,
};
pub use damping::{Damping, DampingError};
pub use packet::{
    Advert, AdvertError, AhAdvert, AhError, AhHeader, AhPacket, Authentication, BufferTooSmall, ChecksumForm,
    Envelope, GROUP_V4, GROUP_V6, HOP_LIMIT, HmacTrailer, Message, MessageError, PASSWORD_LEN, PROTOCOL,
    PROTOCOL_AH, Packet, ParseError, Version,
};
pub use router::{
    Announcement, Counters, Discard, Discards, Fault, Faults, NoHmac, Output, Peer, Reason, Rival,
    RivalCause, State, SwitchoverEnd, SwitchoverError, Transition, VirtualRouter,
};
pub use sync::{SyncGroup, SyncGroupError};
pub use unicast::UnicastPeer;
pub use units::{AdverInterval, Priority, Vrid};
