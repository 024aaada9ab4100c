//! The folder of one sweep: its paths, its lock, and how it is emptied.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    error::{ResultsError, quoted},
    holder::Holder,
    lock::{self, Lock},
    trial_folder::TrialFolder,
    turn::Turn,
};
use crate::{system::files::unfinished, trial::TrialId};

/// The files and folders that a run may leave directly in the sweep's folder, besides `plan.json`. The log comes first:
/// without it, a reader takes every trial for waiting and looks for no file of it.
const SWEEP_FILES: [&str; 8] = [
    "events.jsonl",
    "trials",
    "leaderboard.csv",
    "leaderboard.json",
    "leaderboard.md",
    "report.html",
    "overview.png",
    "sweep.toml",
];

/// Name of the folder with the entries that trials share; it is beside the sweeps' folders.
pub(super) const CACHE: &str = ".cache";

/// The results folder of a command that names none.
const DEFAULT_ROOT: &str = "results";

/// One sweep's folder, `results/<name>/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepFolder {
    path: PathBuf,
}

impl SweepFolder {
    /// The sweep in `path`, which need not exist.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sweep's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The cache of the results folder, [`super::Results::cache`].
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.path.with_file_name(CACHE)
    }

    /// `sweep.toml`: the spec as it ran.
    #[must_use]
    pub fn spec(&self) -> PathBuf {
        self.path.join("sweep.toml")
    }

    /// `plan.json`: the trials.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.json")
    }

    /// `events.jsonl`: the log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// `leaderboard.<extension>`.
    #[must_use]
    pub fn leaderboard(&self, extension: &str) -> PathBuf {
        self.path.join(format!("leaderboard.{extension}"))
    }

    /// `report.html`.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// `overview.png`.
    #[must_use]
    pub fn overview(&self) -> PathBuf {
        self.path.join("overview.png")
    }

    /// `best-model/`: the default folder of `export-best`. No run writes there.
    #[must_use]
    pub fn best_model(&self) -> PathBuf {
        self.path.join("best-model")
    }

    /// The folder of one trial.
    #[must_use]
    pub fn trial(&self, id: TrialId) -> TrialFolder {
        TrialFolder::new(self.path.join("trials").join(id.to_string()))
    }

    fn lock_file(&self) -> PathBuf {
        self.path.join(".lock")
    }

    /// Time of the last change of the log, or else of the plan; `None` when this is no sweep's folder.
    #[must_use]
    pub fn last_change(&self) -> Option<SystemTime> {
        fs::metadata(self.log()).or_else(|_| fs::metadata(self.plan())).ok()?.modified().ok()
    }

    /// Whether the folder has a plan, as a sweep's folder does.
    pub(super) fn has_plan(&self) -> bool {
        self.plan().exists()
    }

    /// The words that name this sweep to a command: `first`, or `first --results 'my results'`.
    #[must_use]
    pub fn arguments(&self) -> String {
        match self.path.parent() {
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
        fs::create_dir_all(&self.path).map_err(ResultsError::io("create", &self.path))?;
        if !self.is_ours_or_empty()? {
            return Err(ResultsError::Foreign(self.path.clone()));
        }
        Lock::take(&self.path, &self.lock_file())
    }

    /// Waits for the turn to write leaderboard and pictures; see [`Turn`].
    #[must_use]
    pub fn turn(&self) -> Option<Turn> {
        Turn::take(&self.path)
    }

    /// Removes the temporary files that killed processes left in the folder, in those of its trials, and in theirs.
    pub fn remove_leftovers(&self, lock: &Lock) {
        let _ = lock;
        unfinished::remove_unfinished(&self.path);
        for trial in folders(&self.path.join("trials")) {
            unfinished::remove_unfinished(&trial);
            folders(&trial).for_each(|folder| unfinished::remove_unfinished(&folder));
        }
    }

    /// The process that holds the folder's lock now, if one does.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        lock::holder(&self.lock_file())
    }

    /// Whether the folder is a sweep's, or holds nothing but hidden files.
    fn is_ours_or_empty(&self) -> Result<bool, ResultsError> {
        if self.plan().exists() {
            return Ok(true);
        }
        for entry in fs::read_dir(&self.path).map_err(ResultsError::io("read", &self.path))? {
            let name = entry.map_err(ResultsError::io("read", &self.path))?.file_name();
            // A hidden file is a lock or a half-written plan, left by a run that was killed early.
            if !name.to_string_lossy().starts_with('.') {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes the files that a run of the sweep writes, but for the plan; all other files stay. Whoever reads the sweep
    /// meanwhile finds a plan all the time: the next one replaces it.
    ///
    /// # Errors
    /// When a file cannot be removed. The folder is then still a sweep's.
    pub fn clear(&self, lock: &Lock) -> Result<(), ResultsError> {
        let _ = lock;
        for name in SWEEP_FILES {
            let path = self.path.join(name);
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(ResultsError::io("remove", &path))?,
            }
        }
        Ok(())
    }
}

/// The folders in a folder, none of which is a link.
fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.filter(is_folder).map(|entry| entry.path())
}
