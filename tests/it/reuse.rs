//! A sweep takes over what other sweeps have trained, where it is the same and whole, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use sweep::{
    event::{Event, Record},
    journal,
    results::{Results, SweepFolder, TrialFolder},
    trial::TrialId,
};
use tempfile::TempDir;

const SPEC: &str = r#"
name = "first"
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

const FILES: [&str; 4] =
    ["metrics.csv", "predictions.csv", "best/model.safetensors", "last/model.safetensors"];

/// What is done to a trial's files.
type Damage<'a> = &'a dyn Fn(&TrialFolder);

struct Place(TempDir);

impl Place {
    /// A folder with the data and a sweep `first` over the learning rates 0.001 and 0.003.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write_data("很差");
        fs::write(place.path("tiny.toml"), SPEC).unwrap();
        place.run("first", "1e-3, 3e-3", &[]);
        place
    }

    fn write_data(&self, bad: &str) {
        let mut csv = String::from("text,label\n");
        for index in 0..80 {
            let (word, label) = [("很好", "good"), (bad, "bad")][index % 2];
            writeln!(csv, "{word}，第{index}次,{label}").unwrap();
        }
        fs::write(self.path("tiny.csv"), csv).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, name: &str, rates: &str, further: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        command.args(["run", "tiny.toml", "--devices", "cpu:2"]).args(["--set", &format!("name={name}")]);
        command.args(["--set", &format!("search.space.learning_rate={{ grid = [{rates}] }}")]);
        for set in further {
            command.args(["--set", set]);
        }
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs a sweep to its end; what it said.
    fn run(&self, name: &str, rates: &str, further: &[&str]) -> String {
        let output = self.command(name, rates, further).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        said
    }

    /// As [`Self::run`], taking over what there is.
    fn reuse(&self, name: &str, rates: &str, further: &[&str]) -> String {
        self.run(name, rates, &[&["run.reuse=true"], further].concat())
    }

    fn folder(&self, name: &str) -> SweepFolder {
        Results::new(self.path("results")).sweep(name)
    }

    fn trial(&self, name: &str, id: u32) -> TrialFolder {
        self.folder(name).trial(TrialId(id))
    }

    fn records(&self, name: &str) -> Vec<Record> {
        journal::replay(&self.folder(name).log()).unwrap().records
    }

    /// The trials that were given to a worker.
    fn trained(&self, name: &str) -> BTreeSet<u32> {
        let records = self.records(name).into_iter();
        let started = records.filter(|record| matches!(record.event, Event::Started { .. }));
        started.filter_map(|record| Some(record.trial?.0)).collect()
    }

    /// The rows of the leaderboard by trial, without what depends on the other trials.
    fn rows(&self, name: &str) -> BTreeMap<u64, Value> {
        let board = fs::read(self.folder(name).leaderboard("json")).unwrap();
        let board: Vec<Value> = serde_json::from_slice(&board).unwrap();
        let row = |mut row: Value| {
            let fields = row.as_object_mut().unwrap();
            for field in ["rank", "tied", "p_value"] {
                fields.remove(field).unwrap();
            }
            (row["trial"].as_u64().unwrap(), row)
        };
        board.into_iter().map(row).collect()
    }
}

#[test]
fn trials_that_another_sweep_has_are_taken_over_to_the_byte_and_not_trained() {
    let place = Place::new();
    let said = place.reuse("second", "3e-3, 5e-3", &[]);
    assert!(said.contains("trial 0001 is that of first/0002, and taken over"), "{said}");
    assert_eq!(place.trained("second"), [2].into());
    let (theirs, ours) = (place.trial("first", 2), place.trial("second", 1));
    for file in FILES {
        let read = |folder: &TrialFolder| fs::read(folder.path().join(file)).unwrap();
        assert!(read(&theirs) == read(&ours), "{file}");
    }
    let inode = |folder: &TrialFolder| fs::metadata(folder.best_parameters()).unwrap().ino();
    assert_eq!(inode(&theirs), inode(&ours), "parameters take no space twice");
    assert!(ours.curve().exists() && ours.confusion().exists() && !ours.last_state().exists());
    assert!(!ours.path().join("reused.new").exists());

    let (mut expected, mut row) =
        (place.rows("first").remove(&2).unwrap(), place.rows("second").remove(&1).unwrap());
    assert_eq!(row["reused_from"], serde_json::json!({ "sweep": "first", "trial": 2 }));
    for own in ["trial", "device", "reused_from"] {
        for row in [&mut expected, &mut row] {
            row.as_object_mut().unwrap().remove(own).unwrap();
        }
    }
    assert_eq!(row, expected, "the figures and their time are those of the other sweep");
    let board = fs::read_to_string(place.folder("second").leaderboard("md")).unwrap();
    assert!(board.contains("0001 from first/0002."), "{board}");

    // It lasts: nothing is done again, the other sweep may go, and the model can be exported.
    fs::remove_dir_all(place.folder("first").path()).unwrap();
    let records = place.records("second").len();
    place.reuse("second", "3e-3, 5e-3", &[]);
    assert_eq!(place.records("second").len(), records);
    let mut export = Command::new(env!("CARGO_BIN_EXE_sweep"));
    let exported = export.args(["export-best", "second"]).current_dir(place.0.path()).output().unwrap();
    assert_eq!(exported.status.code(), Some(0), "{}", String::from_utf8_lossy(&exported.stderr));
}

#[test]
fn a_sweep_of_which_everything_is_there_trains_nothing() {
    let place = Place::new();
    place.reuse("second", "3e-3, 1e-3", &[]);
    assert_eq!(place.trained("second"), [].into());
    assert_eq!(place.rows("second").len(), 2);
    place.reuse("third", "3e-3, 1e-3", &["run.keep=1"]);
    assert_eq!(place.trained("third"), [].into());
    let kept = (1..=2).filter(|id| place.trial("third", *id).best_parameters().exists()).count();
    let f1 = |row: &Value| row["test"]["f1"].as_f64();
    let is_tie =
        place.rows("third").values().map(f1).collect::<Vec<_>>().windows(2).all(|pair| pair[0] == pair[1]);
    assert_eq!(kept, if is_tie { 2 } else { 1 }, "what is kept is as `keep` says");
    assert!((1..=2).all(|id| place.trial("first", id).best_parameters().exists()));
}

#[test]
fn without_the_wish_or_where_anything_differs_everything_is_trained() {
    let place = Place::new();
    place.run("unasked", "3e-3", &[]);
    assert_eq!(place.trained("unasked"), [1].into());
    for (name, change) in [
        ("seed", "seed=6"),
        ("epochs", "epochs=3"),
        ("limit", "data.limit.test=8"),
        ("class", "data.positive=bad"),
    ] {
        place.reuse(name, "3e-3", &[change]);
        assert_eq!(place.trained(name), [1].into(), "{change}");
    }
    place.write_data("不好");
    place.reuse("other-data", "3e-3", &[]);
    assert_eq!(place.trained("other-data"), [1].into());
    // The first data again: now there is something to take over.
    place.write_data("很差");
    place.reuse("same-data", "3e-3", &[]);
    assert_eq!(place.trained("same-data"), [].into());
}

#[test]
fn a_trial_whose_files_are_not_whole_is_trained() {
    let damages: [(&str, Damage); 3] = [
        ("model.safetensors is not what", &|trial| fs::write(trial.best_parameters(), "cut").unwrap()),
        ("predictions.csv is not what", &|trial| {
            let text = fs::read_to_string(trial.predictions()).unwrap();
            let cut: String = text.split_inclusive('\n').take(5).collect();
            fs::write(trial.predictions(), cut).unwrap();
        }),
        ("metrics.csv is not what", &|trial| fs::write(trial.metrics(), "epoch\n").unwrap()),
    ];
    for (why, damage) in damages {
        let place = Place::new();
        damage(&place.trial("first", 2));
        let said = place.reuse("second", "1e-3, 3e-3", &[]);
        assert!(said.contains("trial 0002 is that of first/0002, but") && said.contains(why), "{said}");
        assert_eq!(place.trained("second"), [2].into(), "{why}");
        assert!(!place.trial("second", 2).path().join("reused.new").exists());
    }
}

#[test]
fn of_several_the_latest_whole_one_is_taken() {
    let place = Place::new();
    place.run("second", "3e-3", &[]);
    place.run("third", "3e-3", &[]);
    fs::remove_file(place.trial("third", 1).metrics()).unwrap();
    fs::remove_dir_all(place.trial("second", 1).last()).unwrap();
    let said = place.reuse("fourth", "3e-3", &[]);
    assert!(said.contains("trial 0001 is that of first/0002, and taken over"), "{said}");
    fs::remove_file(place.trial("first", 2).predictions()).unwrap();
    fs::remove_dir_all(place.folder("fourth").path()).unwrap();
    place.reuse("fifth", "3e-3", &[]);
    assert_eq!(place.trained("fifth"), [1].into());
}

#[test]
fn a_build_or_processor_that_computes_other_numbers_counts_as_another() {
    let place = Place::new();
    let log = place.folder("first").log();
    let text = fs::read_to_string(&log).unwrap();
    let field = text.split_once("\"arithmetic\":\"").unwrap().1.split_once('"').unwrap().0;
    fs::write(&log, text.replace(field, "0 another")).unwrap();
    place.reuse("second", "3e-3", &[]);
    assert_eq!(place.trained("second"), [1].into());
    // Older logs do not say.
    let older = text.replace(&format!(",\"arithmetic\":\"{field}\""), "");
    assert_ne!(older, text);
    fs::write(&log, older).unwrap();
    fs::remove_dir_all(place.folder("second").path()).unwrap();
    place.reuse("third", "3e-3", &[]);
    assert_eq!(place.trained("third"), [1].into());
    fs::write(&log, text).unwrap();
    fs::remove_dir_all(place.folder("third").path()).unwrap();
    place.reuse("fourth", "3e-3", &[]);
    assert_eq!(place.trained("fourth"), [].into());
}

#[test]
fn a_checkpoint_that_was_trained_further_is_another_one() {
    let place = Place::new();
    let model = place.path("model");
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-bert");
    fs::create_dir(&model).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(fixture.join(name), model.join(name)).unwrap();
    }
    fs::write(model.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n很\n好\n差\n").unwrap();
    let checkpoint = "checkpoint=model";
    place.run("third", "1e-3", &[checkpoint]);
    fs::rename(&model, place.path("moved")).unwrap();
    place.reuse("moved", "1e-3", &["checkpoint=moved"]);
    assert_eq!(place.trained("moved"), [].into(), "contents count, places do not");
    let weights = place.path("moved/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(weights, bytes).unwrap();
    place.reuse("further", "1e-3", &["checkpoint=moved"]);
    assert_eq!(place.trained("further"), [1].into());
}

#[test]
fn killed_while_it_takes_over_it_ends_the_same() {
    let place = Place::new();
    let mut expected = None;
    for number in (1..60).step_by(4) {
        let name = format!("killed-{number}");
        let mark = place.path(&format!("mark-{number}"));
        let mut command = place.command(&name, "3e-3, 1e-3", &["run.reuse=true"]);
        command.env("SWEEP_CRASH", format!("orchestrator:{number}:power:{}", mark.display()));
        // After a late point the sweep was whole already.
        let is_over = command.output().unwrap().status.success();
        assert_eq!(is_over, !mark.exists());
        place.reuse(&name, "3e-3, 1e-3", &[]);
        assert_eq!(place.trained(&name), [].into(), "{number}");
        let found: Vec<Vec<u8>> =
            FILES.iter().map(|file| fs::read(place.trial(&name, 1).path().join(file)).unwrap()).collect();
        let rows: Vec<Value> = place.rows(&name).into_values().map(|row| row["test"].clone()).collect();
        let expected = expected.get_or_insert_with(|| (found.clone(), rows.clone()));
        assert!(found == expected.0 && rows == expected.1, "{number}");
        fs::remove_dir_all(place.folder(&name).path()).unwrap();
    }
}
