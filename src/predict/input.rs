//! The texts to classify, from arguments or from an input.

use std::{io::BufRead, path::PathBuf};

use super::error::{InputFault, PredictError};
use crate::data::{
    TableFormat,
    table::{self, Columns, Request},
};

/// The texts to classify.
pub enum Texts<'a> {
    /// Texts that were given as arguments.
    Given(Vec<String>),
    /// Texts in a file or a pipe.
    Read {
        /// Name of the input in messages.
        name: String,
        /// The bytes.
        input: Box<dyn BufRead + 'a>,
        /// Format of the bytes.
        format: TableFormat,
        /// Name of the column with the texts. Not used for lines, which have no columns.
        column: String,
    },
    /// Texts in a file, which is unpacked and recognised by its contents.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its format, if it is text.
        format: TableFormat,
        /// Name of the column with the texts. Not used for lines, which have no columns.
        column: String,
    },
}

/// An iterator over texts, which ends with the first error.
pub(super) type TextIterator<'a> = Box<dyn Iterator<Item = Result<String, PredictError>> + 'a>;

impl<'a> Texts<'a> {
    /// Starts reading; a format with a header has it read now.
    pub(super) fn open(self) -> Result<TextIterator<'a>, PredictError> {
        match self {
            Self::Given(texts) => Ok(Box::new((1..).zip(texts).map(|(number, text)| {
                if text.trim().is_empty() { Err(PredictError::EmptyText { number }) } else { Ok(text) }
            }))),
            Self::Read { name, input, format, column } => {
                let columns = Columns { text: column, label: None, group: None };
                let error =
                    move |fault| PredictError::Input { input: name.clone(), source: InputFault::from(fault) };
                let rows = table::rows(input, format, columns).map_err(&error)?;
                Ok(Box::new(rows.map(move |cells| cells.map(|cells| cells.text).map_err(&error))))
            }
            Self::File { path, format, column } => {
                let columns = Columns { text: column, label: None, group: None };
                let name = path.display().to_string();
                let error =
                    move |fault| PredictError::Input { input: name.clone(), source: InputFault::from(fault) };
                let table = table::open(&path, &Request::new(Some(format), columns)).map_err(&error)?;
                let rows = table.map(|table| table.rows).into_iter().flatten();
                Ok(Box::new(rows.map(move |cells| cells.map(|cells| cells.text).map_err(&error))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_chain::chain;

    fn read(format: TableFormat, content: &str, column: &str) -> Vec<Result<String, String>> {
        let texts = Texts::Read {
            name: "a file".to_owned(),
            input: Box::new(content.as_bytes()),
            format,
            column: column.to_owned(),
        };
        match texts.open() {
            Ok(texts) => texts.map(|text| text.map_err(|error| chain(&error))).collect(),
            Err(error) => vec![Err(chain(&error))],
        }
    }

    fn last_error(format: TableFormat, content: &str, column: &str) -> String {
        read(format, content, column).pop().unwrap().unwrap_err()
    }

    #[test]
    fn texts_before_a_fault_are_read() {
        let read = read(TableFormat::Csv, "text\n\"a\nb\"\n\n \nc\n", "text");
        assert_eq!(read[0], Ok("a\nb".to_owned()));
        let error = "a file: line 5: the text is empty; fill it in, or delete the line";
        assert_eq!(read[1], Err(error.to_owned()));
    }

    #[test]
    fn a_file_with_other_separators_is_answered_with_the_formats() {
        let error = last_error(TableFormat::Csv, "review\ta\nb\tc\n", "text");
        assert!(error.contains("no column `text`") && error.contains("--input-format"), "{error}");
    }

    #[test]
    fn a_column_with_a_similar_name_is_proposed() {
        let error = last_error(TableFormat::Csv, "texts,a\nb,c\n", "text");
        assert!(error.ends_with("did you mean --column \"texts\"?"), "{error}");
    }

    #[test]
    fn a_value_that_is_no_text_is_named_with_its_line() {
        let error = last_error(TableFormat::Json, "{\"text\":\"a\"}\n{\"text\":5}\n", "text");
        assert!(error.starts_with("a file: line 2: `text` must be a text, not a number"), "{error}");
    }

    #[test]
    fn a_line_that_is_no_json_is_named() {
        let error = last_error(TableFormat::Json, "{\"text\":\"a\"}\n{\n", "text");
        assert!(error.starts_with("a file: line 2: not readable as JSON"), "{error}");
    }

    #[test]
    fn a_quote_that_is_never_closed_is_named_where_it_opens() {
        let error = last_error(TableFormat::Csv, "text,b\na,1\n\"c,2\nd,3\n", "text");
        assert!(error.starts_with("a file: line 3: a quote is opened here"), "{error}");
    }

    #[test]
    fn an_empty_file_has_no_header() {
        assert!(last_error(TableFormat::Csv, "", "text").contains("no header"));
    }

    #[test]
    fn a_packed_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv.gz");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, b"id;text\n1;a, b\n").unwrap();
        std::fs::write(&path, packer.finish().unwrap()).unwrap();
        let texts = Texts::File { path, format: TableFormat::Csv, column: "text".to_owned() };
        let texts: Vec<String> =
            texts.open().unwrap_or_else(|error| panic!("{error}")).map(Result::unwrap).collect();
        assert_eq!(texts, ["a, b"]);
    }

    #[test]
    fn an_argument_without_text_is_named_by_its_number() {
        let texts = Texts::Given(["a", " "].map(str::to_owned).to_vec());
        let texts: Vec<_> = texts.open().unwrap_or_else(|error| panic!("{error}")).collect();
        assert!(matches!(texts[1], Err(PredictError::EmptyText { number: 2 })));
    }
}
