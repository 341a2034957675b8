//! Checks that are told their results, as both formats of file write them: processes and files.

use std::sync::Arc;
use std::time::Duration;

use ha_health::probe::{File, ParamMatch, Process, ProcessError, Watch};
use ha_health::{WatchConfig, Weight};

use super::checks::CheckParts;
use super::draft::CheckSource;
use super::{Diagnostic, Diagnostics, Spanned};

/// Largest weight of processes.
const PROCESS_LIMIT: i32 = 254;

/// What `param_match` may be, in both formats.
pub(crate) const PARAM_MATCHES: [(&str, ParamMatch); 4] = [
    ("exact", ParamMatch::Exact),
    ("partial", ParamMatch::Partial),
    ("initial", ParamMatch::Initial),
    ("any", ParamMatch::Any),
];

/// What a file says of processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessParts {
    pub(crate) process: Option<Spanned<String>>,
    pub(crate) params: Vec<String>,
    pub(crate) param_match: Option<Spanned<ParamMatch>>,
    pub(crate) full_command: Option<Spanned<bool>>,
    pub(crate) quorum: Option<Spanned<u32>>,
    pub(crate) quorum_max: Option<Spanned<u32>>,
    pub(crate) delay: Option<Spanned<Duration>>,
    pub(crate) fork_delay: Option<Spanned<Duration>>,
    pub(crate) terminate_delay: Option<Spanned<Duration>>,
    pub(crate) interval: Option<Spanned<Duration>>,
}

/// What a file says of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileParts {
    pub(crate) path: Option<Spanned<String>>,
    /// Value that it is created with.
    pub(crate) init: Option<Spanned<i32>>,
    /// Whether it gets that value although it exists.
    pub(crate) overwrite: bool,
}

impl ProcessParts {
    /// Makes the watch.
    pub(crate) fn build(&self, diagnostics: &mut Diagnostics) -> Option<Process> {
        let process = self.process.as_ref()?;
        let mut builder = Process::builder(process.value.as_str());
        if !self.params.is_empty() {
            builder = builder.params(self.params.iter().cloned());
        }
        macro_rules! hand_over {
            ($($name:ident)*) => {
                $(if let Some(said) = self.$name {
                    builder = builder.$name(said.value);
                })*
            };
        }
        // The first sets the next two.
        hand_over!(delay fork_delay terminate_delay param_match full_command quorum quorum_max interval);
        match builder.build() {
            Ok(process) => Some(process),
            Err(error) => {
                let span = match error {
                    ProcessError::QuorumZero => self.quorum.map(|one| one.span),
                    ProcessError::QuorumAboveMax { .. } => self.quorum_max.map(|one| one.span),
                    ProcessError::DelayOutOfRange { got } => {
                        [self.delay, self.fork_delay, self.terminate_delay]
                            .into_iter()
                            .flatten()
                            .find(|delay| delay.value == got)
                            .map(|delay| delay.span)
                    }
                    ProcessError::IntervalOutOfRange { .. } => self.interval.map(|one| one.span),
                    _ => None,
                };
                diagnostics.push(Diagnostic::error(error.to_string()).at(span.unwrap_or(process.span)));
                None
            }
        }
    }
}

impl FileParts {
    /// Makes the watch.
    pub(crate) fn build(&self) -> Option<File> {
        let file = File::new(self.path.as_ref()?.value.as_str());
        Some(match self.init {
            Some(init) if self.overwrite => file.overwrite(init.value),
            Some(init) => file.init(init.value),
            None => file,
        })
    }
}

/// The check of a process.
pub(crate) fn process_source(config: WatchConfig, process: Process) -> CheckSource {
    source(config, Arc::new(process), PROCESS_LIMIT)
}

/// The check of a file.
pub(crate) fn file_source(config: WatchConfig, file: File) -> CheckSource {
    source(config, Arc::new(file), i32::MAX)
}

fn source(config: WatchConfig, watch: Arc<dyn Watch>, limit: i32) -> CheckSource {
    CheckSource::Watch { config, watch, limit }
}

impl CheckParts {
    /// Makes the configuration of a check that is told its results.
    pub(crate) fn build_watch(
        &self,
        name: &Spanned<String>,
        default: Weight,
        diagnostics: &mut Diagnostics,
    ) -> Option<WatchConfig> {
        let mut builder = WatchConfig::builder(name.value.as_str());
        builder = builder.weight(self.weight.map_or(default, |weight| weight.value));
        if let Some(rise) = self.rise {
            builder = builder.rise(rise.value);
        }
        if let Some(fall) = self.fall {
            builder = builder.fall(fall.value);
        }
        if let Some(init_fail) = self.init_fail {
            builder = builder.init_fail(init_fail.value);
        }
        match builder.build() {
            Ok(config) => Some(config),
            Err(error) => {
                diagnostics.push(Diagnostic::error(error.to_string()).at(name.span));
                None
            }
        }
    }
}
