//! Sweeps as they are read from their folders, also while a run begins them anew.
//!
//! `sweep run --fresh` replaces log and plan one after the other. A command that reads the sweep meanwhile reads it again
//! until both belong together.

use std::io::{self, BufRead as _, BufReader, Read as _};

use super::exit::{Exit, Stop};
use crate::{
    event::Event,
    journal::{self, RESTART},
    plan::Plan,
    results::{Results, ResultsError, SweepFolder},
    study::Study,
};

/// A sweep that was read from its folder.
pub(super) struct OpenedSweep {
    pub(super) folder: SweepFolder,
    pub(super) plan: Plan,
    pub(super) study: Study,
    /// Number of device slots of the latest run, if there was a run.
    pub(super) slots: Option<usize>,
    origin: Origin,
    /// Length of the log.
    length: u64,
}

/// What stays the same in a sweep's folder until the sweep is begun anew or gets another plan.
#[derive(Clone, PartialEq, Eq)]
struct Origin {
    plan: Option<Vec<u8>>,
    /// The first record of the log, which has the time when the sweep was begun.
    first_record: Vec<u8>,
}

/// Bytes of the first record that are compared.
const FIRST_RECORD_MAX: u64 = 64 << 10;
/// How often a command begins again since the sweep was begun anew meanwhile.
const ATTEMPTS_MAX: u32 = 20;

impl Origin {
    fn of(folder: &SweepFolder) -> Self {
        let mut first_record = Vec::new();
        if let Ok(log) = folder.log().open() {
            // A log that cannot be read is reported by whoever reads it whole.
            let _ = BufReader::new(log.take(FIRST_RECORD_MAX)).read_until(b'\n', &mut first_record);
        }
        Self { plan: folder.plan().read().ok(), first_record }
    }
}

impl OpenedSweep {
    /// Refuses to go on if the sweep was begun anew since it was read.
    pub(super) fn check_not_begun_anew(&self) -> Result<(), Stop> {
        if Origin::of(&self.folder) == self.origin {
            return Ok(());
        }
        let name = self.folder.name();
        Err(Stop::new(
            Exit::Results,
            &format!("{name} was begun anew while it was read; run the command again"),
        ))
    }

    /// Whether the folder holds what was read, and nothing more.
    fn is_current(&self) -> bool {
        length(&self.folder) == self.length && self.check_not_begun_anew().is_ok()
    }
}

/// Length of a sweep's log.
fn length(folder: &SweepFolder) -> u64 {
    folder.log().length()
}

/// The state of a sweep that its log leads to.
pub(super) struct Replayed {
    pub(super) study: Study,
    /// Number of device slots of the latest run, if there was a run.
    pub(super) slots: Option<usize>,
}

/// Reads the sweep called `name`, or the newest one. Nothing is written.
pub(super) fn open(results: &Results, name: Option<&str>) -> Result<OpenedSweep, Stop> {
    read(results.find(name)?)
}

/// Does `work` with the sweep called `name`, or the newest one. If it fails and the sweep has changed meanwhile, it is done
/// again with the sweep as it is then.
pub(super) fn with_sweep<T>(
    results: &Results,
    name: Option<&str>,
    work: impl Fn(&OpenedSweep) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let mut attempts = 1;
    loop {
        let opened = open(results, name)?;
        let done = work(&opened);
        if done.is_ok() || attempts >= ATTEMPTS_MAX || opened.is_current() {
            return done;
        }
        attempts += 1;
    }
}

/// Reads the sweep in `folder`. Nothing is written.
pub(super) fn read(folder: SweepFolder) -> Result<OpenedSweep, Stop> {
    let mut attempts = 1;
    loop {
        let origin = Origin::of(&folder);
        let length = length(&folder);
        let opened = read_once(&folder);
        if attempts >= ATTEMPTS_MAX || Origin::of(&folder) == origin {
            let (plan, Replayed { study, slots }) = opened?;
            return Ok(OpenedSweep { folder, plan, study, slots, origin, length });
        }
        attempts += 1;
    }
}

fn read_once(folder: &SweepFolder) -> Result<(Plan, Replayed), Stop> {
    let plan = read_plan(folder)?;
    let path = || folder.path().to_owned();
    let plan = plan.ok_or_else(|| {
        if folder.has_lost_its_plan() { ResultsError::NoPlan(path()) } else { ResultsError::Foreign(path()) }
    })?;
    let replayed = replay(folder, &plan)?;
    Ok((plan, replayed))
}

/// Applies the log in `folder` to the trials of `plan`.
pub(super) fn replay(folder: &SweepFolder, plan: &Plan) -> Result<Replayed, Stop> {
    let (mut study, mut slots, mut applied) = (Study::new(plan), None, Ok(()));
    journal::scan(&folder.log(), &mut |record| {
        if let Event::SweepStarted { devices, .. } = &record.event {
            slots = Some(devices.len());
        }
        applied = applied.clone().and_then(|()| study.apply(&record));
    })?;
    Ok(applied.map(|()| Replayed { study, slots })?)
}

/// Reads the plan in `folder`, if there is one.
pub(super) fn read_plan(folder: &SweepFolder) -> Result<Option<Plan>, Stop> {
    let path = folder.plan();
    let bytes = match path.read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| Stop::results(&format!("cannot read {}: {error}", path.display())))?,
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Stop::results(&format!("{} is damaged or cut off ({error}); {RESTART}", path.display()))
    })
}
