//! What lasts of a sweep by real workers when its spec changes, when parameters are not all kept,
//! and when its folder cannot be used.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sweep::{
    event::{Event, Record},
    journal,
    results::{Results, SweepFolder},
    trial::TrialId,
};
use tempfile::TempDir;

const SPEC: &str = r#"
name = "tiny"
seed = 5
[data]
path = "tiny.csv"
positive = "good"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 2
batch_size = 8
"#;

/// A folder with a spec and its data.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut csv = String::from("text,label\n");
        for index in 0..80 {
            let (word, label) = [("很好", "good"), ("很差", "bad")][index % 2];
            writeln!(csv, "{word}，第{index}次,{label}").unwrap();
        }
        fs::write(root.path().join("tiny.csv"), csv).unwrap();
        fs::write(root.path().join("tiny.toml"), SPEC).unwrap();
        Self(root)
    }

    fn sweep(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs the spec with these learning rates and further settings; the exit code, and what it said.
    fn run(&self, rates: &str, further: &[&str]) -> (Option<i32>, String, String) {
        let space = format!("search.space.learning_rate={{ grid = [{rates}] }}");
        let mut arguments = vec!["run", "tiny.toml", "--devices", "cpu:2", "--set", &space];
        arguments.extend(further);
        let output = self.sweep(&arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn complete(&self, rates: &str, further: &[&str]) -> String {
        let (code, _, said) = self.run(rates, further);
        assert_eq!(code, Some(0), "{said}");
        said
    }

    fn folder(&self) -> SweepFolder {
        Results::new(self.path("results")).sweep("tiny")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn records(&self) -> Vec<Record> {
        journal::replay(&self.folder().log()).unwrap().records
    }

    /// How often each trial was given to a worker.
    fn starts(&self) -> BTreeMap<u32, usize> {
        let mut starts = BTreeMap::new();
        for record in self.records() {
            if let (Some(id), Event::Started { .. }) = (record.trial, record.event) {
                *starts.entry(id.0).or_default() += 1;
            }
        }
        starts
    }

    fn leaderboard(&self) -> Value {
        serde_json::from_slice(&fs::read(self.folder().leaderboard("json")).unwrap()).unwrap()
    }

    /// Learning rates by trial, as the leaderboard tells them.
    fn rates(&self) -> BTreeMap<u64, f64> {
        let rate =
            |row: &Value| (row["trial"].as_u64().unwrap(), row["params"]["learning_rate"].as_f64().unwrap());
        self.leaderboard().as_array().unwrap().iter().map(rate).collect()
    }

    /// The trials whose best parameters are there.
    fn kept(&self) -> Vec<u32> {
        (1..=9).filter(|id| self.folder().trial(TrialId(*id)).best_parameters().exists()).collect()
    }
}

#[test]
fn another_search_space_trains_what_is_new_and_keeps_what_is_the_same() {
    let place = Place::new();
    place.complete("1e-3, 3e-3", &[]);
    let first = place.leaderboard();

    let said = place.complete("5e-3, 3e-3", &[]);
    assert!(said.contains("`learning_rate` takes 0.005 instead of 0.001"), "{said}");
    assert!(said.contains("trials: 1 kept, 1 new, 1 removed"), "{said}");
    assert_eq!(place.starts(), [(1, 1), (2, 1), (3, 1)].into());
    assert_eq!(place.rates(), [(3, 0.005), (2, 0.003)].into());
    for command in [["leaderboard", "tiny"], ["status", "tiny"]] {
        let shown = String::from_utf8(place.sweep(&command).stdout).unwrap();
        assert!(shown.contains("0003") && !shown.contains("0001"), "{shown}");
    }
    let page = fs::read_to_string(place.folder().report()).unwrap();
    assert!(page.contains("trial-0003") && !page.contains("trial-0001"));
    assert!(fs::read_to_string(place.folder().spec()).unwrap().contains("5e-3"));

    let said = place.complete("1e-3, 3e-3", &[]);
    assert!(said.contains("1 kept, 0 new, 1 back again, 1 removed"), "{said}");
    assert_eq!(place.starts(), [(1, 1), (2, 1), (3, 1)].into(), "nothing is trained again");
    assert_eq!(place.leaderboard(), first);
}

#[test]
fn a_dry_run_tells_the_same_changes_and_does_nothing() {
    let place = Place::new();
    place.complete("1e-3, 3e-3", &[]);
    let records = place.records();
    let (code, plan, said) = place.run("3e-3, 5e-3, 7e-3", &["--dry-run"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("trials: 1 kept, 2 new, 1 removed"), "{said}");
    assert!(plan.contains("0002   0.003") && plan.contains("0003   0.005"), "{plan}");
    assert!(plan.contains("of parameters (best and last of each trial)"), "{plan}");
    let (code, plan, said) = place.run("3e-3", &["--dry-run", "--set", "train.epochs=3"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("`epochs` was 2 and is now 3") && said.contains("--fresh"), "{said}");
    assert!(plan.contains("learning_rate"), "{plan}");
    assert_eq!(place.records(), records);
    assert_eq!(place.rates().len(), 2);
}

#[test]
fn another_recipe_is_refused_once_a_trial_is_complete() {
    let place = Place::new();
    place.complete("1e-3", &[]);
    let before = fs::read(place.folder().plan()).unwrap();
    for change in ["train.epochs=3", "seed=6", "model.dropout=0.3", "data.limit.train=20"] {
        let (code, _, said) = place.run("1e-3", &["--set", change]);
        assert_eq!(code, Some(2), "{change}: {said}");
        assert!(said.contains("holds results of another plan") && said.contains("--fresh"), "{said}");
    }
    assert_eq!(fs::read(place.folder().plan()).unwrap(), before);
    // How a sweep is run is no part of what its trials are.
    let said = place.complete("1e-3", &["--set", "run.stall_limit=5min"]);
    assert!(!said.contains("has changed"), "{said}");
    assert!(fs::read_to_string(place.folder().plan()).unwrap().contains("\"5min\""));
}

#[test]
fn only_the_parameters_that_are_to_be_kept_stay_and_nothing_is_trained_for_it() {
    let place = Place::new();
    let best = ["--set", "run.keep=best-of-sweep"];
    place.complete("1e-6, 3e-3, 2e-6", &best);
    let board = place.leaderboard();
    let leader = u32::try_from(board[0]["trial"].as_u64().unwrap()).unwrap();
    let tied = board.as_array().unwrap().iter().filter(|row| row["rank"] == 1).count();
    assert_eq!(tied, 1, "{board}");
    assert_eq!(place.kept(), [leader]);
    let starts = place.starts();
    place.complete("1e-6, 3e-3, 2e-6", &best);
    place.complete("1e-6, 3e-3, 2e-6", &[]);
    assert_eq!(place.starts(), starts);
    assert_eq!(place.leaderboard(), board);
    for id in [1, 2, 3].map(TrialId) {
        let trial = place.folder().trial(id);
        assert!(trial.predictions().exists() && trial.metrics().exists() && trial.curve().exists());
        assert!(!trial.last().join("state.safetensors").exists());
    }
    assert_eq!(place.sweep(&["export-best", "tiny"]).status.code(), Some(0));
    // Whatever is the best next is no reason to have removed parameters again.
    place.complete("1e-6, 2e-6", &[]);
    let exported = place.sweep(&["export-best", "tiny"]);
    let said = String::from_utf8_lossy(&exported.stderr);
    assert_eq!(exported.status.code(), Some(5), "{said}");
    assert!(said.contains("`keep` in [run]"), "{said}");
}

#[test]
fn parameters_that_are_not_kept_any_more_go_with_the_next_run() {
    let place = Place::new();
    place.complete("1e-6, 3e-3", &[]);
    assert_eq!(place.kept(), [1, 2]);
    place.complete("1e-6, 3e-3", &["--set", "run.keep=1"]);
    assert_eq!(place.kept(), [2]);
    assert_eq!(place.starts(), [(1, 1), (2, 1)].into());
}

/// A leaderboard without where and how long.
fn figures(mut board: Value) -> Value {
    for row in board.as_array_mut().unwrap() {
        let row = row.as_object_mut().unwrap();
        assert!(row.remove("seconds").is_some() && row.remove("device").is_some());
    }
    board
}

/// Starts a run, and lets it find a full disk once its first trial has started. The answer is
/// the run, what it says from then on, and the file whose removal frees the disk.
fn on_a_full_disk(place: &Place) -> (Child, BufReader<ChildStderr>, PathBuf) {
    let full = place.path("full");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
    command.args(["run", "tiny.toml", "--devices", "cpu:1", "--set"]);
    command.arg("search.space.learning_rate={ grid = [1e-3, 3e-3] }");
    command.current_dir(place.0.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.env("SWEEP_DISK_FULL", &full).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    wait_for(&mut lines, "trial 0001 starts");
    fs::write(&full, "").unwrap();
    wait_for(&mut lines, " is full");
    (child, lines, full)
}

fn wait_for(lines: &mut BufReader<ChildStderr>, mark: &str) {
    let mut line = String::new();
    while !line.contains(mark) {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended before it said {mark:?}");
    }
}

#[test]
fn a_full_disk_is_waited_out() {
    let (quiet, place) = (Place::new(), Place::new());
    quiet.complete("1e-3, 3e-3", &[]);
    let (mut child, mut lines, full) = on_a_full_disk(&place);
    fs::remove_file(full).unwrap();
    wait_for(&mut lines, "there is space on the disk again");
    let said: Vec<String> = lines.lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said:?}");
    assert_eq!(figures(place.leaderboard()), figures(quiet.leaderboard()));
    assert_eq!(place.starts(), [(1, 1), (2, 1)].into(), "no attempt was lost");
}

#[test]
fn a_run_that_is_ended_while_the_disk_is_full_goes_on_once_there_is_space() {
    let (quiet, place) = (Place::new(), Place::new());
    quiet.complete("1e-3, 3e-3", &[]);
    let (mut child, lines, full) = on_a_full_disk(&place);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let said = lines.lines().map(Result::unwrap).collect::<Vec<_>>().join("\n");
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("interrupted while the disk was full") && said.contains("That is safe"), "{said}");
    fs::remove_file(full).unwrap();
    place.complete("1e-3, 3e-3", &[]);
    assert_eq!(figures(place.leaderboard()), figures(quiet.leaderboard()));
}

#[test]
fn a_folder_that_cannot_be_used_is_a_plain_error() {
    let place = Place::new();
    let refused = |further: &[&str]| {
        let (code, _, said) = place.run("1e-3", further);
        assert_eq!(code, Some(5), "{said}");
        assert!(said.contains("error: ") && !said.contains("panicked"), "{said}");
        said
    };
    fs::write(place.path("a-file"), "").unwrap();
    assert!(refused(&["--results", "a-file"]).contains("a-file"));
    assert!(refused(&["--results", "/proc/sweep"]).contains("/proc/sweep"));
    fs::create_dir_all(place.folder().path()).unwrap();
    fs::create_dir(place.folder().path().join(".lock")).unwrap();
    assert!(refused(&[]).contains("cannot open results/tiny/.lock"));
    fs::remove_dir(place.folder().path().join(".lock")).unwrap();
    place.complete("1e-3", &[]);
    fs::remove_dir_all(place.folder().path().join("trials")).unwrap();
    fs::write(place.folder().path().join("trials"), "").unwrap();
    assert!(refused(&[]).contains("results/tiny/trials/0001"));
}
