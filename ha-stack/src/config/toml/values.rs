//! How single values are written.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ::toml::de::DeValue;
use ha_health::Weight;
use ipnet::IpNet;
use vrrp_core::{AdverInterval, Priority, Version, Vrid};
use vrrp_net::VirtualAddress;

use super::reader::{Table, Wrong};

type Read<T> = Result<T, Wrong>;

/// A string that is not empty.
pub(super) fn text(value: &DeValue<'_>) -> Read<String> {
    match value.as_str() {
        Some("") => Err(Wrong::new("an empty string", "write at least one character")),
        Some(text) => Ok(text.to_owned()),
        None => Err(Wrong::kind(value, "write a string, in quotes")),
    }
}

/// A name that people see in logs and in the status.
pub(super) fn name(value: &DeValue<'_>) -> Read<String> {
    let text = text(value)?;
    if text.chars().any(char::is_control) {
        return Err(Wrong::new(
            "a control character in a name",
            "use letters, digits, `-` and `_`",
        ));
    }
    Ok(text)
}

/// `true` or `false`.
pub(super) fn boolean(value: &DeValue<'_>) -> Read<bool> {
    value
        .as_bool()
        .ok_or_else(|| Wrong::kind(value, "write `true` or `false`"))
}

/// A key that is false unless it is `true`.
pub(super) fn flag(table: &mut Table<'_, '_>, key: &str) -> bool {
    table.optional(key, boolean).is_some_and(|one| one.value)
}

/// A whole number within bounds.
pub(super) fn integer<T: TryFrom<i64>>(value: &DeValue<'_>, min: i64, max: i64) -> Read<T> {
    let help = format!("write a whole number from {min} to {max}");
    let Some(number) = value.as_integer() else {
        return Err(Wrong::kind(value, help));
    };
    let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
    parsed
        .filter(|number| (min..=max).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| Wrong::new(format!("{} is out of range", number.as_str()), help))
}

/// A time with its unit, in a string: `"2s"`, `"1.5s"`, `"100ms"`, `"5m"`, `"1h"`.
pub(super) fn duration(value: &DeValue<'_>) -> Read<Duration> {
    const HELP: &str = "write a number with its unit, such as \"2s\", \"100ms\" or \"5m\"";
    let Some(text) = value.as_str() else {
        let help = match value {
            DeValue::Integer(number) => format!("write \"{}s\" if seconds are meant", number.as_str()),
            DeValue::Float(number) => format!("write \"{}s\" if seconds are meant", number.as_str()),
            _ => HELP.to_owned(),
        };
        return Err(Wrong::new("a time without its unit", help));
    };
    parse_duration(text).ok_or_else(|| Wrong::new(format!("{text:?} is not a time"), HELP))
}

/// Reads `"1.5s"` exactly, without going through a float.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let nanos_a_unit: u64 = match unit.trim_start() {
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let mut nanos = whole.parse::<u64>().ok()?.checked_mul(nanos_a_unit)?;
    let mut digit_value = nanos_a_unit;
    for digit in fraction.bytes() {
        // What is finer than a nanosecond is not a time that anybody means.
        if !digit_value.is_multiple_of(10) {
            return None;
        }
        digit_value /= 10;
        nanos = nanos.checked_add(u64::from(digit - b'0') * digit_value)?;
    }
    Some(Duration::from_nanos(nanos))
}

/// An interval between adverts.
pub(super) fn adver_interval(value: &DeValue<'_>) -> Read<AdverInterval> {
    let time = duration(value)?;
    interval_of(time).ok_or_else(|| {
        Wrong::new(
            format!("{time:?} can't be sent"),
            "write \"10ms\" to \"40.95s\" in steps of 10 ms with version 3, \"1s\" to \"255s\" in whole seconds with version 2",
        )
    })
}

/// An interval of whole centiseconds.
pub(crate) fn interval_of(time: Duration) -> Option<AdverInterval> {
    if !time.as_nanos().is_multiple_of(10_000_000) {
        return None;
    }
    AdverInterval::from_centis(u16::try_from(time.as_millis() / 10).ok()?)
}

pub(super) fn vrid(value: &DeValue<'_>) -> Read<Vrid> {
    let vrid = integer::<u8>(value, 1, 255)?;
    Vrid::new(vrid).ok_or_else(|| Wrong::new("0 is out of range", "write a whole number from 1 to 255"))
}

pub(super) fn priority(value: &DeValue<'_>) -> Read<Priority> {
    integer(value, 1, 255).map(Priority::new).map_err(|wrong| Wrong {
        help: "write 1 to 254, or 255 for the owner of the addresses".to_owned(),
        ..wrong
    })
}

pub(super) fn version(value: &DeValue<'_>) -> Read<Version> {
    match integer(value, 2, 3)? {
        2_u8 => Ok(Version::V2),
        _ => Ok(Version::V3),
    }
}

/// A weight within plus or minus `limit`.
pub(super) fn weight_within(value: &DeValue<'_>, limit: i64) -> Read<Weight> {
    let weight: i32 = integer(value, -limit, limit)?;
    Weight::of_file(weight).map_err(|error| {
        Wrong::new(
            error.to_string(),
            format!("write a whole number from -{limit} to {limit}"),
        )
    })
}

pub(super) fn ip(value: &DeValue<'_>) -> Read<IpAddr> {
    parsed(value, "an IP address", "write one such as \"192.0.2.10\"")
}

/// An address with an optional prefix; /32 and /128 without.
pub(super) fn virtual_address(value: &DeValue<'_>) -> Read<VirtualAddress> {
    let text = text(value)?;
    parse_net(&text).map(VirtualAddress::new).ok_or_else(|| {
        Wrong::new(
            format!("{text:?} is not an IP address"),
            "write one such as \"192.0.2.100\" or \"192.0.2.100/24\"",
        )
    })
}

/// `192.0.2.100` or `192.0.2.100/24`.
pub(crate) fn parse_net(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// An address with a port.
pub(super) fn socket(value: &DeValue<'_>) -> Read<SocketAddr> {
    let text = text(value)?;
    text.parse().map_err(|_| {
        let help = match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => format!("write the port too, such as \"{address}:80\""),
            Ok(IpAddr::V6(address)) => format!("write the port too, such as \"[{address}]:80\""),
            Err(_) => "write an IP address and a port, such as \"192.0.2.20:8080\"".to_owned(),
        };
        Wrong::new(format!("{text:?} is not an address with a port"), help)
    })
}

/// One of a few words.
pub(super) fn choice<T: Copy>(value: &DeValue<'_>, choices: &[(&str, T)]) -> Read<T> {
    let words = || {
        let quoted: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("write {}", quoted.join(" or "))
    };
    let Some(text) = value.as_str() else {
        return Err(Wrong::kind(value, words()));
    };
    let found = choices.iter().find(|(word, _)| *word == text);
    found
        .map(|(_, choice)| *choice)
        .ok_or_else(|| Wrong::new(format!("{text:?} is not known"), words()))
}

fn parsed<T: FromStr>(value: &DeValue<'_>, what: &str, help: &str) -> Read<T> {
    let text = text(value)?;
    text.parse()
        .map_err(|_| Wrong::new(format!("{text:?} is not {what}"), help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond() {
        let time = |text| parse_duration(text);
        assert_eq!(time("2s"), Some(Duration::from_secs(2)));
        assert_eq!(time("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(time("0.01s"), Some(Duration::from_millis(10)));
        assert_eq!(time("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(time("2.5 m"), Some(Duration::from_secs(150)));
        assert_eq!(time("1h"), Some(Duration::from_secs(3600)));
        assert_eq!(time("0.000000001s"), Some(Duration::from_nanos(1)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "s",
            "2",
            "2 parsecs",
            ".5s",
            "1.s",
            "1.2.3s",
            "-1s",
            "0.0000000001s",
            "99999999999h",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn intervals_are_whole_centiseconds() {
        assert_eq!(
            interval_of(Duration::from_millis(10)).map(AdverInterval::centis),
            Some(1)
        );
        assert_eq!(interval_of(Duration::from_millis(15)), None);
        assert_eq!(interval_of(Duration::ZERO), None);
        assert_eq!(interval_of(Duration::from_secs(256)), None);
    }

    #[test]
    fn an_address_may_have_a_prefix() {
        assert_eq!(parse_net("192.0.2.1").unwrap().to_string(), "192.0.2.1/32");
        assert_eq!(parse_net("192.0.2.1/24").unwrap().to_string(), "192.0.2.1/24");
        assert_eq!(parse_net("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        assert_eq!(parse_net("192.0.2.1/33"), None);
    }
}
