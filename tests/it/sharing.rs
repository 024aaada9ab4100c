//! Trials that resume from the end of others leave what they leave by themselves.

use std::{fs, path::PathBuf};

use sweep::{
    event::Outcome,
    job::Sharing,
    policy::CheckpointEvery,
    settings::{Freeze, Monitor, Schedule, Settings},
    trial::TrialId,
};

use crate::common::{
    results::{differences, trial_files, without_times},
    trial_bench::{Disturbance, Reports, TrialBench, settings},
};

const SHORT: TrialId = TrialId(7);
const LONG: TrialId = TrialId(8);

fn folder(bench: &TrialBench, trial: TrialId) -> PathBuf {
    bench.folder.path().join(trial.to_string())
}

/// An attempt at `trial`, of which the long one may resume from the end of the short one. It dies after the
/// step `dies`, or completes.
fn attempt(
    bench: &mut TrialBench,
    trial: TrialId,
    settings: &Settings,
    dies: Option<u64>,
) -> (Option<Outcome>, Reports) {
    bench.attempt.sharing = match trial {
        SHORT => Sharing { prefix: None, has_successors: true },
        _ => Sharing { prefix: Some(SHORT), has_successors: false },
    };
    let folder = folder(bench, trial);
    bench.run_disturbed(&folder, settings, dies.map(Disturbance::Death))
}

fn constant(epochs: usize, patience: usize) -> Settings {
    let schedule = Schedule::Constant;
    Settings { epochs, patience, schedule, warmup_ratio: 0.0, dropout: 0.2, ..settings() }
}

/// A trial in which nothing after the first evaluation is an improvement.
fn flat(epochs: usize, patience: usize) -> Settings {
    Settings { min_delta: 100.0, ..constant(epochs, patience) }
}

/// Asserts that the long trial resumes from the end of the short one, after `shared` steps, and ends as it
/// does by itself.
fn assert_shares(short: &Settings, long: &Settings, shared: u64) {
    let mut bench = TrialBench::new();
    let alone = bench.folder.path().join("alone");
    let (through, of_alone) = bench.run_disturbed(&alone, long, None);
    let expected = trial_files(&alone);
    attempt(&mut bench, SHORT, short, None);
    // A process of its own, as on another device.
    let mut fresh = TrialBench::new();
    std::mem::swap(&mut bench.folder, &mut fresh.folder);
    let (outcome, reports) = attempt(&mut fresh, LONG, long, None);
    assert_eq!(reports.resumed, [(shared, Some(SHORT))], "{short:?}");
    assert_eq!(reports.damaged, [""; 0]);
    assert_eq!(reports.steps + usize::try_from(shared).unwrap(), of_alone.steps, "{short:?}");
    assert_eq!(reports.untimed(), of_alone.untimed(), "{short:?}");
    assert_eq!(without_times(outcome.unwrap()), without_times(through.unwrap()), "{short:?}");
    assert_eq!(differences(&trial_files(&folder(&fresh, LONG)), &expected), [""; 0], "{short:?}");
}

#[test]
fn a_trial_resumes_where_one_with_fewer_epochs_ended() {
    assert_shares(&constant(1, 8), &constant(3, 8), 6);
}

#[test]
fn a_trial_resumes_where_one_with_less_patience_stopped() {
    assert_shares(&flat(8, 1), &flat(8, 3), 12);
    assert_shares(&flat(3, 1), &flat(8, 2), 12);
    assert_shares(&flat(1, 1), &flat(8, 1), 6);
}

#[test]
fn a_trial_that_would_have_ended_just_there_only_measures() {
    assert_shares(&constant(2, 3), &constant(2, 8), 12);
}

#[test]
fn whatever_the_recipe_the_shared_steps_are_exact() {
    let recipes: [fn(Settings) -> Settings; 4] = [
        |it| Settings { schedule: Schedule::Linear, warmup_ratio: 0.1, ..it },
        |it| Settings { schedule: Schedule::Cosine, eval_every: 6, monitor: Monitor::ValF1, ..it },
        |it| Settings { gradient_accumulation: 3, gradient_clip: 0.1, layer_decay: 0.5, ..it },
        |it| Settings { freeze: Freeze::Encoder, head_learning_rate: 1e-2, ..it },
    ];
    for recipe in recipes {
        assert_shares(&recipe(flat(6, 1)), &recipe(flat(6, 3)), 12);
    }
}

#[test]
fn a_trial_that_died_after_it_took_over_needs_the_other_no_more() {
    let mut bench = TrialBench::new();
    bench.checkpoint_every = CheckpointEvery::Steps(4);
    let long = constant(3, 8);
    let (through, expected) = bench.run(&long);
    attempt(&mut bench, SHORT, &constant(1, 8), None);
    assert_eq!(attempt(&mut bench, LONG, &long, Some(8)).0, None);
    fs::remove_dir_all(folder(&bench, SHORT)).unwrap();
    // From where it took over, and then from a checkpoint of its own.
    let (outcome, reports) = attempt(&mut bench, LONG, &long, Some(11));
    assert_eq!((outcome, reports.resumed), (None, vec![(6, Some(SHORT))]));
    let (outcome, reports) = attempt(&mut bench, LONG, &long, None);
    assert_eq!(reports.resumed, [(10, Some(SHORT))]);
    assert_eq!(without_times(outcome.unwrap()), without_times(through));
    assert_eq!(differences(&trial_files(&folder(&bench, LONG)), &trial_files(&expected)), [""; 0]);
}

/// Asserts that the long trial begins anew once `lose` has done harm to the short one, ends as it does by
/// itself, and reports what it found if that is damage.
fn assert_begins_anew(damage: Option<&str>, lose: impl FnOnce(&mut TrialBench)) {
    let mut bench = TrialBench::new();
    let long = constant(3, 8);
    let (through, expected) = bench.run(&long);
    attempt(&mut bench, SHORT, &constant(1, 8), None);
    lose(&mut bench);
    let (outcome, reports) = attempt(&mut bench, LONG, &long, None);
    assert_eq!((reports.resumed, reports.steps), (vec![], 18));
    assert_eq!(reports.damaged.is_empty(), damage.is_none());
    for message in reports.damaged {
        assert!(message.contains(damage.unwrap()) && message.ends_with("begins anew"), "{message}");
    }
    assert_eq!(without_times(outcome.unwrap()), without_times(through));
    assert_eq!(differences(&trial_files(&folder(&bench, LONG)), &trial_files(&expected)), [""; 0]);
}

fn state(bench: &TrialBench) -> PathBuf {
    folder(bench, SHORT).join("last/state.safetensors")
}

#[test]
fn without_the_others_state_a_trial_begins_anew() {
    assert_begins_anew(None, |bench| fs::remove_file(state(bench)).unwrap());
}

#[test]
fn with_a_damaged_state_of_the_other_a_trial_begins_anew() {
    assert_begins_anew(Some("is damaged"), |bench| {
        let mut bytes = fs::read(state(bench)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(state(bench), bytes).unwrap();
    });
}

#[test]
fn without_the_others_best_parameters_a_trial_begins_anew() {
    assert_begins_anew(Some("cannot read"), |bench| {
        fs::remove_file(folder(bench, SHORT).join("last/best.safetensors")).unwrap();
    });
}

#[test]
fn after_a_trial_that_was_planned_without_successor_another_begins_anew() {
    assert_begins_anew(None, |bench| {
        fs::remove_dir_all(folder(bench, SHORT)).unwrap();
        // Its state has no moments.
        bench.attempt.sharing = Sharing::default();
        let folder = folder(bench, SHORT);
        bench.run_in(&folder, &constant(1, 8), &mut |_| Ok(())).unwrap();
    });
}

#[test]
fn nothing_is_shared_where_the_schedule_falls_to_another_end() {
    let linear = |epochs| Settings { schedule: Schedule::Linear, ..constant(epochs, 8) };
    let mut bench = TrialBench::new();
    attempt(&mut bench, SHORT, &linear(1), None);
    assert_eq!(attempt(&mut bench, LONG, &linear(3), None).1.resumed, []);
}

#[test]
fn nothing_is_shared_with_a_trial_for_which_memory_ran_out() {
    let mut bench = TrialBench::new();
    bench.attempt.micro_batch = Some(2);
    attempt(&mut bench, SHORT, &constant(1, 8), None);
    bench.attempt.micro_batch = None;
    assert_eq!(attempt(&mut bench, LONG, &constant(3, 8), None).1.resumed, []);
}

/// The outcomes of a trial of six epochs and of one that makes a seventh from there, and the latter's reports.
fn six_epochs_and_a_seventh() -> (Outcome, Outcome, Reports) {
    let mut bench = TrialBench::new();
    let (short, _) = attempt(&mut bench, SHORT, &constant(6, 8), None);
    let (long, reports) = attempt(&mut bench, LONG, &constant(7, 8), None);
    (short.unwrap(), long.unwrap(), reports)
}

#[test]
fn the_time_of_a_trial_is_its_own() {
    let (short, long, _) = six_epochs_and_a_seventh();
    assert!(long.seconds < short.seconds);
}

#[test]
fn the_times_of_evaluations_grow_across_a_shared_prefix() {
    let (_, _, reports) = six_epochs_and_a_seventh();
    assert!(reports.evaluations.is_sorted_by_key(|evaluation| evaluation.seconds));
}
