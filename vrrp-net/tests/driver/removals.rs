//! What somebody removes from a master is put back.

use vrrp_net::{AttachmentBuilder, DriverEvent, VirtualRoute};

use crate::fake::{self, Act, Fact, advert, ms, run, run_attached, up, vip};

#[test]
fn an_address_that_somebody_removes_is_put_back_at_once() {
    let outcome = run(
        &[255, 100],
        ms(900),
        [(ms(500), Fact::Removed(vip(1))), (ms(600), Fact::Removed(vip(2)))],
    );
    assert_eq!(
        outcome.times(|act| matches!(act, Act::Acquire(_))),
        [0, 500].map(ms)
    );
    let restored = DriverEvent::AddressRestored {
        router: 0,
        address: vip(1),
    };
    assert_eq!(outcome.events(), [&restored]);
    // A backup holds none, so nothing of its is missing.
    assert_eq!(outcome.counters.restored, 1);
}

#[test]
fn whoever_removes_an_address_all_the_time_is_not_fought_all_the_time() {
    let removals = (0..300).map(|n| (ms(500 + n), Fact::Removed(vip(1))));
    let outcome = run(&[255], ms(2400), removals);
    let restored = outcome.times(|act| matches!(act, Act::Acquire(_)));
    // The first takes the address at the start. One more comes a second after the last that was let pass.
    assert_eq!(restored, [0, 500, 501, 502, 503, 504, 1505].map(ms));
    assert_eq!(outcome.counters.restored, 6);
}

#[test]
fn a_router_that_has_stepped_down_puts_nothing_back() {
    let removals = (0..6).map(|n| (ms(4000 + n), Fact::Removed(vip(1))));
    let script = removals.chain([(ms(4100), advert(1, 200))]);
    let outcome = run(&[100], ms(6000), script);
    assert_eq!(outcome.times(|act| matches!(act, Act::Acquire(_))).len(), 1 + 5);
}

#[test]
fn whoever_removes_routes_all_the_time_is_not_fought_all_the_time() {
    let removals = (0..300).map(|n| (ms(500 + n), Fact::RoutesRemoved(1)));
    let outcome = run_attached(&[255], up(), with_a_route, ms(2400), removals);
    let restored: Vec<_> = outcome
        .acts()
        .into_iter()
        .filter_map(|(at, act)| match act {
            Act::AddRoutes(count) => Some((at, count)),
            _ => None,
        })
        .collect();
    let at_once = [500, 501, 502, 503, 504].map(|at| (ms(at), 1));
    assert_eq!(restored[..5], at_once);
    // All that went in the meantime comes back together, a second after the first that had to wait.
    assert_eq!(restored[5..], [(ms(1505), 295)]);
    assert_eq!(outcome.counters.restored, 6);
}

#[test]
fn a_report_of_routes_that_misses_none_uses_up_nothing() {
    let reports = (0..300).map(|n| (ms(500 + n), Fact::RoutesRemoved(0)));
    let script = reports.chain([(ms(900), Fact::RoutesRemoved(1))]);
    let outcome = run_attached(&[255], up(), with_a_route, ms(2400), script);
    assert_eq!(outcome.times(|act| *act == Act::AddRoutes(1)), [ms(900)]);
}

#[test]
fn a_router_that_has_stepped_down_puts_no_routes_back() {
    let removals = (0..6).map(|n| (ms(4000 + n), Fact::RoutesRemoved(1)));
    let script = removals.chain([(ms(4100), advert(1, 200))]);
    let outcome = run_attached(&[100], up(), with_a_route, ms(6000), script);
    assert_eq!(outcome.times(|act| matches!(act, Act::AddRoutes(_))).len(), 5);
}

fn with_a_route(attachment: AttachmentBuilder) -> AttachmentBuilder {
    let to: ipnet::IpNet = "198.51.100.0/24".parse().unwrap();
    attachment.route(VirtualRoute::builder(to).dev(fake::INTERFACE).build().unwrap())
}
