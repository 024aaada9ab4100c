//! Reading and writing whole files.

use std::{fs, path::Path};

use serde::Serialize;

use super::ResultsError;
use crate::system::files;

/// Puts `bytes` into the file `path` so that a reader, or a crash at any instant, sees the old
/// contents or the new, never a mixture.
///
/// # Errors
/// When the folder cannot be written; `path` is unchanged then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), ResultsError> {
    files::write_atomically(path, bytes).map_err(ResultsError::io("write", path))
}

/// As [`write_atomic`], with `value` as indented JSON and a final line break.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ResultsError> {
    write_atomic(path, json(path, value)?.as_bytes())
}

/// The contents that [`write_json`] would give to `path`.
///
/// # Errors
/// When `value` has no JSON form.
pub fn json(path: &Path, value: &impl Serialize) -> Result<String, ResultsError> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|source| ResultsError::Json { path: path.to_owned(), source })?;
    Ok(text + "\n")
}

/// Reads a JSON file.
///
/// # Errors
/// When it cannot be read or understood.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ResultsError> {
    let text = fs::read_to_string(path).map_err(ResultsError::io("read", path))?;
    serde_json::from_str(&text).map_err(|source| ResultsError::Json { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atomic_write_that_fails_leaves_the_old_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "x").unwrap();
        assert!(write_atomic(&path, b"new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
