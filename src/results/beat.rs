//! Signs of life of the process that holds a lock, for processes of other machines.
//!
//! Another machine cannot ask whether the holder still runs, and a lock of the kernel may not reach that far. The
//! holder therefore writes a new number into `.lock.beat` every ten seconds. Who sees no new number for long enough
//! takes the lock over. A holder that has not looked for a while, such as one that was suspended, looks whether the
//! lock still names it before it writes anything else.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::{
    error::ResultsError,
    holder::{self, Holder},
};
use crate::system::{clock, files::Place};

/// Between two signs of life.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// So long after it has looked, a holder is sure that nobody has taken over: less than half of [`SILENCE`].
const SURE_FOR: Duration = Duration::from_secs(30);
/// A holder without a new sign for so long is taken to be over. A network file system may show an old state of a
/// file for a minute.
pub const SILENCE: Duration = Duration::from_secs(90);
/// Between two looks of a process that waits for a sign.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Bytes of the file that are read.
const BYTES_MAX: u64 = 1 << 16;

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Beat {
    holder: Holder,
    /// Counts up. All numbers have the same length: on a full disk, a file can be written over, but not grow.
    beat: String,
}

fn file(lock: &Place) -> Place {
    lock.beside(format!("{}.beat", lock.name()))
}

/// The file's text; `None` when it cannot be read.
fn read(lock: &Place) -> Option<String> {
    let mut text = String::new();
    file(lock).open().ok()?.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

fn is_of(text: Option<&String>, holder: &Holder) -> bool {
    text.and_then(|text| serde_json::from_str::<Beat>(text).ok()).is_some_and(|beat| beat.holder == *holder)
}

/// Whether `holder` gives signs of life, so that the folder is one that several machines use.
pub(super) fn is_given_by(holder: &Holder, lock: &Place) -> bool {
    is_of(read(lock).as_ref(), holder)
}

/// Time since `holder` gave its last sign, by this machine's clock.
pub(super) fn age_of_last(holder: &Holder, lock: &Place) -> Option<Duration> {
    let about = is_given_by(holder, lock).then(|| file(lock).about().ok()).flatten()?;
    SystemTime::now().duration_since(about.modified).ok()
}

/// What the holder of a lock shows to another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Nothing: it is of a version that gives no signs, or could not.
    Unknown,
    /// It has changed something.
    Life,
    /// Nothing new for all the time, since this.
    Silence(String),
}

/// Waits until `holder` shows that it lives, for [`SILENCE`] at most. `waits` hears of it first, if it has ever given
/// a sign.
pub(super) fn watch(
    lock: &Place,
    holder: &Holder,
    waits: &dyn Fn(&Holder, Duration),
    pause: &dyn Fn(Duration),
) -> Sign {
    // It may be written just now.
    let first = read(lock).filter(|text| is_of(Some(text), holder)).or_else(|| {
        pause(LOOK_EVERY);
        read(lock).filter(|text| is_of(Some(text), holder))
    });
    let Some(first) = first else { return Sign::Unknown };
    waits(holder, SILENCE);
    let mut waited = Duration::ZERO;
    while waited < SILENCE {
        pause(LOOK_EVERY);
        waited += LOOK_EVERY;
        if !is_still(lock, &first) {
            return Sign::Life;
        }
    }
    Sign::Silence(first)
}

/// Whether the holder's latest sign is still this one.
pub(super) fn is_still(lock: &Place, sign: &str) -> bool {
    read(lock).as_deref() == Some(sign)
}

/// The right to write into a sweep's folder, as a process that has it can check it. The default is one that nobody
/// can take over, such as that of a lock that reaches everybody.
#[derive(Clone, Debug, Default)]
pub struct Tenure(Option<Arc<Watched>>);

#[derive(Debug)]
struct Watched {
    folder: PathBuf,
    lock: Place,
    me: Holder,
    /// When the lock was last seen to name this process, in time since the machine started.
    seen: Mutex<Duration>,
}

impl Tenure {
    /// That of the process `me`, which the lock names now.
    pub(super) fn new(folder: &Path, lock: &Place, me: &Holder) -> Self {
        let seen = Mutex::new(clock::since_start());
        Self(Some(Arc::new(Watched { folder: folder.to_owned(), lock: lock.clone(), me: me.clone(), seen })))
    }

    /// Checks that no other process has taken the lock over, if that is possible: nobody does so while this one gives
    /// signs of life. The lock is read only if that was some time ago.
    ///
    /// # Errors
    /// [`ResultsError::TakenOver`] when one has; [`ResultsError::Io`] when that could not be found out for long.
    pub fn check(&self) -> Result<(), ResultsError> {
        let Some(watched) = &self.0 else { return Ok(()) };
        if watched.since_seen() < SURE_FOR { Ok(()) } else { watched.look().map(drop) }
    }

    /// Whether the lock names this process now.
    pub(super) fn is_ours(&self) -> bool {
        self.0.as_ref().is_none_or(|watched| watched.look().is_ok_and(|is_ours| is_ours))
    }
}

impl Watched {
    fn since_seen(&self) -> Duration {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        clock::since_start().saturating_sub(seen)
    }

    /// Whether the lock names this process. A file that names nobody, or cannot be read, says nothing for a while:
    /// nobody takes over so soon.
    fn look(&self) -> Result<bool, ResultsError> {
        let now = clock::since_start();
        let is_early = self.since_seen() < SILENCE / 2;
        let over = |holder| ResultsError::TakenOver { folder: self.folder.clone(), holder };
        match holder::read(&self.lock) {
            Ok(named) if named == self.me => {
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
                Ok(true)
            }
            Ok(named) if named.is_known() => Err(over(named)),
            Ok(_) | Err(_) if is_early => Ok(false),
            Ok(nobody) => Err(over(nobody)),
            Err(error) => Err(ResultsError::io("read", self.lock.path())(error)),
        }
    }
}

/// The first sign of life, written before the lock names its holder: other processes must find it as soon as it does.
#[derive(Debug)]
pub(super) struct FirstSign {
    file: Place,
    signs: Signs,
}

impl FirstSign {
    pub(super) fn give(lock: &Place, me: &Holder) -> io::Result<Self> {
        let place = file(lock);
        // A process that held the lock before may still write into the file that it has open.
        match place.remove_file() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        let signs = Signs { file: place.make_file()?, me: me.clone(), count: 0 };
        let mut first = Self { file: place, signs };
        match first.signs.give() {
            Ok(()) => Ok(first),
            Err(error) => {
                first.withdraw();
                Err(error)
            }
        }
    }

    /// Removes the file: a sign that is not followed by others would say that this process is over.
    pub(super) fn withdraw(self) {
        let _ = self.file.remove_file();
    }

    /// Gives further signs from now on. Without a thread to spare, there are none, and no first one either.
    pub(super) fn follow(self, tenure: &Tenure) -> Option<Beating> {
        let Self { file, mut signs } = self;
        let watched = tenure.0.clone();
        let (stop, stopped) = mpsc::channel();
        let beat = move || {
            while stopped.recv_timeout(BEAT_EVERY) == Err(RecvTimeoutError::Timeout) {
                let named = watched.as_ref().map(|watched| watched.look());
                if matches!(named, Some(Err(ResultsError::TakenOver { holder, .. })) if holder.is_known()) {
                    return;
                }
                // What cannot be written now is written at the next turn.
                let _ = signs.give();
            }
        };
        let Ok(thread) = thread::Builder::new().name("signs of life".to_owned()).spawn(beat) else {
            let _ = file.remove_file();
            return None;
        };
        Some(Beating { tenure: tenure.clone(), file, stop: Some(stop), thread: Some(thread) })
    }
}

/// The signs of life of this process, given until the value is dropped.
#[derive(Debug)]
pub(super) struct Beating {
    tenure: Tenure,
    file: Place,
    /// Ends the thread when it is dropped.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if self.tenure.is_ours() {
            let _ = self.file.remove_file();
        }
    }
}

/// Writes signs of life.
#[derive(Debug)]
struct Signs {
    file: File,
    me: Holder,
    count: u64,
}

impl Signs {
    /// Writes over what is there, in one call. Who reads meanwhile finds something that has changed in any case.
    fn give(&mut self) -> io::Result<()> {
        self.count += 1;
        let beat = Beat { holder: self.me.clone(), beat: format!("{:020}", self.count) };
        self.file.rewind()?;
        self.file.write_all(&serde_json::to_vec(&beat)?)?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, fs};

    use super::*;

    fn elsewhere() -> Holder {
        Holder { host: "login7".to_owned(), pid: 3, started: None, since: "2026-01-05T10:22:07Z".to_owned() }
    }

    fn lock_that_names(holder: &Holder) -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".lock"), serde_json::to_vec(holder).unwrap()).unwrap();
        let lock = Place::named(folder.path()).join(".lock");
        (folder, lock)
    }

    /// A lock that names this process, with its signs.
    fn own_lock() -> (tempfile::TempDir, Place, Tenure, Beating) {
        let me = Holder::this_process();
        let (folder, lock) = lock_that_names(&me);
        let tenure = Tenure::new(folder.path(), &lock, &me);
        let beating = FirstSign::give(&lock, &me).unwrap().follow(&tenure).unwrap();
        (folder, lock, tenure, beating)
    }

    /// As it is after so much time without a look.
    fn age(tenure: &Tenure, time: Duration) {
        *tenure.0.as_ref().unwrap().seen.lock().unwrap() = clock::since_start().saturating_sub(time);
    }

    fn silently(_: &Holder, _: Duration) {}

    #[test]
    fn a_process_that_writes_lives_however_late_and_one_that_does_not_is_silent() {
        let (_folder, lock) = lock_that_names(&elsewhere());
        let mut signs = FirstSign::give(&lock, &elsewhere()).unwrap().signs;
        let (waited, said) = (Cell::new(Duration::ZERO), Cell::new(0));
        let wait = |time| waited.set(waited.get() + time);
        let waits = |_: &Holder, _| said.set(said.get() + 1);
        let Sign::Silence(sign) = watch(&lock, &elsewhere(), &waits, &wait) else {
            panic!("it says nothing")
        };
        assert_eq!((waited.get(), said.get()), (SILENCE, 1));
        assert!(is_still(&lock, &sign));

        waited.set(Duration::ZERO);
        let signs = std::cell::RefCell::new(&mut signs);
        let late = |time| {
            wait(time);
            if waited.get() == SILENCE {
                signs.borrow_mut().give().unwrap();
            }
        };
        assert_eq!(watch(&lock, &elsewhere(), &silently, &late), Sign::Life);
        assert!(!is_still(&lock, &sign));
    }

    #[test]
    fn nothing_is_known_of_a_process_that_gives_no_signs() {
        let (_folder, lock) = lock_that_names(&elsewhere());
        let waited = Cell::new(Duration::ZERO);
        let wait = |time| waited.set(waited.get() + time);
        let never = |_: &Holder, _| panic!("there is nothing to wait for");
        assert_eq!(watch(&lock, &elsewhere(), &never, &wait), Sign::Unknown);
        FirstSign::give(&lock, &Holder { pid: 4, ..elsewhere() }).unwrap();
        assert_eq!(watch(&lock, &elsewhere(), &never, &wait), Sign::Unknown, "those of an earlier holder");
        assert_eq!(waited.get(), LOOK_EVERY * 2);
    }

    #[test]
    fn the_age_of_the_last_sign_is_that_of_the_holders_own() {
        let (_folder, lock) = lock_that_names(&elsewhere());
        FirstSign::give(&lock, &elsewhere()).unwrap();
        let hour = Duration::from_hours(1);
        let written = fs::File::options().append(true).open(file(&lock).path()).unwrap();
        written.set_modified(SystemTime::now() - hour).unwrap();
        assert!(age_of_last(&elsewhere(), &lock).unwrap() >= hour);
        assert_eq!(age_of_last(&Holder { pid: 4, ..elsewhere() }, &lock), None);
    }

    #[test]
    fn every_sign_has_the_same_length() {
        let (_folder, lock) = lock_that_names(&elsewhere());
        let mut signs = FirstSign::give(&lock, &elsewhere()).unwrap().signs;
        let first = read(&lock).unwrap();
        signs.count = u64::MAX - 1;
        signs.give().unwrap();
        let last = read(&lock).unwrap();
        assert!(is_of(Some(&last), &elsewhere()));
        assert_eq!(last.len(), first.len());
    }

    #[test]
    fn a_process_that_was_suspended_finds_out_that_another_one_has_taken_over() {
        let (_folder, lock, tenure, beating) = own_lock();
        tenure.check().unwrap();
        fs::write(lock.path(), serde_json::to_vec(&elsewhere()).unwrap()).unwrap();
        tenure.check().unwrap();
        age(&tenure, SURE_FOR);
        let message = tenure.check().unwrap_err().to_string();
        assert!(message.contains("taken over by pid 3 on login7"), "{message}");

        fs::write(file(&lock).path(), "the other's").unwrap();
        drop(beating);
        assert_eq!(read(&lock).unwrap(), "the other's");
    }

    #[test]
    fn a_lock_that_names_nobody_may_be_unreadable_for_a_moment_but_not_for_long() {
        let (_folder, lock, tenure, _beating) = own_lock();
        fs::write(lock.path(), "").unwrap();
        assert!(!tenure.is_ours());
        age(&tenure, SURE_FOR);
        tenure.check().unwrap();
        age(&tenure, SILENCE);
        assert!(
            matches!(tenure.check(), Err(ResultsError::TakenOver { .. })),
            "another one has come and gone"
        );
    }

    #[test]
    fn a_lock_that_cannot_be_read_for_long_is_an_error() {
        let (_folder, lock, tenure, _beating) = own_lock();
        fs::remove_file(lock.path()).unwrap();
        fs::create_dir(lock.path()).unwrap();
        age(&tenure, SURE_FOR);
        tenure.check().unwrap();
        age(&tenure, SILENCE);
        assert!(matches!(tenure.check(), Err(ResultsError::Io { .. })));
    }

    #[test]
    fn signs_end_with_the_lock() {
        let (folder, lock, _tenure, beating) = own_lock();
        assert!(read(&lock).is_some());
        drop(beating);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_first_sign_that_is_withdrawn_leaves_nothing() {
        let (folder, lock) = lock_that_names(&elsewhere());
        FirstSign::give(&lock, &elsewhere()).unwrap().withdraw();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
