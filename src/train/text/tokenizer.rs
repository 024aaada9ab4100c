//! A checkpoint's tokenizer as one `tokenizer.json`, whatever files the checkpoint stores it in.
//!
//! What the files say beyond the vocabulary is followed as `transformers` 5 follows it, or refused.

mod build;
mod check;
mod class;
mod error;
mod exported;
mod files;
mod lowercase;
mod special;

use std::path::PathBuf;

use serde_json::Value;

use self::{
    build::{BertFlags, Special},
    class::Kind,
    error::TOKENS_MAX,
    files::{TokenizerFiles, parse, parsed, read},
    special::{Tokens, Usual},
};
pub(crate) use self::{check::growths, files::Truncation};
pub use self::{error::TokenizerError, exported::tokenizer_config};
use crate::{
    checkpoint::{Checkpoint, MINI},
    settings::Lowercase,
    system::files::named,
    train::encoder::mini,
};

/// Returns the contents of a checkpoint's `tokenizer.json`: of the file, or made from the files of its vocabulary.
///
/// # Errors
/// When the checkpoint has none of these files, one is damaged, or the tokenizer is of a kind that is not built in.
pub fn tokenizer_json(checkpoint: &Checkpoint, lowercase: Lowercase) -> Result<String, TokenizerError> {
    let (path, json) = match &checkpoint.folder() {
        Some(folder) => stored(&TokenizerFiles::read(folder)?)?,
        None => (PathBuf::from(MINI), mini_json()?),
    };
    match lowercase {
        Lowercase::Tokenizer => Ok(json),
        Lowercase::Yes | Lowercase::No => {
            let mut value = parsed(&json, &path)?;
            lowercase::set_lowercase(&mut value, lowercase == Lowercase::Yes);
            Ok(value.to_string())
        }
    }
}

/// The tokenizer of `builtin:mini`.
fn mini_json() -> Result<String, TokenizerError> {
    let tokens = mini::vocabulary();
    let recipe = Recipe { path: PathBuf::from(MINI), tokens: Tokens::default(), flags: BertFlags::default() };
    recipe.wordpiece(&build::listed_vocabulary(tokens.iter().map(String::as_str)))
}

/// The tokenizer as the checkpoint's files describe it, and the file that messages about it name.
fn stored(files: &TokenizerFiles) -> Result<(PathBuf, String), TokenizerError> {
    let [whole, listed, vocabulary, merges] =
        ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"].map(|name| files.folder.join(name));
    let kind = class::kind(files, named::is_file(&whole))?;
    if named::is_file(&whole) {
        let text = read(&whole)?;
        let value = parsed(&text, &whole)?;
        let recipe = Recipe::new(files, whole.clone(), Some(&value))?;
        return Ok((whole, recipe.of_file(files, kind, text, value)?));
    }
    if named::is_file(&listed) {
        let text = read(&listed)?;
        let text = text.trim_start_matches('\u{feff}');
        if text.lines().nth(TOKENS_MAX).is_some() {
            return Err(TokenizerError::TooManyTokens { path: listed });
        }
        let recipe = Recipe::new(files, listed.clone(), None)?;
        return Ok((listed, recipe.wordpiece(&build::listed_vocabulary(text.lines()))?));
    }
    if named::is_file(&vocabulary) && named::is_file(&merges) {
        let lines = read(&merges)?;
        let lines = lines.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
        let recipe = Recipe::new(files, vocabulary.clone(), None)?;
        let json = recipe.byte_level(files, &parse(&vocabulary)?, &lines.collect::<Vec<_>>().into())?;
        return Ok((vocabulary, json));
    }
    Err(TokenizerError::Absent { folder: files.folder.clone() })
}

/// What a tokenizer is built with, beside its vocabulary.
struct Recipe {
    /// The file that messages name.
    path: PathBuf,
    tokens: Tokens,
    flags: BertFlags,
}

impl Recipe {
    fn new(files: &TokenizerFiles, path: PathBuf, stored: Option<&Value>) -> Result<Self, TokenizerError> {
        let usual = BertFlags::default();
        let flags = BertFlags {
            lowercase: files.flag("do_lower_case")?.unwrap_or(usual.lowercase),
            strip_accents: files.flag("strip_accents")?,
            chinese_characters: files.flag("tokenize_chinese_chars")?.unwrap_or(usual.chinese_characters),
        };
        Ok(Self { path, tokens: Tokens::read(files, stored)?, flags })
    }

    /// The tokenizer of `value`, a `tokenizer.json` with the contents `text`: built anew if it is of a kind that
    /// `transformers` builds anew, else as it is.
    fn of_file(
        &self,
        files: &TokenizerFiles,
        kind: Kind,
        text: String,
        mut value: Value,
    ) -> Result<String, TokenizerError> {
        let model = &value["model"];
        let is_of = |kind: &str, key: &str| {
            model["type"] == *kind || (model["type"].is_null() && model.get(key).is_some())
        };
        if kind == Kind::WordPiece && is_of("WordPiece", "max_input_chars_per_word") {
            return self.wordpiece(&value["model"]["vocab"]);
        }
        if kind == Kind::ByteLevel && is_of("BPE", "merges") {
            return self.byte_level(files, &value["model"]["vocab"], &value["model"]["merges"]);
        }
        if kind == Kind::Unigram && is_of("Unigram", "unk_id") {
            let characters = build::characters(&value["normalizer"]);
            return self.unigram(files, &value["model"]["vocab"], &characters);
        }
        let before = value["added_tokens"].clone();
        self.tokens.add_to(&mut value, &[], &self.path)?;
        check::check(&value, &self.path)?;
        // Writing the file anew would give the same tokenizer other bytes, so that cached texts would not be found.
        Ok(if value["added_tokens"] == before { text } else { value.to_string() })
    }

    fn wordpiece(&self, vocab: &Value) -> Result<String, TokenizerError> {
        let unknown = self.special("unk_token", "[UNK]", vocab)?.0;
        let ends = [self.special("cls_token", "[CLS]", vocab)?, self.special("sep_token", "[SEP]", vocab)?];
        self.finished(build::wordpiece(vocab, self.flags, &unknown, ends), special::BERT)
    }

    fn byte_level(
        &self,
        files: &TokenizerFiles,
        vocab: &Value,
        merges: &Value,
    ) -> Result<String, TokenizerError> {
        let ends = [self.special("cls_token", "<s>", vocab)?, self.special("sep_token", "</s>", vocab)?];
        let prefix_space = files.flag("add_prefix_space")?.unwrap_or(false);
        self.finished(build::byte_level(vocab, merges, prefix_space, ends), special::ROBERTA)
    }

    fn unigram(
        &self,
        files: &TokenizerFiles,
        vocab: &Value,
        characters: &Value,
    ) -> Result<String, TokenizerError> {
        let unknown = self.special("unk_token", "<unk>", vocab)?.1;
        let ends = [self.special("bos_token", "<s>", vocab)?, self.special("eos_token", "</s>", vocab)?];
        let prefix_space = files.flag("add_prefix_space")?.unwrap_or(true);
        self.finished(build::unigram(vocab, unknown, characters, prefix_space, ends), special::ROBERTA)
    }

    /// The special token with this role, `usual` unless the files name another one.
    fn special(&self, role: &str, usual: &str, vocab: &Value) -> Result<Special, TokenizerError> {
        let token = self.tokens.named(role).unwrap_or(usual).to_owned();
        let scored = || vocab.as_array()?.iter().position(|pair| pair[0] == *token).map(|index| index as u64);
        let id = vocab.get(&token).and_then(Value::as_u64).or_else(scored);
        match id.or_else(|| self.tokens.added_id(&token)) {
            Some(id) => Ok((token, id)),
            None => Err(TokenizerError::NoToken { path: self.path.clone(), token }),
        }
    }

    fn finished(&self, mut tokenizer: Value, usual: Usual) -> Result<String, TokenizerError> {
        self.tokens.add_to(&mut tokenizer, usual, &self.path)?;
        check::check(&tokenizer, &self.path)?;
        Ok(tokenizer.to_string())
    }
}

#[cfg(test)]
mod tests;
