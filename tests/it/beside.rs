//! Commands beside each other: reports and exports while a run goes on, begins anew or was killed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::{Child, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::common::{
    place::{Place, copy_folder},
    results::Files,
    texts::{TINY_SPEC, csv_of_two_words},
};

fn spec() -> String {
    format!("{TINY_SPEC}[search.space]\ndropout = {{ grid = [0.1, 0.2] }}\n")
}

fn place() -> Place {
    let place = Place::new("tiny", &spec());
    place.write("tiny.csv", csv_of_two_words(["满意", "失望"], 60));
    place
}

/// A place where the sweep is complete.
static COMPLETE: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::shared("tiny", &spec());
    place.write("tiny.csv", csv_of_two_words(["满意", "失望"], 60));
    place.run(&["--devices", "cpu:1"]).succeeded();
    place
});

/// A copy of the complete sweep.
fn complete() -> Place {
    let place = place();
    copy_folder(&COMPLETE.path("results"), &place.path("results"));
    place
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    place.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_report_waits_for_its_turn_and_shows_what_the_run_has_logged_meanwhile() {
    let place = complete();
    let folder = place.results();
    let (whole, board) = (fs::read(folder.log()).unwrap(), fs::read(folder.leaderboard("json")).unwrap());
    // The log as it was before the last trial ended.
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let last = lines.iter().rposition(|line| line.windows(10).any(|part| part == b"\"finished\"")).unwrap();
    fs::write(folder.log(), lines[..last].concat()).unwrap();
    let turn = folder.turn().unwrap();
    let mut report = start(&place, &["report"]);
    fs::write(folder.log(), &whole).unwrap();
    drop(turn);
    assert!(report.wait().unwrap().success());
    assert_eq!(fs::read(folder.leaderboard("json")).unwrap(), board);
}

#[test]
fn reports_during_a_run_leave_the_leaderboard_of_its_end() {
    let place = place();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Before the run has written its plan there is no sweep.
                while !place.results().plan().exists() {
                    thread::yield_now();
                }
                while !is_over.load(Ordering::SeqCst) {
                    place.sweep(&["report", "tiny"]).succeeded();
                }
            });
        }
        place.run(&["--devices", "cpu:1"]).succeeded();
        is_over.store(true, Ordering::SeqCst);
    });
    let board = |place: &Place| fs::read_to_string(place.results().leaderboard("json")).unwrap();
    let left = board(&place);
    place.sweep(&["report", "tiny"]).succeeded();
    assert_eq!(left, board(&place));
}

#[test]
fn nobody_fails_while_a_sweep_is_begun_anew() {
    let place = complete();
    let is_over = AtomicBool::new(false);
    let commands: [(&[&str], &[i32]); 5] = [
        (&["leaderboard", "tiny", "--format", "json"], &[0]),
        (&["status", "tiny"], &[0]),
        (&["list"], &[0]),
        (&["report", "tiny"], &[0]),
        // None of the new trials may be complete yet.
        (&["export-best", "tiny"], &[0, 4]),
    ];
    thread::scope(|scope| {
        for (command, codes) in commands {
            let (place, is_over) = (&place, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    let written = place.sweep(command);
                    let code = written.code.unwrap();
                    assert!(codes.contains(&code), "{command:?}: {code} {}", written.stderr);
                    assert!(!written.stdout.contains("damaged"), "{}", written.stdout);
                }
            });
        }
        for _ in 0..3 {
            place.run(&["--devices", "cpu:1", "--fresh"]).succeeded();
        }
        is_over.store(true, Ordering::SeqCst);
    });
}

#[test]
fn the_next_run_removes_what_killed_processes_left() {
    let place = complete();
    let results = place.results();
    let killed = [
        results.path().join(".writing-a"),
        results.trial(1).path().join(".writing-a"),
        results.trial(1).best().join(".writing-a").path().to_owned(),
    ];
    for path in &killed {
        fs::write(path, "half").unwrap();
    }
    let export = results.path().join(".tmp-export-held-a");
    fs::create_dir_all(export.join("best-model")).unwrap();
    let (mine, of_mine) =
        (results.path().join(".writing-mine"), results.path().join(".tmp-export-held-mine"));
    fs::write(&mine, "half").unwrap();
    fs::create_dir(&of_mine).unwrap();
    let living = [&mine, &of_mine].map(|path| File::open(path).unwrap());
    for file in &living {
        file.try_lock().unwrap();
    }
    place.run(&["--devices", "cpu:1"]).succeeded();
    assert!(killed.iter().chain([&export]).all(|path| !path.exists()));
    assert!(mine.exists() && of_mine.exists(), "the files of a living process");
}

/// The files of a folder with their contents.
fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect()
}

/// What `export-best` writes of both trials.
static MODELS: LazyLock<[Files; 2]> = LazyLock::new(|| {
    let place = complete();
    ["1", "2"].map(|trial| {
        place.sweep(&["export-best", "tiny", "--trial", trial, "--out", "model"]).succeeded();
        files(&place.path("model"))
    })
});

fn leftovers(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.starts_with('.')).collect()
}

/// Crashes an export over another model at every write point. Each time, one of both models is whole in its place, and the
/// next export leaves nothing else. Returns how often each step was the last.
fn crash_everywhere(how: &str) -> BTreeMap<String, usize> {
    let place = complete();
    let (old, new) = (&MODELS[0], &MODELS[1]);
    let mut points = BTreeMap::new();
    for number in 1.. {
        let (out, mark) = (place.path("model"), place.path("mark"));
        let _ = fs::remove_dir_all(&out);
        fs::create_dir(&out).unwrap();
        for (name, bytes) in old {
            fs::write(out.join(name), bytes).unwrap();
        }
        let mut export = place.command(&["export-best", "tiny", "--trial", "2", "--out", "model"]);
        export.env("SWEEP_CRASH", format!("orchestrator:{number}:{how}:{}", mark.display()));
        let code = export.output().unwrap().status.code();
        let Ok(what) = fs::read_to_string(&mark) else {
            assert_eq!(code, Some(0));
            return points;
        };
        fs::remove_file(mark).unwrap();
        let found = files(&out);
        assert!(found == *old || found == *new, "{how} {number} after it {what}: {:?}", found.keys());
        place.sweep(&["export-best", "tiny", "--trial", "2", "--out", "model"]).succeeded();
        assert_eq!(
            (files(&out) == *new, leftovers(&place)),
            (true, vec![]),
            "{how} {number} after it {what}"
        );
        *points.entry(what.trim().to_owned()).or_default() += 1;
    }
    points
}

#[test]
fn an_export_that_is_killed_at_any_write_point_leaves_one_whole_model() {
    let points = crash_everywhere("kill");
    assert_eq!(points.get("exchanged two folders"), Some(&1), "{points:?}");
}

#[test]
fn an_export_whose_power_is_cut_at_any_write_point_leaves_one_whole_model() {
    let points = crash_everywhere("power");
    assert_eq!(points.get("exchanged two folders"), Some(&1), "{points:?}");
}

#[test]
fn an_export_takes_the_place_of_no_link() {
    let place = complete();
    std::os::unix::fs::symlink("nowhere", place.path("model")).unwrap();
    place.sweep(&["export-best", "tiny", "--trial", "1", "--out", "model"]).with_code(5);
    assert_eq!(fs::read_link(place.path("model")).unwrap(), Path::new("nowhere"));
}

#[test]
fn two_exports_to_one_folder_end_well_and_leave_one_of_both_models() {
    let place = complete();
    for round in 0..20 {
        if round % 2 == 0 {
            let _ = fs::remove_dir_all(place.path("model"));
        }
        let exports = ["1", "2"]
            .map(|trial| start(&place, &["export-best", "tiny", "--trial", trial, "--out", "model"]));
        assert!(exports.into_iter().all(|mut export| export.wait().unwrap().success()));
        assert!(MODELS.contains(&files(&place.path("model"))));
        assert_eq!(leftovers(&place), [""; 0]);
    }
}

#[test]
fn a_prediction_during_exports_is_that_of_one_of_the_models() {
    let place = complete();
    let predict = || place.sweep(&["predict", "--model", "model", "--format", "json", "满意", "失望"]);
    let answers = ["1", "2"].map(|trial| {
        place.sweep(&["export-best", "tiny", "--trial", trial, "--out", "model"]).succeeded();
        predict().succeeded().stdout
    });
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for trial in (0..20).map(|round| ["1", "2"][round % 2]) {
                place.sweep(&["export-best", "tiny", "--trial", trial, "--out", "model"]).succeeded();
            }
            is_over.store(true, Ordering::SeqCst);
        });
        while !is_over.load(Ordering::SeqCst) {
            assert!(answers.contains(&predict().succeeded().stdout));
        }
    });
}
