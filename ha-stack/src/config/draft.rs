//! What files say, valid piece by piece, not yet put together.

use std::sync::Arc;

use ha_health::probe::{Probe, Watch};
use ha_health::{CheckConfig, WatchConfig, Weight};
use lb_proxy::balance::UpstreamConfig;
use vrrp_net::DriverOptions;

use super::format::Format;
use super::groups::GroupDraft;
use super::instance::InstanceDraft;
use super::proxy::ProxyDraft;
use super::{Span, Spanned};
use crate::{NotifyFifo, UpstreamCheck};

/// Everything that the files define, in their order.
#[derive(Default)]
pub(crate) struct Draft {
    /// Names given to the node; one at most is allowed.
    pub(crate) node: Vec<Spanned<String>>,
    /// keepalived's `router_id`, the node's name where no other is given.
    pub(crate) router_id: Option<String>,
    /// How the VRRP thread runs; given once at most.
    pub(crate) thread: Vec<Spanned<DriverOptions>>,
    pub(crate) instances: Vec<InstanceDraft>,
    pub(crate) checks: Vec<CheckDraft>,
    pub(crate) groups: Vec<GroupDraft>,
    pub(crate) fifos: Vec<Spanned<NotifyFifo>>,
    pub(crate) upstreams: Vec<UpstreamDraft>,
    pub(crate) proxies: Vec<ProxyDraft>,
    /// Checks that definitions with an error refer to: they are in use, for all that is known.
    pub(crate) mentioned: Vec<String>,
    /// Names of definitions that had an error: who refers to them is not told that they don't exist.
    pub(crate) broken: Vec<String>,
}

/// A check with its probe.
pub(crate) struct CheckDraft {
    pub(crate) name: Spanned<String>,
    pub(crate) source: CheckSource,
    /// The command line, where the probe is a script, to look into.
    pub(crate) script: Option<ScriptDraft>,
    /// Whether those who track it without a weight of their own take up for down.
    pub(crate) reverse: bool,
    /// Format that it is written in.
    pub(crate) format: Format,
}

/// How a check gets its results.
#[derive(Clone)]
pub(crate) enum CheckSource {
    /// It asks.
    Probe(CheckConfig, Arc<dyn Probe>),
    /// It is told. Weights are within plus or minus `limit`.
    Watch {
        config: WatchConfig,
        watch: Arc<dyn Watch>,
        limit: i32,
    },
}

impl CheckSource {
    /// The check's own weight.
    pub(crate) fn weight(&self) -> Weight {
        match self {
            Self::Probe(config, _) => config.weight(),
            Self::Watch { config, .. } => config.weight(),
        }
    }

    /// The largest weight that it may be tracked with.
    pub(crate) fn limit(&self) -> i32 {
        match self {
            Self::Probe(..) => Weight::MAX.get(),
            Self::Watch { limit, .. } => *limit,
        }
    }
}

/// A script's command line.
#[derive(Clone, Debug)]
pub(crate) struct ScriptDraft {
    pub(crate) line: String,
    pub(crate) at: Span,
    /// Whether a shell runs it.
    pub(crate) shell: bool,
    /// What it is for.
    pub(crate) used: ScriptUse,
}

/// What a script is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScriptUse {
    Check,
    Notify,
}

/// An upstream with the checks that its backends follow.
pub(crate) struct UpstreamDraft {
    pub(crate) name: Spanned<String>,
    pub(crate) config: UpstreamConfig,
    /// How all others are asked.
    pub(crate) check: Option<UpstreamCheck>,
    /// Backend id and the name of its check.
    pub(crate) checks: Vec<(String, Spanned<String>)>,
}
