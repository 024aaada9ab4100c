//! How classes and probabilities are written.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::display::{columns, plain, shorten};

/// Widest class name in a table, in terminal columns.
const LABEL_COLUMNS: usize = 24;

/// The form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: a line a text.
    Table {
        /// Terminal columns that a line may take; `None`: any number.
        width: Option<usize>,
    },
    /// One array of objects.
    Json,
    /// An object on each line.
    JsonLines,
    /// With a header.
    Csv,
}

/// Writes results as they come.
pub(super) struct Output<'a> {
    out: &'a mut dyn Write,
    format: Format,
    labels: &'a [String],
    /// The class names as a table shows them, all equally wide.
    shown: Vec<String>,
    written: usize,
}

impl<'a> Output<'a> {
    pub(super) fn new(out: &'a mut dyn Write, format: Format, labels: &'a [String]) -> Self {
        let shown: Vec<String> = labels.iter().map(|label| shorten(&plain(label), LABEL_COLUMNS)).collect();
        let widest = shown.iter().map(|label| columns(label)).max().unwrap_or(0);
        let pad = |label: String| format!("{label}{}", " ".repeat(widest - columns(&label)));
        let shown = shown.into_iter().map(pad).collect();
        Self { out, format, labels, shown, written: 0 }
    }

    /// Writes the results of some texts, all of them before it returns.
    pub(super) fn write(&mut self, texts: &[&str], probabilities: &[Vec<f64>]) -> io::Result<()> {
        let mut block = Vec::new();
        if self.format == Format::Csv {
            self.csv(&mut block, texts, probabilities)?;
        } else {
            for (text, probabilities) in texts.iter().zip(probabilities) {
                self.line(&mut block, text, probabilities)?;
                self.written += 1;
            }
        }
        self.out.write_all(&block)?;
        self.out.flush()
    }

    /// Writes what stands behind the last result.
    pub(super) fn end(&mut self) -> io::Result<()> {
        match self.format {
            Format::Json if self.written == 0 => self.out.write_all(b"[]\n")?,
            Format::Json => self.out.write_all(b"\n]\n")?,
            Format::Csv if self.written == 0 => self.write(&[], &[])?,
            Format::Csv | Format::Table { .. } | Format::JsonLines => {}
        }
        self.out.flush()
    }

    fn line(&self, block: &mut Vec<u8>, text: &str, probabilities: &[f64]) -> io::Result<()> {
        match self.format {
            Format::Json => {
                let before = if self.written == 0 { "[\n" } else { ",\n" };
                write!(block, "{before}{}", self.object(text, probabilities))
            }
            Format::JsonLines => writeln!(block, "{}", self.object(text, probabilities)),
            Format::Table { .. } | Format::Csv => self.row(block, text, probabilities),
        }
    }

    fn object(&self, text: &str, probabilities: &[f64]) -> Value {
        let each: Map<_, _> =
            self.labels.iter().cloned().zip(probabilities.iter().map(|&p| json!(p))).collect();
        json!({ "text": text, "label": self.labels[best(probabilities)], "probabilities": each })
    }

    fn row(&self, block: &mut Vec<u8>, text: &str, probabilities: &[f64]) -> io::Result<()> {
        let class = best(probabilities);
        let head = format!("{}  {:.4}  ", self.shown[class], probabilities[class]);
        let text = plain(text);
        let text = match self.format {
            Format::Table { width: Some(width) } => {
                shorten(&text, width.saturating_sub(columns(&head)).max(1))
            }
            Format::Table { width: None } | Format::Json | Format::JsonLines | Format::Csv => text,
        };
        writeln!(block, "{head}{text}")
    }

    fn csv(&mut self, block: &mut Vec<u8>, texts: &[&str], probabilities: &[Vec<f64>]) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(block);
        if self.written == 0 {
            let header = ["text", "label"].map(str::to_owned).into_iter();
            writer.write_record(header.chain(self.labels.iter().map(|label| format!("p_{label}"))))?;
        }
        for (&text, probabilities) in texts.iter().zip(probabilities) {
            let fields = [text.to_owned(), self.labels[best(probabilities)].clone()].into_iter();
            writer.write_record(fields.chain(probabilities.iter().map(f64::to_string)))?;
            self.written += 1;
        }
        writer.flush()
    }
}

/// The most probable class; of equals the first.
fn best(probabilities: &[f64]) -> usize {
    (0..probabilities.len())
        .fold(0, |best, class| if probabilities[class] > probabilities[best] { class } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 3] = ["好", "a, \"b\"\nc", "\u{1b}[31m long, long, long, long, long, long"];

    /// What is written of [`TEXTS`], one at a time.
    fn written(format: Format, texts: &[&str]) -> String {
        let labels = ["so, so", "很\"好\u{1b}[31m"].map(str::to_owned);
        let mut bytes = Vec::new();
        let mut output = Output::new(&mut bytes, format, &labels);
        for (index, text) in texts.iter().enumerate() {
            let p = [0.25, 0.5, 0.75][index];
            output.write(&[text], &[vec![p, 1.0 - p]]).unwrap();
        }
        output.end().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_array_and_json_lines_its_elements() {
        let array: Vec<Value> = serde_json::from_str(&written(Format::Json, &TEXTS)).unwrap();
        let lines = written(Format::JsonLines, &TEXTS);
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(array, lines);
        assert_eq!(array[1]["text"], TEXTS[1]);
        assert_eq!(array[0]["label"], "很\"好\u{1b}[31m");
        assert_eq!(array[0]["probabilities"]["so, so"], 0.25);
    }

    #[test]
    fn csv_keeps_texts_and_names_as_they_are() {
        let text = written(Format::Csv, &TEXTS);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), vec!["text", "label", "p_so, so", "p_很\"好\u{1b}[31m"]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.iter().map(|row| &row[0]).collect::<Vec<_>>(), TEXTS);
        assert_eq!(rows[2], vec![TEXTS[2], "so, so", "0.75", "0.25"]);
    }

    #[test]
    fn nothing_is_an_empty_array_or_a_header_alone() {
        assert_eq!(written(Format::Json, &[]), "[]\n");
        assert_eq!(written(Format::JsonLines, &[]), "");
        assert_eq!(written(Format::Csv, &[]).lines().count(), 1);
    }

    #[test]
    fn table_lines_keep_to_the_terminal_and_cannot_speak_to_it() {
        let table = written(Format::Table { width: Some(40) }, &TEXTS);
        assert!(!table.contains('\u{1b}'));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3, "{table}");
        assert!(lines.iter().all(|line| columns(line) <= 40), "{table}");
        // Class names differ in width, figures stand below each other.
        let at = |line: &str, figure: &str| columns(&line[..line.find(figure).unwrap()]);
        assert_eq!(at(lines[0], "0.7500"), at(lines[1], "0.5000"));
        let whole = written(Format::Table { width: None }, &TEXTS);
        assert!(whole.contains("long, long, long, long, long, long\n"), "{whole}");
    }
}
