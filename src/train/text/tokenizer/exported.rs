//! The `tokenizer_config.json` beside an exported `tokenizer.json`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{
    error::TokenizerError,
    files::{TokenizerFiles, parsed},
    special::{BERT, ROBERTA, ROLES, Tokens, vocabulary},
};
use crate::checkpoint::Checkpoint;

/// Keys of `tokenizer_config.json` that an exported tokenizer must not have: `tokenizer.json` itself settles most of them,
/// padding on the left would move the positions, and the others belong to another class or another machine.
const STALE_KEYS: [&str; 19] = [
    "do_lower_case",
    "strip_accents",
    "tokenize_chinese_chars",
    "do_basic_tokenize",
    "never_split",
    "add_prefix_space",
    "add_bos_token",
    "add_eos_token",
    "word_tokenizer_type",
    "subword_tokenizer_type",
    "mecab_kwargs",
    "sudachi_kwargs",
    "jumanpp_kwargs",
    "padding_side",
    "truncation_side",
    "auto_map",
    "name_or_path",
    "tokenizer_file",
    "special_tokens_map_file",
];

/// Returns a `tokenizer_config.json` with which `transformers` takes `tokenizer`, the contents of a
/// `tokenizer.json`, as it is.
///
/// `token_types`: whether the model has token-type embeddings. `window`: its longest input in tokens.
///
/// # Errors
/// When a file of the checkpoint is damaged.
pub fn tokenizer_config(
    checkpoint: &Checkpoint,
    tokenizer: &str,
    token_types: bool,
    window: usize,
) -> Result<Value, TokenizerError> {
    let files = checkpoint.folder().map(|folder| TokenizerFiles::read(&folder)).transpose()?;
    let tokenizer = parsed(tokenizer, &PathBuf::from(checkpoint.to_string()))?;
    let tokens = match &files {
        Some(files) => Tokens::read(files, Some(&tokenizer))?,
        None => Tokens::default(),
    };
    let mut config = files.and_then(|files| files.config.as_object().cloned()).unwrap_or_default();
    for key in STALE_KEYS.iter().chain(&ROLES) {
        config.remove(*key);
    }
    let added = tokenizer["added_tokens"].as_array().map_or(&[][..], Vec::as_slice);
    config.extend(roles(&tokens, &tokenizer, added));
    let inputs: &[&str] = if token_types {
        &["input_ids", "token_type_ids", "attention_mask"]
    } else {
        &["input_ids", "attention_mask"]
    };
    config.insert("added_tokens_decoder".to_owned(), decoder(added));
    config.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
    config.insert("model_input_names".to_owned(), json!(inputs));
    config.insert("model_max_length".to_owned(), json!(window));
    Ok(Value::Object(config))
}

/// The special tokens by role that `tokenizer`, a `tokenizer.json` with the added tokens `added`, looks for in a text.
fn roles(tokens: &Tokens, tokenizer: &Value, added: &[Value]) -> Map<String, Value> {
    let vocabulary = vocabulary(&tokenizer["model"]["vocab"]);
    let is_added = |token: &str| added.iter().any(|added| added["content"] == *token);
    // `transformers` adds a token with a role to those that it looks for. One that `tokenizer.json` does not look for would
    // change the tokens. Without a padding token there are no batches.
    let fits =
        |role: &str, token: &str| is_added(token) || (role == "pad_token" && vocabulary.contains_key(token));
    let mut roles = Map::new();
    for role in ROLES {
        let usual = [BERT, ROBERTA].into_iter().flatten();
        let usual = usual.filter(|(known, _)| *known == role && role != "bos_token" && role != "eos_token");
        let mut known = tokens.named(role).into_iter().chain(usual.map(|(_, token)| *token));
        if let Some(token) = known.find(|token| fits(role, token)) {
            roles.insert(role.to_owned(), json!(token));
        }
    }
    roles
}

/// The `added_tokens_decoder` with the tokens of `added`, the list in `tokenizer.json`. Where it is there, `transformers`
/// reads added tokens from no other file beside `tokenizer.json`.
fn decoder(added: &[Value]) -> Value {
    let entry = |token: &Value| {
        let mut flags: Map<String, Value> = token.as_object()?.clone();
        let id = flags.remove("id")?;
        Some((id.to_string(), Value::Object(flags)))
    };
    Value::Object(added.iter().filter_map(entry).collect())
}
