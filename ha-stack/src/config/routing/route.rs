//! A route.

use vrrp_core::Family;
use vrrp_net::{NextHop, RouteKind, RouteSetting, Scope, VirtualRoute, VirtualRouteBuilder};

use super::names;
use super::phrase::{Phrase, network};
use crate::config::{Diagnostic, Diagnostics, Spanned};

/// Words of `ip route` and of keepalived that a route here can't mean.
const UNSUPPORTED: [&str; 12] = [
    "realms",
    "pref",
    "encap",
    "vrf",
    "local",
    "broadcast",
    "multicast",
    "anycast",
    "nat",
    "xresolve",
    "ttl-propagate",
    "expires",
];

/// Reads `[src A] [to] NET via A dev IF …`, and tells of everything that is wrong.
pub(crate) fn route(mut phrase: Phrase<'_>, diagnostics: &mut Diagnostics) -> Option<VirtualRoute> {
    let before = diagnostics.errors();
    let mut reader = Reader::default();
    while let Some(word) = phrase.next() {
        reader.read(word, &mut phrase, diagnostics);
    }
    let whole = phrase.whole();
    let Some(builder) = reader.finish() else {
        if diagnostics.errors() == before {
            diagnostics.push(
                Diagnostic::error("a route without a destination")
                    .at(whole)
                    .help("write `192.0.2.0/24 via 198.51.100.1 dev eth0`, or `default via 198.51.100.1`"),
            );
        }
        return None;
    };
    if diagnostics.errors() > before {
        return None;
    }
    match builder.build() {
        Ok(route) => Some(route),
        Err(error) => {
            diagnostics.push(Diagnostic::error(error.to_string()).at(whole));
            None
        }
    }
}

/// What the words say, before the destination is known to begin a route with.
#[derive(Default)]
struct Reader {
    to: Option<ipnet::IpNet>,
    default: bool,
    ipv6: bool,
    /// What the words say of the route, to be said to it in order.
    said: Vec<Said>,
    /// Gateways one of which serves (`via A or B`); keepalived makes next hops of them.
    gateways: Vec<std::net::IpAddr>,
    dev: Option<String>,
    onlink: bool,
}

type Said = Box<dyn FnOnce(VirtualRouteBuilder) -> VirtualRouteBuilder>;

impl Reader {
    /// Says what a word has told, if its value could be read.
    fn say<T: 'static>(
        &mut self,
        value: Option<T>,
        said: impl FnOnce(VirtualRouteBuilder, T) -> VirtualRouteBuilder + 'static,
    ) {
        if let Some(value) = value {
            self.said.push(Box::new(move |route| said(route, value)));
        }
    }

    fn read(&mut self, word: Spanned<&str>, phrase: &mut Phrase<'_>, diagnostics: &mut Diagnostics) {
        match word.value {
            "unicast" => {}
            "blackhole" => self.say(Some(RouteKind::Blackhole), VirtualRouteBuilder::kind),
            "unreachable" => self.say(Some(RouteKind::Unreachable), VirtualRouteBuilder::kind),
            "prohibit" => self.say(Some(RouteKind::Prohibit), VirtualRouteBuilder::kind),
            "throw" => self.say(Some(RouteKind::Throw), VirtualRouteBuilder::kind),
            "to" => {
                if !self.take_destination(phrase) {
                    self.to = phrase.network(word, diagnostics);
                }
            }
            "via" | "gw" | "or" => {
                self.ipv6 |= phrase.take("inet6");
                self.gateways.extend(phrase.address(word, diagnostics));
            }
            "dev" | "oif" => self.dev = phrase.parsed(word, "an interface", "eth0", diagnostics),
            "onlink" => self.onlink = true,
            "src" => {
                let source = phrase.address(word, diagnostics);
                self.say(source, VirtualRouteBuilder::src);
            }
            "nexthop" => {
                let hop = next_hop(word, phrase, diagnostics);
                self.say(hop, VirtualRouteBuilder::nexthop);
            }
            "inet6" => self.ipv6 = true,
            "inet" => self.ipv6 = false,
            "no_track" => self.say(Some(false), VirtualRouteBuilder::track),
            // Ours replaces what is the same to the kernel.
            "add" | "append" | "prepend" => diagnostics.push(
                Diagnostic::warning(format!(
                    "`{}` changes nothing: a route replaces its like",
                    word.value
                ))
                .at(word.span),
            ),
            "track_group" => {
                phrase.next();
                diagnostics.push(
                    Diagnostic::warning("`track_group` is not supported: it is for static routes")
                        .at(word.span),
                );
            }
            other if UNSUPPORTED.contains(&other) => {
                phrase.end();
                diagnostics.push(
                    Diagnostic::error(format!("`{other}` is not supported in a route"))
                        .at(word.span)
                        .help("add such a route by a script on `notify_master`"),
                );
            }
            _ if self.read_numbers(word, phrase, diagnostics) => {}
            _ => {
                if SETTINGS.contains(&word.value) {
                    self.said.extend(setting(word, phrase, diagnostics));
                } else if !self.is_destination(word) {
                    phrase.end();
                    diagnostics.push(
                        Diagnostic::error(format!("unknown word `{}` in a route", word.value))
                            .at(word.span)
                            .help("write it as for `ip route`: `192.0.2.0/24 via 198.51.100.1 dev eth0`"),
                    );
                }
            }
        }
    }

    /// Reads what has a number or a name of iproute2; says whether it was such a word.
    fn read_numbers(
        &mut self,
        word: Spanned<&str>,
        phrase: &mut Phrase<'_>,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        match word.value {
            "table" => {
                let table = phrase.value(word, "a routing table", "100", names::table, diagnostics);
                self.say(table, VirtualRouteBuilder::table);
            }
            "metric" | "priority" | "preference" => {
                let metric = phrase.number(word, "100", diagnostics);
                self.say(metric, VirtualRouteBuilder::metric);
            }
            "tos" | "dsfield" => {
                let tos = phrase.value(word, "a type of service", "0x10", names::tos, diagnostics);
                self.say(tos, VirtualRouteBuilder::tos);
            }
            "scope" => {
                let scope = phrase.value(word, "a scope", "link", Scope::from_name, diagnostics);
                self.say(scope, VirtualRouteBuilder::scope);
            }
            "proto" | "protocol" => {
                let protocol =
                    phrase.value(word, "a routing protocol", "static", names::protocol, diagnostics);
                self.say(protocol, VirtualRouteBuilder::protocol);
            }
            _ => return false,
        }
        true
    }

    fn take_destination(&mut self, phrase: &mut Phrase<'_>) -> bool {
        self.default |= phrase.take("default");
        self.default
    }

    fn is_destination(&mut self, word: Spanned<&str>) -> bool {
        if self.to.is_some() || self.default {
            return false;
        }
        self.default = word.value == "default";
        self.to = network(word.value);
        self.default || self.to.is_some()
    }

    fn finish(self) -> Option<VirtualRouteBuilder> {
        let ipv6 = self.ipv6 || self.gateways.first().is_some_and(std::net::IpAddr::is_ipv6);
        let mut route = match self.to {
            Some(to) => VirtualRoute::builder(to),
            None if self.default && ipv6 => VirtualRoute::default_route(Family::Ipv6),
            None if self.default => VirtualRoute::default_route(Family::Ipv4),
            None => return None,
        };
        if self.gateways.len() > 1 {
            for gateway in &self.gateways {
                let hop = self
                    .dev
                    .iter()
                    .fold(NextHop::via(*gateway), |hop, dev| hop.dev(dev));
                route = route.nexthop(if self.onlink { hop.onlink() } else { hop });
            }
        } else {
            route = self
                .gateways
                .iter()
                .fold(route, |route, gateway| route.via(*gateway));
            route = self.dev.iter().fold(route, |route, dev| route.dev(dev));
            route = if self.onlink { route.onlink() } else { route };
        }
        Some(self.said.into_iter().fold(route, |route, said| said(route)))
    }
}

/// `nexthop via A [dev IF] [weight N] [onlink]`; ends where another word begins.
fn next_hop(
    keyword: Spanned<&str>,
    phrase: &mut Phrase<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<NextHop> {
    let mut hop: Option<NextHop> = None;
    while let Some(word) = phrase.peek() {
        match word.value {
            "via" => {
                phrase.next();
                phrase.take("inet6");
                hop = Some(NextHop::via(phrase.address(word, diagnostics)?));
            }
            "dev" => {
                phrase.next();
                let dev: String = phrase.parsed(word, "an interface", "eth0", diagnostics)?;
                hop = Some(match hop {
                    Some(hop) => hop.dev(dev),
                    None => NextHop::on(dev),
                });
            }
            "weight" => {
                phrase.next();
                let weight = phrase.number(word, "1", diagnostics)?;
                hop = hop.map(|hop| hop.weight(weight));
            }
            "onlink" => {
                phrase.next();
                hop = hop.map(NextHop::onlink);
            }
            _ => break,
        }
    }
    if hop.is_none() {
        diagnostics.push(
            Diagnostic::error("`nexthop` without a gateway or an interface")
                .at(keyword.span)
                .help("write `nexthop via 198.51.100.1 dev eth0 weight 1`"),
        );
    }
    hop
}

/// Words of [`setting`].
const SETTINGS: [&str; 16] = [
    "mtu",
    "advmss",
    "window",
    "rtt",
    "rttvar",
    "ssthresh",
    "cwnd",
    "initcwnd",
    "initrwnd",
    "reordering",
    "hoplimit",
    "rto_min",
    "quickack",
    "fastopen_no_cookie",
    "features",
    "congctl",
];

/// What holds for connections over the route: `mtu [lock] 1400`, `rtt 20ms`, …
fn setting(word: Spanned<&str>, phrase: &mut Phrase<'_>, diagnostics: &mut Diagnostics) -> Option<Said> {
    let locked = phrase.take("lock");
    let mut number = |make: fn(u32) -> RouteSetting| phrase.number(word, "100", diagnostics).map(make);
    let setting = match word.value {
        "mtu" => number(RouteSetting::Mtu),
        "advmss" => number(RouteSetting::Advmss),
        "window" => number(RouteSetting::Window),
        "ssthresh" => number(RouteSetting::SsThresh),
        "cwnd" => number(RouteSetting::Cwnd),
        "initcwnd" => number(RouteSetting::InitCwnd),
        "initrwnd" => number(RouteSetting::InitRwnd),
        "reordering" => number(RouteSetting::Reordering),
        "hoplimit" => phrase.number(word, "64", diagnostics).map(RouteSetting::HopLimit),
        "rtt" | "rttvar" | "rto_min" => {
            let time = phrase.value(word, "a time", "100ms", milliseconds, diagnostics)?;
            Some(match word.value {
                "rtt" => RouteSetting::Rtt(time),
                "rttvar" => RouteSetting::RttVar(time),
                _ => RouteSetting::RtoMin(time),
            })
        }
        "quickack" => phrase
            .value(word, "0 or 1", "1", switch, diagnostics)
            .map(RouteSetting::QuickAck),
        "fastopen_no_cookie" => {
            let on = phrase.value(word, "0 or 1", "1", switch, diagnostics);
            on.map(RouteSetting::FastopenNoCookie)
        }
        "features" => phrase.value(
            word,
            "a feature",
            "ecn",
            |text| (text == "ecn").then_some(RouteSetting::Ecn),
            diagnostics,
        ),
        _ => phrase
            .parsed(word, "a congestion control", "bbr", diagnostics)
            .map(RouteSetting::Congctl),
    }?;
    Some(Box::new(move |route: VirtualRouteBuilder| match locked {
        true => route.locked_setting(setting),
        false => route.setting(setting),
    }))
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// `20`, `20ms`, `1s`.
fn milliseconds(text: &str) -> Option<u32> {
    if let Some(number) = text.strip_suffix("ms") {
        return number.parse().ok();
    }
    match text.strip_suffix('s') {
        Some(seconds) => seconds.parse::<u32>().ok()?.checked_mul(1000),
        None => text.parse().ok(),
    }
}
