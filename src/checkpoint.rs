//! The name of a checkpoint in a trial's settings: built in, a folder, or a commit of a hub model.

use std::path::{Path, PathBuf};

use crate::hub::{self, HubId};

/// The commit of the hub that `checkpoint` names, if it is none of the others.
///
/// Folders stand in settings as absolute paths, which no hub id is.
#[must_use]
pub fn hub_id(checkpoint: &str) -> Option<HubId> {
    HubId::parse(checkpoint).filter(|id| id.commit().is_some())
}

/// The folder with the files of `checkpoint`, which is not built in.
#[must_use]
pub fn folder(checkpoint: &str) -> PathBuf {
    hub_id(checkpoint).map_or_else(|| Path::new(checkpoint).to_owned(), |id| hub::folder(&id))
}

/// What people call `checkpoint`: the hub's name for it, or that of its folder.
#[must_use]
pub fn title(checkpoint: &str) -> String {
    match (hub_id(checkpoint), Path::new(checkpoint).file_name()) {
        (None, Some(name)) => name.to_string_lossy().into_owned(),
        (Some(_), _) | (None, None) => checkpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_itself_and_a_commit_of_the_hub_is_in_the_cache() {
        assert_eq!(folder("/models/bert"), Path::new("/models/bert"));
        let commit = "8f23c25b06e129b6c986331a13d8d025a92cf0ea";
        let found = folder(&format!("google-bert/bert-base-chinese@{commit}"));
        let end = Path::new("models--google-bert--bert-base-chinese/snapshots").join(commit);
        assert!(found.ends_with(end), "{}", found.display());
    }

    #[test]
    fn a_commit_of_the_hub_is_called_by_its_whole_name() {
        let name = format!("a/b@{}", "0".repeat(40));
        assert_eq!(title(&name), name);
        assert_eq!(title("/models/bert"), "bert");
        assert_eq!(title("builtin:mini"), "builtin:mini");
    }
}
