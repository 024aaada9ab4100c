//! `sweep predict`: texts in, classes and probabilities out, a block at a time.

use std::io::{self, BufRead, Read, Write};

use serde_json::{Map, json};

use crate::train::{Exported, Session, TrainError};

/// Texts that are classified together: memory stays bounded, batches stay full.
const BLOCK: usize = 512;

/// The form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: a line a text.
    Table,
    /// One array of objects.
    Json,
    /// With a header.
    Csv,
}

/// Where texts come from.
pub enum Texts<'a> {
    /// The command line.
    Given(Vec<String>),
    /// One on each line; empty lines are texts too, so that results keep their place.
    Lines(Box<dyn BufRead + 'a>),
    /// A column of a CSV with a header.
    Column(Box<dyn Read + 'a>, String),
}

/// Why texts could not be classified.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The model failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The input is not UTF-8, or could not be read.
    #[error("reading line {line} of standard input")]
    Line {
        /// From 1.
        line: usize,
        /// Why.
        source: io::Error,
    },
    /// The input is no CSV.
    #[error("reading CSV from standard input")]
    Csv(#[source] csv::Error),
    /// The column is not there.
    #[error("standard input has no column `{column}`; its columns: {}", found.join(", "))]
    Column {
        /// What was asked for.
        column: String,
        /// What is there.
        found: Vec<String>,
    },
    /// The results could not be written.
    #[error("writing the results")]
    Write(#[source] io::Error),
}

/// Classifies `texts` and writes the results to `out`, in order.
///
/// # Errors
/// At the first text that cannot be read or classified; what was classified before is written.
pub fn predict(
    session: &mut Session,
    model: &Exported,
    texts: Texts<'_>,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), PredictError> {
    let mut writer = Writer { out, format, labels: &model.labels, written: 0 };
    writer.begin().map_err(PredictError::Write)?;
    let mut block = Vec::with_capacity(BLOCK);
    let mut failed = None;
    for text in iterate(texts)? {
        match text {
            Ok(text) => block.push(text),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
        if block.len() == BLOCK {
            classify(session, model, &mut block, &mut writer)?;
        }
    }
    classify(session, model, &mut block, &mut writer)?;
    writer.end().map_err(PredictError::Write)?;
    failed.map_or(Ok(()), Err)
}

type TextResult = Result<String, PredictError>;

fn iterate<'a>(texts: Texts<'a>) -> Result<Box<dyn Iterator<Item = TextResult> + 'a>, PredictError> {
    Ok(match texts {
        Texts::Given(texts) => Box::new(texts.into_iter().map(Ok)),
        Texts::Lines(reader) => Box::new(
            reader
                .lines()
                .enumerate()
                .map(|(index, line)| line.map_err(|source| PredictError::Line { line: index + 1, source })),
        ),
        Texts::Column(reader, column) => {
            let mut reader = csv::Reader::from_reader(reader);
            let header = reader.headers().map_err(PredictError::Csv)?.clone();
            let Some(place) = header.iter().position(|name| name == column) else {
                let found = header.iter().map(str::to_owned).collect();
                return Err(PredictError::Column { column, found });
            };
            Box::new(reader.into_records().map(move |record| {
                let record = record.map_err(PredictError::Csv)?;
                Ok(record.get(place).unwrap_or_default().to_owned())
            }))
        }
    })
}

fn classify(
    session: &mut Session,
    model: &Exported,
    block: &mut Vec<String>,
    writer: &mut Writer<'_>,
) -> Result<(), PredictError> {
    if block.is_empty() {
        return Ok(());
    }
    let texts: Vec<&str> = block.iter().map(String::as_str).collect();
    for (text, probabilities) in texts.iter().zip(session.predict(model, &texts)?) {
        writer.write(text, &probabilities).map_err(PredictError::Write)?;
    }
    block.clear();
    Ok(())
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    format: Format,
    labels: &'a [String],
    written: usize,
}

impl Writer<'_> {
    fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Table => Ok(()),
            Format::Json => self.out.write_all(b"["),
            Format::Csv => {
                let mut header = vec!["text".to_owned(), "label".to_owned()];
                header.extend(self.labels.iter().map(|label| format!("p_{label}")));
                self.csv_row(&header)
            }
        }
    }

    fn write(&mut self, text: &str, probabilities: &[f64]) -> io::Result<()> {
        let best = (0..probabilities.len())
            .fold(0, |best, class| if probabilities[class] > probabilities[best] { class } else { best });
        let label = &self.labels[best];
        match self.format {
            Format::Table => {
                writeln!(self.out, "{}\t{:.4}\t{}", printable(label), probabilities[best], printable(text))?;
            }
            Format::Json => {
                let each: Map<_, _> =
                    self.labels.iter().cloned().zip(probabilities.iter().map(|&p| json!(p))).collect();
                let object = json!({ "text": text, "label": label, "probabilities": each });
                let comma = if self.written == 0 { "\n" } else { ",\n" };
                write!(self.out, "{comma}{object}")?;
            }
            Format::Csv => {
                let mut row = vec![text.to_owned(), label.clone()];
                row.extend(probabilities.iter().map(f64::to_string));
                self.csv_row(&row)?;
            }
        }
        self.written += 1;
        Ok(())
    }

    fn csv_row(&mut self, row: &[String]) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(&mut *self.out);
        writer.write_record(row)?;
        writer.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.format == Format::Json {
            self.out.write_all(b"\n]\n")?;
        }
        self.out.flush()
    }
}

/// `text` on one line, without control characters: a text must not drive the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}
