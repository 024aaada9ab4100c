//! Trials that go on where others end leave what they would have left by themselves.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use crate::common::trial_bench::{Bench, files, settings};
use sweep::{
    event::{Evaluation, Outcome},
    job::Sharing,
    policy::CheckpointEvery,
    settings::{Freeze, Monitor, Schedule, Settings},
    train::{Control, Ending, Report},
    trial::TrialId,
};

const SHORT: TrialId = TrialId(7);
const LONG: TrialId = TrialId(8);

/// What an attempt told besides progress.
#[derive(Debug, Default, PartialEq)]
struct Told {
    steps: usize,
    resumed: Vec<(u64, Option<TrialId>)>,
    damaged: Vec<String>,
    evaluations: Vec<Evaluation>,
}

fn folder(bench: &Bench, trial: TrialId) -> PathBuf {
    bench.folder.path().join(trial.to_string())
}

/// An attempt at `trial` that dies after the step `dies`, or completes.
fn attempt(
    bench: &mut Bench,
    trial: TrialId,
    settings: &Settings,
    dies: Option<u64>,
) -> (Option<Outcome>, Told) {
    bench.sharing = match trial {
        SHORT => Sharing { origin: None, is_gone_on_from: true },
        _ => Sharing { origin: Some(SHORT), is_gone_on_from: false },
    };
    let folder = folder(bench, trial);
    let mut told = Told::default();
    let mut observe = |report: Report| {
        match report {
            Report::Progress(progress) => {
                told.steps += 1;
                assert!(dies != Some(progress.step), "killed");
            }
            Report::Resumed { step, from, .. } => told.resumed.push((step, from)),
            Report::CheckpointDamaged(message) => told.damaged.push(message),
            Report::Evaluated(evaluation) => told.evaluations.push(evaluation),
            _ => {}
        }
        Control::Continue
    };
    let ending = catch_unwind(AssertUnwindSafe(|| bench.run_in(&folder, settings, &mut observe)));
    match ending.map(Result::unwrap) {
        Ok(Ending::Complete(outcome)) => (Some(*outcome), told),
        Ok(Ending::Stopped) => panic!("stopped without being asked"),
        Err(_) => (None, told),
    }
}

fn without_times(mut outcome: Outcome) -> Outcome {
    outcome.seconds = 0.0;
    outcome
}

fn untimed(evaluations: &[Evaluation]) -> Vec<Evaluation> {
    evaluations.iter().map(|each| Evaluation { seconds: 0.0, ..each.clone() }).collect()
}

fn constant(epochs: usize, patience: usize) -> Settings {
    let schedule = Schedule::Constant;
    Settings { epochs, patience, schedule, warmup_ratio: 0.0, dropout: 0.2, ..settings() }
}

/// A trial in which nothing after the first evaluation is an improvement.
fn flat(epochs: usize, patience: usize) -> Settings {
    Settings { min_delta: 100.0, ..constant(epochs, patience) }
}

/// Asserts that the long trial goes on from the end of the short one, after `shared` steps, and ends as
/// it would by itself.
fn assert_shares(short: &Settings, long: &Settings, shared: u64) {
    let mut bench = Bench::new();
    let mut alone = Told::default();
    let (ending, expected) = bench.run_observed(long, &mut |report| {
        match report {
            Report::Progress(_) => alone.steps += 1,
            Report::Evaluated(evaluation) => alone.evaluations.push(evaluation),
            _ => {}
        }
        Control::Continue
    });
    let Ending::Complete(through) = ending.unwrap() else { panic!("stopped without being asked") };
    let expected = files(&expected);
    attempt(&mut bench, SHORT, short, None);
    // A process of its own, as on another device.
    let mut fresh = Bench::new();
    std::mem::swap(&mut bench.folder, &mut fresh.folder);
    let (outcome, told) = attempt(&mut fresh, LONG, long, None);
    assert_eq!(told.resumed, [(shared, Some(SHORT))], "{short:?}");
    assert_eq!(told.damaged, [""; 0]);
    assert_eq!(told.steps + usize::try_from(shared).unwrap(), alone.steps, "{short:?}");
    assert_eq!(untimed(&told.evaluations), untimed(&alone.evaluations), "{short:?}");
    assert_eq!(without_times(outcome.unwrap()), without_times(*through), "{short:?}");
    assert_eq!(files(&folder(&fresh, LONG)), expected, "{short:?}");
}

#[test]
fn a_trial_goes_on_where_one_with_fewer_epochs_ended() {
    assert_shares(&constant(1, 8), &constant(3, 8), 6);
}

#[test]
fn a_trial_goes_on_where_one_with_less_patience_stopped_and_counts_on() {
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
    let mut bench = Bench::new();
    bench.checkpoint_every = CheckpointEvery::Steps(4);
    let long = constant(3, 8);
    let (through, expected) = bench.run(&long);
    attempt(&mut bench, SHORT, &constant(1, 8), None);
    assert_eq!(attempt(&mut bench, LONG, &long, Some(8)).0, None);
    fs::remove_dir_all(folder(&bench, SHORT)).unwrap();
    // From where it took over, and then from a checkpoint of its own.
    let (outcome, told) = attempt(&mut bench, LONG, &long, Some(11));
    assert_eq!((outcome, told.resumed), (None, vec![(6, Some(SHORT))]));
    let (outcome, told) = attempt(&mut bench, LONG, &long, None);
    assert_eq!(told.resumed, [(10, Some(SHORT))]);
    assert_eq!(without_times(outcome.unwrap()), without_times(through));
    assert_eq!(files(&folder(&bench, LONG)), files(&expected));
}

/// How a trial's state is lost.
type Loss<'a> = &'a dyn Fn(&mut Bench);

#[test]
fn without_the_others_state_a_trial_begins_anew_and_ends_alike() {
    let long = constant(3, 8);
    let state = |bench: &Bench| folder(bench, SHORT).join("last/state.safetensors");
    let losses: [(&str, Loss); 4] = [
        ("", &|bench| fs::remove_file(state(bench)).unwrap()),
        ("is damaged", &|bench| {
            let mut bytes = fs::read(state(bench)).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(state(bench), bytes).unwrap();
        }),
        ("cannot read", &|bench| {
            fs::remove_file(folder(bench, SHORT).join("last/best.safetensors")).unwrap();
        }),
        // Of a trial that nobody was to go on from: without moments.
        ("", &|bench| {
            fs::remove_dir_all(folder(bench, SHORT)).unwrap();
            bench.sharing = Sharing::default();
            let folder = folder(bench, SHORT);
            bench.run_in(&folder, &constant(1, 8), &mut |_| Control::Continue).unwrap();
        }),
    ];
    for (told_of, lose) in losses {
        let mut bench = Bench::new();
        let (through, expected) = bench.run(&long);
        attempt(&mut bench, SHORT, &constant(1, 8), None);
        lose(&mut bench);
        let (outcome, told) = attempt(&mut bench, LONG, &long, None);
        assert_eq!((told.resumed, told.steps), (vec![], 18));
        assert!(told.damaged.iter().all(|told| told.contains(told_of) && told.ends_with("begins anew")));
        assert_eq!(told.damaged.is_empty(), told_of.is_empty());
        assert_eq!(without_times(outcome.unwrap()), without_times(through));
        assert_eq!(files(&folder(&bench, LONG)), files(&expected));
    }
}

#[test]
fn nothing_is_shared_where_the_schedule_falls_to_another_end_or_memory_had_run_out() {
    let linear = |epochs| Settings { schedule: Schedule::Linear, ..constant(epochs, 8) };
    let mut bench = Bench::new();
    attempt(&mut bench, SHORT, &linear(1), None);
    assert_eq!(attempt(&mut bench, LONG, &linear(3), None).1.resumed, []);
    let mut bench = Bench::new();
    bench.micro_batch = Some(2);
    attempt(&mut bench, SHORT, &constant(1, 8), None);
    bench.micro_batch = None;
    assert_eq!(attempt(&mut bench, LONG, &constant(3, 8), None).1.resumed, []);
}

#[test]
fn the_time_of_a_trial_is_its_own() {
    let mut bench = Bench::new();
    let (short, _) = attempt(&mut bench, SHORT, &constant(6, 8), None);
    let (long, told) = attempt(&mut bench, LONG, &constant(7, 8), None);
    assert!(long.unwrap().seconds < short.unwrap().seconds);
    assert!(told.evaluations.is_sorted_by_key(|evaluation| evaluation.seconds));
}
