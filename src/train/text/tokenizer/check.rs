//! Whether a `tokenizer.json` is one that the tokenizers library may be given.
//!
//! The library trusts such a file: sizes in it are allocated, ids are indices, patterns run as long as they like, and
//! parts may make a text longer without bound. A file may come from anyone, so that each part is looked at first, and
//! one that no tokenizer needs is refused by its name. What is not thought of here ends at the wall
//! (`crate::train::wall`).

mod charsmap;
mod model;
mod normalizer;
mod part;
mod pattern;
mod processor;

use std::path::Path;

use serde_json::Value;

pub(crate) use self::normalizer::growths;
use self::part::{Fault, Part, TOKEN_BYTES_MAX, bytes, parts};
use super::error::TokenizerError;

/// Pre-tokenizers that make a text longer; known tokenizers have up to two.
const GROWING_MAX: usize = 4;
/// Bytes of all added tokens once they are normalized, at worst.
const ADDED_BYTES_MAX: f64 = 1e9;
/// Added tokens; known tokenizers have up to some 7,000.
const ADDED_MAX: usize = 100_000;

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
    let growth = normalizer::check(&tokenizer["normalizer"])?;
    pre_tokenizer(&tokenizer["pre_tokenizer"])?;
    processor::check(&tokenizer["post_processor"])?;
    // It is never run, but it is built.
    for part in parts(&tokenizer["decoder"], "decoder", "decoders")? {
        pattern::of(&part)?;
    }
    model::check(&tokenizer["model"])?;
    added(&tokenizer["added_tokens"], growth)
}

fn pre_tokenizer(value: &Value) -> Result<(), Fault> {
    let parts = parts(value, "pre_tokenizer", "pretokenizers")?;
    for part in &parts {
        pattern::of(part)?;
        if part.value.get("length").is_some_and(|length| length == 0) {
            return Err(Fault::new(
                format!("{}.length", part.field),
                "is 0: no text can be cut into such parts",
            ));
        }
    }
    let grows = |part: &&Part<'_>| {
        ["add_prefix_space", "replacement"].iter().any(|key| part.value.get(key).is_some())
    };
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
