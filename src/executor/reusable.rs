//! Complete trials of other sweeps that this sweep can reuse, and their files.
//!
//! A trial can be reused if it has the same seed and settings, documents, classes and checkpoint files
//! (by their digests), kind of device, version of the program, backend and processor. Its files are
//! checked against the other sweep's log. A trial whose files do not fit is trained as usual.

use std::{
    collections::{BTreeMap, HashMap},
    fs::TryLockError,
    io,
};

use crate::{
    checkpoint::Checkpoint,
    event::{Event, Outcome},
    integrity::{self, Depth},
    journal,
    plan::Plan,
    results::{Results, SweepFolder, TrialFolder, read_json},
    settings::Settings,
    study::{Study, TrialRecord},
    system::{device::Device, files},
    train::arithmetic,
    trial::{State, Trial, TrialId, TrialRef},
};

/// The files of a complete trial that are taken over, by their names in its folder.
const PARAMETERS: [&str; 2] = ["best", "last"];
const TABLES: [&str; 2] = ["metrics.csv", "predictions.csv"];
/// The further table of a trial of a fold.
const OUT_OF_FOLD: &str = "validation.csv";
const WEIGHTS: &str = "model.safetensors";

/// A complete trial of another sweep.
#[derive(Debug)]
pub(crate) struct ReusableTrial {
    /// The other sweep and the trial there.
    pub(crate) origin: TrialRef,
    /// The trial's record in the other sweep's log.
    pub(crate) record: TrialRecord,
    /// Its figures.
    pub(crate) outcome: Outcome,
    folder: TrialFolder,
    labels: Vec<String>,
}

/// For each of `due`, trials of `plan` in `folder`, a complete trial of another sweep beside it that can
/// be reused, if there is one. Of several, the one of the sweep that ran last is taken.
pub(crate) fn find<'a>(
    folder: &SweepFolder,
    plan: &Plan,
    due: impl IntoIterator<Item = &'a Trial>,
    devices: &[Device],
) -> BTreeMap<TrialId, ReusableTrial> {
    let mut wanted: HashMap<u64, Vec<&Trial>> = HashMap::new();
    due.into_iter().for_each(|trial| wanted.entry(trial.seed).or_default().push(trial));
    let mut found = BTreeMap::new();
    for other in Results::around(folder).list().unwrap_or_default() {
        if other.path() == folder.path() {
            continue;
        }
        let Some((its_plan, study)) = read(&other, plan, &wanted) else { continue };
        for record in study.trials {
            let Some(outcome) = usable(&record, devices) else { continue };
            let Some(alike) = wanted.get_mut(&record.trial.seed) else { continue };
            let Some(at) = alike.iter().position(|trial| is_same(&record.trial, &its_plan, trial, plan))
            else {
                continue;
            };
            let origin = TrialRef { sweep: Some(other.name()), trial: record.trial.id };
            let (folder, labels) = (other.trial(origin.trial), plan.labels.clone());
            if !has_files(&folder, &record.trial) {
                continue;
            }
            found.insert(alike.remove(at).id, ReusableTrial { origin, record, outcome, folder, labels });
        }
    }
    found
}

/// The plan and the study of another sweep. `None` unless that sweep has the same task, was run by this
/// version of the program, and may have a trial that is wanted.
fn read(other: &SweepFolder, plan: &Plan, wanted: &HashMap<u64, Vec<&Trial>>) -> Option<(Plan, Study)> {
    // Problems of another sweep are reported when that sweep is run or shown.
    let its_plan: Plan = read_json(&other.plan()).ok()?;
    let data = plan.fingerprints.data.as_ref()?;
    let is_same_task = its_plan.fingerprints.data.as_ref() == Some(data)
        && its_plan.labels == plan.labels
        && its_plan.target() == plan.target();
    // Trials that confirm a configuration stand in the log alone.
    let may_have = |trial: &Trial| wanted.contains_key(&trial.seed);
    if !is_same_task || (its_plan.confirm.is_none() && !its_plan.trials.iter().any(may_have)) {
        return None;
    }
    let mut study = Study::new(&its_plan);
    let mut is_understood = true;
    let here = arithmetic::identity();
    journal::scan(&other.log(), &mut |record| {
        is_understood &= study.apply(&record).is_ok();
        if let Event::SweepStarted { version, arithmetic, .. } = &record.event {
            is_understood &= version == env!("CARGO_PKG_VERSION") && arithmetic.as_ref() == Some(&here);
        }
    })
    .ok()?;
    is_understood.then_some((its_plan, study))
}

/// The outcome of a trial, if one of `devices` would compute the same and all its files were kept.
fn usable(record: &TrialRecord, devices: &[Device]) -> Option<Outcome> {
    let device = record.device?;
    let is_here = devices.iter().any(|other| other.is_of_kind(device));
    let is_own = record.inherited_from.as_ref().is_none_or(|origin| origin.sweep.is_none());
    let is_whole = record.state == State::Complete && !record.parameters_removed && !record.mixed;
    // The run says what it computes with; a worker of a cluster, what its own machine does.
    let is_alike = record.arithmetic.as_ref().is_none_or(|own| *own == arithmetic::identity());
    record.outcome.clone().filter(|_| is_here && is_own && is_whole && is_alike)
}

/// The tables that a complete trial has.
fn tables(trial: &Trial) -> impl Iterator<Item = &'static str> {
    TABLES.into_iter().chain(trial.fold.is_some().then_some(OUT_OF_FOLD))
}

/// Whether the files of `trial` that would be taken over are there. Their contents are checked later.
fn has_files(folder: &TrialFolder, trial: &Trial) -> bool {
    let parameters = PARAMETERS.iter().map(|name| folder.place().join(name).join(WEIGHTS));
    parameters.chain(tables(trial).map(|name| folder.place().join(name))).all(|place| place.is_file())
}

fn is_same(one: &Trial, its_plan: &Plan, other: &Trial, plan: &Plan) -> bool {
    let recipe = |trial: &Trial| Settings { checkpoint: Checkpoint::none(), ..trial.settings.clone() };
    let [a, b] = [&one.settings.checkpoint, &other.settings.checkpoint];
    let digests = (its_plan.fingerprints.checkpoints.get(a), plan.fingerprints.checkpoints.get(b));
    let is_same_checkpoint = match digests {
        (Some(a), Some(b)) => a == b,
        // Built in, or a commit of a hub model: its name says all.
        (None, None) => a == b && !matches!(a, Checkpoint::Folder(folder) if folder.is_absolute()),
        (Some(_), None) | (None, Some(_)) => false,
    };
    let is_same_training = one.seed == other.seed && one.fold == other.fold && recipe(one) == recipe(other);
    is_same_training && is_same_checkpoint
}

/// Why a trial cannot be reused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReuseError {
    /// A file cannot be read, linked or written.
    #[error("its files cannot be had")]
    Io(#[from] io::Error),
    /// Its files are not the ones that its log describes.
    #[error("its {0} is not what its log tells of")]
    Differs(&'static str),
    /// A process works in the folder that they would be put into.
    #[error("a worker is still in the folder")]
    Busy,
}

impl ReusableTrial {
    /// Puts the trial's files into the folder `into`, which exists: parameters as hard links where the
    /// file system has them, otherwise copies. Files of an earlier attempt there are replaced.
    ///
    /// # Errors
    /// When a file is missing or does not fit the log. The files in `into` are left as they were then,
    /// unless the disk fails.
    pub(crate) fn take_over(&mut self, into: &TrialFolder) -> Result<(), ReuseError> {
        let lock = into.place().open_as_folder()?;
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(ReuseError::Busy);
        }
        let new = TrialFolder::new(into.place().join("reused.new"));
        let staged =
            self.stage(&new).and_then(|()| self.check(&new)).and_then(|()| Ok(self.move_in(&new, into)?));
        let removed = files::remove_folder(new.place());
        staged?;
        if self.outcome.files.is_none() {
            // An earlier version completed it. From now on its files are known.
            self.outcome.files = Some(integrity::digests(into)?);
        }
        Ok(removed?)
    }

    /// Gathers the files in the folder `new`.
    fn stage(&self, new: &TrialFolder) -> Result<(), ReuseError> {
        let at = |name: &str| (self.folder.place().join(name), new.place().join(name));
        files::remove_folder(new.place())?;
        files::create_folder(new.place())?;
        for name in PARAMETERS {
            let (from, to) = at(name);
            files::link_atomically(&from.join(WEIGHTS), &to.join(WEIGHTS))?;
        }
        for name in tables(&self.record.trial) {
            // Copies: people open tables, and some change them.
            let (from, to) = at(name);
            files::replace_atomically(&to, |file| io::copy(&mut from.open()?, file).map(drop))?;
        }
        Ok(())
    }

    fn check(&self, new: &TrialFolder) -> Result<(), ReuseError> {
        let checked = integrity::check(new, &self.record, &self.labels, Depth::Contents);
        checked.damage.first().map_or(Ok(()), |damage| Err(ReuseError::Differs(damage.file.name())))
    }

    /// Moves the files in `new` to their places in the trial's folder. The log does not have the trial's
    /// events yet, so that the next run repeats a move that a crash has cut off.
    fn move_in(&self, new: &TrialFolder, into: &TrialFolder) -> io::Result<()> {
        for name in ["last.new", "last.before", "last", "best"] {
            files::remove_folder(&into.place().join(name))?;
        }
        for name in tables(&self.record.trial).chain(PARAMETERS) {
            files::rename_folder(&new.place().join(name), &into.place().join(name))?;
        }
        Ok(())
    }
}
