//! One virtual router in either format, and a scenario that runs with it.

use std::fmt::Debug;
use std::thread;

use vrrp_net::lab::Lab;

use crate::daemon::Daemon;
use crate::lan::{VRID, lab};
use crate::support::Folder;

/// What a file says of the virtual router, in either format.
#[derive(Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) version: u8,
    pub(crate) priority: u8,
    /// In seconds.
    pub(crate) interval: &'a str,
    /// The addresses, in TOML and in `virtual_ipaddress`.
    pub(crate) addresses: (&'a str, &'a str),
    /// More in `[[vrrp]]`, and in a section of its own.
    pub(crate) toml: (&'a str, &'a str),
    /// More in `vrrp_instance`, and in `global_defs`; none where keepalived has no word for it.
    pub(crate) conf: Option<(&'a str, &'a str)>,
}

impl<'a> Said<'a> {
    /// A backup that becomes master within half a second.
    pub(crate) const QUICK: Self = Self {
        version: 3,
        priority: 100,
        interval: "0.1",
        addresses: ("\"192.0.2.100\"", "192.0.2.100"),
        toml: ("", ""),
        conf: Some(("", "")),
    };
    /// A master from the start that says nothing for 40 seconds unless it has a reason.
    pub(crate) const STILL: Self = Self {
        priority: 255,
        interval: "40",
        ..Self::QUICK
    };

    /// The same with more in `[[vrrp]]` and in `vrrp_instance`.
    pub(crate) const fn and(self, toml: &'a str, conf: &'a str) -> Self {
        Self {
            toml: (toml, ""),
            conf: Some((conf, "")),
            ..self
        }
    }

    /// The same with more in `[[vrrp]]` and in `global_defs`.
    pub(crate) const fn and_global(self, toml: &'a str, conf: &'a str) -> Self {
        Self {
            toml: (toml, ""),
            conf: Some(("", conf)),
            ..self
        }
    }

    pub(crate) fn to_toml(self) -> String {
        let (more, sections) = self.toml;
        format!(
            "{sections}\n[[vrrp]]\nname = \"VI\"\ninterface = \"eth0\"\nvrid = {VRID}\naddresses = [{}]\n\
             version = {}\npriority = {}\nadver_interval = \"{}s\"\n{more}\n",
            self.addresses.0, self.version, self.priority, self.interval
        )
    }

    pub(crate) fn to_conf(self) -> Option<String> {
        let (more, globals) = self.conf?;
        Some(format!(
            "global_defs {{\n{globals}\n}}\nvrrp_instance VI {{\ninterface eth0\nvirtual_router_id {VRID}\n\
             virtual_ipaddress {{\n{}\n}}\nversion {}\npriority {}\nadvert_int {}\n{more}\n}}\n",
            self.addresses.1, self.version, self.priority, self.interval
        ))
    }
}

/// Starts the daemon on the host `a`.
pub(crate) type Start<'a> = &'a dyn Fn() -> Daemon;

/// Runs a scenario with each file in both formats, and compares what it has seen with what it should have.
pub(crate) fn compare<T: PartialEq + Debug + Send + Sync>(
    name: &str,
    rows: &[(Said<'_>, T)],
    scenario: impl Fn(&Lab, Start<'_>) -> T + Sync,
) {
    let run = |number: usize, file: &str, text: &str, wanted: &T| {
        let lab = lab();
        let folder = Folder::new(&format!("kernel-{name}-{number}-{file}"));
        let seen = scenario(&lab, &|| Daemon::start(&folder, lab.host("a"), file, text));
        assert_eq!(seen, *wanted, "{name}: {text}");
    };
    let run = &run;
    thread::scope(|scope| {
        for (number, (said, wanted)) in rows.iter().enumerate() {
            let toml = said.to_toml();
            scope.spawn(move || run(number, "a.toml", &toml, wanted));
            if let Some(conf) = said.to_conf() {
                scope.spawn(move || run(number, "a.conf", &conf, wanted));
            }
        }
    });
}

/// Runs a scenario, which judges by itself, in both formats.
pub(crate) fn in_both_formats(name: &str, said: Said<'_>, scenario: impl Fn(&Lab, Start<'_>) + Sync) {
    compare(name, &[(said, ())], scenario);
}
