//! Paths of a spec, made absolute.

use std::path::{Path, PathBuf};

/// The absolute path of a checkpoint written as `text`, or the unchanged name of a built-in one.
pub(super) fn resolve(text: &str, base: &Path) -> String {
    if text.starts_with("builtin:") { text.to_owned() } else { absolute(text, base).display().to_string() }
}

/// `text` as a path from `base`, without `.` and doubled slashes.
pub(super) fn absolute(text: &str, base: &Path) -> PathBuf {
    base.join(text).components().collect()
}
