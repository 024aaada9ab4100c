//! The files of an encoder in a repository: small files that a spec is checked with, and weights.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::{cache::ModelCache, error::HubError, id::HubId};
use crate::system::files::named;

use crate::system::files::named;

/// The files of every kind of tokenizer, and the configuration. The configuration is downloaded last, so that
/// a cache with a configuration has the other files too.
pub(super) const SMALL: [&str; 8] = [
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
];

/// The alternatives for a tokenizer: all files of one of these.
const TOKENIZERS: [&[&str]; 3] = [&["tokenizer.json"], &["vocab.txt"], &["vocab.json", "merges.txt"]];

/// Files with a model's parameters, and indexes of several such files, in order of preference.
pub const WEIGHT_FILES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// The index of weights that are divided into several files (shards).
#[derive(Deserialize)]
pub(crate) struct ShardIndex {
    /// The file of each tensor.
    pub(crate) weight_map: BTreeMap<String, String>,
}

impl ShardIndex {
    /// The names of the shards, sorted, each once.
    pub(crate) fn files(self) -> Vec<String> {
        let mut files: Vec<String> = self.weight_map.into_values().collect();
        files.sort_unstable();
        files.dedup();
        files
    }
}

/// The first part of an encoder that a commit lacks, as text for the error; `has` is whether the commit has a
/// file.
pub(super) fn lack(has: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    if !has("config.json") {
        Some("no config.json")
    } else if !TOKENIZERS.iter().any(|files| files.iter().all(|file| has(file))) {
        Some("no tokenizer: neither tokenizer.json nor vocab.txt nor vocab.json with merges.txt")
    } else {
        None
    }
}

/// Whether each small file of `commit` is in the cache or known not to exist.
pub(super) fn are_settled(cache: &ModelCache, commit: &str) -> bool {
    let is_settled = |file: &str| cache.has(commit, file) || cache.is_absent(commit, file);
    SMALL.iter().all(|file| is_settled(file)) && lack(&|file| cache.has(commit, file)).is_none()
}

/// Whether the weights of `commit` are in the cache, in the preferred form that the commit has. Offline, any
/// complete form is enough, since the commit's own list of files is unknown.
pub(super) fn has_weights(cache: &ModelCache, commit: &str, is_offline: bool) -> Result<bool, HubError> {
    for form in WEIGHT_FILES {
        if cache.has(commit, form) {
            let shards = shards(&cache.snapshot(commit), form)?;
            if shards.iter().all(|shard| cache.has(commit, shard)) {
                return Ok(true);
            }
        }
        if !is_offline && !cache.is_absent(commit, form) {
            break;
        }
    }
    Ok(false)
}

/// The files that `form` in `snapshot` lists, each once; empty if `form` is not an index.
pub(super) fn shards(snapshot: &Path, form: &str) -> Result<Vec<String>, HubError> {
    if Path::new(form).extension().is_none_or(|extension| extension != "json") {
        return Ok(Vec::new());
    }
    let path = snapshot.join(form);
    let text = named::read_to_string(&path).map_err(HubError::io("read", &path))?;
    let unexpected = |what: String| HubError::Answer { url: path.display().to_string(), what };
    let index: ShardIndex =
        serde_json::from_str(&text).map_err(|error| unexpected(format!("no list of weights ({error})")))?;
    let shards = index.files();
    // The names become names of files and parts of addresses.
    let is_plain = |name: &String| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !name.is_empty() && name.chars().all(good) && !name.starts_with('.')
    };
    match shards.iter().find(|name| !is_plain(name)) {
        Some(name) => Err(unexpected(format!("the file {name:?}"))),
        None => Ok(shards),
    }
}

/// The preferred form of weights that a commit has; `has` is whether the commit has a file.
pub(super) fn form(id: &HubId, has: &dyn Fn(&str) -> bool) -> Result<&'static str, HubError> {
    WEIGHT_FILES.into_iter().find(|form| has(form)).ok_or_else(|| HubError::Lacks {
        id: id.to_string(),
        what: "no weights that are read: neither model.safetensors nor pytorch_model.bin, whole or in parts",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(files: &[&str]) -> Option<&'static str> {
        lack(&|file| files.contains(&file))
    }

    #[test]
    fn an_encoder_has_a_tokenizer_in_one_of_three_forms() {
        assert!(lacking(&["config.json", "vocab.json"]).unwrap().contains("no tokenizer"));
        for tokenizer in [&["tokenizer.json"][..], &["vocab.txt"], &["vocab.json", "merges.txt"]] {
            assert_eq!(lacking(&[&["config.json"], tokenizer].concat()), None);
        }
    }

    #[test]
    fn an_encoder_has_a_configuration() {
        assert_eq!(lacking(&["vocab.txt"]), Some("no config.json"));
    }

    #[test]
    fn the_first_form_of_weights_that_a_repository_has_is_taken() {
        let id = HubId::parse("a/b").unwrap();
        let found = |files: &[&str]| form(&id, &|file| files.contains(&file));
        assert_eq!(found(&["pytorch_model.bin", "model.safetensors"]).unwrap(), "model.safetensors");
        assert_eq!(found(&["pytorch_model.bin.index.json"]).unwrap(), "pytorch_model.bin.index.json");
        assert!(found(&["tf_model.h5"]).unwrap_err().to_string().contains("no weights"));
    }

    /// The shards of an index with this map of weights.
    fn listed(map: &str) -> Result<Vec<String>, HubError> {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{{\"metadata\": {{}}, \"weight_map\": {map}}}");
        std::fs::write(folder.path().join("m.index.json"), text).unwrap();
        shards(folder.path(), "m.index.json")
    }

    #[test]
    fn an_index_lists_each_shard_once() {
        let map = r#"{"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-2.safetensors"}"#;
        assert_eq!(listed(map).unwrap(), ["m-1.safetensors", "m-2.safetensors"]);
    }

    #[test]
    fn an_index_must_not_name_files_outside_its_folder() {
        for map in [r#"{"a": "../../x"}"#, r#"{"a": "/x"}"#, r#"{"a": ""}"#, "[]"] {
            assert!(listed(map).is_err(), "{map}");
        }
    }

    #[test]
    fn weights_in_one_file_have_no_shards() {
        let folder = tempfile::tempdir().unwrap();
        assert!(shards(folder.path(), "model.safetensors").unwrap().is_empty());
    }
}
