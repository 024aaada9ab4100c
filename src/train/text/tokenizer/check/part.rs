//! The parts of a `tokenizer.json`, and what is wrong with one.

use serde_json::Value;

/// Bytes of a token, and of the texts that normalizers put in. The longest known tokens, of spaces, have about 500.
pub(super) const TOKEN_BYTES_MAX: usize = 1_024;
/// Parts of a normalizer or a pre-tokenizer; known ones have up to ten.
const PARTS_MAX: usize = 64;

/// What is wrong with a part of a `tokenizer.json`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The part, such as `normalizer.normalizers[1].content`.
    pub(super) field: String,
    /// The rest of a sentence that begins with the part.
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { field: field.into(), what: what.into() }
    }

    /// The fault of something that is longer or more than it may be.
    pub(super) fn beyond(field: impl Into<String>, found: usize, unit: &str, max: usize) -> Self {
        Self::new(field, format!("has {found} {unit}, more than {max}"))
    }
}

/// A part of a normalizer, a pre-tokenizer, a post-processor or a decoder, that has no further parts.
pub(super) struct Part<'a> {
    pub(super) value: &'a Value,
    /// Its place in the file.
    pub(super) field: String,
}

/// The parts of `value`, which may be a sequence with its parts in the list `key`, and so may they.
pub(super) fn parts<'a>(value: &'a Value, field: &str, key: &str) -> Result<Vec<Part<'a>>, Fault> {
    let mut found = Vec::new();
    let mut open = vec![Part { value, field: field.to_owned() }];
    while let Some(part) = open.pop() {
        match part.value[key].as_array() {
            Some(list) => open.extend(list.iter().enumerate().rev().map(|(index, value)| {
                let field = format!("{}.{key}[{index}]", part.field);
                Part { value, field }
            })),
            None if part.value.is_null() => {}
            None => found.push(part),
        }
        if found.len() + open.len() > PARTS_MAX {
            return Err(Fault::new(field, format!("has more than {PARTS_MAX} parts")));
        }
    }
    Ok(found)
}

impl Part<'_> {
    /// What the file calls the part.
    pub(super) fn kind(&self) -> &str {
        self.value["type"].as_str().unwrap_or_default()
    }

    /// The length of the text `key`, which must not be longer than any real one.
    pub(super) fn length(&self, key: &str) -> Result<usize, Fault> {
        let length = self.value[key].as_str().map_or(0, str::len);
        if length > TOKEN_BYTES_MAX {
            return Err(Fault::beyond(format!("{}.{key}", self.field), length, "bytes", TOKEN_BYTES_MAX));
        }
        Ok(length)
    }
}

#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
pub(super) const fn bytes(count: usize) -> f64 {
    count as f64
}
