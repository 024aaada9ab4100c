//! Slots of other machines: they come late, bring trials of an earlier run, and go.

use super::*;

const FIRST: Host = Host(1);
const SECOND: Host = Host(2);

fn place(host: Host) -> RemotePlace {
    RemotePlace { host: format!("n{}", host.0), job: Some(7), arithmetic: "a".to_owned() }
}

fn joined(slot: usize, host: Host, trials: Vec<TrialId>) -> Input {
    let device = Device::Cpu { slot, threads: 1 };
    let remote = RemoteSlot { host, place: place(host), is_for_one: false };
    Input::RemoteJoined { slot: Slot(slot), device, remote, trials }
}

/// A run that has begun without any slot.
fn waiting(trials: u32) -> Scheduler {
    let all: Vec<PendingTrial> = (1..=trials)
        .map(|id| PendingTrial { earlier_attempts: u32::from(id == 1), ..pending(TrialId(id)) })
        .collect();
    let mut scheduler = Scheduler::new(&all, Terms { awaits_slots: true, ..terms(trials) });
    let actions = scheduler.step(Input::Begin);
    assert!(matches!(actions[..], [Action::Log(None, Event::SweepStarted { .. })]), "{actions:?}");
    scheduler
}

#[test]
fn a_run_without_slots_waits_for_them_and_ends_once_none_comes() {
    let mut scheduler = waiting(1);
    assert_eq!(scheduler.step(Input::NoMoreSlots), ended(true));
    assert!(scheduler.is_without_device());
}

#[test]
fn the_log_says_which_machine_has_a_trial() {
    let mut scheduler = waiting(2);
    scheduler.step(joined(0, FIRST, Vec::new()));
    let actions = scheduler.step(Input::Line(SLOT, READY));
    let Action::Log(Some(T1), Event::Started { worker: Some(worker), .. }) = &actions[0] else {
        panic!("{actions:?}")
    };
    assert_eq!(**worker, place(FIRST));
}

#[test]
fn a_worker_of_an_earlier_run_keeps_its_trial_and_the_number_of_its_attempt() {
    let mut scheduler = waiting(2);
    let actions = scheduler.step(joined(0, FIRST, vec![T1]));
    let [Action::Log(Some(T1), Event::Started { attempt: 1, .. })] = actions[..] else {
        panic!("{actions:?}")
    };
    let actions = scheduler.step(joined(1, SECOND, Vec::new()));
    assert!(matches!(actions[..], [Action::Spawn { trial: T2, .. }]), "{actions:?}");
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert!(matches!(actions[0], Action::Log(Some(T1), Event::Finished(_))), "{actions:?}");
}

#[test]
fn a_worker_of_an_earlier_run_whose_trial_is_not_to_be_run_any_more_is_ended() {
    let mut scheduler = waiting(1);
    let actions = scheduler.step(joined(0, FIRST, vec![TrialId(9)]));
    assert_eq!(actions, [Action::Kill(SLOT)]);
}

#[test]
fn a_trial_that_stops_since_its_slot_leaves_goes_on_elsewhere_and_nothing_failed() {
    let mut scheduler = waiting(2);
    scheduler.step(joined(0, FIRST, Vec::new()));
    scheduler.step(Input::Line(SLOT, READY));
    scheduler.step(Input::SlotLeft(SLOT));
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Stopped(T1)));
    assert_eq!(actions, [Action::Log(Some(T1), Event::Interrupted), Action::Leave(SLOT)]);
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Code(0))), []);
    let actions = scheduler.step(joined(1, SECOND, Vec::new()));
    assert!(matches!(actions[..], [Action::Spawn { trial: T1, .. }]), "{actions:?}");
    assert!(!scheduler.was_interrupted());
}

#[test]
fn a_trial_whose_worker_is_lost_is_tried_again_until_it_is_once_too_often() {
    let mut scheduler = waiting(1);
    for loss in 1..=10 {
        scheduler.step(joined(loss, Host(loss), Vec::new()));
        scheduler.step(Input::Line(Slot(loss), READY));
        scheduler.step(Input::SlotLeft(Slot(loss)));
        let actions = scheduler.step(Input::Exited(Slot(loss), WorkerExit::Lost("silent".to_owned())));
        let Action::Log(Some(T1), Event::Failed { failure, retry }) = &actions[0] else {
            panic!("{actions:?}")
        };
        assert_eq!((&failure.kind, *retry), (&FailureKind::WorkerLost, loss < 10));
    }
}

#[test]
fn memory_of_one_machine_is_not_that_of_another() {
    let mut scheduler = waiting(3);
    scheduler.step(joined(0, FIRST, Vec::new()));
    scheduler.step(joined(1, SECOND, Vec::new()));
    assert_ne!(scheduler.slots.pool(Slot(0)), scheduler.slots.pool(Slot(1)));
    assert_eq!(scheduler.slots.company(Slot(0)), None, "nobody else uses it");
}

#[test]
fn a_slot_for_one_trial_gets_no_other() {
    let mut scheduler = waiting(3);
    let remote = RemoteSlot { host: FIRST, place: place(FIRST), is_for_one: true };
    scheduler.step(Input::RemoteJoined { slot: SLOT, device: cpu(1)[0], remote, trials: Vec::new() });
    scheduler.step(Input::Line(SLOT, READY));
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(actions[1..], [Action::Leave(SLOT)]);
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Code(0))), []);
}
