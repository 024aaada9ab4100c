//! Which files of a repository make an encoder: small ones that a spec is checked with, and weights.

use std::path::Path;

use serde::Deserialize;

use super::{cache::ModelCache, error::HubError, id::HubId};

/// The tokenizer, in each form that there is, and the configuration: last, so that where it is,
/// the others are.
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

/// A tokenizer is one of these.
const TOKENIZERS: [&[&str]; 3] = [&["tokenizer.json"], &["vocab.txt"], &["vocab.json", "merges.txt"]];

/// A file with a model's parameters, or one that lists such files; the first one that is there is taken.
pub const WEIGHT_FILES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Where the weights of a commit stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Weights {
    /// All of them are in the cache.
    Here,
    /// They are not, or the commit may have better ones.
    Missing,
}

/// A file that lists files.
#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

/// What an encoder needs and a commit lacks, as the error says it; `has` tells of each file.
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

/// Whether the weights of `commit` are in the cache. Offline, any whole form will do.
pub(super) fn weights(cache: &ModelCache, commit: &str, is_offline: bool) -> Result<Weights, HubError> {
    for form in WEIGHT_FILES {
        if cache.has(commit, form) {
            let shards = shards(&cache.snapshot(commit), form)?;
            if shards.iter().all(|shard| cache.has(commit, shard)) {
                return Ok(Weights::Here);
            }
        }
        if !is_offline && !cache.is_absent(commit, form) {
            break;
        }
    }
    Ok(Weights::Missing)
}

/// The files that `form` in `snapshot` lists, each once; none if it is no list.
pub(super) fn shards(snapshot: &Path, form: &str) -> Result<Vec<String>, HubError> {
    if Path::new(form).extension().is_none_or(|extension| extension != "json") {
        return Ok(Vec::new());
    }
    let path = snapshot.join(form);
    let text = std::fs::read_to_string(&path).map_err(HubError::io("read", &path))?;
    let strange = |what: String| HubError::Answer { url: path.display().to_string(), what };
    let index: Index =
        serde_json::from_str(&text).map_err(|error| strange(format!("no list of weights ({error})")))?;
    let mut shards: Vec<String> = index.weight_map.into_values().collect();
    shards.sort_unstable();
    shards.dedup();
    // They become names of files and parts of addresses.
    let is_plain = |name: &String| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !name.is_empty() && name.chars().all(good) && !name.starts_with('.')
    };
    match shards.iter().find(|name| !is_plain(name)) {
        Some(name) => Err(strange(format!("the file {name:?}"))),
        None => Ok(shards),
    }
}

/// The form of weights that a commit has, by the list of its files.
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
    fn an_encoder_is_a_config_and_a_tokenizer_in_one_of_three_forms() {
        assert_eq!(lacking(&["vocab.txt"]), Some("no config.json"));
        assert!(lacking(&["config.json", "vocab.json"]).unwrap().contains("no tokenizer"));
        for tokenizer in [&["tokenizer.json"][..], &["vocab.txt"], &["vocab.json", "merges.txt"]] {
            assert_eq!(lacking(&[&["config.json"], tokenizer].concat()), None);
        }
    }

    #[test]
    fn the_first_form_of_weights_that_a_repository_has_is_taken() {
        let id = HubId::parse("a/b").unwrap();
        let found = |files: &[&str]| form(&id, &|file| files.contains(&file));
        assert_eq!(found(&["pytorch_model.bin", "model.safetensors"]).unwrap(), "model.safetensors");
        assert_eq!(found(&["pytorch_model.bin.index.json"]).unwrap(), "pytorch_model.bin.index.json");
        assert!(found(&["tf_model.h5"]).unwrap_err().to_string().contains("no weights"));
    }

    #[test]
    fn a_list_of_weights_names_each_file_once_and_none_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let listed = |map: &str| {
            let text = format!("{{\"metadata\": {{}}, \"weight_map\": {map}}}");
            std::fs::write(folder.path().join("m.index.json"), text).unwrap();
            shards(folder.path(), "m.index.json")
        };
        let map = r#"{"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-2.safetensors"}"#;
        assert_eq!(listed(map).unwrap(), ["m-1.safetensors", "m-2.safetensors"]);
        for map in [r#"{"a": "../../x"}"#, r#"{"a": "/x"}"#, r#"{"a": ""}"#, "[]"] {
            assert!(listed(map).is_err(), "{map}");
        }
        assert!(shards(folder.path(), "model.safetensors").unwrap().is_empty());
    }
}
