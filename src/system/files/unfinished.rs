//! What processes that were killed left behind: files that are not written completely, which nobody will name.
//!
//! A process holds a lock of the kernel on each of its temporary files, which ends when the process does. So a
//! temporary file without a lock is nobody's. Where a file system has no locks, temporary files stay.

use std::{
    fs::{self, File},
    path::Path,
};

use super::TEMPORARY;

/// Removes the temporary files of killed processes in `folder` itself. One that cannot be removed stays: it costs
/// space and nothing else.
pub(crate) fn remove_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_temporary = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
        // This follows no link, and a FIFO is not waited for.
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_temporary && is_file && is_free(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether no process holds the file.
fn is_free(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::{super::temporary_in, *};

    #[test]
    fn the_files_of_killed_processes_are_removed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".writing-killed", "writing", ".lock"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join(".writing-folder")).unwrap();
        std::os::unix::fs::symlink("writing", folder.path().join(".writing-link")).unwrap();
        let mine = temporary_in(folder.path()).unwrap();
        remove_unfinished(folder.path());
        let is_there = |name: &str| fs::symlink_metadata(folder.path().join(name)).is_ok();
        assert!(mine.exists(), "the file of a living process");
        assert!(!is_there(".writing-killed"));
        for name in ["writing", ".lock", ".writing-folder", ".writing-link"] {
            assert!(is_there(name), "{name}");
        }
    }
}
