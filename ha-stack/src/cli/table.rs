//! The status for people, no line wider than a terminal of old.

use std::fmt::Write as _;

use crate::admin::{BackendCheckReport, BackendReport, CheckReport, Report, RouterReport, ThreadReport};

/// Widest line, in characters.
const WIDTH: usize = 80;

/// Shows a status.
pub(super) fn render(report: &Report) -> String {
    let mut text = fit(&format!("node {}", report.node));
    if let Some(thread) = &report.vrrp_thread {
        text.push_str(&thread_line(thread));
    }
    if !report.vrrp.is_empty() {
        let header = router_line("VIRTUAL ROUTER", "VRID", "INTERFACE", "STATE", "PRIORITY");
        let _ = write!(text, "\n{}", fit(&header));
        for router in &report.vrrp {
            text.push_str(&router_lines(router));
        }
    }
    if !report.checks.is_empty() {
        let _ = write!(
            text,
            "\n{}",
            fit(&format!(
                "{:<24} {:<8} {:>8} {:>8}  LAST RESULT",
                "CHECK", "STATE", "RUNS", "FAILURES"
            ))
        );
        for check in &report.checks {
            text.push_str(&check_line(check));
        }
    }
    for upstream in &report.upstreams {
        let name = cut(&format!("UPSTREAM {}", upstream.name), 30);
        let header = format!(
            "{name:<30} {:>6} {:<9} {:>6} {:>10} {:>9}",
            "WEIGHT", "STATE", "ACTIVE", "REQUESTS", "FAILURES"
        );
        let _ = write!(text, "\n{}", fit(&header));
        for backend in &upstream.backends {
            text.push_str(&backend_line(backend));
            if let Some(check) = &backend.check {
                text.push_str(&backend_check_line(check));
            }
        }
    }
    text
}

fn thread_line(thread: &ThreadReport) -> String {
    let ThreadReport {
        max_lateness_ms,
        pauses,
        ..
    } = thread;
    fit(&format!(
        "VRRP thread: latest {max_lateness_ms:.1} ms late, {pauses} pauses"
    ))
}

fn router_line(name: &str, vrid: &str, interface: &str, state: &str, priority: &str) -> String {
    format!(
        "{:<24} {vrid:>4}  {:<15} {state:<10} {priority}",
        cut(name, 24),
        cut(interface, 15)
    )
}

fn router_lines(router: &RouterReport) -> String {
    let priority = if router.effective_priority == router.priority {
        router.priority.to_string()
    } else {
        format!("{} of {}", router.effective_priority, router.priority)
    };
    let vrid = router.vrid.to_string();
    let mut text = fit(&router_line(
        &router.name,
        &vrid,
        &router.interface,
        &router.state,
        &priority,
    ));
    let master = router
        .master
        .map_or_else(|| "unknown".to_owned(), |master| master.to_string());
    let mut line = format!("  master {master}, {} changes", router.transitions);
    if let Some(group) = &router.sync_group {
        let _ = write!(line, ", sync group {group}");
    }
    text.push_str(&fit(&line));
    if router.held {
        text.push_str(&fit("  held after a switchover: preempts nobody until resumed"));
    }
    if !router.discards.is_empty() {
        let counts: Vec<String> = router
            .discards
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        text.push_str(&fit(&format!("  discarded adverts: {}", counts.join(", "))));
    }
    let mut line = String::from("  addresses");
    for address in &router.addresses {
        let address = address.to_string();
        if line.len() + 1 + address.len() > WIDTH {
            text.push_str(&fit(&line));
            line = String::from("           ");
        }
        let _ = write!(line, " {address}");
    }
    text.push_str(&fit(&line));
    text
}

fn check_line(check: &CheckReport) -> String {
    let state = match check.up {
        Some(true) => "up",
        Some(false) => "down",
        None => "unknown",
    };
    let last = check
        .last
        .as_deref()
        .unwrap_or("-")
        .replace(char::is_control, " ");
    let name = cut(&check.name, 24);
    fit(&format!(
        "{name:<24} {state:<8} {:>8} {:>8}  {last}",
        check.runs, check.failures
    ))
}

fn backend_line(backend: &BackendReport) -> String {
    let address = cut(&backend.address.to_string(), 30);
    fit(&format!(
        "{address:<30} {:>6} {:<9} {:>6} {:>10} {:>9}",
        backend.weight, backend.state, backend.active, backend.requests, backend.failures
    ))
}

fn backend_check_line(check: &BackendCheckReport) -> String {
    let mut line = match (check.up, check.since_ms) {
        (Some(up), Some(since)) => {
            let state = if up { "up" } else { "down" };
            format!("  check {state} for {}", span(since))
        }
        _ => "  check not made yet".to_owned(),
    };
    let _ = match check.next_ms {
        Some(next) => write!(line, ", next in {}", span(next)),
        None => write!(line, ", asking"),
    };
    if let Some(last) = &check.last {
        let _ = write!(line, ": {}", last.replace(char::is_control, " "));
    }
    fit(&line)
}

/// A time of so many milliseconds in few characters.
fn span(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10_000..600_000 => format!("{} s", ms / 1000),
        600_000..36_000_000 => format!("{} min", ms / 60_000),
        36_000_000..864_000_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// A line that is not too wide, with its end.
fn fit(line: &str) -> String {
    format!("{}\n", cut(line.trim_end(), WIDTH))
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::UpstreamReport;

    #[test]
    fn a_status_is_shown_as_tables() {
        assert_eq!(
            render(&report("VI_1", "tomcat")),
            include_str!("../../tests/data/status.txt")
        );
    }

    #[test]
    fn sync_group_and_hold_are_shown() {
        let mut report = report("VI_1", "tomcat");
        report.vrrp[0].sync_group = Some("both".to_owned());
        report.vrrp[0].held = true;
        let text = render(&report);
        assert!(
            text.contains("master 192.168.192.10, 2 changes, sync group both\n"),
            "{text}"
        );
        assert!(
            text.contains("  held after a switchover: preempts nobody until resumed\n"),
            "{text}"
        );
    }

    #[test]
    fn the_check_of_a_backend_stands_below_it() {
        let mut report = report("VI_1", "tomcat");
        let check = BackendCheckReport {
            up: Some(false),
            last: Some("unexpected status 503: Service Unavailable".to_owned()),
            took_ms: Some(1.5),
            consecutive: 4,
            since_ms: Some(12_345),
            next_ms: Some(1780),
            runs: 20,
            failures: 4,
            transitions: 1,
        };
        let mut shown = |check: BackendCheckReport| {
            report.upstreams[0].backends[0].check = Some(check);
            render(&report).lines().last().unwrap().to_owned()
        };
        assert_eq!(
            shown(check.clone()),
            "  check down for 12 s, next in 1.7 s: unexpected status 503: Service Unavailable"
        );
        let up = BackendCheckReport {
            up: Some(true),
            last: Some("200 OK".to_owned()),
            since_ms: Some(90_000_000),
            next_ms: None,
            ..check.clone()
        };
        assert_eq!(shown(up), "  check up for 25 h, asking: 200 OK");
        let new = BackendCheckReport {
            up: None,
            last: None,
            since_ms: None,
            next_ms: Some(0),
            ..check
        };
        assert_eq!(shown(new), "  check not made yet, next in 0.0 s");
    }

    #[test]
    fn no_line_is_wider_than_80_columns() {
        let mut report = report(&"x".repeat(100), &"界".repeat(100));
        report.vrrp[0].addresses = (0..50)
            .map(|n| format!("2001:db8:1111:2222:3333:4444:5555:{n}").parse().unwrap())
            .collect();
        report.checks[0].last = Some("a\nb".repeat(90));
        report.upstreams[0].backends[0].requests = u64::MAX;
        let text = render(&report);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("2001:db8:1111:2222:3333:4444:5555:49"));
    }

    fn report(router: &str, upstream: &str) -> Report {
        Report {
            node: "lb1".to_owned(),
            vrrp_thread: Some(ThreadReport {
                max_lateness_ms: 1.23,
                pauses: 0,
                malformed: 0,
                unknown_vrid: 0,
                send_errors: 0,
                announce_errors: 0,
                address_errors: 0,
                renewals: 0,
                restored: 0,
                conflicts: 0,
                replies_withheld: 0,
            }),
            vrrp: vec![RouterReport {
                name: router.to_owned(),
                vrid: 33,
                interface: "ens33".to_owned(),
                family: "ipv4".to_owned(),
                state: "master".to_owned(),
                priority: 100,
                effective_priority: 80,
                master: Some("192.168.192.10".parse().unwrap()),
                sync_group: None,
                held: false,
                addresses: vec!["192.168.192.130".parse().unwrap()],
                transitions: 2,
                discards: [("unknown_key".to_owned(), 3), ("peer".to_owned(), 1)].into(),
            }],
            checks: vec![CheckReport {
                name: "proxy".to_owned(),
                up: Some(false),
                last: Some("connection refused".to_owned()),
                took_ms: Some(0.2),
                consecutive: 3,
                runs: 120,
                failures: 3,
                transitions: 1,
            }],
            upstreams: vec![UpstreamReport {
                name: upstream.to_owned(),
                backends: vec![BackendReport {
                    name: "tomcat-1".to_owned(),
                    address: "192.168.192.10:8080".parse().unwrap(),
                    weight: 1,
                    state: "up".to_owned(),
                    active: 2,
                    requests: 1234,
                    failures: 0,
                    check: None,
                }],
            }],
        }
    }
}
