//! Whole files of results, read and written.

use std::path::Path;

use serde::Serialize;

use super::error::ResultsError;
use crate::system::files::{self, Place};

/// Replaces the contents of the file `place` by `bytes`. A reader, and a crash at any instant, sees either the
/// old contents or the new ones.
///
/// # Errors
/// When the folder cannot be written; it is unchanged then.
pub fn write_atomic(place: &Place, bytes: &[u8]) -> Result<(), ResultsError> {
    files::write_atomically(place, bytes).map_err(ResultsError::io("write", place.path()))
}

/// Replaces the contents of a file by `value` as indented JSON with a final line break.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_json(place: &Place, value: &impl Serialize) -> Result<(), ResultsError> {
    write_atomic(place, json(place.path(), value)?.as_bytes())
}

/// The JSON text that [`write_json`] would write to `path`.
///
/// # Errors
/// When `value` cannot be written as JSON.
pub fn json(path: &Path, value: &impl Serialize) -> Result<String, ResultsError> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|source| ResultsError::Json { path: path.to_owned(), source })?;
    Ok(text + "\n")
}

/// Reads a JSON file.
///
/// # Errors
/// When the file cannot be read, or its JSON is not a `T`.
pub fn read_json<T: serde::de::DeserializeOwned>(place: &Place) -> Result<T, ResultsError> {
    let text = place.read_to_string().map_err(ResultsError::io("read", place.path()))?;
    serde_json::from_str(&text).map_err(|source| ResultsError::Json { path: place.path().to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_atomic_write_that_fails_leaves_the_old_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "x").unwrap();
        assert!(write_atomic(&Place::named(folder.path()).join("file"), b"new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
