//! The results folder, with a folder for each sweep.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    error::ResultsError,
    sweep_folder::{CACHE, SweepFolder},
};
use crate::system::files::Place;

/// The folder with all sweeps.
#[derive(Clone, Debug)]
pub struct Results {
    root: Place,
}

impl Results {
    /// The results in `root`, which need not exist.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: Place::named(root) }
    }

    /// The results that `sweep` is in.
    #[must_use]
    pub fn around(sweep: &SweepFolder) -> Self {
        Self { root: sweep.results().clone() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// `.cache/`: the entries that trials of all sweeps share. No sweep's name begins with a dot.
    #[must_use]
    pub fn cache(&self) -> Place {
        self.root.join(CACHE)
    }

    /// The folder of the sweep called `name`, which need not exist.
    #[must_use]
    pub fn sweep(&self, name: &str) -> SweepFolder {
        SweepFolder::new(&self.root, name)
    }

    /// The folder of every sweep, the one with the newest log first.
    ///
    /// # Errors
    /// When the results folder exists and cannot be read.
    pub fn list(&self) -> Result<Vec<SweepFolder>, ResultsError> {
        Ok(self.folders()?.into_iter().filter(SweepFolder::has_plan).collect())
    }

    /// As [`Self::list`], with the folders that hold a log and have lost their plan.
    ///
    /// # Errors
    /// When the results folder exists and cannot be read.
    pub fn folders(&self) -> Result<Vec<SweepFolder>, ResultsError> {
        let names = match self.root.names() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.map_err(ResultsError::io("read", self.root()))?,
        };
        let mut found = Vec::new();
        for name in names.into_iter().filter(|name| name != CACHE) {
            let sweep = SweepFolder::new(&self.root, name);
            if let Some(time) = sweep.last_change() {
                found.push((time, sweep));
            }
        }
        found.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.path().cmp(other.path())));
        Ok(found.into_iter().map(|(_, sweep)| sweep).collect())
    }

    /// The sweep called `name`, or the newest one.
    ///
    /// # Errors
    /// When there is no such sweep, or no sweep at all, or when it has lost its plan.
    pub fn find(&self, name: Option<&str>) -> Result<SweepFolder, ResultsError> {
        let (sweeps, without_plan): (Vec<_>, Vec<_>) =
            self.folders()?.into_iter().partition(SweepFolder::has_plan);
        let is_meant = |sweep: &&SweepFolder| name.map_or(sweeps.is_empty(), |name| sweep.name() == name);
        let mut lost = without_plan.iter().filter(|sweep| sweep.has_lost_its_plan());
        if let Some(lost) = lost.find(is_meant) {
            return Err(ResultsError::NoPlan(lost.path().to_owned()));
        }
        match name {
            None => sweeps.into_iter().next().ok_or_else(|| ResultsError::Empty(self.root().to_owned())),
            Some(name) => {
                let known = sweeps.iter().map(SweepFolder::name).collect();
                sweeps.into_iter().find(|sweep| sweep.name() == name).ok_or_else(|| ResultsError::Unknown {
                    root: self.root().to_owned(),
                    name: name.to_owned(),
                    known,
                })
            }
        }
    }
}
