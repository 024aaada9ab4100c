//! The folder of one sweep: its paths, its lock, and how it is emptied.

use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    beat::{self, SILENCE},
    error::{ResultsError, quoted},
    holder::Holder,
    lock::{self, Lock, LockTerms},
    trial_folder::TrialFolder,
    turn::Turn,
};
use crate::{
    system::files::{self, FolderIdentity, Place, unfinished},
    trial::TrialId,
};

/// The files and folders that a run may leave directly in the sweep's folder, besides `plan.json`. The log comes first:
/// without it, a reader takes every trial for waiting and looks for no file of it.
const SWEEP_FILES: [&str; 15] = [
    LOG,
    "trials",
    "cluster",
    "leaderboard.csv",
    "leaderboard.json",
    "leaderboard.md",
    "report.html",
    "overview.png",
    "leaderboard.png",
    "importance.png",
    "parallel.png",
    "heatmap.png",
    "calibration.png",
    "expected_best.png",
    "sweep.toml",
];

/// The log's name.
const LOG: &str = "events.jsonl";

/// The first line of a log is at most so long, in bytes, if it is to be known.
const FIRST_LINE_MAX: u64 = 1 << 20;

/// Name of the folder with the entries that trials share; it is beside the sweeps' folders.
pub(super) const CACHE: &str = ".cache";

/// The results folder of a command that names none.
const DEFAULT_ROOT: &str = "results";

/// One sweep's folder, `results/<name>/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepFolder {
    /// The results folder.
    results: Place,
    place: Place,
}

impl SweepFolder {
    /// The sweep called `name` in the folder `results`, which need not exist.
    pub(super) fn new(results: &Place, name: impl AsRef<Path>) -> Self {
        Self { results: results.clone(), place: results.join(name) }
    }

    /// The folder itself.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The folder's path, for messages and for other processes.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The sweep's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.place.name()
    }

    /// The folder that this sweep's folder is in.
    pub(super) fn results(&self) -> &Place {
        &self.results
    }

    /// The same sweep, with its folder held open: everything is then read and written in this very folder,
    /// even when it is renamed. The folder is created if it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made or opened, or is a link.
    pub fn held(&self) -> Result<Self, ResultsError> {
        files::create_folder(&self.place).map_err(ResultsError::io("create", self.path()))?;
        let place = self.place.held().map_err(ResultsError::io("open", self.path()))?;
        Ok(Self { results: self.results.clone(), place })
    }

    /// Which folder this is, for processes that open it by its path.
    ///
    /// # Errors
    /// When the folder cannot be opened.
    pub fn identity(&self) -> Result<FolderIdentity, ResultsError> {
        self.place.identity().map_err(ResultsError::io("open", self.path()))
    }

    /// Checks that the folder's path still leads to the folder that is held.
    ///
    /// # Errors
    /// [`ResultsError::Moved`] when the folder was renamed or removed, or another one has its name.
    pub fn check(&self) -> Result<(), ResultsError> {
        let held = self.identity()?;
        if FolderIdentity::at(self.path()).is_ok_and(|found| found == held) {
            return Ok(());
        }
        let place =
            self.place.path_now().filter(|now| FolderIdentity::at(now).is_ok_and(|found| found == held));
        Err(ResultsError::Moved { folder: self.path().to_owned(), now: place })
    }

    /// The cache of the results folder, [`super::Results::cache`].
    #[must_use]
    pub fn cache(&self) -> Place {
        self.results.join(CACHE)
    }

    /// `sweep.toml`: the spec as it ran.
    #[must_use]
    pub fn spec(&self) -> Place {
        self.place.join("sweep.toml")
    }

    /// `plan.json`: the trials.
    #[must_use]
    pub fn plan(&self) -> Place {
        self.place.join("plan.json")
    }

    /// Length of the plan and time of its last change; `None` without a plan.
    #[must_use]
    pub fn plan_stamp(&self) -> Option<(u64, SystemTime)> {
        let about = self.plan().about().ok()?;
        Some((about.length, about.modified))
    }

    /// `events.jsonl`: the log.
    #[must_use]
    pub fn log(&self) -> Place {
        self.place.join(LOG)
    }

    /// `leaderboard.<extension>`.
    #[must_use]
    pub fn leaderboard(&self, extension: &str) -> Place {
        self.place.join(format!("leaderboard.{extension}"))
    }

    /// `report.html`.
    #[must_use]
    pub fn report(&self) -> Place {
        self.place.join("report.html")
    }

    /// `overview.png`.
    #[must_use]
    pub fn overview(&self) -> Place {
        self.place.join("overview.png")
    }

    /// A picture of the whole sweep beside the overview, such as `importance.png`.
    #[must_use]
    pub fn chart(&self, file: &str) -> Place {
        self.place.join(file)
    }

    /// `best-model/`: the default folder of `export-best`. No run writes there.
    #[must_use]
    pub fn best_model(&self) -> Place {
        self.place.join("best-model")
    }

    /// The folder of one trial.
    #[must_use]
    pub fn trial(&self, id: TrialId) -> TrialFolder {
        TrialFolder::new(self.place.join("trials").join(id.to_string()))
    }

    /// The folder of one attempt at a trial, while a worker of a cluster makes it: it stands beside the trials' folders, and
    /// what is in it is taken into the trial's folder once the attempt counts.
    #[must_use]
    pub fn attempt(&self, id: TrialId, attempt: u32) -> TrialFolder {
        TrialFolder::new(self.place.join("trials").join(format!("{id}.attempt-{attempt}")))
    }

    fn lock_file(&self) -> Place {
        self.place.join(".lock")
    }

    /// Time of the last change of the log, or else of the plan; `None` when this is no sweep's folder.
    #[must_use]
    pub fn last_change(&self) -> Option<SystemTime> {
        Some(self.log().about().or_else(|_| self.plan().about()).ok()?.modified)
    }

    /// Whether the folder has a plan, as a sweep's folder does.
    pub(super) fn has_plan(&self) -> bool {
        self.plan().exists()
    }

    /// Whether the folder has no plan any more, and still holds the log of a sweep.
    #[must_use]
    pub fn has_lost_its_plan(&self) -> bool {
        !self.has_plan() && is_log(&self.log())
    }

    /// The words that name this sweep to a command: `first`, or `first --results 'my results'`.
    #[must_use]
    pub fn arguments(&self) -> String {
        match self.path().parent() {
            Some(root) if root != Path::new(DEFAULT_ROOT) => {
                format!("{} --results {}", self.name(), quoted(root))
            }
            Some(_) | None => self.name(),
        }
    }

    /// Creates the folder if it is missing and takes its lock, which is held until the value is dropped.
    ///
    /// # Errors
    /// [`ResultsError::Locked`] when another process holds the lock, [`ResultsError::Doubtful`] when one of
    /// another machine may hold it, and [`ResultsError::Foreign`] when the folder is not a sweep's.
    pub fn lock(&self) -> Result<Lock, ResultsError> {
        self.lock_on(&LockTerms { is_shared: false, waits: &|_, _| () })
    }

    /// As [`Self::lock`]. Waits for up to [`SILENCE`](super::SILENCE) for a sign of life of a process of another
    /// machine, and takes its lock over if there is none.
    ///
    /// # Errors
    /// As [`Self::lock`].
    pub fn lock_on(&self, terms: &LockTerms<'_>) -> Result<Lock, ResultsError> {
        files::create_folder(&self.place).map_err(ResultsError::io("create", self.path()))?;
        if !self.is_ours_or_empty()? {
            return Err(ResultsError::Foreign(self.path().to_owned()));
        }
        Lock::take(self.path(), &self.lock_file(), terms)
    }

    /// Waits for the turn to write leaderboard and pictures; see [`Turn`].
    #[must_use]
    pub fn turn(&self) -> Option<Turn> {
        Turn::take(&self.place)
    }

    /// Removes the temporary files that killed processes left in the folder, in those of its trials, and in theirs.
    pub fn remove_leftovers(&self, lock: &Lock) {
        let _ = lock;
        unfinished::remove_unfinished(&self.place);
        for trial in folders(&self.place.join("trials")) {
            unfinished::remove_unfinished(&trial);
            for folder in folders(&trial) {
                unfinished::remove_unfinished(&folder);
            }
        }
    }

    /// The process that holds the folder's lock now, if one does.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        lock::holder(&self.lock_file())
    }

    /// How long the holder of the lock has given no sign of life, if that is so long that a run on this machine would
    /// take the sweep over. By the clocks of this machine and of the file system's.
    #[must_use]
    pub fn silence_of(&self, holder: &Holder) -> Option<Duration> {
        beat::age_of_last(holder, &self.lock_file()).filter(|age| *age > SILENCE)
    }

    /// Whether the folder is a sweep's, or holds nothing but hidden files.
    fn is_ours_or_empty(&self) -> Result<bool, ResultsError> {
        if self.plan().exists() || self.has_lost_its_plan() {
            return Ok(true);
        }
        let names = self.place.names().map_err(ResultsError::io("read", self.path()))?;
        // A hidden file is a lock or a half-written plan, left by a run that was killed early.
        Ok(names.iter().all(|name| name.to_string_lossy().starts_with('.')))
    }

    /// Removes the files that a run of the sweep writes, but for the plan; all other files stay. Whoever reads the sweep
    /// meanwhile finds a plan all the time: the next one replaces it.
    ///
    /// # Errors
    /// When a file cannot be removed. The folder is then still a sweep's.
    pub fn clear(&self, lock: &Lock) -> Result<(), ResultsError> {
        let _ = lock;
        // Without a plan, the log alone says that the folder is a sweep's, and goes last.
        let is_planned = self.has_plan();
        let (last, first): (Vec<&str>, Vec<&str>) =
            SWEEP_FILES.iter().partition(|name| **name == LOG && !is_planned);
        for name in first.into_iter().chain(last) {
            let place = self.place.join(name);
            match place.remove() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(ResultsError::io("remove", place.path()))?,
            }
        }
        Ok(())
    }
}

/// The folders in a folder, none of which is a link.
fn folders(folder: &Place) -> Vec<Place> {
    let names = folder.names().unwrap_or_default().into_iter();
    names.map(|name| folder.join(name)).filter(Place::is_folder).collect()
}

/// Whether the file at `place` begins as the log of a sweep does.
fn is_log(place: &Place) -> bool {
    let first_line = || -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        BufReader::new(place.open()?.take(FIRST_LINE_MAX)).read_until(b'\n', &mut line)?;
        Ok(line)
    };
    let record: serde_json::Value =
        serde_json::from_slice(&first_line().unwrap_or_default()).unwrap_or_default();
    let has = |key: &str| record.get(key).is_some();
    record.get("seq").and_then(serde_json::Value::as_u64) == Some(1)
        && ["v", "at", "event"].into_iter().all(has)
}
