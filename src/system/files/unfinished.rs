//! What processes that were killed left behind: files that are not written completely, which nobody will name.
//!
//! A process holds a lock of the kernel on each of its temporary files, which ends when the process does. So a
//! temporary file without a lock is nobody's. Where a file system has no locks, temporary files stay.

use super::{Place, TEMPORARY};

/// Removes the temporary files of killed processes in `folder` itself. One that cannot be removed stays: it costs
/// space and nothing else.
pub(crate) fn remove_unfinished(folder: &Place) {
    for name in folder.names().unwrap_or_default() {
        let place = folder.join(&name);
        if name.to_string_lossy().starts_with(TEMPORARY) && is_free(&place) {
            let _ = place.remove_file();
        }
    }
}

/// Whether it is a file that no process holds.
fn is_free(place: &Place) -> bool {
    place.open().is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::Temporary, *};

    #[test]
    fn the_files_of_killed_processes_are_removed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".writing-killed", "writing", ".lock"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join(".writing-folder")).unwrap();
        std::os::unix::fs::symlink("writing", folder.path().join(".writing-link")).unwrap();
        let place = Place::named(folder.path());
        let mine = Temporary::in_folder(&place).unwrap();
        remove_unfinished(&place);
        let is_there = |name: &str| fs::symlink_metadata(folder.path().join(name)).is_ok();
        assert!(mine.place.exists(), "the file of a living process");
        assert!(!is_there(".writing-killed"));
        for name in ["writing", ".lock", ".writing-folder", ".writing-link"] {
            assert!(is_there(name), "{name}");
        }
    }
}
