//! Trials that are stopped or die at any step resume, and leave what they leave undisturbed.

use std::{fs, path::Path, sync::LazyLock};

use sweep::{
    event::Outcome,
    policy::CheckpointEvery,
    settings::{Freeze, Monitor, Pooling, Schedule, Settings, StopRule},
};

use crate::common::{
    checkpoint::checkpoint,
    results::{Files, differences, trial_files, without_times},
    trial_bench::{Disturbance, Reports, TrialBench, settings, settings_from},
};

fn short() -> Settings {
    Settings { epochs: 3, dropout: 0.2, ..settings() }
}

/// What a trial left that was disturbed, and what it leaves undisturbed.
struct Resumed {
    /// Those of the last attempt.
    reports: Reports,
    outcome: Outcome,
    files: Files,
    undisturbed: (Outcome, Files),
}

impl Resumed {
    #[track_caller]
    fn assert_as_undisturbed(&self) {
        let (outcome, files) = &self.undisturbed;
        assert_eq!(without_times(self.outcome.clone()), without_times(outcome.clone()));
        assert_eq!(differences(&self.files, files), [""; 0]);
    }
}

/// Disturbs `settings`'s trial by all of `disturbances` in turn, does `harm` to its folder, and lets it resume.
fn resume(settings: &Settings, disturbances: &[Disturbance], harm: impl Fn(&Path)) -> Resumed {
    let mut bench = TrialBench::new();
    let (outcome, folder) = bench.run(settings);
    let undisturbed = (outcome, trial_files(&folder));
    let folder = bench.folder.path().join("trial");
    for disturbance in disturbances {
        // A process of its own, as after a death.
        let mut bench = TrialBench::new();
        assert_eq!(bench.run_disturbed(&folder, settings, Some(*disturbance)).0, None);
    }
    harm(&folder);
    let (outcome, reports) = TrialBench::new().run_disturbed(&folder, settings, None);
    Resumed { reports, outcome: outcome.unwrap(), files: trial_files(&folder), undisturbed }
}

/// Disturbs the trial once by each of `disturbances`, and compares it with one that ran through.
fn assert_resumes(settings: &Settings, disturbances: &[Disturbance], checkpoint_every: CheckpointEvery) {
    let mut bench = TrialBench::new();
    bench.checkpoint_every = checkpoint_every;
    let (through, expected) = bench.run(settings);
    let expected = trial_files(&expected);
    for &disturbance in disturbances {
        let folder = bench.folder.path().join(format!("{disturbance:?}"));
        let (outcome, _) = bench.run_disturbed(&folder, settings, Some(disturbance));
        assert_eq!(outcome, None);
        // A process of its own, as after a death.
        let mut fresh = TrialBench::new();
        fresh.checkpoint_every = checkpoint_every;
        let (outcome, reports) = fresh.run_disturbed(&folder, settings, None);
        if let Disturbance::Stop(at) = disturbance {
            assert_eq!(reports.resumed, [(at, None)], "{settings:?}");
        }
        let what = format!("{disturbance:?} {settings:?}");
        assert_eq!(without_times(outcome.unwrap()), without_times(through.clone()), "{what}");
        assert_eq!(differences(&trial_files(&folder), &expected), [""; 0], "{what}");
    }
}

#[test]
fn a_trial_stopped_after_any_step_ends_as_if_it_had_run_through() {
    let stops: Vec<Disturbance> = (1..=18).map(Disturbance::Stop).collect();
    assert_resumes(&short(), &stops, CheckpointEvery::default());
}

#[test]
fn whatever_the_recipe_a_stopped_trial_resumes_exactly() {
    let roberta = checkpoint("tiny-roberta");
    let checkpoint = settings_from(roberta.path()).checkpoint;
    let recipes = [
        Settings { eval_every: 4, schedule: Schedule::Cosine, ..short() },
        Settings { eval_every: 4, patience: 1, min_delta: 100.0, monitor: Monitor::ValF1, ..short() },
        Settings { gradient_accumulation: 3, gradient_clip: 0.1, layer_decay: 0.5, ..short() },
        Settings { freeze: Freeze::Layers(1), head_learning_rate: 1e-2, ..short() },
        Settings { freeze: Freeze::Encoder, pooling: Pooling::Mean, ..short() },
        Settings { checkpoint, reinit_layers: 1, label_smoothing: 0.1, ..short() },
        Settings { eval_every: 2, rule: StopRule::Pq, strip: 3, alpha: 1e6, ..short() },
        Settings { eval_every: 2, rule: StopRule::Up, strip: 2, s: 9, ..short() },
    ];
    for settings in &recipes {
        // Within an epoch, at its end, and at an evaluation within it.
        let at = if settings.patience == 1 { vec![3, 4, 7] } else { vec![3, 4, 6, 13] };
        let stops: Vec<Disturbance> = at.into_iter().map(Disturbance::Stop).collect();
        assert_resumes(settings, &stops, CheckpointEvery::default());
    }
}

#[test]
fn a_trial_that_died_after_any_step_ends_as_if_it_had_run_through() {
    // Before the first checkpoint, after it, and within the third epoch.
    let deaths = [2, 5, 9, 15].map(Disturbance::Death);
    assert_resumes(&short(), &deaths, CheckpointEvery::Steps(4));
}

#[test]
fn a_trial_that_died_resumes_from_its_latest_checkpoint() {
    let mut bench = TrialBench::new();
    bench.checkpoint_every = CheckpointEvery::Steps(4);
    let folder = bench.folder.path().join("trial");
    bench.run_disturbed(&folder, &short(), Some(Disturbance::Death(11)));
    // Steps 4, 6 (an epoch's end) and 10 have checkpoints.
    let (_, reports) = TrialBench::new().run_disturbed(&folder, &short(), Some(Disturbance::Stop(12)));
    assert_eq!(reports.resumed, [(10, None)]);
    assert_eq!(reports.evaluations.iter().map(|evaluation| evaluation.step).collect::<Vec<_>>(), [6]);
}

static STOPPED_SEVEN_TIMES: LazyLock<Resumed> =
    LazyLock::new(|| resume(&short(), &[1, 2, 5, 6, 12, 17, 18].map(Disturbance::Stop), |_| {}));

#[test]
fn a_trial_that_was_stopped_seven_times_ends_as_if_it_had_run_through() {
    STOPPED_SEVEN_TIMES.assert_as_undisturbed();
}

#[test]
fn the_last_attempt_reports_the_evaluations_of_those_before_it_too() {
    assert_eq!(STOPPED_SEVEN_TIMES.reports.evaluations.len(), 3);
}

#[test]
fn the_time_of_a_trial_is_that_of_all_its_attempts() {
    let Resumed { outcome, reports, .. } = &*STOPPED_SEVEN_TIMES;
    assert!(outcome.seconds > reports.evaluations[1].seconds && reports.evaluations[0].seconds > 0.0);
}

static DAMAGED: LazyLock<Resumed> = LazyLock::new(|| {
    resume(&short(), &[Disturbance::Stop(15)], |folder| {
        let damaged = folder.join("last/state.safetensors");
        let mut bytes = fs::read(&damaged).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(damaged, bytes).unwrap();
    })
});

#[test]
fn a_damaged_checkpoint_is_reported() {
    let damaged = &DAMAGED.reports.damaged;
    assert!(damaged[0].contains("state.safetensors is damaged"), "{damaged:?}");
    assert!(damaged[0].ends_with("the one before it is used"), "{damaged:?}");
}

#[test]
fn a_trial_with_a_damaged_checkpoint_resumes_from_the_one_before() {
    assert_eq!(DAMAGED.reports.resumed, [(12, None)]);
    DAMAGED.assert_as_undisturbed();
}

#[test]
fn without_a_whole_checkpoint_a_trial_begins_anew() {
    let resumed = resume(&short(), &[Disturbance::Stop(15)], |folder| {
        for name in ["last", "last.before"] {
            fs::write(folder.join(name).join("model.safetensors"), "cut").unwrap();
        }
    });
    let Reports { damaged, .. } = &resumed.reports;
    assert_eq!((resumed.reports.resumed.len(), damaged.len()), (0, 2));
    assert!(damaged[1].ends_with("the trial begins anew"), "{damaged:?}");
    resumed.assert_as_undisturbed();
}

#[test]
fn the_checkpoint_of_another_training_is_left_alone() {
    let mut bench = TrialBench::new();
    let folder = bench.folder.path().join("trial");
    bench.run_disturbed(&folder, &short(), Some(Disturbance::Stop(15)));
    let other = Settings { weight_decay: 0.5, ..short() };
    let (_, expected) = bench.run(&other);
    let (_, reports) = bench.run_disturbed(&folder, &other, None);
    assert_eq!((reports.resumed.len(), reports.damaged.len()), (0, 0));
    assert_eq!(differences(&trial_files(&folder), &trial_files(&expected)), [""; 0]);
}

#[test]
fn a_trial_whose_outcome_was_lost_only_measures_again() {
    let mut bench = TrialBench::new();
    let (through, folder) = bench.run(&short());
    let before = trial_files(&folder);
    let (outcome, reports) = TrialBench::new().run_disturbed(&folder, &short(), Some(Disturbance::Death(1)));
    assert_eq!(reports.resumed, [(18, None)]);
    assert_eq!(without_times(outcome.unwrap()), without_times(through));
    assert_eq!(differences(&trial_files(&folder), &before), [""; 0]);
}
