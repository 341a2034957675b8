//! Our node and keepalived on one LAN, each in both roles: VRRPv2 with a password and VRRPv3, IPv4 multicast; and the
//! variants with the IP authentication header, with unicast and with IPv6; and sync groups.
//!
//! What counts is what a third party sees: adverts with the kernel's timestamps, who answers ARP, whom a client
//! reaches. Bounds are the protocol's own, with room above for a busy machine; `--nocapture` prints what was measured.
//! Where keepalived is missing the tests are skipped, unless `VRRP_LAB_REQUIRED` is set.

mod checksum;
mod crash;
mod demotion;
mod election;
mod handover;
mod switchover;
mod sync_group;
mod tie;
mod variants;
mod vmac;

mod client;
mod keepalived;
mod node;
mod protocol;
mod steady;
mod wire;
mod world;
