//! The checkpoints of a run: inspected while the spec is checked, downloaded before a trial starts.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    exit::{Exit, Stop},
    tokenizer,
};
use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    error_chain::chain,
    hub::{Environment, Hub, HubError, HubId, Pace},
    plan::Plan,
    results::{Results, read_json},
    spec::{Inspected, Refusal, SpecError, Wanted},
    study::Study,
    train::{self, listed, wall::WallError},
    trial::State,
};

/// Inspects and downloads the checkpoints of a run.
pub(super) struct RunCheckpoints<'a> {
    hub: Hub,
    results: &'a Results,
    /// Whether the commits that an earlier run used are ignored.
    fresh: bool,
    /// The refusals that are not the spec's fault.
    excused: Cell<ExcusedRefusals>,
}

/// Refusals of checkpoints that are the fault of the network or of this machine, not of the spec.
#[derive(Clone, Copy, Default)]
struct ExcusedRefusals {
    count: usize,
    /// The exit code for the last one.
    exit: Option<Exit>,
}

impl<'a> RunCheckpoints<'a> {
    pub(super) fn new(results: &'a Results, fresh: bool) -> Self {
        let hub = Hub::new(Environment::of_this_process(), Pace::default());
        Self { hub, results, fresh, excused: Cell::default() }
    }

    /// Inspects a checkpoint of a spec. Of a model on a hub, only small files are downloaded.
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
        let facts = match train::inspect(&checkpoint, with_weights) {
            Ok(facts) => facts,
            Err(error) => return Err(Refusal { message: chain(&error), help }),
        };
        match tokenizer::guard(&checkpoint) {
            Ok(()) => Ok(Inspected { checkpoint, facts }),
            Err(error) => {
                if let WallError::Start { .. } = &error {
                    self.excuse(Exit::Internal);
                }
                Err(Refusal { message: chain(&error), help })
            }
        }
    }

    /// The model on a hub that a spec names, at the commit that an earlier run of the sweep used.
    fn hub_id(&self, wanted: Wanted<'_>) -> Option<HubId> {
        let id = wanted.checkpoint.hub_id()?.clone();
        let earlier = || -> Option<HubId> {
            // A plan that cannot be read is reported where it is compared with the new one.
            let plan: Plan = read_json(&self.results.sweep(wanted.sweep?).plan()).ok()?;
            plan.hub.get(wanted.written)?.hub_id().cloned()
        };
        Some(if self.fresh { id } else { earlier().unwrap_or(id) })
    }

    /// The refusal of a checkpoint because of an error of the hub.
    fn refusal(&self, error: &HubError) -> Refusal {
        if exit(error) != Exit::Usage {
            self.excuse(exit(error));
        }
        Refusal { message: chain(error), help: Some(error.help()) }
    }

    /// Notes a refusal that is not the spec's fault.
    fn excuse(&self, exit: Exit) {
        let count = self.excused.get().count + 1;
        self.excused.set(ExcusedRefusals { count, exit: Some(exit) });
    }

    /// The error for a spec with these problems. If none of them is the spec's fault, the exit code says so.
    pub(super) fn stop(&self, error: &SpecError, colour: bool) -> Stop {
        let stop = Stop::spec(error, colour);
        match self.excused.get() {
            ExcusedRefusals { count, exit: Some(exit) } if count == error.problems.len() => {
                Stop { exit, ..stop }
            }
            ExcusedRefusals { .. } => stop,
        }
    }

    /// Notes of a dry run about the commits and weights of the plan's models on a hub.
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

    /// Downloads the weights of every model on a hub that a trial of `study` still needs, and checks them.
    pub(super) fn fetch_weights(&self, study: &Study) -> Result<(), Stop> {
        let open = study.trials.iter().filter(|record| record.state != State::Complete);
        let needed: BTreeSet<&Checkpoint> = open.map(|record| &record.trial.settings.checkpoint).collect();
        for checkpoint in needed {
            let Some(id) = checkpoint.hub_id() else { continue };
            self.hub.fetch_weights(id).map_err(|error| {
                let (why, help) = (chain(&error), error.help());
                Stop::new(exit(&error), &format!("the weights of {id} could not be fetched: {why}\n{help}"))
            })?;
            // The weights of local checkpoints were checked together with the spec.
            train::inspect(checkpoint, true).map_err(|error| {
                Stop::usage(format!("the weights of {id} cannot be used: {}", chain(&error)))
            })?;
        }
        Ok(())
    }
}

/// Notes of a dry run about how the files of checkpoints were read.
pub(super) fn readings(checkpoints: &BTreeMap<Checkpoint, CheckpointFacts>) -> Vec<String> {
    let notes = checkpoints.iter().flat_map(|(name, facts)| facts.notes.iter().map(move |note| (name, note)));
    notes.map(|(name, note)| format!("{}: {note}", name.title())).collect()
}

/// Notes of a dry run about tensors that the classifier does not use, such as the head of another task.
pub(super) fn unused(checkpoints: &BTreeMap<Checkpoint, CheckpointFacts>) -> Vec<String> {
    let with = checkpoints.iter().filter(|(_, facts)| !facts.unused.is_empty());
    with.map(|(name, facts)| {
        format!("tensors of {} that are not used: {}", name.title(), listed(&facts.unused))
    })
    .collect()
}

/// The exit code for an error: internal if the network or this machine failed, else a fault of the spec.
const fn exit(error: &HubError) -> Exit {
    if error.is_passing() || error.is_local() { Exit::Internal } else { Exit::Usage }
}
