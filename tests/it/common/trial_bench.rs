//! Trials that run in the process of the test, on a few plain texts.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use sweep::{
    cache::CacheSpec,
    checkpoint::Checkpoint,
    data::{DataSpec, Duplicates, Source},
    event::{Evaluation, Outcome},
    job::{Attempt, Job},
    policy::CheckpointEvery,
    settings::Settings,
    system::device::Device,
    train::{Ending, Observe, Report, Session, Stopped, TrainError},
    trial::{Trial, TrialId},
};
use tempfile::TempDir;

use super::{
    plan,
    texts::{csv, filler, opinion},
};

/// Texts whose label is plain, a few of them longer than a chunk: 48 for training, 16 for validation and 24
/// for the test.
pub(crate) fn data(folder: &Path) -> DataSpec {
    let write = |name: &str, offset: usize, count: usize| {
        let row = |index: usize| {
            let (label, word) = opinion(index);
            (format!("{}，{word}", filler(index)), label)
        };
        let path = folder.join(name);
        fs::write(&path, csv((offset..offset + count).map(row))).unwrap();
        path
    };
    let source = Source::Files {
        train: write("train.csv", 0, 48),
        validation: Some(write("validation.csv", 100, 16)),
        test: write("test.csv", 200, 24),
    };
    DataSpec { positive: Some("good".to_owned()), duplicates: Duplicates::Keep, ..plan::data(source) }
}

/// A recipe of six steps an epoch that learns the texts.
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

/// As [`settings`], from a checkpoint in a folder.
pub(crate) fn settings_from(checkpoint: &Path) -> Settings {
    Settings { checkpoint: Checkpoint::parse(checkpoint.to_str().unwrap()), ..settings() }
}

/// A worker's session with its data, in this process.
pub(crate) struct TrialBench {
    pub(crate) folder: TempDir,
    data: DataSpec,
    session: Session,
    trials: usize,
    pub(crate) checkpoint_every: CheckpointEvery,
    pub(crate) attempt: Attempt,
    pub(crate) cache: Option<CacheSpec>,
}

/// How an attempt is disturbed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Disturbance {
    /// It is asked to stop after this step.
    Stop(u64),
    /// It dies after this step.
    Death(u64),
}

/// What an attempt reported, besides its progress.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reports {
    pub(crate) steps: usize,
    /// The step after which it resumed, and the trial that it resumed from if that is another one.
    pub(crate) resumed: Vec<(u64, Option<TrialId>)>,
    pub(crate) damaged: Vec<String>,
    pub(crate) evaluations: Vec<Evaluation>,
}

impl Reports {
    fn add(&mut self, report: Report) {
        match report {
            Report::Progress(_) => self.steps += 1,
            Report::Resumed { step, from, .. } => self.resumed.push((step, from)),
            Report::CheckpointDamaged(message) => self.damaged.push(message),
            Report::Evaluated(evaluation) => self.evaluations.push(evaluation),
            _ => {}
        }
    }

    /// The evaluations without their times.
    pub(crate) fn untimed(&self) -> Vec<Evaluation> {
        self.evaluations.iter().map(|each| Evaluation { seconds: 0.0, ..each.clone() }).collect()
    }
}

impl TrialBench {
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
            attempt: Attempt::default(),
            cache: None,
        }
    }

    /// Runs a trial in a folder of its own, to its end.
    pub(crate) fn run(&mut self, settings: &Settings) -> (Outcome, PathBuf) {
        let (ending, folder) = self.run_observed(settings, &mut |_| Ok(()));
        (complete(ending), folder)
    }

    pub(crate) fn run_observed(
        &mut self,
        settings: &Settings,
        observe: &mut Observe<'_>,
    ) -> (Result<Ending, TrainError>, PathBuf) {
        self.trials += 1;
        let folder = self.folder.path().join(format!("trial-{}", self.trials));
        (self.run_in(&folder, settings, observe), folder)
    }

    /// Runs the trial in `folder`, or resumes it.
    pub(crate) fn run_in(
        &mut self,
        folder: &Path,
        settings: &Settings,
        observe: &mut Observe<'_>,
    ) -> Result<Ending, TrainError> {
        let job = Job {
            sweep: "s".to_owned(),
            trial: Trial { seed: 11, ..plan::trial(1, settings.clone()) },
            data: self.data.clone(),
            checkpoint_every: self.checkpoint_every,
            data_digest: None,
            checkpoint_digest: None,
            cache: self.cache.clone(),
        };
        self.session.run(&job, self.attempt, &sweep::system::files::Place::of(folder), observe)
    }

    /// As [`Self::run_in`], with a disturbance, which leaves no outcome, or none.
    pub(crate) fn run_disturbed(
        &mut self,
        folder: &Path,
        settings: &Settings,
        disturbance: Option<Disturbance>,
    ) -> (Option<Outcome>, Reports) {
        let mut reports = Reports::default();
        let mut observe = |report: Report| {
            let step = if let Report::Progress(progress) = &report { Some(progress.step) } else { None };
            reports.add(report);
            match disturbance {
                Some(Disturbance::Stop(at)) if step == Some(at) => Err(Stopped),
                Some(Disturbance::Death(at)) if step == Some(at) => panic!("killed"),
                _ => Ok(()),
            }
        };
        let ending = catch_unwind(AssertUnwindSafe(|| self.run_in(folder, settings, &mut observe)));
        let outcome = match ending.map(Result::unwrap) {
            Ok(Ending::Complete(outcome)) => Some(*outcome),
            Ok(Ending::Paused(_)) => panic!("paused without being told"),
            Ok(Ending::Stopped) => {
                assert!(matches!(disturbance, Some(Disturbance::Stop(_))), "stopped without being asked");
                None
            }
            Err(_) => {
                assert!(matches!(disturbance, Some(Disturbance::Death(_))), "died of itself");
                None
            }
        };
        (outcome, reports)
    }
}

/// The outcome of a trial that must be complete.
#[track_caller]
pub(crate) fn complete(ending: Result<Ending, TrainError>) -> Outcome {
    match ending.unwrap() {
        Ending::Complete(outcome) => *outcome,
        Ending::Stopped | Ending::Paused(_) => panic!("stopped without being asked"),
    }
}
