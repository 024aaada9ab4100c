//! The checkpoints of a run: looked at while the spec is checked, complete before a trial starts.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use super::{Exit, Stop};
use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    error_chain::chain,
    hub::{Environment, Hub, HubError, HubId, Pace},
    plan::Plan,
    results::{Results, read_json},
    spec::{Inspected, Refusal, SpecError, Wanted},
    study::Study,
    train::{self, listed},
    trial::State,
};

/// What a run needs to have its checkpoints.
pub(super) struct Checkpoints<'a> {
    hub: Hub,
    results: &'a Results,
    /// Whether what an earlier run found out is forgotten.
    fresh: bool,
    /// Refusals for which the spec cannot be blamed: the exit code, of the last one.
    excused: Cell<(usize, Option<Exit>)>,
}

impl<'a> Checkpoints<'a> {
    pub(super) fn new(results: &'a Results, fresh: bool) -> Self {
        let hub = Hub::new(Environment::of_this_process(), Pace::default());
        Self { hub, results, fresh, excused: Cell::default() }
    }

    /// Looks at a checkpoint of a spec; of a hub model, only small files are fetched.
    pub(super) fn inspect(&self, wanted: Wanted<'_>) -> Result<Inspected, Refusal> {
        let (checkpoint, with_weights) = match self.hub_id(wanted) {
            None => (wanted.checkpoint.clone(), true),
            Some(id) => {
                let commit = self.hub.prepare(&id).map_err(|error| self.refusal(&error))?;
                let has_weights = self.hub.has_weights(&commit);
                (Checkpoint::Hub(commit), has_weights)
            }
        };
        let help = checkpoint.hub_id().map(|_| {
            "choose a model of a family that the README lists, or give a folder with such an encoder"
                .to_owned()
        });
        match train::inspect(&checkpoint, with_weights) {
            Ok(facts) => Ok(Inspected { checkpoint, facts }),
            Err(error) => Err(Refusal { message: chain(&error), help }),
        }
    }

    /// The hub model that is wanted, at the commit that an earlier run of the sweep used.
    fn hub_id(&self, wanted: Wanted<'_>) -> Option<HubId> {
        let id = wanted.checkpoint.hub_id()?.clone();
        let earlier = || -> Option<HubId> {
            // A plan that cannot be read is reported where it is compared with the new one.
            let plan: Plan = read_json(&self.results.sweep(wanted.sweep?).plan()).ok()?;
            plan.hub.get(wanted.written)?.hub_id().cloned()
        };
        Some(if self.fresh { id } else { earlier().unwrap_or(id) })
    }

    fn refusal(&self, error: &HubError) -> Refusal {
        if exit(error) != Exit::Usage {
            let (count, _) = self.excused.get();
            self.excused.set((count + 1, Some(exit(error))));
        }
        Refusal { message: chain(error), help: Some(error.help()) }
    }

    /// How a run ends whose spec has these problems: when all are the network's, it is not the spec.
    pub(super) fn stop(&self, error: &SpecError, colour: bool) -> Stop {
        let stop = Stop::spec(error, colour);
        match self.excused.get() {
            (count, Some(exit)) if count == error.problems.len() => Stop { exit, ..stop },
            _ => stop,
        }
    }

    /// What a dry run says of the plan's hub models.
    pub(super) fn notes(&self, plan: &Plan) -> Vec<String> {
        let commits: BTreeSet<&Checkpoint> = plan.hub.values().collect();
        let note = |id: &HubId| {
            let weights = if self.hub.has_weights(id) {
                "its weights are in the cache"
            } else {
                "its weights are downloaded when the sweep runs"
            };
            format!("{} is used at commit {}; {weights}", id.model(), id.revision())
        };
        commits.into_iter().filter_map(Checkpoint::hub_id).map(note).collect()
    }

    /// Brings the weights of every hub model that a trial of `study` still needs, and judges them.
    pub(super) fn fetch_weights(&self, study: &Study) -> Result<(), Stop> {
        let open = study.trials.iter().filter(|record| record.state != State::Complete);
        let needed: BTreeSet<&Checkpoint> = open.map(|record| &record.trial.settings.checkpoint).collect();
        for checkpoint in needed {
            let Some(id) = checkpoint.hub_id() else { continue };
            self.hub.fetch_weights(id).map_err(|error| {
                let (why, help) = (chain(&error), error.help());
                Stop::new(exit(&error), &format!("the weights of {id} could not be fetched: {why}\n{help}"))
            })?;
            // Local ones were judged with the spec.
            train::inspect(checkpoint, true).map_err(|error| {
                Stop::usage(format!("the weights of {id} cannot be used: {}", chain(&error)))
            })?;
        }
        Ok(())
    }
}

/// What a dry run says of tensors that the classifier has no use for, such as those of another head.
pub(super) fn unused(checkpoints: &BTreeMap<Checkpoint, CheckpointFacts>) -> Vec<String> {
    let with = checkpoints.iter().filter(|(_, facts)| !facts.unused.is_empty());
    with.map(|(name, facts)| {
        format!("tensors of {} that are not used: {}", name.title(), listed(&facts.unused))
    })
    .collect()
}

/// The exit code for an error: whether the checkpoint is wrong, or something went wrong on the way.
const fn exit(error: &HubError) -> Exit {
    if error.is_passing() || error.is_local() { Exit::Internal } else { Exit::Usage }
}
