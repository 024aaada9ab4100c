//! Single downloads, and all that can go wrong with them.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use sweep::hub::{Environment, Hub, HubError, HubId, Pace};
use tempfile::TempDir;

use super::{
    WEIGHTS, commit, fixture, model, model_with,
    server::{Fault, MODEL, Server, sha256},
};

/// A hub and a cache, without a program around them.
struct Mirror {
    server: Server,
    cache: TempDir,
}

impl Mirror {
    fn new(files: BTreeMap<String, Vec<u8>>, fault: Fault) -> Self {
        let server = Server::new(files);
        server.fail(fault);
        Self { server, cache: tempfile::tempdir().unwrap() }
    }

    fn environment(&self) -> Environment {
        Environment {
            cache: Some(self.cache.path().to_owned()),
            endpoint: self.server.endpoint(),
            token: None,
            is_offline: false,
            certificates: None,
        }
    }

    fn hub(&self) -> Hub {
        hub(self.environment())
    }

    /// Prepares `main` and fetches its weights.
    fn fetch(&self) -> Result<HubId, HubError> {
        let id = self.hub().prepare(&HubId::parse(MODEL).unwrap())?;
        self.hub().fetch_weights(&id).map(|()| id)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.cache.path().join("models--tiny--bert/snapshots").join(commit('1')).join(name)
    }

    /// Where the weights are while they come.
    fn incomplete(&self) -> PathBuf {
        let etag = sha256(&fixture(WEIGHTS));
        self.cache.path().join("models--tiny--bert/blobs").join(format!("{etag}.incomplete"))
    }

    /// Leaves what a killed process would have left of the weights.
    fn leave(&self, bytes: &[u8]) {
        let path = self.incomplete();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The ranges that were asked of the storage; `""`: the whole file.
    fn ranges(&self) -> Vec<String> {
        self.server.downloads().into_iter().map(|request| request.range.unwrap_or_default()).collect()
    }

    fn assert_whole(&self) {
        assert_eq!(fs::read(self.file(WEIGHTS)).unwrap(), fixture(WEIGHTS));
        assert!(!self.incomplete().exists());
    }
}

fn hub(environment: Environment) -> Hub {
    Hub::new(environment, Pace { attempts: 3, wait: Duration::ZERO, window: Duration::from_millis(50) })
}

fn from(start: usize) -> String {
    format!("bytes={start}-")
}

#[test]
fn a_download_that_is_cut_goes_on_where_it_was_cut() {
    let mirror = Mirror::new(model(), Fault::Cut { at: 20_000, times: 1 });
    mirror.fetch().unwrap();
    assert_eq!(mirror.ranges(), [String::new(), from(20_000)]);
    mirror.assert_whole();
}

#[test]
fn a_download_whose_process_was_killed_goes_on_too() {
    let mirror = Mirror::new(model(), Fault::Nothing);
    mirror.leave(&fixture(WEIGHTS)[..30_001]);
    mirror.fetch().unwrap();
    assert_eq!(mirror.ranges(), [from(30_001)]);
    mirror.assert_whole();
}

#[test]
fn a_download_that_was_killed_before_it_had_its_name_is_not_repeated() {
    let mirror = Mirror::new(model(), Fault::Nothing);
    mirror.leave(&fixture(WEIGHTS));
    mirror.fetch().unwrap();
    assert!(mirror.ranges().is_empty());
    mirror.assert_whole();
}

#[test]
fn a_server_that_always_cuts_is_given_up() {
    let mirror = Mirror::new(model(), Fault::Cut { at: 20_000, times: 99 });
    let error = mirror.fetch().unwrap_err();
    assert!(matches!(error, HubError::Cut { attempts: 3, have: 20_000, .. }), "{error}");
    assert!(error.help().contains("goes on where it stopped"));
    assert_eq!(mirror.ranges(), [String::new(), from(20_000), from(20_000)]);
    assert!(!mirror.file(WEIGHTS).exists());
}

#[test]
fn what_came_from_a_server_that_always_cuts_is_kept_for_the_next_run() {
    let mirror = Mirror::new(model(), Fault::Cut { at: 20_000, times: 99 });
    mirror.fetch().unwrap_err();
    mirror.ranges();
    mirror.server.fail(Fault::Nothing);
    mirror.fetch().unwrap();
    assert_eq!(mirror.ranges(), [from(20_000)]);
    mirror.assert_whole();
}

#[test]
fn a_server_without_ranges_sends_the_whole_file_again() {
    let mirror = Mirror::new(model(), Fault::NoRanges);
    mirror.leave(&fixture(WEIGHTS)[..20_000]);
    mirror.fetch().unwrap();
    assert_eq!(mirror.ranges(), [from(20_000)]);
    mirror.assert_whole();
}

#[test]
fn remains_that_are_damaged_or_too_long_are_fetched_anew() {
    for (remains, ranges) in
        [(vec![7; 20_000], vec![from(20_000), String::new()]), (vec![7; 60_000], vec![String::new()])]
    {
        let mirror = Mirror::new(model(), Fault::Nothing);
        mirror.leave(&remains);
        mirror.fetch().unwrap();
        assert_eq!(mirror.ranges(), ranges);
        mirror.assert_whole();
    }
}

#[test]
fn bytes_that_are_not_those_the_hub_names_are_thrown_away() {
    let mirror = Mirror::new(model(), Fault::OtherBytes);
    let error = mirror.fetch().unwrap_err();
    assert!(matches!(error, HubError::Damaged { .. }) && error.to_string().contains("SHA-256"), "{error}");
    assert!(!mirror.file(WEIGHTS).exists() && !mirror.incomplete().exists());
}

#[test]
fn a_file_that_is_shorter_than_the_hub_says_is_never_taken() {
    let mirror = Mirror::new(model(), Fault::WrongSize);
    let error = mirror.fetch().unwrap_err();
    assert!(error.is_passing(), "{error}");
    assert!(!mirror.file(WEIGHTS).exists());
}

/// The folder of what has come.
fn blobs(mirror: &Mirror) -> Vec<String> {
    let folder = mirror.cache.path().join("models--tiny--bert/blobs");
    let files = fs::read_dir(folder).into_iter().flatten();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_small_file_without_an_end_is_given_up_and_not_kept() {
    let mirror = Mirror::new(model(), Fault::Endless);
    let error = mirror.fetch().unwrap_err();
    assert!(matches!(&error, HubError::TooLarge { file, size: None, .. } if file == "vocab.txt"), "{error}");
    assert!(!error.is_passing() && error.help().contains("HF_ENDPOINT"), "{}", error.help());
    assert_eq!(blobs(&mirror), [""; 0]);
}

#[test]
fn a_small_file_that_is_said_to_be_large_is_not_asked_for() {
    let mirror = Mirror::new(model(), Fault::Size(10_000_000_000));
    let error = mirror.fetch().unwrap_err();
    assert!(matches!(error, HubError::TooLarge { size: Some(10_000_000_000), .. }), "{error}");
    assert!(
        mirror
            .server
            .requests()
            .iter()
            .all(|request| request.method != "GET" || request.path.contains("/api/"))
    );
}

#[test]
fn a_small_file_that_is_longer_than_the_hub_says_is_thrown_away() {
    let mirror = Mirror::new(model(), Fault::Size(3));
    let error = mirror.fetch().unwrap_err();
    assert!(matches!(error, HubError::Damaged { .. }), "{error}");
    assert_eq!(blobs(&mirror), [""; 0]);
}

#[test]
fn a_byte_now_and_then_is_no_answer() {
    let mirror = Mirror::new(model(), Fault::Drip);
    let error = mirror.fetch().unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
}

#[test]
fn a_file_that_comes_a_byte_now_and_then_is_given_up() {
    let mirror = Mirror::new(model(), Fault::Nothing);
    let id = mirror.hub().prepare(&HubId::parse(MODEL).unwrap()).unwrap();
    mirror.server.fail(Fault::DripWeights);
    let error = mirror.hub().fetch_weights(&id).unwrap_err();
    assert!(matches!(error, HubError::Cut { attempts: 3, .. }), "{error}");
}

#[test]
fn redirects_without_an_end_are_not_followed() {
    let mirror = Mirror::new(model(), Fault::Circle);
    let error = mirror.fetch().unwrap_err();
    assert!(error.to_string().contains("redirects without an end"), "{error}");
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let mirror = Mirror::new(model(), Fault::Nothing);
    let hub = hub(Environment { token: Some("hf_secret".to_owned()), ..mirror.environment() });
    let id = hub.prepare(&HubId::parse(MODEL).unwrap()).unwrap();
    hub.fetch_weights(&id).unwrap();
    let requests = mirror.server.requests();
    let storage = |path: &str| path.starts_with("/storage/");
    assert!(requests.iter().any(|request| storage(&request.path)));
    for request in requests {
        let token = (!storage(&request.path)).then(|| "Bearer hf_secret".to_owned());
        assert_eq!(request.token, token, "{}", request.path);
    }
}

/// A hub whose weights are in two parts, and once more as PyTorch has them; all was fetched that is needed.
fn fetched_in_parts() -> (Mirror, HubId) {
    let index = br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    let mirror = Mirror::new(
        model_with(|files| {
            files.remove(WEIGHTS);
            files.insert("model.safetensors.index.json".to_owned(), index.to_vec());
            files.insert("model-1.safetensors".to_owned(), vec![1; 30_000]);
            files.insert("model-2.safetensors".to_owned(), vec![2; 30_000]);
            files.insert("pytorch_model.bin".to_owned(), vec![3; 30_000]);
        }),
        Fault::Nothing,
    );
    let id = mirror.fetch().unwrap();
    (mirror, id)
}

#[test]
fn weights_in_parts_come_with_every_part() {
    let (mirror, _) = fetched_in_parts();
    assert_eq!(mirror.ranges().len(), 2);
    assert_eq!(fs::read(mirror.file("model-2.safetensors")).unwrap(), vec![2; 30_000]);
}

#[test]
fn weights_of_pytorch_are_left_where_there_are_others() {
    let (mirror, _) = fetched_in_parts();
    assert!(!mirror.file("pytorch_model.bin").exists());
}

#[test]
fn weights_that_lack_a_part_are_not_there() {
    let (mirror, id) = fetched_in_parts();
    fs::remove_file(mirror.file("model-1.safetensors")).unwrap();
    assert!(!mirror.hub().has_weights(&id));
}

#[test]
fn weights_of_pytorch_are_taken_where_there_are_no_others() {
    let mirror = Mirror::new(
        model_with(|files| {
            let bytes = files.remove(WEIGHTS).unwrap();
            files.insert("pytorch_model.bin".to_owned(), bytes);
        }),
        Fault::Nothing,
    );
    let id = mirror.fetch().unwrap();
    assert_eq!(fs::read(mirror.file("pytorch_model.bin")).unwrap(), fixture(WEIGHTS));
    mirror.server.requests();
    mirror.hub().prepare(&id).unwrap();
    mirror.hub().fetch_weights(&id).unwrap();
    assert_eq!(mirror.server.requests(), []);
}

#[test]
fn what_python_downloaded_is_used() {
    let mirror = Mirror::new(model(), Fault::Nothing);
    for (name, bytes) in model() {
        let path = mirror.file(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let refs = mirror.cache.path().join("models--tiny--bert/refs");
    fs::create_dir_all(&refs).unwrap();
    fs::write(refs.join("main"), commit('1')).unwrap();
    let offline = hub(Environment { is_offline: true, ..mirror.environment() });
    let id = offline.prepare(&HubId::parse(MODEL).unwrap()).unwrap();
    assert_eq!(id.commit(), Some(commit('1').as_str()));
    offline.fetch_weights(&id).unwrap();
    mirror.hub().fetch_weights(&id).unwrap();
    assert_eq!(mirror.server.requests(), []);
}
