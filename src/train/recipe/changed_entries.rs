//! Entries of the cache that change while a trial uses them, in tests: nothing that was computed from them counts.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};

use burn::backend::{Autodiff, Flex, flex::FlexDevice};

use super::trainer::Trainer;
use crate::{
    cache::{self, CacheSpec, Kind},
    checkpoint::Checkpoint,
    data::{DataSpec, Duplicates, Limit, Shares, Source},
    event::Outcome,
    job::{Attempt, Job},
    policy::CheckpointEvery,
    samples,
    settings::{Freeze, Settings},
    system::files::Place,
    train::{
        backend::Engine,
        error::{TrainError, Unfinished},
        graph_lock::graph_lock,
        observe::Report,
    },
};

type CpuTrainer = Trainer<Autodiff<Flex>>;

/// The step after which entries change, in tests that name none.
const STEP: u64 = 2;

/// A trial over frozen layers, with a cache beside its folder.
struct Bench {
    root: tempfile::TempDir,
    job: Job,
}

/// A place within an entry's file, of which the length is given.
type Region = fn(u64) -> u64;

/// Regions that the digest covers: the length of the head, the head, the numbers, the last byte.
const COVERED: [Region; 4] = [|_| 48, |_| 60, |length| length / 2, |length| length - 1];
/// Regions that no number comes from: the magic and the digest.
const UNCOVERED: [Region; 2] = [|_| 3, |_| 20];

impl Bench {
    fn new(freeze: Freeze) -> Self {
        let root = tempfile::tempdir().unwrap();
        let checkpoint = root.path().join("checkpoint");
        fs::create_dir(&checkpoint).unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-bert");
        for file in ["config.json", "model.safetensors"] {
            fs::copy(fixture.join(file), checkpoint.join(file)).unwrap();
        }
        fs::write(checkpoint.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n很\n好\n的\n差\n")
            .unwrap();
        let mut plan = samples::plan(1);
        plan.data = DataSpec {
            duplicates: Duplicates::Keep,
            limit: Limit { train: Some(24), validation: Some(12), test: Some(12) },
            ..samples::data_spec(Source::Reviews { split: Shares::default() })
        };
        plan.trials[0].settings = Settings {
            checkpoint: Checkpoint::Folder(checkpoint),
            freeze,
            epochs: 2,
            batch_size: 8,
            chunk_length: 16,
            chunk_stride: 4,
            ..Settings::default()
        };
        let cache = CacheSpec { folder: root.path().join(".cache"), bytes: 1 << 30 };
        let checkpoint_every = CheckpointEvery::Steps(1);
        let job = Job { cache: Some(cache), checkpoint_every, ..plan.job(&plan.trials[0]) };
        Self { root, job }
    }

    /// Flips a bit in each entry of `kind`.
    fn flip(&self, kind: Kind, region: Region) {
        let folder = &self.job.cache.as_ref().unwrap().folder;
        let entries = cache::list(&Place::named(folder)).unwrap();
        let own: Vec<_> = entries
            .iter()
            .filter(|entry| entry.what.as_ref().is_some_and(|(found, _)| *found == kind))
            .collect();
        assert_eq!(own.len(), 3, "{entries:?}");
        for entry in own {
            let file = File::options().read(true).write(true).open(folder.join(&entry.name)).unwrap();
            let (mut byte, at) = ([0], region(entry.bytes));
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 16], at).unwrap();
        }
    }

    /// Runs the trial in the folder `name`, and calls `change` with every report.
    fn run(
        &self,
        mut trainer: CpuTrainer,
        name: &str,
        change: &mut dyn FnMut(&Report),
    ) -> Result<Outcome, Unfinished> {
        let folder = self.folder(name);
        trainer.run(&self.job, Attempt::default(), &folder, &mut |report| {
            change(&report);
            Ok(())
        })
    }

    fn folder(&self, name: &str) -> Place {
        Place::named(self.root.path()).join(name)
    }

    fn files(&self, name: &str) -> Vec<Vec<u8>> {
        let folder = self.folder(name);
        ["metrics.csv", "predictions.csv", "best/model.safetensors", "last/model.safetensors"]
            .map(|file| folder.join(file).read().unwrap())
            .to_vec()
    }

    /// Runs the trial undisturbed without a cache.
    fn undisturbed(&self) -> Vec<Vec<u8>> {
        let job = Job { cache: None, ..self.job.clone() };
        let bench = Self { root: tempfile::tempdir().unwrap(), job };
        bench.run(CpuTrainer::new(FlexDevice), "a", &mut |_| {}).unwrap();
        bench.files("a")
    }
}

fn is_after(report: &Report, step: u64) -> bool {
    matches!(report, Report::Progress(progress) if progress.step == step)
}

const KINDS: [(Freeze, Kind); 4] = [
    (Freeze::Layers(1), Kind::Text),
    (Freeze::Layers(1), Kind::Hidden),
    (Freeze::Encoder, Kind::Text),
    (Freeze::Encoder, Kind::Pooled),
];

#[test]
fn a_mapped_entry_that_changes_in_training_fails_the_attempt_and_leaves_no_checkpoint_of_it() {
    let _alone = graph_lock();
    for (freeze, kind) in KINDS {
        for region in COVERED {
            let bench = Bench::new(freeze);
            let trainer = CpuTrainer::mapping(FlexDevice);
            let ending = bench.run(trainer, "a", &mut |report| {
                if is_after(report, STEP) {
                    bench.flip(kind, region);
                }
            });
            assert!(matches!(ending, Err(Unfinished::Failed(TrainError::Cache(_)))), "{kind:?} {ending:?}");
            // The next attempt makes the entries again and resumes from the step before.
            let mut resumed = None;
            let again = CpuTrainer::mapping(FlexDevice);
            let outcome = bench.run(again, "a", &mut |report| {
                if let Report::Resumed { step, .. } = report {
                    resumed = Some(*step);
                }
            });
            assert_eq!(resumed, Some(STEP - 1));
            assert!(outcome.unwrap().files.is_some() && bench.files("a") == bench.undisturbed(), "{kind:?}");
        }
    }
}

#[test]
fn a_mapped_entry_that_changes_after_the_last_evaluation_leaves_no_outcome() {
    let _alone = graph_lock();
    for (freeze, kind) in KINDS {
        let bench = Bench::new(freeze);
        let mut evaluations = 0;
        let ending = bench.run(CpuTrainer::mapping(FlexDevice), "a", &mut |report| {
            evaluations += u32::from(matches!(report, Report::Evaluated(_)));
            if matches!(report, Report::Evaluated(_)) && evaluations == 2 {
                bench.flip(kind, COVERED[2]);
            }
        });
        assert!(matches!(ending, Err(Unfinished::Failed(TrainError::Cache(_)))), "{kind:?} {ending:?}");
        assert!(!bench.root.path().join("a/predictions.csv").exists());
    }
}

#[test]
fn an_entry_that_changes_after_it_was_copied_changes_nothing() {
    let _alone = graph_lock();
    for (freeze, kind) in KINDS {
        for region in COVERED.into_iter().chain(UNCOVERED) {
            let bench = Bench::new(freeze);
            let ending = bench.run(CpuTrainer::new(FlexDevice), "a", &mut |report| {
                if is_after(report, STEP) {
                    bench.flip(kind, region);
                }
            });
            ending.unwrap();
            assert!(bench.files("a") == bench.undisturbed(), "{kind:?}");
        }
    }
}

#[test]
fn bytes_of_a_mapped_entry_that_no_number_comes_from_may_change() {
    let _alone = graph_lock();
    for region in UNCOVERED {
        let bench = Bench::new(Freeze::Encoder);
        let ending = bench.run(CpuTrainer::mapping(FlexDevice), "a", &mut |report| {
            if is_after(report, STEP) {
                bench.flip(Kind::Pooled, region);
            }
        });
        ending.unwrap();
        assert!(bench.files("a") == bench.undisturbed());
    }
}

#[test]
fn texts_that_change_while_they_are_encoded_leave_no_entry_of_other_activations() {
    let _alone = graph_lock();
    let bench = Bench::new(Freeze::Encoder);
    let mut is_flipped = false;
    let ending = bench.run(CpuTrainer::mapping(FlexDevice), "a", &mut |report| {
        if matches!(report, Report::Alive) && !std::mem::replace(&mut is_flipped, true) {
            bench.flip(Kind::Text, COVERED[2]);
        }
    });
    assert!(matches!(ending, Err(Unfinished::Failed(TrainError::Cache(_)))), "{ending:?}");
    let folder = &bench.job.cache.as_ref().unwrap().folder;
    let kinds: Vec<Kind> =
        cache::list(&Place::named(folder)).unwrap().into_iter().map(|entry| entry.what.unwrap().0).collect();
    assert_eq!(kinds, [Kind::Text; 3]);
}

#[test]
fn an_attempt_without_the_cache_makes_no_entries() {
    let _alone = graph_lock();
    let bench = Bench::new(Freeze::Encoder);
    let attempt = Attempt { without_cache: true, ..Attempt::default() };
    let mut trainer = CpuTrainer::new(FlexDevice);
    trainer.run(&bench.job, attempt, &bench.folder("a"), &mut |_| Ok(())).unwrap();
    assert!(!bench.job.cache.as_ref().unwrap().folder.exists());
}
