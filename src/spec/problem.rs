//! The problems of a spec, each with its place in the text and advice.

use std::{fmt, fmt::Write as _, sync::Arc};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    Severity, SourceCode, SourceSpan, SpanContents,
};

use crate::display::{plain, shorten};

/// Terminal columns of a message or its help; either may quote a text of any length.
const MESSAGE_COLUMNS_MAX: usize = 1_000;
/// Bytes of a line that are drawn before the wrong part, of the wrong part itself, and after it.
const CONTEXT_BYTES_MAX: usize = 200;
/// Problems that are drawn one by one; the others are counted.
const DRAWN_MAX: usize = 50;

/// A text that is part of a spec: the file, or an override given on the command line.
#[derive(Debug)]
struct SourceText {
    name: String,
    text: String,
}

/// Something in a spec that is wrong, or that is probably not meant (a warning).
#[derive(Clone, Debug)]
pub struct Problem {
    message: String,
    help: Option<String>,
    place: Option<ProblemPlace>,
    severity: Severity,
}

/// The place of a problem, with the text that it is drawn with.
#[derive(Clone, Debug)]
struct ProblemPlace {
    source: Arc<SourceText>,
    /// Position in the list of sources; the file is 0.
    order: usize,
    span: SourceSpan,
}

/// A place in one of a spec's sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// Index into the sources; the file is 0.
    pub(super) source: usize,
    /// First byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
}

impl Problem {
    /// A problem that has no place in a text, such as a missing file.
    pub(super) fn without_place(message: &str, help: &str) -> Self {
        Self {
            message: one_line(message),
            help: Some(one_line(help)),
            place: None,
            severity: Severity::Error,
        }
    }

    /// The message, on one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Draws the problem with its line of text, a caret and its help.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        // Without colour, plain ASCII: the text may be written to a log.
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
        let mut text = String::new();
        // A path that is broken over two lines cannot be copied; the terminal wraps long lines itself.
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(100)
            .with_wrap_lines(false)
            .without_syntax_highlighting()
            .with_context_lines(1);
        if handler.render_report(&mut text, self).is_err() {
            text.clone_from(&self.message);
        }
        text
    }

    /// The position of the problem in the spec.
    fn order(&self) -> (usize, usize) {
        self.place.as_ref().map_or((0, 0), |place| (place.order, place.span.offset()))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|place| &*place.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, place.span))))
    }
}

impl SourceCode for SourceText {
    /// Returns the lines of `span` and no others; whole lines if any context is requested. Columns count
    /// characters.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (start, end) = (span.offset(), span.offset() + span.len());
        let before = self.text.get(..start).ok_or(MietteError::OutOfBounds)?;
        let after = self.text.get(end..).ok_or(MietteError::OutOfBounds)?;
        let whole = lines_before + lines_after > 0;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = end + after.find('\n').unwrap_or(after.len());
        let line_start =
            line_start.max(self.text.ceil_char_boundary(start.saturating_sub(CONTEXT_BYTES_MAX)));
        let line_end = line_end.min(self.text.floor_char_boundary(end.saturating_add(CONTEXT_BYTES_MAX)));
        let (from, to) = if whole { (line_start, line_end) } else { (start, end) };
        let data = self.text.get(from..to).ok_or(MietteError::OutOfBounds)?;
        let column = self.text.get(line_start..from).map_or(0, |left| left.chars().count());
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            data.as_bytes(),
            (from, to - from).into(),
            before.matches('\n').count(),
            column,
            data.lines().count(),
        )))
    }
}

/// Why a spec cannot be run: all its problems, in the order of its text.
#[derive(Clone, Debug)]
pub struct SpecError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl SpecError {
    /// Draws the problems and their number.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let drawn = self.problems.iter().take(DRAWN_MAX);
        let mut text: String = drawn.map(|problem| problem.render(colour) + "\n").collect();
        if let Some(more @ 1..) = self.problems.len().checked_sub(DRAWN_MAX) {
            let _ = writeln!(text, "  and {more} more\n");
        }
        let (count, plural) = (self.problems.len(), if self.problems.len() == 1 { "" } else { "s" });
        format!("{text}{count} problem{plural} in the spec; nothing was started\n")
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for SpecError {}

/// `text` on one line of a limited length.
fn one_line(text: &str) -> String {
    shorten(&plain(text), MESSAGE_COLUMNS_MAX)
}

/// `text` with each byte of a control or invisible character replaced by a space: no character can control
/// the terminal, and all places stay valid.
fn visible_text(text: &str) -> String {
    let keeps =
        |c: char| matches!(c, '\n' | '\t' | ' '..='~') || plain(c.encode_utf8(&mut [0; 4])).starts_with(c);
    text.chars().fold(String::with_capacity(text.len()), |mut visible, c| {
        if keeps(c) {
            visible.push(c);
        } else {
            visible.extend(std::iter::repeat_n(' ', c.len_utf8()));
        }
        visible
    })
}

/// The span of `at` in `text`. At the end of a text, where there is no character to point at, it is the
/// last character.
fn visible_span(text: &str, at: At) -> SourceSpan {
    let before = text.get(..at.start).unwrap_or(text);
    let at_end = at.start == at.end && text.get(at.start..).is_none_or(str::is_empty);
    match before.chars().next_back() {
        Some(last) if at_end && last != '\n' => (before.len() - last.len_utf8(), last.len_utf8()).into(),
        _ => {
            let end = text.floor_char_boundary(at.end.min(before.len() + CONTEXT_BYTES_MAX));
            (before.len(), end.saturating_sub(before.len())).into()
        }
    }
}

/// The errors and warnings that reading a spec has found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    sources: Vec<Arc<SourceText>>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Findings {
    /// Adds a text and returns its index.
    pub(super) fn add_source(&mut self, name: &str, text: &str) -> usize {
        self.sources.push(Arc::new(SourceText { name: plain(name), text: visible_text(text) }));
        self.sources.len() - 1
    }

    /// Adds an error at `at`.
    pub(super) fn error(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        let problem = self.problem(at, &message.into(), &help.into(), Severity::Error);
        self.errors.push(problem);
    }

    /// Adds a warning at `at`.
    pub(super) fn warn(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        let problem = self.problem(at, &message.into(), &help.into(), Severity::Warning);
        self.warnings.push(problem);
    }

    /// Adds an error whose advice has several lines.
    pub(super) fn error_lines(&mut self, at: At, message: &str, help: &[String]) {
        let help: Vec<String> = help.iter().map(|line| one_line(line)).collect();
        let problem = self.problem(at, message, "", Severity::Error);
        self.errors.push(Problem { help: Some(help.join("\n")), ..problem });
    }

    fn problem(&self, at: At, message: &str, help: &str, severity: Severity) -> Problem {
        let place = self.sources.get(at.source).map(|source| ProblemPlace {
            source: Arc::clone(source),
            order: at.source,
            span: visible_span(&source.text, at),
        });
        // Messages quote texts of specs and data files, which must not control the terminal.
        let help = Some(one_line(help)).filter(|help| !help.is_empty());
        Problem { message: one_line(message), help, place, severity }
    }

    /// Whether there is no error so far.
    pub(super) fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// Returns the warnings, in the order of the text.
    ///
    /// # Errors
    /// All errors in the order of the text, if there is any.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, SpecError> {
        self.errors.sort_by_key(Problem::order);
        self.warnings.sort_by_key(Problem::order);
        if self.errors.is_empty() { Ok(self.warnings) } else { Err(SpecError { problems: self.errors }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_quoted_text_nor_the_drawn_line_controls_the_terminal() {
        let text = "a = \"\u{1b}[31m\u{202e}红\"\r\nb = 1\n";
        assert_eq!(visible_text(text).len(), text.len());
        let mut findings = Findings::default();
        let source = findings.add_source("\u{1b}[2J.toml", text);
        let at = At { source, start: 4, end: text.find('\r').unwrap() };
        findings.error(at, "a column `\u{1b}[31m`", "help\u{7}");
        let rendered = findings.finish().unwrap_err().render(false);
        assert!(rendered.contains("红") && rendered.contains("a column ` [31m`"), "{rendered}");
        assert!(
            !rendered.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'),
            "{rendered:?}"
        );
    }
}
