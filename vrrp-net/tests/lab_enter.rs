//! A program that enters the lab's namespaces first thing in its `main`, as examples do.
//!
//! It has no libtest, since that has threads; it speaks as much of its language as cargo and nextest need.

use std::time::Duration;

use nix::unistd::{getegid, geteuid};
use vrrp_net::lab::{self, EnterError, Lab};

const NAME: &str = "a_program_enters_first_thing_in_main";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let filters: Vec<_> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if has("--list") {
        if !has("--ignored") {
            println!("{NAME}: test");
        }
    } else if filters.is_empty() || filters.iter().any(|filter| NAME.contains(*filter)) {
        a_program_enters_first_thing_in_main();
    }
}

fn a_program_enters_first_thing_in_main() {
    let was_root = geteuid().is_root();
    let outside = std::fs::read_link("/proc/self/ns/net").unwrap();
    match lab::enter() {
        Ok(()) => {}
        Err(error @ EnterError::Denied { .. }) => {
            assert!(std::env::var("VRRP_LAB_REQUIRED").is_err(), "{error}");
            eprintln!("{NAME} skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    }
    assert!(lab::entered());
    assert!(
        geteuid().is_root() && (was_root || getegid().as_raw() == 0),
        "the caller appears as root"
    );
    assert_ne!(std::fs::read_link("/proc/self/ns/net").unwrap(), outside);
    lab::enter().expect("entering again does nothing");

    let lab = Lab::builder()
        .host("a", ["10.0.0.1/24"])
        .host("b", ["10.0.0.2/24"])
        .build()
        .unwrap();
    let answers = lab
        .host("a")
        .arp_who_has([10, 0, 0, 2].into(), Duration::from_millis(200))
        .unwrap();
    assert_eq!(answers, [lab.host("b").mac()]);
    println!("test {NAME} ... ok");
}
