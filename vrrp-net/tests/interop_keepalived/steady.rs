//! Telling a node that misbehaves from a machine that stood still: a test that failed is tried again if there was a stop
//! that its protocol does not bear, and only then.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use vrrp_net::lab::Stillness;

use crate::protocol::Protocol;

/// How often a test is tried.
const ATTEMPTS: usize = 3;

/// Runs the body of a test. If it fails, and the machine stood still for a quarter of an advertisement interval
/// meanwhile, runs it again.
pub(crate) fn steadily(protocol: Protocol, body: impl Fn()) {
    let limit = protocol.interval() / 4;
    for attempt in 1.. {
        let stillness = Stillness::watch();
        // Nothing of a failed attempt is used again.
        let outcome = catch_unwind(AssertUnwindSafe(&body));
        let stops = stillness.end();
        let Err(panic) = outcome else { return };
        if stops.longest() < limit || attempt == ATTEMPTS {
            eprintln!("attempt {attempt} failed, on a machine that stood still for {stops}");
            resume_unwind(panic);
        }
        eprintln!("attempt {attempt} failed, but the machine stood still for {stops}: once more");
    }
}
