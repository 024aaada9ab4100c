//! Trials together on a GPU through wgpu, or on a Vulkan driver in software, against the same trials alone on the CPU.

use burn::backend::Wgpu;

use super::*;
use crate::train::ops::has_vulkan;

type Gpu = Autodiff<Wgpu>;

/// The bound on the differences of probabilities: a device's sums have other orders, and its exponentials other last digits.
const TOLERANCE: f64 = 1e-3;

/// Whether there is a device to test on. Says so if there is none.
fn has_device() -> bool {
    let found = has_vulkan();
    if !found {
        eprintln!(
            "SKIPPED trials together on a GPU: this machine has no Vulkan driver (mesa-vulkan-drivers)"
        );
    }
    found
}

/// Asserts that the trials have the same best steps and the same probabilities, but for noise.
fn assert_alike(jobs: &[Job], apart: &(Folders, Vec<Outcome>), folders: &Folders, notes: &Notes) {
    for (trial, job) in jobs.iter().enumerate() {
        let (alone, outcome) = (&apart.1[trial], notes.outcome(trial));
        assert_eq!((outcome.best_step, outcome.epochs_run), (alone.best_step, alone.epochs_run));
        let losses = (outcome.train_loss - alone.train_loss).abs();
        let pairs = apart.0.probabilities(job).into_iter().zip(folders.probabilities(job));
        let largest = pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
        eprintln!("trial {}: losses differ by {losses:.1e}, probabilities by {largest:.1e}", job.trial.id);
        assert!(losses.max(largest) < TOLERANCE, "trial {trial} differs by {largest}, its loss by {losses}");
    }
}

#[test]
fn trials_together_on_a_gpu_are_the_trials_alone_on_the_cpu() {
    if !has_device() {
        return;
    }
    let _alone = graph_lock();
    let shapes: [fn(&mut Settings); 5] = [
        unchanged,
        whole,
        |shape| {
            whole(shape);
            (shape.pooling, shape.aggregate) = (Pooling::Mean, Aggregate::Max);
            shape.gradient_accumulation = 3;
        },
        |shape| {
            whole(shape);
            shape.freeze = Freeze::Layers(1);
        },
        |shape| (shape.pooling, shape.aggregate) = (Pooling::Mean, Aggregate::Max),
    ];
    for shape in shapes {
        let jobs = jobs(shape);
        let apart = all_alone(&jobs);
        let folders = Folders::new(&jobs);
        let mut notes = Notes::default();
        together_on::<Gpu>(&jobs, &folders, &mut notes);
        assert_alike(&jobs, &apart, &folders, &notes);
    }
}

#[test]
fn trials_together_on_a_gpu_are_saved_and_resumed_together_and_alone() {
    if !has_device() {
        return;
    }
    let _alone = graph_lock();
    let jobs = jobs(whole);
    let apart = all_alone(&jobs);
    let folders = Folders::new(&jobs);
    let mut notes = Notes { stops: [(0, 3), (1, 5), (2, 7), (3, 12)].into(), ..Notes::default() };
    together_on::<Gpu>(&jobs, &folders, &mut notes);
    let mut notes = Notes { stops: [(0, 6), (1, 6)].into(), ..Notes::default() };
    together_on::<Gpu>(&jobs, &folders, &mut notes);
    assert_eq!(notes.resumed, [(0, 3), (1, 5), (2, 7), (3, 12)].into());
    // One goes on alone on the GPU, and one on the CPU.
    for (trial, outcome) in
        [alone_on::<Gpu>(&jobs[0], &folders), alone(&jobs[1], &folders)].into_iter().enumerate()
    {
        notes.endings.retain(|(over, _)| *over != trial);
        notes.endings.push((trial, Ok(Ending::Complete(Box::new(outcome)))));
    }
    assert_alike(&jobs, &apart, &folders, &notes);
}

#[test]
fn a_trial_leaves_the_others_on_a_gpu_when_it_stops_early_or_its_loss_is_not_finite() {
    if !has_device() {
        return;
    }
    let _alone = graph_lock();
    let mut jobs = jobs(whole);
    (jobs[1].trial.settings.patience, jobs[1].trial.settings.min_delta) = (1, 100.0);
    let apart = all_alone(&jobs);
    (jobs[2].trial.settings.learning_rate, jobs[2].trial.settings.gradient_clip) = (1e38, 0.0);
    let folders = Folders::new(&jobs);
    let mut notes = Notes::default();
    together_on::<Gpu>(&jobs, &folders, &mut notes);
    let place = notes.endings.iter().position(|(over, _)| *over == 2).unwrap();
    let (_, ending) = notes.endings.remove(place);
    assert!(matches!(ending, Err(TrainError::NonFinite { .. })), "{ending:?}");
    assert_eq!(
        (place, notes.endings[0].0),
        (0, 1),
        "the one that fails is over first, then the one that stops"
    );
    let (mut left, (apart, mut outcomes)) = (jobs, apart);
    // The listener knows trials by their place.
    notes.endings.iter_mut().for_each(|(place, _)| *place -= usize::from(*place > 2));
    left.remove(2);
    outcomes.remove(2);
    assert_alike(&left, &(apart, outcomes), &folders, &notes);
}
