//! Checkpoints as other programs leave them: names in a wrapper, a family that is not named, further layers, tokens without
//! an embedding.

use std::fs;

use serde_json::{Map, Value, json};
use sweep::{
    checkpoint::{Checkpoint, CheckpointFacts},
    train,
};
use tempfile::TempDir;

use crate::common::checkpoint::{self, renamed};

const WEIGHTS: &str = "model.safetensors";

/// A checkpoint of the tiny BERT whose tensors have other names.
fn with_names(rename: impl Fn(&str) -> String) -> TempDir {
    let folder = checkpoint::checkpoint("tiny-bert");
    let path = folder.path().join(WEIGHTS);
    fs::write(&path, renamed(&fs::read(&path).unwrap(), rename)).unwrap();
    folder
}

/// Changes the checkpoint's `config.json`.
fn change_config(folder: &TempDir, change: impl FnOnce(&mut Map<String, Value>)) {
    let path = folder.path().join("config.json");
    let mut config: Map<String, Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(&path, json!(config).to_string()).unwrap();
}

fn inspect(folder: &TempDir) -> Result<CheckpointFacts, String> {
    train::inspect(&Checkpoint::Folder(folder.path().into()), true).map_err(|error| error.to_string())
}

#[test]
fn names_in_a_wrapper_are_taken_and_the_wrapper_is_named() {
    for wrapper in ["module.", "model.", "model.module.", "_orig_mod."] {
        let facts = inspect(&with_names(|name| format!("{wrapper}{name}"))).unwrap();
        assert_eq!(
            facts.notes,
            [format!("the names of its tensors begin with \"{wrapper}\", which was taken off")]
        );
    }
}

#[test]
fn a_wrapper_may_stand_beside_other_tensors() {
    let is_head = |name: &str| name.starts_with("classifier");
    let facts = inspect(&with_names(|name| {
        if is_head(name) { "loss.w".to_owned() + name } else { "net.".to_owned() + name }
    }));
    assert!(facts.unwrap().notes[0].contains("\"net.\""));
}

#[test]
fn weights_tell_the_family_where_the_config_does_not() {
    let folder = with_names(str::to_owned);
    change_config(&folder, |config| {
        config.remove("model_type");
        config.remove("architectures");
    });
    let note = "its config.json has no model_type; taken for \"bert\"";
    assert!(inspect(&folder).unwrap().notes.contains(&note.to_owned()));
}

#[test]
fn layers_that_the_config_does_not_ask_for_are_counted() {
    let folder = with_names(str::to_owned);
    change_config(&folder, |config| _ = config.insert("num_hidden_layers".to_owned(), json!(1)));
    let notes = inspect(&folder).unwrap().notes;
    assert!(notes[0].ends_with("of which config.json asks for the lowest 1"), "{notes:?}");
}

#[test]
fn tokens_without_an_embedding_are_named() {
    let folder = with_names(str::to_owned);
    let rows = 60;
    fs::write(folder.path().join("vocab.txt"), checkpoint::VOCABULARY).unwrap();
    let tokens = checkpoint::VOCABULARY.lines().count();
    let added: Map<String, Value> = (tokens..=rows).map(|id| (format!("<t{id}>"), json!(id))).collect();
    fs::write(folder.path().join("added_tokens.json"), json!(added).to_string()).unwrap();
    change_config(&folder, |config| assert_eq!(config["vocab_size"], json!(rows)));
    let checkpoint = Checkpoint::Folder(folder.path().into());
    let message = train::inspect_tokenizer(&checkpoint).map(drop).unwrap_err().to_string();
    assert!(message.ends_with("without an embedding: <t60> (60)"), "{message}");
}
