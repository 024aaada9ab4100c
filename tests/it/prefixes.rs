//! Sweeps over epochs and patience by real workers: trials share what they have in common, and
//! nothing but the time shows it.

use std::{collections::BTreeMap, fs, process::Command, sync::LazyLock};

use sweep::event::Event;

use crate::common::{
    place::Place,
    program::Written,
    results::{Files, differences, id, trial_files, without},
};

/// No improvement of the monitored figure is large enough to count, so that patience decides.
const SPEC: &str = r#"
name = "ends"
seed = 5
[data]
path = "builtin:reviews"
limit = { train = 60, validation = 40, test = 40 }
[text]
chunk_length = 32
chunk_stride = 8
[train]
batch_size = 10
learning_rate = 2e-3
schedule = "constant"
warmup_ratio = 0
[early_stopping]
min_delta = 100
"#;

/// Epochs and patience of each trial of the grid, in the order of the plan.
const ENDS: [(u32, u32); 4] = [(1, 1), (1, 2), (3, 1), (3, 2)];
const STEPS_PER_EPOCH: u64 = 6;

fn place() -> Place {
    Place::new("ends", SPEC)
}

fn run(place: &Place, arguments: &[&str]) {
    place.run(arguments).succeeded();
}

/// Runs the grid of [`ENDS`].
fn grid(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.run_command(arguments);
    command.args(["--set", "search.space.epochs={ grid = [1, 3] }"]);
    command.args(["--set", "search.space.patience={ grid = [1, 2] }"]);
    command
}

fn complete(mut command: Command) -> Written {
    Written::by(&mut command).succeeded()
}

/// The steps that workers made.
fn steps(place: &Place) -> u64 {
    let (mut steps, mut done) = (0, BTreeMap::new());
    for record in place.results().records() {
        let Some(trial) = record.trial else { continue };
        match record.event {
            Event::Started { .. } => _ = done.insert(trial, 0),
            Event::Resumed { step, .. } => _ = done.insert(trial, step),
            Event::Evaluated(evaluation) => {
                let done = done.entry(trial).or_default();
                steps += evaluation.step.saturating_sub(*done);
                *done = evaluation.step.max(*done);
            }
            _ => {}
        }
    }
    steps
}

/// The trials that resumed from the end of another, each with that other.
fn prefixes(place: &Place) -> BTreeMap<u32, u32> {
    let resumed = |event| if let Event::Resumed { from, .. } = event { from } else { None };
    let records = place.results().records().into_iter();
    records.filter_map(|record| Some((record.trial?.0, resumed(record.event)?.trial.0))).collect()
}

/// Fields of a row that depend on the sweep around its trial, or on time.
const OF_THE_SWEEP: [&str; 8] =
    ["rank", "tied", "p_value", "params", "trial", "seconds", "device", "warm_started_from"];

/// What a trial left that does not depend on time.
fn left(place: &Place, sweep: &str, trial: u32) -> Files {
    let results = place.results_of(sweep);
    let mut left = trial_files(results.trial(trial).path());
    let row = results.rows().into_iter().find(|row| id(row) == trial).unwrap();
    let row = OF_THE_SWEEP.iter().fold(row, |row, field| without(row, field));
    left.insert("row".to_owned(), serde_json::to_vec(&row).unwrap());
    left
}

/// Asserts that each trial of the grid left what it leaves in a sweep of its own.
fn assert_as_alone(place: &Place) {
    for (id, (epochs, patience)) in (1..).zip(ENDS) {
        let name = format!("alone-{id}");
        let [named, epochs, patience] =
            [format!("name={name}"), format!("epochs={epochs}"), format!("patience={patience}")];
        run(place, &["--devices", "cpu:1", "--set", &named, "--set", &epochs, "--set", &patience]);
        let (found, expected) = (left(place, "ends", id), left(place, &name, 1));
        assert_eq!(differences(&found, &expected), [""; 0], "trial {id}");
    }
}

/// Asserts that no trial has the files any more that only resuming needs.
#[track_caller]
fn assert_no_states(place: &Place) {
    let states: Vec<u32> = (1..=4).filter(|id| place.results().trial(*id).last_state().exists()).collect();
    assert_eq!(states, [0; 0]);
}

/// The grid on one slot and on two.
static GRIDS: LazyLock<[Place; 2]> = LazyLock::new(|| {
    ["cpu:1", "cpu:2"].map(|devices| {
        let place = Place::shared("ends", SPEC);
        complete(grid(&place, &["--devices", devices]));
        place
    })
});

#[test]
fn each_trial_ends_as_it_would_alone() {
    GRIDS.iter().for_each(assert_as_alone);
}

#[test]
fn no_step_is_made_twice() {
    for place in &*GRIDS {
        // Alone they are 1, 1, 2 and 3 epochs.
        assert_eq!(steps(place), 3 * STEPS_PER_EPOCH);
        assert_eq!(prefixes(place), [(2, 1), (3, 1), (4, 3)].into());
    }
}

#[test]
fn what_only_resuming_needs_is_removed() {
    GRIDS.iter().for_each(assert_no_states);
}

#[test]
fn the_leaderboard_names_the_trials_that_others_resumed_from() {
    for place in &*GRIDS {
        let board = fs::read_to_string(place.results().leaderboard("md")).unwrap();
        assert!(board.contains("0002 from 0001, 0003 from 0001, 0004 from 0003."), "{board}");
    }
}

#[test]
fn what_is_not_kept_is_removed_only_after_others_resumed_from_it() {
    let place = place();
    complete(grid(&place, &["--devices", "cpu:1", "--set", "run.keep=1"]));
    assert_eq!(steps(&place), 3 * STEPS_PER_EPOCH);
    assert_no_states(&place);
}

#[test]
fn a_dry_run_counts_the_trials_that_resume_from_others() {
    let shown = complete(grid(&place(), &["--dry-run"])).stdout;
    assert!(shown.contains("shared   3 of 4 trials go on where another one ends"), "{shown}");
}

#[test]
fn with_a_linear_schedule_a_trial_resumes_only_from_one_of_as_many_epochs() {
    let shown = complete(grid(&place(), &["--dry-run", "--set", "schedule=linear"])).stdout;
    assert!(shown.contains("shared   2 of 4 trials"), "{shown}");
}

/// A grid whose first trial failed when its worker wrote its first checkpoint.
fn with_a_failed_first_trial() -> Place {
    let place = place();
    let mut command = grid(&place, &["--devices", "cpu:1", "--set", "run.retries.signal=0"]);
    let order = format!("worker:5:kill:{}", place.path("mark").display());
    Written::by(command.env("SWEEP_CRASH", order)).with_code(3);
    place
}

#[test]
fn when_the_first_one_fails_the_others_run_all_the_same() {
    let place = with_a_failed_first_trial();
    // The last one has nobody but the third to resume from, and nobody came from the first.
    assert_eq!(prefixes(&place), [(4, 3)].into());
}

#[test]
fn a_first_trial_that_failed_ends_as_it_would_alone_when_it_is_tried_again() {
    let place = with_a_failed_first_trial();
    complete(grid(&place, &["--devices", "cpu:1", "--retry-failed"]));
    assert_as_alone(&place);
}

#[test]
fn a_trial_that_is_added_later_runs_from_its_beginning_when_no_checkpoint_is_left() {
    let place = place();
    run(&place, &["--devices", "cpu:1", "--set", "search.space.epochs={ grid = [1] }"]);
    run(&place, &["--devices", "cpu:1", "--set", "search.space.epochs={ grid = [1, 3] }"]);
    assert_eq!(steps(&place), 4 * STEPS_PER_EPOCH);
    assert_eq!(prefixes(&place), BTreeMap::new());
}
