//! Events of the log as lines for people.

use std::time::Duration;

use super::time::{duration, ended};
use crate::{
    event::{Evaluation, Event, Outcome, Prepared, Progress, Record, RungDecision},
    leaderboard::verdict::judge,
    search::{Figures, RungFigure},
    study::Study,
    system::device::Device,
    trial::{Confirmation, Failure, Trial, TrialId, TrialRef},
};

/// Share of unknown tokens in the training texts, 0 to 1, above which the user is warned that the tokenizer
/// probably does not fit them.
pub(crate) const UNKNOWN_SHARE_MAX: f64 = 0.02;

/// Warns of a tokenizer that does not know the texts, once in a sweep: only for the first such trial.
fn unknown_tokens(id: TrialId, prepared: &Prepared, study: &Study) -> Option<String> {
    let warns = |prepared: &Prepared| prepared.unknown_share > UNKNOWN_SHARE_MAX;
    let before =
        study.trials.iter().any(|other| other.trial.id != id && other.prepared.as_ref().is_some_and(warns));
    (warns(prepared) && !before).then(|| {
        format!(
            "warning: {:.1} % of the training texts' tokens are unknown to the tokenizer (trial {id}); does it \
             fit the language and the case of the texts? (`lowercase` in [text] may help)",
            prepared.unknown_share * 100.0
        )
    })
}

/// The line that is printed for an event; `None` for an event that is not shown.
pub(super) fn of(record: &Record, study: &Study) -> Option<String> {
    let total = study.trials.len();
    match (record.trial, &record.event) {
        (_, Event::SweepStarted { devices, .. }) => Some(begun(study, devices)),
        (_, Event::SweepEnded { interrupted: true }) => {
            let left = total - ended(study);
            let (wait, them) = if left == 1 { ("waits", "it") } else { ("wait", "them") };
            let all = counted(total, "trial");
            Some(format!("interrupted: {left} of {all} {wait}; the same command goes on with {them}"))
        }
        (Some(id), started @ Event::Started { .. }) => started_line(id, started, study),
        (Some(id), Event::Resumed { from: Some(source @ TrialRef { sweep: Some(_), .. }), .. }) => {
            Some(format!("trial {id} is reused from {source}"))
        }
        (Some(id), Event::Resumed { step, epoch, from }) => {
            let source = from
                .as_ref()
                .map_or_else(String::new, |source| format!(", from trial {source}'s final checkpoint"));
            Some(format!("trial {id} resumes at step {step} (epoch {epoch:.1}){source}"))
        }
        (Some(id), Event::CheckpointDamaged { message }) => Some(format!("warning: trial {id}: {message}")),
        (Some(id), Event::Evaluated(evaluation)) => Some(evaluated(id, evaluation)),
        (Some(id), Event::Finished(outcome)) => {
            Some(format!("{} ({}/{total})", finished(id, outcome, study), ended(study)))
        }
        (Some(id), Event::Failed { failure, retry }) => Some(failed(id, failure, *retry)),
        (Some(id), Event::Interrupted) => Some(format!("trial {id} stopped; it goes on later")),
        (Some(id), Event::Prepared(prepared)) => unknown_tokens(id, prepared, study),
        (Some(id), Event::TrialPlanned(trial)) => Some(planned(id, trial)),
        (Some(id), Event::Halted(decision)) => Some(format!("trial {id} is halted {}", at_rung(decision))),
        (Some(id), Event::Promoted(decision)) => Some(format!("trial {id} goes on {}", at_rung(decision))),
        (Some(id), Event::Continued) => {
            Some(format!("trial {id} goes on to its end, as --continue-halted says"))
        }
        (_, Event::SearchEnded { why }) => Some(format!("the search plans no further trial: {why}")),
        (_, Event::SweepEnded { interrupted: false } | Event::ParametersRemoved | Event::Paused { .. })
        | (None, _) => None,
    }
}

/// The line for a trial that the plan has grown by.
fn planned(id: TrialId, trial: &Trial) -> String {
    match &trial.confirms {
        None => format!("trial {id} is planned: {}", trial.described()),
        Some(why) => format!(
            "trial {id} is planned: seed {} of the configuration of trial {}, {}",
            trial.repeat + 1,
            why.trial,
            chosen(why)
        ),
    }
}

/// Why a configuration is confirmed: its place in the search, and the figures of it.
pub(crate) fn chosen(why: &Confirmation) -> String {
    let Confirmation { place, of, by, loss, f1, seeds, .. } = why;
    let mean = if *seeds > 1 { format!(", the means of {seeds} seeds") } else { String::new() };
    format!(
        "number {place} of {of} by {} (validation loss {loss:.4}, F1 {f1:.4}{mean}) once the search was over",
        by.describe()
    )
}

/// Where a decision was made, and why it came out so: from what was known at that moment.
pub(crate) fn at_rung(decision: &RungDecision) -> String {
    let RungDecision { epoch, by, loss, f1, beaten_by, quota, configurations, members, .. } = decision;
    let figure = match by {
        _ if *loss == Figures::UNKNOWN.loss => "no figure until then".to_owned(),
        RungFigure::ValLoss => format!("validation loss {loss:.4}"),
        RungFigure::ValF1 => format!("validation F1 {f1:.4}"),
        RungFigure::Both => format!("validation loss {loss:.4}, F1 {f1:.4}"),
    };
    let repeats = members.len() / (*configurations).max(1);
    let mean = if repeats > 1 { format!(", the mean of {repeats} trials") } else { String::new() };
    let better = match beaten_by.len() {
        0 => "none is known to be better".to_owned(),
        1 => "at least 1 of its generation is better".to_owned(),
        better => format!("at least {better} of its generation are better"),
    };
    let goes = if *quota == 1 { "goes" } else { "go" };
    format!("after epoch {epoch} ({figure}{mean}): {better}, {quota} of {configurations} {goes} on")
}

/// The line for an attempt that starts.
fn started_line(id: TrialId, event: &Event, study: &Study) -> Option<String> {
    let Event::Started { attempt, device, micro_batch, alone, with, worker } = event else { return None };
    let params = study.trial(id).map_or_else(String::new, |trial| trial.trial.described());
    let alone = if *alone { " alone" } else { "" };
    let small = micro_batch.map_or_else(String::new, |size| format!(" in micro-batches of {size}"));
    let together = match with.len() {
        0 => String::new(),
        others => format!(" together with {}", counted(others, "other trial")),
    };
    let host = worker.as_ref().map_or_else(String::new, |worker| match worker.job {
        Some(job) => format!(" of {} (job {job})", worker.host),
        None => format!(" of {}", worker.host),
    });
    let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
    let params = if params.is_empty() { params } else { format!(": {params}") };
    Some(format!("trial {id} starts{alone} on {device}{host}{together}{small}{again}{params}"))
}

/// The line at the start of a run.
fn begun(study: &Study, devices: &[Device]) -> String {
    let complete = study.counts().complete;
    let done = if complete > 0 { format!(", {complete} of them complete") } else { String::new() };
    let mut slots: Vec<(&Device, usize)> = Vec::new();
    for device in devices {
        match slots.iter_mut().find(|(seen, _)| *seen == device) {
            Some((_, count)) => *count += 1,
            None => slots.push((device, 1)),
        }
    }
    let named = |(device, count): (&Device, usize)| match count {
        1 => device.to_string(),
        count => format!("{device} ({count} at once)"),
    };
    let devices: Vec<String> = slots.into_iter().map(named).collect();
    let confirming = match study.confirmations_to_come() {
        0 => String::new(),
        most => format!(", then at most {most} to confirm the best"),
    };
    format!(
        "sweep {}: {}{done}{confirming}, on {}",
        study.sweep,
        counted(study.trials.len(), "trial"),
        if devices.is_empty() { "the workers of a cluster".to_owned() } else { devices.join(", ") }
    )
}

/// The line for an evaluation.
fn evaluated(id: TrialId, evaluation: &Evaluation) -> String {
    let Evaluation { epoch, train_loss, validation, best, .. } = evaluation;
    let best = if *best { ", the best so far" } else { "" };
    format!(
        "trial {id} epoch {epoch:.4}: train loss {train_loss:.4}, validation loss {:.4}, F1 {:.4}{best}",
        validation.loss, validation.f1
    )
    .replace(".0000:", ":")
}

/// The line for a complete trial.
fn finished(id: TrialId, outcome: &Outcome, study: &Study) -> String {
    let span = duration(Duration::try_from_secs_f64(outcome.seconds).unwrap_or_default());
    let early = if outcome.stopped_early { ", stopped early" } else { "" };
    let test = &outcome.test;
    let interval = format!("[{:.4}, {:.4}]", test.f1_low, test.f1_high);
    let verdict = study.trial(id).and_then(judge).map_or_else(String::new, |verdict| format!(", {verdict}"));
    format!("trial {id} is complete after {span}{early}: test F1 {:.4} {interval}{verdict}", test.f1)
}

/// The line for the steps of a trial that has long been quiet.
pub(super) fn moved(id: TrialId, progress: &Progress) -> String {
    let Progress { epoch, epochs, step, steps, train_loss } = progress;
    format!("trial {id} epoch {epoch}/{epochs}, step {step}/{steps}: train loss {train_loss:.4}")
}

/// The line for a failed attempt.
fn failed(id: TrialId, failure: &Failure, retry: bool) -> String {
    let then = if retry { "; it is tried again" } else { "" };
    format!("trial {id} failed: {}{then}", failure.message)
}

/// A number with its noun: `1 trial`, `2 trials`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{samples::plan, settings::Value, system::device::GpuBackend, trial::FailureKind};

    fn record(trial: u32, event: Event) -> Record {
        Record { v: 1, seq: 1, at: String::new(), trial: Some(TrialId(trial)), event }
    }

    /// An event of the whole sweep.
    fn sweep_record(event: Event) -> Record {
        Record { trial: None, ..record(1, event) }
    }

    #[test]
    fn a_failure_says_whether_it_is_tried_again() {
        let study = Study::new(&plan(2));
        let failure = Failure { kind: FailureKind::Signal(9), message: "killed".to_owned() };
        let text = |retry| of(&record(2, Event::Failed { failure: failure.clone(), retry }), &study).unwrap();
        assert_eq!(text(true), "trial 0002 failed: killed; it is tried again");
        assert_eq!(text(false), "trial 0002 failed: killed");
    }

    /// The line of an attempt that starts on the second GPU.
    fn started(study: &Study, attempt: u32, micro_batch: Option<usize>, alone: bool) -> String {
        let device = Device::gpu(GpuBackend::Cuda, 1);
        let event = Event::Started { attempt, device, micro_batch, alone, with: Vec::new(), worker: None };
        of(&record(1, event), study).unwrap()
    }

    #[test]
    fn a_second_attempt_has_its_number() {
        let study = Study::new(&plan(1));
        assert_eq!(started(&study, 2, None, false), "trial 0001 starts on cuda:1 (attempt 2)");
    }

    #[test]
    fn an_attempt_alone_in_micro_batches_says_so() {
        let study = Study::new(&plan(1));
        let small = "trial 0001 starts alone on cuda:1 in micro-batches of 8 (attempt 5)";
        assert_eq!(started(&study, 5, Some(8), true), small);
    }

    #[test]
    fn trials_together_say_how_many_others_there_are() {
        let (study, device) = (Study::new(&plan(3)), Device::Cpu { slot: 0, threads: 1 });
        let with = vec![TrialId(2), TrialId(3)];
        let event =
            Event::Started { attempt: 1, device, micro_batch: None, alone: false, with, worker: None };
        let line = of(&record(1, event), &study).unwrap();
        assert_eq!(line, "trial 0001 starts on cpu:0 together with 2 other trials");
    }

    #[test]
    fn the_swept_settings_follow_a_colon() {
        let mut study = Study::new(&plan(1));
        let dropout = ("dropout".to_owned(), Value::Float(0.1));
        study.trials[0].trial.params.0.push(dropout);
        assert_eq!(started(&study, 1, None, false), "trial 0001 starts on cuda:1: dropout=0.1");
    }

    /// The line of a trial that has steps of an earlier attempt or of another trial.
    fn resumed(from: Option<TrialRef>) -> String {
        let study = Study::new(&plan(1));
        of(&record(1, Event::Resumed { step: 120, epoch: 2.4, from }), &study).unwrap()
    }

    #[test]
    fn a_trial_that_resumes_its_own_checkpoint_says_where() {
        assert_eq!(resumed(None), "trial 0001 resumes at step 120 (epoch 2.4)");
    }

    #[test]
    fn a_trial_that_starts_from_another_ones_checkpoint_names_it() {
        let line = resumed(Some(TrialRef { sweep: None, trial: TrialId(8) }));
        assert_eq!(line, "trial 0001 resumes at step 120 (epoch 2.4), from trial 0008's final checkpoint");
    }

    #[test]
    fn a_trial_that_is_reused_names_the_sweep_and_the_trial() {
        let line = resumed(Some(TrialRef { sweep: Some("older".to_owned()), trial: TrialId(9) }));
        assert_eq!(line, "trial 0001 is reused from older/0009");
    }

    #[test]
    fn an_interrupted_sweep_says_how_to_resume() {
        let study = Study::new(&plan(3));
        let text = of(&sweep_record(Event::SweepEnded { interrupted: true }), &study).unwrap();
        assert_eq!(text, "interrupted: 3 of 3 trials wait; the same command goes on with them");
    }

    #[test]
    fn an_interrupted_sweep_of_one_trial_has_no_plural() {
        let study = Study::new(&plan(1));
        let text = of(&sweep_record(Event::SweepEnded { interrupted: true }), &study).unwrap();
        assert_eq!(text, "interrupted: 1 of 1 trial waits; the same command goes on with it");
    }

    /// The line at the start of a sweep of so many trials.
    fn begun_with(trials: u32, devices: Vec<Device>) -> String {
        let study = Study::new(&plan(trials));
        let (version, notes) = (String::new(), Vec::new());
        let begun = Event::SweepStarted { version, devices, trials, arithmetic: None, notes };
        of(&sweep_record(begun), &study).unwrap()
    }

    #[test]
    fn a_sweep_of_one_trial_begins_without_a_plural() {
        let devices = vec![Device::Cpu { slot: 0, threads: 1 }];
        assert_eq!(begun_with(1, devices), "sweep test: 1 trial, on cpu:0");
    }

    #[test]
    fn a_gpu_with_several_slots_is_named_once() {
        let devices = [0, 1, 0].map(|index| Device::gpu(GpuBackend::Cuda, index)).to_vec();
        assert_eq!(begun_with(4, devices), "sweep test: 4 trials, on cuda:0 (2 at once), cuda:1");
    }

    #[test]
    fn a_tokenizer_that_does_not_know_the_texts_is_warned_of_once() {
        let mut study = Study::new(&plan(2));
        let prepared = |share: f64| Prepared {
            train_documents: 10,
            train_chunks: 10,
            validation_documents: 1,
            test_documents: 1,
            long_documents: 0,
            duplicates_dropped: 0,
            unknown_share: share,
            parameters: 1,
            steps: 1,
            seconds: 0.0,
        };
        assert_eq!(of(&record(1, Event::Prepared(prepared(0.02))), &study), None);
        let warned = record(1, Event::Prepared(prepared(0.031)));
        let text = of(&warned, &study).unwrap();
        assert!(text.starts_with("warning: 3.1 % of the training texts' tokens are unknown"), "{text}");
        study.apply(&warned).unwrap();
        assert_eq!(of(&record(2, Event::Prepared(prepared(0.031))), &study), None);
    }
}
