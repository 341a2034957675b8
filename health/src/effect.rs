//! What checks do to a priority: weights, and fault.
//!
//! The arithmetic is keepalived's (keepalived.conf(5), `track_script`), without VRRP types: a priority is a `u8`.

use crate::ConfigError;

/// What a check does to a priority; 0, the default, makes its failure a fault.
///
/// | weight | up | down | a file's value v |
/// |---|---|---|---|
/// | 20 | +20 | 0 | +20 v |
/// | −20 | 0 | −20 | −20 v |
/// | 0 | 0 | fault | fault unless v = 0 |
/// | 20 reverse | −20 | 0 | −20 v |
/// | −20 reverse | 0 | +20 | +20 v |
/// | 0 reverse | fault | 0 | fault if v = 0 |
///
/// A file's value times its weight is held below 253; at −254 and below it is a fault. `reverse` is of the one who
/// tracks; see [`Tracked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Weight(i32);

impl Weight {
    /// The smallest weight of a script or an interface, −253.
    pub const MIN: Self = Self(-253);
    /// The largest weight of a script or an interface, 253.
    pub const MAX: Self = Self(253);
    /// The weight of a check whose failure is a fault.
    pub const FAULT: Self = Self(0);

    /// Makes a weight for a script, an interface or a probe.
    ///
    /// # Errors
    ///
    /// [`ConfigError::WeightOutOfRange`] outside of −253 to 253.
    pub const fn new(weight: i32) -> Result<Self, ConfigError> {
        Self::within(weight, Self::MAX.0)
    }

    /// Makes a weight for processes; keepalived's default for them is 1.
    ///
    /// # Errors
    ///
    /// [`ConfigError::WeightOutOfRange`] outside of −254 to 254.
    pub const fn of_process(weight: i32) -> Result<Self, ConfigError> {
        Self::within(weight, 254)
    }

    /// Makes a weight for a file, the factor of its value; keepalived's default for them is 1.
    ///
    /// # Errors
    ///
    /// [`ConfigError::WeightOutOfRange`] for −2147483648, whose negative there is not.
    pub const fn of_file(weight: i32) -> Result<Self, ConfigError> {
        Self::within(weight, i32::MAX)
    }

    const fn within(weight: i32, limit: i32) -> Result<Self, ConfigError> {
        if weight < -limit || weight > limit {
            return Err(ConfigError::WeightOutOfRange { got: weight, limit });
        }
        Ok(Self(weight))
    }

    /// Gives the number.
    pub const fn get(self) -> i32 {
        self.0
    }

    /// What a file's value does: a number to add to the priority, or `None` for a fault.
    pub(crate) fn of_value(self, value: i32, reverse: bool) -> Option<i64> {
        let weight = i64::from(self.0);
        if weight == 0 {
            return ((value != 0) == reverse).then_some(0);
        }
        // |weight| and |value| are at most 2^31.
        let change = i64::from(value) * if reverse { -weight } else { weight };
        (change > FILE_FAULT).then_some(change.min(i64::from(Self::MAX.0)))
    }
}

/// At this change of the priority and below, a file's value is a fault.
const FILE_FAULT: i64 = -254;

impl core::fmt::Display for Weight {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// One check as one virtual router tracks it. The same check may have another weight elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tracked {
    /// What it does to the priority.
    pub weight: Weight,
    /// Turns the sign of what a weight does, and takes up for down where there is no weight (keepalived's
    /// `reverse`).
    pub reverse: bool,
    /// Whether it is up; `None` before its first result.
    pub up: Option<bool>,
    /// The number that it found, if it finds numbers: a file's. It decides then, and not `up`.
    pub value: Option<i32>,
}

impl Tracked {
    /// Tracks a check that is `up`, not reversed.
    pub const fn new(weight: Weight, up: Option<bool>) -> Self {
        Self {
            weight,
            reverse: false,
            up,
            value: None,
        }
    }

    /// Tracks it the other way round.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            reverse: !self.reverse,
            ..self
        }
    }
}

/// What a virtual router makes of its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It takes part with this priority, 1 to 255.
    Priority(u8),
    /// It may not be master: a check without weight is down, or has not reported yet.
    Fault,
}

/// The priority of the owner of the addresses, which no weight changes.
const OWNER: u8 = 255;

/// Works out the priority of a virtual router from its configured priority `base` (1 to 255) and its checks.
///
/// Weights are summed first and the sum is then held within 1 to 254, so the order of the checks does not matter.
/// A `base` of 255, the owner, ignores weights, and with them the fault of a file whose value times its weight is at
/// most −254. A check with weight 0 means fault while it is down, for
/// the owner too, and until it has reported: fault until known. A check with another weight changes nothing
/// before it has reported. (A check with `init_fail` is down from the start, not unknown.)
///
/// ```
/// use ha_health::{Effect, Tracked, Weight, effect::effect};
///
/// let proxy = Tracked::new(Weight::new(-20)?, Some(false));
/// assert_eq!(effect(100, [proxy]), Effect::Priority(80));
/// assert_eq!(effect(100, [Tracked::new(Weight::FAULT, Some(false))]), Effect::Fault);
/// # Ok::<(), ha_health::ConfigError>(())
/// ```
pub fn effect(base: u8, tracked: impl IntoIterator<Item = Tracked>) -> Effect {
    let mut total = i64::from(base);
    let mut fault = false;
    for Tracked {
        weight,
        reverse,
        up,
        value,
    } in tracked
    {
        if let Some(value) = value {
            match weight.of_value(value, reverse) {
                Some(change) => total += change,
                None => fault |= weight == Weight::FAULT || base != OWNER,
            }
            continue;
        }
        let weight = i64::from(weight.get());
        let change = if reverse { -weight } else { weight };
        match up {
            Some(true) if weight > 0 => total += change,
            Some(false) if weight < 0 => total += change,
            _ if weight == 0 => fault |= up != Some(!reverse),
            _ => {}
        }
    }
    match (fault, base) {
        (true, _) => Effect::Fault,
        (false, OWNER) => Effect::Priority(OWNER),
        (false, _) => Effect::Priority(total.clamp(1, 254) as u8),
    }
}
