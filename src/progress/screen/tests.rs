//! Facts about the lines at 50, 80 and 140 columns.

use super::*;
use crate::{
    display::columns,
    samples::{self, failed, record, study},
    settings::Value,
    system::device::Device,
    trial::{FailureKind, Params, TrialRef},
};

/// A sweep of five trials, of which the first two are complete and the third one has failed.
fn sweep() -> Study {
    let mut trials = vec![
        record(1, &[0.60, 0.40]),
        record(2, &[0.60, 0.30]),
        failed(record(3, &[0.60]), FailureKind::Signal(9)),
        record(4, &[]),
        record(5, &[]),
    ];
    for waiting in trials.iter_mut().skip(3) {
        waiting.state = State::Waiting;
    }
    study(trials)
}

fn logged(screen: &mut Screen, study: &mut Study, trial: u32, event: Event, now: Instant) {
    let record = Record { v: 2, seq: 1, at: String::new(), trial: Some(TrialId(trial)), event };
    study.apply(&record).unwrap();
    screen.logged(&record, study, now);
}

fn progress(epoch: usize, step: u64) -> Progress {
    Progress { epoch, epochs: 20, step, steps: 2_400, train_loss: 0.512 }
}

/// A screen on which trial 4 has done a quarter of its steps within 100 seconds, and the time.
fn in_the_middle() -> (Screen, Instant) {
    let (mut study, begun) = (sweep(), Instant::now());
    let mut screen = Screen::new(&study, begun);
    let device = Device::Cpu { slot: 0, threads: 1 };
    let started = samples::started(1, device);
    logged(&mut screen, &mut study, 4, started, begun);
    screen.moved(TrialId(4), &progress(1, 0), begun);
    let evaluation = samples::record(4, &[0.45]).evaluations.remove(0);
    logged(&mut screen, &mut study, 4, Event::Evaluated(evaluation), begun);
    let now = begun + Duration::from_secs(100);
    screen.moved(TrialId(4), &progress(5, 600), now);
    (screen, now)
}

fn lines(width: usize) -> Vec<String> {
    let (screen, now) = in_the_middle();
    screen.lines(now, width, false)
}

#[test]
fn eighty_columns_hold_trial_epoch_step_f1_and_the_time_left() {
    assert_eq!(
        lines(79),
        [
            "reviews ━━━━━━━╸─── 3/5 trials · 1 failed · best 0002 val F1 0.850 · 11:40 left",
            "  0004 ━━━╸──────── epoch 5/20 · step 600/2400 · val F1 0.775 · 5:00 left",
        ]
    );
}

#[test]
fn fifty_columns_hold_what_decides() {
    assert_eq!(
        lines(49),
        ["reviews 3/5 trials · best 0002 val F1 0.850", "  0004 epoch 5/20 · val F1 0.775 · 5:00 left"]
    );
}

#[test]
fn a_hundred_and_forty_columns_hold_settings_device_and_losses_too() {
    let lines = lines(139);
    assert!(lines[0].contains("learning_rate=2e-5 dropout=0.1"), "{lines:?}");
    for word in ["loss 0.512", "val loss 0.450", "learning_rate=4e-5 dropout=0.1", "cpu:0"] {
        assert!(lines[1].contains(word), "{word}: {lines:?}");
    }
}

#[test]
fn no_line_is_wider_than_the_terminal_whatever_the_names_are() {
    let (mut screen, now) = in_the_middle();
    screen.sweep = "情感分类模型的超参数搜索".to_owned();
    if let Some(trial) = screen.running.get_mut(&TrialId(4)) {
        trial.settings = "checkpoint=models/中文情感分类模型 learning_rate=3e-5".repeat(3);
    }
    for width in 1..200 {
        for line in screen.lines(now, width, false) {
            assert!(columns(&line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn the_time_left_counts_down_while_nothing_happens() {
    let (screen, now) = in_the_middle();
    let later = screen.lines(now + Duration::from_secs(30), 79, false);
    assert!(later[1].ends_with("4:30 left"), "{later:?}");
    let much_later = screen.lines(now + Duration::from_mins(50), 79, false);
    assert!(much_later[1].ends_with("0:00 left"), "{much_later:?}");
}

#[test]
fn a_trial_that_resumes_is_forecast_by_what_this_attempt_did() {
    let mut trial = Running::new(None);
    let begun = Instant::now();
    trial.moved(&progress(11, 1_200), begun);
    trial.moved(&progress(16, 1_800), begun + Duration::from_mins(1));
    let now = begun + Duration::from_mins(1);
    assert_eq!(trial.left.map(|left| left.describe(now)).as_deref(), Some("1:00 left"));
}

#[test]
fn a_trial_that_learned_nothing_is_never_the_best() {
    let mut study = sweep();
    study.trials[1].outcome.as_mut().unwrap().validation = samples::one_class_only();
    assert!(study.trials[1].outcome.as_ref().unwrap().validation.f1 > 0.9);
    assert_eq!(judge(&study.trials[1]), Some(Verdict::Collapsed));
    let screen = Screen::new(&study, Instant::now());
    assert_eq!(screen.best.map(|best| best.trial), Some(TrialId(1)));
}

#[test]
fn a_trial_that_becomes_complete_is_the_best_if_its_validation_f1_is() {
    let mut study = sweep();
    let mut screen = Screen::new(&study, Instant::now());
    for (trial, loss, best) in [(4, 0.35, 2), (5, 0.20, 5)] {
        let outcome = record(trial, &[loss]).outcome.unwrap();
        logged(&mut screen, &mut study, trial, Event::Finished(outcome), Instant::now());
        assert_eq!(screen.best.as_ref().map(|best| best.trial), Some(TrialId(best)));
    }
    assert_eq!(screen.forecast.ended, 5.0);
}

fn complete_line(record: &TrialRecord, width: usize) -> String {
    complete(record, record.outcome.as_ref().unwrap(), width, false)
}

#[test]
fn the_line_of_a_complete_trial_has_its_verdict_and_time_at_any_width() {
    let trial = record(2, &[0.60, 0.30]);
    let wide = "✓ 0002 learning_rate=2e-5 dropout=0.1 · test F1 0.830 [0.787, 0.866] · underfit · 0:06";
    assert_eq!(complete_line(&trial, 139), wide);
    assert_eq!(complete_line(&trial, 49), "✓ 0002 · test F1 0.830 · underfit · 0:06");
    let middle = complete_line(&trial, 79);
    assert!(middle.starts_with("✓ 0002 learning_ra"), "{middle}");
    assert!(middle.ends_with("test F1 0.830 [0.787, 0.866] · underfit · 0:06"), "{middle}");
}

#[test]
fn the_line_of_a_trial_that_was_reused_names_its_source() {
    let mut trial = record(2, &[0.60, 0.30]);
    trial.inherited_from = Some(TrialRef { sweep: Some("older".to_owned()), trial: TrialId(9) });
    assert!(complete_line(&trial, 139).ends_with("underfit · reused from older/0009"));
}

#[test]
fn settings_cannot_speak_to_the_terminal() {
    let mut trial = record(2, &[0.60]);
    trial.trial.params = Params(vec![("checkpoint".to_owned(), Value::Text("a\u{1b}[2J\nb".to_owned()))]);
    assert!(!complete_line(&trial, 139).contains(|c: char| c.is_control()));
}

#[test]
fn of_many_running_trials_the_first_have_a_line_and_the_others_are_counted() {
    let (mut study, begun) = (Study::new(&samples::plan(40)), Instant::now());
    let mut screen = Screen::new(&study, begun);
    let device = Device::Cpu { slot: 0, threads: 1 };
    for id in 1..=40 {
        let started = samples::started(1, device);
        logged(&mut screen, &mut study, id, started, begun);
    }
    let lines = screen.lines(begun, 79, false);
    assert_eq!((lines.len(), lines.last().map(String::as_str)), (18, Some("  and 24 more")));
}
