//! Made-up trials and sweeps for the tests of everything that shows results.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "made-up numbers are small"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    data::{DataSpec, Duplicates, Limit, Shares, Source},
    event::{Evaluation, Outcome},
    fingerprint::Fingerprints,
    metrics::{ClassCounts, Confusion, Scores, Target},
    plan::{Plan, Removed},
    policy::Policy,
    settings::{Settings, Value},
    study::{Study, TrialRecord},
    system::device::Device,
    trial::{Failure, FailureKind, Params, State, Trial, TrialId},
};

/// The counts of 400 documents of two classes, `wrong` of each taken for the other; 0 to 200.
pub(crate) fn scores(wrong: u64, loss: f64) -> Scores {
    let mut confusion = Confusion::new(2);
    for document in 0..400_usize {
        let truth = document % 2;
        confusion.add(truth, if (document / 2) < wrong as usize { 1 - truth } else { truth });
    }
    Scores::new(confusion, loss, Target::Class(1))
}

/// The scores of naming class 1 always, where `ones` of 400 documents are of that class.
fn constant(ones: u64, loss: f64) -> Scores {
    let confusion = Confusion::try_from(vec![vec![0, 400 - ones], vec![0, ones]]).unwrap();
    Scores::new(confusion, loss, Target::Class(1))
}

/// The scores of naming class 1 always, where nine tenths of the documents are of that class.
pub(crate) fn one_class_only() -> Scores {
    constant(360, 0.3)
}

/// A complete trial with one evaluation an epoch, of these validation losses; its training loss
/// falls steadily, and its F1 follows from the validation loss.
pub(crate) fn record(id: u32, val_losses: &[f64]) -> TrialRecord {
    let best =
        (0..val_losses.len()).min_by(|&a, &b| val_losses[a].total_cmp(&val_losses[b])).unwrap_or_default();
    let wrong = |loss: f64| (loss * 100.0).clamp(0.0, 150.0) as u64;
    let evaluations: Vec<Evaluation> = val_losses
        .iter()
        .enumerate()
        .map(|(index, &loss)| Evaluation {
            epoch: index as f64 + 1.0,
            step: 100 * (index as u64 + 1),
            train_loss: 0.7 * 0.8_f64.powi(index as i32),
            learning_rate: 1e-4,
            validation: scores(wrong(loss), loss),
            best: val_losses[..index].iter().all(|earlier| loss < *earlier),
            seconds: 3.0 * (index as f64 + 1.0),
        })
        .collect();
    let outcome = evaluations.get(best).map(|evaluation| Outcome {
        best_epoch: evaluation.epoch,
        best_step: evaluation.step,
        epochs_run: val_losses.len() as f64,
        stopped_early: false,
        train_loss: evaluation.train_loss,
        validation: evaluation.validation.clone(),
        test: scores(wrong(evaluation.validation.loss) + 4, evaluation.validation.loss + 0.02),
        seconds: 3.0 * val_losses.len() as f64,
        files: None,
    });
    let settings = Settings { epochs: val_losses.len().max(1), ..Settings::default() };
    TrialRecord {
        trial: Trial {
            id: TrialId(id),
            params: params(id),
            repeat: 0,
            seed: 1_000 + u64::from(id),
            settings,
        },
        state: State::Complete,
        attempts: 1,
        device: Some(Device::Cpu { slot: 0, threads: 1 }),
        micro_batch: None,
        alone: false,
        mixed: false,
        prepared: None,
        evaluations,
        outcome,
        failure: None,
        parameters_removed: false,
        inherited_from: None,
    }
}

fn params(id: u32) -> Params {
    Params(vec![
        ("learning_rate".to_owned(), Value::Float(1e-5 * f64::from(id))),
        ("dropout".to_owned(), Value::Float(0.1)),
    ])
}

/// `record`, failed for `kind` after its evaluations.
pub(crate) fn failed(mut record: TrialRecord, kind: FailureKind) -> TrialRecord {
    record.state = State::Failed;
    record.outcome = None;
    record.failure = Some(Failure { kind, message: "it stopped\nthere".to_owned() });
    record
}

/// A complete trial that names class 1 always, on 400 validation and as many test documents; `share` of the test
/// documents are of that class, which decides its test F1.
pub(crate) fn collapsed(id: u32, share: f64) -> TrialRecord {
    let mut record = record(id, &[0.7, 0.69]);
    let outcome = record.outcome.as_mut().unwrap();
    (outcome.validation, outcome.test) = (constant(200, 0.69), constant((400.0 * share) as u64, 0.69));
    record
}

/// A sweep of these trials over learning rate and dropout.
pub(crate) fn study(trials: Vec<TrialRecord>) -> Study {
    Study {
        sweep: "reviews".to_owned(),
        labels: vec!["差评".to_owned(), "好评".to_owned()],
        target: Target::Class(1),
        classes: ClassCounts::default(),
        positive_is_guess: false,
        swept: vec!["learning_rate".to_owned(), "dropout".to_owned()],
        scales: BTreeMap::new(),
        trials,
        removed: BTreeSet::new(),
    }
}

/// The columns `text` and `label` of `source`, without a limit, seeded with 1.
pub(crate) fn data_spec(source: Source) -> DataSpec {
    DataSpec {
        source,
        text: "text".to_owned(),
        label: "label".to_owned(),
        positive: None,
        average: None,
        encoding: None,
        duplicates: Duplicates::Drop,
        limit: Limit::default(),
        seed: 1,
    }
}

/// A plan of `trials` equal trials on one file.
pub(crate) fn plan(trials: u32) -> Plan {
    let source = Source::Single { path: PathBuf::from("/data.csv"), split: Shares::default() };
    let trial = |id| Trial {
        id: TrialId(id),
        params: Params::default(),
        repeat: 0,
        seed: 1,
        settings: Settings::default(),
    };
    Plan {
        sweep: "test".to_owned(),
        seed: 1,
        labels: vec!["0".to_owned(), "1".to_owned()],
        positive: Some(1),
        average: None,
        classes: ClassCounts::default(),
        notes: Vec::new(),
        swept: Vec::new(),
        scales: BTreeMap::new(),
        data: data_spec(source),
        fingerprints: Fingerprints::default(),
        hub: BTreeMap::new(),
        policy: Policy::default(),
        trials: (1..=trials).map(trial).collect(),
        removed: Removed::default(),
    }
}
