//! What a check is that is told its results: thresholds alone.

use alloc::boxed::Box;
use core::num::NonZeroU32;

use crate::{ConfigError, Weight};

/// The settings of a check whose results come by themselves, whenever there is one: from a process that dies, a file
/// that is written, an interface that loses its carrier. It has no interval and no timeout. A value of this type is
/// always valid.
///
/// | setting | default | range |
/// |---|---|---|
/// | `rise`: successes in a row that bring it up | 1 | from 1 |
/// | `fall`: failures in a row that bring it down | 1 | from 1 |
/// | `init_fail`: down until it has risen | false | |
/// | `weight` | 0 (down means fault) | as [`Weight`] says |
///
/// The watches of `probe` tell a change at once and look again each second, telling what they find; so a `fall` of 3
/// means about two seconds after the change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WatchConfig {
    name: Box<str>,
    rise: NonZeroU32,
    fall: NonZeroU32,
    init_fail: bool,
    weight: Weight,
}

impl WatchConfig {
    /// Begins a config with the defaults; `name` is what people will read in logs and in the status.
    pub fn builder(name: impl Into<Box<str>>) -> WatchConfigBuilder {
        WatchConfigBuilder {
            name: name.into(),
            rise: 1,
            fall: 1,
            init_fail: false,
            weight: Weight::default(),
        }
    }

    /// Names the check.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the number of successes in a row that bring the check up.
    pub fn rise(&self) -> NonZeroU32 {
        self.rise
    }

    /// Gives the number of failures in a row that bring the check down.
    pub fn fall(&self) -> NonZeroU32 {
        self.fall
    }

    /// Says whether the check counts as down until it has risen.
    pub fn init_fail(&self) -> bool {
        self.init_fail
    }

    /// Gives what the check does to a priority; see [`effect`](crate::effect).
    pub fn weight(&self) -> Weight {
        self.weight
    }
}

/// Collects settings; [`build`](Self::build) checks them all.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct WatchConfigBuilder {
    name: Box<str>,
    rise: u32,
    fall: u32,
    init_fail: bool,
    weight: Weight,
}

impl WatchConfigBuilder {
    /// Sets the number of successes in a row that bring the check up. Default 1.
    pub fn rise(mut self, rise: u32) -> Self {
        self.rise = rise;
        self
    }

    /// Sets the number of failures in a row that bring the check down. Default 1.
    pub fn fall(mut self, fall: u32) -> Self {
        self.fall = fall;
        self
    }

    /// Counts the check as down until it has risen. By default it is neither up nor down before its first
    /// result, and that first result counts at once.
    pub fn init_fail(mut self, init_fail: bool) -> Self {
        self.init_fail = init_fail;
        self
    }

    /// Sets what the check does to a priority. Default 0: while it is down, fault.
    pub fn weight(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range, in the order of [`ConfigError`]'s variants.
    pub fn build(self) -> Result<WatchConfig, ConfigError> {
        self.check_name()?;
        Ok(WatchConfig {
            name: self.name,
            rise: NonZeroU32::new(self.rise).ok_or(ConfigError::RiseZero)?,
            fall: NonZeroU32::new(self.fall).ok_or(ConfigError::FallZero)?,
            init_fail: self.init_fail,
            weight: self.weight,
        })
    }

    pub(crate) fn check_name(&self) -> Result<(), ConfigError> {
        if self.name.is_empty() {
            return Err(ConfigError::NameEmpty);
        }
        match self.name.find(char::is_control) {
            Some(at) => Err(ConfigError::NameControl { at }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_a_polled_check() {
        let watch = WatchConfig::builder("c").build().unwrap();
        let check = crate::CheckConfig::builder("c").build().unwrap();
        assert_eq!(check.into_counting(), watch);
    }

    #[test]
    fn each_invalid_setting_has_its_own_error() {
        let cases = [
            (WatchConfig::builder(""), ConfigError::NameEmpty),
            (WatchConfig::builder("a\tb"), ConfigError::NameControl { at: 1 }),
            (WatchConfig::builder("c").rise(0), ConfigError::RiseZero),
            (WatchConfig::builder("c").fall(0), ConfigError::FallZero),
        ];
        for (builder, error) in cases {
            assert_eq!(builder.build(), Err(error));
        }
    }
}
