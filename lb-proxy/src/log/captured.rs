//! Fields that outlive the buffer that they came in.

use std::ops::Range;

use crate::fields::Fields;

/// Copies of the few fields that a log wants, made when a head is read and written down when the request is over. One
/// of it a connection is used over and over, and stops allocating after the first requests.
///
/// ```
/// use lb_proxy::fields::Fields;
/// use lb_proxy::log::{Captured, Format};
///
/// let format = Format::combined();
/// let mut captured = Captured::default();
/// {
///     let head: &[(&str, &[u8])] = &[("User-Agent", b"curl/8"), ("Accept", b"*/*")];
///     captured.take(format.request_fields(), &head);
/// }
/// assert_eq!(captured.field("user-agent"), Some(&b"curl/8"[..]));
/// assert_eq!(captured.field("accept"), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Captured {
    text: String,
    values: Vec<u8>,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl Captured {
    /// Forgets what it has, and copies those of `fields` whose names are `wanted`.
    pub fn take<F: Fields + ?Sized>(&mut self, wanted: &[Box<str>], fields: &F) {
        self.text.clear();
        self.values.clear();
        self.fields.clear();
        if wanted.is_empty() {
            return;
        }
        fields.visit(&mut |name, value| {
            if wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)) {
                let (name_start, value_start) = (self.text.len(), self.values.len());
                self.text.push_str(name);
                self.values.extend_from_slice(value);
                self.fields
                    .push((name_start..self.text.len(), value_start..self.values.len()));
            }
        });
    }
}

impl Fields for Captured {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for (name, value) in &self.fields {
            visit(&self.text[name.clone()], &self.values[value.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_kept_and_only_until_the_next() {
        let wanted = ["a".into(), "c".into()];
        let mut captured = Captured::default();
        let head: &[(&str, &[u8])] = &[("A", b"1"), ("B", b"2"), ("C", b""), ("a", b"3")];
        captured.take(&wanted, &head);
        let mut kept = Vec::new();
        captured.visit(&mut |name, value| kept.push((name, value)));
        assert_eq!(kept, [("A", &b"1"[..]), ("C", b""), ("a", b"3")]);
        captured.take(&wanted, &());
        assert_eq!(captured.field("a"), None);
    }
}
