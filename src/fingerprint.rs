//! Digests of the documents and the checkpoints that trials are trained on, and of files that trials leave.
//!
//! Equal digests mean equal contents, whatever the paths of the files. A checkpoint's weights are read
//! whole, since a model that was trained further has files of the same names and sizes. Reading 400 MB
//! takes a second or less on a processor with SHA instructions.

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
    data::{DataSpec, Dataset, Source, SplitName},
    hub::{ShardIndex, WEIGHT_FILES},
    system::files::{Place, named},
};

/// The files that describe an encoder and its tokenizer; a checkpoint has some of them.
const DESCRIPTIONS: [&str; 8] = [
    "config.json",
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
];
/// Bytes read at a time.
const BLOCK: usize = 1 << 20;

/// Why the digest of a checkpoint could not be computed.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct FingerprintError {
    /// The file.
    path: PathBuf,
    /// Why it could not be read.
    source: io::Error,
}

/// The length and the digest of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 of its contents, in hexadecimal digits.
    pub sha256: String,
}

/// Digests of the data and the checkpoints of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    /// The digests of the documents; `None` in plans of older versions.
    #[serde(default)]
    pub data: Option<DataDigests>,
    /// The digest of each checkpoint's folder, by the checkpoint of the trials' settings.
    #[serde(default)]
    pub checkpoints: BTreeMap<Checkpoint, String>,
}

/// SHA-256 of the documents of each split, after duplicates and limits: ids, texts and labels. With folds, `train` is that
/// of all documents that are folded, and `validation` that of their folds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are documentation enough")]
pub struct DataDigests {
    pub train: String,
    pub validation: String,
    pub test: String,
}

impl DataDigests {
    /// The digests of `dataset`.
    #[must_use]
    pub fn of(dataset: &Dataset) -> Self {
        let [train, validation, test] = dataset.digests.clone();
        Self { train, validation, test }
    }

    /// The files of `spec` whose documents have another digest in `now` than in `self`.
    #[must_use]
    pub fn changed(&self, now: &Self, spec: &DataSpec) -> Vec<String> {
        if self == now {
            return Vec::new();
        }
        let splits = SplitName::ALL.map(|split| self.split(split) != now.split(split));
        match (spec.folds, &spec.source) {
            (None, Source::Files { .. }) => spec
                .source
                .paths()
                .into_iter()
                .zip(splits)
                .filter(|(_, is_other)| *is_other)
                .map(|it| it.0)
                .collect(),
            // Train and validation are one, and the digest in the place of validation is that of the folds.
            (Some(_), Source::Files { .. }) => {
                let mut paths = spec.source.paths();
                let [train, folds, test] = splits;
                let rest = paths.len().saturating_sub(1);
                match (train || folds, test) {
                    (true, true) => {}
                    (true, false) => paths.truncate(rest),
                    (false, _) => drop(paths.drain(..rest)),
                }
                paths
            }
            (_, Source::Single { .. } | Source::Reviews { .. }) => spec.source.paths(),
        }
    }

    /// The digest of one split.
    #[must_use]
    pub fn split(&self, name: SplitName) -> &str {
        match name {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
    }
}

/// Adds `part` after its length, so that different lists of parts give different bytes.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

/// SHA-256 of each file of `source`, in order.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn data_files(source: &Source) -> Result<Vec<[u8; 32]>, FingerprintError> {
    let digest =
        |path: &PathBuf| file_digest(path).map_err(|source| FingerprintError { path: path.clone(), source });
    source.files().into_iter().map(digest).collect()
}

/// The digests of the checkpoints of `all` that are folders with an absolute path. (The built-in encoder
/// and pinned hub models never change.)
///
/// # Errors
/// When a file cannot be read.
pub fn checkpoints<'a>(
    all: impl IntoIterator<Item = &'a Checkpoint>,
) -> Result<BTreeMap<Checkpoint, String>, FingerprintError> {
    let mut digests = BTreeMap::new();
    for each in all {
        if let Checkpoint::Folder(folder) = each
            && folder.is_absolute()
            && !digests.contains_key(each)
        {
            digests.insert(each.clone(), checkpoint(folder)?);
        }
    }
    Ok(digests)
}

/// SHA-256 of a checkpoint's folder: the names and contents of the files that training reads.
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

/// The names of the files that training reads.
fn files(folder: &Path) -> Vec<String> {
    let is_there = |name: &&&str| named::is_file(&folder.join(name));
    let weights = WEIGHT_FILES.iter().find(is_there).copied();
    let mut names: Vec<String> =
        DESCRIPTIONS.iter().filter(is_there).copied().chain(weights).map(str::to_owned).collect();
    names.extend(weights.map(|index| shards(&folder.join(index))).unwrap_or_default());
    names
}

/// The files that an index of shards lists, each once; empty if the file is not a readable index, which
/// training reports.
fn shards(index: &Path) -> Vec<String> {
    if index.extension().is_none_or(|ending| ending != "json") {
        return Vec::new();
    }
    let text = named::read_to_string(index).unwrap_or_default();
    let index: Option<ShardIndex> = serde_json::from_str(&text).ok();
    index.map(ShardIndex::files).unwrap_or_default()
}

/// SHA-256 of a file.
fn file_digest(path: &Path) -> io::Result<[u8; 32]> {
    digest_of_open(named::open(path)?)
}

fn digest_of_open(mut file: File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(block.get(..read).unwrap_or_default()),
        }
    }
}

/// The length and the digest of the file at `place`.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn digest_of(place: &Place) -> io::Result<FileDigest> {
    let file = place.open()?;
    let bytes = file.metadata()?.len();
    Ok(FileDigest { bytes, sha256: hex(&digest_of_open(file)?) })
}

/// The length and the digest of a file with these contents.
pub(crate) fn bytes_digest(bytes: &[u8]) -> FileDigest {
    FileDigest { bytes: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)) }
}

/// `bytes` as lower-case hexadecimal digits.
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
    fn the_same_files_in_another_folder_have_the_same_digest() {
        let (_, a) = folder(&[("model.safetensors", "weights")]);
        let (_, b) = folder(&[("model.safetensors", "weights")]);
        assert_eq!(a, b);
    }

    #[test]
    fn weights_of_the_same_size_with_other_contents_have_another_digest() {
        let (_, a) = folder(&[("model.safetensors", "weights")]);
        let (_, retrained) = folder(&[("model.safetensors", "WEIGHTS")]);
        assert_ne!(a, retrained, "the size is the same, the contents are not");
    }

    #[test]
    fn a_file_that_training_does_not_read_does_not_count() {
        let (folder, digest) = folder(&[("model.safetensors", "weights")]);
        fs::write(folder.path().join("README.md"), "read").unwrap();
        assert_eq!(checkpoint(folder.path()).unwrap(), digest);
    }

    #[test]
    fn the_vocabulary_counts() {
        let (folder_a, a) = folder(&[("model.safetensors", "weights")]);
        fs::write(folder_a.path().join("vocab.txt"), "a\nc\n").unwrap();
        assert_ne!(checkpoint(folder_a.path()).unwrap(), a);
    }

    /// A checkpoint in two shards, the second with these contents.
    fn sharded(second: &str) -> (tempfile::TempDir, String) {
        let index = r#"{"weight_map":{"a":"one.bin","b":"two.bin","c":"one.bin"}}"#;
        folder(&[("pytorch_model.bin.index.json", index), ("one.bin", "1"), ("two.bin", second)])
    }

    #[test]
    fn the_shards_of_an_index_count() {
        assert_ne!(sharded("2").1, sharded("3").1);
    }

    #[test]
    fn a_missing_shard_is_an_error_that_names_it() {
        let (folder, _) = sharded("2");
        fs::remove_file(folder.path().join("two.bin")).unwrap();
        let error = checkpoint(folder.path()).unwrap_err().to_string();
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
