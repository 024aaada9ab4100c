//! The model of a `tokenizer.json`: its vocabulary, merges and bounds.

use serde_json::{Map, Value};

use super::part::{Fault, TOKEN_BYTES_MAX};
use crate::display::plain;

/// Tokens of a vocabulary; the largest known one has 901,629.
const TOKENS_MAX: usize = 2_000_000;
/// Characters of a word that `WordPiece` looks at; it looks up every part of a word. Known models have 100 or 200.
const WORD_MAX: u64 = 1_000;
/// Bytes of a prefix or a suffix that is put at parts of words; known ones have up to four.
const AFFIX_BYTES_MAX: usize = 100;
/// Characters of a token that a message shows.
const SHOWN_MAX: usize = 40;

pub(super) fn check(model: &Value) -> Result<(), Fault> {
    if let Some(word) =
        model.get("max_input_chars_per_word").and_then(Value::as_u64).filter(|&word| word > WORD_MAX)
    {
        let what = format!("is {word}, more than {WORD_MAX}");
        return Err(Fault::new("model.max_input_chars_per_word", what));
    }
    if let Some(dropout) = model.get("dropout").and_then(Value::as_f64).filter(|&dropout| dropout != 0.0) {
        let what = format!("is {dropout}: a text would have other tokens each time; set it to null");
        return Err(Fault::new("model.dropout", what));
    }
    for affix in ["continuing_subword_prefix", "end_of_word_suffix"] {
        let length = model[affix].as_str().map_or(0, str::len);
        if length > AFFIX_BYTES_MAX {
            return Err(Fault::beyond(format!("model.{affix}"), length, "bytes", AFFIX_BYTES_MAX));
        }
    }
    match &model["vocab"] {
        Value::Object(vocab) => {
            named(vocab)?;
            let prefix = model["continuing_subword_prefix"].as_str().unwrap_or_default();
            merges(&model["merges"], vocab, prefix)
        }
        Value::Array(vocab) => scored(vocab, &model["unk_id"]),
        // The library says what is missing.
        _ => Ok(()),
    }
}

/// Checks a vocabulary of tokens with ids.
fn named(vocab: &Map<String, Value>) -> Result<(), Fault> {
    counted(vocab.len())?;
    for (token, id) in vocab {
        let field = || format!("model.vocab[{:?}]", shown(token));
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Fault::beyond(field(), token.len(), "bytes", TOKEN_BYTES_MAX));
        }
        if id.as_u64().is_none_or(|id| id >= u64::from(u32::MAX)) {
            return Err(Fault::new(field(), format!("is {}, not an id", shown(&id.to_string()))));
        }
    }
    Ok(())
}

/// Checks a vocabulary of tokens with scores. `unknown`: the index of the unknown token.
fn scored(vocab: &[Value], unknown: &Value) -> Result<(), Fault> {
    counted(vocab.len())?;
    for (index, pair) in vocab.iter().enumerate() {
        let field = || format!("model.vocab[{index}]");
        let (Some(token), Some(_)) = (pair[0].as_str(), pair[1].as_f64()) else {
            let what = format!("is {}, not a token with its score", shown(&pair.to_string()));
            return Err(Fault::new(field(), what));
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Fault::beyond(field(), token.len(), "bytes", TOKEN_BYTES_MAX));
        }
    }
    match unknown.as_u64() {
        Some(id) if id < vocab.len() as u64 => Ok(()),
        _ => {
            let what =
                format!("is {}, which is none of the {} tokens", shown(&unknown.to_string()), vocab.len());
            Err(Fault::new("model.unk_id", what))
        }
    }
}

fn counted(tokens: usize) -> Result<(), Fault> {
    if tokens > TOKENS_MAX { Err(Fault::beyond("model.vocab", tokens, "tokens", TOKENS_MAX)) } else { Ok(()) }
}

/// Checks that both parts of each merge and the whole are tokens.
// The library copies the parts into a buffer for the longest token, and skips the prefix of the second part unseen.
fn merges(merges: &Value, vocab: &Map<String, Value>, prefix: &str) -> Result<(), Fault> {
    let merges = merges.as_array().map_or(&[][..], Vec::as_slice);
    if merges.len() > TOKENS_MAX {
        return Err(Fault::beyond("model.merges", merges.len(), "merges", TOKENS_MAX));
    }
    let mut whole = String::new();
    for (index, merge) in merges.iter().enumerate() {
        let pair = match merge {
            Value::String(line) if line.starts_with("#version") => continue,
            Value::String(line) => line.split_once(' '),
            pair => pair[0].as_str().zip(pair[1].as_str()),
        };
        let fault = |what: String| Fault::new(format!("model.merges[{index}]"), what);
        let (first, second) =
            pair.ok_or_else(|| fault(format!("is {}, not two tokens", shown(&merge.to_string()))))?;
        let rest = second.get(prefix.len()..).ok_or_else(|| {
            fault(format!("has the part {:?} without the prefix {prefix:?}", shown(second)))
        })?;
        whole.clear();
        whole.push_str(first);
        whole.push_str(rest);
        if let Some(missing) =
            [first, second, whole.as_str()].into_iter().find(|token| !vocab.contains_key(*token))
        {
            return Err(fault(format!("needs {:?}, which is no token of model.vocab", shown(missing))));
        }
    }
    Ok(())
}

/// The beginning of a text of the file.
fn shown(text: &str) -> String {
    plain(&text.chars().take(SHOWN_MAX).collect::<String>())
}
