//! A file or folder below a folder that a user named. Everything in a results folder and in a cache is
//! reached through a [`Place`].
//!
//! The named folder is opened once and held; on the way to it, links are followed, since the user wrote
//! that way. Below it no link is ever followed, so that a link that somebody has put into a results
//! folder can neither be read through nor written through. Devices, FIFOs and sockets are refused.

#![expect(clippy::disallowed_methods, reason = "calls relative to an open folder, without following links")]

use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    hash::{Hash, Hasher},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, fstat, linkat, mkdirat, open, renameat, statat, symlinkat, unlinkat},
    io::Errno,
};

use super::{
    about::{About, FolderIdentity, Kind},
    beneath, bounded,
};

/// A file or folder below a folder that is held open. It need not exist.
#[derive(Clone)]
pub struct Place {
    root: Arc<Root>,
    /// The name below the root; empty for the root itself.
    below: PathBuf,
    /// The whole path, for messages and for comparisons.
    path: PathBuf,
}

/// A folder that is opened when it is first needed, and then held.
struct Root {
    path: PathBuf,
    opened: OnceLock<OwnedFd>,
}

impl Root {
    fn opened(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened.as_fd());
        }
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = open(&self.path, how, Mode::empty())?;
        Ok(self.opened.get_or_init(|| opened).as_fd())
    }
}

impl Place {
    /// The folder `path` that a user named. Links on the way to it are followed.
    #[must_use]
    pub fn named(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let root = Root { path: path.clone(), opened: OnceLock::new() };
        Self { root: Arc::new(root), below: PathBuf::new(), path }
    }

    /// The file or folder `path`, in a folder that a user named. It may not be a link itself.
    #[must_use]
    pub fn of(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if parent.as_os_str().is_empty() => {
                Self { path: path.to_owned(), ..Self::named(".").join(name) }
            }
            (Some(parent), Some(name)) => Self::named(parent).join(name),
            _ => Self::named(path),
        }
    }

    /// The file or folder `name` in this folder.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        Self { root: Arc::clone(&self.root), below: self.below.join(name), path: self.path.join(name) }
    }

    /// The file or folder called `name` beside this one.
    #[must_use]
    pub fn beside(&self, name: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref();
        Self {
            root: Arc::clone(&self.root),
            below: self.below.with_file_name(name),
            path: self.path.with_file_name(name),
        }
    }

    /// The folder that holds this file or folder; `None` for the held folder itself.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (below, path) = (self.below.parent()?, self.path.parent()?);
        Some(Self { root: Arc::clone(&self.root), below: below.to_owned(), path: path.to_owned() })
    }

    /// Opens this folder and holds it: what is below the returned place stays in this very folder, even when
    /// the folder is renamed.
    ///
    /// # Errors
    /// When there is no such folder, or a link is in the way.
    pub fn held(&self) -> io::Result<Self> {
        let root = Root { path: self.path.clone(), opened: self.open_folder()?.into() };
        Ok(Self { root: Arc::new(root), below: PathBuf::new(), path: self.path.clone() })
    }

    /// The whole path, for messages. What is opened by it may be something else.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Shows the path.
    #[must_use]
    pub fn display(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// The path that the held folder has now, where the system tells it.
    pub(crate) fn path_now(&self) -> Option<PathBuf> {
        use std::os::fd::AsRawFd;

        let number = self.root.opened().ok()?.as_raw_fd();
        std::fs::read_link(format!("/proc/self/fd/{number}")).ok()
    }

    /// The last part of the path, as text.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The path of the folder that will be opened and held; `None` if it is open already. Only then may it be
    /// made: an open folder whose path leads nowhere was moved or removed.
    pub(crate) fn root_to_open(&self) -> Option<&Path> {
        self.root.opened.get().is_none().then_some(self.root.path.as_path())
    }

    fn open_folder(&self) -> io::Result<OwnedFd> {
        beneath::folder(self.root.opened()?, &self.root.path, &self.below)
    }

    /// The open folder that holds this file, and the file's name there.
    fn opened_parent(&self) -> io::Result<(OwnedFd, &OsStr)> {
        let (Some(parent), Some(name)) = (self.below.parent(), self.below.file_name()) else {
            return Err(beneath::outside(&self.path));
        };
        Ok((beneath::folder(self.root.opened()?, &self.root.path, parent)?, name))
    }

    fn open_as(&self, how: OFlags) -> io::Result<File> {
        let (folder, name) = self.opened_parent()?;
        beneath::file(folder.as_fd(), self.path.parent().unwrap_or(&self.path), name, how)
    }

    /// Opens the file for reading.
    ///
    /// # Errors
    /// When it cannot be opened, is no regular file, or a link is in the way.
    pub fn open(&self) -> io::Result<File> {
        self.open_as(OFlags::RDONLY)
    }

    /// Opens the file for reading and writing, and makes it if it is missing.
    pub(crate) fn open_or_make(&self) -> io::Result<File> {
        self.open_as(OFlags::RDWR | OFlags::CREATE)
    }

    /// Opens the file for appending, and makes it if it is missing.
    pub(crate) fn open_for_append(&self) -> io::Result<File> {
        self.open_as(OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
    }

    /// Makes the file, which must not exist yet, for reading and writing.
    pub(crate) fn make_file(&self) -> io::Result<File> {
        self.open_as(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    /// Opens this folder as a file that can be locked and synced.
    pub(crate) fn open_as_folder(&self) -> io::Result<File> {
        Ok(self.open_folder()?.into())
    }

    /// Reads the whole file.
    ///
    /// # Errors
    /// As [`Self::open`], and when it is larger than any such file.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        bounded::read(self.open()?, bounded::RESULTS_BYTES_MAX)
    }

    /// Reads the whole file as text.
    ///
    /// # Errors
    /// As [`Self::open`], and when it is not UTF-8.
    pub fn read_to_string(&self) -> io::Result<String> {
        String::from_utf8(self.read()?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// What there is.
    pub(crate) fn about(&self) -> io::Result<About> {
        if self.below.as_os_str().is_empty() {
            return Ok(About::of(&fstat(self.root.opened()?)?));
        }
        let (folder, name) = self.opened_parent()?;
        Ok(About::of(&statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn is(&self, kind: Kind) -> bool {
        self.about().is_ok_and(|about| about.kind == kind)
    }

    /// The file's bytes; 0 if there is none.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.about().map_or(0, |about| about.length)
    }

    /// Whether there is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.is(Kind::File)
    }

    /// Whether there is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.is(Kind::Folder)
    }

    /// Whether there is anything, a link included.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.about().is_ok()
    }

    /// Which folder this is.
    ///
    /// # Errors
    /// When there is no such folder, or a link is in the way.
    pub fn identity(&self) -> io::Result<FolderIdentity> {
        // Asked now and then while a sweep runs, also where no further file may be opened.
        let stat = if self.below.as_os_str().is_empty() {
            fstat(self.root.opened()?)
        } else {
            fstat(self.open_folder()?)
        };
        Ok(About::of(&stat?).identity)
    }

    /// The names in this folder.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        names_in(&self.open_folder()?)
    }

    /// Makes the folder, in a folder that exists.
    pub(crate) fn make_folder(&self) -> io::Result<()> {
        let (folder, name) = self.opened_parent()?;
        Ok(mkdirat(&folder, name, Mode::from_raw_mode(0o777))?)
    }

    /// Whether there is a regular file, or a link to one in the held folder: links are followed as long as they
    /// stay in it.
    pub(crate) fn leads_to_a_file_within(&self) -> bool {
        self.is_file()
            || self
                .root
                .opened()
                .is_ok_and(|root| beneath::leads_to_a_file(root, &self.root.path, &self.below))
    }

    /// Makes a link that leads to `target`, in a folder that exists.
    pub(crate) fn make_link(&self, target: &Path) -> io::Result<()> {
        let (folder, name) = self.opened_parent()?;
        Ok(symlinkat(target, &folder, name)?)
    }

    /// Removes the file; of a link, the link itself.
    pub(crate) fn remove_file(&self) -> io::Result<()> {
        let (folder, name) = self.opened_parent()?;
        Ok(unlinkat(&folder, name, AtFlags::empty())?)
    }

    /// Removes whatever there is, a folder with all that it holds. Of links, only the links are removed.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let (folder, name) = self.opened_parent()?;
        remove_in(folder.as_fd(), name)
    }

    /// Gives the file or folder the name of `to`, and replaces the file that had it.
    pub(crate) fn rename(&self, to: &Self) -> io::Result<()> {
        let (from_folder, from) = self.opened_parent()?;
        let (to_folder, to) = to.opened_parent()?;
        Ok(renameat(&from_folder, from, &to_folder, to)?)
    }

    /// Exchanges the files or folders of both places in one step.
    ///
    /// # Errors
    /// `NotFound` when there is nothing at one of them; of the kinds of [`io::ErrorKind::Unsupported`] where the file
    /// system cannot do it.
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    pub(crate) fn exchange(&self, other: &Self) -> io::Result<()> {
        let (one_folder, one) = self.opened_parent()?;
        let (other_folder, other) = other.opened_parent()?;
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        Ok(rustix::fs::renameat_with(&one_folder, one, &other_folder, other, flags)?)
    }

    /// Exchanging needs a call that this system does not have.
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    pub(crate) fn exchange(&self, _: &Self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives the file another name, which must be free.
    pub(crate) fn link(&self, to: &Self) -> io::Result<()> {
        let (from_folder, from) = self.opened_parent()?;
        let (to_folder, to) = to.opened_parent()?;
        Ok(linkat(&from_folder, from, &to_folder, to, AtFlags::empty())?)
    }
}

fn names_in(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// Removes `name` from the open folder `folder`, with all that it holds if it is a folder.
fn remove_in(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        // Linux and others give different errors for a folder.
        Err(Errno::ISDIR | Errno::PERM) => {}
        removed => return Ok(removed?),
    }
    let inner = beneath::folder(folder, Path::new(""), Path::new(name))?;
    for name in names_in(&inner)? {
        match remove_in(inner.as_fd(), &name) {
            // Somebody else removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// Places are compared by their paths.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// A folder of results whose `trials/0001/last` leads to a folder with a precious file.
    fn trap() -> (tempfile::TempDir, Place) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("results/trials/0001")).unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(root.path().join("docs/precious"), "precious").unwrap();
        symlink(root.path().join("docs"), root.path().join("results/trials/0001/last")).unwrap();
        symlink(root.path().join("docs/precious"), root.path().join("results/file")).unwrap();
        let place = Place::named(root.path().join("results"));
        (root, place)
    }

    fn is_untouched(root: &tempfile::TempDir) -> bool {
        fs::read(root.path().join("docs/precious")).is_ok_and(|bytes| bytes == b"precious")
            && fs::read_dir(root.path().join("docs")).unwrap().count() == 1
    }

    #[test]
    fn nothing_is_read_or_written_through_a_link() {
        let (root, results) = trap();
        let last = results.join("trials/0001/last");
        let through = last.join("precious");
        assert!(through.open().is_err() && results.join("file").open().is_err());
        assert!(through.remove().is_err() && through.remove_file().is_err());
        assert!(last.join("new").make_file().is_err() && last.join("new").make_folder().is_err());
        assert!(results.join("file").open_for_append().is_err());
        assert!(results.join("file").open_or_make().is_err());
        assert!(last.names().is_err() && last.held().is_err() && last.identity().is_err());
        assert!(!last.is_folder() && !through.exists() && last.exists());
        assert!(is_untouched(&root));
    }

    #[test]
    fn removing_a_folder_removes_the_links_in_it_and_nothing_behind_them() {
        let (root, results) = trap();
        results.join("trials").remove().unwrap();
        assert!(!results.join("trials").exists());
        assert!(is_untouched(&root));
    }

    #[test]
    fn removing_a_link_removes_the_link() {
        let (root, results) = trap();
        results.join("trials/0001/last").remove().unwrap();
        assert_eq!(results.join("trials/0001").names().unwrap(), [""; 0]);
        assert!(is_untouched(&root));
    }

    #[test]
    fn a_folder_that_is_held_is_the_same_after_it_was_moved() {
        let (root, results) = trap();
        let trials = results.join("trials").held().unwrap();
        fs::rename(root.path().join("results/trials"), root.path().join("elsewhere")).unwrap();
        fs::create_dir(root.path().join("results/trials")).unwrap();
        io::Write::write_all(&mut trials.join("new").make_file().unwrap(), b"x").unwrap();
        assert_eq!(fs::read(root.path().join("elsewhere/new")).unwrap(), b"x");
        assert_ne!(trials.identity().unwrap(), FolderIdentity::at(trials.path()).unwrap());
    }

    #[test]
    fn a_name_cannot_lead_out() {
        let (root, results) = trap();
        for name in ["../docs/precious", "/etc/passwd", "trials/../../docs/precious"] {
            assert!(results.join(name).open().is_err(), "{name}");
            assert!(results.join(name).remove().is_err(), "{name}");
        }
        assert!(results.remove().is_err(), "the held folder itself");
        assert!(is_untouched(&root));
    }

    #[test]
    fn the_way_to_the_named_folder_may_have_links() {
        let (root, _) = trap();
        symlink(root.path().join("docs"), root.path().join("way")).unwrap();
        assert_eq!(Place::named(root.path().join("way")).join("precious").read().unwrap(), b"precious");
    }

    #[test]
    fn places_of_the_same_path_are_equal() {
        let one = Place::named("results").join("first").join("plan.json");
        assert_eq!(one, Place::named("results/first").join("plan.json"));
        assert_eq!((one.name(), one.parent().unwrap().name()), ("plan.json".to_owned(), "first".to_owned()));
        assert_eq!(one.beside("trials").path(), Path::new("results/first/trials"));
    }
}
