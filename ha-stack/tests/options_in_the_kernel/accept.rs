//! `accept` and `strict_mode`: what becomes of what is sent to the address.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use vrrp_net::lab::Lab;

use crate::file::{Said, Start, in_both_formats};
use crate::lan::{VIP, lab_test, wait_until, who_has};

#[test]
fn without_a_word_of_it_what_is_sent_to_the_address_is_accepted() {
    lab_test().run(|| {
        in_both_formats("accept", Said::QUICK, |lab, start| {
            let _listener = listener(lab);
            let _daemon = start();
            wait_until(|| reaches(lab, VIP));
        });
    });
}

#[test]
fn no_accept_drops_what_is_sent_to_the_address() {
    lab_test().run(|| {
        let said = Said::QUICK.and("accept = false", "no_accept");
        in_both_formats("no-accept", said, accepts_nothing);
    });
}

#[test]
fn strict_mode_drops_what_is_sent_to_the_address() {
    lab_test().run(|| {
        let said = Said::QUICK.and("strict_mode = true", "strict_mode on");
        in_both_formats("strict", said, accepts_nothing);
        let said = Said::QUICK.and_global("strict_mode = true", "vrrp_strict");
        in_both_formats("strict-global", said, accepts_nothing);
    });
}

fn accepts_nothing(lab: &Lab, start: Start<'_>) {
    let _listener = listener(lab);
    let _daemon = start();
    wait_until(|| who_has(lab) == [lab.host("a").mac()]);
    assert!(!reaches(lab, VIP));
    assert!(
        reaches(lab, Ipv4Addr::new(192, 0, 2, 10)),
        "its own address is another matter"
    );
}

/// What takes connections to any address of `a`.
fn listener(lab: &Lab) -> TcpListener {
    lab.host("a").run(|| TcpListener::bind("0.0.0.0:80")).unwrap()
}

/// Whether the client gets a connection to an address.
fn reaches(lab: &Lab, address: Ipv4Addr) -> bool {
    let address = SocketAddr::from((address, 80));
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(500));
    lab.host("client").run(connect).is_ok()
}
