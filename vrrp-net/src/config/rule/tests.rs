//! Rules that can be built, and those that can't.

use super::*;

#[test]
fn a_rule_reads_as_ip_writes_it() {
    let rule = lookup()
        .from(net("10.0.0.0/8"))
        .to(net("192.0.2.0/24"))
        .iif("eth0")
        .priority(500);
    assert_eq!(
        rule.build().unwrap().to_string(),
        "from 10.0.0.0/8 to 192.0.2.0/24 iif eth0 lookup 100 priority 500"
    );
    let rule = VirtualRule::builder(Family::Ipv6, RuleAction::Prohibit);
    let rule = rule.invert().fwmark(1, 0xff).ip_proto(6).dport(80..=443).tos(8);
    assert_eq!(
        rule.build().unwrap().to_string(),
        "not from all fwmark 0x1/0xff tos 0x08 ipproto 6 dport 80-443 prohibit priority 16384"
    );
}

#[test]
fn rules_that_cannot_be_meant_are_refused() {
    let goto = VirtualRule::builder(Family::Ipv4, RuleAction::Goto(100)).priority(100);
    let drop = VirtualRule::builder(Family::Ipv4, RuleAction::Blackhole);
    for (rule, message) in [
        (
            lookup().priority(0),
            "priority 0 of a rule: use one from 1 (local is 0, main is 32766)",
        ),
        (
            VirtualRule::builder(Family::Ipv4, RuleAction::Lookup(0)),
            "table 0 of a rule: use one from 1 (main is 254)",
        ),
        (
            goto,
            "goto 100 in a rule of priority 100: a rule can only jump ahead, to a higher number",
        ),
        (
            lookup().from(net("::/0")),
            "::/0 in a rule of IPv4: use addresses of that family",
        ),
        (
            lookup().to(net("10.0.0.1/8")),
            "10.0.0.1/8 in a rule is a host in 10.0.0.0/8: use 10.0.0.0/8, or the address without a prefix",
        ),
        (
            lookup().oif(""),
            "interface \"\" of a rule: use a name of 1 to 15 printable characters without /",
        ),
        (lookup().tos(2), "tos 0x02 of a rule: use a multiple of 4"),
        (
            lookup().sport(0..=5),
            "ports 0-5 of a rule: use a range within 1-65534, the lower first",
        ),
        (
            lookup().dport(80..=65535),
            "ports 80-65535 of a rule: use a range within 1-65534, the lower first",
        ),
        (
            lookup().dport(RangeInclusive::new(81, 80)),
            "ports 81-80 of a rule: use a range within 1-65534, the lower first",
        ),
        (
            lookup().uids(RangeInclusive::new(2, 1)),
            "uidrange 2-1 of a rule: put the lower first",
        ),
        (
            drop.suppress_prefixlen(0),
            "suppress_prefixlength and suppress_ifgroup of a rule: they need a table to look up",
        ),
        (
            lookup().suppress_prefixlen(33),
            "suppress_prefixlength 33 of a rule: use 0 to 32, or to 128 for IPv6",
        ),
    ] {
        assert_eq!(rule.build().unwrap_err().to_string(), message);
    }
}

#[test]
fn rules_of_which_one_says_all_that_the_other_does_are_alike() {
    let rule = |rule: VirtualRuleBuilder| rule.build().unwrap();
    let wide = rule(lookup());
    let narrow = rule(lookup().from(net("10.0.0.0/8")));
    assert!(wide.is_like(&narrow) && narrow.is_like(&wide));
    assert!(narrow.is_like(&narrow.clone()));
    assert!(!narrow.is_like(&rule(lookup().from(net("11.0.0.0/8")))));
    assert!(!narrow.is_like(&rule(lookup().priority(5))));
    assert!(!narrow.is_like(&rule(lookup().to(net("10.0.0.0/8")))));
}

#[test]
fn the_edges_are_accepted() {
    assert!(
        lookup()
            .priority(1)
            .sport(1..=65534)
            .dport(80..=80)
            .suppress_prefixlen(32)
            .build()
            .is_ok()
    );
    assert!(
        VirtualRule::builder(Family::Ipv6, RuleAction::Lookup(1))
            .suppress_prefixlen(128)
            .build()
            .is_ok()
    );
    assert!(
        VirtualRule::builder(Family::Ipv4, RuleAction::Goto(101))
            .priority(100)
            .build()
            .is_ok()
    );
}

fn lookup() -> VirtualRuleBuilder {
    VirtualRule::builder(Family::Ipv4, RuleAction::Lookup(100))
}

fn net(net: &str) -> IpNet {
    net.parse().unwrap()
}
