//! Options from the file to the wire or the kernel: the daemon reads each from both formats, and it works.
//!
//! A scenario runs with the option and without it, so that an option that is lost on the way shows. Its runs are at the
//! same time, each in a lab of its own.

#[path = "../support/mod.rs"]
mod support;

mod accept;
mod addresses;
mod announcements;
mod election;
mod faults;
mod notify;
mod routing;
mod vmac;

mod daemon;
mod file;
mod lan;
mod rival;
mod wire;
