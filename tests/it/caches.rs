//! What trials share changes no number: cold, warm, damaged, or not there at all.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::common::trial_bench::{Bench, checkpoint, files, settings};
use serde_json::Value;
use sweep::{
    cache::{self, CacheSpec, Kind},
    settings::{Freeze, Pooling, Settings},
    train::{Control, Ending, Report},
};

/// Settings that freeze nothing, a layer, and everything.
fn recipes(checkpoint: &Path) -> Vec<Settings> {
    let checkpoint = checkpoint.to_str().unwrap().to_owned();
    let plain = Settings { checkpoint, epochs: 2, dropout: 0.2, ..settings() };
    let with = |freeze, pooling| Settings { freeze, pooling, ..plain.clone() };
    vec![
        plain.clone(),
        with(Freeze::Layers(1), Pooling::Cls),
        with(Freeze::Layers(1), Pooling::Mean),
        with(Freeze::Encoder, Pooling::Cls),
        with(Freeze::Encoder, Pooling::Mean),
    ]
}

fn spec(folder: &Path, bytes: u64) -> CacheSpec {
    CacheSpec { folder: folder.join(".cache"), bytes }
}

/// What each recipe leaves, run one after another in a process's new session.
fn run_all(recipes: &[Settings], cache: Option<&CacheSpec>) -> Vec<BTreeMap<String, Vec<u8>>> {
    let mut bench = Bench::new();
    bench.cache = cache.cloned();
    recipes.iter().map(|settings| files(&bench.run(settings).1)).collect()
}

fn kinds(spec: &CacheSpec) -> Vec<Kind> {
    cache::list(&spec.folder).unwrap().into_iter().map(|entry| entry.what.unwrap().0).collect()
}

#[test]
fn cold_warm_damaged_and_without_a_cache_every_trial_leaves_the_same_bytes() {
    for fixture in ["tiny-roberta", "tiny-distilbert"] {
        let (checkpoint, folder) = (checkpoint(fixture), tempfile::tempdir().unwrap());
        let recipes = recipes(checkpoint.path());
        let without = run_all(&recipes, None);
        let spec = spec(folder.path(), 1 << 30);
        assert!(run_all(&recipes, Some(&spec)) == without, "{fixture}: cold");
        // Three splits each: texts, hidden states after a layer (whatever the pooling), and two poolings.
        let made = kinds(&spec);
        let count = |kind: Kind| made.iter().filter(|found| **found == kind).count();
        assert_eq!([Kind::Text, Kind::Hidden, Kind::Pooled].map(count), [3, 3, 6]);
        assert!(run_all(&recipes, Some(&spec)) == without, "{fixture}: warm");
        assert_eq!(kinds(&spec).len(), 12);
        for entry in cache::list(&spec.folder).unwrap() {
            let path = spec.folder.join(entry.name);
            let mut bytes = fs::read(&path).unwrap();
            let half = bytes.len() / 2;
            bytes.truncate(half);
            fs::write(path, bytes).unwrap();
        }
        assert!(run_all(&recipes, Some(&spec)) == without, "{fixture}: every entry cut in half");
        assert_eq!(kinds(&spec).len(), 12, "made again");
    }
}

#[test]
fn a_cache_that_is_too_small_or_cannot_be_written_changes_nothing() {
    let (checkpoint, folder) = (checkpoint("tiny-bert"), tempfile::tempdir().unwrap());
    let recipes = recipes(checkpoint.path());
    let without = run_all(&recipes, None);
    let small = spec(folder.path(), 8_000);
    assert!(run_all(&recipes, Some(&small)) == without, "room for little");
    let bytes: u64 = cache::list(&small.folder).unwrap().iter().map(|entry| entry.bytes).sum();
    assert!((1..=8_000).contains(&bytes), "{bytes}");
    fs::write(folder.path().join("file"), "").unwrap();
    let unwritable = CacheSpec { folder: folder.path().join("file"), bytes: 1 << 30 };
    assert!(run_all(&recipes, Some(&unwritable)) == without, "no folder");
}

#[test]
fn a_trial_that_is_told_to_stop_stops_before_it_has_tokenised_and_encoded() {
    let (checkpoint, folder) = (checkpoint("tiny-bert"), tempfile::tempdir().unwrap());
    let mut bench = Bench::new();
    let spec = spec(folder.path(), 1 << 30);
    bench.cache = Some(spec.clone());
    let frozen = recipes(checkpoint.path()).remove(1);
    let (ending, _) = bench.run_observed(&frozen, &mut |report| match report {
        Report::Alive => Control::Stop,
        _ => panic!("{report:?}"),
    });
    assert_eq!(ending.unwrap(), Ending::Stopped);
    assert_eq!(kinds(&spec), [Kind::Text; 3]);
    bench.run(&frozen);
    assert_eq!(kinds(&spec).len(), 6);
}

/// A folder with data, a checkpoint and a sweep over it.
struct Place {
    folder: tempfile::TempDir,
    checkpoint: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), checkpoint: checkpoint("tiny-bert") };
        crate::common::trial_bench::data(place.folder.path());
        let spec = format!(
            "name = \"a\"\n[data]\ntrain = \"train.csv\"\nvalidation = \"validation.csv\"\ntest = \"test.csv\"\n\
             positive = \"good\"\nduplicates = \"keep\"\n[model]\ncheckpoint = \"{}\"\n[text]\nchunk_length = 16\n\
             chunk_stride = 4\n[train]\nepochs = 2\nbatch_size = 8\n[search.space]\n\
             learning_rate = {{ grid = [1e-3, 3e-3] }}\nfreeze = {{ grid = [1, \"encoder\"] }}\n",
            place.checkpoint.path().display()
        );
        fs::write(place.folder.path().join("a.toml"), spec).unwrap();
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    fn sweep(&self, name: &str, more: &[&str]) -> Command {
        let name = format!("name={name}");
        self.command(&[&["run", "a.toml", "--set", &name], more].concat())
    }

    /// What the four trials of a sweep left.
    fn trials(&self, name: &str) -> Vec<BTreeMap<String, Vec<u8>>> {
        (1..=4).map(|trial| files(&self.trial(name, trial))).collect()
    }

    fn trial(&self, name: &str, trial: u32) -> PathBuf {
        self.folder.path().join(format!("results/{name}/trials/{trial:04}"))
    }

    fn listing(&self) -> Value {
        let output = said(self.command(&["cache", "--format", "json"]).output().unwrap());
        serde_json::from_str(&output).unwrap()
    }
}

/// Standard output of a command that went well.
fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn workers_and_sweeps_share_a_cache_that_can_be_listed_and_cleared() {
    let place = Place::new();
    said(place.sweep("none", &["--devices", "cpu:1", "--set", "run.cache=none"]).output().unwrap());
    assert_eq!(place.listing()["entries"], Value::Array(vec![]));
    // Two sweeps at once, each with two workers, all of whom want the same entries.
    let start = |name| place.sweep(name, &["--devices", "cpu:2"]).stdout(Stdio::null()).spawn().unwrap();
    let started = ["one", "two"].map(start);
    for mut run in started {
        assert!(run.wait().unwrap().success());
    }
    let listing = place.listing();
    let entries = listing["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 9, "{listing}");
    let bytes: u64 = entries.iter().map(|entry| entry["bytes"].as_u64().unwrap()).sum();
    assert_eq!(listing["bytes"], bytes);
    let about = |kind: &str| -> Vec<&str> {
        let of_kind = entries.iter().filter(|entry| entry["kind"] == kind);
        of_kind.map(|entry| entry["of"].as_str().unwrap()).collect()
    };
    for (kind, part) in [("text", "chunks of 16"), ("hidden", "1 layer"), ("pooled", "all layers")] {
        let about = about(kind);
        assert_eq!(about.len(), 3, "{listing}");
        assert!(about.iter().all(|about| about.contains(part)), "{about:?}");
    }
    said(place.sweep("warm", &["--devices", "cpu:1"]).output().unwrap());
    let expected = place.trials("none");
    for name in ["one", "two", "warm"] {
        assert!(place.trials(name) == expected, "{name}");
    }
    let table = said(place.command(&["cache"]).output().unwrap());
    assert_eq!(table.lines().filter(|line| line.starts_with("text ")).count(), 3, "{table}");
    let cleared = said(place.command(&["cache", "clear"]).output().unwrap());
    assert!(cleared.contains("9 entries removed"), "{cleared}");
    assert_eq!(place.listing()["entries"], Value::Array(vec![]));
    // The cache is none of the sweeps.
    let output = place.command(&["leaderboard", "nothing"]).output().unwrap();
    let known = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(known.contains("warm") && !known.contains(".cache"), "{known}");
}

#[test]
fn a_damaged_entry_is_told_in_the_workers_log() {
    let place = Place::new();
    said(place.sweep("first", &["--devices", "cpu:1"]).output().unwrap());
    let cache = place.folder.path().join("results/.cache");
    for entry in cache::list(&cache).unwrap() {
        let path = cache.join(entry.name);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    }
    said(place.sweep("second", &["--devices", "cpu:1"]).output().unwrap());
    let log = fs::read_to_string(place.trial("second", 1).join("worker.log")).unwrap();
    assert!(log.contains("is damaged: its contents are not those that were written"), "{log}");
    assert!(place.trials("first") == place.trials("second"));
}
