//! Trials on a few plain texts, for the tests of training.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use sweep::{
    cache::CacheSpec,
    data::{DataSpec, Duplicates, Limit, Source},
    event::Outcome,
    job::{Job, Sharing},
    policy::CheckpointEvery,
    settings::Settings,
    system::device::Device,
    train::{Control, Ending, Report, Session, TrainError},
    trial::{Params, Trial, TrialId},
};
use tempfile::TempDir;

const GOOD: [&str; 4] = ["很好", "满意", "喜欢", "推荐"];
const BAD: [&str; 4] = ["很差", "失望", "讨厌", "后悔"];

/// Texts whose label is plain, a few of them longer than a chunk.
pub(crate) fn data(folder: &Path) -> DataSpec {
    let write = |name: &str, offset: usize, count: usize| {
        let mut text = String::from("text,label\n");
        for index in offset..offset + count {
            let (words, label) = if index % 2 == 0 { (GOOD, "good") } else { (BAD, "bad") };
            let word = words[index / 2 % 4];
            let filler = "房间里的灯".repeat(index % 5);
            writeln!(text, "{filler}，{word},{label}").unwrap();
        }
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    DataSpec {
        source: Source::Files {
            train: write("train.csv", 0, 48),
            validation: write("validation.csv", 100, 16),
            test: write("test.csv", 200, 24),
        },
        text: "text".to_owned(),
        label: "label".to_owned(),
        positive: Some("good".to_owned()),
        average: None,
        duplicates: Duplicates::Keep,
        limit: Limit::default(),
        seed: 1,
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        chunk_length: 16,
        chunk_stride: 4,
        learning_rate: 3e-3,
        epochs: 8,
        batch_size: 8,
        patience: 8,
        ..Settings::default()
    }
}

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    data: DataSpec,
    session: Session,
    trials: usize,
    pub(crate) checkpoint_every: CheckpointEvery,
    pub(crate) micro_batch: Option<usize>,
    pub(crate) cache: Option<CacheSpec>,
    pub(crate) sharing: Sharing,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = data(folder.path());
        let session = Session::open(Device::Cpu { slot: 0, threads: 1 }).unwrap();
        Self {
            folder,
            data,
            session,
            trials: 0,
            checkpoint_every: CheckpointEvery::default(),
            micro_batch: None,
            cache: None,
            sharing: Sharing::default(),
        }
    }

    pub(crate) fn run_observed(
        &mut self,
        settings: &Settings,
        observe: &mut dyn FnMut(Report) -> Control,
    ) -> (Result<Ending, TrainError>, PathBuf) {
        self.trials += 1;
        let folder = self.folder.path().join(format!("trial-{}", self.trials));
        (self.run_in(&folder, settings, observe), folder)
    }

    /// Runs, or goes on with, the trial in `folder`.
    pub(crate) fn run_in(
        &mut self,
        folder: &Path,
        settings: &Settings,
        observe: &mut dyn FnMut(Report) -> Control,
    ) -> Result<Ending, TrainError> {
        let trial = Trial {
            id: TrialId(1),
            params: Params::default(),
            repeat: 0,
            seed: 11,
            settings: settings.clone(),
        };
        let job = Job {
            sweep: "s".to_owned(),
            trial,
            data: self.data.clone(),
            checkpoint_every: self.checkpoint_every,
            data_digest: None,
            checkpoint_digest: None,
            micro_batch: self.micro_batch,
            cache: self.cache.clone(),
            sharing: self.sharing,
        };
        self.session.run(&job, folder, observe)
    }

    pub(crate) fn run(&mut self, settings: &Settings) -> (Outcome, PathBuf) {
        let (ending, folder) = self.run_observed(settings, &mut |_| Control::Continue);
        match ending.unwrap() {
            Ending::Complete(outcome) => (*outcome, folder),
            Ending::Stopped => panic!("stopped without being asked"),
        }
    }
}

/// What a trial left, but the report of its times.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    ["metrics.csv", "predictions.csv", "best/model.safetensors", "last/model.safetensors"]
        .map(|name| (name.to_owned(), fs::read(folder.join(name)).unwrap()))
        .into()
}

/// A folder with a tokenizer and the random encoder of `tests/fixtures/<fixture>`.
pub(crate) fn checkpoint(fixture: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
    for name in ["config.json", "model.safetensors"] {
        fs::copy(from.join(name), folder.path().join(name)).unwrap();
    }
    let words =
        "[PAD] [UNK] [CLS] [SEP] [MASK] 很 好 满 意 喜 欢 推 荐 差 失 望 讨 厌 后 悔 房 间 里 的 灯 ，";
    fs::write(folder.path().join("vocab.txt"), words.replace(' ', "\n")).unwrap();
    folder
}
