//! A trial of the fake worker that looks like one: three evaluations, test figures that differ
//! from trial to trial, and predictions of 200 documents that fit them.

use std::{fmt::Write as _, fs, path::Path};

use sweep::{
    event::{Evaluation, Event, Outcome},
    metrics::{Confusion, Scores, Target},
    protocol::WorkerLine,
    trial::TrialId,
};

/// Documents of the test set, and of the validation set.
const DOCUMENTS: u32 = 200;
const EPOCHS: u32 = 3;

/// What the worker says about `trial`, whose predictions are written into `folder`.
///
/// A trial that is to pause does so; one that has paused goes on after its last evaluation, which is noted beside
/// the predictions.
pub(crate) fn lines(trial: TrialId, folder: &Path, pause_after: Option<usize>) -> Vec<WorkerLine> {
    let share = accuracy(trial);
    let note = folder.join("paused");
    let begun: u32 = fs::read_to_string(&note).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let until = pause_after.and_then(|epoch| u32::try_from(epoch).ok()).filter(|epoch| *epoch < EPOCHS);
    let evaluated = (begun + 1..=until.unwrap_or(EPOCHS))
        .map(|epoch| WorkerLine::Event(trial, Event::Evaluated(evaluation(trial, epoch, share))));
    if let (Some(until), Some(epoch)) = (until, pause_after) {
        fs::write(note, until.to_string()).expect("the folder of a trial is writable");
        return evaluated.chain([WorkerLine::Paused(trial, epoch)]).collect();
    }
    let last = evaluation(trial, EPOCHS, share);
    let (test, predictions) = measured(trial, u64::from(EPOCHS) + 1, share);
    fs::write(folder.join("predictions.csv"), predictions).expect("the folder of a trial is writable");
    let outcome = Outcome {
        best_epoch: last.epoch,
        best_step: last.step,
        epochs_run: last.epoch,
        stopped_early: false,
        train_loss: last.train_loss,
        validation: last.validation,
        test,
        training: None,
        seconds: 0.1,
        files: None,
    };
    evaluated.chain([WorkerLine::Finished(trial, outcome)]).collect()
}

fn evaluation(trial: TrialId, epoch: u32, share: f64) -> Evaluation {
    let share = share - 0.05 * f64::from(EPOCHS - epoch);
    Evaluation {
        epoch: f64::from(epoch),
        step: 10 * u64::from(epoch),
        train_loss: 0.9 - share / 2.0,
        learning_rate: 1e-4,
        validation: measured(trial, u64::from(epoch), share).0,
        best: true,
        seconds: 0.03 * f64::from(epoch),
    }
}

/// The figures of documents of which this share is classified rightly, by chance, and their CSV.
fn measured(trial: TrialId, set: u64, share: f64) -> (Scores, String) {
    let mut confusion = Confusion::new(2);
    let mut csv = "id,label,predicted,p_0,p_1\n".to_owned();
    for id in 0..DOCUMENTS {
        let truth = (id % 2) as usize;
        // Half of what decides is the document's own, so that trials err in the same places.
        let chance = 0.5 * unit(u64::from(id)) + 0.5 * unit(mix(u64::from(trial.0), set) ^ u64::from(id));
        let predicted = if chance < share { truth } else { 1 - truth };
        confusion.add(truth, predicted);
        let _ = writeln!(csv, "{id},{truth},{predicted},{},{}", 1.0 - chance, chance);
    }
    (Scores::new(confusion, 1.2 - share, Target::Class(1)), csv)
}

/// From .60 to .90.
fn accuracy(trial: TrialId) -> f64 {
    0.6 + 0.3 * unit(u64::from(trial.0))
}

fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 29)
}

/// A share of 1 that `seed` decides.
fn unit(seed: u64) -> f64 {
    f64::from(u32::try_from(mix(seed, 0x5eed) >> 32).unwrap_or_default()) / 4_294_967_296.0
}
