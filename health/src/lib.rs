//! Health checks in the sense of keepalived's `vrrp_script`: `interval`, `timeout`, `rise`, `fall`,
//! `init_fail` and `weight`, as a pure machine, with probes that do IO behind a feature.
//!
//! # What it is
//!
//! * [`Check`]: one check as a sans-IO machine. It says when to run a probe, is told the [`Outcome`], counts
//!   `rise` and `fall`, and says when the check goes up or down. It never runs a probe twice at once. Or it is
//!   watched: it runs nothing, and is told results when there are some.
//! * [`CheckSet`]: many checks on one timer, of which only so many run at a time.
//! * [`Hysteresis`]: the counting alone.
//! * [`effect`]: what checks do to a VRRP priority, as a function of weights and states.
//! * [`probe`](https://docs.rs/ha-health/latest/ha_health/probe/) (feature `probe`, tokio): a script in a process
//!   group of its own, an HTTP request, a TCP connect; watches of processes, of a file's number and of an interface;
//!   traits for probes and watches of your own; and drivers that run one check, or a set of them.
//!
//! # What it is not
//!
//! It knows nothing of VRRP packets or of load balancing: who uses the result decides what it means. Without
//! features it has no clock, no sockets, no threads, no async, and needs `alloc` alone.
//!
//! # Where it differs from keepalived
//!
//! * **It fails closed.** A script that can't be executed, or whose shell answers 126 or 127, has failed
//!   ([`Failure::CannotExecute`]), and says so in an output of its own. keepalived counts it as success.
//! * **A timeout counts when it passes**, not when the killed script has died, up to two seconds later.
//! * **A timeout does not cost the next run.** keepalived skips a run that falls due while the run before is
//!   still on; so does a [`Check`], unless that run has timed out and is being stopped: the next one then starts
//!   as soon as it has ended. With `timeout` equal to `interval`, as is the default, a target that hangs is thus
//!   asked every interval and not every second one.
//!
//! # A run loop
//!
//! Wait, feed one input, drain the outputs, arm one timer. Time is a [`Duration`](core::time::Duration) since an
//! epoch of the driver's choice; here it is virtual.
//!
//! ```
//! use core::time::Duration;
//! use ha_health::{Check, CheckConfig, Failure, Outcome, Output, Weight};
//!
//! let config = CheckConfig::builder("chk_proxy")
//!     .interval(Duration::from_millis(500))
//!     .fall(2)
//!     .weight(Weight::new(-20)?)
//!     .build()?;
//! let mut now = Duration::ZERO;
//! let mut check = Check::new(now, config);
//!
//! // Stands in for the world: a probe takes 10 ms, and from the fourth run on it finds the port closed.
//! let mut runs = 0;
//! let mut probe = || {
//!     runs += 1;
//!     if runs < 4 { Outcome::success() } else { Failure::Refused.into() }
//! };
//!
//! let mut running: Option<(Duration, Outcome)> = None;
//! let mut changes = Vec::new();
//! while changes.len() < 2 {
//!     // 1. Wait for whatever comes first: the end of the probe, or the check's timer.
//!     let timer = check.poll_timeout();
//!     match running.take() {
//!         // 2. Feed one input.
//!         Some((end, outcome)) if timer.is_none_or(|timer| end <= timer) => {
//!             now = end;
//!             check.handle_result(now, outcome);
//!         }
//!         still_on => {
//!             running = still_on;
//!             now = timer.expect("a check waits for a probe or for a timer");
//!             check.handle_timeout(now);
//!         }
//!     }
//!     // 3. Drain the outputs.
//!     while let Some(output) = check.poll_output() {
//!         match output {
//!             Output::Start { .. } => running = Some((now + Duration::from_millis(10), probe())),
//!             Output::Changed { up, .. } => changes.push((now.as_millis(), up)),
//!             other => println!("{other}"),
//!         }
//!     }
//!     // 4. `poll_timeout` at the top of the loop arms the timer anew.
//! }
//! // Up by the first result; down by the second failure in a row, runs 4 and 5.
//! assert_eq!(changes, [(10, true), (2010, false)]);
//! # Ok::<(), ha_health::ConfigError>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "probe")]
extern crate std;

mod check;
mod config;
pub mod effect;
mod hysteresis;
mod outcome;
mod polling;
#[cfg(feature = "probe")]
pub mod probe;
mod set;
mod watch_config;

pub use check::{Check, Counters, Output};
pub use config::{CheckConfig, CheckConfigBuilder, ConfigError};
pub use effect::{Effect, Tracked, Weight};
pub use hysteresis::Hysteresis;
pub use outcome::{CannotExecute, Failure, Outcome};
pub use set::{CheckId, CheckSet};
pub use watch_config::{WatchConfig, WatchConfigBuilder};
