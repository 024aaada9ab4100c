//! The program is killed, or its power is cut, at every write point in turn; run again, it ends as if
//! nothing had been.
//!
//! `SWEEP_CRASH_STRIDE=1 cargo test --release --test it crash:: -- --nocapture` takes every point and
//! prints the table; without the variable every third is taken, others in each of the four cases; of a sweep
//! whose trials resume from each other, or confirm one another, every eleventh.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::common::{
    place::Place,
    program::Written,
    results::{Findings, files_under},
    texts::csv_of_two_words,
};

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
    /// Four, three of which resume from the end of another.
    Sharing,
    /// Two, and one more that confirms the better one.
    Confirmed,
}

impl Trials {
    fn spec(self) -> String {
        match self {
            Self::Apart => SPEC.to_owned(),
            Self::Confirmed => SPEC
                .replace("2e-3", "1e-2")
                .replace("[search.space]", "[search]\nconfirm = { top = 1, repeats = 1 }\n[search.space]"),
            Self::Sharing => {
                SPEC.replace("epochs = 2\n", "schedule = \"constant\"\nwarmup_ratio = 0\n").replace(
                    "dropout = { grid = [0.1, 0.3] }",
                    "epochs = { grid = [1, 2] }\npatience = { grid = [1, 2] }",
                )
            }
        }
    }

    fn undisturbed(self) -> &'static Findings {
        match self {
            Self::Apart => &APART,
            Self::Sharing => &SHARING,
            Self::Confirmed => &CONFIRMED,
        }
    }
}

fn place(trials: Trials) -> Place {
    let place = Place::new("tiny", &trials.spec());
    place.write("tiny.csv", csv_of_two_words(["满意", "失望"], 60));
    place
}

fn run(place: &Place, crash: Option<&str>) -> Written {
    let mut command = place.run_command(&["--devices", "cpu:1"]);
    if let Some(order) = crash {
        command.env("SWEEP_CRASH", order);
    }
    Written::by(&mut command)
}

/// How the names of files begin whose contents depend on time.
const TIMED: [&str; 8] = [
    "state.safe",
    "best.safe",
    "events.jsonl",
    "leaderboard.",
    "report.html",
    "worker.log",
    ".lock",
    "overview.png",
];

/// What a sweep left: its leaderboard without times, and every file whose contents do not depend on time.
fn findings(place: &Place) -> Findings {
    let results = place.results();
    let is_timed = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        TIMED.iter().any(|timed| name.starts_with(timed))
    };
    let file = |path: PathBuf| {
        // Absolute paths of the data differ.
        let bytes = match String::from_utf8(fs::read(&path).unwrap()) {
            Ok(text) => text.replace(place.path("").to_str().unwrap(), "").into_bytes(),
            Err(error) => error.into_bytes(),
        };
        (path.strip_prefix(results.path()).unwrap().to_owned(), bytes)
    };
    let files = files_under(results.path()).into_iter().filter(|path| !is_timed(path));
    Findings { rows: results.rows_without(&["seconds"]), files: files.map(file).collect() }
}

/// Whether a killed process had not named the file yet: it counts for nothing.
fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name.starts_with(".writing-") || name.contains(".kept-")
}

static APART: LazyLock<Findings> = LazyLock::new(|| undisturbed(Trials::Apart));
static SHARING: LazyLock<Findings> = LazyLock::new(|| undisturbed(Trials::Sharing));
static CONFIRMED: LazyLock<Findings> = LazyLock::new(|| undisturbed(Trials::Confirmed));

fn undisturbed(trials: Trials) -> Findings {
    let place = place(trials);
    run(&place, None).succeeded();
    findings(&place)
}

/// Crashes once at the write point `number`; the answer is what had just been done there, or `None`
/// when there is no such point.
fn crash(trials: Trials, role: &str, how: &str, number: usize) -> Option<String> {
    let place = place(trials);
    let mark = place.path("mark");
    let order = format!("{role}:{number}:{how}:{}", mark.display());
    let crashed = run(&place, Some(&order));
    let what = fs::read_to_string(&mark).ok()?;
    if role == "worker" {
        // A fresh one took its place.
        assert_eq!(crashed.code, Some(0), "{order}: {}", crashed.stderr);
    } else {
        assert_eq!(crashed.code, None, "{order}: {}", crashed.stderr);
        let again = run(&place, None);
        assert_eq!(again.code, Some(0), "{order}: {}", again.stderr);
    }
    let (mut found, expected) = (findings(&place), trials.undisturbed());
    found.files.retain(|path, _| !is_leftover(path));
    found.assert_equal(expected, &format!("{order} after it {what}"));
    Some(what.trim().to_owned())
}

/// Crashes at the write points `first`, `first` + stride, …; two sweeps at a time.
fn crash_everywhere(trials: Trials, role: &str, how: &str, first: usize) {
    let stride = std::env::var("SWEEP_CRASH_STRIDE").ok().map(|stride| stride.parse().unwrap());
    let stride = stride.unwrap_or(match trials {
        Trials::Apart => 3,
        Trials::Sharing | Trials::Confirmed => 11,
    });
    let next = AtomicUsize::new(if stride == 1 { 1 } else { first });
    let _ = trials.undisturbed();
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
fn trials_that_resume_from_others_do_so_when_a_worker_is_killed() {
    crash_everywhere(Trials::Sharing, "worker", "kill", 1);
}

#[test]
fn trials_that_resume_from_others_do_so_when_the_orchestrator_is_killed() {
    crash_everywhere(Trials::Sharing, "orchestrator", "kill", 5);
}

#[test]
fn trials_that_resume_from_others_do_so_after_a_power_cut_of_a_worker() {
    crash_everywhere(Trials::Sharing, "worker", "power", 3);
}

#[test]
fn trials_that_resume_from_others_do_so_after_a_power_cut_of_the_orchestrator() {
    crash_everywhere(Trials::Sharing, "orchestrator", "power", 7);
}

#[test]
fn the_same_trials_confirm_the_best_when_the_orchestrator_is_killed() {
    crash_everywhere(Trials::Confirmed, "orchestrator", "kill", 4);
}

#[test]
fn the_same_trials_confirm_the_best_after_a_power_cut_of_the_orchestrator() {
    crash_everywhere(Trials::Confirmed, "orchestrator", "power", 9);
}
