//! What trials share in a cache changes no number: cold, warm, damaged, or not there at all.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use serde_json::Value;
use sweep::{
    cache::{self, CacheSpec, Kind},
    settings::{Freeze, Pooling, Settings},
    train::{Ending, Report, Stopped},
};
use tempfile::TempDir;

use crate::common::{
    checkpoint::{self, checkpoint},
    place::{Place, copy_folder},
    program::Written,
    results::{Files, trial_files},
    trial_bench::{self, TrialBench, settings_from},
};

/// Settings that freeze nothing, a layer, and everything.
fn recipes(checkpoint: &Path) -> Vec<Settings> {
    let plain = Settings { epochs: 2, dropout: 0.2, ..settings_from(checkpoint) };
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
fn run_all(recipes: &[Settings], cache: Option<&CacheSpec>) -> Vec<Files> {
    let mut bench = TrialBench::new();
    bench.cache = cache.cloned();
    recipes.iter().map(|settings| trial_files(&bench.run(settings).1)).collect()
}

fn kinds(spec: &CacheSpec) -> Vec<Kind> {
    cache::list(&sweep::system::files::Place::of(&spec.folder))
        .unwrap()
        .into_iter()
        .map(|entry| entry.what.unwrap().0)
        .collect()
}

/// What the recipes of one family leave without a cache and with one, and what kinds of entries it then has.
struct Cached {
    fixture: &'static str,
    without: Vec<Files>,
    cold: (Vec<Files>, Vec<Kind>),
    warm: (Vec<Files>, Vec<Kind>),
    /// After every entry was cut in half.
    damaged: (Vec<Files>, Vec<Kind>),
}

static CACHED: LazyLock<[Cached; 2]> = LazyLock::new(|| ["tiny-roberta", "tiny-distilbert"].map(cached));

fn cached(fixture: &'static str) -> Cached {
    let (checkpoint, folder) = (checkpoint(fixture), tempfile::tempdir().unwrap());
    let recipes = recipes(checkpoint.path());
    let spec = spec(folder.path(), 1 << 30);
    let run = || (run_all(&recipes, Some(&spec)), kinds(&spec));
    let (without, cold, warm) = (run_all(&recipes, None), run(), run());
    for entry in cache::list(&sweep::system::files::Place::of(&spec.folder)).unwrap() {
        let path = spec.folder.join(entry.name);
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() / 2);
        fs::write(path, bytes).unwrap();
    }
    Cached { fixture, without, cold, warm, damaged: run() }
}

#[test]
fn a_cold_cache_changes_no_byte_of_a_trial() {
    for each in &*CACHED {
        assert!(each.cold.0 == each.without, "{}", each.fixture);
    }
}

#[test]
fn a_warm_cache_changes_no_byte_of_a_trial() {
    for each in &*CACHED {
        assert!(each.warm.0 == each.without, "{}", each.fixture);
    }
}

#[test]
fn a_damaged_cache_changes_no_byte_of_a_trial() {
    for each in &*CACHED {
        assert!(each.damaged.0 == each.without, "{}", each.fixture);
    }
}

#[test]
fn a_cache_has_an_entry_for_each_split_of_all_that_recipes_share() {
    for Cached { cold: (_, made), .. } in &*CACHED {
        // The documents, and three splits each: texts, hidden states after a layer (whatever the pooling), and two poolings.
        let count = |kind: Kind| made.iter().filter(|found| **found == kind).count();
        assert_eq!([Kind::Documents, Kind::Text, Kind::Hidden, Kind::Pooled].map(count), [1, 3, 3, 6]);
    }
}

#[test]
fn a_warm_cache_gets_no_new_entries() {
    for each in &*CACHED {
        assert_eq!(each.warm.1.len(), 13);
    }
}

#[test]
fn damaged_entries_are_made_again() {
    for each in &*CACHED {
        assert_eq!(each.damaged.1.len(), 13);
    }
}

/// Asserts that trials with this cache leave what they leave without one.
fn assert_changes_nothing(spec: &CacheSpec) {
    let checkpoint = checkpoint("tiny-bert");
    let recipes = recipes(checkpoint.path());
    assert!(run_all(&recipes, Some(spec)) == run_all(&recipes, None));
}

#[test]
fn a_cache_that_is_too_small_changes_nothing_within_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let small = spec(folder.path(), 8_000);
    assert_changes_nothing(&small);
    let bytes: u64 = cache::list(&sweep::system::files::Place::of(&small.folder))
        .unwrap()
        .iter()
        .map(|entry| entry.bytes)
        .sum();
    assert!((1..=8_000).contains(&bytes), "{bytes}");
}

#[test]
fn a_cache_that_cannot_be_written_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    assert_changes_nothing(&CacheSpec { folder: folder.path().join("file"), bytes: 1 << 30 });
}

/// A trial over a frozen layer that was asked to stop when it first reported that it is alive.
struct StoppedTrial {
    bench: TrialBench,
    recipe: Settings,
    ending: Ending,
    spec: CacheSpec,
    _folders: [TempDir; 2],
}

fn stopped() -> StoppedTrial {
    let (checkpoint, folder) = (checkpoint("tiny-bert"), tempfile::tempdir().unwrap());
    let mut bench = TrialBench::new();
    let spec = spec(folder.path(), 1 << 30);
    bench.cache = Some(spec.clone());
    let recipe = recipes(checkpoint.path()).remove(1);
    let is_tokenised = || kinds(&spec).iter().filter(|kind| **kind == Kind::Text).count() == 3;
    let (ending, _) = bench.run_observed(&recipe, &mut |report| match report {
        Report::Alive if is_tokenised() => Err(Stopped),
        Report::Alive => Ok(()),
        _ => panic!("{report:?}"),
    });
    StoppedTrial { bench, recipe, ending: ending.unwrap(), spec, _folders: [checkpoint, folder] }
}

#[test]
fn a_trial_that_is_asked_to_stop_encodes_nothing_more() {
    let stopped = stopped();
    assert_eq!(stopped.ending, Ending::Stopped);
    let mut kinds = kinds(&stopped.spec);
    kinds.sort_by_key(|kind| kind.as_str());
    assert_eq!(kinds, [Kind::Documents, Kind::Text, Kind::Text, Kind::Text]);
}

#[test]
fn a_trial_that_was_asked_to_stop_encodes_when_it_runs_again() {
    let mut stopped = stopped();
    stopped.bench.run(&stopped.recipe);
    assert_eq!(kinds(&stopped.spec).len(), 7);
}

const SPEC: &str = r#"
name = "a"
[data]
train = "train.csv"
validation = "validation.csv"
test = "test.csv"
positive = "good"
duplicates = "keep"
[model]
checkpoint = "model"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 2
batch_size = 8
[search.space]
learning_rate = { grid = [1e-3, 3e-3] }
freeze = { grid = [1, "encoder"] }
"#;

/// Writes the data and the checkpoint of [`SPEC`].
fn prepared(place: Place) -> Place {
    trial_bench::data(&place.path(""));
    checkpoint::write("tiny-bert", &place.path("model"));
    place
}

fn command(place: &Place, name: &str, more: &[&str]) -> Command {
    let mut command = place.run_command(&["--set", &format!("name={name}")]);
    command.args(more);
    command
}

fn run(place: &Place, name: &str, more: &[&str]) {
    Written::by(&mut command(place, name, more)).succeeded();
}

fn trial(place: &Place, name: &str, id: u32) -> PathBuf {
    place.results_of(name).trial(id).path().to_owned()
}

/// What the four trials of a sweep left.
fn trials(place: &Place, name: &str) -> Vec<Files> {
    (1..=4).map(|id| trial_files(&trial(place, name, id))).collect()
}

fn listing(place: &Place) -> Value {
    serde_json::from_str(&place.sweep(&["cache", "--format", "json"]).succeeded().stdout).unwrap()
}

#[test]
fn a_sweep_that_is_to_use_no_cache_makes_none() {
    let place = prepared(Place::new("a", SPEC));
    run(&place, "none", &["--devices", "cpu:1", "--set", "run.cache=none"]);
    assert_eq!(listing(&place)["entries"], Value::Array(vec![]));
}

/// A sweep without a cache, two at once with one, each with two workers, and one more after these.
static FOUR_SWEEPS: LazyLock<Place> = LazyLock::new(|| {
    let place = prepared(Place::shared("a", SPEC));
    run(&place, "none", &["--devices", "cpu:1", "--set", "run.cache=none"]);
    let start = |name| command(&place, name, &["--devices", "cpu:2"]).stdout(Stdio::null()).spawn().unwrap();
    for mut run in ["one", "two"].map(start) {
        assert!(run.wait().unwrap().success());
    }
    run(&place, "warm", &["--devices", "cpu:1"]);
    place
});

#[test]
fn sweeps_that_share_a_cache_leave_what_a_sweep_without_one_leaves() {
    let expected = trials(&FOUR_SWEEPS, "none");
    for name in ["one", "two", "warm"] {
        assert!(trials(&FOUR_SWEEPS, name) == expected, "{name}");
    }
}

#[test]
fn sweeps_make_each_entry_once() {
    let listing = listing(&FOUR_SWEEPS);
    assert_eq!(listing["entries"].as_array().unwrap().len(), 10, "{listing}");
}

#[test]
fn the_listing_sums_the_bytes_of_the_entries() {
    let listing = listing(&FOUR_SWEEPS);
    let entries = listing["entries"].as_array().unwrap();
    let bytes: u64 = entries.iter().map(|entry| entry["bytes"].as_u64().unwrap()).sum();
    assert_eq!(listing["bytes"], bytes);
}

#[test]
fn the_listing_says_of_each_entry_what_is_in_it() {
    let listing = listing(&FOUR_SWEEPS);
    for (kind, part) in [("text", "chunks of 16"), ("hidden", "1 layer"), ("pooled", "all layers")] {
        let of_kind = listing["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == kind);
        let about: Vec<&str> = of_kind.map(|entry| entry["of"].as_str().unwrap()).collect();
        assert_eq!(about.len(), 3, "{listing}");
        assert!(about.iter().all(|about| about.contains(part)), "{about:?}");
    }
}

#[test]
fn the_listing_is_a_table_unless_json_is_asked_for() {
    let table = FOUR_SWEEPS.sweep(&["cache"]).succeeded().stdout;
    assert_eq!(table.lines().filter(|line| line.starts_with("text ")).count(), 3, "{table}");
}

#[test]
fn a_cache_that_is_cleared_has_no_entry() {
    let place = Place::empty();
    copy_folder(&FOUR_SWEEPS.path("results/.cache"), &place.path("results/.cache"));
    let cleared = place.sweep(&["cache", "clear"]).succeeded().stdout;
    assert!(cleared.contains("10 entries removed"), "{cleared}");
    assert_eq!(listing(&place)["entries"], Value::Array(vec![]));
}

#[test]
fn the_cache_is_none_of_the_sweeps() {
    let known = FOUR_SWEEPS.sweep(&["leaderboard", "nothing"]).stderr;
    assert!(known.contains("warm") && !known.contains(".cache"), "{known}");
}

/// A sweep, the damage of a byte in each entry of its cache, and the same sweep again.
static BEFORE_AND_AFTER_DAMAGE: LazyLock<Place> = LazyLock::new(|| {
    let place = prepared(Place::shared("a", SPEC));
    run(&place, "before", &["--devices", "cpu:1"]);
    let cache = place.path("results/.cache");
    for entry in cache::list(&sweep::system::files::Place::of(&cache)).unwrap() {
        let path = cache.join(entry.name);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    }
    run(&place, "after", &["--devices", "cpu:1"]);
    place
});

#[test]
fn a_damaged_entry_stands_in_the_workers_log() {
    let log = fs::read_to_string(trial(&BEFORE_AND_AFTER_DAMAGE, "after", 1).join("worker.log")).unwrap();
    assert!(log.contains("is damaged: its contents are not those that were written"), "{log}");
}

#[test]
fn damaged_entries_change_no_byte_of_a_sweep() {
    let [before, after] = ["before", "after"].map(|name| trials(&BEFORE_AND_AFTER_DAMAGE, name));
    assert!(before == after);
}
