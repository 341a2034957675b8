//! Keys of a `[[check]]` of processes or of a file.

use super::keys::Key;
use super::values;
use crate::config::watch::{FileParts, PARAM_MATCHES, ProcessParts};

pub(super) const PROCESS_KEYS: &[Key<ProcessParts>] = &[
    Key::new(
        "process",
        "name",
        "Processes, whose death is seen at once. One of the probes.",
        |table, key, to| {
            to.process = table.optional(key, values::text);
        },
    ),
    Key::new(
        "params",
        "array of strings",
        "With `process`: its parameters. Default: any.",
        |table, key, to| {
            to.params = table
                .list(key, values::text)
                .into_iter()
                .map(|one| one.value)
                .collect();
        },
    ),
    Key::new(
        "param_match",
        "\"exact\", \"partial\", \"initial\" or \"any\"",
        "With `process`: how parameters must match. Default: \"exact\" with `params`, else \"any\".",
        |table, key, to| to.param_match = table.optional(key, |value| values::choice(value, &PARAM_MATCHES)),
    ),
    Key::new(
        "full_command",
        "true or false",
        "With `process`: whether it is known by its command line. Default: false.",
        |table, key, to| to.full_command = table.optional(key, values::boolean),
    ),
    Key::new(
        "quorum",
        "0 or more",
        "With `process`: how many are needed. Default: 1.",
        |table, key, to| {
            to.quorum = table.optional(key, |value| values::integer(value, 0, i64::from(u32::MAX)));
        },
    ),
    Key::new(
        "quorum_max",
        "0 or more",
        "With `process`: how many may run. Default: any number.",
        |table, key, to| {
            to.quorum_max = table.optional(key, |value| values::integer(value, 0, i64::from(u32::MAX)));
        },
    ),
    Key::new(
        "delay",
        "time",
        "With `process`: both of the next. Default: \"0s\".",
        |table, key, to| {
            to.delay = table.optional(key, values::duration);
        },
    ),
    Key::new(
        "fork_delay",
        "time",
        "With `process`: how long a change by new processes must last. Default: \"0s\".",
        |table, key, to| to.fork_delay = table.optional(key, values::duration),
    ),
    Key::new(
        "terminate_delay",
        "time",
        "With `process`: how long a change by processes that ended must last. Default: \"0s\".",
        |table, key, to| to.terminate_delay = table.optional(key, values::duration),
    ),
];

pub(super) const FILE_KEYS: &[Key<FileParts>] = &[
    Key::new(
        "file",
        "path",
        "A file that holds a number, which times the weight is added to the priority. One of the probes.",
        |table, key, to| to.path = table.optional(key, values::text),
    ),
    Key::new(
        "init",
        "number",
        "With `file`: what is written into it at the start if it does not exist.",
        |table, key, to| {
            let (min, max) = (i64::from(i32::MIN), i64::from(i32::MAX));
            to.init = table.optional(key, |value| values::integer(value, min, max));
        },
    ),
    Key::new(
        "overwrite",
        "true or false",
        "With `init`: whether that is written whatever it held. Default: false.",
        |table, key, to| to.overwrite = values::flag(table, key),
    ),
];
