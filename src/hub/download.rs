//! A file of the hub into the cache: resumed where it was cut, checked, and only then named.
//!
//! `hf-hub` has this too, and is not used for it: it appends what a server sends that ignores
//! the range asked for, asks for byte 0 again after a failed resumption, never looks at size or
//! SHA-256, and waits for ever for a server that has gone silent.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{
    cache::ModelCache,
    client::{Client, Identity},
    error::HubError,
    id::HubId,
    meter::Meter,
};

/// An attempt that brought so many new bytes is not held against a download.
const PROGRESS_MIN: u64 = 1 << 20;

/// How often something is tried, and how long it is waited in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Attempts at a download in a row that bring less than a mebibyte; at least 1.
    pub attempts: u32,
    /// Before the second attempt; doubled before each further one.
    pub wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { attempts: 5, wait: Duration::from_millis(500) }
    }
}

impl Pace {
    fn sleep(self, failures: u32) {
        std::thread::sleep(self.wait.saturating_mul(1 << failures.saturating_sub(1).min(6)));
    }

    /// What `ask` answers, asked at most three times while the network is at fault.
    pub(super) fn patiently<T>(self, ask: impl Fn() -> Result<T, HubError>) -> Result<T, HubError> {
        let mut failures = 0;
        loop {
            failures += 1;
            match ask() {
                Err(error) if error.is_passing() && failures < self.attempts.min(3) => self.sleep(failures),
                answer => return answer,
            }
        }
    }
}

/// Downloads of one commit.
pub(super) struct Downloads<'a> {
    pub(super) client: &'a Client,
    pub(super) cache: &'a ModelCache,
    /// The commit.
    pub(super) id: &'a HubId,
    pub(super) pace: Pace,
    pub(super) is_terminal: bool,
}

/// One file on its way.
struct Arrival<'a> {
    name: &'a str,
    identity: Identity,
    /// What is here of it.
    part: File,
    path: &'a Path,
}

impl Downloads<'_> {
    /// Puts `file` into the cache, unless it is there; `is_shown`: people should see that it comes.
    pub(super) fn fetch(&self, file: &str, is_shown: bool) -> Result<(), HubError> {
        let commit = self.id.revision();
        if self.cache.has(commit, file) {
            return Ok(());
        }
        let identity = self.pace.patiently(|| self.client.identity(self.id, file))?;
        let etag = identity.etag.clone();
        let blob = self.cache.blob(&etag);
        let _lock = self.cache.lock(&etag)?;
        if !blob.is_file() {
            let path = self.cache.incomplete_blob(&etag);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(HubError::io("create", folder))?;
            }
            let part = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let part = part.map_err(HubError::io("open", &path))?;
            self.complete(&mut Arrival { name: file, identity, part, path: &path }, is_shown)?;
            fs::rename(&path, &blob).map_err(HubError::io("rename", &path))?;
        }
        self.cache.link(commit, file, &etag)
    }

    /// Brings the whole file and checks it; a file that is not as it should be is thrown away.
    fn complete(&self, arrival: &mut Arrival<'_>, is_shown: bool) -> Result<(), HubError> {
        if arrival.identity.size.is_some_and(|size| arrival.length().is_ok_and(|found| found > size)) {
            arrival.cut(0)?;
        }
        let found = arrival.length()?;
        let what = format!("{} {}", self.id.model(), arrival.name);
        let meter = if is_shown {
            Meter::new(&what, arrival.identity.size, found, self.is_terminal)
        } else {
            Meter::silent()
        };
        self.fill(arrival, &meter)?;
        if found > 0 && arrival.fault()?.is_some() {
            // What an earlier process left may be at fault: a power cut loses bytes in the middle.
            arrival.cut(0)?;
            self.fill(arrival, &meter)?;
        }
        if let Some(what) = arrival.fault()? {
            fs::remove_file(arrival.path).map_err(HubError::io("remove", arrival.path))?;
            let (id, file) = (self.id.to_string(), arrival.name.to_owned());
            return Err(HubError::Damaged { id, file, what });
        }
        arrival.part.sync_all().map_err(HubError::io("write", arrival.path))
    }

    /// Brings what is missing, in as many attempts as it takes while they bring something.
    fn fill(&self, arrival: &mut Arrival<'_>, meter: &Meter) -> Result<(), HubError> {
        let size = arrival.identity.size;
        let mut most = arrival.length()?;
        let mut failures = 0;
        while size.is_none_or(|size| arrival.length().is_ok_and(|have| have < size)) {
            let end = self.attempt(arrival, meter);
            let have = arrival.length()?;
            let source = match end {
                Ok(Ok(())) if size.is_none_or(|size| have >= size) => return Ok(()),
                Ok(Ok(())) => io::ErrorKind::UnexpectedEof.into(),
                Ok(Err(source)) => source,
                Err(HubError::Busy { status: 416, url }) => {
                    arrival.cut(0)?;
                    io::Error::other(format!("{url} has no such range"))
                }
                Err(error) if error.is_passing() && failures + 1 < self.pace.attempts => {
                    io::Error::other(error)
                }
                Err(error) => return Err(error),
            };
            failures = if have >= most.saturating_add(PROGRESS_MIN) { 1 } else { failures + 1 };
            most = most.max(have);
            if failures >= self.pace.attempts {
                let (id, file) = (self.id.to_string(), arrival.name.to_owned());
                let of = size.map_or_else(String::new, |size| format!(" of {size}"));
                return Err(HubError::Cut { id, file, attempts: failures, have, of, source });
            }
            self.pace.sleep(failures);
        }
        Ok(())
    }

    /// Brings what one connection yields; the inner error is the connection's.
    fn attempt(&self, arrival: &mut Arrival<'_>, meter: &Meter) -> Result<io::Result<()>, HubError> {
        let have = arrival.length()?;
        let bytes = self.client.bytes(self.id, arrival.name, have)?;
        // A server that knows no ranges begins at the beginning.
        arrival.cut(bytes.start)?;
        let rest = arrival.identity.size.map_or(u64::MAX, |size| size - bytes.start.min(size));
        // One byte more than there should be tells too much from enough.
        let mut reader = bytes.reader.take(rest.saturating_add(1));
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
            arrival.part.write_all(read).map_err(HubError::io("write", arrival.path))?;
            at += count as u64;
            meter.at(at);
        }
    }
}

impl Arrival<'_> {
    fn length(&self) -> Result<u64, HubError> {
        Ok(self.part.metadata().map_err(HubError::io("look at", self.path))?.len())
    }

    /// Forgets all from byte `length` on, and goes there.
    fn cut(&mut self, length: u64) -> Result<(), HubError> {
        let cut = self.part.set_len(length).and_then(|()| self.part.seek(SeekFrom::Start(length)));
        cut.map(|_| ()).map_err(HubError::io("write", self.path))
    }

    /// What is wrong with the file, by what the hub said of it.
    fn fault(&mut self) -> Result<Option<String>, HubError> {
        let (have, etag) = (self.length()?, &self.identity.etag);
        if let Some(size) = self.identity.size.filter(|size| *size != have) {
            return Ok(Some(format!("it should have {size} bytes and has {have} or more")));
        }
        if etag.len() != 64 || !etag.chars().all(|c| c.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let mut hash = Sha256::new();
        let read = self.part.rewind().and_then(|()| io::copy(&mut self.part, &mut hash));
        read.map_err(HubError::io("read", self.path))?;
        let found = format!("{:x}", hash.finalize());
        let is_same = found.eq_ignore_ascii_case(etag);
        Ok((!is_same).then(|| format!("its SHA-256 should be {etag} and is {found}")))
    }
}
