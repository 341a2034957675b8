//! `[vrrp_thread]`.

use vrrp_net::DriverOptions;

use super::keys::Key;
use super::values;

pub(super) const KEYS: &[Key<DriverOptions>] = &[
    Key::new(
        "realtime",
        "1 to 99",
        "Priority of SCHED_FIFO for the thread that sends and receives adverts; takes CAP_SYS_NICE. Default: an ordinary thread.",
        |table, key, to| {
            let priority = table.optional(key, |value| {
                values::integer(value, 1, i64::from(DriverOptions::REALTIME_MAX))
            });
            to.realtime = priority.map(|one| one.value);
        },
    ),
    Key::new(
        "nice",
        "-20 to 19",
        "Nice value of that thread alone, without effect under `realtime`; one below 0 takes CAP_SYS_NICE. Default: -20 where allowed, unless the process was given another scheduling policy than SCHED_OTHER.",
        |table, key, to| {
            let nice = table.optional(key, |value| {
                let (min, max) = (DriverOptions::NICE_MIN, DriverOptions::NICE_MAX);
                values::integer(value, min.into(), max.into())
            });
            to.nice = nice.map(|one| one.value);
        },
    ),
    Key::new(
        "lock_memory",
        "true or false",
        "Whether the process stays in RAM; takes CAP_IPC_LOCK. Default: false.",
        |table, key, to| {
            to.lock_memory = values::flag(table, key);
        },
    ),
    Key::new(
        "best_effort",
        "true or false",
        "Whether to go on with a warning where a right for these is missing. Default: false.",
        |table, key, to| {
            to.best_effort = values::flag(table, key);
        },
    ),
];
