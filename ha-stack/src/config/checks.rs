//! The settings of a check as both formats of file write them, whatever it is that is probed.

use std::time::Duration;

use ha_health::{CheckConfig, ConfigError, Weight};

use super::format::Format;
use super::{Diagnostic, Diagnostics, Span, Spanned};

const SECOND: Duration = Duration::from_secs(1);

/// What a file says of one check, each value with its place. What is `None` was not said.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckParts {
    pub(crate) interval: Option<Spanned<Duration>>,
    pub(crate) fast_interval: Option<Spanned<Duration>>,
    pub(crate) down_interval: Option<Spanned<Duration>>,
    pub(crate) timeout: Option<Spanned<Duration>>,
    pub(crate) jitter_percent: Option<Spanned<u8>>,
    pub(crate) rise: Option<Spanned<u32>>,
    pub(crate) fall: Option<Spanned<u32>>,
    pub(crate) init_fail: Option<Spanned<bool>>,
    pub(crate) weight: Option<Spanned<Weight>>,
}

impl CheckParts {
    /// Makes the configuration. The builder tells of one thing at a time: each is made good then, to find the next.
    pub(crate) fn build(
        mut self,
        name: &Spanned<String>,
        format: Format,
        diagnostics: &mut Diagnostics,
    ) -> Option<CheckConfig> {
        let mut sound = true;
        loop {
            let error = match self.config(&name.value) {
                Ok(config) => return sound.then_some(config),
                Err(error) => error,
            };
            let span = self.make_good(&error);
            diagnostics.push(
                Diagnostic::error(error.to_string())
                    .at(span.unwrap_or(name.span))
                    .help(format.choose(
                        "write a time such as \"1s\" or \"500ms\"",
                        "write seconds, such as 1 or 0.5",
                    )),
            );
            span?;
            sound = false;
        }
    }

    fn config(&self, name: &str) -> Result<CheckConfig, ConfigError> {
        let mut builder = CheckConfig::builder(name);
        macro_rules! hand_over {
            ($($name:ident)*) => {
                $(if let Some(said) = self.$name {
                    builder = builder.$name(said.value);
                })*
            };
        }
        hand_over!(interval fast_interval down_interval timeout jitter_percent rise fall init_fail weight);
        builder.build()
    }

    fn make_good(&mut self, error: &ConfigError) -> Option<Span> {
        let culprit = match error {
            ConfigError::IntervalOutOfRange { got } => {
                let intervals = [
                    &mut self.interval,
                    &mut self.fast_interval,
                    &mut self.down_interval,
                ];
                let mut said = intervals.into_iter().flatten();
                said.find(|one| one.value == *got)?
            }
            ConfigError::TimeoutOutOfRange { .. } => self.timeout.as_mut()?,
            _ => return None,
        };
        culprit.value = SECOND;
        Some(culprit.span)
    }
}
