//! Text with variables, in nginx's notation, taken apart once when it is configured.
//!
//! `$name` stands for a variable's value, and so does `${name}`, which lets a letter follow; `$$` is a dollar sign.
//! Which names there are depends on where the text is used: see [`route`](crate::route) and [`log`](crate::log).

/// What is wrong with a text, and at which byte of it, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// No variable of that name is known where the text is used.
    #[error("there is no variable ${name} (at byte {at})")]
    UnknownVariable {
        /// Where its `$` stands.
        at: usize,
        /// Its name, without the `$`.
        name: String,
    },
    /// A `$` that no name follows.
    #[error("`$` without a name (at byte {at}): write `$$` for a dollar sign")]
    NoName {
        /// Where it stands.
        at: usize,
    },
    /// A `${` without its `}`.
    #[error("`${{` without `}}` (at byte {at})")]
    Unclosed {
        /// Where its `$` stands.
        at: usize,
    },
}

/// A text's literal parts and its variables, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template<V> {
    parts: Box<[Part<V>]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part<V> {
    Literal(Box<[u8]>),
    Variable(V),
}

impl<V> Template<V> {
    /// Takes `text` apart; `resolve` knows the variables.
    pub(crate) fn parse(text: &str, resolve: impl Fn(&str) -> Option<V>) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(dollar) = text[at..].find('$').map(|offset| at + offset) {
            literal.push_str(&text[at..dollar]);
            let after = &text[dollar + 1..];
            if after.starts_with('$') {
                literal.push('$');
                at = dollar + 2;
                continue;
            }
            let (name, end) = name(after, dollar)?;
            let variable = resolve(name).ok_or_else(|| TemplateError::UnknownVariable {
                at: dollar,
                name: name.to_owned(),
            })?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into_bytes().into()));
            }
            parts.push(Part::Variable(variable));
            at = dollar + 1 + end;
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into_bytes().into()));
        }
        Ok(Self { parts: parts.into() })
    }

    pub(crate) fn parts(&self) -> &[Part<V>] {
        &self.parts
    }

    pub(crate) fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(literal) => Some(&**literal),
            Part::Variable(_) => None,
        })
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = &V> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Variable(variable) => Some(variable),
        })
    }
}

/// The name that follows the `$` at `dollar`, and where it ends in `after`.
fn name(after: &str, dollar: usize) -> Result<(&str, usize), TemplateError> {
    let (name, end) = if let Some(braced) = after.strip_prefix('{') {
        let close = braced.find('}').ok_or(TemplateError::Unclosed { at: dollar })?;
        (&braced[..close], close + 2)
    } else {
        let end = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        (&after[..end], end)
    };
    if name.is_empty() {
        return Err(TemplateError::NoName { at: dollar });
    }
    Ok((name, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_nginx_ends_them() {
        assert_eq!(
            parsed("a$b-${c}d$$e$f").unwrap(),
            ["a", "$b", "-", "$c", "d$e", "$f"]
        );
        assert_eq!(parsed("").unwrap(), [""; 0]);
        assert_eq!(parsed("$$").unwrap(), ["$"]);
        assert_eq!(parsed("é$b").unwrap(), ["é", "$b"]);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let unknown = TemplateError::UnknownVariable {
            at: 3,
            name: "nope".to_owned(),
        };
        assert_eq!(parsed("ab $nope"), Err(unknown));
        assert_eq!(parsed("a$"), Err(TemplateError::NoName { at: 1 }));
        assert_eq!(parsed("a$ b"), Err(TemplateError::NoName { at: 1 }));
        assert_eq!(parsed("${}"), Err(TemplateError::NoName { at: 0 }));
        assert_eq!(parsed("ab${b"), Err(TemplateError::Unclosed { at: 2 }));
        assert_eq!(
            TemplateError::Unclosed { at: 2 }.to_string(),
            "`${` without `}` (at byte 2)"
        );
    }

    /// Every variable is known but `nope`.
    fn parsed(text: &str) -> Result<Vec<String>, TemplateError> {
        let template = Template::parse(text, |name| (name != "nope").then(|| name.to_owned()))?;
        let text = |part: &Part<String>| match part {
            Part::Literal(literal) => String::from_utf8_lossy(literal).into_owned(),
            Part::Variable(name) => format!("${name}"),
        };
        Ok(template.parts().iter().map(text).collect())
    }
}
