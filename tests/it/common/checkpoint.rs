//! The random encoders in `tests/fixtures`, as checkpoints with a tokenizer.

use std::{cell::RefCell, fs, path::Path};

use serde_json::{Map, Value};
use tempfile::TempDir;

use super::repository;

/// The tokens: first those that are special to the family, then all of `common::texts` but the numbers.
pub(crate) const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n很\n好\n满\n意\n喜\n欢\n推\n荐\n差\n失\n望\n讨\n厌\n后\n悔\n房\n间\n里\n的\n灯\n，";

/// A file of `tests/fixtures/<fixture>`.
pub(crate) fn fixture(fixture: &str, file: &str) -> Vec<u8> {
    fs::read(repository().join("tests/fixtures").join(fixture).join(file)).unwrap()
}

/// Writes the checkpoint of `tests/fixtures/<fixture>` into `folder`.
pub(crate) fn write(fixture_name: &str, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::write(folder.join(file), fixture(fixture_name, file)).unwrap();
    }
    fs::write(folder.join("vocab.txt"), VOCABULARY).unwrap();
}

/// A safetensors file with other names of its tensors.
pub(crate) fn renamed(file: &[u8], rename: impl Fn(&str) -> String) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk::<8>().unwrap();
    let (header, values) = rest.split_at(u64::from_le_bytes(*length).try_into().unwrap());
    let header: Map<String, Value> = serde_json::from_slice(header).unwrap();
    let rename = |(name, value): (String, Value)| {
        let name = if name == "__metadata__" { name } else { rename(&name) };
        (name, value)
    };
    let header = Value::Object(header.into_iter().map(rename).collect()).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), values].concat()
}

/// The names of the tensors of a safetensors file.
pub(crate) fn names(file: &[u8]) -> Vec<String> {
    let names = RefCell::new(Vec::new());
    renamed(file, |name| {
        names.borrow_mut().push(name.to_owned());
        name.to_owned()
    });
    names.into_inner()
}

/// The checkpoint of `tests/fixtures/<fixture>` in a folder of its own.
pub(crate) fn checkpoint(fixture: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(fixture, folder.path());
    folder
}
