//! Special and added tokens, from all the files where `transformers` keeps them.
//!
//! The order in which files count is that of `PreTrainedTokenizerBase._from_pretrained` in `transformers` 5:
//! `added_tokens_decoder` of `tokenizer_config.json` if it is there; else `special_tokens_map.json`,
//! `added_tokens.json` and the added tokens of `tokenizer.json` together.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use serde_json::{Value, json};

use super::{
    error::TokenizerError,
    files::{TokenizerFiles, kind},
};

/// The roles of special tokens, in the order in which `transformers` adds them.
pub(super) const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Special tokens by role, where no file names others.
pub(super) type Usual = &'static [(&'static str, &'static str)];
/// BERT's.
pub(super) const BERT: Usual = &[
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];
/// `RoBERTa`'s.
pub(super) const ROBERTA: Usual = &[
    ("bos_token", "<s>"),
    ("eos_token", "</s>"),
    ("unk_token", "<unk>"),
    ("sep_token", "</s>"),
    ("pad_token", "<pad>"),
    ("cls_token", "<s>"),
    ("mask_token", "<mask>"),
];

/// A token that is found in a text before the text is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of `transformers`, by its names")]
struct AddedToken {
    content: String,
    /// Its id by the file that names it.
    id: Option<u64>,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

/// The special and added tokens that a checkpoint's files name.
#[derive(Default)]
pub(super) struct Tokens {
    /// By role.
    roles: BTreeMap<&'static str, AddedToken>,
    /// Added tokens with an id, by id.
    added: BTreeMap<u64, AddedToken>,
    /// Further special tokens without an id, in their order.
    extra: Vec<AddedToken>,
}

impl AddedToken {
    fn new(content: &str, special: bool) -> Self {
        let content = content.to_owned();
        Self {
            content,
            id: None,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: !special,
            special,
        }
    }

    /// Reads a token that is a text, or an object with its flags; `None` for anything else. `special` is the default of
    /// this flag.
    fn read(value: &Value, special: bool) -> Option<Self> {
        if let Some(content) = value.as_str() {
            return Some(Self::new(content, special));
        }
        let flag = |key: &str, default| value.get(key).and_then(Value::as_bool).unwrap_or(default);
        let content = value.get("content")?.as_str()?.to_owned();
        let special = flag("special", special);
        Some(Self {
            content,
            id: value.get("id").and_then(Value::as_u64),
            single_word: flag("single_word", false),
            lstrip: flag("lstrip", false),
            rstrip: flag("rstrip", false),
            normalized: flag("normalized", !special),
            special,
        })
    }

    fn json(&self, id: u64) -> Value {
        json!({ "id": id, "content": self.content, "single_word": self.single_word, "lstrip": self.lstrip,
                "rstrip": self.rstrip, "normalized": self.normalized, "special": self.special })
    }
}

impl Tokens {
    /// Reads the tokens of `files`. `stored`: the `tokenizer.json`, if there is one.
    pub(super) fn read(files: &TokenizerFiles, stored: Option<&Value>) -> Result<Self, TokenizerError> {
        let decoder = files.config.get("added_tokens_decoder").filter(|value| !value.is_null());
        let map = if decoder.is_some() { &Value::Null } else { &files.map };
        let mut tokens = Self::default();
        for role in ROLES {
            let found =
                [map, &files.config].into_iter().find_map(|file| file.get(role).filter(|v| !v.is_null()));
            let Some(found) = found else { continue };
            let token = AddedToken::read(found, true)
                .ok_or_else(|| kind(&files.config_path(), role, found, "a token"))?;
            tokens.roles.insert(role, AddedToken { special: true, ..token });
        }
        tokens.extra = extra(files, map)?;
        match decoder {
            Some(decoder) => tokens.add_decoder(files, decoder)?,
            None => tokens.add_legacy(files, stored)?,
        }
        for token in tokens.roles.values_mut() {
            if let Some(added) = tokens.added.values().find(|added| added.content == token.content) {
                *token = AddedToken { special: true, ..added.clone() };
            }
        }
        Ok(tokens)
    }

    /// Adds the entries of `added_tokens_decoder`.
    fn add_decoder(&mut self, files: &TokenizerFiles, decoder: &Value) -> Result<(), TokenizerError> {
        let wrong =
            |found: &Value| kind(&files.config_path(), "added_tokens_decoder", found, "tokens by their id");
        for (id, value) in decoder.as_object().ok_or_else(|| wrong(decoder))? {
            let token = AddedToken::read(value, false).filter(|_| value.is_object());
            let (Ok(id), Some(token)) = (id.parse(), token) else { return Err(wrong(&json!({ id: value }))) };
            self.added.insert(id, AddedToken { id: Some(id), ..token });
        }
        Ok(())
    }

    /// Adds the entries of `added_tokens.json`, and those of `tokenizer.json`, which take precedence.
    fn add_legacy(&mut self, files: &TokenizerFiles, stored: Option<&Value>) -> Result<(), TokenizerError> {
        let path = files.folder.join("added_tokens.json");
        let named = self.roles.values().chain(&self.extra).map(|token| token.content.as_str());
        let named: HashSet<&str> = named.collect();
        for (content, id) in files.added.as_object().into_iter().flatten() {
            let number = id.as_u64().ok_or_else(|| kind(&path, content, id, "the id of a token"))?;
            let special = named.contains(content.as_str());
            self.added.insert(number, AddedToken { id: Some(number), ..AddedToken::new(content, special) });
        }
        let stored = stored.and_then(|stored| stored["added_tokens"].as_array());
        for value in stored.into_iter().flatten() {
            if let Some(token) = AddedToken::read(value, false)
                && let Some(id) = token.id
            {
                self.added.insert(id, token);
            }
        }
        Ok(())
    }

    /// The token with this role by the files.
    pub(super) fn named(&self, role: &str) -> Option<&str> {
        self.roles.get(role).map(|token| token.content.as_str())
    }

    /// The id of the added token with this content.
    pub(super) fn added_id(&self, content: &str) -> Option<u64> {
        self.added.iter().find(|(_, token)| token.content == content).map(|(id, _)| *id)
    }

    /// Adds every token to `tokenizer`, a `tokenizer.json`. `usual`: the special tokens of its class. `path` is the file
    /// that messages name.
    ///
    /// # Errors
    /// When a token would get another id than its file says.
    pub(super) fn add_to(
        &self,
        tokenizer: &mut Value,
        usual: Usual,
        path: &Path,
    ) -> Result<(), TokenizerError> {
        let ids = vocabulary(&tokenizer["model"]["vocab"]);
        let mut list = AddedList::new(path, &ids);
        let stored = tokenizer["added_tokens"].as_array().into_iter().flatten();
        for token in stored.filter_map(|value| AddedToken::read(value, false)) {
            list.put(token)?;
        }
        for token in self.added.values() {
            let special = token.special || self.roles.values().any(|named| named.content == token.content);
            list.put(AddedToken { special, ..token.clone() })?;
        }
        for role in ROLES {
            let token = self.roles.get(role).cloned();
            let usual = || usual.iter().find(|(known, _)| *known == role);
            // A role's token that the vocabulary lacks has no embedding. It stands in no text, so it is left out.
            if let Some(token) = token.or_else(|| Some(AddedToken::new(usual()?.1, true)))
                && ids.contains_key(token.content.as_str())
                && !list.has(&token.content)
            {
                list.put(token)?;
            }
        }
        for token in &self.extra {
            if !list.has(&token.content) {
                list.put(token.clone())?;
            }
        }
        list.entries.sort_by_key(|(id, _)| *id);
        let entries: Vec<Value> = list.entries.iter().map(|(id, token)| token.json(*id)).collect();
        tokenizer["added_tokens"] = Value::Array(entries);
        Ok(())
    }
}

/// The id of each token of `vocab`, the vocabulary of a model in `tokenizer.json`: an object of ids, or a list of tokens
/// with scores.
pub(super) fn vocabulary(vocab: &Value) -> HashMap<String, u64> {
    let scored = vocab.as_array().into_iter().flatten().zip(0..);
    let scored = scored.filter_map(|(pair, id)| Some((pair.get(0)?.as_str()?.to_owned(), id)));
    let named = vocab.as_object().into_iter().flatten();
    named.filter_map(|(token, id)| Some((token.clone(), id.as_u64()?))).chain(scored).collect()
}

/// The growing list of added tokens, with the ids that the tokenizers library gives them.
struct AddedList<'a> {
    path: &'a Path,
    vocabulary: &'a HashMap<String, u64>,
    /// In the order of `tokenizer.json`.
    entries: Vec<(u64, AddedToken)>,
    /// By content: the index among the entries.
    places: HashMap<String, usize>,
    /// The largest id of the vocabulary plus one.
    end: u64,
    /// Tokens that the vocabulary lacks.
    new: u64,
}

impl<'a> AddedList<'a> {
    fn new(path: &'a Path, vocabulary: &'a HashMap<String, u64>) -> Self {
        let end = vocabulary.values().max().map_or(0, |id| id.saturating_add(1));
        Self { path, vocabulary, entries: Vec::new(), places: HashMap::new(), end, new: 0 }
    }

    fn has(&self, content: &str) -> bool {
        self.places.contains_key(content)
    }

    /// Adds `token`, or gives the token of the same content its flags.
    fn put(&mut self, token: AddedToken) -> Result<(), TokenizerError> {
        let place = self.places.get(&token.content).copied();
        let known = place.and_then(|place| self.entries.get_mut(place));
        let held = known.as_ref().map(|(id, _)| *id);
        let held = held.or_else(|| self.vocabulary.get(&token.content).copied());
        let given = held.unwrap_or(self.vocabulary.len() as u64 + self.new);
        // The library counts tokens, so that a vocabulary with gaps or repeated lines would give an id twice.
        let usual = held.unwrap_or_else(|| self.end.saturating_add(self.new));
        let declared = token.id.unwrap_or(usual);
        if declared != given {
            let (path, token) = (self.path.to_owned(), token.content);
            return Err(TokenizerError::AddedId { path, token, declared, given });
        }
        if let Some((_, known)) = known {
            *known = token;
        } else {
            self.new += u64::from(!self.vocabulary.contains_key(&token.content));
            self.places.insert(token.content.clone(), self.entries.len());
            self.entries.push((given, token));
        }
        Ok(())
    }
}

/// The special tokens without a role, in the order in which `transformers` adds them.
fn extra(files: &TokenizerFiles, map: &Value) -> Result<Vec<AddedToken>, TokenizerError> {
    let mut values: Vec<(&str, &Value)> = Vec::new();
    for file in [&files.config, map] {
        let entries = file.as_object().into_iter().flatten();
        let named = entries.filter(|(key, value)| {
            key.ends_with("_token")
                && !ROLES.contains(&key.as_str())
                && (value.is_string() || value.is_object())
        });
        values.extend(named.map(|(key, value)| (key.as_str(), value)));
    }
    for (file, key) in [&files.config, map].into_iter().flat_map(|file| EXTRA_KEYS.map(|key| (file, key))) {
        match file.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => values.extend(list.iter().map(|value| (key, value))),
            Some(Value::Object(named)) => values.extend(named.values().map(|value| (key, value))),
            Some(other) => return Err(kind(&files.config_path(), key, other, "a list of tokens")),
        }
    }
    let read = |(key, value)| {
        AddedToken::read(value, true)
            .ok_or_else(|| kind(&files.config_path(), key, value, "a list of tokens"))
    };
    values.into_iter().map(read).collect()
}

/// The keys of lists of special tokens: the name of `transformers` 5, and the older one.
const EXTRA_KEYS: [&str; 2] = ["extra_special_tokens", "additional_special_tokens"];
