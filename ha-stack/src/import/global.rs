//! `global_defs`.

use std::time::Duration;

use vrrp_core::Version;
use vrrp_net::DriverOptions;

use super::instance::{self, Reader};
use super::keywords::{Grammar, Keyword, not_read};
use super::notify::{FifoParts, ScriptDefaults};
use super::tree::Block;
use super::unsupported;
use super::user::UserName;
use crate::config::toml::parse_duration;
use crate::config::{Diagnostics, FileId, Span, Spanned};

/// What may stand in the block, besides the defaults of instances.
pub(super) const BLOCK: Grammar<Globals> = Grammar {
    block: "global_defs",
    read: &[&[
        Keyword::new("router_id", |statement, to, diagnostics| {
            let word = statement.argument("lb1", diagnostics);
            to.router_id = word.map(|word| word.text.clone());
        }),
        Keyword::new("script_user", |statement, to, diagnostics| {
            to.scripts.user = UserName::of(statement, diagnostics);
        }),
        Keyword::new("enable_script_security", |_, to, _| to.scripts.secure = true),
        Keyword::new("notify_fifo", |statement, to, diagnostics| {
            to.fifo.read_path(statement, diagnostics);
        }),
        Keyword::new("notify_fifo_script", |statement, to, _| {
            to.fifo.read_script(statement);
        }),
        Keyword::new("vrrp_notify_fifo", |statement, to, diagnostics| {
            to.vrrp_fifo.read_path(statement, diagnostics);
        }),
        Keyword::new("vrrp_notify_fifo_script", |statement, to, _| {
            to.vrrp_fifo.read_script(statement);
        }),
        Keyword::new("vrrp_startup_delay", |statement, to, diagnostics| {
            let delay = statement.seconds(diagnostics);
            to.defaults.parts.protocol.startup_delay = delay;
        }),
        Keyword::new("vrrp_delay_after_boot", |statement, to, diagnostics| {
            to.after_boot = statement.seconds(diagnostics);
        }),
        Keyword::new("vrrp_min_garp", |statement, to, diagnostics| {
            to.min_garp = statement.switch(diagnostics);
        }),
        Keyword::new("vrrp_rt_priority", |statement, to, diagnostics| {
            if let Some(priority) = statement.number(1, 99, "50", diagnostics) {
                to.thread(priority.span).realtime = Some(priority.value);
            }
        }),
        Keyword::new("vrrp_priority", |statement, to, diagnostics| {
            if let Some(nice) = statement.number(-20, 19, "-20", diagnostics) {
                to.thread(nice.span).nice = Some(nice.value);
            }
        }),
        Keyword::new("vrrp_no_swap", |statement, to, _| {
            to.thread(statement.keyword.span).lock_memory = true;
        }),
    ]],
    unsupported: unsupported::GLOBAL,
};

/// What holds for all instances and scripts of a file.
#[derive(Debug)]
pub(super) struct Globals {
    pub(super) router_id: Option<String>,
    /// Who runs scripts.
    pub(super) scripts: ScriptDefaults,
    pub(super) fifo: FifoParts,
    pub(super) vrrp_fifo: FifoParts,
    /// `vrrp_delay_after_boot`.
    after_boot: Option<Spanned<Duration>>,
    /// `vrrp_min_garp`.
    min_garp: Option<Spanned<bool>>,
    /// How the VRRP thread runs, and what says so first.
    pub(super) thread: Option<Spanned<DriverOptions>>,
    /// What instances say unless they say otherwise.
    defaults: Reader,
}

impl Globals {
    /// None said.
    pub(super) fn new(file: FileId) -> Self {
        Self {
            router_id: None,
            scripts: ScriptDefaults::default(),
            fifo: FifoParts::default(),
            vrrp_fifo: FifoParts::default(),
            after_boot: None,
            min_garp: None,
            thread: None,
            defaults: Reader::new(Spanned::new(String::new(), file.span(0..0))),
        }
    }

    /// keepalived goes on with a message where a right is missing.
    fn thread(&mut self, at: Span) -> &mut DriverOptions {
        let options = DriverOptions {
            best_effort: true,
            ..DriverOptions::default()
        };
        &mut self.thread.get_or_insert(Spanned::new(options, at)).value
    }

    /// Begins an instance with the defaults.
    pub(super) fn reader(&self, name: Spanned<String>) -> Reader {
        let mut reader = self.defaults.clone();
        reader.parts.name = name;
        reader.scripts = self.scripts.clone();
        reader.parts.protocol.startup_delay = self.startup_delay();
        if let Some(min_garp) = self.min_garp.filter(|min_garp| min_garp.value) {
            // One announcement, and no second one later; what is said of either by itself wins.
            let announcements = &mut reader.parts.announcements;
            announcements
                .announce_repeat
                .get_or_insert(Spanned::new(1, min_garp.span));
            announcements
                .announce_delay
                .get_or_insert(Spanned::new(Duration::ZERO, min_garp.span));
        }
        // That one depends on the family.
        reader.parts.protocol.version = None;
        reader
    }

    /// The longer of the delay after the start and what is left of that after the boot, as keepalived has it.
    fn startup_delay(&self) -> Option<Spanned<Duration>> {
        let own = self.defaults.parts.protocol.startup_delay;
        let left = self
            .after_boot
            .map(|delay| Spanned::new(delay.value.saturating_sub(uptime()), delay.span));
        match (own, left) {
            (Some(own), Some(left)) if left.value > own.value => Some(left),
            (None, Some(left)) => Some(left),
            _ => own,
        }
    }

    /// `vrrp_version`.
    pub(super) fn version(&self) -> Option<Spanned<Version>> {
        self.defaults.parts.protocol.version
    }
}

/// How long the machine has been up.
fn uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text
        .split(' ')
        .next()
        .and_then(|seconds| parse_duration(&format!("{seconds}s")));
    seconds.unwrap_or_default()
}

pub(super) fn read(block: &Block, globals: &mut Globals, diagnostics: &mut Diagnostics) {
    for statement in &block.statements {
        let name = statement.keyword.text.as_str();
        if let Some((_, keyword)) = defaults().find(|(global, _)| *global == name) {
            (keyword.read)(statement, &mut globals.defaults, diagnostics);
        } else if let Some(keyword) = BLOCK.find(name) {
            (keyword.read)(statement, globals, diagnostics);
        } else {
            diagnostics.push(not_read(statement, BLOCK.block, BLOCK.unsupported, names()));
        }
    }
}

/// Defaults of instances by their names here.
fn defaults() -> impl Iterator<Item = (&'static str, &'static Keyword<Reader>)> + Clone {
    let keywords = instance::BLOCK.keywords();
    keywords.filter_map(|keyword| Some((keyword.global?, keyword)))
}

/// All that is read.
pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    BLOCK.names().chain(defaults().map(|(name, _)| name))
}
