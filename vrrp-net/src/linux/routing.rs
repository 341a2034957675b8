//! Routes and rules in the kernel: added, watched, removed, and never confused with somebody else's.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::task::{Context, Poll};

use nix::libc;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::rule::RuleAttribute;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use socket2::SockRef;
use tokio::io::unix::AsyncFd;

use super::mark::MARK;
use super::requests::{Requests, messages};
use super::routes::{self, RouteKey};
use super::siblings::Alive;
use super::{filter, rules};
use crate::config::{VirtualRoute, VirtualRule};
use crate::network::{Routing, RoutingError};
use crate::sys;

// linux/rtnetlink.h
const RTM_DELROUTE: u16 = 25;
const RTM_DELRULE: u16 = 33;
const RTMGRP_IPV4_ROUTE: u32 = 1 << 6;
const RTMGRP_IPV4_RULE: u32 = 1 << 7;
const RTMGRP_IPV6_ROUTE: u32 = 1 << 10;
const RTMGRP_IPV6_RULE: u32 = 1 << 18;
/// The kernel makes no report longer.
const DATAGRAM: usize = 32 * 1024;

/// What we have added, and what tells us that it is gone.
#[derive(Debug, Default)]
pub(super) struct Routes {
    routes: HashSet<RouteKey>,
    rules: Vec<VirtualRule>,
    /// Untracked ones that can't be had: said once.
    missed: HashSet<String>,
    /// Open when there is something to watch.
    monitor: Option<AsyncFd<Socket>>,
    buffer: Vec<u8>,
    /// Something of ours was removed by somebody.
    lost: bool,
}

impl Routes {
    /// Removes what an earlier run left behind, and begins to watch.
    pub(super) fn prepare(&mut self, routing: &[&Routing], alive: &Alive) {
        let siblings = alive.has_siblings();
        let result = Requests::open().and_then(|mut requests| self.sweep(&mut requests, routing, siblings));
        if let Err(error) = result {
            tracing::warn!(%error, "routes and rules of an earlier run can't be looked for");
        }
        if routing.iter().all(|routing| routing.is_empty()) {
            return;
        }
        match open_monitor(&protocols(routing)) {
            Ok(monitor) => self.monitor = Some(monitor),
            Err(error) => {
                tracing::warn!(%error, "routes and rules can't be watched; what others remove stays removed");
            }
        }
    }

    /// With our mark, all; but while another process of ours lives here, those that are configured. With another
    /// protocol, those that are configured.
    fn sweep(&self, requests: &mut Requests, routing: &[&Routing], siblings: bool) -> io::Result<()> {
        // Then the kernel sends routes of the one protocol alone, not a million of BGP's. Kernels before 4.20 can't.
        requests.check_strictly();
        let configured: HashSet<_> = all_routes(routing).map(RouteKey::of).collect();
        let mut leftovers = Vec::new();
        for protocol in protocols(routing) {
            for family in [AddressFamily::Inet, AddressFamily::Inet6] {
                requests.dump(routes::listing(family, protocol), &mut |_, payload| {
                    let key = RouteKey::parse(payload).filter(|key| key.protocol == protocol);
                    let ours = |key: &RouteKey| configured.contains(key) || (protocol == MARK && !siblings);
                    leftovers.extend(key.filter(ours));
                })?;
            }
        }
        let results = requests.make(leftovers.iter().map(RouteKey::removal));
        for (key, result) in leftovers.iter().zip(results) {
            match result {
                Ok(()) => {
                    tracing::info!(to = %key.to, table = key.table, "removed a route of an earlier run");
                }
                // A route of several next hops stands once for each in IPv6.
                Err(error) if routes::is_gone(&error) => {}
                Err(error) => tracing::warn!(to = %key.to, %error, "leftover route not removed"),
            }
        }
        let mut leftovers = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            requests.dump(rules::listing(family), &mut |_, payload| {
                let rule = rules::parse_marked(payload);
                leftovers.extend(rule.filter(|rule| {
                    !siblings || all_rules(routing).any(|configured| rules::is(rule, configured))
                }));
            })?;
        }
        for result in requests.make(leftovers.iter().map(rules::removal_of)) {
            match result {
                Ok(()) => tracing::info!("removed a rule of an earlier run"),
                Err(error) => tracing::warn!(%error, "leftover rule not removed"),
            }
        }
        Ok(())
    }

    /// Adds what is not there, and gives how many that were.
    pub(super) fn acquire(
        &mut self,
        requests: &mut Requests,
        index: impl Fn(&str) -> Option<u32>,
        routing: &Routing,
    ) -> Result<usize, RoutingError> {
        let routes = self.acquire_routes(requests, index, &routing.routes)?;
        Ok(routes + self.acquire_rules(requests, &routing.rules)?)
    }

    fn acquire_routes(
        &mut self,
        requests: &mut Requests,
        index: impl Fn(&str) -> Option<u32>,
        routes: &[VirtualRoute],
    ) -> Result<usize, RoutingError> {
        let (mut wanted, mut batch) = (Vec::new(), Vec::new());
        let (mut added, mut first) = (0, Ok(()));
        for route in routes {
            if let Some(message) = routes::addition(route, &index) {
                wanted.push(route);
                batch.push(message);
            } else {
                let missing = io::Error::from_raw_os_error(libc::ENODEV);
                self.miss(route, route.track, routes::refused(route, missing), &mut first);
            }
        }
        for (route, result) in wanted.into_iter().zip(requests.make(batch)) {
            let key = RouteKey::of(route);
            match result {
                Ok(()) => {
                    added += 1;
                    self.missed.remove(&route.to_string());
                    self.routes.insert(key);
                }
                Err(error) if is_there(&error) && self.routes.contains(&key) => {}
                Err(error) => self.miss(route, route.track, routes::refused(route, error), &mut first),
            }
        }
        first.map(|()| added)
    }

    fn acquire_rules(
        &mut self,
        requests: &mut Requests,
        rules: &[VirtualRule],
    ) -> Result<usize, RoutingError> {
        let (mut added, mut first) = (0, Ok(()));
        let results = requests.make(rules.iter().map(rules::addition));
        for (rule, result) in rules.iter().zip(results) {
            match result {
                Ok(()) => {
                    added += 1;
                    self.missed.remove(&rule.to_string());
                }
                // The mark is compared, so it is ours.
                Err(error) if is_there(&error) => {}
                Err(error) => {
                    self.miss(rule, rule.track, rules::refused(rule, error), &mut first);
                    continue;
                }
            }
            if !self.rules.contains(rule) {
                self.rules.push(rule.clone());
            }
        }
        first.map(|()| added)
    }

    /// One can't be had: that is an error if it is tracked, and said once if it isn't.
    fn miss(
        &mut self,
        one: &dyn fmt::Display,
        tracked: bool,
        error: RoutingError,
        first: &mut Result<(), RoutingError>,
    ) {
        if tracked {
            if first.is_ok() {
                *first = Err(error);
            }
        } else if self.missed.insert(one.to_string()) {
            tracing::warn!(%error, "serving without it");
        }
    }

    /// Removes what we have added of it, the last first.
    pub(super) fn release(&mut self, requests: &mut Requests, routing: &Routing) -> Result<(), RoutingError> {
        let mut first = Ok(());
        let held = |rule: &&VirtualRule| self.rules.contains(rule);
        let wanted: Vec<_> = routing.rules.iter().rev().filter(held).collect();
        // Forgotten first: what is reported about them is our own doing.
        self.rules.retain(|held| !wanted.contains(&held));
        for (rule, result) in wanted
            .iter()
            .zip(requests.make(wanted.iter().map(|rule| rules::removal(rule))))
        {
            match result {
                Err(error) if !rules::is_gone(&error) && first.is_ok() => {
                    first = Err(rules::refused(rule, error));
                }
                _ => {}
            }
        }
        let routes = routing
            .routes
            .iter()
            .rev()
            .map(|route| (route, RouteKey::of(route)));
        let wanted: Vec<_> = routes.filter(|(_, key)| self.routes.remove(key)).collect();
        let results = requests.make(wanted.iter().map(|(_, key)| key.removal()));
        for ((route, _), result) in wanted.iter().zip(results) {
            match result {
                Err(error) if !routes::is_gone(&error) && first.is_ok() => {
                    first = Err(RoutingError::Route {
                        route: route.to_string(),
                        error,
                    });
                }
                _ => {}
            }
        }
        first
    }

    /// Takes one report; `false` when there is none.
    pub(super) fn read(&mut self) -> bool {
        let Some(monitor) = &self.monitor else {
            return false;
        };
        self.buffer.clear();
        self.buffer.reserve(DATAGRAM);
        match monitor.get_ref().recv(&mut self.buffer, 0) {
            Ok(_) => {
                self.lost |= messages(&self.buffer)
                    .any(|message| self.concerns_us(message.message_type(), message.payload()));
                true
            }
            // What was reported and lost may have been ours.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.lost = true;
                true
            }
            Err(_) => false,
        }
    }

    /// Whether something of ours is gone, or may be since an address is.
    pub(super) fn take_lost(&mut self, address_gone: bool) -> bool {
        std::mem::take(&mut self.lost) || (address_gone && !self.routes.is_empty())
    }

    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.monitor {
            Some(monitor) => super::sockets::poll_readable(monitor, context),
            None => Poll::Pending,
        }
    }

    fn concerns_us(&self, kind: u16, payload: &[u8]) -> bool {
        match kind {
            RTM_DELROUTE => RouteKey::parse(payload).is_some_and(|key| self.routes.contains(&key)),
            RTM_DELRULE => rules::parse_marked(payload).is_some_and(|message| {
                let like = |rule: &VirtualRule| {
                    message
                        .attributes
                        .contains(&RuleAttribute::Priority(rule.priority))
                };
                self.rules.iter().any(like)
            }),
            _ => false,
        }
    }
}

fn is_there(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EEXIST)
}

fn all_routes<'a>(routing: &'a [&Routing]) -> impl Iterator<Item = &'a VirtualRoute> {
    routing.iter().flat_map(|routing| &routing.routes)
}

fn all_rules<'a>(routing: &'a [&Routing]) -> impl Iterator<Item = &'a VirtualRule> {
    routing.iter().flat_map(|routing| &routing.rules)
}

/// Our mark, and what routes are configured to bear instead.
fn protocols(routing: &[&Routing]) -> Vec<u8> {
    let others: HashSet<_> = all_routes(routing).filter_map(|route| route.protocol).collect();
    std::iter::once(MARK)
        .chain(others.into_iter().filter(|protocol| *protocol != MARK))
        .collect()
}

fn open_monitor(protocols: &[u8]) -> io::Result<AsyncFd<Socket>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.set_non_blocking(true)?;
    SockRef::from(&socket).attach_filter(&filter::route_removals(protocols))?;
    socket.bind(&SocketAddr::new(
        0,
        RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV6_RULE,
    ))?;
    sys::watch(socket)
}
