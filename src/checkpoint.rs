//! The pretrained encoder that a trial starts from: built in, in a folder, or a commit of a hub model.

use std::{
    cmp::Ordering,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hub::{self, HubId};

/// How specs and results write [`Checkpoint::Mini`].
pub const MINI: &str = "builtin:mini";

/// A pretrained encoder. Specs, plans and logs write it as a text: `builtin:mini`, an absolute path, or
/// `owner/name@commit`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Checkpoint {
    /// The small built-in encoder; its parameters are random, not pretrained.
    Mini,
    /// A folder with the files of a Hugging Face encoder.
    Folder(PathBuf),
    /// A model of the Hugging Face hub. In a plan it is pinned to a commit.
    Hub(HubId),
}

/// The properties of a checkpoint that a spec is checked against, read from its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFacts {
    /// The longest input in tokens, special tokens included.
    pub window: usize,
    /// Layers of the encoder.
    pub layers: usize,
    /// Parameters with a classifier of two classes, for the forecast of disk use.
    pub parameters: u64,
    /// Names of the checkpoint's tensors that the classifier does not use, such as another head's.
    pub unused: Vec<String>,
    /// How the files were read where they leave a choice, for people: sentences about the checkpoint.
    pub notes: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint that a plan writes as `text`.
    ///
    /// Only an id with a commit is a hub model here; `a/b` is a relative folder. In a spec `a/b` may be
    /// either, and the spec reader looks at the disk to decide.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == MINI {
            return Self::Mini;
        }
        let pinned = HubId::parse(text).filter(|id| id.commit().is_some());
        pinned.map_or_else(|| Self::Folder(PathBuf::from(text)), Self::Hub)
    }

    /// A placeholder, equal to itself: comparisons of settings use it to leave the checkpoint out.
    #[must_use]
    pub const fn none() -> Self {
        Self::Folder(PathBuf::new())
    }

    /// The folder with the checkpoint's files; `None` for the built-in encoder.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Mini => None,
            Self::Folder(folder) => Some(folder.clone()),
            Self::Hub(id) => Some(hub::folder(id)),
        }
    }

    /// The id of a hub model; `None` for other checkpoints.
    #[must_use]
    pub const fn hub_id(&self) -> Option<&HubId> {
        match self {
            Self::Hub(id) => Some(id),
            Self::Mini | Self::Folder(_) => None,
        }
    }

    /// A short name for people: the folder's own name, or the whole id.
    #[must_use]
    pub fn title(&self) -> String {
        let name = match self {
            Self::Folder(folder) => folder.file_name(),
            Self::Mini | Self::Hub(_) => None,
        };
        name.map_or_else(|| self.to_string(), |name| name.to_string_lossy().into_owned())
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mini => f.write_str(MINI),
            Self::Folder(folder) => Path::display(folder).fmt(f),
            Self::Hub(id) => id.fmt(f),
        }
    }
}

impl Ord for Checkpoint {
    /// Compares the written texts, so that a list of checkpoints is in alphabetical order.
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

impl PartialOrd for Checkpoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Checkpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checkpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "8f23c25b06e129b6c986331a13d8d025a92cf0ea";

    #[test]
    fn a_checkpoint_is_written_as_it_was_read() {
        let pinned = format!("google-bert/bert-base-chinese@{COMMIT}");
        for text in [MINI, "/models/bert", "models/bert", "", &pinned] {
            assert_eq!(Checkpoint::parse(text).to_string(), text);
        }
    }

    #[test]
    fn an_id_without_a_commit_is_a_folder() {
        assert_eq!(Checkpoint::parse("models/bert"), Checkpoint::Folder("models/bert".into()));
    }

    #[test]
    fn a_pinned_hub_model_lies_in_the_cache_of_the_hub() {
        let found = Checkpoint::parse(&format!("google-bert/bert-base-chinese@{COMMIT}")).folder().unwrap();
        let end = Path::new("models--google-bert--bert-base-chinese/snapshots").join(COMMIT);
        assert!(found.ends_with(end), "{}", found.display());
    }

    #[test]
    fn a_folder_is_called_by_its_own_name() {
        assert_eq!(Checkpoint::parse("/models/bert").title(), "bert");
    }

    #[test]
    fn any_other_checkpoint_is_called_by_its_whole_name() {
        for text in [MINI, &format!("a/b@{COMMIT}")] {
            assert_eq!(Checkpoint::parse(text).title(), text);
        }
    }
}
