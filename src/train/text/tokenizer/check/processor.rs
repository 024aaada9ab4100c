//! The post-processor of a `tokenizer.json`, which puts special tokens around a text.
//!
//! Whether the ids of these tokens have embeddings is checked where the encoder's shape is known
//! (`train::inspect`).

use serde_json::Value;

use super::part::{Fault, Part, parts};

/// Special tokens around a text; known tokenizers have up to five.
const SPECIAL_MAX: usize = 64;

pub(super) fn check(processor: &Value) -> Result<(), Fault> {
    let parts = parts(processor, "post_processor", "processors")?;
    for part in &parts {
        if part.value.get("single").is_some() {
            template(part)?;
        }
    }
    // A template leaves one encoding for each of its pieces, and a further one takes no more than two.
    let adds = |part: &&Part<'_>| ["single", "cls", "sep"].iter().any(|key| part.value.get(key).is_some());
    match parts.iter().filter(adds).nth(1) {
        Some(second) => Err(Fault::new(&second.field, "puts special tokens around those of another part")),
        None => Ok(()),
    }
}

/// Checks that a template has the text once, and that each of its special tokens is defined.
fn template(part: &Part<'_>) -> Result<(), Fault> {
    let field = format!("{}.single", part.field);
    let pieces = part.value["single"].as_array().map_or(&[][..], Vec::as_slice);
    let mut texts = 0;
    let mut special = 0;
    for piece in pieces {
        if let Some(id) = piece["SpecialToken"]["id"].as_str() {
            special += defined(part, id)?;
        } else if piece["Sequence"]["id"] == "A" {
            texts += 1;
        } else {
            let what = format!("has the piece {}, which is not there for a single text", short(piece));
            return Err(Fault::new(field, what));
        }
    }
    if texts != 1 {
        return Err(Fault::new(field, format!("has the text {texts} times, not once")));
    }
    if special > SPECIAL_MAX {
        return Err(Fault::beyond(field, special, "special tokens", SPECIAL_MAX));
    }
    Ok(())
}

/// The number of tokens that the special token `id` of a template stands for.
fn defined(part: &Part<'_>, id: &str) -> Result<usize, Fault> {
    let shown: String = id.chars().take(40).collect();
    let field = || format!("{}.special_tokens[{shown:?}]", part.field);
    let token = part.value["special_tokens"].get(id).ok_or_else(|| Fault::new(field(), "is missing"))?;
    let count = |key: &str| token[key].as_array().map(Vec::len);
    match (count("ids"), count("tokens")) {
        (Some(ids), Some(tokens)) if ids == tokens => Ok(ids),
        _ => Err(Fault::new(field(), "needs as many ids as tokens")),
    }
}

fn short(piece: &Value) -> String {
    piece.to_string().chars().take(60).collect()
}
