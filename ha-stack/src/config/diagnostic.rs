//! What is wrong with a configuration, where, and what to write instead.

use std::fmt::Write as _;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::secret::masked;
use super::source::{FileId, Sources, Span};

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
            let mut here = Excerpt::of(sources, *span);
            let (near, far): (Vec<_>, Vec<_>) =
                self.others.iter().partition(|(other, _)| other.file == span.file);
            for (other, _) in &near {
                here.include(*other);
            }
            let mut snippet =
                here.snippet()
                    .annotation(here.annotation(AnnotationKind::Primary, *span, label));
            for (other, label) in near {
                snippet = snippet.annotation(here.annotation(AnnotationKind::Context, *other, label));
            }
            group = group.element(snippet);
            for (other, label) in far {
                let there = Excerpt::of(sources, *other);
                let annotation = there.annotation(AnnotationKind::Context, *other, label);
                group = group.element(there.snippet().annotation(annotation));
            }
        }
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// The lines of a file that places stand on: all that the renderer is given, since it reads what it is given whole.
struct Excerpt<'a> {
    sources: &'a Sources,
    file: FileId,
    start: usize,
    end: usize,
}

impl<'a> Excerpt<'a> {
    fn of(sources: &'a Sources, span: Span) -> Self {
        let mut this = Self {
            sources,
            file: span.file,
            start: span.start,
            end: span.start,
        };
        this.include(span);
        this
    }

    fn include(&mut self, span: Span) {
        let text = self.sources.text(self.file);
        let (start, end) = (span.start.min(text.len()), span.end.min(text.len()));
        self.start = self.start.min(text[..start].rfind('\n').map_or(0, |at| at + 1));
        self.end = self
            .end
            .max(text[end..].find('\n').map_or(text.len(), |at| end + at));
    }

    fn snippet(&self) -> Snippet<'a, Annotation<'a>> {
        let text = self.sources.text(self.file);
        let line = text[..self.start].bytes().filter(|byte| *byte == b'\n').count() + 1;
        Snippet::source(masked(&text[self.start..self.end]))
            .line_start(line)
            .path(self.sources.name(self.file))
    }

    fn annotation(&self, kind: AnnotationKind, span: Span, label: &'a str) -> Annotation<'a> {
        // An empty span at the end of the file has nothing to underline but the place after its last character.
        let within = |at: usize| at.clamp(self.start, self.end) - self.start;
        let annotation = kind.span(within(span.start)..within(span.end));
        if label.is_empty() {
            annotation
        } else {
            annotation.label(label)
        }
    }
}

/// Findings in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    /// Most findings that are kept; the others are counted. Nobody reads on, and a file can be nothing but errors.
    pub const MAX: usize = 200;

    /// Most findings that are looked for in one definition by leaving out what the one before was about.
    pub(crate) const MAX_TOGETHER: usize = 20;

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.kept.len() < Self::MAX {
            self.kept.push(diagnostic);
        }
    }

    /// Adds others that are not among them yet.
    pub(crate) fn absorb(&mut self, others: Self) {
        for one in others.kept {
            if !self.kept.contains(&one) {
                self.push(one);
            }
        }
    }

    /// Those that were kept.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.kept.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many are errors, kept or not.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many are warnings, kept or not.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// Puts them in the order of the files, those without a place first.
    pub fn sort(&mut self) {
        self.kept
            .sort_by_key(|one| one.at.as_ref().map(|(span, _)| (span.file, span.start)));
    }

    /// Shows all of them, an empty line behind each.
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = String::new();
        for one in &self.kept {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{}\n", one.render(sources, &renderer));
        }
        let more = self.errors + self.warnings - self.kept.len();
        if more > 0 {
            let _ = writeln!(text, "… and {more} more\n");
        }
        text
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        for diagnostic in diagnostics {
            self.push(diagnostic);
        }
    }
}
