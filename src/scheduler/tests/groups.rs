//! Trials that a worker trains together.

use std::{collections::BTreeMap, num::NonZeroUsize};

use super::*;
use crate::system::device::GpuBackend;

const T3: TrialId = TrialId(3);
const T4: TrialId = TrialId(4);

fn of_shape(trial: TrialId, shape: usize) -> PendingTrial {
    PendingTrial { shape: Some(shape), ..pending(trial) }
}

/// Terms by which at most so many trials are trained together.
fn fused(count: usize) -> Terms {
    Terms { fuse: Fuse::Groups(NonZeroUsize::new(count).unwrap()), ..terms(4) }
}

/// A scheduler that has begun, with these devices, trials and terms.
fn begun(devices: Vec<Device>, all: &[PendingTrial], terms: Terms) -> Scheduler {
    let mut scheduler = with_slots(devices, all, terms);
    scheduler.step(Input::Begin);
    scheduler
}

/// A scheduler with one slot whose worker has the first two of three trials.
fn busy_with_two() -> Scheduler {
    let mut scheduler = begun(cpu(1), &[T1, T2, T3].map(|trial| of_shape(trial, 0)), fused(2));
    scheduler.step(Input::Line(SLOT, READY));
    scheduler
}

fn given(trial: TrialId) -> GivenTrial {
    GivenTrial { trial, micro_batch: None, without_cache: false }
}

fn started_with(trial: TrialId, attempt: u32, with: Vec<TrialId>) -> Action {
    let device = cpu(1)[0];
    Action::Log(
        Some(trial),
        Event::Started { attempt, device, micro_batch: None, alone: false, with, worker: None },
    )
}

/// The trials that each slot's worker is given when it gets ready.
fn shares(scheduler: &mut Scheduler, slots: usize) -> Vec<Vec<TrialId>> {
    let given = |slot| {
        let actions = scheduler.step(Input::Line(Slot(slot), READY));
        actions.into_iter().find_map(|action| match action {
            Action::Run { trials, .. } => Some(trials.into_iter().map(|given| given.trial).collect()),
            _ => None,
        })
    };
    (0..slots).filter_map(given).collect()
}

#[test]
fn a_gpu_is_given_no_more_trials_than_fit_into_its_memory() {
    let gpu = Device::gpu(GpuBackend::Cuda, 0);
    for (fused_max, expected) in [(BTreeMap::from([(gpu, 2)]), 2), (BTreeMap::new(), 3)] {
        let terms = Terms { packing: Packing { fused_max, ..Packing::default() }, ..fused(9) };
        let mut scheduler = begun(vec![gpu], &[T1, T2, T3].map(|trial| of_shape(trial, 0)), terms);
        assert_eq!(shares(&mut scheduler, 1)[0].len(), expected);
    }
}

#[test]
fn a_worker_is_given_as_many_trials_as_the_terms_say() {
    let mut scheduler = begun(cpu(1), &[T1, T2, T3].map(|trial| of_shape(trial, 0)), fused(2));
    let actions = scheduler.step(Input::Line(SLOT, READY));
    let run = Action::Run { slot: SLOT, trials: vec![given(T1), given(T2)] };
    assert_eq!(actions, [started_with(T1, 1, vec![T2]), started_with(T2, 1, vec![T1]), run]);
}

#[test]
fn only_trials_of_one_shape_are_trained_together() {
    let all = [of_shape(T1, 0), of_shape(T2, 1), pending(T3), of_shape(T4, 0)];
    let mut scheduler = begun(cpu(1), &all, fused(9));
    assert_eq!(shares(&mut scheduler, 1), [vec![T1, T4]]);
    let mut scheduler = begun(cpu(1), &all[2..3], fused(9));
    assert_eq!(shares(&mut scheduler, 1), [vec![T3]]);
}

#[test]
fn what_waits_is_shared_among_the_slots() {
    let all = [T1, T2, T3, T4].map(|trial| of_shape(trial, 0));
    let mut scheduler = begun(cpu(2), &all, fused(9));
    assert_eq!(shares(&mut scheduler, 2), [[T1, T2], [T3, T4]]);
}

#[test]
fn by_itself_only_a_gpu_is_given_several_trials() {
    let all = [T1, T2].map(|trial| of_shape(trial, 0));
    let auto = || Terms { fuse: Fuse::Auto, ..terms(2) };
    assert_eq!(shares(&mut begun(cpu(1), &all, auto()), 1), [[T1]]);
    let gpu = vec![Device::gpu(GpuBackend::Cuda, 0)];
    assert_eq!(shares(&mut begun(gpu, &all, auto()), 1), [[T1, T2]]);
}

#[test]
fn a_trial_whose_passes_are_cut_is_trained_alone() {
    let cut = PendingTrial { micro_batch: Some(2), ..of_shape(T1, 0) };
    let mut scheduler = begun(cpu(1), &[cut, of_shape(T2, 0)], fused(2));
    assert_eq!(shares(&mut scheduler, 1), [[T1]]);
}

#[test]
fn it_is_given_others_once_all_of_them_are_over() {
    let mut scheduler = busy_with_two();
    let finished = |trial| Input::Line(SLOT, WorkerLine::Finished(trial, outcome()));
    assert_eq!(scheduler.step(finished(T2)).len(), 1, "the other one still runs");
    let actions = scheduler.step(finished(T1));
    assert_eq!(actions[1..], [started(T3, 1), run(T3)]);
}

#[test]
fn each_trial_is_asked_to_stop() {
    let mut scheduler = busy_with_two();
    assert_eq!(scheduler.step(Input::Interrupt), [Action::Stop(SLOT, T1), Action::Stop(SLOT, T2)]);
}

#[test]
fn a_loss_that_is_not_finite_is_none_of_the_others() {
    let mut scheduler = busy_with_two();
    let kind = FailureKind::NonFinite { step: 7 };
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Failed(T1, failure(kind.clone()))));
    assert_eq!(actions, [failed(T1, kind, false)], "the worker goes on with the other one");
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T2, outcome())));
    assert_eq!(actions[1..], [started(T3, 1), run(T3)]);
}

#[test]
fn after_a_failure_of_another_kind_the_others_resume_each_in_a_process_of_its_own() {
    let mut scheduler = busy_with_two();
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Failed(T1, failure(FailureKind::Data))));
    assert_eq!(actions, [failed(T1, FailureKind::Data, false), Action::Leave(SLOT)]);
    let actions = scheduler.step(Input::Exited(SLOT, WorkerExit::Code(1)));
    assert_eq!(actions, [spawn(T2)], "it resumes before the third");
    assert_eq!(scheduler.step(Input::Line(SLOT, READY)), [started(T2, 2), run(T2)]);
}

/// What can befall a process of several trials.
fn disasters() -> [(Input, FailureKind); 4] {
    [
        (Input::Exited(SLOT, WorkerExit::Signal(9)), FailureKind::Signal(9)),
        (Input::Stalled(SLOT), FailureKind::Stalled),
        (Input::TimeLimit(SLOT, T1), FailureKind::TimeLimit),
        (Input::Line(SLOT, WorkerLine::AllFailed(failure(FailureKind::Panic))), FailureKind::Panic),
    ]
}

#[test]
fn what_befalls_the_process_fails_all_of_them_and_counts_for_none() {
    for (input, kind) in disasters() {
        // No kind has a further attempt.
        let retries = Retries { signal: 0, stalled: 0, time_limit: 0, panic: 0, ..Retries::default() };
        let mut scheduler =
            begun(cpu(1), &[T1, T2].map(|trial| of_shape(trial, 0)), Terms { retries, ..fused(2) });
        scheduler.step(Input::Line(SLOT, READY));
        let is_gone = matches!(input, Input::Exited(..));
        let actions = plain(scheduler.step(input));
        assert_eq!(actions[..2], [failed(T1, kind.clone(), true), failed(T2, kind.clone(), true)]);
        if !is_gone {
            scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9)));
        }
        // Each has a process of its own now, whose end counts.
        let actions = scheduler.step(Input::Line(SLOT, READY));
        assert_eq!(actions, [started(T1, 2), run(T1)]);
        let actions = plain(scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9))));
        assert_eq!(actions, [failed(T1, FailureKind::Signal(9), false), spawn(T2)]);
    }
}

#[test]
fn the_last_of_them_is_not_charged_with_the_time_of_the_others() {
    let mut scheduler = busy_with_two();
    scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    let actions = plain(scheduler.step(Input::TimeLimit(SLOT, T2)));
    assert_eq!(actions, [failed(T2, FailureKind::TimeLimit, true), Action::Kill(SLOT)]);
}

#[test]
fn a_line_about_a_trial_that_has_left_breaks_the_protocol() {
    let mut scheduler = busy_with_two();
    scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    let actions = plain(scheduler.step(Input::Line(SLOT, WorkerLine::Alive(T1))));
    assert_eq!(actions, [failed(T2, FailureKind::Protocol, true), Action::Kill(SLOT)]);
}
