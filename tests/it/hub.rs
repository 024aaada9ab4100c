//! Checkpoints from a hub that these tests play themselves: whole sweeps, and what their users see.

mod downloads;
mod server;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use self::server::{Fault, Server};
use tempfile::TempDir;

const WEIGHTS: &str = "model.safetensors";

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-bert");
    fs::read(folder.join(name)).unwrap()
}

/// A tokenizer for the 60 word embeddings of the fixture.
fn vocabulary() -> String {
    let letters = "好坏很差满意失望喜欢讨厌推荐后悔房间早餐服务位置安静干净吵闹第次0123456789，。";
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let tokens: Vec<String> = special.into_iter().chain(letters.chars().map(String::from)).collect();
    assert!(tokens.len() <= 60);
    tokens.join("\n") + "\n"
}

fn model() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        ("config.json".to_owned(), fixture("config.json")),
        (WEIGHTS.to_owned(), fixture(WEIGHTS)),
        ("vocab.txt".to_owned(), vocabulary().into_bytes()),
        ("tokenizer_config.json".to_owned(), b"{\"do_lower_case\": false}".to_vec()),
        ("README.md".to_owned(), b"# tiny".to_vec()),
        ("tf_model.h5".to_owned(), vec![0; 20_000]),
    ])
}

/// The model without one of its files, or with others.
fn model_with(change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> BTreeMap<String, Vec<u8>> {
    let mut files = model();
    change(&mut files);
    files
}

fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// A folder with a spec and its data, and a cache of its own.
struct Place {
    root: TempDir,
    endpoint: String,
}

impl Place {
    fn new(endpoint: String) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut csv = String::from("text,label\n");
        for index in 0..40 {
            let (word, label) = if index % 2 == 0 { ("很好", "good") } else { ("很差", "bad") };
            writeln!(csv, "房间{word}，第{index}次,{label}").unwrap();
        }
        fs::write(root.path().join("tiny.csv"), csv).unwrap();
        let spec = "name = \"hub\"\n[data]\npath = \"tiny.csv\"\n[model]\ncheckpoint = \"tiny/bert\"\n\
                    [text]\nchunk_length = 16\nchunk_stride = 4\n[train]\nepochs = 1\nbatch_size = 8\n";
        fs::write(root.path().join("hub.toml"), spec).unwrap();
        Self { root, endpoint }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        command.args(arguments).current_dir(self.root.path()).stdin(Stdio::null());
        for name in ["HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
            command.env_remove(name);
        }
        // The slash at its end is one that people write.
        command.env("HF_HOME", self.path("hf")).env("HF_ENDPOINT", format!("{}/", self.endpoint));
        command
    }

    fn run(&self, more: &[&str]) -> Output {
        self.command(&[&["run", "hub.toml", "--devices", "cpu:1"], more].concat()).output().unwrap()
    }

    fn run_offline(&self, more: &[&str]) -> Output {
        let mut command = self.command(&[&["run", "hub.toml", "--devices", "cpu:1"], more].concat());
        command.env("HF_HUB_OFFLINE", "1").output().unwrap()
    }

    fn snapshot(&self, digit: char) -> PathBuf {
        self.path("hf/hub/models--tiny--bert/snapshots").join(commit(digit))
    }

    /// What the plan calls the checkpoint of its only trial.
    fn planned(&self) -> String {
        let plan: Value =
            serde_json::from_slice(&fs::read(self.path("results/hub/plan.json")).unwrap()).unwrap();
        plan["trials"][0]["settings"]["checkpoint"].as_str().unwrap().to_owned()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_sweep_from_a_hub_id_names_its_commit_and_runs_again_without_the_hub() {
    let server = Server::new(model());
    let place = Place::new(server.endpoint());
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("downloading tiny/bert model.safetensors (51 kB)"),
        "{}",
        stderr(&output)
    );
    let name = format!("tiny/bert@{}", commit('1'));
    assert_eq!(place.planned(), name);
    let trial = fs::read_to_string(place.path("results/hub/trials/0001/trial.json")).unwrap();
    assert!(trial.contains(&name), "{trial}");
    for file in ["config.json", "vocab.txt", "tokenizer_config.json", WEIGHTS] {
        let path = place.snapshot('1').join(file);
        assert_eq!(fs::read(&path).unwrap(), model()[file], "{file}");
        assert!(fs::read_link(&path).unwrap().starts_with("../../blobs"), "{file}");
    }
    assert!(!place.snapshot('1').join("tf_model.h5").exists());
    assert_eq!(fs::read_to_string(place.path("hf/hub/models--tiny--bert/refs/main")).unwrap(), commit('1'));

    // The branch moves, but this sweep stays with its commit, and asks nobody.
    server.set("main", &commit('2'));
    server.requests();
    assert_eq!(place.run(&[]).status.code(), Some(0));
    assert_eq!(place.run_offline(&[]).status.code(), Some(0));
    let export = place.command(&["export-best", "--out", "out"]).output().unwrap();
    assert_eq!(export.status.code(), Some(0), "{}", stderr(&export));
    assert!(fs::read_to_string(place.path("out/README.md")).unwrap().contains(&name));
    assert_eq!(fs::read_to_string(place.path("out/vocab.txt")).unwrap(), vocabulary());
    assert_eq!(server.requests(), []);
    assert_eq!(place.planned(), name);

    // A fresh one takes what is new; its bytes are here already.
    assert_eq!(place.run(&["--fresh"]).status.code(), Some(0));
    assert_eq!(place.planned(), format!("tiny/bert@{}", commit('2')));
    assert_eq!(server.downloads(), []);
}

#[test]
fn a_swept_hub_id_stays_as_written_in_the_parameters() {
    let server = Server::new(model());
    server.set("refs/pr/1", &commit('3'));
    let place = Place::new(server.endpoint());
    let spec = fs::read_to_string(place.path("hub.toml")).unwrap();
    let spec = spec.replace("[model]\ncheckpoint = \"tiny/bert\"\n", "")
        + "[search.space]\ncheckpoint = { grid = [\"tiny/bert@refs/pr/1\", \"builtin:mini\"] }\n";
    fs::write(place.path("hub.toml"), spec).unwrap();
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(place.planned(), format!("tiny/bert@{}", commit('3')));
    let board = fs::read_to_string(place.path("results/hub/leaderboard.json")).unwrap();
    assert!(board.contains("\"checkpoint\": \"tiny/bert@refs/pr/1\""), "{board}");
}

#[test]
fn a_dry_run_fetches_small_files_only_and_names_the_commit() {
    let server = Server::new(model());
    let place = Place::new(server.endpoint());
    let output = place.run(&["--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    let note = format!(
        "tiny/bert is used at commit {}; its weights are downloaded when the sweep runs",
        commit('1')
    );
    assert!(text.contains(&note), "{text}");
    assert!(place.snapshot('1').join("vocab.txt").exists());
    assert!(!place.snapshot('1').join(WEIGHTS).exists());
    assert_eq!(server.downloads(), []);
    assert!(!place.path("results").exists());
}

#[test]
fn a_local_folder_of_the_name_wins() {
    let server = Server::new(model());
    let place = Place::new(server.endpoint());
    fs::create_dir_all(place.path("tiny/bert")).unwrap();
    for file in ["config.json", "vocab.txt", WEIGHTS] {
        fs::write(place.path("tiny/bert").join(file), &model()[file]).unwrap();
    }
    let output = place.run(&["--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(server.requests(), []);
}

/// What a run says and how it ends, without anything having been started.
fn refused(place: &Place, output: &Output) -> (Option<i32>, String) {
    assert!(!place.path("results").exists());
    let text = stderr(output);
    assert!(text.contains("tiny/bert"), "{text}");
    (output.status.code(), text)
}

#[test]
fn what_the_hub_does_not_give_is_an_error_at_its_line() {
    for (fault, code, parts) in [
        (Fault::Status(404), 2, ["has no model `tiny/bert`", "check the spelling"]),
        (Fault::Status(401), 2, ["to nobody without a token", "HF_TOKEN"]),
        (Fault::Status(403), 2, ["(status 403)", "accept its licence at http://127.0.0.1"]),
        (Fault::Status(503), 1, ["answered with status 503", "goes on where it stopped"]),
    ] {
        let server = Server::new(model());
        server.fail(fault);
        let place = Place::new(server.endpoint());
        let (exit, text) = refused(&place, &place.run(&[]));
        assert_eq!(exit, Some(code), "{text}");
        let places = ["hub.toml:5:", "there is no folder "];
        for part in parts.into_iter().chain(places) {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}

#[test]
fn a_revision_that_is_not_there_is_named() {
    let place = Place::new(Server::new(model()).endpoint());
    let (exit, text) = refused(&place, &place.run(&["--set", "checkpoint=tiny/bert@v9"]));
    assert_eq!(exit, Some(2));
    assert!(text.contains("has no revision `v9` of the model `tiny/bert`"), "{text}");
}

#[test]
fn a_repository_without_tokenizer_or_weights_is_refused_before_anything_is_fetched() {
    for (file, part) in [("vocab.txt", "has no tokenizer"), (WEIGHTS, "has no weights that are read")] {
        let server = Server::new(model_with(|files| _ = files.remove(file)));
        let place = Place::new(server.endpoint());
        let (exit, text) = refused(&place, &place.run(&[]));
        assert_eq!(exit, Some(2));
        assert!(text.contains(part), "{text}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn offline_only_the_cache_counts() {
    let server = Server::new(model());
    let place = Place::new(server.endpoint());
    let (exit, text) = refused(&place, &place.run_offline(&[]));
    assert_eq!(exit, Some(2));
    assert!(text.contains("HF_HUB_OFFLINE is set") && text.contains("unset HF_HUB_OFFLINE"), "{text}");
    assert_eq!(server.requests(), []);

    // What a dry run brought is enough for another one, and not for a run.
    assert_eq!(place.run(&["--dry-run"]).status.code(), Some(0));
    server.requests();
    assert_eq!(place.run_offline(&["--dry-run"]).status.code(), Some(0));
    let output = place.run_offline(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("does not hold the weights"), "{}", stderr(&output));
    assert_eq!(server.requests(), []);
}

#[test]
fn a_hub_that_cannot_be_reached_is_replaced_by_the_cache_or_is_an_error_of_its_own() {
    let server = Server::new(model());
    let place = Place::new(server.endpoint());
    assert_eq!(place.run(&["--dry-run"]).status.code(), Some(0));
    // Nobody listens on port 1.
    let away = Place { root: place.root, endpoint: "http://127.0.0.1:1".to_owned() };
    let output = away.run(&["--dry-run"]);
    assert_eq!(output.status.code(), Some(0));
    let text = stderr(&output);
    assert!(text.contains("warning: could not reach http://127.0.0.1:1/api/models/tiny/bert"), "{text}");
    assert!(text.contains(&format!("going on with tiny/bert@{}", commit('1'))), "{text}");

    fs::remove_dir_all(away.path("hf")).unwrap();
    let (exit, text) = refused(&away, &away.run(&["--dry-run"]));
    assert_eq!(exit, Some(1));
    assert!(text.contains("could not reach") && text.contains("again goes on where it stopped"), "{text}");
}
