//! The LANs that most tests have.

use vrrp_net::lab::Lab;

/// A LAN of `a` (192.0.2.10) and `b` (192.0.2.11).
pub fn pair() -> Lab {
    lan([("a", &["192.0.2.10/24"]), ("b", &["192.0.2.11/24"])])
}

/// Same, and a `client` (192.0.2.20).
pub fn pair_and_client() -> Lab {
    lan([
        ("a", &["192.0.2.10/24"]),
        ("b", &["192.0.2.11/24"]),
        ("client", &["192.0.2.20/24"]),
    ])
}

/// A LAN of `a` and `b`, with 2001:db8::10 and 2001:db8::11 too.
pub fn dual_stack_pair() -> Lab {
    lan([
        ("a", &["192.0.2.10/24", "2001:db8::10/64"]),
        ("b", &["192.0.2.11/24", "2001:db8::11/64"]),
    ])
}

/// A LAN of `a`, `b` and `c` (192.0.2.10 to .12).
pub fn trio() -> Lab {
    lan([
        ("a", &["192.0.2.10/24"]),
        ("b", &["192.0.2.11/24"]),
        ("c", &["192.0.2.12/24"]),
    ])
}

fn lan<const H: usize, const A: usize>(hosts: [(&str, &[&str; A]); H]) -> Lab {
    let lab = hosts.into_iter().fold(Lab::builder(), |lab, (name, addresses)| {
        lab.host(name, *addresses)
    });
    lab.build().unwrap()
}
