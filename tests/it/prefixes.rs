//! Sweeps over epochs and patience by real workers: trials share what they have in common, and
//! nothing but the time tells.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use sweep::{
    event::{Event, Record},
    journal,
    results::{Results, SweepFolder},
    trial::TrialId,
};
use tempfile::TempDir;

/// The monitored figure never improves by so much, so that patience decides.
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

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("ends.toml"), SPEC).unwrap();
        Self(root)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        command.args(["run", "ends.toml"]).args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs the grid of [`ENDS`].
    fn grid(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.args(["--set", "search.space.epochs={ grid = [1, 3] }"]);
        command.args(["--set", "search.space.patience={ grid = [1, 2] }"]);
        command
    }

    fn folder(&self, name: &str) -> SweepFolder {
        Results::new(self.path("results")).sweep(name)
    }

    fn records(&self) -> Vec<Record> {
        journal::replay(&self.folder("ends").log()).unwrap().records
    }

    /// The steps that workers made, and the trials that trials went on from.
    fn work(&self) -> (u64, BTreeMap<u32, u32>) {
        let (mut steps, mut origins, mut done) = (0, BTreeMap::new(), BTreeMap::new());
        for record in self.records() {
            let Some(trial) = record.trial else { continue };
            match record.event {
                Event::Started { .. } => _ = done.insert(trial, 0),
                Event::Resumed { step, from, .. } => {
                    done.insert(trial, step);
                    origins.extend(from.map(|origin| (trial.0, origin.trial.0)));
                }
                Event::Evaluated(evaluation) => {
                    let done = done.entry(trial).or_default();
                    steps += evaluation.step.saturating_sub(*done);
                    *done = evaluation.step.max(*done);
                }
                _ => {}
            }
        }
        (steps, origins)
    }

    /// What the trial `id` of the sweep `name` left that does not depend on time.
    fn left(&self, name: &str, id: u32) -> BTreeMap<&'static str, Vec<u8>> {
        let folder = self.folder(name).trial(TrialId(id));
        let mut left: BTreeMap<_, _> =
            ["metrics.csv", "predictions.csv", "best/model.safetensors", "last/model.safetensors"]
                .map(|file| (file, fs::read(folder.path().join(file)).unwrap()))
                .into();
        let board = fs::read(self.folder(name).leaderboard("json")).unwrap();
        let board: Vec<Value> = serde_json::from_slice(&board).unwrap();
        let row = board.iter().find(|row| row["trial"] == id).unwrap();
        let mut row = row.as_object().unwrap().clone();
        let of_the_sweep =
            ["rank", "tied", "p_value", "params", "trial", "seconds", "device", "went_on_from"];
        for field in of_the_sweep {
            row.remove(field).unwrap();
        }
        left.insert("row", serde_json::to_vec(&row).unwrap());
        left
    }

    /// Asserts that each trial of the grid left what it leaves in a sweep of its own.
    fn assert_as_alone(&self) {
        for (id, (epochs, patience)) in (1..).zip(ENDS) {
            let name = format!("alone-{id}");
            let settings =
                [format!("name={name}"), format!("epochs={epochs}"), format!("patience={patience}")];
            let mut command = self.command(&["--devices", "cpu:1"]);
            for setting in settings {
                command.args(["--set", &setting]);
            }
            complete(&mut command);
            let (expected, found) = (self.left(&name, 1), self.left("ends", id));
            let different: Vec<_> = expected.keys().filter(|file| expected[*file] != found[*file]).collect();
            assert!(different.is_empty(), "trial {id}: {different:?}");
        }
    }

    /// The files of a trial that only going on needs.
    fn checkpoints(&self) -> Vec<u32> {
        (1..=4).filter(|id| self.folder("ends").trial(TrialId(*id)).last_state().exists()).collect()
    }
}

fn complete(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn each_trial_ends_as_it_would_alone_and_no_step_is_made_twice() {
    for devices in ["cpu:1", "cpu:2"] {
        let place = Place::new();
        complete(&mut place.grid(&["--devices", devices]));
        place.assert_as_alone();
        // Alone they are 1, 1, 2 and 3 epochs.
        let origins = [(2, 1), (3, 1), (4, 3)].into();
        assert_eq!(place.work(), (3 * STEPS_PER_EPOCH, origins), "{devices}");
        assert_eq!(place.checkpoints(), [0; 0], "what only going on needs is gone");
        let board = fs::read_to_string(place.folder("ends").leaderboard("md")).unwrap();
        assert!(board.contains("0002 from 0001, 0003 from 0001, 0004 from 0003."), "{board}");
    }
}

#[test]
fn what_is_not_kept_is_removed_only_after_others_went_on_from_it() {
    let place = Place::new();
    complete(&mut place.grid(&["--devices", "cpu:1", "--set", "run.keep=1"]));
    assert_eq!(place.work().0, 3 * STEPS_PER_EPOCH);
    assert_eq!(place.checkpoints(), [0; 0]);
}

#[test]
fn a_dry_run_tells_how_many_trials_go_on_from_others() {
    let place = Place::new();
    let said = String::from_utf8(complete(&mut place.grid(&["--dry-run"])).stdout).unwrap();
    assert!(said.contains("shared   3 of 4 trials go on where another one ends"), "{said}");
    let linear = complete(&mut place.grid(&["--dry-run", "--set", "schedule=linear"]));
    let said = String::from_utf8(linear.stdout).unwrap();
    assert!(said.contains("shared   2 of 4 trials"), "{said}");
}

#[test]
fn when_the_first_one_fails_the_others_run_all_the_same() {
    let place = Place::new();
    let mut command = place.grid(&["--devices", "cpu:1", "--set", "run.retries.signal=0"]);
    // The worker dies when it writes its first checkpoint.
    let order = format!("worker:5:kill:{}", place.path("mark").display());
    let output = command.env("SWEEP_CRASH", order).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    // The last one has nobody but the third to go on from, and nobody came from the first.
    assert_eq!(place.work().1, [(4, 3)].into());
    let mut again = place.grid(&["--devices", "cpu:1", "--retry-failed"]);
    complete(&mut again);
    place.assert_as_alone();
}

#[test]
fn a_trial_that_a_spec_has_more_runs_from_its_beginning_when_nothing_is_left_to_go_on_from() {
    let place = Place::new();
    complete(place.command(&["--devices", "cpu:1"]).args(["--set", "search.space.epochs={ grid = [1] }"]));
    complete(place.command(&["--devices", "cpu:1"]).args(["--set", "search.space.epochs={ grid = [1, 3] }"]));
    assert_eq!(place.work(), (4 * STEPS_PER_EPOCH, BTreeMap::new()));
}
