//! Results folders into which somebody has put links, FIFOs and hard links, or which are moved or removed
//! during a run: nothing outside is read, changed or removed, nothing is waited for, and a run that cannot
//! go on says so.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
    sync::LazyLock,
};

use crate::common::{
    place::{Place, copy_folder},
    program::{Running, Written},
    texts::{TINY_SPEC, csv, opinion},
};

/// The spec with these learning rates, one trial for each.
fn spec(rates: &str) -> String {
    format!("{TINY_SPEC}[search.space]\nlearning_rate = {{ grid = [{rates}] }}\n")
}

fn with_data(place: Place) -> Place {
    let row = |index| (format!("第{index}次{}", opinion(index).1), opinion(index).0);
    place.write("tiny.csv", csv((0..60).map(row)));
    place
}

/// A sweep of one trial, complete.
static COMPLETE: LazyLock<Place> = LazyLock::new(|| {
    let place = with_data(Place::shared("tiny", &spec("2e-3")));
    place.run(&["--devices", "cpu:1"]).succeeded();
    place
});

/// A copy of the complete sweep whose spec has a second trial now, beside a folder with somebody's documents.
fn place() -> Place {
    let place = with_data(Place::new("tiny", &spec("2e-3, 1e-3")));
    copy_folder(&COMPLETE.path("results"), &place.path("results"));
    place.write("docs/a.txt", "precious");
    place.write("docs/deep/state.safetensors", "precious too");
    place
}

/// Every file below a folder with its contents, every link with its target.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(contents(&entry.path()));
        } else {
            found.push((entry.path(), fs::read(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

/// Runs a command that must end by itself: it waits for no FIFO and panics nowhere.
#[track_caller]
fn command(place: &Place, arguments: &[&str]) -> Written {
    let mut limited = std::process::Command::new("timeout");
    let command = place.command(arguments);
    limited.arg("60").arg(command.get_program()).args(command.get_args()).current_dir(place.path(""));
    let written = Written::by(limited.stdin(Stdio::null()));
    assert!(
        written.code.is_some_and(|code| code < 100) && !written.stderr.contains("panicked"),
        "{arguments:?} ended with {:?}: {}",
        written.code,
        written.stderr
    );
    written
}

/// Removes what has the name, and makes it a link to `target`.
fn replace_by_link(place: &Place, name: &str, target: &str) {
    let path = place.path(name);
    let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(place.path(target), path).unwrap();
}

/// Every file and folder that a run opens, makes, renames or removes, and whether it is a folder.
const NAMES: [(&str, bool); 21] = [
    ("results/tiny", true),
    ("results/tiny/trials", true),
    ("results/tiny/trials/0001", true),
    ("results/tiny/trials/0001/last", true),
    ("results/tiny/trials/0001/best", true),
    ("results/tiny/trials/0001/predictions.csv", false),
    ("results/tiny/trials/0001/best/model.safetensors", false),
    ("results/tiny/trials/0002", true),
    ("results/tiny/trials/0002/last", true),
    ("results/tiny/trials/0002/last.new", true),
    ("results/tiny/trials/0002/last.before", true),
    ("results/tiny/trials/0002/best", true),
    ("results/tiny/trials/0002/worker.log", false),
    ("results/tiny/trials/0002/trial.json", false),
    ("results/tiny/trials/0002/metrics.csv", false),
    ("results/tiny/.lock", false),
    ("results/tiny/events.jsonl", false),
    ("results/tiny/plan.json", false),
    ("results/tiny/leaderboard.csv", false),
    ("results/tiny/best-model", true),
    ("results/.cache", true),
];

#[test]
fn nothing_behind_a_link_in_a_results_folder_is_touched() {
    for (name, is_folder) in NAMES {
        let place = place();
        let before = contents(&place.path("docs"));
        replace_by_link(&place, name, if is_folder { "docs/deep" } else { "docs/a.txt" });
        for arguments in [
            &["run", "tiny.toml", "--devices", "cpu:1"][..],
            &["leaderboard", "tiny"],
            &["report", "tiny"],
            &["export-best", "tiny"],
            &["cache", "clear"],
            &["run", "tiny.toml", "--devices", "cpu:1", "--fresh"],
        ] {
            command(&place, arguments);
            let after = contents(&place.path("docs"));
            assert!(after == before, "{arguments:?} went through the link {name}");
        }
    }
}

#[test]
fn a_link_that_leads_elsewhere_in_the_results_is_not_followed_either() {
    let place = place();
    place.write("results/other/plan.json", "{}");
    replace_by_link(&place, "results/tiny/trials/0002", "results/other");
    let written = command(&place, &["run", "tiny.toml", "--devices", "cpu:1"]);
    assert_eq!(written.code, Some(5), "{}", written.stderr);
    assert!(
        written.stderr.contains("trials/0002 is a symbolic link")
            && written.stderr.contains("remove the link"),
        "{}",
        written.stderr
    );
    assert_eq!(fs::read_dir(place.path("results/other")).unwrap().count(), 1);
}

#[test]
fn a_fifo_in_a_results_folder_is_refused_and_not_waited_for() {
    for (name, is_folder) in NAMES.into_iter().filter(|(name, _)| name.contains("tiny/")) {
        let place = place();
        let path = place.path(name);
        let _ = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        for arguments in [
            &["run", "tiny.toml", "--devices", "cpu:1"][..],
            &["leaderboard", "tiny"],
            &["status", "tiny"],
            &["export-best", "tiny"],
        ] {
            command(&place, arguments);
        }
    }
}

#[test]
fn a_file_that_somebody_else_has_by_another_name_is_not_written_into() {
    for name in ["events.jsonl", "trials/0002/worker.log", ".lock"] {
        let place = place();
        let path = place.path("results/tiny").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !path.exists() {
            fs::write(&path, "theirs\n").unwrap();
        }
        fs::hard_link(&path, place.path("docs/theirs")).unwrap();
        let before = contents(&place.path("docs"));
        command(&place, &["run", "tiny.toml", "--devices", "cpu:1"]);
        assert!(contents(&place.path("docs")) == before, "{name}");
    }
}

/// A sweep that runs and is disturbed by `disturb` once its first trial has begun. Returns what it wrote.
fn disturbed(disturb: impl FnOnce(&Place)) -> (Place, Written) {
    let place = with_data(Place::new("tiny", &spec("2e-3, 1e-3, 5e-4").replace("epochs = 2", "epochs = 60")));
    let mut running = Running::start(&mut place.run_command(&["--devices", "cpu:1"]));
    running.wait_for("trial 0001");
    disturb(&place);
    let written = running.end();
    (place, written)
}

#[test]
fn a_results_folder_that_is_moved_stops_the_run_and_goes_on_when_it_is_back() {
    for folder in ["results", "results/tiny"] {
        let (place, written) =
            disturbed(|place| fs::rename(place.path(folder), place.path("elsewhere")).unwrap());
        assert_eq!(written.code, Some(5), "{folder}: {}", written.stderr);
        let words = ["tiny was moved or removed while the sweep ran", "elsewhere", "move it back"];
        assert!(words.iter().all(|word| written.stderr.contains(word)), "{folder}: {}", written.stderr);
        assert!(!place.path(folder).exists(), "{folder}: nothing new is put into its place");
        fs::rename(place.path("elsewhere"), place.path(folder)).unwrap();
        place.run(&["--devices", "cpu:1"]).succeeded();
        assert_eq!(place.results().rows().len(), 3);
    }
}

#[test]
fn a_results_folder_that_is_removed_stops_the_run() {
    for folder in ["results", "results/tiny"] {
        let (place, written) = disturbed(|place| {
            // The workers write meanwhile.
            while fs::remove_dir_all(place.path(folder)).is_err_and(|_| place.path(folder).exists()) {}
        });
        assert_eq!(written.code, Some(5), "{folder}: {}", written.stderr);
        assert!(written.stderr.contains("removed while the sweep ran"), "{folder}: {}", written.stderr);
        place.run(&["--devices", "cpu:1"]).succeeded();
        assert_eq!(place.results().rows().len(), 3);
    }
}

#[test]
fn files_that_are_removed_from_a_results_folder_stop_the_run() {
    let (_place, written) = disturbed(|place| {
        fs::remove_file(place.path("results/tiny/events.jsonl")).unwrap();
    });
    assert_eq!(written.code, Some(5), "{}", written.stderr);
    assert!(written.stderr.contains("events.jsonl"), "{}", written.stderr);
}
