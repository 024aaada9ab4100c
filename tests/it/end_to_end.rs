//! The program as users run it: a small sweep by real workers, and what may happen to one.
//!
//! Every test compares with the same sweep run once without any disturbance.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::LazyLock,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};
use serde_json::Value;
use sweep::{
    event::{Event, Record},
    journal,
    results::{Results, SweepFolder, TrialFolder},
    trial::{FailureKind, TrialId},
};
use tempfile::TempDir;

const TRIALS: u32 = 4;

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
epochs = 4
batch_size = 8
[early_stopping]
patience = 2
[search.space]
learning_rate = { grid = [3e-4, 2e-3] }
dropout = { grid = [0.0, 0.2] }
"#;

/// Reviews whose class is in one word, some longer than a chunk, one in twelve with the wrong label.
fn rows() -> Vec<(String, &'static str)> {
    let review = |index: usize| {
        let (words, label) = if index.is_multiple_of(2) {
            (["很好", "满意", "喜欢", "推荐"], "good")
        } else {
            (["很差", "失望", "讨厌", "后悔"], "bad")
        };
        let filler = "房间里的灯".repeat(index % 5);
        let other = if label == "good" { "bad" } else { "good" };
        let label = if index % 12 == 7 { other } else { label };
        (format!("{filler}，{}，第{index}次", words[index / 2 % 4]), label)
    };
    (0..240).map(review).collect()
}

/// A folder with a spec and its data.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut csv = String::from("text,label\n");
        for (text, label) in rows() {
            writeln!(csv, "{text},{label}").unwrap();
        }
        fs::write(root.path().join("tiny.csv"), csv).unwrap();
        fs::write(root.path().join("tiny.toml"), SPEC).unwrap();
        Self(root)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn run(&self, devices: &str) -> Output {
        self.output(&["run", "tiny.toml", "--devices", devices])
    }

    /// Starts `sweep run` and reads its lines up to one with `mark`.
    fn start(&self, devices: &str, mark: &str) -> Running {
        let mut command = self.command(&["run", "tiny.toml", "--devices", devices]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains(mark) {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended before it said {mark:?}");
        }
        Running { child, lines }
    }

    fn folder(&self) -> SweepFolder {
        Results::new(self.path("results")).sweep("tiny")
    }

    fn trial(&self, id: u32) -> TrialFolder {
        self.folder().trial(TrialId(id))
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

    fn leaderboard(&self) -> Vec<Value> {
        serde_json::from_slice(&fs::read(self.folder().leaderboard("json")).unwrap()).unwrap()
    }

    /// All that a sweep found out, without where and how long.
    fn findings(&self) -> Findings {
        let mut leaderboard = self.leaderboard();
        for row in &mut leaderboard {
            let row = row.as_object_mut().unwrap();
            assert!(row.remove("seconds").is_some() && row.remove("device").is_some());
        }
        let read =
            |path: PathBuf| (path.strip_prefix(self.0.path()).unwrap().to_owned(), fs::read(path).unwrap());
        let files = (1..=TRIALS).map(|id| self.trial(id)).flat_map(|trial| {
            let parameters = [trial.best(), trial.last()].into_iter().flat_map(files_of);
            parameters.chain([trial.predictions(), trial.metrics()]).collect::<Vec<_>>()
        });
        Findings { leaderboard, files: files.map(read).collect() }
    }
}

#[derive(PartialEq)]
struct Findings {
    leaderboard: Vec<Value>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Findings {
    fn assert_equal(&self, other: &Self) {
        assert_eq!(self.leaderboard, other.leaderboard);
        let names = |findings: &Self| findings.files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(self), names(other));
        let different: Vec<_> =
            self.files.iter().filter(|(path, bytes)| other.files[*path] != **bytes).collect();
        assert!(different.is_empty(), "{:?}", different.iter().map(|(path, _)| path).collect::<Vec<_>>());
    }
}

fn files_of(folder: PathBuf) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `sweep run` in the background.
struct Running {
    child: Child,
    lines: BufReader<ChildStderr>,
}

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its workers: the children of all its threads.
    fn workers(&self) -> Vec<Pid> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let children =
            threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("children")).unwrap());
        let children = children.collect::<Vec<_>>().join(" ");
        children.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
    }

    /// The exit code, and what it said until then.
    fn end(mut self) -> (Option<i32>, String) {
        let rest: Vec<String> = self.lines.by_ref().lines().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code(), rest.join("\n"))
    }
}

/// The sweep on two slots, without a disturbance.
static QUIET: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::new();
    let output = place.run("cpu:2");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    place
});

/// Test documents of a trial as (true class, predicted class, probabilities of `bad` and `good`).
fn predictions(path: &Path) -> Vec<(usize, String, String, [f64; 2])> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header: Vec<String> = reader.headers().unwrap().iter().map(ToOwned::to_owned).collect();
    assert_eq!(header, ["id", "label", "predicted", "p_bad", "p_good"]);
    let row = |row: csv::StringRecord| {
        let number = |column: usize| row[column].parse().unwrap();
        (row[0].parse().unwrap(), row[1].to_owned(), row[2].to_owned(), [number(3), number(4)])
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

#[test]
fn a_sweep_leaves_the_files_that_are_promised() {
    let folder = QUIET.folder();
    let expected = [
        "sweep.toml",
        "plan.json",
        "events.jsonl",
        "leaderboard.csv",
        "leaderboard.json",
        "leaderboard.md",
        "report.html",
        "overview.png",
    ];
    for file in expected {
        assert!(fs::metadata(folder.path().join(file)).unwrap().len() > 0, "{file}");
    }
    for id in 1..=TRIALS {
        let names: BTreeSet<String> = files_of(QUIET.trial(id).path().to_owned())
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        let expected = [
            "best",
            "confusion.png",
            "curve.png",
            "last",
            "metrics.csv",
            "predictions.csv",
            "trial.json",
            "worker.log",
        ];
        assert_eq!(names, expected.map(ToOwned::to_owned).into());
    }
    let starts = QUIET.starts();
    assert_eq!(starts, (1..=TRIALS).map(|id| (id, 1)).collect());
}

#[test]
fn test_figures_can_be_computed_again_from_the_predictions() {
    let rows = QUIET.leaderboard();
    assert_eq!(rows.len(), TRIALS as usize);
    let mut seen = BTreeSet::new();
    for row in rows {
        let id = u32::try_from(row["trial"].as_u64().unwrap()).unwrap();
        let predictions = predictions(&QUIET.trial(id).predictions());
        let count = |label: &str, predicted: &str| {
            predictions.iter().filter(|each| each.1 == label && each.2 == predicted).count()
        };
        let (tp, fp) = (count("good", "good"), count("bad", "good"));
        let (tn, fn_) = (count("bad", "bad"), count("good", "bad"));
        assert_eq!(tp + fp + tn + fn_, 36, "15 % of 240 documents");
        #[expect(clippy::cast_precision_loss, reason = "counts of a few documents")]
        let ratio = |part: usize, of: usize| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        let loss =
            predictions.iter().map(|each| -each.3[usize::from(each.1 == "good")].ln()).sum::<f64>() / 36.0;
        let test = &row["test"];
        let figure = |name: &str| test[name].as_f64().unwrap();
        assert_eq!(
            [figure("accuracy"), figure("precision"), figure("recall")],
            [ratio(tp + tn, 36), ratio(tp, tp + fp), ratio(tp, tp + fn_)]
        );
        assert!((figure("f1") - ratio(2 * tp, 2 * tp + fp + fn_)).abs() < 1e-12);
        assert!((figure("loss") - loss).abs() < 1e-5, "{} {loss}", figure("loss"));
        let counts = ["tp", "fp", "tn", "fn"].map(|name| test[name].as_u64().unwrap());
        assert_eq!(counts, [tp, fp, tn, fn_].map(|count| count as u64));
        assert!(figure("f1_low") <= figure("f1") && figure("f1") <= figure("f1_high"));
        seen.insert(test["loss"].to_string());
    }
    assert_eq!(seen.len(), TRIALS as usize, "each trial is a training of its own");
}

#[test]
fn the_number_of_slots_changes_no_figure() {
    let place = Place::new();
    assert_eq!(place.run("cpu:1").status.code(), Some(0));
    place.findings().assert_equal(&QUIET.findings());
}

#[test]
fn a_complete_sweep_is_not_trained_again() {
    let place = Place::new();
    assert_eq!(place.run("cpu:2").status.code(), Some(0));
    let before = place.findings();
    let again = place.run("cpu:2");
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert_eq!(place.starts(), (1..=TRIALS).map(|id| (id, 1)).collect());
    place.findings().assert_equal(&before);
}

#[test]
fn changed_data_is_refused_and_a_moved_project_goes_on() {
    let place = Place::new();
    assert_eq!(place.run("cpu:2").status.code(), Some(0));
    let before = place.findings();
    let csv = fs::read_to_string(place.path("tiny.csv")).unwrap();
    fs::write(place.path("tiny.csv"), csv.replacen("，第0次,good", "，第0次,bad", 1)).unwrap();
    let refused = place.run("cpu:2");
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("tiny.csv holds other documents than before") && said.contains("--fresh"),
        "{said}"
    );
    fs::write(place.path("tiny.csv"), csv).unwrap();

    let moved = Place(tempfile::tempdir().unwrap());
    for name in ["tiny.csv", "tiny.toml", "results"] {
        fs::rename(place.path(name), moved.path(name)).unwrap();
    }
    let again = moved.run("cpu:2");
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert_eq!(moved.starts(), (1..=TRIALS).map(|id| (id, 1)).collect());
    moved.findings().assert_equal(&before);
    let plan = fs::read_to_string(moved.folder().plan()).unwrap();
    assert!(plan.contains(moved.path("tiny.csv").to_str().unwrap()), "{plan}");
}

#[test]
fn pictures_that_are_missing_are_drawn_and_a_trial_without_its_parameters_runs_again() {
    let place = Place::new();
    assert_eq!(place.run("cpu:2").status.code(), Some(0));
    let before = place.findings();
    fs::remove_file(place.trial(1).curve()).unwrap();
    fs::remove_file(place.trial(1).confusion()).unwrap();
    fs::remove_dir_all(place.trial(3).best()).unwrap();
    let again = place.run("cpu:2");
    let said = text(&again.stderr);
    assert_eq!(again.status.code(), Some(0), "{said}");
    assert!(said.contains("trial 0003 is complete, but"), "{said}");
    assert_eq!(place.starts(), [(1, 1), (2, 1), (3, 2), (4, 1)].into());
    assert!(place.trial(1).curve().exists() && place.trial(1).confusion().exists());
    place.findings().assert_equal(&before);

    fs::remove_file(place.folder().overview()).unwrap();
    // Nothing can be moved to where a folder with a file stands, as nothing can onto a full disk.
    fs::create_dir_all(place.folder().overview().join("in the way")).unwrap();
    let undrawn = place.run("cpu:2");
    let (shown, said) = (text(&undrawn.stdout), text(&undrawn.stderr));
    assert_eq!(undrawn.status.code(), Some(5), "{said}");
    assert!(shown.contains("4 of 4 trials complete") && shown.contains("test F1"), "{shown}");
    assert!(said.contains("overview.png"), "{said}");
}

#[test]
fn without_the_best_parameters_the_export_says_how_to_have_them_again() {
    let place = Place::new();
    assert_eq!(place.run("cpu:2").status.code(), Some(0));
    let best = u32::try_from(place.leaderboard()[0]["trial"].as_u64().unwrap()).unwrap();
    fs::remove_dir_all(place.trial(best).path()).unwrap();
    let exported = place.output(&["export-best", "tiny"]);
    assert_eq!(exported.status.code(), Some(5));
    assert!(text(&exported.stderr).contains("run the sweep again"), "{}", text(&exported.stderr));
}

#[test]
fn a_killed_worker_costs_one_retry() {
    let place = Place::new();
    let running = place.start("cpu:1", "trial 0002 starts");
    let workers = running.workers();
    assert_eq!(workers.len(), 1);
    kill_process(workers[0], Signal::KILL).unwrap();
    let (code, said) = running.end();
    assert_eq!(code, Some(0), "{said}");
    let failures: Vec<_> = place
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Failed { failure, retry } => Some((record.trial.unwrap().0, failure.kind, retry)),
            _ => None,
        })
        .collect();
    assert_eq!(failures, [(2, FailureKind::Signal(9), true)]);
    assert_eq!(place.starts(), [(1, 1), (2, 2), (3, 1), (4, 1)].into());
    place.findings().assert_equal(&QUIET.findings());
}

#[test]
fn after_ctrl_c_the_same_command_finishes_without_repeating_anything() {
    let place = Place::new();
    let running = place.start("cpu:1", "trial 0001 is complete");
    kill_process(running.pid(), Signal::INT).unwrap();
    let (code, said) = running.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("the same command goes on"), "{said}");
    assert!(matches!(place.records().last().unwrap().event, Event::SweepEnded { interrupted: true }));
    let waiting = place.leaderboard().iter().filter(|row| row["state"] == "waiting").count();
    assert!(waiting >= 1, "it stopped too late to show anything");

    let again = place.run("cpu:1");
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert_eq!(place.starts()[&1], 1);
    place.findings().assert_equal(&QUIET.findings());
}

#[test]
fn when_the_orchestrator_is_killed_its_workers_leave_and_the_next_run_goes_on() {
    let place = Place::new();
    // Orphans become children of this process, which can then wait for their end.
    set_child_subreaper(Some(Pid::from_raw(1).unwrap())).unwrap();
    let mut running = place.start("cpu:2", "is complete");
    let workers = running.workers();
    assert_eq!(workers.len(), 2);
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    for worker in workers {
        waitpid(Some(worker), WaitOptions::empty()).unwrap();
    }
    let again = place.run("cpu:2");
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    place.findings().assert_equal(&QUIET.findings());
}

#[test]
fn a_wrong_spec_ends_with_2_and_creates_nothing() {
    let place = Place::new();
    fs::write(place.path("tiny.toml"), SPEC.replace("dropout", "drop_out")).unwrap();
    let output = place.run("cpu:1");
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
    assert!(text(&output.stderr).contains("dropout"), "{}", text(&output.stderr));
    assert!(!place.path("results").exists());
}

#[test]
fn a_dry_run_shows_the_plan_and_creates_nothing() {
    let place = Place::new();
    let output = place.output(&["run", "tiny.toml", "--dry-run"]);
    assert_eq!(output.status.code(), Some(0));
    let plan = text(&output.stdout);
    assert!(plan.contains("trials   4") && plan.contains("learning_rate"), "{plan}");
    assert!(!place.path("results").exists());
}

#[test]
fn the_exported_model_predicts_what_the_trial_predicted() {
    predicts_alike(&QUIET);
}

#[test]
fn a_model_of_bf16_products_goes_out_as_one() {
    for freeze in ["0", "\"encoder\""] {
        let place = Place::new();
        let settings = [
            &format!("model.freeze={freeze}"),
            "train.matmul_precision=\"bf16\"",
            "search.space.learning_rate={ grid = [2e-3] }",
        ];
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let run: Vec<&str> = ["run", "tiny.toml", "--devices", "cpu:1"].into_iter().chain(settings).collect();
        let output = place.output(&run);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        predicts_alike(&place);
        let config: Value =
            serde_json::from_slice(&fs::read(place.path("best/config.json")).unwrap()).unwrap();
        assert_eq!(config["sweep"]["matmul_precision"], "bf16");
        if freeze == "0" {
            let found = &place.leaderboard()[0];
            let of_f32 =
                QUIET.leaderboard().into_iter().find(|row| row["params"] == found["params"]).unwrap();
            let loss = |row: &Value| row["val_loss"].as_f64().unwrap();
            assert!(loss(found) != loss(&of_f32) && (loss(found) - loss(&of_f32)).abs() < 0.05);
        }
    }
}

/// The best trial of this sweep, exported, says of the test set what the trial said.
fn predicts_alike(place: &Place) {
    let model = place.path("best");
    let exported = place.output(&["export-best", "tiny", "--out", model.to_str().unwrap()]);
    assert_eq!(exported.status.code(), Some(0), "{}", text(&exported.stderr));
    let best = &place.leaderboard()[0];
    let id = u32::try_from(best["trial"].as_u64().unwrap()).unwrap();
    let expected = predictions(&place.trial(id).predictions());
    let rows = rows();
    let texts: Vec<&str> = expected.iter().map(|each| rows[each.0 - 1].0.as_str()).collect();

    let mut command = place.command(&["predict", "--format", "json", "--model", model.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(texts.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let predicted: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(predicted.len(), expected.len());
    for ((answer, expected), text) in predicted.iter().zip(&expected).zip(texts) {
        assert_eq!((&answer["text"], &answer["label"]), (&text.into(), &expected.2.as_str().into()));
        for (label, probability) in ["bad", "good"].into_iter().zip(expected.3) {
            assert!((answer["probabilities"][label].as_f64().unwrap() - probability).abs() < 1e-6);
        }
    }
}

#[test]
fn a_failed_trial_stays_failed_and_visible_until_it_is_asked_for_again() {
    let place = Place::new();
    let spec = SPEC.replace("[3e-4, 2e-3]", "[3e-4, 1e30]").replace("[0.0, 0.2]", "[0.1]");
    fs::write(place.path("tiny.toml"), spec).unwrap();
    let first = place.run("cpu:1");
    assert_eq!(first.status.code(), Some(3), "{}", text(&first.stderr));
    assert!(text(&first.stdout).contains("sweep run SPEC --retry-failed"), "{}", text(&first.stdout));
    let row = place.leaderboard().into_iter().find(|row| row["state"] == "failed").unwrap();
    assert_eq!((&row["trial"], &row["failure"]["kind"]), (&2.into(), &"non_finite".into()));
    assert!(row["failure"]["message"].as_str().unwrap().contains("step"), "{row}");

    fs::write(place.trial(2).worker_log(), "=== trial 0002, attempt 1\nthe \u{1b}[31mcause\n").unwrap();
    let status = text(&place.output(&["status", "tiny"]).stdout);
    assert!(status.contains("trial 0002 said last:\n  the  [31mcause\n"), "{status:?}");
    assert_eq!(place.output(&["report", "tiny"]).status.code(), Some(0));
    assert!(fs::read_to_string(place.folder().report()).unwrap().contains("<pre>the  [31mcause</pre>"));

    let again = place.run("cpu:1");
    assert_eq!((again.status.code(), place.starts()), (Some(3), [(1, 1), (2, 1)].into()));
    let wished = place.output(&["run", "tiny.toml", "--devices", "cpu:1", "--retry-failed"]);
    assert_eq!((wished.status.code(), place.starts()), (Some(3), [(1, 1), (2, 2)].into()));
}

#[test]
fn a_worker_that_stands_still_is_replaced() {
    let place = Place::new();
    let spec = SPEC.to_owned() + "[run]\nstall_limit = \"3s\"\nretries.stalled = 9\n";
    fs::write(place.path("tiny.toml"), spec).unwrap();
    let running = place.start("cpu:1", "trial 0002 starts");
    kill_process(running.workers()[0], Signal::STOP).unwrap();
    let (code, said) = running.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the worker said nothing for too long (`stall_limit` in [run])"), "{said}");
    place.findings().assert_equal(&QUIET.findings());
}
