//! Every path under the results folder, atomic writes into it, and its lock.
//!
//! A sweep's folder is ours when it holds `plan.json`; nothing else is ever
//! emptied. One orchestrator at a time holds a folder's lock.

mod files;
mod holder;
mod lock;
mod log_tail;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub(crate) use self::log_tail::TITLE;
pub use self::{
    files::{json, read_json, write_atomic, write_json},
    holder::Holder,
    lock::Lock,
    log_tail::last_lines,
};
use crate::trial::TrialId;

/// What a sweep may leave directly in its folder; `plan.json` last, since it makes the folder ours.
const OURS: [&str; 9] = [
    "trials",
    "events.jsonl",
    "leaderboard.csv",
    "leaderboard.json",
    "leaderboard.md",
    "report.html",
    "overview.png",
    "sweep.toml",
    "plan.json",
];

/// The folder with what trials share, beside those of the sweeps.
const CACHE: &str = ".cache";

/// Why results cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// Another orchestrator works in the folder.
    #[error("{} is locked by {holder}; wait for it, or end it first", folder.display())]
    Locked {
        /// The sweep's folder.
        folder: PathBuf,
        /// Who holds the lock.
        holder: Holder,
    },
    /// Another machine's orchestrator may work in the folder; it cannot be asked.
    #[error(
        "{} may be in use by {holder}, which cannot be asked from this machine; if that process is over: rm {}",
        folder.display(), quoted(lock)
    )]
    Doubtful {
        /// The sweep's folder.
        folder: PathBuf,
        /// The file that says so.
        lock: PathBuf,
        /// Who it says holds the lock.
        holder: Holder,
    },
    /// The folder holds something that is not a sweep.
    #[error(
        "{} holds files but no plan.json, so it is not a sweep's folder; choose another name or --results folder",
        .0.display()
    )]
    Foreign(PathBuf),
    /// There is no sweep at all.
    #[error("{} holds no sweep; `sweep run SPEC` makes one", .0.display())]
    Empty(PathBuf),
    /// There is no sweep of this name.
    #[error("no sweep `{name}` in {}{}", root.display(), there_are(known))]
    Unknown {
        /// The results folder.
        root: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A file cannot be read or written.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file's contents are not what they should be.
    #[error("{} cannot be understood: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

fn there_are(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; there are: {}", names.join(", ")) }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_safe = |c: char| c.is_alphanumeric() || "/._-+=@%:,".contains(c);
    if text.chars().all(is_safe) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

impl ResultsError {
    /// For `map_err`: what was attempted on which path.
    pub(crate) fn io<'a>(operation: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + 'a {
        move |source| Self::Io { operation, path: path.to_owned(), source }
    }
}

/// The folder with all sweeps.
#[derive(Clone, Debug)]
pub struct Results {
    root: PathBuf,
}

impl Results {
    /// The results in `root`, which need not exist.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `.cache/`: what trials of all sweeps share. No sweep's name begins with a dot.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.root.join(CACHE)
    }

    /// The folder of the sweep called `name`, which need not exist.
    #[must_use]
    pub fn sweep(&self, name: &str) -> SweepFolder {
        SweepFolder { path: self.root.join(name) }
    }

    /// Every sweep's folder, the one with the newest log first.
    ///
    /// # Errors
    /// When the results folder exists and cannot be read.
    pub fn list(&self) -> Result<Vec<SweepFolder>, ResultsError> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(ResultsError::io("read", &self.root))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(ResultsError::io("read", &self.root))?.path();
            if path.ends_with(CACHE) {
                continue;
            }
            let sweep = SweepFolder { path };
            if let Some(changed) = sweep.changed() {
                found.push((changed, sweep));
            }
        }
        found.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.path.cmp(&other.path)));
        Ok(found.into_iter().map(|(_, sweep)| sweep).collect())
    }

    /// The sweep called `name`, or the newest one.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, name: Option<&str>) -> Result<SweepFolder, ResultsError> {
        let sweeps = self.list()?;
        match name {
            None => sweeps.into_iter().next().ok_or_else(|| ResultsError::Empty(self.root.clone())),
            Some(name) => {
                let known = sweeps.iter().map(SweepFolder::name).collect();
                sweeps.into_iter().find(|sweep| sweep.name() == name).ok_or_else(|| ResultsError::Unknown {
                    root: self.root.clone(),
                    name: name.to_owned(),
                    known,
                })
            }
        }
    }
}

/// One sweep's folder, `results/<name>/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepFolder {
    path: PathBuf,
}

impl SweepFolder {
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

    /// [`Results::cache`], which is beside it.
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

    /// `best-model/`: where `export-best` writes unless told otherwise. Not of the run.
    #[must_use]
    pub fn best_model(&self) -> PathBuf {
        self.path.join("best-model")
    }

    /// The folder of one trial.
    #[must_use]
    pub fn trial(&self, id: TrialId) -> TrialFolder {
        TrialFolder { path: self.path.join("trials").join(id.to_string()) }
    }

    fn lock_file(&self) -> PathBuf {
        self.path.join(".lock")
    }

    /// When the log, or else the plan, was last written; `None` when this is no sweep's folder.
    fn changed(&self) -> Option<SystemTime> {
        let plan = fs::metadata(self.plan()).ok()?;
        fs::metadata(self.log()).unwrap_or(plan).modified().ok()
    }

    /// Makes the folder if need be and takes its lock, until the returned value is dropped.
    ///
    /// # Errors
    /// [`ResultsError::Locked`] when somebody else holds it; [`ResultsError::Foreign`] when
    /// the folder holds something else than a sweep.
    pub fn lock(&self) -> Result<Lock, ResultsError> {
        fs::create_dir_all(&self.path).map_err(ResultsError::io("create", &self.path))?;
        if !self.is_ours_or_empty()? {
            return Err(ResultsError::Foreign(self.path.clone()));
        }
        Lock::take(&self.path, &self.lock_file())
    }

    /// Who works in the folder now, if anybody does.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        lock::holder(&self.lock_file())
    }

    fn is_ours_or_empty(&self) -> Result<bool, ResultsError> {
        if self.plan().exists() {
            return Ok(true);
        }
        for entry in fs::read_dir(&self.path).map_err(ResultsError::io("read", &self.path))? {
            let name = entry.map_err(ResultsError::io("read", &self.path))?.file_name();
            // A lock or a half-written plan: a run that was killed before it began.
            if !name.to_string_lossy().starts_with('.') {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes what an earlier run of the sweep left; files that no sweep writes stay.
    ///
    /// # Errors
    /// When something cannot be removed; the folder is still a sweep's then.
    pub fn clear(&self, lock: &Lock) -> Result<(), ResultsError> {
        let _ = lock;
        for name in OURS {
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

/// One trial's folder, `results/<name>/trials/0003/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialFolder {
    path: PathBuf,
}

impl TrialFolder {
    /// The trial in `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `trial.json`: everything a worker needs.
    #[must_use]
    pub fn job(&self) -> PathBuf {
        self.path.join("trial.json")
    }

    /// `metrics.csv`: one row for each evaluation.
    #[must_use]
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    /// `curve.png`.
    #[must_use]
    pub fn curve(&self) -> PathBuf {
        self.path.join("curve.png")
    }

    /// `confusion.png`.
    #[must_use]
    pub fn confusion(&self) -> PathBuf {
        self.path.join("confusion.png")
    }

    /// `predictions.csv`: the test set.
    #[must_use]
    pub fn predictions(&self) -> PathBuf {
        self.path.join("predictions.csv")
    }

    /// `best/`: the parameters of the best epoch.
    #[must_use]
    pub fn best(&self) -> PathBuf {
        self.path.join("best")
    }

    /// `best/model.safetensors`: the parameters themselves.
    #[must_use]
    pub fn best_parameters(&self) -> PathBuf {
        self.best().join("model.safetensors")
    }

    /// `last/`: the latest parameters, and all that resuming needs.
    #[must_use]
    pub fn last(&self) -> PathBuf {
        self.path.join("last")
    }

    /// `last/state.safetensors`: what makes them a checkpoint that a trial can go on from.
    #[must_use]
    pub fn last_state(&self) -> PathBuf {
        self.last().join("state.safetensors")
    }

    /// `worker.log`: what the worker wrote to its standard error.
    #[must_use]
    pub fn worker_log(&self) -> PathBuf {
        self.path.join("worker.log")
    }
}

#[cfg(test)]
mod tests;
