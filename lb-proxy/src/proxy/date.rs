//! The `Date` of responses that came without, formatted once a second.

use std::time::{Duration, UNIX_EPOCH};

use crate::runtime::clock;

/// The last second, as text.
#[derive(Debug, Default)]
pub(super) struct Date {
    second: Option<u64>,
    text: String,
}

impl Date {
    /// The time now, as RFC 9110 §5.6.7 has it.
    pub(super) fn text(&mut self) -> &[u8] {
        let second = clock::unix().as_secs();
        if self.second != Some(second) {
            self.second = Some(second);
            self.text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        }
        self.text.as_bytes()
    }
}
