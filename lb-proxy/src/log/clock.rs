//! The time as text, written anew only when its second is over.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::text::{push_decimal, push_padded};

/// How far the times of a log are ahead of UTC: at most a day, in whole minutes. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UtcOffset {
    minutes: i16,
}

/// Why an offset is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an offset from UTC: write +01:00, or UTC")]
pub struct OffsetError {
    text: String,
}

impl UtcOffset {
    /// No offset.
    pub const UTC: Self = Self { minutes: 0 };

    /// An offset of so many minutes, negative to the west; `None` from a day on.
    #[must_use]
    pub const fn from_minutes(minutes: i16) -> Option<Self> {
        if minutes.unsigned_abs() < 24 * 60 {
            Some(Self { minutes })
        } else {
            None
        }
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let minutes = self.minutes.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl FromStr for UtcOffset {
    type Err = OffsetError;

    /// # Errors
    /// Neither `UTC` nor hours and minutes as in `+01:00`.
    fn from_str(text: &str) -> Result<Self, OffsetError> {
        let parse = || {
            if text == "UTC" {
                return Some(Self::UTC);
            }
            let (sign, digits) = match text.split_at_checked(1)? {
                ("+", digits) => (1, digits),
                ("-", digits) => (-1, digits),
                _ => return None,
            };
            let (hours, minutes) = digits.split_once(':')?;
            let number = |text: &str, below: i16| {
                let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|&number: &i16| digits && number < below)
            };
            Self::from_minutes(sign * (number(hours, 24)? * 60 + number(minutes, 60)?))
        };
        parse().ok_or_else(|| OffsetError {
            text: text.to_owned(),
        })
    }
}

/// Makes [`Stamp`]s, one of it a thread.
#[derive(Clone, Debug)]
pub struct Clock {
    offset: UtcOffset,
    stamp: Stamp,
}

/// A time as logs write it.
#[derive(Clone, Debug)]
pub struct Stamp {
    unix: Duration,
    /// `24/Nov/2026:20:13:06 +0000`
    local: Vec<u8>,
    /// `2026-11-24T20:13:06+00:00`
    iso8601: Vec<u8>,
    /// `1795551186.`
    seconds: Vec<u8>,
}

impl Clock {
    /// A clock whose times are `offset` ahead of UTC.
    #[must_use]
    pub fn new(offset: UtcOffset) -> Self {
        let mut clock = Self {
            offset,
            stamp: Stamp {
                unix: Duration::ZERO,
                local: Vec::new(),
                iso8601: Vec::new(),
                seconds: Vec::new(),
            },
        };
        clock.write();
        clock
    }

    /// The time `unix` after 1970-01-01T00:00:00Z.
    #[inline]
    pub fn at(&mut self, unix: Duration) -> &Stamp {
        let before = std::mem::replace(&mut self.stamp.unix, unix);
        if before.as_secs() != unix.as_secs() {
            self.write();
        }
        &self.stamp
    }

    fn write(&mut self) {
        let Stamp {
            unix,
            local,
            iso8601,
            seconds,
        } = &mut self.stamp;
        // Far beyond the year 9999 all numbers end up in four digits anyhow.
        let since_1970 =
            i64::try_from(unix.as_secs()).unwrap_or(i64::MAX / 2) + i64::from(self.offset.minutes) * 60;
        let (days, second) = (
            since_1970.div_euclid(86_400),
            since_1970.rem_euclid(86_400) as u32,
        );
        let (year, month, day) = civil(days);
        let time = [second / 3_600, second / 60 % 60, second % 60];
        let sign = if self.offset.minutes < 0 { b'-' } else { b'+' };
        let minutes = u32::from(self.offset.minutes.unsigned_abs());

        local.clear();
        push_padded(local, day, 2);
        local.push(b'/');
        local.extend_from_slice(MONTHS[month as usize - 1]);
        local.push(b'/');
        push_padded(local, year, 4);
        for part in time {
            local.push(b':');
            push_padded(local, part, 2);
        }
        local.extend_from_slice(&[b' ', sign]);
        push_padded(local, minutes / 60 * 100 + minutes % 60, 4);

        iso8601.clear();
        push_padded(iso8601, year, 4);
        for (separator, part) in std::iter::zip(*b"--T::", [month, day].into_iter().chain(time)) {
            iso8601.push(separator);
            push_padded(iso8601, part, 2);
        }
        iso8601.push(sign);
        push_padded(iso8601, minutes / 60, 2);
        iso8601.push(b':');
        push_padded(iso8601, minutes % 60, 2);

        seconds.clear();
        push_decimal(seconds, unix.as_secs());
        seconds.push(b'.');
    }
}

impl Stamp {
    /// `24/Nov/2026:20:13:06 +0000`, as `$time_local`.
    pub(super) fn local(&self) -> &[u8] {
        &self.local
    }

    /// `2026-11-24T20:13:06+00:00`, as `$time_iso8601`.
    pub(super) fn iso8601(&self) -> &[u8] {
        &self.iso8601
    }

    /// Appends `1795551186.123`, as `$msec`.
    pub(super) fn push_msec(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.seconds);
        push_padded(out, self.unix.subsec_millis(), 3);
    }
}

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Year, month and day so many days after 1970-01-01, in the Gregorian calendar. Years begin in March here, so that
/// the leap day is a year's last.
fn civil(days: i64) -> (u32, u32, u32) {
    const ERA: i64 = 146_097; // days in 400 years
    let since_0000_03_01 = days + 719_468;
    let day_of_era = since_0000_03_01.rem_euclid(ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = since_0000_03_01.div_euclid(ERA) * 400 + year_of_era + i64::from(month <= 2);
    ((year % 10_000) as u32, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_nginx_writes_them() {
        // `date -u -d @N`
        for (unix, offset, local, iso8601) in [
            (
                0,
                "UTC",
                "01/Jan/1970:00:00:00 +0000",
                "1970-01-01T00:00:00+00:00",
            ),
            (
                951_782_400,
                "UTC",
                "29/Feb/2000:00:00:00 +0000",
                "2000-02-29T00:00:00+00:00",
            ),
            (
                1_795_551_186,
                "UTC",
                "24/Nov/2026:20:13:06 +0000",
                "2026-11-24T20:13:06+00:00",
            ),
            (
                1_795_551_186,
                "+05:45",
                "25/Nov/2026:01:58:06 +0545",
                "2026-11-25T01:58:06+05:45",
            ),
            (
                1_795_551_186,
                "-03:30",
                "24/Nov/2026:16:43:06 -0330",
                "2026-11-24T16:43:06-03:30",
            ),
            (
                4_107_542_400,
                "UTC",
                "01/Mar/2100:00:00:00 +0000",
                "2100-03-01T00:00:00+00:00",
            ),
            (
                0,
                "-01:00",
                "31/Dec/1969:23:00:00 -0100",
                "1969-12-31T23:00:00-01:00",
            ),
        ] {
            let mut clock = Clock::new(offset.parse().unwrap());
            let stamp = clock.at(Duration::from_secs(unix));
            assert_eq!(String::from_utf8_lossy(stamp.local()), local);
            assert_eq!(String::from_utf8_lossy(stamp.iso8601()), iso8601);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = civil(0);
        for days in 1..200_000 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length =
                [31, 28 + u32::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1];
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == length => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
            assert_eq!(civil(days), (year, month, day));
        }
    }

    #[test]
    fn the_second_goes_forth_and_back() {
        let mut clock = Clock::new(UtcOffset::UTC);
        let mut msec = |millis| {
            let stamp = clock.at(Duration::from_millis(millis));
            let mut out = Vec::new();
            stamp.push_msec(&mut out);
            (String::from_utf8(out).unwrap(), stamp.local()[18..20].to_vec())
        };
        assert_eq!(msec(1_999), ("1.999".to_owned(), b"01".to_vec()));
        assert_eq!(msec(2_005), ("2.005".to_owned(), b"02".to_vec()));
        assert_eq!(msec(1_000), ("1.000".to_owned(), b"01".to_vec()));
        assert!(!clock.at(Duration::MAX).local().is_empty());
    }

    #[test]
    fn offsets_are_read_and_written() {
        for text in ["+01:00", "-03:30", "+00:00", "+23:59"] {
            assert_eq!(text.parse::<UtcOffset>().unwrap().to_string(), text);
        }
        assert_eq!("UTC".parse(), Ok(UtcOffset::UTC));
        for text in [
            "",
            "1",
            "01:00",
            "+1:00",
            "+24:00",
            "+01:60",
            "+01",
            "Europe/Berlin",
            "+-1:00",
            "\u{e9}",
        ] {
            assert!(text.parse::<UtcOffset>().is_err(), "{text}");
        }
        assert_eq!(UtcOffset::from_minutes(1_440), None);
    }
}
