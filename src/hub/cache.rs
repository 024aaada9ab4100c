//! A model's folder in the cache, which `huggingface_hub` uses too.
//!
//! ```text
//! models--owner--name/
//!   blobs/<etag>                 the bytes of a whole file; <etag>.incomplete during its download
//!   refs/<branch or tag>         its commit when the hub was last asked
//!   snapshots/<commit>/<file>    a link to the file's bytes
//!   .no_exist/<commit>/<file>    empty: the commit is known not to have this file
//! .locks/models--owner--name/<etag>.lock
//! ```

use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use hf_hub::{Cache, CacheRepo};

use super::{
    client,
    error::HubError,
    id::{HubId, is_commit},
};
use crate::system::files::{self, Place};

/// A model's folder.
pub(super) struct ModelCache {
    /// The folder of all models. Nothing in it is followed, but for the links of the layout above, which stay in it.
    root: Place,
    /// The name of this model's folder.
    name: String,
    repo: CacheRepo,
}

/// The exclusive right to write a blob, until it is dropped.
pub(super) struct BlobLock {
    _file: File,
}

impl ModelCache {
    pub(super) fn new(root: &Path, id: &HubId) -> Self {
        let repo = client::repo(id);
        let name = repo.folder_name();
        Self { root: Place::named(root), name, repo: Cache::new(root.to_owned()).repo(repo) }
    }

    /// The folder with the files of `commit`.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.repo.pointer_path(commit)
    }

    /// The blob `etag`, which may not exist yet.
    pub(super) fn blob(&self, etag: &str) -> Place {
        self.folder().join("blobs").join(etag)
    }

    /// The blob `etag` during its download.
    pub(super) fn incomplete_blob(&self, etag: &str) -> Place {
        self.blob(&format!("{etag}.incomplete"))
    }

    /// Whether the whole `file` of `commit` is in the cache.
    pub(super) fn has(&self, commit: &str, file: &str) -> bool {
        self.pointer(commit, file).leads_to_a_file_within()
    }

    /// Whether `commit` is known not to have `file`.
    pub(super) fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absence(commit, file).exists()
    }

    /// Records that `commit` does not have `file`.
    pub(super) fn note_absence(&self, commit: &str, file: &str) -> Result<(), HubError> {
        let place = self.absence(commit, file);
        if place.exists() {
            return Ok(());
        }
        files::write_atomically(&place, b"").map_err(HubError::io("write", place.path()))
    }

    /// The commit of `revision` when the hub was last asked.
    pub(super) fn commit_of(&self, revision: &str) -> Option<String> {
        let commit = self.reference(revision).read_to_string().ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Records that `revision` is `commit`.
    pub(super) fn note_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let place = self.reference(revision);
        files::write_atomically(&place, commit.as_bytes()).map_err(HubError::io("write", place.path()))
    }

    /// Links the blob `etag` as `file` of `commit`.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), HubError> {
        let pointer = self.pointer(commit, file);
        let target = Path::new("../../blobs").join(etag);
        if let Some(folder) = pointer.parent() {
            files::create_folder(&folder).map_err(HubError::io("create", folder.path()))?;
        }
        match pointer.make_link(&target) {
            // The link's blob was deleted, or it leads out of the cache. (A link to an existing blob is fine:
            // another process may have just made it.)
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && !pointer.leads_to_a_file_within() =>
            {
                pointer.remove_file().map_err(HubError::io("replace", pointer.path()))?;
                pointer.make_link(&target).map_err(HubError::io("link", pointer.path()))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(HubError::io("link", pointer.path())),
        }
    }

    /// Waits until no other process writes the blob `etag`, with the lock file of `huggingface_hub`.
    pub(super) fn lock(&self, etag: &str) -> Result<BlobLock, HubError> {
        let folder = self.root.join(".locks").join(&self.name);
        let place = folder.join(format!("{etag}.lock"));
        files::create_folder(&folder).map_err(HubError::io("create", folder.path()))?;
        let file = place.open_or_make().map_err(HubError::io("open", place.path()))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let _ = writeln!(io::stderr(), "waiting for another process that downloads the same file");
        }
        file.lock().map_err(HubError::io("lock", place.path()))?;
        Ok(BlobLock { _file: file })
    }

    /// The model's folder.
    fn folder(&self) -> Place {
        self.root.join(&self.name)
    }

    /// The link to the bytes of `file` of `commit`.
    fn pointer(&self, commit: &str, file: &str) -> Place {
        self.folder().join("snapshots").join(commit).join(file)
    }

    /// The file with the commit of `revision`.
    fn reference(&self, revision: &str) -> Place {
        self.folder().join("refs").join(revision)
    }

    /// The empty file that records that `commit` does not have `file`.
    fn absence(&self, commit: &str, file: &str) -> Place {
        self.folder().join(".no_exist").join(commit).join(file)
    }
}
