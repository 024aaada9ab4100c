//! `sweep run --dry-run`: shows the plan and writes nothing.

use super::{
    cautions, changes,
    checkpoints::{self, RunCheckpoints},
    cluster,
    exit::{Exit, Stop},
    open::{Replayed, read_plan, replay},
    prepare,
    slots::ChosenSlots,
    terminal::{eprint_lossy, print},
    texts,
};
use crate::{
    plan::{self, Overview, Plan},
    results::SweepFolder,
    spec::{ExecutorSpec, Reading},
    study::Study,
    system::disk,
};

/// What a dry run shows besides the plan.
pub(super) struct DryRun<'a> {
    pub(super) folder: &'a SweepFolder,
    /// The spec as it was read, with its data.
    pub(super) reading: &'a Reading,
    pub(super) checkpoints: &'a RunCheckpoints<'a>,
    pub(super) slots: &'a ChosenSlots,
    /// A note about the precision of matrix products, if need be.
    pub(super) precision_note: Option<String>,
    /// Whether results of an earlier run are ignored.
    pub(super) is_fresh: bool,
}

impl DryRun<'_> {
    /// Shows the plan, and how it changes the plan of an earlier run.
    ///
    /// # Errors
    /// When the plan cannot be shown, or, after it was shown, when it does not fit the results of an earlier
    /// run.
    pub(super) fn show(self, plan: Plan) -> Result<Exit, Stop> {
        let mut notes = [
            texts::notes(&plan, &self.reading.dataset)?,
            self.checkpoints.notes(&plan),
            checkpoints::readings(&self.reading.checkpoints),
            checkpoints::unused(&self.reading.checkpoints),
        ]
        .concat();
        notes.extend(self.precision_note.clone());
        let Revised { plan, study, refusal } = self.revise(plan)?;
        let Reading { spec, checkpoints, .. } = self.reading;
        notes.extend(cautions::cautions(&plan, spec, checkpoints));
        let free = disk::free(self.folder.path()).ok();
        let facts = &self.reading.checkpoints;
        let forecast = prepare::forecast_disk(&study, facts, &self.slots.devices, &plan.policy);
        let warning =
            forecast.zip(free).and_then(|(forecast, free)| forecast.warning(free, self.folder.path()));
        notes.extend(warning.map(|warning| format!("warning: {warning}")));
        let devices =
            cluster::devices(&spec.executor, study.counts().waiting).unwrap_or_else(|| self.slots.line());
        let overview = Overview {
            plan: &plan,
            dataset: &self.reading.dataset,
            devices: &devices,
            disk: &forecast.map_or_else(|| "unknown".to_owned(), |forecast| forecast.describe(free)),
            notes: &notes,
        };
        print(&plan::describe(&overview))?;
        if let ExecutorSpec::Slurm(options) = &spec.executor {
            print(&cluster::describe_job(options, self.folder)?)?;
        }
        refusal.map_or(Ok(Exit::Complete), Err)
    }

    /// Revises the plan of an earlier run, if there is one, as a run would do.
    fn revise(&self, mut plan: Plan) -> Result<Revised, Stop> {
        let study = Study::new(&plan);
        let found = if self.is_fresh { None } else { read_plan(self.folder)? };
        let Some(found) = found else { return Ok(Revised { plan, study, refusal: None }) };
        prepare::take_fingerprints(&mut plan)?;
        match changes::revise(self.folder, &found, &plan) {
            Ok(revision) => {
                eprint_lossy(&changes::describe(&revision));
                let plan = revision.plan;
                let Replayed { study, .. } = replay(self.folder, &plan)?;
                Ok(Revised { plan, study, refusal: None })
            }
            Err(refusal) => Ok(Revised { plan, study, refusal: Some(refusal) }),
        }
    }
}

/// The plan that a run would have.
struct Revised {
    plan: Plan,
    study: Study,
    /// Why there would be no run, if the plan does not fit existing results.
    refusal: Option<Stop>,
}
