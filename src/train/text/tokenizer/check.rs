//! Whether a `tokenizer.json` is one that the tokenizers library may be given.
//!
//! The library trusts such a file: sizes in it are allocated, ids are indices, patterns run as long as they like, and
//! parts may make a text longer without bound. A file may come from anyone, so that each part is looked at first, and
//! one that no tokenizer needs is refused by its name. What is not thought of here ends at the wall
//! (`crate::train::wall`).

mod charsmap;
mod model;
mod pattern;
mod processor;

use std::path::Path;

use serde_json::Value;

use super::error::TokenizerError;

/// Bytes of a token, and of the texts that normalizers put in. The longest known tokens, of spaces, have about 500.
const TOKEN_BYTES_MAX: usize = 1_024;
/// Parts of a normalizer or a pre-tokenizer; known ones have up to ten.
const PARTS_MAX: usize = 64;
/// Pre-tokenizers that make a text longer; known tokenizers have up to two.
const GROWING_MAX: usize = 4;
/// How many times longer a normalizer may make a text, by the product of what its parts can do at worst. Known
/// normalizers have up to some 400, none of which any real text reaches.
const GROWTH_MAX: f64 = 65_536.0;
/// Bytes of all added tokens once they are normalized, at worst.
const ADDED_BYTES_MAX: f64 = 1e9;
/// Added tokens; known tokenizers have up to some 7,000.
const ADDED_MAX: usize = 100_000;

/// What is wrong with a part of a `tokenizer.json`.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    /// The part, such as `normalizer.normalizers[1].content`.
    field: String,
    /// The rest of a sentence that begins with the part.
    what: String,
}

impl Fault {
    fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { field: field.into(), what: what.into() }
    }

    /// The fault of something that is longer or more than it may be.
    fn beyond(field: impl Into<String>, found: usize, unit: &str, max: usize) -> Self {
        Self::new(field, format!("has {found} {unit}, more than {max}"))
    }
}

/// Refuses a `tokenizer.json` that no honest model has. `path` is the file that messages name.
///
/// # Errors
/// The first part that is refused.
pub(super) fn check(tokenizer: &Value, path: &Path) -> Result<(), TokenizerError> {
    faultless(tokenizer).map_err(|Fault { field, what }| TokenizerError::Part {
        path: path.to_owned(),
        field,
        what,
    })
}

fn faultless(tokenizer: &Value) -> Result<(), Fault> {
    let growth = normalizer(&tokenizer["normalizer"])?;
    pre_tokenizer(&tokenizer["pre_tokenizer"])?;
    processor::check(&tokenizer["post_processor"])?;
    // It is never run, but it is built.
    for part in parts(&tokenizer["decoder"], "decoder", "decoders")? {
        part.patterned()?;
    }
    model::check(&tokenizer["model"])?;
    added(&tokenizer["added_tokens"], growth)
}

/// A part of a normalizer, a pre-tokenizer, a post-processor or a decoder, that has no further parts.
struct Part<'a> {
    value: &'a Value,
    /// Its place in the file.
    field: String,
}

/// The parts of `value`, which may be a sequence with its parts in the list `key`, and so may they.
fn parts<'a>(value: &'a Value, field: &str, key: &str) -> Result<Vec<Part<'a>>, Fault> {
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
    fn kind(&self) -> &str {
        self.value["type"].as_str().unwrap_or_default()
    }

    /// Refuses a pattern that may search without end.
    fn patterned(&self) -> Result<(), Fault> {
        match self.value.get("pattern") {
            Some(pattern) => pattern::check(pattern, &format!("{}.pattern", self.field)),
            None => Ok(()),
        }
    }

    /// The length of the text `key`, which must not be longer than any real one.
    fn length(&self, key: &str) -> Result<usize, Fault> {
        let length = self.value[key].as_str().map_or(0, str::len);
        if length > TOKEN_BYTES_MAX {
            return Err(Fault::beyond(format!("{}.{key}", self.field), length, "bytes", TOKEN_BYTES_MAX));
        }
        Ok(length)
    }

    /// How many times longer the part of a normalizer can make a text, in bytes.
    // By keys and not by kinds: the library takes a part of an unknown kind for the first one that has its keys.
    fn growth(&self) -> Result<f64, Fault> {
        self.patterned()?;
        if let Some(map) = self.value.get("precompiled_charsmap") {
            return charsmap::growth(map, &format!("{}.precompiled_charsmap", self.field));
        }
        if self.value.get("prepend").is_some() {
            return Ok(bytes(1 + self.length("prepend")?));
        }
        if self.value.get("pattern").is_some() {
            let content = bytes(self.length("content")?);
            let pattern = self.value["pattern"]["String"].as_str().unwrap_or_default();
            // A pattern may match the empty text between any two characters.
            return Ok(if pattern.is_empty() { 1.0 + content } else { 1_f64.max(content / bytes(pattern.len())) });
        }
        // The longest compatibility decomposition, of U+FDFA, is 11 times as long; canonical ones are 3 times as long.
        // Each Chinese character of BERT gets two spaces.
        Ok(match self.kind() {
            "Strip" | "StripAccents" | "Nmt" => 1.0,
            "Lowercase" => 1.5,
            "ByteLevel" => 2.0,
            "NFC" | "NFD" => 3.0,
            _ => 11.0,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
const fn bytes(count: usize) -> f64 {
    count as f64
}

/// Checks a normalizer, and returns how many times longer it can make a text.
fn normalizer(value: &Value) -> Result<f64, Fault> {
    let mut growth = 1.0;
    for part in parts(value, "normalizer", "normalizers")? {
        growth *= part.growth()?;
    }
    if growth > GROWTH_MAX {
        let what = format!("can make a text {growth:.0} times longer, more than {GROWTH_MAX} times");
        return Err(Fault::new("normalizer", what));
    }
    Ok(growth)
}

/// By part of a normalizer, as the file lists them: how many times longer it can make a text.
pub(crate) fn growths(normalizer: &Value) -> Option<Vec<f64>> {
    let parts = parts(normalizer, "normalizer", "normalizers").ok()?;
    parts.iter().map(|part| part.growth().ok()).collect()
}

fn pre_tokenizer(value: &Value) -> Result<(), Fault> {
    let parts = parts(value, "pre_tokenizer", "pretokenizers")?;
    for part in &parts {
        part.patterned()?;
        if part.value.get("length").is_some_and(|length| length == 0) {
            return Err(Fault::new(format!("{}.length", part.field), "is 0: no text can be cut into such parts"));
        }
    }
    let grows = |part: &&Part<'_>| ["add_prefix_space", "replacement"].iter().any(|key| part.value.get(key).is_some());
    let growing = parts.iter().filter(grows).count();
    if growing > GROWING_MAX {
        return Err(Fault::beyond("pre_tokenizer", growing, "parts that make a text longer", GROWING_MAX));
    }
    Ok(())
}

/// Checks the added tokens. `growth`: how many times longer the normalizer can make one.
fn added(tokens: &Value, growth: f64) -> Result<(), Fault> {
    let tokens = tokens.as_array().map_or(&[][..], Vec::as_slice);
    if tokens.len() > ADDED_MAX {
        return Err(Fault::beyond("added_tokens", tokens.len(), "tokens", ADDED_MAX));
    }
    let mut sum = 0.0;
    for (index, token) in tokens.iter().enumerate() {
        let length = token["content"].as_str().map_or(0, str::len);
        if length > TOKEN_BYTES_MAX {
            let field = format!("added_tokens[{index}].content");
            return Err(Fault::beyond(field, length, "bytes", TOKEN_BYTES_MAX));
        }
        sum += bytes(length) * growth;
    }
    if sum > ADDED_BYTES_MAX {
        let what = format!("have {sum:.0} bytes once they are normalized, more than {ADDED_BYTES_MAX:.0}");
        return Err(Fault::new("added_tokens", what));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
