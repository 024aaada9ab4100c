//! Trials together against the same trials alone.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use std::{collections::BTreeMap, fs};

use burn::backend::{Autodiff, Flex, flex::FlexDevice};

use crate::{
    checkpoint::Checkpoint,
    data::{DataSpec, Duplicates, Limit, Shares, Source},
    event::Outcome,
    job::{Attempt, Job},
    policy::CheckpointEvery,
    samples,
    settings::{Aggregate, ClassWeights, Freeze, Pooling, Schedule, Settings, StopRule},
    system::files::Place,
    train::{
        backend::{Compute, Engine},
        error::{TrainError, Unfinished},
        graph_lock::graph_lock,
        observe::{Ending, Report, Stopped},
        recipe::trainer::Trainer,
        together::{Entrant, Listener},
    },
};

#[cfg(feature = "wgpu")]
mod gpu;

type Cpu = Autodiff<Flex>;

/// The files that a complete trial leaves.
const FILES: [&str; 4] =
    ["metrics.csv", "predictions.csv", "best/model.safetensors", "last/model.safetensors"];

/// Trials that differ in all that trials together may differ in.
fn jobs(change: impl Fn(&mut Settings)) -> Vec<Job> {
    let mut plan = samples::plan(4);
    plan.data = DataSpec {
        duplicates: Duplicates::Keep,
        limit: Limit { train: Some(29), validation: Some(12), test: Some(12) },
        ..samples::data_spec(Source::Reviews { split: Shares::default() })
    };
    let own: [fn(&mut Settings); 4] = [
        |_| {},
        |own| (own.learning_rate, own.dropout, own.gradient_clip) = (3e-2, 0.5, 0.0),
        |own| {
            (own.weight_decay, own.dropout) = (0.3, 0.0);
            (own.schedule, own.warmup_ratio) = (Schedule::Constant, 0.0);
        },
        |own| {
            (own.label_smoothing, own.class_weights) = (0.2, ClassWeights::Balanced);
            (own.head_learning_rate, own.gradient_clip) = (8e-3, 0.2);
        },
    ];
    let mut jobs = Vec::new();
    for (trial, own) in plan.trials.iter_mut().zip(own) {
        trial.seed = 40 + u64::from(trial.id.0);
        trial.settings = Settings {
            checkpoint: Checkpoint::Mini,
            freeze: Freeze::Encoder,
            learning_rate: 2e-3,
            epochs: 3,
            patience: 3,
            batch_size: 7,
            chunk_length: 16,
            chunk_stride: 4,
            ..Settings::default()
        };
        own(&mut trial.settings);
        change(&mut trial.settings);
    }
    for trial in &plan.trials {
        jobs.push(Job { checkpoint_every: CheckpointEvery::Steps(4), ..plan.job(trial) });
    }
    jobs
}

/// Over a frozen encoder.
fn unchanged(_: &mut Settings) {}

/// The whole encoder learns, more slowly than a classifier alone.
fn whole(settings: &mut Settings) {
    settings.freeze = Freeze::Layers(0);
    settings.learning_rate /= 4.0;
}

/// A folder for each trial.
struct Folders(tempfile::TempDir);

impl Folders {
    fn new(jobs: &[Job]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for job in jobs {
            fs::create_dir(root.path().join(job.trial.id.to_string())).unwrap();
        }
        Self(root)
    }

    fn place(&self, job: &Job) -> Place {
        Place::named(self.0.path()).join(job.trial.id.to_string())
    }

    /// What a trial has left.
    fn files(&self, job: &Job) -> Vec<Vec<u8>> {
        let folder = self.0.path().join(job.trial.id.to_string());
        FILES.iter().map(|name| fs::read(folder.join(name)).unwrap()).collect()
    }

    /// The probabilities of a trial's predictions.
    #[cfg(feature = "wgpu")]
    fn probabilities(&self, job: &Job) -> Vec<f64> {
        let text =
            fs::read_to_string(std::path::Path::new(self.place(job).path()).join("predictions.csv")).unwrap();
        text.lines()
            .skip(1)
            .flat_map(|line| line.split(',').skip(3).map(|cell| cell.parse().unwrap()))
            .collect()
    }
}

/// Notes how trials end, and stops some of them after a step.
#[derive(Default)]
struct Notes {
    stops: BTreeMap<usize, u64>,
    steps: BTreeMap<usize, u64>,
    resumed: BTreeMap<usize, u64>,
    endings: Vec<(usize, Result<Ending, TrainError>)>,
}

impl Listener for Notes {
    fn on_report(&mut self, trial: usize, report: Report) -> Result<(), Stopped> {
        assert!(self.endings.iter().all(|(over, _)| *over != trial), "{report:?} after the end");
        match report {
            Report::Progress(progress) => {
                self.steps.insert(trial, progress.step);
                if self.stops.get(&trial) == Some(&progress.step) { Err(Stopped) } else { Ok(()) }
            }
            Report::Resumed { step, .. } => {
                self.resumed.insert(trial, step);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_end(&mut self, trial: usize, ending: Result<Ending, TrainError>) {
        self.endings.push((trial, ending));
    }
}

impl Notes {
    /// The outcome of a trial that is complete.
    fn outcome(&self, trial: usize) -> &Outcome {
        match self.endings.iter().find(|(over, _)| *over == trial) {
            Some((_, Ok(Ending::Complete(outcome)))) => outcome,
            other => panic!("trial {trial}: {other:?}"),
        }
    }
}

fn alone(job: &Job, folders: &Folders) -> Outcome {
    alone_on::<Cpu>(job, folders)
}

fn alone_on<C: Compute>(job: &Job, folders: &Folders) -> Outcome {
    let mut trainer = Trainer::<C>::new(C::Device::default());
    trainer.run(job, Attempt::default(), &folders.place(job), &mut |_| Ok(())).unwrap()
}

/// Trains a trial alone until it has made `step` steps.
fn alone_until(step: u64, job: &Job, folders: &Folders) {
    let observe = &mut |report| match report {
        Report::Progress(progress) if progress.step == step => Err(Stopped),
        _ => Ok(()),
    };
    let stopped = Trainer::<Cpu>::new(FlexDevice).run(job, Attempt::default(), &folders.place(job), observe);
    assert!(matches!(stopped, Err(Unfinished::Stopped)), "{stopped:?}");
}

/// What a device has computed after it failed is no checkpoint.
#[test]
fn a_trial_leaves_nothing_that_it_may_not_keep() {
    let jobs = jobs(unchanged);
    let folders = Folders::new(&jobs);
    let observe = &mut |report| if matches!(report, Report::Saving) { Err(Stopped) } else { Ok(()) };
    let place = folders.place(&jobs[0]);
    let ended = Trainer::<Cpu>::new(FlexDevice).run(&jobs[0], Attempt::default(), &place, observe);
    assert!(matches!(ended, Err(Unfinished::Stopped)), "{ended:?}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

fn together(jobs: &[Job], folders: &Folders, notes: &mut Notes) {
    together_on::<Cpu>(jobs, folders, notes);
}

fn together_on<C: Compute>(jobs: &[Job], folders: &Folders, notes: &mut Notes) {
    let places: Vec<Place> = jobs.iter().map(|job| folders.place(job)).collect();
    let entrants: Vec<Entrant<'_>> = jobs
        .iter()
        .zip(&places)
        .map(|(job, folder)| Entrant { job, attempt: Attempt::default(), folder })
        .collect();
    Trainer::<C>::new(C::Device::default()).train_together(&entrants, notes).unwrap();
    assert_eq!(notes.endings.len(), jobs.len(), "each trial has one end");
}

/// The trials alone, one after another.
fn all_alone(jobs: &[Job]) -> (Folders, Vec<Outcome>) {
    let folders = Folders::new(jobs);
    let outcomes = jobs.iter().map(|job| alone(job, &folders)).collect();
    (folders, outcomes)
}

fn assert_same_files(jobs: &[Job], one: &Folders, other: &Folders, what: &str) {
    for job in jobs {
        for ((one, other), name) in one.files(job).iter().zip(other.files(job)).zip(FILES) {
            assert!(*one == other, "{what}: {name} of trial {} is another one", job.trial.id);
        }
    }
}

#[test]
fn trials_together_leave_the_bytes_that_they_leave_alone() {
    let _alone = graph_lock();
    let shapes: [fn(&mut Settings); 7] = [
        |_| {},
        whole,
        |shape| (shape.freeze, shape.pooling) = (Freeze::Layers(1), Pooling::Mean),
        |shape| (shape.freeze, shape.gradient_accumulation) = (Freeze::Layers(0), 3),
        |shape| (shape.pooling, shape.eval_every) = (Pooling::Mean, 3),
        |shape| (shape.aggregate, shape.gradient_accumulation) = (Aggregate::Max, 3),
        |shape| (shape.pooling, shape.batch_size, shape.chunk_length) = (Pooling::Mean, 14, 256),
    ];
    for (number, shape) in shapes.into_iter().enumerate() {
        let jobs = jobs(shape);
        let (apart, outcomes) = all_alone(&jobs);
        let folders = Folders::new(&jobs);
        let mut notes = Notes::default();
        together(&jobs, &folders, &mut notes);
        assert_same_files(&jobs, &apart, &folders, &format!("shape {number}"));
        for (trial, alone) in outcomes.iter().enumerate() {
            let outcome = notes.outcome(trial);
            assert_eq!(
                Outcome { seconds: 0.0, ..outcome.clone() },
                Outcome { seconds: 0.0, ..alone.clone() }
            );
        }
    }
}

#[test]
fn a_trial_that_stops_early_leaves_and_the_others_go_on() {
    let _alone = graph_lock();
    let mut jobs = jobs(|_| {});
    // It improves at its first evaluation, as every trial, and at no other one.
    (jobs[1].trial.settings.patience, jobs[1].trial.settings.min_delta) = (1, 100.0);
    let apart = all_alone(&jobs);
    assert!(apart.1[1].stopped_early && !apart.1[0].stopped_early);
    let folders = Folders::new(&jobs);
    let mut notes = Notes::default();
    together(&jobs, &folders, &mut notes);
    assert_eq!(notes.endings[0].0, 1, "it is over first");
    assert!(notes.outcome(1).stopped_early && notes.steps[&1] < notes.steps[&0]);
    assert_same_files(&jobs, &apart.0, &folders, "with one that stops early");
}

#[test]
fn trials_together_stop_by_their_own_rules_as_they_do_alone() {
    let _alone = graph_lock();
    let mut jobs = jobs(|settings| settings.eval_every = 2);
    for (job, rule) in jobs.iter_mut().zip([StopRule::Up, StopRule::Gl, StopRule::Pq, StopRule::Patience]) {
        let settings = &mut job.trial.settings;
        (settings.rule, settings.alpha, settings.strip, settings.s) = (rule, 0.0, 2, 1);
    }
    let apart = all_alone(&jobs);
    assert!(apart.1.iter().any(|outcome| outcome.stopped_early), "{:?}", apart.1);
    let folders = Folders::new(&jobs);
    together(&jobs, &folders, &mut Notes::default());
    assert_same_files(&jobs, &apart.0, &folders, "with rules of their own");
}

#[test]
fn a_loss_that_is_not_finite_ends_its_trial_and_changes_nothing_for_the_others() {
    let _alone = graph_lock();
    let mut jobs = jobs(|_| {});
    (jobs[2].trial.settings.learning_rate, jobs[2].trial.settings.gradient_clip) = (1e38, 0.0);
    let folders = Folders::new(&jobs);
    let mut notes = Notes::default();
    together(&jobs, &folders, &mut notes);
    let (first, ending) = &notes.endings[0];
    assert_eq!(*first, 2);
    assert!(matches!(ending, Err(TrainError::NonFinite { .. })), "{ending:?}");
    let left: Vec<Job> = jobs.iter().filter(|job| job.trial.id.0 != 3).cloned().collect();
    let (apart, _) = all_alone(&left);
    assert_same_files(&left, &apart, &folders, "beside one that fails");
}

#[test]
fn a_checkpoint_of_trials_together_is_resumed_alone_to_the_same_bytes() {
    let _alone = graph_lock();
    for shape in [unchanged, whole] {
        let jobs = jobs(shape);
        let (apart, _) = all_alone(&jobs);
        let folders = Folders::new(&jobs);
        let mut notes = Notes { stops: [(0, 3), (1, 5), (2, 7), (3, 12)].into(), ..Notes::default() };
        together(&jobs, &folders, &mut notes);
        assert!(notes.endings.iter().all(|(_, ending)| matches!(ending, Ok(Ending::Stopped))));
        for job in &jobs {
            alone(job, &folders);
        }
        assert_same_files(&jobs, &apart, &folders, "resumed alone");
    }
}

#[test]
fn checkpoints_of_trials_alone_are_resumed_together_to_the_same_bytes() {
    let _alone = graph_lock();
    for shape in [unchanged, whole] {
        let jobs = jobs(shape);
        let (apart, _) = all_alone(&jobs);
        let folders = Folders::new(&jobs);
        // One begins anew, and none of the others has made the same number of steps.
        for (job, step) in jobs.iter().zip([3, 5, 12]) {
            alone_until(step, job, &folders);
        }
        let mut notes = Notes::default();
        together(&jobs, &folders, &mut notes);
        assert_eq!(notes.resumed, [(0, 3), (1, 5), (2, 12)].into());
        assert_same_files(&jobs, &apart, &folders, "resumed together");
    }
}

#[test]
fn the_seconds_of_trials_together_add_up_to_no_more_than_those_that_passed() {
    let _alone = graph_lock();
    let jobs = jobs(|_| {});
    let folders = Folders::new(&jobs);
    let mut notes = Notes::default();
    let begun = std::time::Instant::now();
    together(&jobs, &folders, &mut notes);
    let passed = begun.elapsed().as_secs_f64();
    let sum: f64 = (0..jobs.len()).map(|trial| notes.outcome(trial).seconds).sum();
    assert!(sum > 0.0 && sum <= passed, "{sum} of {passed}");
}

#[test]
fn trials_of_two_shapes_are_refused() {
    let _alone = graph_lock();
    let mut jobs = jobs(|_| {});
    jobs[3].trial.settings.batch_size = 8;
    let folders = Folders::new(&jobs);
    let places: Vec<Place> = jobs.iter().map(|job| folders.place(job)).collect();
    let entrants: Vec<Entrant<'_>> = jobs
        .iter()
        .zip(&places)
        .map(|(job, folder)| Entrant { job, attempt: Attempt::default(), folder })
        .collect();
    let refused = Trainer::<Cpu>::new(FlexDevice).run_together(&entrants, &mut Notes::default());
    assert!(refused.unwrap_err().to_string().contains("trials 0001 and 0004 cannot be trained together"));
}
