//! The predicted classes and probabilities, written in one of four formats.

use std::io::{self, Write};

use csv::QuoteStyle;
use serde_json::{Map, json};

use crate::display::{cell, columns, json as safe_json, plain, shorten, visible};

/// Largest width of a class name in a table, in terminal columns.
const LABEL_COLUMNS_MAX: usize = 24;

/// How predictions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictionFormat {
    /// For people: a line for each text.
    Table {
        /// Largest width of a line, in terminal columns; `None` for no limit.
        width: Option<usize>,
    },
    /// One JSON array of objects.
    Json,
    /// A JSON object on each line.
    JsonLines,
    /// CSV with a header.
    Csv(CsvCells),
}

/// How texts and class names are written into CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvCells {
    /// As they are, for programs.
    Exact,
    /// Without what a terminal would obey.
    Visible,
    /// So that a spreadsheet takes none for a formula.
    Spreadsheet,
}

impl CsvCells {
    fn show(self, text: &str) -> String {
        match self {
            Self::Exact => text.to_owned(),
            Self::Visible => visible(text),
            Self::Spreadsheet => cell(text),
        }
    }

    /// Where a spreadsheet separates cells otherwise, only quotes keep a cell from being cut.
    const fn quotes(self) -> QuoteStyle {
        match self {
            Self::Exact | Self::Visible => QuoteStyle::Necessary,
            Self::Spreadsheet => QuoteStyle::NonNumeric,
        }
    }
}

/// Writes predictions, a window of texts at a time.
pub(super) struct PredictionWriter<'a> {
    out: &'a mut dyn Write,
    format: PredictionFormat,
    labels: &'a [String],
    /// The class names for a table, padded to one width.
    shown: Vec<String>,
    /// Number of texts that were written.
    written: usize,
}

impl<'a> PredictionWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write, format: PredictionFormat, labels: &'a [String]) -> Self {
        let shown: Vec<String> =
            labels.iter().map(|label| shorten(&plain(label), LABEL_COLUMNS_MAX)).collect();
        let widest = shown.iter().map(|label| columns(label)).max().unwrap_or(0);
        let pad = |label: String| format!("{label}{}", " ".repeat(widest - columns(&label)));
        let shown = shown.into_iter().map(pad).collect();
        Self { out, format, labels, shown, written: 0 }
    }

    /// Writes the predictions for these texts and flushes the output.
    pub(super) fn write(&mut self, texts: &[&str], probabilities: &[Vec<f64>]) -> io::Result<()> {
        let mut block = Vec::new();
        if let PredictionFormat::Csv(cells) = self.format {
            self.csv(&mut block, cells, texts, probabilities)?;
        } else {
            for (text, probabilities) in texts.iter().zip(probabilities) {
                self.line(&mut block, text, probabilities)?;
                self.written += 1;
            }
        }
        self.out.write_all(&block)?;
        self.out.flush()
    }

    /// Writes the end of the format: the end of an array, or what replaces predictions if there were none.
    pub(super) fn end(&mut self) -> io::Result<()> {
        match self.format {
            PredictionFormat::Json if self.written == 0 => self.out.write_all(b"[]\n")?,
            PredictionFormat::Json => self.out.write_all(b"\n]\n")?,
            PredictionFormat::Csv(_) if self.written == 0 => self.write(&[], &[])?,
            PredictionFormat::Csv(_) | PredictionFormat::Table { .. } | PredictionFormat::JsonLines => {}
        }
        self.out.flush()
    }

    fn line(&self, block: &mut Vec<u8>, text: &str, probabilities: &[f64]) -> io::Result<()> {
        match self.format {
            PredictionFormat::Json => {
                let before = if self.written == 0 { "[\n" } else { ",\n" };
                write!(block, "{before}{}", self.object(text, probabilities))
            }
            PredictionFormat::JsonLines => writeln!(block, "{}", self.object(text, probabilities)),
            PredictionFormat::Table { .. } | PredictionFormat::Csv(_) => self.row(block, text, probabilities),
        }
    }

    fn object(&self, text: &str, probabilities: &[f64]) -> String {
        let each: Map<_, _> =
            self.labels.iter().cloned().zip(probabilities.iter().map(|&p| json!(p))).collect();
        let label = &self.labels[best(probabilities)];
        safe_json(&json!({ "text": text, "label": label, "probabilities": each }).to_string())
    }

    fn row(&self, block: &mut Vec<u8>, text: &str, probabilities: &[f64]) -> io::Result<()> {
        let class = best(probabilities);
        let head = format!("{}  {:.4}  ", self.shown[class], probabilities[class]);
        let text = plain(text);
        let text = match self.format {
            PredictionFormat::Table { width: Some(width) } => {
                shorten(&text, width.saturating_sub(columns(&head)).max(1))
            }
            PredictionFormat::Table { width: None }
            | PredictionFormat::Json
            | PredictionFormat::JsonLines
            | PredictionFormat::Csv(_) => text,
        };
        writeln!(block, "{head}{text}")
    }

    fn csv(
        &mut self,
        block: &mut Vec<u8>,
        cells: CsvCells,
        texts: &[&str],
        probabilities: &[Vec<f64>],
    ) -> io::Result<()> {
        let mut writer = csv::WriterBuilder::new().quote_style(cells.quotes()).from_writer(block);
        if self.written == 0 {
            let header = ["text", "label"].map(str::to_owned).into_iter();
            writer.write_record(
                header.chain(self.labels.iter().map(|label| cells.show(&format!("p_{label}")))),
            )?;
        }
        for (&text, probabilities) in texts.iter().zip(probabilities) {
            let fields = [text, &self.labels[best(probabilities)]].map(|text| cells.show(text)).into_iter();
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
    use serde_json::Value;

    use super::*;

    const TEXTS: [&str; 3] = ["好", "a, \"b\"\nc", "\u{1b}[31m long, long, long, long, long, long"];

    /// What is written of [`TEXTS`], one at a time.
    fn written(format: PredictionFormat, texts: &[&str]) -> String {
        let labels = ["so, so", "很\"好\u{1b}[31m"].map(str::to_owned);
        let mut bytes = Vec::new();
        let mut output = PredictionWriter::new(&mut bytes, format, &labels);
        for (index, text) in texts.iter().enumerate() {
            let p = [0.25, 0.5, 0.75][index];
            output.write(&[text], &[vec![p, 1.0 - p]]).unwrap();
        }
        output.end().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_array_and_json_lines_its_elements() {
        let array: Vec<Value> = serde_json::from_str(&written(PredictionFormat::Json, &TEXTS)).unwrap();
        let lines = written(PredictionFormat::JsonLines, &TEXTS);
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(array, lines);
        assert_eq!(array[1]["text"], TEXTS[1]);
        assert_eq!(array[0]["label"], "很\"好\u{1b}[31m");
        assert_eq!(array[0]["probabilities"]["so, so"], 0.25);
    }

    #[test]
    fn csv_keeps_texts_and_names_as_they_are() {
        let text = written(PredictionFormat::Csv(CsvCells::Exact), &TEXTS);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), vec!["text", "label", "p_so, so", "p_很\"好\u{1b}[31m"]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.iter().map(|row| &row[0]).collect::<Vec<_>>(), TEXTS);
        assert_eq!(rows[2], vec![TEXTS[2], "so, so", "0.75", "0.25"]);
    }

    #[test]
    fn csv_for_a_spreadsheet_has_no_formula_and_no_cell_that_can_be_cut() {
        let texts = ["=HYPERLINK(\"http://a.example\")", "a;=1+1", "\u{1b}]0;x\u{7}\u{202e}b"];
        let text = written(PredictionFormat::Csv(CsvCells::Spreadsheet), &texts);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(r#""text","label","p_so, so","p_很""好 [31m""#));
        assert_eq!(lines.next(), Some(r#""'=HYPERLINK(""http://a.example"")","很""好 [31m",0.25,0.75"#));
        assert_eq!(lines.next(), Some(r#""a;=1+1","so, so",0.5,0.5"#));
        assert_eq!(lines.next(), Some(r#"" ]0;x ‹U+202E›b","so, so",0.75,0.25"#));
    }

    #[test]
    fn csv_on_a_terminal_cannot_speak_to_it() {
        let text = written(PredictionFormat::Csv(CsvCells::Visible), &TEXTS);
        assert!(!text.contains('\u{1b}') && text.contains("p_很\"\"好 [31m"), "{text}");
    }

    #[test]
    fn nothing_is_an_empty_array_or_a_header_alone() {
        assert_eq!(written(PredictionFormat::Json, &[]), "[]\n");
        assert_eq!(written(PredictionFormat::JsonLines, &[]), "");
        assert_eq!(written(PredictionFormat::Csv(CsvCells::Exact), &[]).lines().count(), 1);
    }

    #[test]
    fn table_lines_keep_to_the_terminal_and_cannot_speak_to_it() {
        let table = written(PredictionFormat::Table { width: Some(40) }, &TEXTS);
        assert!(!table.contains('\u{1b}'));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3, "{table}");
        assert!(lines.iter().all(|line| columns(line) <= 40), "{table}");
        // Class names differ in width, figures stand below each other.
        let at = |line: &str, figure: &str| columns(&line[..line.find(figure).unwrap()]);
        assert_eq!(at(lines[0], "0.7500"), at(lines[1], "0.5000"));
        let whole = written(PredictionFormat::Table { width: None }, &TEXTS);
        assert!(whole.contains("long, long, long, long, long, long\n"), "{whole}");
    }
}
