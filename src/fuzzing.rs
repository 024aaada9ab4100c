//! What the fuzzers of `tests/fuzz` call, and `tests/it/corpus.rs` with what they found.
//!
//! Each function takes bytes of whatever kind and comes back: a panic, an endless
//! loop or memory without bound is a bug. Not part of the interface.

#![expect(clippy::disallowed_methods, reason = "files for parsers that read paths, in a temporary folder")]

use std::{
    fs, io,
    num::NonZeroUsize,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{
    checkpoint::Checkpoint,
    journal,
    leaderboard::{self, RankBy},
    plan::Plan,
    policy::{Fuse, Retries},
    protocol::WorkerLine,
    report::{self, PageInput, Shown},
    scheduler::{Input, Packing, PendingTrial, Scheduler, Slot, Terms},
    settings::{Lowercase, Pooling},
    spec::{self, SpecText},
    study::Study,
    system::device::Device,
    train::{self, Catalog, Chunking, Exported, OwnHead, TextEncoder},
    trial::TrialId,
};

/// A plan of twelve trials.
const PLAN: &str = include_str!("../results/sample/plan.json");

/// Reads a spec; what comes after a NUL is overrides, with a NUL between two.
pub fn spec(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\0');
    let text = parts.next().unwrap_or_default();
    let overrides: Vec<String> = parts.map(str::to_owned).collect();
    let base = Path::new("/base");
    let written = SpecText { name: "spec.toml", text, overrides: &overrides, base, working: base };
    if let Err(error) = spec::parse(&written) {
        assert!(!error.render(false).is_empty() && !error.render(true).is_empty());
    }
}

/// Replays a log, and shows what follows from it.
///
/// # Panics
/// When the sample's plan is damaged.
pub fn log(bytes: &[u8]) {
    let plan: Plan = serde_json::from_str(PLAN).unwrap_or_else(|error| unreachable!("{error}"));
    let mut study = Study::new(&plan);
    let mut fits = true;
    let _ = journal::read(Path::new("events.jsonl"), bytes, &mut |record| {
        fits = fits && study.apply(&record).is_ok();
    });
    assert!(study.counts().complete <= study.trials.len());
    let _ = study.to_run();
    for rank in [RankBy::TestF1, RankBy::ValF1, RankBy::ValLoss] {
        let board = leaderboard::build(&study, rank, &|_| None);
        let pictured = report::pictured(&board);
        let (study, board) = (&study, &board);
        let input = PageInput {
            study,
            board,
            configurations: None,
            spec: "",
            pictured: &pictured,
            inspection: None,
            runner: None,
        };
        let texts = [
            board.to_table(),
            board.to_table_within(Some(60), 5),
            board.to_markdown(),
            board.to_csv(),
            board.to_json(),
            report::page(&input).document(Shown::File),
        ];
        assert!(texts.iter().all(|text| !text.is_empty()));
    }
}

/// Reads a resumable checkpoint's `state.safetensors`.
pub fn state(bytes: &[u8]) {
    if let Err(reason) = train::probe_state(bytes) {
        assert!(!reason.is_empty());
    }
}

/// Lets two workers say lines in turn.
pub fn worker_lines(bytes: &[u8]) {
    let pending = |id| PendingTrial {
        trial: TrialId(id),
        earlier_attempts: 0,
        pass_examples: 4,
        micro_batch: None,
        alone: None,
        prefix: (id == 2).then_some(TrialId(1)),
        shape: Some(0),
    };
    let terms = Terms {
        planned: 3,
        classes: 2,
        retries: Retries::default(),
        arithmetic: String::new(),
        notes: Vec::new(),
        grows: false,
        fuse: Fuse::Groups(NonZeroUsize::MIN.saturating_add(1)),
        has_cache: true,
        packing: Packing::default(),
        awaits_slots: false,
    };
    let mut scheduler = Scheduler::new(&[1, 2, 3].map(pending), terms);
    let joined = |slot| Input::SlotJoined(Slot(slot), Device::Cpu { slot, threads: 1 });
    for input in [joined(0), joined(1), Input::Begin] {
        scheduler.step(input);
    }
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let slot = Slot(index % 2);
        match serde_json::from_slice::<WorkerLine>(line) {
            Ok(line) => {
                let again = serde_json::to_string(&line).unwrap_or_default();
                assert!(!again.contains('\n'));
                scheduler.step(Input::Line(slot, line));
            }
            Err(error) => _ = scheduler.step(Input::Garbage(slot, error.to_string())),
        }
    }
}

/// Reads every tensor of a safetensors file.
pub fn safetensors(bytes: &[u8]) {
    checkpoint(bytes, "safetensors");
}

/// Reads every tensor of a file that `torch.save` may have written.
pub fn torch(bytes: &[u8]) {
    checkpoint(bytes, "bin");
}

/// Reads a `tokenizer.json`, and cuts texts into tokens with it; what comes after a NUL is the
/// `tokenizer_config.json`.
///
/// Nothing of this is behind the wall (`train::wall`): what passes the check of the file must be harmless.
pub fn tokenizer(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let json = parts.next().unwrap_or_default();
    let config = parts.next().unwrap_or(br#"{ "tokenizer_class": "PreTrainedTokenizerFast" }"#);
    let Ok(folder) = folder(&[("tokenizer.json", json), ("tokenizer_config.json", config)]) else { return };
    let encoder = TextEncoder::open(&Checkpoint::Folder(folder.clone()), Lowercase::Tokenizer);
    let _ = fs::remove_dir_all(folder);
    let Ok(encoder) = encoder else { return };
    let long = ["aA0 '!", "很好e\u{301}", "  \n"].map(|word| word.repeat(100));
    let texts = [
        "",
        "a",
        "It wasn't 3.14 %, naïve “quotes”",
        "👩‍👩‍👧 \u{fdfa} İ \u{ad}\u{feff}\u{10ffff}\u{1}",
        "[CLS]<s> ▁Ġ",
    ];
    let texts: Vec<&str> = texts.into_iter().chain(long.iter().map(String::as_str)).collect();
    if let Ok(chunked) = encoder.chunk(&texts, Chunking::whole(32)) {
        assert!(chunked.iter().all(|text| text.chunks.iter().all(|chunk| !chunk.is_empty())));
    }
    assert!(encoder.vocabulary() <= 1 << 32);
}

/// Reads a `config.json` beside the parameters of a small BERT.
pub fn config(bytes: &[u8]) {
    let Ok(folder) = folder(&[("config.json", bytes)]) else { return };
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert/model.safetensors");
    let _ = symlink(weights, folder.join("model.safetensors"));
    let checkpoint = Checkpoint::Folder(folder.clone());
    if let Ok(facts) = train::inspect(&checkpoint, false) {
        assert!(facts.window > 0 && facts.layers > 0);
    }
    let _ = train::inspect(&checkpoint, true);
    let _ = OwnHead::of(&checkpoint, Pooling::Cls);
    if let Ok(exported) = Exported::read(&folder) {
        assert!(exported.labels.len() > 1);
    }
    let _ = fs::remove_dir_all(folder);
}

fn checkpoint(bytes: &[u8], ending: &str) {
    let Ok(path) = file(bytes, ending) else { return };
    if let Ok(catalog) = Catalog::of_file(&path) {
        assert!(catalog.shapes().all(|(_, shape)| shape.len() < 64));
        let _ = catalog.load_all();
    }
    let _ = fs::remove_file(path);
}

/// A folder of this process with these files, the same for each call.
fn folder(files: &[(&str, &[u8])]) -> io::Result<PathBuf> {
    let folder = own_path("folder")?;
    fs::create_dir_all(&folder)?;
    files.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))?;
    Ok(folder)
}

/// A file of this process with `bytes` in it, the same for each call.
fn file(bytes: &[u8], ending: &str) -> io::Result<PathBuf> {
    let path = own_path(ending)?;
    fs::write(&path, bytes)?;
    Ok(path)
}

/// A path of this thread, the same for each call.
fn own_path(ending: &str) -> io::Result<PathBuf> {
    // In memory, where there is such a folder.
    let folder = [Path::new("/dev/shm"), &std::env::temp_dir()]
        .into_iter()
        .find(|folder| folder.is_dir())
        .map(Path::to_owned);
    let folder = folder.ok_or(io::ErrorKind::NotFound)?;
    let thread = format!("{:?}", std::thread::current().id()).replace(['(', ')'], "-");
    Ok(folder.join(format!("sweep-fuzzing-{}-{thread}.{ending}", std::process::id())))
}
