//! Trials that are stopped or die anywhere, and go on as if nothing had been.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use crate::common::trial_bench::{Bench, checkpoint, files, settings};
use sweep::{
    event::{Evaluation, Outcome},
    policy::CheckpointEvery,
    settings::{Freeze, Monitor, Pooling, Schedule, Settings},
    train::{Control, Ending, Report},
};

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It is asked to stop.
    Asked,
    /// It dies without a word.
    Died,
}

/// What an attempt told besides progress.
#[derive(Debug, Default, PartialEq)]
struct Told {
    resumed: Vec<u64>,
    damaged: Vec<String>,
    evaluations: Vec<Evaluation>,
}

/// An attempt in `folder` that ends at step `at` of its own or an earlier attempt, or completes.
fn attempt(
    bench: &mut Bench,
    folder: &Path,
    settings: &Settings,
    end: Option<(u64, End)>,
) -> (Option<Outcome>, Told) {
    let mut told = Told::default();
    let mut observe = |report: Report| {
        match report {
            Report::Progress(progress) => match end {
                Some((at, End::Asked)) if progress.step == at => return Control::Stop,
                Some((at, End::Died)) if progress.step == at => panic!("killed"),
                _ => {}
            },
            Report::Resumed { step, .. } => told.resumed.push(step),
            Report::CheckpointDamaged(message) => told.damaged.push(message),
            Report::Evaluated(evaluation) => told.evaluations.push(evaluation),
            _ => {}
        }
        Control::Continue
    };
    let ending = catch_unwind(AssertUnwindSafe(|| bench.run_in(folder, settings, &mut observe)));
    let outcome = match ending {
        Err(_) => {
            assert!(matches!(end, Some((_, End::Died))));
            None
        }
        Ok(ending) => match ending.unwrap() {
            Ending::Complete(outcome) => Some(*outcome),
            Ending::Stopped => None,
        },
    };
    (outcome, told)
}

fn without_times(mut outcome: Outcome) -> Outcome {
    outcome.seconds = 0.0;
    outcome
}

fn short() -> Settings {
    Settings { epochs: 3, dropout: 0.2, ..settings() }
}

/// Interrupts the trial after each of `steps` in turn, and compares it with one that ran through.
fn assert_resumes(settings: &Settings, steps: &[u64], end: End, checkpoint_every: CheckpointEvery) {
    let mut bench = Bench::new();
    bench.checkpoint_every = checkpoint_every;
    let (through, expected) = bench.run(settings);
    for &at in steps {
        let folder = bench.folder.path().join(format!("stopped-at-{at}"));
        let (outcome, _) = attempt(&mut bench, &folder, settings, Some((at, end)));
        assert_eq!(outcome, None);
        // A process of its own, as after a death.
        let mut fresh = Bench::new();
        fresh.checkpoint_every = checkpoint_every;
        let (outcome, told) = attempt(&mut fresh, &folder, settings, None);
        if end == End::Asked {
            assert_eq!(told.resumed, [at], "{settings:?}");
        }
        assert_eq!(without_times(outcome.unwrap()), without_times(through.clone()), "{at} {settings:?}");
        let (found, expected) = (files(&folder), files(&expected));
        let different: Vec<_> = found.iter().filter(|(name, bytes)| expected[*name] != **bytes).collect();
        assert!(
            different.is_empty(),
            "{at} {:?}",
            different.iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_trial_stopped_after_any_step_ends_as_if_it_had_run_through() {
    assert_resumes(&short(), &(1..=18).collect::<Vec<_>>(), End::Asked, CheckpointEvery::default());
}

#[test]
fn whatever_the_recipe_a_stopped_trial_goes_on_exactly() {
    let roberta = checkpoint("tiny-roberta");
    let path = roberta.path().to_str().unwrap().to_owned();
    let recipes = [
        Settings { eval_every: 4, schedule: Schedule::Cosine, ..short() },
        Settings { eval_every: 4, patience: 1, min_delta: 100.0, monitor: Monitor::ValF1, ..short() },
        Settings { gradient_accumulation: 3, gradient_clip: 0.1, layer_decay: 0.5, ..short() },
        Settings { freeze: Freeze::Layers(1), head_learning_rate: 1e-2, ..short() },
        Settings { freeze: Freeze::Encoder, pooling: Pooling::Mean, ..short() },
        Settings { checkpoint: path, reinit_layers: 1, label_smoothing: 0.1, ..short() },
    ];
    for settings in &recipes {
        // Within an epoch, at its end, and at an evaluation within it.
        let steps = if settings.patience == 1 { vec![3, 4, 7] } else { vec![3, 4, 6, 13] };
        assert_resumes(settings, &steps, End::Asked, CheckpointEvery::default());
    }
}

#[test]
fn a_trial_that_died_goes_on_from_its_latest_checkpoint() {
    // Before the first checkpoint, after it, and within the third epoch.
    assert_resumes(&short(), &[2, 5, 9, 15], End::Died, CheckpointEvery::Steps(4));
    let mut bench = Bench::new();
    bench.checkpoint_every = CheckpointEvery::Steps(4);
    let folder = bench.folder.path().join("trial");
    attempt(&mut bench, &folder, &short(), Some((11, End::Died)));
    // Steps 4, 6 (an epoch's end) and 10 have checkpoints.
    let (_, told) = attempt(&mut Bench::new(), &folder, &short(), Some((12, End::Asked)));
    assert_eq!(told.resumed, [10]);
    assert_eq!(told.evaluations.iter().map(|evaluation| evaluation.step).collect::<Vec<_>>(), [6]);
}

#[test]
fn a_trial_may_be_interrupted_again_and_again() {
    let mut bench = Bench::new();
    let (through, expected) = bench.run(&short());
    let folder = bench.folder.path().join("trial");
    for at in [1, 2, 5, 6, 12, 17, 18] {
        assert_eq!(attempt(&mut Bench::new(), &folder, &short(), Some((at, End::Asked))).0, None);
    }
    let (outcome, told) = attempt(&mut Bench::new(), &folder, &short(), None);
    let outcome = outcome.unwrap();
    assert_eq!(told.evaluations.len(), 3, "each evaluation of the attempts before is told again");
    assert!(outcome.seconds > told.evaluations[1].seconds && told.evaluations[0].seconds > 0.0);
    assert_eq!((without_times(outcome), files(&folder)), (without_times(through), files(&expected)));
}

#[test]
fn a_damaged_checkpoint_is_told_and_the_one_before_used() {
    let mut bench = Bench::new();
    let (through, expected) = bench.run(&short());
    let folder = bench.folder.path().join("trial");
    attempt(&mut bench, &folder, &short(), Some((15, End::Asked)));
    let damaged = folder.join("last/state.safetensors");
    let mut bytes = fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let (outcome, told) = attempt(&mut bench, &folder, &short(), None);
    assert_eq!(told.resumed, [12]);
    assert!(told.damaged[0].contains("state.safetensors is damaged"), "{told:?}");
    assert!(told.damaged[0].ends_with("the one before it is used"), "{told:?}");
    assert_eq!(without_times(outcome.unwrap()), without_times(through));
    assert_eq!(files(&folder), files(&expected));
}

#[test]
fn with_no_checkpoint_that_is_whole_a_trial_begins_anew() {
    let mut bench = Bench::new();
    let (_, expected) = bench.run(&short());
    let folder = bench.folder.path().join("trial");
    attempt(&mut bench, &folder, &short(), Some((15, End::Asked)));
    for name in ["last", "last.before"] {
        fs::write(folder.join(name).join("model.safetensors"), "cut").unwrap();
    }
    let (_, told) = attempt(&mut bench, &folder, &short(), None);
    assert_eq!((told.resumed.len(), told.damaged.len()), (0, 2));
    assert!(told.damaged[1].ends_with("the trial begins anew"), "{told:?}");
    assert_eq!(files(&folder), files(&expected));
}

#[test]
fn the_checkpoint_of_another_training_is_left_alone() {
    let mut bench = Bench::new();
    let folder = bench.folder.path().join("trial");
    attempt(&mut bench, &folder, &short(), Some((15, End::Asked)));
    let other = Settings { weight_decay: 0.5, ..short() };
    let (_, expected) = bench.run(&other);
    let (_, told) = attempt(&mut bench, &folder, &other, None);
    assert_eq!((told.resumed.len(), told.damaged.len()), (0, 0));
    assert_eq!(files(&folder), files(&expected));
}

#[test]
fn a_trial_whose_outcome_was_lost_only_measures_again() {
    let mut bench = Bench::new();
    let (through, folder) = bench.run(&short());
    let before = files(&folder);
    let (outcome, told) = attempt(&mut Bench::new(), &folder, &short(), Some((1, End::Died)));
    assert_eq!(told.resumed, [18]);
    assert_eq!(without_times(outcome.unwrap()), without_times(through));
    assert_eq!(files(&folder), before);
}
