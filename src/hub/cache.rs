//! A model's folder in the cache that `huggingface_hub` shares with us.
//!
//! ```text
//! models--owner--name/
//!   blobs/<etag>                 a file's bytes, whole; <etag>.incomplete while they come
//!   refs/<branch or tag>         the commit that it was when it was last asked for
//!   snapshots/<commit>/<file>    a link to the file's bytes
//!   .no_exist/<commit>/<file>    empty: the commit is known not to have this file
//! .locks/models--owner--name/<etag>.lock
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use hf_hub::{Cache, CacheRepo};

use super::{
    client,
    error::HubError,
    id::{HubId, is_commit},
};
use crate::system::files;

/// A model's folder.
pub(super) struct ModelCache {
    /// The folder of all models.
    root: PathBuf,
    /// The name of this model's folder.
    name: String,
    repo: CacheRepo,
}

/// The right to write a blob; given back when dropped.
pub(super) struct BlobLock {
    _file: File,
}

impl ModelCache {
    pub(super) fn new(root: &Path, id: &HubId) -> Self {
        let repo = client::repo(id);
        let name = repo.folder_name();
        Self { root: root.to_owned(), name, repo: Cache::new(root.to_owned()).repo(repo) }
    }

    /// The folder with the files of `commit`.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.repo.pointer_path(commit)
    }

    /// Where the bytes with this etag are, or will be.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.repo.blob_path(etag)
    }

    /// Where they are while they come.
    pub(super) fn incomplete_blob(&self, etag: &str) -> PathBuf {
        self.blob(&format!("{etag}.incomplete"))
    }

    /// Whether `file` of `commit` is here, whole.
    pub(super) fn has(&self, commit: &str, file: &str) -> bool {
        self.snapshot(commit).join(file).is_file()
    }

    /// Whether `commit` is known not to have `file`.
    pub(super) fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absence(commit, file).exists()
    }

    /// Remembers that `commit` does not have `file`.
    pub(super) fn note_absence(&self, commit: &str, file: &str) -> Result<(), HubError> {
        let path = self.absence(commit, file);
        if path.exists() {
            return Ok(());
        }
        files::write_atomically(&path, b"").map_err(HubError::io("write", path))
    }

    /// The commit that `revision` was when it was last asked for.
    pub(super) fn commit_of(&self, revision: &str) -> Option<String> {
        let commit = fs::read_to_string(self.reference(revision)).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Remembers that `revision` is `commit`.
    pub(super) fn note_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.reference(revision);
        files::write_atomically(&path, commit.as_bytes()).map_err(HubError::io("write", path))
    }

    /// Gives the blob `etag` the name `file` in `commit`.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), HubError> {
        let path = self.snapshot(commit).join(file);
        let target = Path::new("../../blobs").join(etag);
        fs::create_dir_all(self.snapshot(commit)).map_err(HubError::io("create", self.snapshot(commit)))?;
        match std::os::unix::fs::symlink(&target, &path) {
            // A link whose blob was thrown away, or one that another process has just made.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !path.exists() => {
                fs::remove_file(&path).map_err(HubError::io("replace", &path))?;
                std::os::unix::fs::symlink(&target, &path).map_err(HubError::io("link", path))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(HubError::io("link", path)),
        }
    }

    /// Waits until nobody else writes the blob `etag`; the lock is the one of `huggingface_hub`.
    pub(super) fn lock(&self, etag: &str) -> Result<BlobLock, HubError> {
        let folder = self.root.join(".locks").join(&self.name);
        let path = folder.join(format!("{etag}.lock"));
        fs::create_dir_all(&folder).map_err(HubError::io("create", folder))?;
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(HubError::io("open", &path))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let _ = writeln!(io::stderr(), "waiting for another process that downloads the same file");
        }
        file.lock().map_err(HubError::io("lock", path))?;
        Ok(BlobLock { _file: file })
    }

    fn folder(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.folder().join("refs").join(revision)
    }

    fn absence(&self, commit: &str, file: &str) -> PathBuf {
        self.folder().join(".no_exist").join(commit).join(file)
    }
}
