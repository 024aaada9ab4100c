//! Sweeps as they are read from their folders.

use std::io;

use super::exit::Stop;
use crate::{
    event::Event,
    journal::{self, RESTART},
    plan::Plan,
    results::{Results, SweepFolder},
    study::Study,
};

/// A sweep that was read from its folder.
pub(super) struct OpenedSweep {
    pub(super) folder: SweepFolder,
    pub(super) plan: Plan,
    pub(super) study: Study,
    /// Number of device slots of the latest run, if there was a run.
    pub(super) slots: Option<usize>,
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

/// Reads the sweep in `folder`. Nothing is written.
pub(super) fn read(folder: SweepFolder) -> Result<OpenedSweep, Stop> {
    let plan = read_plan(&folder)?;
    let plan = plan.ok_or_else(|| Stop::results(&format!("{} is gone", folder.plan().display())))?;
    let Replayed { study, slots } = replay(&folder, &plan)?;
    Ok(OpenedSweep { folder, plan, study, slots })
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
