//! The folder of an export that holds many files: what it holds is listed in it, so that nothing of others is ever
//! replaced.

use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize};

use super::error::ExportError;
use crate::{
    fingerprint::{self, FileDigest},
    system::files::{
        Kind, Place,
        many::{self, Files},
    },
};

/// The file that lists the others.
const LIST: &str = "sweep-export.json";

/// What the folder holds.
#[derive(Serialize, Deserialize)]
struct Contents {
    /// The sweep.
    sweep: String,
    /// The format.
    format: String,
    /// Every other file, as it was written.
    files: BTreeMap<String, FileDigest>,
}

/// Adds the list of `files` to them.
pub(super) fn list(sweep: &str, format: &str, files: &mut Files) -> Result<(), serde_json::Error> {
    let written = files.iter().filter(|(path, _)| !path.ends_with('/'));
    let digests = written.map(|(path, bytes)| (path.clone(), fingerprint::bytes_digest(bytes))).collect();
    let contents = Contents { sweep: sweep.to_owned(), format: format.to_owned(), files: digests };
    files.insert(LIST.to_owned(), (serde_json::to_string_pretty(&contents)? + "\n").into_bytes());
    Ok(())
}

/// Refuses a folder that is not empty and holds anything else than what an export of this format has written. Folders without
/// a file in them, and files that are gone, do not matter.
pub(super) fn refuse_others(folder: &Place, format: &str) -> Result<(), ExportError> {
    let occupied = || ExportError::Occupied { path: folder.path().to_owned() };
    let found = match many::below(folder) {
        // A link to nowhere is not ours.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.exists() => return Ok(()),
        found => found.map_err(|_| occupied())?,
    };
    if found.is_empty() {
        return Ok(());
    }
    let contents = folder.join(LIST).read().ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let contents: Contents =
        contents.filter(|contents: &Contents| contents.format == format).ok_or_else(occupied)?;
    let is_own = |path: &str, kind: Kind| {
        path == LIST
            || kind == Kind::File
                && contents.files.get(path).is_some_and(|written| {
                    fingerprint::digest_of(&folder.join(path)).is_ok_and(|found| found == *written)
                })
    };
    match found.into_iter().find(|(path, kind)| !is_own(path, *kind)) {
        Some((found, _)) => Err(ExportError::Added { path: folder.path().to_owned(), found }),
        None => Ok(()),
    }
}

/// Whether the folder holds an export of this format, and nothing else.
pub(super) fn is_export(folder: &Place, format: &str) -> bool {
    folder.join(LIST).is_file() && refuse_others(folder, format).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of an export with these files.
    fn exported(paths: &[&str]) -> (tempfile::TempDir, Place) {
        let root = tempfile::tempdir().unwrap();
        let folder = Place::named(root.path()).join("out");
        let mut files: Files = paths.iter().map(|path| ((*path).to_owned(), b"a".to_vec())).collect();
        list("reviews", "mlflow", &mut files).unwrap();
        many::write_new(&folder, &files).unwrap();
        (root, folder)
    }

    fn write(folder: &Place, path: &str) {
        std::fs::write(folder.path().join(path), "b").unwrap();
    }

    #[test]
    fn an_export_may_be_replaced() {
        let (_root, folder) = exported(&["a", "b/c"]);
        assert!(is_export(&folder, "mlflow") && refuse_others(&folder, "mlflow").is_ok());
    }

    #[test]
    fn a_folder_that_is_not_there_or_empty_may_be_filled() {
        let root = tempfile::tempdir().unwrap();
        let folder = Place::named(root.path()).join("out");
        assert!(refuse_others(&folder, "mlflow").is_ok());
        std::fs::create_dir(folder.path()).unwrap();
        assert!(refuse_others(&folder, "mlflow").is_ok() && !is_export(&folder, "mlflow"));
    }

    #[test]
    fn an_export_of_another_format_is_not_replaced() {
        let (_root, folder) = exported(&["a"]);
        assert!(matches!(refuse_others(&folder, "tensorboard"), Err(ExportError::Occupied { .. })));
    }

    #[test]
    fn a_file_that_was_added_is_not_replaced() {
        let (_root, folder) = exported(&["a", "b/c"]);
        write(&folder, "b/notes");
        let error = refuse_others(&folder, "mlflow").unwrap_err();
        assert!(matches!(error, ExportError::Added { found, .. } if found == "b/notes"));
    }

    #[test]
    fn a_file_that_was_changed_is_not_replaced() {
        let (_root, folder) = exported(&["a"]);
        write(&folder, "a");
        assert!(matches!(refuse_others(&folder, "mlflow"), Err(ExportError::Added { .. })));
    }

    #[test]
    fn a_folder_of_other_files_is_not_replaced() {
        let (_root, folder) = exported(&["a"]);
        std::fs::remove_file(folder.path().join(LIST)).unwrap();
        assert!(matches!(refuse_others(&folder, "mlflow"), Err(ExportError::Occupied { .. })));
    }

    #[test]
    fn what_a_program_that_opens_the_folder_makes_empty_does_not_matter() {
        let (_root, folder) = exported(&["a"]);
        std::fs::create_dir(folder.path().join(".trash")).unwrap();
        assert!(refuse_others(&folder, "mlflow").is_ok());
    }
}
