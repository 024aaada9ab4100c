//! The program is killed, or its power is cut, at every write point in turn; run again, it ends as if
//! nothing had been.
//!
//! `SWEEP_CRASH_STRIDE=1 cargo test --release --test it crash:: -- --nocapture` takes every point and
//! prints the table; without the variable every third is taken, others in each of the four cases; of a sweep
//! whose trials go on from each other, every eleventh.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

const SPEC: &str = r#"
name = "tiny"
[data]
path = "tiny.csv"
positive = "good"
split = { train = 0.6, validation = 0.2, test = 0.2 }
[model]
checkpoint = "builtin:mini"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 2
batch_size = 16
learning_rate = 2e-3
[run]
checkpoint_every = 1
[search.space]
dropout = { grid = [0.1, 0.3] }
"#;

/// Which sweep is disturbed.
#[derive(Clone, Copy)]
enum Trials {
    /// Two that have nothing in common.
    Apart,
    /// Four, three of which go on where another one ends.
    Sharing,
}

impl Trials {
    fn spec(self) -> String {
        match self {
            Self::Apart => SPEC.to_owned(),
            Self::Sharing => {
                SPEC.replace("epochs = 2\n", "schedule = \"constant\"\nwarmup_ratio = 0\n").replace(
                    "dropout = { grid = [0.1, 0.3] }",
                    "epochs = { grid = [1, 2] }\npatience = { grid = [1, 2] }",
                )
            }
        }
    }

    fn quiet(self) -> &'static Findings {
        match self {
            Self::Apart => &APART,
            Self::Sharing => &SHARING,
        }
    }
}

type Findings = (Value, BTreeMap<PathBuf, Vec<u8>>);

fn csv() -> String {
    let mut csv = String::from("text,label\n");
    for index in 0..60 {
        let (word, label) = if index % 2 == 0 { ("满意", "good") } else { ("失望", "bad") };
        writeln!(csv, "第{index}次，{word},{label}").unwrap();
    }
    csv
}

/// A folder with the sweep.
struct Place(tempfile::TempDir);

impl Place {
    fn new(trials: Trials) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("tiny.csv"), csv()).unwrap();
        fs::write(place.path("tiny.toml"), trials.spec()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, crash: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        command.args(["run", "tiny.toml", "--devices", "cpu:1"]).current_dir(self.0.path());
        if let Some(order) = crash {
            command.env("SWEEP_CRASH", order);
        }
        command.output().unwrap()
    }

    /// Every file whose contents do not depend on time; and the leaderboard without times.
    fn findings(&self) -> Findings {
        let results = self.path("results/tiny");
        let mut leaderboard: Value =
            serde_json::from_slice(&fs::read(results.join("leaderboard.json")).unwrap()).unwrap();
        for row in leaderboard.as_array_mut().unwrap() {
            assert!(row.as_object_mut().unwrap().remove("seconds").is_some());
        }
        let mut files = BTreeMap::new();
        collect(&results, &mut files);
        let timed = [
            "state.safe",
            "best.safe",
            "events.jsonl",
            "leaderboard.",
            "report.html",
            "worker.log",
            ".lock",
            "overview.png",
        ];
        files.retain(|path, _| {
            let name = path.file_name().unwrap().to_string_lossy();
            !timed.iter().any(|timed| name.starts_with(timed))
        });
        let relative = |(path, bytes): (PathBuf, Vec<u8>)| {
            // Absolute paths of the data differ.
            let bytes = String::from_utf8(bytes.clone())
                .map(|text| text.replace(self.0.path().to_str().unwrap(), "").into_bytes())
                .unwrap_or(bytes);
            (path.strip_prefix(&results).unwrap().to_owned(), bytes)
        };
        (leaderboard, files.into_iter().map(relative).collect())
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
}

static APART: LazyLock<Findings> = LazyLock::new(|| quiet(Trials::Apart));
static SHARING: LazyLock<Findings> = LazyLock::new(|| quiet(Trials::Sharing));

fn quiet(trials: Trials) -> Findings {
    let place = Place::new(trials);
    let output = place.run(None);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    place.findings()
}

/// Crashes once at the write point `number`; the answer is what had just been done there, or `None`
/// when there is no such point.
fn crash(trials: Trials, role: &str, how: &str, number: usize) -> Option<String> {
    let place = Place::new(trials);
    let mark = place.path("mark");
    let order = format!("{role}:{number}:{how}:{}", mark.display());
    let output = place.run(Some(&order));
    let what = fs::read_to_string(&mark).ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if role == "worker" {
        // A fresh one took its place.
        assert_eq!(output.status.code(), Some(0), "{order}: {said}");
    } else {
        assert_eq!(output.status.code(), None, "{order}: {said}");
        let again = place.run(None);
        assert_eq!(again.status.code(), Some(0), "{order}: {}", String::from_utf8_lossy(&again.stderr));
    }
    let (found, expected) = (place.findings(), trials.quiet());
    assert_eq!(found.0, expected.0, "{order} after it {what}");
    let leftover = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // What a killed process had not named yet; it counts for nothing.
        name.starts_with(".writing-") || name.contains(".kept-")
    };
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<PathBuf> {
        files.keys().filter(|path| !leftover(path)).cloned().collect()
    };
    assert_eq!(names(&found.1), names(&expected.1), "{order} after it {what}");
    for (path, bytes) in &expected.1 {
        assert!(found.1[path] == *bytes, "{order} after it {what}: {} differs", path.display());
    }
    Some(what.trim().to_owned())
}

/// Crashes at the write points `first`, `first` + stride, …; two sweeps at a time.
fn crash_everywhere(trials: Trials, role: &str, how: &str, first: usize) {
    let stride = std::env::var("SWEEP_CRASH_STRIDE").ok().map(|stride| stride.parse().unwrap());
    let stride = stride.unwrap_or(match trials {
        Trials::Apart => 3,
        Trials::Sharing => 11,
    });
    let next = AtomicUsize::new(if stride == 1 { 1 } else { first });
    let _ = trials.quiet();
    let counts: Vec<BTreeMap<String, usize>> = thread::scope(|scope| {
        let runs: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut counts = BTreeMap::new();
                    while let Some(what) = crash(trials, role, how, next.fetch_add(stride, Ordering::SeqCst))
                    {
                        *counts.entry(what).or_default() += 1;
                    }
                    counts
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let mut total: BTreeMap<String, usize> = BTreeMap::new();
    for (what, count) in counts.into_iter().flatten() {
        *total.entry(what).or_default() += count;
    }
    let crashes: usize = total.values().sum();
    eprintln!("{role}, {how}: {crashes} crashes, each with the results of an undisturbed run: {total:?}");
    assert!(crashes * stride >= 60, "there are more write points than {crashes} of every {stride}");
}

#[test]
fn a_worker_killed_at_any_write_point_changes_no_result() {
    crash_everywhere(Trials::Apart, "worker", "kill", 1);
}

#[test]
fn a_worker_whose_unsynced_writes_are_lost_changes_no_result() {
    crash_everywhere(Trials::Apart, "worker", "power", 2);
}

#[test]
fn the_orchestrator_killed_at_any_write_point_changes_no_result() {
    crash_everywhere(Trials::Apart, "orchestrator", "kill", 3);
}

#[test]
fn a_power_cut_at_any_write_point_of_the_orchestrator_changes_no_result() {
    crash_everywhere(Trials::Apart, "orchestrator", "power", 2);
}

#[test]
fn trials_that_go_on_from_others_do_so_whatever_is_killed() {
    crash_everywhere(Trials::Sharing, "worker", "kill", 1);
    crash_everywhere(Trials::Sharing, "orchestrator", "kill", 5);
}

#[test]
fn trials_that_go_on_from_others_do_so_after_a_power_cut() {
    crash_everywhere(Trials::Sharing, "worker", "power", 3);
    crash_everywhere(Trials::Sharing, "orchestrator", "power", 7);
}
