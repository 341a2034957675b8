//! What the driver asks of a [`Network`], each done in a file of its own.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use vrrp_core::Envelope;

use crate::network::{
    AddressError, Input, LinkId, LinkState, MacAddr, Network, Placement, Routing, RoutingError,
};

use super::{LinuxNetwork, clock, suspect};

impl Network for LinuxNetwork {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn unix_time(&self) -> Duration {
        clock::unix_time()
    }

    async fn wait(&mut self, until: Option<Duration>) -> io::Result<()> {
        self.wait_for_input(until).await
    }

    fn poll_input(&mut self) -> Option<Input<'_>> {
        self.next_input()
    }

    fn link(&self, link: LinkId) -> LinkState {
        self.link_state(link)
    }

    fn has_address(&self, link: LinkId, address: IpAddr) -> bool {
        self.table.has_own(link, address)
    }

    fn prepare(&mut self, placements: &[&Placement]) -> Result<(), AddressError> {
        self.prepare_addresses(placements)
    }

    fn send_advert(&mut self, link: LinkId, envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        self.send_message(link, envelope, message)
    }

    fn send_ah(&mut self, link: LinkId, destination: Ipv4Addr, packet: &[u8]) -> io::Result<()> {
        self.send_packet(link, destination, packet)
    }

    fn acquire(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        self.acquire_addresses(placements)
    }

    fn renew(&mut self, placements: &[&Placement], patience: Duration) {
        self.renew_addresses(placements, patience);
    }

    fn release(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        self.release_addresses(placements)
    }

    fn prepare_routing(&mut self, routing: &[&Routing]) {
        self.routes.prepare(routing, &self.alive);
    }

    fn acquire_routing(&mut self, routing: &Routing) -> Result<usize, RoutingError> {
        let link = |name: &str| self.links.iter().position(|link| link.plan.name == name);
        let index = |name: &str| link(name).and_then(|link| self.table.index(LinkId(link)));
        self.routes.acquire(&mut self.requests, index, routing)
    }

    fn release_routing(&mut self, routing: &Routing) -> Result<(), RoutingError> {
        self.routes.release(&mut self.requests, routing)
    }

    fn announce(&mut self, placements: &[Placement], repeat: u8, until: Duration) -> io::Result<()> {
        self.announce_addresses(placements, repeat, until)
    }

    fn announce_source(&mut self, link: LinkId, address: IpAddr) -> io::Result<()> {
        self.announce_one(link, address)
    }

    fn probe(&mut self, link: LinkId, address: IpAddr) -> io::Result<()> {
        self.probe_address(link, address)
    }

    fn suspect(&self, link: LinkId) -> Option<&'static str> {
        suspect::suspect(self.table.name(link))
    }

    fn mac(&self, link: LinkId) -> Option<MacAddr> {
        self.table.mac(link)
    }
}
