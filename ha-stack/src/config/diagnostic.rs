//! What is wrong with a configuration, where, and what to write instead.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::{Sources, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is started.
    Error,
    /// It is started, and probably does not do what the writer expects.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Where, and what to say there.
    pub at: Option<(Span, String)>,
    /// Other places that have to do with it, such as the first of two.
    pub others: Vec<(Span, String)>,
    /// What to write instead, or what follows from it.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// Begins an error.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// Begins a warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    fn new(severity: Severity, message: String) -> Self {
        Self {
            severity,
            message,
            at: None,
            others: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.at = Some((span, String::new()));
        self
    }

    /// Says where, with a word beside the place.
    #[must_use]
    pub fn at_with(mut self, span: Span, label: impl Into<String>) -> Self {
        self.at = Some((span, label.into()));
        self
    }

    /// Points at another place that has to do with it.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.others.push((span, label.into()));
        self
    }

    /// Says what to write instead, or what follows.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Shows it with file, line, column and the excerpt, without a line break at the end.
    pub fn render(&self, sources: &Sources, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        if let Some((span, label)) = &self.at {
            // Places in the same file share its excerpt; those in others get one each.
            let mut snippet = snippet(sources, *span).annotation(annotation(
                sources,
                AnnotationKind::Primary,
                *span,
                label,
            ));
            for (other, label) in self.others.iter().filter(|(other, _)| other.file == span.file) {
                snippet = snippet.annotation(annotation(sources, AnnotationKind::Context, *other, label));
            }
            group = group.element(snippet);
            for (other, label) in self.others.iter().filter(|(other, _)| other.file != span.file) {
                group = group.element(snippet_with(sources, *other, label));
            }
        }
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

type SourceSnippet<'a> = Snippet<'a, annotate_snippets::Annotation<'a>>;

fn snippet(sources: &Sources, span: Span) -> SourceSnippet<'_> {
    Snippet::source(sources.text(span.file)).path(sources.name(span.file))
}

fn snippet_with<'a>(sources: &'a Sources, span: Span, label: &'a str) -> SourceSnippet<'a> {
    snippet(sources, span).annotation(annotation(sources, AnnotationKind::Context, span, label))
}

fn annotation<'a>(
    sources: &Sources,
    kind: AnnotationKind,
    span: Span,
    label: &'a str,
) -> annotate_snippets::Annotation<'a> {
    // An empty span at the end of the file has nothing to underline but the place after its last character.
    let len = sources.text(span.file).len();
    let annotation = kind.span(span.start.min(len)..span.end.min(len));
    if label.is_empty() {
        annotation
    } else {
        annotation.label(label)
    }
}

/// Findings in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many are warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|one| one.severity == severity).count()
    }

    /// Puts them in the order of the files, those without a place first.
    pub fn sort(&mut self) {
        self.0
            .sort_by_key(|one| one.at.as_ref().map(|(span, _)| (span.file, span.start)));
    }

    /// Shows all of them, an empty line between two.
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = String::new();
        for one in &self.0 {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{}\n", one.render(sources, &renderer));
        }
        text
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        self.0.extend(diagnostics);
    }
}
