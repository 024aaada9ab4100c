//! The lines that say how trials ended.

use super::panics;
use crate::{
    error_chain::chain,
    event::Outcome,
    protocol::WorkerLine,
    system::{
        memory::{self, Memory},
        panics::Panicked,
        shortage::Shortage,
    },
    train::{Ending, TrainError},
    trial::{Failure, FailureKind, TrialId},
};

/// The line for a trial that has ended without a panic. `not_finite`: the step of an evaluation whose loss is not finite.
pub(super) fn ended(
    trial: TrialId,
    ending: Result<Ending, TrainError>,
    not_finite: Option<u64>,
) -> WorkerLine {
    match (ending, not_finite) {
        (Ok(_), Some(step)) => loss_not_finite(trial, step),
        (Err(error), _) => WorkerLine::Failed(trial, failure_of(&error)),
        (Ok(Ending::Stopped), None) => WorkerLine::Stopped(trial),
        (Ok(Ending::Paused(epochs)), None) => WorkerLine::Paused(trial, epochs),
        (Ok(Ending::Complete(outcome)), None) => finished(trial, *outcome),
    }
}

pub(super) fn failure_of(error: &TrainError) -> Failure {
    failure(error.kind(), &chain(error))
}

pub(super) fn failed(trial: TrialId, kind: FailureKind, message: &str) -> WorkerLine {
    WorkerLine::Failed(trial, failure(kind, message))
}

fn failure(kind: FailureKind, message: &str) -> Failure {
    let message = one_line(message);
    let kind = match kind {
        _ if Shortage::at_end(&message).is_some() => FailureKind::Shortage,
        _ if memory::is_refused(&message) => FailureKind::OutOfMemory(Memory::Host),
        kind => kind,
    };
    Failure { kind, message }
}

/// The failure that a panic is.
pub(super) fn panicked(panicked: &Panicked) -> Failure {
    Failure { kind: panics::kind(panicked), message: one_line(&panicked.message()) }
}

/// The line for a complete trial. JSON cannot write a loss that is not finite: such a trial has failed.
fn finished(trial: TrialId, outcome: Outcome) -> WorkerLine {
    let losses = [outcome.train_loss, outcome.validation.loss, outcome.test.loss];
    if losses.iter().all(|loss| loss.is_finite()) {
        WorkerLine::Finished(trial, outcome)
    } else {
        loss_not_finite(trial, outcome.best_step)
    }
}

fn loss_not_finite(trial: TrialId, step: u64) -> WorkerLine {
    let message = format!("a loss is not finite at step {step}; a lower learning rate may help");
    failed(trial, FailureKind::NonFinite { step }, &message)
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
