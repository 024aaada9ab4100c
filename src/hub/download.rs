//! Downloads a file of the hub into the cache: an interrupted download is resumed, and a file gets its name
//! after its size and digest were checked.
//!
//! `hf-hub` downloads files too, but is not used here. If a server ignores the requested range, it appends
//! the whole file; after a failed resumption it starts at byte 0; it checks neither size nor SHA-256; and it
//! waits for ever for a server that stops sending.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{
    cache::ModelCache,
    client::{Client, FileIdentity},
    error::{Damage, HubError},
    flow::Flowing,
    id::HubId,
    meter::Meter,
};
use crate::system::files::{self, Place};

/// New bytes after which an interrupted attempt does not count as a failure.
const PROGRESS_MIN: u64 = 1 << 20;
/// Bytes of a file with weights: those of 16 thousand million parameters. Larger models are in several files.
const WEIGHTS_BYTES_MAX: u64 = 64 << 30;
/// Attempts at a question to the hub; its answers are small.
const QUESTION_ATTEMPTS_MAX: u32 = 3;

/// The number of attempts at a request, and the time between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Consecutive attempts at a download that bring less than a mebibyte each; at least 1.
    pub attempts: u32,
    /// The time before the second attempt; doubled before each further attempt.
    pub wait: Duration,
    /// The time in which 16 KiB of an answer must come, or its end.
    pub window: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { attempts: 5, wait: Duration::from_millis(500), window: Duration::from_mins(1) }
    }
}

impl Pace {
    /// Waits after this many failures.
    fn sleep(self, failures: u32) {
        std::thread::sleep(self.wait.saturating_mul(1 << failures.saturating_sub(1).min(6)));
    }

    /// The answer of `ask`, which is tried up to three times while the network is at fault.
    pub(super) fn patiently<T>(self, ask: impl Fn() -> Result<T, HubError>) -> Result<T, HubError> {
        let mut failures = 0;
        loop {
            failures += 1;
            match ask() {
                Err(error) if error.is_passing() && failures < self.attempts.min(QUESTION_ATTEMPTS_MAX) => {
                    self.sleep(failures);
                }
                answer => return answer,
            }
        }
    }
}

/// The downloads of one commit.
pub(super) struct Downloads<'a> {
    pub(super) client: &'a Client,
    pub(super) cache: &'a ModelCache,
    /// The commit.
    pub(super) id: &'a HubId,
    pub(super) pace: Pace,
    pub(super) is_terminal: bool,
}

/// A file that is being downloaded.
struct PartialFile<'a> {
    name: &'a str,
    identity: FileIdentity,
    /// The bytes so far.
    part: File,
    place: &'a Place,
    path: &'a Path,
}

impl Downloads<'_> {
    /// Downloads `file` unless it is in the cache, and shows its progress if `is_shown`.
    pub(super) fn fetch(&self, file: &str, is_shown: bool) -> Result<(), HubError> {
        let commit = self.id.revision();
        if self.cache.has(commit, file) {
            return Ok(());
        }
        let identity = self.pace.patiently(|| self.client.identity(self.id, file))?;
        if let Some(size) = identity.size.filter(|size| *size > bytes_max(file)) {
            return Err(self.too_large(file, Some(size)));
        }
        let etag = identity.etag.clone();
        let blob = self.cache.blob(&etag);
        let _lock = self.cache.lock(&etag)?;
        if !blob.is_file() {
            let place = self.cache.incomplete_blob(&etag);
            if let Some(folder) = place.parent() {
                files::create_folder(&folder).map_err(HubError::io("create", folder.path()))?;
            }
            let part = place.open_or_make().map_err(HubError::io("open", place.path()))?;
            let path = place.path();
            self.complete(&mut PartialFile { name: file, identity, part, place: &place, path }, is_shown)?;
            place.rename(&blob).map_err(HubError::io("rename", path))?;
        }
        self.cache.link(commit, file, &etag)
    }

    /// Downloads the whole file and checks it; a damaged file is deleted.
    fn complete(&self, file: &mut PartialFile<'_>, is_shown: bool) -> Result<(), HubError> {
        if file.identity.size.is_some_and(|size| file.length().is_ok_and(|found| found > size)) {
            file.cut(0)?;
        }
        let found = file.length()?;
        let what = format!("{} {}", self.id.model(), file.name);
        let meter = if is_shown {
            Meter::new(&what, file.identity.size, found, self.is_terminal)
        } else {
            Meter::silent()
        };
        self.fill(file, &meter)?;
        if found > 0 && file.fault()?.is_some() {
            // The bytes of an earlier process may be damaged: a power cut can lose bytes in the middle.
            file.cut(0)?;
            self.fill(file, &meter)?;
        }
        if let Some(damage) = file.fault()? {
            file.place.remove_file().map_err(HubError::io("remove", file.path))?;
            let (id, file) = (self.id.to_string(), file.name.to_owned());
            return Err(HubError::Damaged { id, file, damage });
        }
        file.part.sync_all().map_err(HubError::io("write", file.path))
    }

    /// Downloads the missing bytes, in attempts that go on until too many in a row bring too little.
    fn fill(&self, file: &mut PartialFile<'_>, meter: &Meter) -> Result<(), HubError> {
        let size = file.identity.size;
        let mut have_max = file.length()?;
        let mut failures = 0;
        while size.is_none_or(|size| file.length().is_ok_and(|have| have < size)) {
            let end = self.attempt(file, meter);
            let have = file.length()?;
            if size.is_none() && have > bytes_max(file.name) {
                file.place.remove_file().map_err(HubError::io("remove", file.path))?;
                return Err(self.too_large(file.name, None));
            }
            let source = match end {
                Ok(Ok(())) if size.is_none_or(|size| have >= size) => return Ok(()),
                Ok(Ok(())) => io::ErrorKind::UnexpectedEof.into(),
                Ok(Err(source)) => source,
                Err(HubError::Busy { status: 416, url }) => {
                    file.cut(0)?;
                    io::Error::other(format!("{url} has no such range"))
                }
                Err(error) if error.is_passing() && failures + 1 < self.pace.attempts => {
                    io::Error::other(error)
                }
                Err(error) => return Err(error),
            };
            failures = if have >= have_max.saturating_add(PROGRESS_MIN) { 1 } else { failures + 1 };
            have_max = have_max.max(have);
            if failures >= self.pace.attempts {
                let (id, file) = (self.id.to_string(), file.name.to_owned());
                return Err(HubError::Cut { id, file, attempts: failures, have, size, source });
            }
            self.pace.sleep(failures);
        }
        Ok(())
    }

    /// The error for a file of more bytes than such a file has.
    fn too_large(&self, file: &str, size: Option<u64>) -> HubError {
        let (id, file, bytes_max) = (self.id.to_string(), file.to_owned(), bytes_max(file));
        HubError::TooLarge { id, file, size, bytes_max }
    }

    /// Downloads bytes over one connection. The inner error is the connection's, and can be retried.
    fn attempt(&self, file: &mut PartialFile<'_>, meter: &Meter) -> Result<io::Result<()>, HubError> {
        let have = file.length()?;
        let bytes = self.client.bytes(self.id, file.name, have)?;
        // A server without support for ranges sends the file from its beginning.
        file.cut(bytes.start)?;
        let end = file.identity.size.unwrap_or_else(|| bytes_max(file.name));
        let rest = end - bytes.start.min(end);
        // One byte more than expected is enough to notice a file that is too long.
        let mut reader = Flowing::new(bytes.reader, self.pace.window).take(rest.saturating_add(1));
        let mut at = bytes.start;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => return Ok(Ok(())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error)),
            };
            let read = buffer.get(..count).unwrap_or_default();
            file.part.write_all(read).map_err(HubError::io("write", file.path))?;
            at += count as u64;
            meter.at(at);
        }
    }
}

/// The largest number of bytes that a file of this name may have.
fn bytes_max(file: &str) -> u64 {
    let is_small = Path::new(file).extension().is_some_and(|ending| ending == "json" || ending == "txt");
    if is_small { files::SMALL_BYTES_MAX } else { WEIGHTS_BYTES_MAX }
}

impl PartialFile<'_> {
    fn length(&self) -> Result<u64, HubError> {
        Ok(self.part.metadata().map_err(HubError::io("look at", self.path))?.len())
    }

    /// Truncates the file to `length` bytes and continues there.
    fn cut(&mut self, length: u64) -> Result<(), HubError> {
        let cut = self.part.set_len(length).and_then(|()| self.part.seek(SeekFrom::Start(length)));
        cut.map(|_| ()).map_err(HubError::io("write", self.path))
    }

    /// The difference of the file from its identity on the hub; `None` if it is intact.
    fn fault(&mut self) -> Result<Option<Damage>, HubError> {
        let (have, etag) = (self.length()?, &self.identity.etag);
        if let Some(size) = self.identity.size.filter(|size| *size != have) {
            return Ok(Some(Damage::Size { expected: size, found: have }));
        }
        // The etag of a small file is git's SHA-1 of the file and a header, which is not checked.
        if etag.len() != 64 || !etag.chars().all(|c| c.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let mut hash = Sha256::new();
        let read = self.part.rewind().and_then(|()| io::copy(&mut self.part, &mut hash));
        read.map_err(HubError::io("read", self.path))?;
        let found = format!("{:x}", hash.finalize());
        let is_same = found.eq_ignore_ascii_case(etag);
        Ok((!is_same).then(|| Damage::Digest { expected: etag.clone(), found }))
    }
}
