//! A folder that takes the place of another as a whole.
//!
//! Whoever looks at the place at any moment, and whoever finds it after a crash, sees one of both folders.

use std::io;

use rustix::io::Errno;

use super::{Place, create_folder, failpoints, folder_of, rename, sync_folder};

/// Number of attempts where other processes put folders in the same place meanwhile.
const ATTEMPTS_MAX: usize = 100;

/// Exchanges the folders of two paths in one step.
type Exchange<'a> = &'a dyn Fn(&Place, &Place) -> io::Result<()>;

/// Puts the folder `new`, whose files are synced, in the place `current`. What stood there is then at `new`, or
/// below the folder `aside` if the file system cannot exchange two folders. The three are on one file system.
///
/// Where folders cannot be exchanged, the place is empty for a moment between two renames; after a crash in this
/// moment, [`put_back`] fills it again.
///
/// # Errors
/// When a step fails. The place is then as it was.
pub(crate) fn put_in_place(new: &Place, current: &Place, aside: &Place) -> io::Result<()> {
    put(new, current, aside, &exchange)
}

fn exchange(one: &Place, other: &Place) -> io::Result<()> {
    one.exchange(other)?;
    failpoints::exchanged(one.path(), other.path());
    Ok(())
}

fn put(new: &Place, current: &Place, aside: &Place, exchange: Exchange<'_>) -> io::Result<()> {
    sync_folder(new)?;
    sync_folder(&folder_of(new)?)?;
    sync_folder(&folder_of(current)?)?;
    for number in 0..ATTEMPTS_MAX {
        if put_once(new, current, &aside.join(number.to_string()), exchange)? {
            sync_folder(&folder_of(current)?)?;
            return sync_folder(&folder_of(new)?);
        }
    }
    Err(io::Error::other("other processes replace the folder again and again"))
}

/// One attempt; false if another process has put a folder in the place meanwhile.
fn put_once(new: &Place, current: &Place, aside: &Place, exchange: Exchange<'_>) -> io::Result<bool> {
    let is_aside = match exchange(new, current) {
        Ok(()) => return Ok(true),
        // Nothing is in the place.
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) if is_unsupported(&error) => set_aside(current, aside)?,
        Err(error) => return Err(error),
    };
    match rename(new, current) {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty) =>
        {
            Ok(false)
        }
        Err(error) => {
            if is_aside {
                put_back(aside, &folder_of(current)?);
            }
            Err(error)
        }
    }
}

/// Moves the folder `current` into the new folder `aside`; false if there is none.
fn set_aside(current: &Place, aside: &Place) -> io::Result<bool> {
    create_folder(aside)?;
    match rename(current, &aside.join(current.name())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        moved => moved.map(|()| true),
    }
}

/// Moves what was set aside into the folder `aside` back into `folder`, unless something is in its place. What cannot
/// be moved stays.
pub(crate) fn put_back(aside: &Place, folder: &Place) {
    for name in aside.names().unwrap_or_default() {
        let place = folder.join(&name);
        if place.about().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let _ = rename(&aside.join(&name), &place);
        }
    }
}

/// Whether an error means that the file system cannot exchange two folders.
fn is_unsupported(error: &io::Error) -> bool {
    let without = [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP].map(Errno::raw_os_error);
    error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error().is_some_and(|code| without.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// A folder with the folders `current`, `new` and `aside`; the first two hold their names in a file.
    fn folders(existing: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in existing {
            fs::create_dir(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join("file"), name).unwrap();
        }
        fs::create_dir(root.path().join("aside")).unwrap();
        root
    }

    fn put_in(root: &Path, exchange: Exchange<'_>) -> io::Result<()> {
        let root = Place::named(root);
        put(&root.join("new"), &root.join("current"), &root.join("aside"), exchange)
    }

    fn held(folder: &Path) -> Option<String> {
        fs::read_to_string(folder.join("file")).ok()
    }

    fn cannot(_: &Place, _: &Place) -> io::Result<()> {
        Err(Errno::INVAL.into())
    }

    #[test]
    fn folders_are_exchanged() {
        let root = folders(&["new", "current"]);
        put_in(root.path(), &exchange).unwrap();
        let [new, current] = ["new", "current"].map(|name| held(&root.path().join(name)).unwrap());
        assert_eq!([new, current], ["current", "new"]);
    }

    #[test]
    fn a_folder_takes_an_empty_place() {
        for how in [&exchange as Exchange<'_>, &cannot] {
            let root = folders(&["new"]);
            put_in(root.path(), how).unwrap();
            assert_eq!(held(&root.path().join("current")).as_deref(), Some("new"));
        }
    }

    #[test]
    fn where_folders_cannot_be_exchanged_the_old_one_is_set_aside() {
        let root = folders(&["new", "current"]);
        put_in(root.path(), &cannot).unwrap();
        assert_eq!(held(&root.path().join("current")).as_deref(), Some("new"));
        assert_eq!(held(&root.path().join("aside/0/current")).as_deref(), Some("current"));
    }

    #[test]
    fn a_folder_that_another_process_puts_there_meanwhile_is_replaced() {
        let root = folders(&["new"]);
        let path = root.path().to_owned();
        // Another process is faster each time but the third.
        let calls = std::cell::Cell::new(0);
        let faster = |_: &Place, current: &Place| {
            calls.set(calls.get() + 1);
            if calls.get() < 3 {
                fs::create_dir_all(current.path()).unwrap();
                fs::write(current.join("file"), "other").unwrap();
                return Err(io::ErrorKind::NotFound.into());
            }
            cannot(current, current)
        };
        put_in(&path, &faster).unwrap();
        assert_eq!(held(&path.join("current")).as_deref(), Some("new"));
        assert_eq!(held(&path.join("aside/2/current")).as_deref(), Some("other"));
    }

    #[test]
    fn what_was_set_aside_before_a_crash_is_put_back() {
        let root = folders(&["current"]);
        let place = Place::named(root.path());
        let aside = place.join("aside/0");
        assert!(set_aside(&place.join("current"), &aside).unwrap());
        put_back(&aside, &place);
        assert_eq!(held(&root.path().join("current")).as_deref(), Some("current"));
    }

    #[test]
    fn what_was_set_aside_replaces_nothing() {
        let root = folders(&["current"]);
        let aside = root.path().join("aside/0");
        fs::create_dir_all(aside.join("current")).unwrap();
        put_back(&Place::named(root.path()).join("aside/0"), &Place::named(root.path()));
        assert_eq!(held(&root.path().join("current")).as_deref(), Some("current"));
    }

    #[test]
    fn without_the_new_folder_the_old_one_stays() {
        for how in [&exchange as Exchange<'_>, &cannot] {
            let root = folders(&["current"]);
            assert!(put_in(root.path(), how).is_err());
            assert_eq!(held(&root.path().join("current")).as_deref(), Some("current"));
        }
    }
}
