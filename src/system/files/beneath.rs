//! Opening what lies below a folder that is held open, without following a link anywhere on the way.
//!
//! A name below a folder has no `..` and is not absolute. Linux resolves it in one call, `openat2(2)`
//! with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`. Where that call is missing, each folder on the
//! way is opened by itself with `O_NOFOLLOW`, which keeps the same promise.

#![expect(clippy::disallowed_methods, reason = "opens only what is below an open folder")]

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, statat},
    io::Errno,
};

/// How folders are opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How files are opened, besides for reading or writing. A FIFO is then opened at once instead of waited for,
/// and refused.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Why something below a held folder is not touched.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(
        "{} is a symbolic link, and nothing below a folder of results or of a cache is followed; remove the link, \
         or put what it points to in its place",
        .0.display()
    )]
    Link(PathBuf),
    #[error("{} is {kind}, not a regular file; remove it", path.display())]
    Special { path: PathBuf, kind: &'static str },
    #[error("{} would lead out of its folder", .0.display())]
    Outside(PathBuf),
}

fn refuse(refusal: Refusal) -> io::Error {
    io::Error::other(refusal)
}

/// Whether the error says that a link, a device or the like was refused.
#[cfg(test)]
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method's name is longer")]
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|source| source.is::<Refusal>())
}

/// The error for a name that would lead out of its folder.
pub(super) fn outside(path: &Path) -> io::Error {
    refuse(Refusal::Outside(path.to_owned()))
}

/// Whether every part of `below` is the name of something in the folder before it.
pub(super) fn is_below(below: &Path) -> bool {
    below.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Opens the folder `below` the open folder `root`, which is called `called` in errors.
pub(super) fn folder(root: BorrowedFd<'_>, called: &Path, below: &Path) -> io::Result<OwnedFd> {
    if !is_below(below) {
        return Err(outside(&called.join(below)));
    }
    let name = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    match resolve(root, name).unwrap_or_else(|| walk(root, name)) {
        Err(Errno::LOOP | Errno::NOTDIR) => Err(obstacle(root, called, below)),
        opened => Ok(opened?),
    }
}

/// Opens the folder `below` by one call; `None` where the system has no such call.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn resolve(root: BorrowedFd<'_>, below: &Path) -> Option<rustix::io::Result<OwnedFd>> {
    use rustix::fs::{ResolveFlags, openat2};
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, below, FOLDER, Mode::empty(), inside) {
        // Older kernels do not have the call, and the filters of some containers forbid it.
        Err(Errno::NOSYS | Errno::PERM) => None,
        opened => Some(opened),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn resolve(_: BorrowedFd<'_>, _: &Path) -> Option<rustix::io::Result<OwnedFd>> {
    None
}

/// Whether the name `below` leads to a regular file, where links are followed as long as they stay below `root`,
/// which is called `called`.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn leads_to_a_file(root: BorrowedFd<'_>, called: &Path, below: &Path) -> bool {
    use rustix::fs::{ResolveFlags, openat2};
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, below, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), inside) {
        Err(Errno::NOSYS | Errno::PERM) => leads_to_a_file_of(called, below),
        opened => opened.and_then(fstat).is_ok_and(|stat| is_file(&stat)),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn leads_to_a_file(_: BorrowedFd<'_>, called: &Path, below: &Path) -> bool {
    leads_to_a_file_of(called, below)
}

/// As [`leads_to_a_file`], by comparing the paths behind all links.
fn leads_to_a_file_of(called: &Path, below: &Path) -> bool {
    let (Ok(root), Ok(found)) = (called.canonicalize(), called.join(below).canonicalize()) else {
        return false;
    };
    found.starts_with(root) && found.is_file()
}

fn is_file(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Opens the folder `below` folder by folder.
fn walk(root: BorrowedFd<'_>, below: &Path) -> rustix::io::Result<OwnedFd> {
    let mut at = openat(root, ".", FOLDER, Mode::empty())?;
    for part in below.components() {
        at = openat(&at, part.as_os_str(), FOLDER, Mode::empty())?;
    }
    Ok(at)
}

/// What is in the way to the folder `below`: a link, or something that is no folder.
fn obstacle(root: BorrowedFd<'_>, called: &Path, below: &Path) -> io::Error {
    let not_a_folder = io::Error::from(Errno::NOTDIR);
    let Ok(mut at) = openat(root, ".", FOLDER, Mode::empty()) else { return not_a_folder };
    let mut path = called.to_owned();
    for part in below.components() {
        path.push(part);
        let Ok(opened) = openat(&at, part.as_os_str(), FOLDER, Mode::empty()) else {
            let is_link = kind(at.as_fd(), part.as_os_str()).is_ok_and(|kind| kind == FileType::Symlink);
            return if is_link { refuse(Refusal::Link(path)) } else { not_a_folder };
        };
        at = opened;
    }
    not_a_folder
}

fn kind(folder: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<FileType> {
    Ok(FileType::from_raw_mode(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
}

/// Opens the regular file `name` in the open folder `folder`, which is called `called` in errors. `how` says
/// whether it is read or written, and whether it is made when it is missing.
pub(super) fn file(folder: BorrowedFd<'_>, called: &Path, name: &OsStr, how: OFlags) -> io::Result<File> {
    let refused = |kind| match kind {
        FileType::Symlink => refuse(Refusal::Link(called.join(name))),
        FileType::Directory => Errno::ISDIR.into(),
        kind => refuse(Refusal::Special { path: called.join(name), kind: describe(kind) }),
    };
    let opened = match openat(folder, name, how | FILE, Mode::from_raw_mode(0o666)) {
        // A link; a FIFO without a reader or a socket; a device that is not there.
        Err(error @ (Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::MLINK)) => {
            return Err(kind(folder, name).map_or(error.into(), refused));
        }
        opened => opened?,
    };
    match FileType::from_raw_mode(fstat(&opened)?.st_mode) {
        FileType::RegularFile => Ok(opened.into()),
        kind => Err(refused(kind)),
    }
}

fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with the folder `in/deep` and links to that and to a folder outside.
    fn tree() -> (tempfile::TempDir, OwnedFd) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("root/in/deep")).unwrap();
        std::fs::create_dir(root.path().join("outside")).unwrap();
        std::fs::write(root.path().join("root/file"), "x").unwrap();
        symlink("in", root.path().join("root/alias")).unwrap();
        symlink("../../outside", root.path().join("root/in/out")).unwrap();
        symlink("/", root.path().join("root/top")).unwrap();
        let opened = rustix::fs::open(root.path().join("root"), FOLDER, Mode::empty()).unwrap();
        (root, opened)
    }

    #[test]
    fn one_call_and_the_walk_open_the_same_folders_and_refuse_the_same() {
        let (_tree, root) = tree();
        for (below, is_opened) in [
            (".", true),
            ("in", true),
            ("in/deep", true),
            ("absent", false),
            ("file", false),
            ("alias", false),
            ("alias/deep", false),
            ("in/out", false),
            ("top", false),
            ("top/etc", false),
        ] {
            let below = Path::new(below);
            assert_eq!(walk(root.as_fd(), below).is_ok(), is_opened, "{}", below.display());
            if let Some(resolved) = resolve(root.as_fd(), below) {
                assert_eq!(resolved.is_ok(), is_opened, "{}", below.display());
            }
        }
    }

    #[test]
    fn the_link_on_the_way_is_named() {
        let (_tree, root) = tree();
        let error = folder(root.as_fd(), Path::new("r"), Path::new("in/out/more")).unwrap_err();
        assert!(
            is_refusal(&error) && error.to_string().starts_with("r/in/out is a symbolic link"),
            "{error}"
        );
        let error = folder(root.as_fd(), Path::new("r"), Path::new("file/more")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn a_name_that_leads_out_is_refused() {
        let (_tree, root) = tree();
        for below in ["..", "in/../..", "/etc"] {
            let error = folder(root.as_fd(), Path::new("r"), Path::new(below)).unwrap_err();
            assert!(is_refusal(&error), "{error}");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let (tree, root) = tree();
        let fifo = tree.path().join("root/fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::from_raw_mode(0o600)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(tree.path().join("root/socket")).unwrap();
        for (name, what) in [("fifo", "a FIFO"), ("socket", "a socket"), ("alias", "a symbolic link")] {
            for how in [OFlags::RDONLY, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE] {
                let error = file(root.as_fd(), Path::new("r"), OsStr::new(name), how).unwrap_err();
                assert!(error.to_string().contains(what), "{name}: {error}");
            }
        }
        let error = file(root.as_fd(), Path::new("r"), OsStr::new("in"), OFlags::RDONLY).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}
