//! Digests of what trials are trained on: their documents and their checkpoints.
//!
//! Equal digests mean equal contents, wherever the files lie. A checkpoint's weights are
//! read whole: a model that was trained further has files of the same names and sizes.
//! That takes a second or less for 400 MB on a processor with SHA instructions.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    checkpoint::Checkpoint,
    data::{Dataset, Document, Source, SplitName},
    hub::WEIGHT_FILES,
};

/// The files that say what an encoder and its tokenizer are; those that are there count.
const DESCRIPTIONS: [&str; 6] =
    ["config.json", "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json"];
/// Bytes read at a time.
const BLOCK: usize = 1 << 20;

/// Why a checkpoint has no digest.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct FingerprintError {
    /// The file.
    path: PathBuf,
    /// Why not.
    source: io::Error,
}

/// Digests of what the trials of a plan are trained on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    /// Of the documents; `None` in a plan of a version that took none.
    #[serde(default)]
    pub data: Option<DataDigests>,
    /// Of each checkpoint's folder, by what trials call it.
    #[serde(default)]
    pub checkpoints: BTreeMap<Checkpoint, String>,
}

/// SHA-256 of the documents of each split, after duplicates and limits: ids, texts and labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct DataDigests {
    pub train: String,
    pub validation: String,
    pub test: String,
}

impl DataDigests {
    /// The digests of `dataset`.
    #[must_use]
    pub fn of(dataset: &Dataset) -> Self {
        let digest = |documents: &[Document]| documents_digest(documents, &dataset.labels);
        Self {
            train: digest(&dataset.train),
            validation: digest(&dataset.validation),
            test: digest(&dataset.test),
        }
    }

    /// The files of `source` that hold other documents in `now` than in this.
    #[must_use]
    pub fn changed(&self, now: &Self, source: &Source) -> Vec<String> {
        if self == now {
            return Vec::new();
        }
        match source {
            Source::Files { train, validation, test } => SplitName::ALL
                .into_iter()
                .zip([train, validation, test])
                .filter(|(split, _)| self.split(*split) != now.split(*split))
                .map(|(_, path)| path.display().to_string())
                .collect(),
            Source::Single { path, .. } => vec![path.display().to_string()],
            Source::Reviews { .. } => vec!["builtin:reviews".to_owned()],
        }
    }

    /// That of one split.
    #[must_use]
    pub fn split(&self, name: SplitName) -> &str {
        match name {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
    }
}

fn documents_digest(documents: &[Document], labels: &[String]) -> String {
    let mut hash = Sha256::new();
    for Document { id, text, label } in documents {
        hash.update((*id as u64).to_le_bytes());
        add(&mut hash, text.as_bytes());
        add(&mut hash, labels.get(*label).map_or(&[], |label| label.as_bytes()));
    }
    hex(&hash.finalize())
}

/// Adds `part` after its length, so that no two lists of parts are alike.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

/// The digests of those of `all` that are folders on this machine, which is to say absolute paths.
///
/// # Errors
/// When a file cannot be read.
pub fn checkpoints<'a>(
    all: impl IntoIterator<Item = &'a Checkpoint>,
) -> Result<BTreeMap<Checkpoint, String>, FingerprintError> {
    let mut digests = BTreeMap::new();
    for one in all {
        if let Checkpoint::Folder(folder) = one
            && folder.is_absolute()
            && !digests.contains_key(one)
        {
            digests.insert(one.clone(), checkpoint(folder)?);
        }
    }
    Ok(digests)
}

/// SHA-256 of a checkpoint's folder: names and contents of the files that training reads.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn checkpoint(folder: &Path) -> Result<String, FingerprintError> {
    let mut hash = Sha256::new();
    for name in files(folder) {
        let path = folder.join(&name);
        add(&mut hash, name.as_bytes());
        add(&mut hash, &file_digest(&path).map_err(|source| FingerprintError { path, source })?);
    }
    Ok(hex(&hash.finalize()))
}

fn files(folder: &Path) -> Vec<String> {
    let is_there = |name: &&&str| folder.join(name).is_file();
    let weights = WEIGHT_FILES.iter().find(is_there).copied();
    let mut names: Vec<String> =
        DESCRIPTIONS.iter().filter(is_there).copied().chain(weights).map(str::to_owned).collect();
    names.extend(weights.map(|index| shards(&folder.join(index))).unwrap_or_default());
    names
}

/// The files that an index of shards names, each once; none if it is no index.
fn shards(index: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    if index.extension().is_none_or(|ending| ending != "json") {
        return Vec::new();
    }
    let text = std::fs::read_to_string(index).unwrap_or_default();
    let index: Option<Index> = serde_json::from_str(&text).ok();
    let mut shards: Vec<String> =
        index.map(|index| index.weight_map.into_values().collect()).unwrap_or_default();
    shards.sort_unstable();
    shards.dedup();
    shards
}

fn file_digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(block.get(..read).unwrap_or_default()),
        }
    }
}

/// `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::Leaks;

    fn dataset() -> Dataset {
        let document = |id, text: &str, label| Document { id, text: text.to_owned(), label };
        Dataset {
            labels: vec!["bad".to_owned(), "good".to_owned()],
            target: crate::metrics::Target::of(Some(1), None),
            train: vec![document(1, "ab", 0), document(2, "c", 1)],
            validation: vec![document(3, "d", 0)],
            test: vec![document(4, "e", 1)],
            leaks: Leaks::default(),
        }
    }

    #[test]
    fn a_digest_of_documents_follows_their_ids_texts_and_labels_and_nothing_else() {
        let before = DataDigests::of(&dataset());
        let train_after = |change: &dyn Fn(&mut Dataset)| {
            let mut changed = dataset();
            change(&mut changed);
            let digests = DataDigests::of(&changed);
            assert_eq!((&digests.validation, &digests.test), (&before.validation, &before.test));
            digests.train
        };
        assert_eq!(train_after(&|dataset| dataset.leaks.train_dropped = 7), before.train);
        assert_ne!(train_after(&|dataset| dataset.train[0].text.push('!')), before.train);
        assert_ne!(train_after(&|dataset| dataset.train[0].label = 1), before.train);
        assert_ne!(train_after(&|dataset| dataset.train[0].id = 9), before.train);
        assert_ne!(train_after(&|dataset| _ = dataset.train.pop()), before.train);
    }

    /// A checkpoint with these weights, and its digest.
    fn folder(weights: &[(&str, &str)]) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("config.json", "{}"), ("vocab.txt", "a\nb\n")].iter().chain(weights) {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let digest = checkpoint(folder.path()).unwrap();
        (folder, digest)
    }

    #[test]
    fn a_checkpoint_is_its_files_and_not_its_place() {
        let (folder_a, a) = folder(&[("model.safetensors", "weights")]);
        let (_, b) = folder(&[("model.safetensors", "weights")]);
        assert_eq!(a, b);
        let (_, retrained) = folder(&[("model.safetensors", "WEIGHTS")]);
        assert_ne!(a, retrained, "the size is the same, the contents are not");
        fs::write(folder_a.path().join("README.md"), "read").unwrap();
        assert_eq!(checkpoint(folder_a.path()).unwrap(), a);
        fs::write(folder_a.path().join("vocab.txt"), "a\nc\n").unwrap();
        assert_ne!(checkpoint(folder_a.path()).unwrap(), a);
    }

    #[test]
    fn the_shards_of_an_index_count() {
        let index = r#"{"weight_map":{"a":"one.bin","b":"two.bin","c":"one.bin"}}"#;
        let shards = |two| [("pytorch_model.bin.index.json", index), ("one.bin", "1"), ("two.bin", two)];
        let (folder_a, a) = folder(&shards("2"));
        assert_ne!(a, folder(&shards("3")).1);
        fs::remove_file(folder_a.path().join("two.bin")).unwrap();
        let error = checkpoint(folder_a.path()).unwrap_err().to_string();
        assert!(error.contains("two.bin"), "{error}");
    }

    #[test]
    fn only_absolute_paths_are_folders() {
        let (folder, digest) = folder(&[]);
        let path = folder.path().to_str().unwrap();
        let digests =
            checkpoints(&["builtin:mini", "owner/name@0123", path, path].map(Checkpoint::parse)).unwrap();
        assert_eq!(digests, BTreeMap::from([(Checkpoint::parse(path), digest)]));
    }
}
