//! Where texts come from.

use std::io::BufRead;

use super::PredictError;
use crate::data::{
    RowFault, TableError, TableFormat,
    table::{self, Columns},
};

/// The texts to classify.
pub enum Texts<'a> {
    /// The command line's.
    Given(Vec<String>),
    /// A file's or a pipe's.
    Read {
        /// Its name in messages.
        name: String,
        /// Its bytes.
        input: Box<dyn BufRead + 'a>,
        /// What they are.
        format: TableFormat,
        /// The column of the texts; lines have none.
        column: String,
    },
}

/// Texts as they come.
pub(super) type Opened<'a> = Box<dyn Iterator<Item = Result<String, PredictError>> + 'a>;

impl<'a> Texts<'a> {
    /// Reads the header, if there must be one.
    pub(super) fn open(self) -> Result<Opened<'a>, PredictError> {
        match self {
            Self::Given(texts) => Ok(Box::new((1..).zip(texts).map(|(number, text)| {
                if text.trim().is_empty() { Err(PredictError::EmptyText { number }) } else { Ok(text) }
            }))),
            Self::Read { name, input, format, column } => {
                let columns = Columns { text: column, label: None };
                let told = move |error| PredictError::Input { input: name.clone(), error };
                let rows = table::rows(input, format, columns).map_err(&told)?;
                Ok(Box::new(rows.map(move |cells| cells.map(|cells| cells.text).map_err(&told))))
            }
        }
    }
}

/// What to do about `error`, after what it says.
pub(super) fn help(error: &TableError) -> String {
    let help = match error {
        TableError::Read { .. } => return String::new(),
        TableError::NotUtf8 { byte, .. } => table::not_utf8_help(*byte),
        TableError::NoHeader => "its first line must name the columns".to_owned(),
        TableError::Column { missing, .. } => match (missing.found.as_slice(), &missing.nearest) {
            (_, Some(nearest)) => format!("did you mean --column {nearest:?}?"),
            ([only], None) if only.contains(['\t', ';', ',', '|']) => {
                "its columns seem to be separated otherwise: with --input-format csv by commas, with tsv by tabs"
                    .to_owned()
            }
            _ => "name the column of the texts with --column".to_owned(),
        },
        TableError::RepeatedColumn { .. } => "rename one of them".to_owned(),
        TableError::Row { fault, .. } => match &**fault {
            RowFault::NoKey { .. } | RowFault::NotText { .. } => {
                "correct this line, or name another key with --column".to_owned()
            }
            RowFault::Fields { .. }
            | RowFault::OpenQuote
            | RowFault::Json(_)
            | RowFault::NotObject(_)
            | RowFault::NotLabel { .. }
            | RowFault::EmptyText
            | RowFault::EmptyLabel
            | RowFault::LongLabel(_) => fault.help(),
        },
    };
    format!("; {help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: TableFormat, content: &str, column: &str) -> Vec<Result<String, String>> {
        let texts = Texts::Read {
            name: "a file".to_owned(),
            input: Box::new(content.as_bytes()),
            format,
            column: column.to_owned(),
        };
        match texts.open() {
            Ok(texts) => texts.map(|text| text.map_err(|error| error.to_string())).collect(),
            Err(error) => vec![Err(error.to_string())],
        }
    }

    fn last_error(format: TableFormat, content: &str, column: &str) -> String {
        read(format, content, column).pop().unwrap().unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_a_way_out_after_the_texts_before_it() {
        let (csv, jsonl) = (TableFormat::Csv, TableFormat::JsonLines);
        let read = read(csv, "text\n\"a\nb\"\n\n \nc\n", "text");
        assert_eq!(read[0], Ok("a\nb".to_owned()));
        let error = "a file: line 5: the text is empty; fill it in, or delete the line";
        assert_eq!(read[1], Err(error.to_owned()));

        let error = last_error(csv, "review\ta\nb\tc\n", "text");
        assert!(error.contains("no column `text`") && error.contains("--input-format"), "{error}");
        let error = last_error(csv, "texts,a\nb,c\n", "text");
        assert!(error.ends_with("did you mean --column \"texts\"?"), "{error}");
        let error = last_error(jsonl, "{\"text\":\"a\"}\n{\"text\":5}\n", "text");
        assert!(error.starts_with("a file: line 2: `text` must be a text, not a number"), "{error}");
        let error = last_error(jsonl, "{\"text\":\"a\"}\n{\n", "text");
        assert!(error.starts_with("a file: line 2: not readable as JSON"), "{error}");
        let error = last_error(csv, "text,b\na,1\n\"c,2\nd,3\n", "text");
        assert!(error.starts_with("a file: line 3: a quote is opened here"), "{error}");
        assert!(last_error(csv, "", "text").contains("no header"));
    }

    #[test]
    fn an_argument_without_text_is_told_by_its_number() {
        let texts = Texts::Given(["a", " "].map(str::to_owned).to_vec());
        let texts: Vec<_> = texts.open().unwrap_or_else(|error| panic!("{error}")).collect();
        assert!(matches!(texts[1], Err(PredictError::EmptyText { number: 2 })));
    }
}
