//! Where the text and the label stand in a header.

use super::{
    cells::{Columns, GROUP_KEY, LABEL_KEY, TEXT_KEY},
    error::{MissingColumn, TableError},
};
use crate::nearest::nearest;

/// Names that columns of texts usually have.
const TEXT_NAMES: [&str; 16] = [
    "text",
    "texts",
    "sentence",
    "review",
    "review_text",
    "content",
    "comment",
    "document",
    "body",
    "message",
    "text_a",
    "sentence1",
    "utterance",
    "文本",
    "评论",
    "内容",
];
/// Names that columns of labels usually have.
const LABEL_NAMES: [&str; 14] = [
    "label",
    "labels",
    "class",
    "category",
    "sentiment",
    "target",
    "tag",
    "intent",
    "y",
    "topic",
    "rating",
    "标签",
    "类别",
    "情感",
];

/// The places of the columns that are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) text: usize,
    /// `None` when no label is read.
    pub(super) label: Option<usize>,
    /// `None` when no group is read.
    pub(super) group: Option<usize>,
}

impl Places {
    /// The places of `columns` in `header`.
    ///
    /// # Errors
    /// When the header lacks a column or has it twice; if it lacks both, the error has both.
    pub(super) fn find(header: &[String], columns: &Columns) -> Result<Self, TableError> {
        let text = column(header, &columns.text, TEXT_KEY);
        let label = columns.label.as_ref().map(|label| column(header, label, LABEL_KEY)).transpose();
        match (text, label) {
            (Ok(text), Ok(label)) => {
                let group =
                    columns.group.as_ref().map(|group| column(header, group, GROUP_KEY)).transpose()?;
                Ok(Self { text, label, group })
            }
            (
                Err(TableError::Column { key, missing, .. }),
                Err(TableError::Column { key: other_key, missing: other, .. }),
            ) => Err(TableError::Column { key, missing, other: Some((other_key, other)) }),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}

/// Whether `header` has every one of `columns`.
pub(super) fn has(header: &[String], columns: &Columns) -> bool {
    let has = |name: &String| header.iter().any(|column| column.trim() == name);
    has(&columns.text) && columns.label.as_ref().is_none_or(has) && columns.group.as_ref().is_none_or(has)
}

/// The index of the column `name`, which `key` of a spec names.
fn column(header: &[String], name: &str, key: &'static str) -> Result<usize, TableError> {
    let mut places = header.iter().enumerate().filter(|(_, column)| column.trim() == name);
    match (places.next(), places.next()) {
        (Some((place, _)), None) => Ok(place),
        (Some(_), Some(_)) => Err(TableError::RepeatedColumn { key, column: name.to_owned() }),
        (None, _) => {
            let found: Vec<String> = header.iter().map(|column| column.trim().to_owned()).collect();
            let missing = Box::new(MissingColumn {
                nearest: likely(&found, name, key),
                column: name.to_owned(),
                found,
            });
            Err(TableError::Column { key, missing, other: None })
        }
    }
}

/// The column of `found` that was probably meant by `name`, or that has a usual name for what `key` names.
pub(super) fn likely(found: &[String], name: &str, key: &str) -> Option<String> {
    let similar = nearest(name, found.iter().map(String::as_str));
    let names: &[&str] = match key {
        TEXT_KEY => &TEXT_NAMES,
        LABEL_KEY => &LABEL_NAMES,
        _ => &[],
    };
    let usual =
        || found.iter().map(String::as_str).find(|column| names.contains(&column.to_lowercase().as_str()));
    similar.or_else(usual).map(str::to_owned)
}
