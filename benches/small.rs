//! Parts of a sweep by themselves, each with what it does a second: `cargo bench --bench small`.
//!
//! A word after `--` chooses benches by their name. `SWEEP_MODELS=<folder>` adds m3e-small's tokenizer,
//! from the folder of this name in it.

#![expect(clippy::disallowed_methods, reason = "the files here are its own")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

mod made_up;
#[path = "../tests/fake/plausible.rs"]
mod plausible;

use std::{
    collections::VecDeque,
    fs,
    io::Write as _,
    path::Path,
    time::{Duration, SystemTime},
};

use divan::{Bencher, counter::ItemsCount};
use made_up::Size;
use sweep::{
    checkpoint::{Checkpoint, MINI},
    data::reviews,
    event::{Event, LOG_VERSION, Record},
    journal,
    leaderboard::{self, Leaderboard, Prediction, RankBy},
    plan::Plan,
    policy::{Fuse, Retries},
    protocol::{PROTOCOL_VERSION, WorkerLine},
    report::{self, PageInput, Shown},
    scheduler::{Action, Input, Packing, PendingTrial, Scheduler, Slot, Terms, WorkerExit},
    settings::Lowercase,
    study::Study,
    system::device::Device,
    train::{Chunking, TextEncoder},
    trial::TrialId,
};

const SLOTS: usize = 8;

fn main() {
    // What the command line says counts more.
    divan::Divan::default().max_time(Duration::from_secs(2)).config_with_args().main();
}

/// A real checkpoint.
const REAL: &str = "m3e-small";

/// The folder of [`REAL`], if it is there.
fn real() -> Option<String> {
    let models = std::env::var("SWEEP_MODELS").ok();
    models.map(|models| format!("{models}/{REAL}")).filter(|path| Path::new(path).is_dir())
}

/// Checkpoints whose tokenizers are there.
fn checkpoints() -> Vec<&'static str> {
    std::iter::once(MINI).chain(real().map(|_| REAL)).collect()
}

fn open(checkpoint: &str) -> TextEncoder {
    let path = if checkpoint == REAL { real() } else { None };
    TextEncoder::open(&Checkpoint::parse(path.as_deref().unwrap_or(checkpoint)), Lowercase::Tokenizer)
        .unwrap()
}

/// Opening a tokenizer.
#[divan::bench(args = checkpoints())]
fn tokenizer(bencher: Bencher<'_, '_>, checkpoint: &str) {
    bencher.counter(ItemsCount::new(1_usize)).bench(|| open(checkpoint));
}

/// A thousand texts to chunks of 64 tokens.
#[divan::bench(args = checkpoints())]
fn tokenise(bencher: Bencher<'_, '_>, checkpoint: &str) {
    let documents = reviews::generate(1, 1_000);
    let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
    let encoder = open(checkpoint);
    let chunking = Chunking::whole(64);
    bencher.counter(ItemsCount::new(texts.len())).bench(|| encoder.chunk(&texts, chunking).unwrap());
}

/// Trials from the first word to the last, without processes.
#[divan::bench(args = [100, 1_000, 10_000])]
fn schedule(bencher: Bencher<'_, '_>, trials: u32) {
    let lines = lines(trials);
    bencher.counter(ItemsCount::new(trials)).bench(|| schedule_all(&lines));
}

/// The log of complete trials, read and folded.
#[divan::bench(args = [1_000, 10_000])]
fn replay(bencher: Bencher<'_, '_>, trials: u32) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("events.jsonl");
    write_log(&log, &records(trials));
    let (plan, _) = made_up::plan(Size { trials, sampler: None });
    bencher.counter(ItemsCount::new(trials)).bench(|| {
        let mut study = Study::new(&plan);
        journal::scan(&sweep::system::files::Place::of(&log), &mut |record| study.apply(&record).unwrap())
            .unwrap();
        study
    });
}

/// The ranking with its comparisons, of predictions in memory.
#[divan::bench(args = [100, 1_000, 10_000])]
fn rank(bencher: Bencher<'_, '_>, trials: u32) {
    let sweep = Sweep::new(trials);
    bencher.counter(ItemsCount::new(trials)).bench(|| sweep.board());
}

/// The leaderboard as text, as JSON and as a page.
#[divan::bench(args = [100, 1_000, 10_000])]
fn tell(bencher: Bencher<'_, '_>, trials: u32) {
    let sweep = Sweep::new(trials);
    let board = sweep.board();
    let pictured = report::pictured(&board);
    let input = PageInput {
        study: &sweep.study,
        board: &board,
        configurations: None,
        spec: "",
        pictured: &pictured,
        inspection: None,
        runner: None,
    };
    bencher
        .counter(ItemsCount::new(trials))
        .bench(|| (board.to_table(), board.to_json(), report::page(&input).document(Shown::File)));
}

#[divan::bench]
fn draw_curve(bencher: Bencher<'_, '_>) {
    let study = Sweep::new(1).study;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("curve.png");
    let draw =
        || report::draw_curve(&study.trials[0], &study, &sweep::system::files::Place::of(&path)).unwrap();
    bencher.counter(ItemsCount::new(1_usize)).bench(draw);
}

/// The picture of a whole sweep.
#[divan::bench(args = [12, 100, 1_000, 10_000])]
fn draw_overview(bencher: Bencher<'_, '_>, trials: u32) {
    let sweep = Sweep::new(trials);
    let board = sweep.board();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("overview.png");
    let draw =
        || report::draw_overview(&sweep.study, &board, &sweep::system::files::Place::of(&path)).unwrap();
    bencher.counter(ItemsCount::new(trials)).bench(draw);
}

/// What a worker says of each trial, in the order of the plan.
fn lines(trials: u32) -> Vec<Vec<WorkerLine>> {
    let folder = tempfile::tempdir().unwrap();
    (1..=trials).map(|id| plausible::lines(TrialId(id), folder.path(), None)).collect()
}

/// Runs every trial to its end; the answer is what is logged.
fn schedule_all(lines: &[Vec<WorkerLine>]) -> Vec<(Option<TrialId>, Event)> {
    let trials = u32::try_from(lines.len()).unwrap();
    let pending = |id| PendingTrial {
        trial: TrialId(id),
        earlier_attempts: 0,
        pass_examples: 32,
        micro_batch: None,
        alone: None,
        prefix: None,
        shape: None,
    };
    let pending: Vec<PendingTrial> = (1..=trials).map(pending).collect();
    let terms = Terms {
        planned: trials,
        classes: 2,
        retries: Retries::default(),
        arithmetic: String::new(),
        notes: Vec::new(),
        grows: false,
        fuse: Fuse::Off,
        has_cache: true,
        packing: Packing::default(),
        awaits_slots: false,
    };
    let mut scheduler = Scheduler::new(&pending, terms);
    let mut log = Vec::new();
    let joined = |slot| Input::SlotJoined(Slot(slot), Device::Cpu { slot, threads: 1 });
    let mut inputs: VecDeque<Input> = (0..SLOTS).map(joined).chain([Input::Begin]).collect();
    while let Some(input) = inputs.pop_front() {
        for action in scheduler.step(input) {
            match action {
                Action::Spawn { slot, .. } => {
                    inputs.push_back(Input::Line(slot, WorkerLine::Ready { v: PROTOCOL_VERSION }));
                }
                Action::Run { slot, trials } => {
                    let sent = trials.iter().flat_map(|given| &lines[given.trial.0 as usize - 1]);
                    inputs.extend(sent.map(|line| Input::Line(slot, line.clone())));
                }
                Action::Leave(slot) => inputs.push_back(Input::Exited(slot, WorkerExit::Code(0))),
                Action::Log(trial, event) => log.push((trial, event)),
                Action::End => return log,
                action => panic!("nothing goes wrong here: {action:?}"),
            }
        }
    }
    panic!("the sweep did not end");
}

fn records(trials: u32) -> Vec<Record> {
    let at = humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH).to_string();
    let log = schedule_all(&lines(trials)).into_iter();
    let record = |(seq, (trial, event))| Record { v: LOG_VERSION, seq, at: at.clone(), trial, event };
    (1..).zip(log).map(record).collect()
}

/// Not by a journal, which syncs each trial.
fn write_log(path: &Path, records: &[Record]) {
    let mut text = Vec::new();
    for record in records {
        serde_json::to_writer(&mut text, record).unwrap();
        text.write_all(b"\n").unwrap();
    }
    fs::write(path, text).unwrap();
}

/// A sweep whose trials are all complete.
struct Sweep {
    study: Study,
    /// In the order of the plan.
    predictions: Vec<Vec<Prediction>>,
}

impl Sweep {
    fn new(trials: u32) -> Self {
        let (plan, _): (Plan, _) = made_up::plan(Size { trials, sampler: None });
        let folder = tempfile::tempdir().unwrap();
        let predictions = |id| {
            plausible::lines(TrialId(id), folder.path(), None);
            leaderboard::read_predictions(
                &sweep::system::files::Place::of(folder.path().join("predictions.csv")),
                &plan.labels,
            )
            .unwrap()
        };
        let predictions = (1..=trials).map(predictions).collect();
        Self { study: Study::replay(&plan, &records(trials)).unwrap(), predictions }
    }

    fn board(&self) -> Leaderboard {
        let predictions = |trial: TrialId| {
            let place = usize::try_from(trial.0).ok()?.checked_sub(1)?;
            self.predictions.get(place).cloned()
        };
        leaderboard::build(&self.study, RankBy::TestF1, &predictions)
    }
}
