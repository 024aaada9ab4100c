//! The log of a sweep, `events.jsonl`: appended, synced at every change of state, replayed at every
//! start.
//!
//! A record counts once its line break is on disk. A crash can therefore leave a
//! torn last line and nothing worse; the next writer cuts it off. Anything else
//! that cannot be read is refused: a log with a hole would be wrong about the sweep.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::Deserialize;

use crate::{
    event::{Event, LOG_VERSION, Record},
    system::{
        clock,
        files::{self, Place},
    },
    trial::TrialId,
};

/// What helps when a log is damaged.
pub(crate) const RESTART: &str =
    "put a copy in its place, or forget the sweep's results: sweep run SPEC --fresh";

/// Why a log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A later version of the program wrote it.
    #[error(
        "{} line {line} was written by a later version (log format {found}, this program reads up to {LOG_VERSION}); \
         use that version, or forget the sweep's results: sweep run SPEC --fresh",
        path.display()
    )]
    Version {
        /// The log.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// The record's version.
        found: u32,
    },
    /// A record is missing or stands twice.
    #[error(
        "{} line {line} has number {found} where {expected} should stand: the log was edited or damaged; {RESTART}",
        path.display()
    )]
    Gap {
        /// The log.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// The number that should stand there.
        expected: u64,
        /// The number that does.
        found: u64,
    },
    /// A whole line is not a record.
    #[error("{} line {line} is not a record ({RESTART})", path.display())]
    Corrupt {
        /// The log.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// Why.
        source: serde_json::Error,
    },
}

/// What a log held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Bytes of the torn last line, which do not count; 0 when the log is whole.
    pub torn_bytes: u64,
}

/// Reads a log; one that does not exist holds nothing.
///
/// # Errors
/// When the file cannot be read, or holds anything but records in order.
pub fn replay(log: &Place) -> Result<Replay, JournalError> {
    let mut records = Vec::new();
    let scanned = scan(log, &mut |record| records.push(record))?;
    Ok(scanned.with(records))
}

/// As [`replay`], with one record in memory at a time: each is given to `each`, in order.
///
/// # Errors
/// As [`replay`]; what came before has been given then.
pub fn scan(log: &Place, each: &mut dyn FnMut(Record)) -> Result<Scanned, JournalError> {
    let path = log.path();
    match log.open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Scanned::default()),
        file => {
            let file = file.map_err(io_error("read", path))?;
            read(path, BufReader::with_capacity(1 << 16, file), each)
        }
    }
}

/// The extent of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Records.
    pub records: u64,
    /// Bytes of the torn last line, which do not count; 0 when the log is whole.
    pub torn_bytes: u64,
    whole_bytes: u64,
}

impl Scanned {
    fn with(self, records: Vec<Record>) -> Replay {
        Replay { records, torn_bytes: self.torn_bytes }
    }
}

/// The records of `input`, which stand in `path`.
pub(crate) fn read(
    path: &Path,
    mut input: impl BufRead,
    each: &mut dyn FnMut(Record),
) -> Result<Scanned, JournalError> {
    let mut scanned = Scanned::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = input.read_until(b'\n', &mut line).map_err(io_error("read", path))? as u64;
        if !line.ends_with(b"\n") {
            scanned.torn_bytes = length;
            return Ok(scanned);
        }
        let number = scanned.records + 1;
        let parsed = parse(&line);
        match parsed {
            Err(Bad::Json(source)) => {
                let rest = unsynced(&mut input).map_err(io_error("read", path))?;
                // The first record is synced before anything follows it.
                let Some(rest) = rest.filter(|&rest| rest == 0 || scanned.records > 0) else {
                    return Err(JournalError::Corrupt { path: path.to_owned(), line: number, source });
                };
                scanned.torn_bytes = length + rest;
                return Ok(scanned);
            }
            Err(Bad::Version(found)) => {
                return Err(JournalError::Version { path: path.to_owned(), line: number, found });
            }
            Ok(record) if record.seq == number => {
                each(record);
                scanned.records = number;
                scanned.whole_bytes += length;
            }
            Ok(Record { seq: found, .. }) => {
                let (path, expected) = (path.to_owned(), number);
                return Err(JournalError::Gap { path, line: number, expected, found });
            }
        }
    }
}

/// The bytes of the rest of a log of which nothing was synced; `None` if something was, and all
/// before it with it. A power cut leaves any part of what was not synced, and line breaks too.
fn unsynced(mut input: impl BufRead) -> io::Result<Option<u64>> {
    let mut bytes = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line)? {
            0 => return Ok(Some(bytes)),
            length => bytes += length as u64,
        }
        match parse(&line) {
            Ok(record) if record.event.is_state_change() => return Ok(None),
            Err(Bad::Version(_)) => return Ok(None),
            Ok(_) | Err(Bad::Json(_)) => {}
        }
    }
}

enum Bad {
    Json(serde_json::Error),
    Version(u32),
}

fn parse(line: &[u8]) -> Result<Record, Bad> {
    /// The version is read by itself: the rest of a later version's record need not be known here.
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    match serde_json::from_slice::<Record>(line) {
        Ok(record) if record.v <= LOG_VERSION => Ok(record),
        Ok(Record { v, .. }) => Err(Bad::Version(v)),
        Err(error) => match serde_json::from_slice(line) {
            Ok(Versioned { v }) if v > LOG_VERSION => Err(Bad::Version(v)),
            _ => Err(Bad::Json(error)),
        },
    }
}

fn io_error<'a>(operation: &'static str, path: &'a Path) -> impl Fn(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io { operation, path: path.to_owned(), source }
}

/// A log that is read while another process appends to it.
#[derive(Debug)]
pub struct Tail {
    place: Place,
    /// Which file it is, once there is one.
    file: Option<(u64, u64)>,
    /// Bytes of the records that were read.
    bytes: u64,
    records: u64,
}

/// How a log has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// By so many records.
    By(u64),
    /// Not at all: it was replaced, or has lost records that were read.
    Replaced,
}

impl Tail {
    /// The log at `place` from its beginning; it need not exist yet.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self { place, file: None, bytes: 0, records: 0 }
    }

    /// Gives each record that has come since the last call to `each`. A last record that is not whole is waited for.
    ///
    /// # Errors
    /// When the log cannot be read, or a later version of the program wrote it.
    pub fn read(&mut self, each: &mut dyn FnMut(Record)) -> Result<Growth, JournalError> {
        let place = self.place.clone();
        let read_error = io_error("read", place.path());
        let file = match self.opened() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.records == 0 => {
                return Ok(Growth::By(0));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Growth::Replaced),
            file => file.map_err(&read_error)?,
        };
        let Some(file) = file else { return Ok(Growth::Replaced) };
        let (mut input, mut line, mut read) = (BufReader::new(file), Vec::new(), 0);
        loop {
            line.clear();
            let length = input.read_until(b'\n', &mut line).map_err(&read_error)?;
            let number = self.records + read + 1;
            match if line.ends_with(b"\n") { parse(&line) } else { break } {
                Ok(record) if record.seq == number => each(record),
                Ok(_) => return Ok(Growth::Replaced),
                // Half a record, which the next run of the sweep cuts off.
                Err(Bad::Json(_)) => break,
                Err(Bad::Version(found)) => {
                    let path = place.path().to_owned();
                    return Err(JournalError::Version { path, line: number, found });
                }
            }
            read += 1;
            self.bytes += length as u64;
        }
        self.records += read;
        Ok(Growth::By(read))
    }

    /// The log from the first record that was not read yet; `None` if it is not the file of before.
    fn opened(&mut self) -> io::Result<Option<File>> {
        use std::os::unix::fs::MetadataExt;

        let mut file = self.place.open()?;
        let about = file.metadata()?;
        let found = (about.dev(), about.ino());
        if *self.file.get_or_insert(found) != found || about.len() < self.bytes {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(self.bytes))?;
        Ok(Some(file))
    }
}

/// A log open for appending. Its sweep's lock must be held.
#[derive(Debug)]
pub struct Journal {
    file: File,
    place: Place,
    length: u64,
    next_seq: u64,
    /// Whether half a record may stand behind `length`.
    is_torn: bool,
}

impl Journal {
    /// Opens the log, or makes it; a torn last line is cut off.
    ///
    /// # Errors
    /// As [`replay`], or when the file cannot be written.
    pub fn open(log: &Place) -> Result<(Self, Replay), JournalError> {
        let mut records = Vec::new();
        let (journal, scanned) = Self::resume(log, &mut |record| records.push(record))?;
        Ok((journal, scanned.with(records)))
    }

    /// As [`Self::open`]; each record is given to `each`, in order.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn resume(log: &Place, each: &mut dyn FnMut(Record)) -> Result<(Self, Scanned), JournalError> {
        let path = log.path();
        let scanned = scan(log, each)?;
        let file = files::open_for_append(log).map_err(io_error("open", path))?;
        if scanned.torn_bytes > 0 {
            file.set_len(scanned.whole_bytes).map_err(io_error("truncate", path))?;
        }
        file.sync_all().map_err(io_error("sync", path))?;
        if let Some(folder) = log.parent() {
            let synced = folder.open_as_folder().and_then(|opened| opened.sync_all());
            synced.map_err(io_error("sync", folder.path()))?;
        }
        let (length, next_seq) = (scanned.whole_bytes, scanned.records + 1);
        Ok((Self { file, place: log.clone(), length, next_seq, is_torn: false }, scanned))
    }

    /// Refuses to write into a file that has no name any more: the records would be lost.
    fn refuse_removed(&self) -> Result<(), JournalError> {
        use std::os::unix::fs::MetadataExt;

        let is_removed = self.file.metadata().is_ok_and(|about| about.nlink() == 0);
        if is_removed {
            let source = io::Error::other("it was removed while the sweep ran; run the sweep again");
            return Err(io_error("append to", self.place.path())(source));
        }
        Ok(())
    }

    /// Appends a record and returns it once it is in the file; once it is on disk, and all before
    /// it, if it changes a state.
    ///
    /// # Errors
    /// When it cannot be written; the log is as before then, as far as the disk allows.
    pub fn append(
        &mut self,
        trial: Option<TrialId>,
        event: Event,
        at: SystemTime,
    ) -> Result<Record, JournalError> {
        self.refuse_removed()?;
        if self.is_torn {
            self.file.set_len(self.length).map_err(io_error("truncate", self.place.path()))?;
            self.is_torn = false;
        }
        let at = clock::milliseconds(at);
        let record = Record { v: LOG_VERSION, seq: self.next_seq, at, trial, event };
        let written = serde_json::to_vec(&record).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            let sync = record.event.is_state_change() || record.seq == 1;
            files::append(&mut self.file, &self.place, self.length, &line, sync)?;
            Ok(line.len() as u64)
        });
        match written {
            Ok(bytes) => {
                self.length += bytes;
                self.next_seq += 1;
                Ok(record)
            }
            Err(source) => {
                // Half a line before the next record would make the log unreadable.
                self.is_torn = self.file.set_len(self.length).is_err();
                Err(io_error("append to", self.place.path())(source))
            }
        }
    }
}

#[cfg(test)]
mod tests;
