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
mod tests {
    use proptest::prelude::*;

    use std::fs;

    use super::*;
    use crate::{
        system::device::Device,
        trial::{Failure, FailureKind},
    };

    fn events() -> impl Strategy<Value = Vec<(Option<TrialId>, Event)>> {
        let event = prop_oneof![
            (1_u32..4, 0_usize..3, any::<bool>()).prop_map(|(attempt, slot, alone)| Event::Started {
                attempt,
                device: Device::Cpu { slot, threads: 1 },
                micro_batch: alone.then_some(slot),
                alone,
                with: (0..attempt - 1).map(TrialId).collect(),
            }),
            (".{0,12}", any::<bool>()).prop_map(|(message, retry)| Event::Failed {
                failure: Failure { kind: FailureKind::Signal(9), message },
                retry
            }),
            any::<bool>().prop_map(|interrupted| Event::SweepEnded { interrupted }),
            Just(Event::Interrupted),
        ];
        prop::collection::vec((prop::option::of((1_u32..9).prop_map(TrialId)), event), 1..6)
    }

    fn written(path: &Place, events: &[(Option<TrialId>, Event)]) -> Vec<Record> {
        let (mut journal, _) = Journal::open(path).unwrap();
        let at = SystemTime::UNIX_EPOCH;
        events.iter().map(|(trial, event)| journal.append(*trial, event.clone(), at).unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_log_cut_at_any_byte_replays_to_a_prefix_and_can_be_appended_to(events in events()) {
            let folder = tempfile::tempdir().unwrap();
            let path = Place::named(folder.path()).join("events.jsonl");
            let records = written(&path, &events);
            let bytes = fs::read(&path).unwrap();
            for cut in 0..=bytes.len() {
                let mut whole = Vec::new();
                let found = read(path.path(), &bytes[..cut], &mut |record| whole.push(record)).unwrap();
                let breaks = bytes[..cut].split(|&byte| byte == b'\n').count() - 1;
                prop_assert_eq!(&whole, &records[..breaks]);
                prop_assert_eq!(found.torn_bytes == 0, cut == 0 || bytes[cut - 1] == b'\n');
            }
            let cut = bytes.len() - 1;
            fs::write(&path, &bytes[..cut]).unwrap();
            let (mut journal, _) = Journal::open(&path).unwrap();
            journal.append(None, Event::Interrupted, SystemTime::UNIX_EPOCH).unwrap();
            let again = replay(&path).unwrap();
            prop_assert_eq!(again.records.len(), records.len());
            prop_assert_eq!(again.torn_bytes, 0);
        }
    }

    #[test]
    fn after_a_record_that_was_not_written_whole_none_is_written_behind_it() {
        // A device that is full at once, and that cannot be cut off.
        let file = File::options().append(true).open("/dev/full").unwrap();
        let mut journal = Journal { file, place: Place::of("log"), length: 0, next_seq: 1, is_torn: false };
        let mut append = || match journal.append(None, Event::Interrupted, SystemTime::UNIX_EPOCH) {
            Err(JournalError::Io { operation, source, .. }) => (operation, source.kind()),
            other => panic!("{other:?}"),
        };
        assert_eq!(append(), ("append to", io::ErrorKind::StorageFull));
        assert_eq!(append().0, "truncate");
    }

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = Place::named(folder.path()).join("events.jsonl");
        fs::write(&path, text).unwrap();
        let message = Journal::open(&path).unwrap_err().to_string();
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "a refused log stays as it is");
        message.replace(&format!("{}/", folder.path().display()), "")
    }

    const FIRST: &str = "{\"v\":1,\"seq\":1,\"at\":\"x\",\"event\":\"interrupted\"}\n";

    #[test]
    fn a_missing_record_is_refused() {
        let text = format!("{FIRST}{}", FIRST.replace("\"seq\":1", "\"seq\":3"));
        assert_eq!(
            refused(&text),
            format!(
                "events.jsonl line 2 has number 3 where 2 should stand: the log was edited or damaged; {RESTART}"
            )
        );
    }

    #[test]
    fn a_record_of_a_later_version_is_refused_whatever_else_it_says() {
        let later = LOG_VERSION + 1;
        let text = format!("{FIRST}{{\"v\":{later},\"seq\":2,\"event\":{{\"unheard_of\":[]}}}}\n");
        assert_eq!(
            refused(&text),
            format!(
                "events.jsonl line 2 was written by a later version (log format {later}, this program reads up to \
                 {LOG_VERSION}); use that version, or forget the sweep's results: sweep run SPEC --fresh"
            )
        );
    }

    #[test]
    fn garbage_before_the_last_line_is_refused() {
        let message = refused(&format!("garbage\n{FIRST}"));
        assert!(message.starts_with("events.jsonl line 1 is not a record") && message.contains("--fresh"));
    }

    #[test]
    fn a_last_line_of_garbage_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = Place::named(folder.path()).join("events.jsonl");
        fs::write(&path, format!("{FIRST}\0\0\0\n")).unwrap();
        let (_, replay) = Journal::open(&path).unwrap();
        assert_eq!((replay.records.len(), replay.torn_bytes), (1, 4));
        assert_eq!(fs::read_to_string(&path).unwrap(), FIRST);
    }

    #[test]
    fn a_tail_of_which_nothing_was_synced_is_torn_whatever_of_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = Place::named(folder.path()).join("events.jsonl");
        let resumed = |seq: u64| {
            FIRST
                .replace("\"seq\":1", &format!("\"seq\":{seq}"))
                .replace("\"interrupted\"", "{\"resumed\":{\"step\":3,\"epoch\":0.5}}")
        };
        let tail = format!("\0\0{}{}{{\"v\":1,", resumed(2), resumed(3));
        fs::write(&path, format!("{FIRST}{tail}")).unwrap();
        let (_, replay) = Journal::open(&path).unwrap();
        assert_eq!((replay.records.len(), replay.torn_bytes), (1, tail.len() as u64));
        // A state change after it was synced with all before it: then it is damage.
        let text = format!("{FIRST}\0{}{}", resumed(2), FIRST.replace("\"seq\":1", "\"seq\":3"));
        assert!(refused(&text).starts_with("events.jsonl line 2 is not a record"));
    }

    /// A log with three records, its bytes, and a tail of it.
    fn tail() -> (tempfile::TempDir, Place, Vec<u8>, Tail) {
        let folder = tempfile::tempdir().unwrap();
        let path = Place::named(folder.path()).join("events.jsonl");
        let failed = || (Some(TrialId(1)), Event::Interrupted);
        written(&path, &[failed(), failed(), failed()]);
        let bytes = fs::read(&path).unwrap();
        (folder, path.clone(), bytes, Tail::new(path))
    }

    #[test]
    fn a_tail_gives_each_record_once_and_waits_for_half_a_record() {
        let (_folder, path, bytes, mut tail) = tail();
        let mut seen = Vec::new();
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            tail.read(&mut |record| seen.push(record.seq)).unwrap();
        }
        assert_eq!(seen, [1, 2, 3]);
    }

    #[test]
    fn a_tail_waits_while_there_is_no_log() {
        let (_folder, path, _, mut tail) = tail();
        fs::remove_file(&path).unwrap();
        assert_eq!(tail.read(&mut |_| ()).unwrap(), Growth::By(0));
    }

    #[test]
    fn a_tail_notices_that_its_log_was_replaced_or_cut_off() {
        let (folder, path, bytes, mut tail) = tail();
        assert_eq!(tail.read(&mut |_| ()).unwrap(), Growth::By(3));
        let other = folder.path().join("other");
        fs::write(&other, [&bytes[..], &bytes].concat()).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(tail.read(&mut |_| ()).unwrap(), Growth::Replaced);
        let mut tail = Tail::new(path.clone());
        tail.read(&mut |_| ()).unwrap();
        fs::write(&path, &bytes[..10]).unwrap();
        assert_eq!(tail.read(&mut |_| ()).unwrap(), Growth::Replaced);
    }

    #[test]
    fn a_tail_refuses_the_log_of_a_later_version() {
        let (_folder, path, bytes, mut tail) = tail();
        let later =
            String::from_utf8(bytes).unwrap().replacen(&format!("\"v\":{LOG_VERSION}"), "\"v\":99", 1);
        fs::write(&path, later).unwrap();
        assert!(matches!(tail.read(&mut |_| ()), Err(JournalError::Version { found: 99, line: 1, .. })));
    }
}
