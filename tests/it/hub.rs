//! Checkpoints from a hub that these tests play themselves: whole sweeps, and what their users see.

mod downloads;
mod server;

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, sync::LazyLock};

use self::server::{Fault, Server};
use crate::common::{
    checkpoint::{self, VOCABULARY},
    place::Place,
    program::Written,
    texts::csv_of_two_words,
};

const WEIGHTS: &str = "model.safetensors";

fn fixture(name: &str) -> Vec<u8> {
    checkpoint::fixture("tiny-bert", name)
}

fn model() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        ("config.json".to_owned(), fixture("config.json")),
        (WEIGHTS.to_owned(), fixture(WEIGHTS)),
        ("vocab.txt".to_owned(), VOCABULARY.into()),
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

const SPEC: &str = "name = \"hub\"\n[data]\npath = \"tiny.csv\"\n[model]\ncheckpoint = \"tiny/bert\"\n\
                    [text]\nchunk_length = 16\nchunk_stride = 4\n[train]\nepochs = 1\nbatch_size = 8\n";

/// A place whose program asks a hub, and has a cache of its own.
struct Client {
    place: Place,
    endpoint: String,
}

impl Client {
    fn new(server: &Server) -> Self {
        Self::in_place(Place::new("hub", SPEC), server)
    }

    fn in_place(place: Place, server: &Server) -> Self {
        place.write("tiny.csv", csv_of_two_words(["房间很好", "房间很差"], 40));
        Self { place, endpoint: server.endpoint() }
    }

    /// This client where no hub can be reached.
    fn away(self) -> Self {
        // Nobody listens on port 1.
        Self { endpoint: "http://127.0.0.1:1".to_owned(), ..self }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        for name in ["HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
            command.env_remove(name);
        }
        // The slash at its end is one that people write.
        command.env("HF_HOME", self.place.path("hf")).env("HF_ENDPOINT", format!("{}/", self.endpoint));
        command
    }

    fn run_command(&self, more: &[&str]) -> Command {
        self.command(&[&["run", "hub.toml", "--devices", "cpu:1"], more].concat())
    }

    fn run(&self, more: &[&str]) -> Written {
        Written::by(&mut self.run_command(more))
    }

    fn run_offline(&self, more: &[&str]) -> Written {
        Written::by(self.run_command(more).env("HF_HUB_OFFLINE", "1"))
    }

    fn snapshot(&self, digit: char) -> PathBuf {
        self.place.path("hf/hub/models--tiny--bert/snapshots").join(commit(digit))
    }

    /// What the plan calls the checkpoint of its first trial.
    fn planned(&self) -> String {
        let plan = self.place.json("results/hub/plan.json");
        plan["trials"][0]["settings"]["checkpoint"].as_str().unwrap().to_owned()
    }

    /// What a run wrote that ended with `code` and started nothing; it names the model.
    #[track_caller]
    fn refused(&self, written: Written, code: i32) -> String {
        assert!(!self.place.has_results());
        let text = written.with_code(code).stderr;
        assert!(text.contains("tiny/bert"), "{text}");
        text
    }
}

/// A hub, a client that has run its sweep, and what that run wrote.
struct Complete {
    server: Server,
    client: Client,
    run: Written,
}

impl Complete {
    fn new(place: Place) -> Self {
        let server = Server::new(model());
        let client = Client::in_place(place, &server);
        let run = client.run(&[]).succeeded();
        Self { server, client, run }
    }

    /// As [`Self::new`], after which the branch moves to another commit.
    fn before_the_branch_moves() -> Self {
        let complete = Self::new(Place::new("hub", SPEC));
        complete.server.set("main", &commit('2'));
        complete.server.requests();
        complete
    }
}

static COMPLETE: LazyLock<Complete> = LazyLock::new(|| Complete::new(Place::shared("hub", SPEC)));

/// The model's name with the commit of its branch.
fn name(digit: char) -> String {
    format!("tiny/bert@{}", commit(digit))
}

#[test]
fn a_run_announces_what_it_downloads() {
    let text = &COMPLETE.run.stderr;
    assert!(text.contains("downloading tiny/bert model.safetensors (51 kB)"), "{text}");
}

#[test]
fn a_plan_names_the_commit() {
    assert_eq!(COMPLETE.client.planned(), name('1'));
}

#[test]
fn a_trial_names_the_commit() {
    let trial = COMPLETE.client.place.text("results/hub/trials/0001/trial.json");
    assert!(trial.contains(&name('1')), "{trial}");
}

#[test]
fn a_cache_is_laid_out_as_python_lays_it_out() {
    let Complete { client, .. } = &*COMPLETE;
    for file in ["config.json", "vocab.txt", "tokenizer_config.json", WEIGHTS] {
        let path = client.snapshot('1').join(file);
        assert_eq!(fs::read(&path).unwrap(), model()[file], "{file}");
        assert!(fs::read_link(&path).unwrap().starts_with("../../blobs"), "{file}");
    }
    assert_eq!(client.place.text("hf/hub/models--tiny--bert/refs/main"), commit('1'));
}

#[test]
fn files_that_nobody_reads_are_not_downloaded() {
    assert!(!COMPLETE.client.snapshot('1').join("tf_model.h5").exists());
}

#[test]
fn a_sweep_that_runs_again_asks_nobody() {
    let Complete { server, client, .. } = Complete::before_the_branch_moves();
    client.run(&[]).succeeded();
    client.run_offline(&[]).succeeded();
    assert_eq!(server.requests(), []);
}

#[test]
fn a_sweep_that_runs_again_stays_with_its_commit() {
    let Complete { client, .. } = Complete::before_the_branch_moves();
    client.run(&[]).succeeded();
    assert_eq!(client.planned(), name('1'));
}

#[test]
fn an_export_asks_nobody() {
    let Complete { server, client, .. } = Complete::before_the_branch_moves();
    Written::by(&mut client.command(&["export-best", "--trial", "1", "--out", "out"])).succeeded();
    assert_eq!(server.requests(), []);
}

#[test]
fn an_export_names_the_commit() {
    let Complete { client, .. } = Complete::before_the_branch_moves();
    Written::by(&mut client.command(&["export-best", "--trial", "1", "--out", "out"])).succeeded();
    assert!(client.place.text("out/README.md").contains(&name('1')));
}

#[test]
fn an_export_has_the_vocabulary_of_the_hub() {
    let Complete { client, .. } = &*COMPLETE;
    Written::by(&mut client.command(&["export-best", "--trial", "1", "--out", "out"])).succeeded();
    assert_eq!(client.place.text("out/vocab.txt"), VOCABULARY);
}

#[test]
fn a_fresh_sweep_takes_the_newest_commit() {
    let Complete { client, .. } = Complete::before_the_branch_moves();
    client.run(&["--fresh"]).succeeded();
    assert_eq!(client.planned(), name('2'));
}

#[test]
fn a_fresh_sweep_downloads_no_file_that_is_here() {
    let Complete { server, client, .. } = Complete::before_the_branch_moves();
    client.run(&["--fresh"]).succeeded();
    assert_eq!(server.downloads(), []);
}

#[test]
fn a_swept_hub_id_stays_as_written_in_the_parameters() {
    let server = Server::new(model());
    server.set("refs/pr/1", &commit('3'));
    let client = Client::new(&server);
    let spec = SPEC.replace("[model]\ncheckpoint = \"tiny/bert\"\n", "")
        + "[search.space]\ncheckpoint = { grid = [\"tiny/bert@refs/pr/1\", \"builtin:mini\"] }\n";
    client.place.write_spec(&spec);
    client.run(&[]).succeeded();
    assert_eq!(client.planned(), name('3'));
    let board = client.place.text("results/hub/leaderboard.json");
    assert!(board.contains("\"checkpoint\": \"tiny/bert@refs/pr/1\""), "{board}");
}

/// A hub and a client that has made a dry run, which wrote this.
fn dry_run() -> (Server, Client, Written) {
    let server = Server::new(model());
    let client = Client::new(&server);
    let written = client.run(&["--dry-run"]).succeeded();
    (server, client, written)
}

#[test]
fn a_dry_run_fetches_small_files_only() {
    let (server, client, _) = dry_run();
    assert!(client.snapshot('1').join("vocab.txt").exists());
    assert!(!client.snapshot('1').join(WEIGHTS).exists());
    assert_eq!(server.downloads(), []);
}

#[test]
fn a_dry_run_names_the_commit() {
    let (_, _, Written { stdout, .. }) = dry_run();
    let note = format!(
        "tiny/bert is used at commit {}; its weights are downloaded when the sweep runs",
        commit('1')
    );
    assert!(stdout.contains(&note), "{stdout}");
}

#[test]
fn a_dry_run_from_a_hub_leaves_no_results() {
    let (_, client, _) = dry_run();
    assert!(!client.place.has_results());
}

#[test]
fn a_local_folder_of_the_name_wins() {
    let server = Server::new(model());
    let client = Client::new(&server);
    for file in ["config.json", "vocab.txt", WEIGHTS] {
        client.place.write(format!("tiny/bert/{file}"), &model()[file]);
    }
    client.run(&["--dry-run"]).succeeded();
    assert_eq!(server.requests(), []);
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
        let client = Client::new(&server);
        let text = client.refused(client.run(&[]), code);
        let places = ["hub.toml:5:", "there is no folder "];
        for part in parts.into_iter().chain(places) {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}

#[test]
fn a_revision_that_is_not_there_is_named() {
    let client = Client::new(&Server::new(model()));
    let text = client.refused(client.run(&["--set", "checkpoint=tiny/bert@v9"]), 2);
    assert!(text.contains("has no revision `v9` of the model `tiny/bert`"), "{text}");
}

#[test]
fn a_repository_without_tokenizer_or_weights_is_refused_before_anything_is_fetched() {
    for (file, part) in [("vocab.txt", "has no tokenizer"), (WEIGHTS, "has no weights that are read")] {
        let server = Server::new(model_with(|files| _ = files.remove(file)));
        let client = Client::new(&server);
        let text = client.refused(client.run(&[]), 2);
        assert!(text.contains(part), "{text}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn offline_a_model_that_is_not_in_the_cache_is_refused() {
    let server = Server::new(model());
    let client = Client::new(&server);
    let text = client.refused(client.run_offline(&[]), 2);
    assert!(text.contains("HF_HUB_OFFLINE is set") && text.contains("unset HF_HUB_OFFLINE"), "{text}");
    assert_eq!(server.requests(), []);
}

#[test]
fn offline_the_small_files_in_the_cache_are_enough_for_a_dry_run() {
    let (server, client, _) = dry_run();
    server.requests();
    client.run_offline(&["--dry-run"]).succeeded();
    assert_eq!(server.requests(), []);
}

#[test]
fn offline_the_small_files_in_the_cache_are_not_enough_for_a_run() {
    let (server, client, _) = dry_run();
    server.requests();
    let Written { stderr, .. } = client.run_offline(&[]).with_code(2);
    assert!(stderr.contains("does not hold the weights"), "{stderr}");
    assert_eq!(server.requests(), []);
}

#[test]
fn a_hub_that_cannot_be_reached_is_replaced_by_the_cache() {
    let (_, client, _) = dry_run();
    let text = client.away().run(&["--dry-run"]).succeeded().stderr;
    assert!(text.contains("warning: could not reach http://127.0.0.1:1/api/models/tiny/bert"), "{text}");
    assert!(text.contains(&format!("going on with {}", name('1'))), "{text}");
}

/// A client without a hub whose cache holds the model in two parts, as Python would have left it: nothing is known of the
/// forms of weights that are not there.
fn away_with_parts(parts: &[&str]) -> Client {
    let client = Client::new(&Server::new(model())).away();
    let names = checkpoint::names(&fixture(WEIGHTS));
    let half =
        |name: &str| if names.iter().position(|known| known == name).unwrap() % 2 == 0 { "1" } else { "2" };
    let map: BTreeMap<&String, String> =
        names.iter().map(|name| (name, format!("part-{}.safetensors", half(name)))).collect();
    let folder = "hf/hub/models--tiny--bert";
    let snapshot = format!("{folder}/snapshots/{}", commit('1'));
    client.place.write(format!("{folder}/refs/main"), commit('1'));
    for (name, bytes) in model_with(|files| _ = files.remove(WEIGHTS)) {
        client.place.write(format!("{snapshot}/{name}"), bytes);
    }
    client.place.write(
        format!("{snapshot}/model.safetensors.index.json"),
        serde_json::json!({ "weight_map": map }).to_string(),
    );
    for part in parts {
        // The tensors of the other part have names that the index does not list.
        let other =
            |name: &str| if half(name) == *part { name.to_owned() } else { format!("unlisted.{name}") };
        let bytes = checkpoint::renamed(&fixture(WEIGHTS), other);
        client.place.write(format!("{snapshot}/part-{part}.safetensors"), bytes);
    }
    client
}

#[test]
fn a_cache_with_weights_in_parts_is_enough_where_the_hub_cannot_be_reached() {
    let text = away_with_parts(&["1", "2"]).run(&[]).succeeded().stderr;
    assert_eq!(text.matches("could not reach").count(), 1, "{text}");
}

#[test]
fn a_cache_that_lacks_a_part_is_not_enough_where_the_hub_cannot_be_reached() {
    let text = away_with_parts(&["1"]).run(&[]).with_code(1).stderr;
    assert!(text.contains("could not be fetched: could not reach"), "{text}");
}

#[test]
fn a_hub_that_cannot_be_reached_is_an_error_of_its_own_without_a_cache() {
    let client = Client::new(&Server::new(model())).away();
    let text = client.refused(client.run(&["--dry-run"]), 1);
    assert!(text.contains("could not reach") && text.contains("again goes on where it stopped"), "{text}");
}
