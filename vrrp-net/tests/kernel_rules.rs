//! Routing rules that move with a virtual router, on the real kernel.

mod node;

use std::time::{Duration, Instant};

use node::lan::pair;
use node::routing::{MARK, add_rule, changes, del_rule, marked_routes, net, rules};
use node::{Node, PATIENCE, Setup, has, ip, within};
use rtnetlink::packet_route::rule::{
    RuleAction as Action, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use vrrp_core::{Family, Priority, State, Vrid};
use vrrp_net::lab;
use vrrp_net::{
    DriverEvent, PlanError, RuleAction, StartError, VirtualRoute, VirtualRule, VirtualRuleBuilder,
};

const VIP: &str = "192.0.2.100";

#[test]
fn rules_come_with_mastership_and_go_with_it() {
    lab::test(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let setup = |host, priority| {
            Setup::new(host, priority, &[VIP]).attachment(|attachment| {
                attachment
                    .route(
                        VirtualRoute::default_route(Family::Ipv4)
                            .dev("eth0")
                            .table(100)
                            .build()
                            .unwrap(),
                    )
                    .rule(built(lookup().from(net("10.0.0.0/8"))))
                    .rule(built(
                        VirtualRule::builder(Family::Ipv6, RuleAction::Prohibit).to(net("2001:db8:9::/48")),
                    ))
            })
        };
        let low = setup(b, 100).start(b);
        low.wait_for(State::Master);
        assert_eq!(rules(b, MARK).len(), 2);
        let high = setup(a, 150).start(a);
        high.wait_for(State::Master);
        low.wait_for(State::Backup);
        // They stay with the addresses until the winner has announced itself.
        within(PATIENCE, || {
            rules(b, MARK).is_empty() && marked_routes(b).is_empty()
        });
        let both = rules(a, MARK);
        assert_eq!(priority(&both[0]), VirtualRule::DEFAULT_PRIORITY);
        assert!(both[0].attributes.contains(&RuleAttribute::Table(100)));
        assert_eq!(both[1].header.action, Action::Prohibit);
        high.stop();
        assert!(rules(a, MARK).is_empty() && marked_routes(a).is_empty());
    });
}

#[test]
fn addresses_come_first_and_rules_last_and_they_go_the_other_way() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let node = Setup::new(a, 100, &[VIP]).attachment(|attachment| {
            let route = VirtualRoute::default_route(Family::Ipv4)
                .dev("eth0")
                .table(100)
                .src(ip(VIP));
            attachment.route(route.build().unwrap()).rule(built(lookup()))
        });
        let changes = changes(a);
        let next = || [(); 3].map(|()| changes.recv_timeout(PATIENCE).unwrap());
        let node = node.start(a);
        assert_eq!(next(), ["+address", "+route", "+rule"]);
        node.wait_for(State::Master);
        // No lease is renewed that soon, so nothing comes between.
        node.stop();
        assert_eq!(next(), ["-rule", "-route", "-address"]);
    });
}

#[test]
fn each_selector_and_action_is_what_it_says() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let all = [
            lookup()
                .priority(101)
                .invert()
                .from(net("10.0.0.0/8"))
                .to(net("192.0.2.0/24"))
                .iif("eth0")
                .oif("not-there-yet")
                .fwmark(0x10, 0xf0)
                .tos(0x10)
                .ip_proto(6)
                .sport(1024..=65534)
                .dport(80..=80)
                .uids(0..=0)
                .suppress_prefixlen(0)
                .suppress_ifgroup(4),
            VirtualRule::builder(Family::Ipv4, RuleAction::Goto(200)).priority(102),
            VirtualRule::builder(Family::Ipv4, RuleAction::Nop).priority(103),
            VirtualRule::builder(Family::Ipv4, RuleAction::Blackhole)
                .priority(104)
                .to(net("10.9.0.0/16")),
            VirtualRule::builder(Family::Ipv4, RuleAction::Unreachable)
                .priority(105)
                .to(net("10.9.0.0/16")),
            VirtualRule::builder(Family::Ipv4, RuleAction::Prohibit)
                .priority(106)
                .to(net("10.9.0.0/16")),
            VirtualRule::builder(Family::Ipv4, RuleAction::Lookup(70_000)).priority(200),
            VirtualRule::builder(Family::Ipv6, RuleAction::Lookup(100))
                .from(net("2001:db8::/32"))
                .priority(107),
        ];
        let setup = Setup::new(a, 255, &[VIP]).attachment(|attachment| {
            all.into_iter()
                .fold(attachment, |attachment, rule| attachment.rule(built(rule)))
        });
        let node = setup.start(a);
        node.wait_for(State::Master);
        let found = rules(a, MARK);
        let actions: Vec<_> = found
            .iter()
            .map(|rule| (priority(rule), rule.header.action))
            .collect();
        assert_eq!(
            actions,
            [
                (101, Action::ToTable),
                (102, Action::Goto),
                (103, Action::Nop),
                (104, Action::Blackhole),
                (105, Action::Unreachable),
                (106, Action::Prohibit),
                (200, Action::ToTable),
                (107, Action::ToTable)
            ]
        );
        let first = &found[0];
        assert!(first.header.flags.contains(RuleFlags::Invert));
        assert_eq!(
            (first.header.src_len, first.header.dst_len, first.header.tos),
            (8, 24, 0x10)
        );
        for attribute in [
            RuleAttribute::Source(net("10.0.0.0/8").addr()),
            RuleAttribute::Destination(net("192.0.2.0/24").addr()),
            RuleAttribute::Iifname("eth0".into()),
            RuleAttribute::Oifname("not-there-yet".into()),
            RuleAttribute::FwMark(0x10),
            RuleAttribute::FwMask(0xf0),
            RuleAttribute::IpProtocol(6.into()),
            RuleAttribute::SourcePortRange(RulePortRange {
                start: 1024,
                end: 65534,
            }),
            RuleAttribute::DestinationPortRange(RulePortRange { start: 80, end: 80 }),
            RuleAttribute::UidRange(RuleUidRange { start: 0, end: 0 }),
            RuleAttribute::SuppressPrefixLen(0),
            RuleAttribute::SuppressIfGroup(4),
        ] {
            assert!(
                first.attributes.contains(&attribute),
                "{attribute:?} in {first:?}"
            );
        }
        assert!(found[1].attributes.contains(&RuleAttribute::Goto(200)));
        assert!(found[6].attributes.contains(&RuleAttribute::Table(70_000)));
        // Each is also recognised as what is there already: nothing is added twice, and all go.
        del_rule(a, found[3].clone());
        node.wait_for_event(|event| {
            matches!(event, DriverEvent::RoutingRestored { count: 1, .. }).then_some(())
        });
        assert_eq!(rules(a, MARK).len(), 8);
        node.stop();
        assert!(rules(a, MARK).is_empty());
    });
}

#[test]
fn a_rule_that_somebody_removes_is_put_back() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let node = with_rule(255).start(a);
        node.wait_for(State::Master);
        for _ in 0..3 {
            let removed = Instant::now();
            del_rule(a, rules(a, MARK).remove(0));
            let (at, ()) = node.wait_for_event(|event| {
                matches!(event, DriverEvent::RoutingRestored { router: 0, count: 1 }).then_some(())
            });
            let took = at.duration_since(removed);
            assert!(took < Duration::from_millis(100), "took {took:?}");
            assert_eq!(rules(a, MARK).len(), 1);
        }
    });
}

#[test]
fn somebody_elses_rule_is_not_touched_even_if_it_is_the_same() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        add_rule(a, "10.0.0.0/8", 100, VirtualRule::DEFAULT_PRIORITY, 4);
        let node = with_rule(255).start(a);
        node.wait_for(State::Master);
        assert_eq!((rules(a, MARK).len(), rules(a, 4).len()), (1, 1));
        node.stop();
        assert_eq!((rules(a, MARK).len(), rules(a, 4).len()), (0, 1));
    });
}

#[test]
fn rules_that_a_killed_process_left_are_swept_at_the_start_and_those_of_a_living_one_are_not() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        add_rule(a, "10.0.0.0/8", 100, VirtualRule::DEFAULT_PRIORITY, MARK);
        add_rule(a, "11.0.0.0/8", 200, 77, MARK);
        let node = with_rule(100).start(a);
        assert!(rules(a, MARK).is_empty());
        node.wait_for(State::Master);
        let other = Setup::on("eth0", Vrid::new(52).unwrap(), Priority::OWNER, &["192.0.2.101"]);
        let other = other.start(a);
        other.wait_for(State::Master);
        other.stop();
        assert_eq!(rules(a, MARK).len(), 1);
        assert!(
            !node
                .take_events()
                .iter()
                .any(|event| matches!(event, DriverEvent::RoutingRestored { .. }))
        );
    });
}

#[test]
fn rules_that_the_kernel_would_confuse_are_refused_at_the_start() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let setup = with_rule(100).attachment(|attachment| attachment.rule(built(lookup())));
        let error = setup.try_start(a).err().unwrap();
        assert!(
            matches!(error, StartError::Plan(PlanError::LikeRules { .. })),
            "{error}"
        );
        assert_eq!(
            error.to_string(),
            "the kernel can't tell rule from all lookup 100 priority 16384 from from 10.0.0.0/8 lookup 100 priority \
             16384 to remove it: give one of them another priority"
        );
    });
}

#[test]
fn a_rule_the_kernel_refuses_is_a_fault_unless_it_is_not_tracked() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let refused = |track| {
            // A user that is none.
            let rule = lookup().uids(u32::MAX..=u32::MAX).track(track);
            Setup::new(a, 255, &[VIP])
                .attachment(|attachment| attachment.rule(built(rule)))
                .start(a)
        };
        let node: Node = refused(true);
        let reason = node.wait_for_refusal();
        assert!(reason.starts_with("rule from all"), "{reason}");
        node.wait_for(State::Fault);
        node.stop();
        let node = refused(false);
        node.wait_for(State::Master);
        within(PATIENCE, || has(a, VIP));
        assert!(rules(a, MARK).is_empty());
    });
}

fn with_rule(priority: u8) -> Setup {
    Setup::on("eth0", Vrid::new(51).unwrap(), Priority::new(priority), &[VIP])
        .attachment(|attachment| attachment.rule(built(lookup().from(net("10.0.0.0/8")))))
}

fn lookup() -> VirtualRuleBuilder {
    VirtualRule::builder(Family::Ipv4, RuleAction::Lookup(100))
}

fn built(rule: VirtualRuleBuilder) -> VirtualRule {
    rule.build().unwrap()
}

fn priority(rule: &RuleMessage) -> u32 {
    let priority = rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    priority.unwrap_or(0)
}
