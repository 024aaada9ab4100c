//! Many small files at once, in a folder that takes its place when all are written.

use std::{collections::BTreeMap, io, io::Write as _};

use super::{About, Kind, Place, create_folder, failpoints};

/// Files by their paths below a folder, with `/` between the names. A path that ends in `/` is that of a folder.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Writes new files below `folder`, with the folders that they stand in, and syncs them together: to sync each of some
/// thousand files by itself would take minutes on some disks.
///
/// # Errors
/// When a file is there already, or cannot be written.
pub(crate) fn write_new(folder: &Place, files: &Files) -> io::Result<()> {
    failpoints::check_space()?;
    create_folder(folder)?;
    for (path, bytes) in files {
        let mut names: Vec<&str> = path.split('/').collect();
        let Some(name) = names.pop() else { continue };
        let mut parent = folder.clone();
        for name in names {
            parent = parent.join(name);
            match parent.make_folder() {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
        }
        if !name.is_empty() {
            parent.join(name).make_file()?.write_all(bytes)?;
        }
    }
    sync_file_system(folder)
}

/// Syncs all that was written to the file system of `folder`.
#[cfg(target_os = "linux")]
fn sync_file_system(folder: &Place) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder.open_as_folder()?)?)
}

/// Syncs all file systems: others cannot be synced one by one.
#[cfg(not(target_os = "linux"))]
fn sync_file_system(_: &Place) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

/// The path of everything below `folder` that is no folder, and what it is.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn below(folder: &Place) -> io::Result<Vec<(String, Kind)>> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), folder.clone())];
    while let Some((path, place)) = folders.pop() {
        for name in place.names()? {
            let place = place.join(&name);
            let path = format!("{path}{}", name.to_string_lossy());
            let About { kind, .. } = place.about()?;
            if kind == Kind::Folder {
                folders.push((path + "/", place));
            } else {
                found.push((path, kind));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Place, paths: &[&str]) -> io::Result<()> {
        write_new(folder, &paths.iter().map(|path| ((*path).to_owned(), path.as_bytes().to_vec())).collect())
    }

    #[test]
    fn files_stand_in_their_folders() {
        let root = tempfile::tempdir().unwrap();
        let folder = Place::named(root.path()).join("new");
        written(&folder, &["a", "b/c", "b/d/e"]).unwrap();
        let names = below(&folder).unwrap().into_iter().map(|(path, _)| path);
        assert_eq!(names.collect::<Vec<_>>(), ["a", "b/c", "b/d/e"]);
        assert_eq!(folder.join("b/d/e").read().unwrap(), b"b/d/e");
    }

    #[test]
    fn a_path_that_ends_in_a_slash_is_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = Place::named(root.path());
        written(&folder, &["a/", "a/b"]).unwrap();
        written(&folder, &["c/d/"]).unwrap();
        assert!(folder.join("a/b").is_file() && folder.join("c/d").is_folder());
    }

    #[test]
    fn a_file_that_is_there_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let folder = Place::named(root.path());
        written(&folder, &["a"]).unwrap();
        assert_eq!(written(&folder, &["a"]).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_link_is_named_and_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", root.path().join("link")).unwrap();
        assert_eq!(below(&Place::named(root.path())).unwrap(), [("link".to_owned(), Kind::Other)]);
    }
}
