//! `sweep export-best`: the best trial's model, or that of a named trial, as a folder for other programs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{
    args::{Rank, SweepArgs},
    exit::{Exit, Stop},
    export_folds,
    open::{OpenedSweep, with_sweep},
    reopening, show,
    terminal::{eprint_lossy, print},
};
use crate::{
    display::{self, plain, shell_word},
    error_chain::chain,
    export::{Choice, Model, export},
    leaderboard::{self, RankBy, verdict, verdict::Verdict},
    results::Results,
    study::{Study, TrialRecord},
    system::files::{Place, named},
    train::Precision,
    trial::{State, TrialId},
};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    sweep: SweepArgs,
    /// Folder to write the model to
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Type of the parameters
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    dtype: Dtype,
    /// What decides which trial is the best; by default test-f1. With folds it decides which configuration is, by default by
    /// val-f1, its out-of-fold F1
    #[arg(long, value_enum)]
    rank: Option<Rank>,
    /// Number of the trial to export in place of the best one, whatever its verdict
    #[arg(long, value_name = "N", conflicts_with = "rank")]
    trial: Option<u32>,
}

/// Type of exported parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dtype {
    /// 32 bits
    F32,
    /// 16 bits: half the size
    F16,
}

pub(super) fn export_best(args: &ExportArgs, results: &Results) -> Result<Exit, Stop> {
    let done = with_sweep(results, args.sweep.sweep.as_deref(), |opened| export_of(opened, args))?;
    print(&done)?;
    Ok(Exit::Complete)
}

/// Exports the model that the arguments name, and says so.
fn export_of(opened: &OpenedSweep, args: &ExportArgs) -> Result<String, Stop> {
    let OpenedSweep { folder, plan, study, .. } = opened;
    let (record, choice) = chosen(study, args, &folder.arguments())?;
    let id = record.trial.id;
    let Some(outcome) = &record.outcome else { return Err(not_complete(record)) };
    if let Some(stop) = reopening::unusable_parameters(folder, record) {
        return Err(stop);
    }
    let verdict = verdict::judge(record);
    let (job, trial) = (plan.job(&record.trial), folder.trial(id));
    let precision = match args.dtype {
        Dtype::F32 => Precision::F32,
        Dtype::F16 => Precision::F16,
    };
    let labels = &study.labels;
    let model = Model { job: &job, folder: trial.place(), labels, outcome, verdict, choice, precision };
    let out = match &args.out {
        // If it is a link, the folder behind the link is replaced: the user named it.
        Some(path) => Place::of(named::canonical(path).unwrap_or_else(|_| path.clone())),
        None => folder.best_model(),
    };
    export(&model, &out).map_err(|error| Stop::results(&chain(&error)))?;
    if let Some(verdict) = verdict.filter(|verdict| verdict.is_unfit()) {
        eprint_lossy(&format!("warning: trial {id} is {verdict}: it {}\n", verdict.describe()));
    }
    let params = record.trial.described();
    let params = if params.is_empty() { params } else { format!(" ({})", plain(&params)) };
    let shown = args.out.as_deref().unwrap_or(out.path());
    Ok(format!(
        "{}: trial {id}{params}, {}\n{}to classify texts with it: sweep predict --model {} \"a text\"\n",
        display::path(shown),
        choice.describe(),
        export_folds::advice(plan, &record.trial).unwrap_or_default(),
        shell_word(&display::path(shown)),
    ))
}

/// The trial that the arguments name.
fn chosen<'a>(
    study: &'a Study,
    args: &ExportArgs,
    arguments: &str,
) -> Result<(&'a TrialRecord, Choice), Stop> {
    if let Some(number) = args.trial {
        return Ok((named(study, TrialId(number))?, Choice::Named));
    }
    if study.folds.is_some() {
        let rank = args.rank.map_or(show::FOLDS_RANK, Rank::by);
        return Ok((export_folds::best(study, rank, arguments)?, Choice::BestOverFolds(rank)));
    }
    let rank = args.rank.map_or(RankBy::TestF1, Rank::by);
    Ok((best(study, rank, arguments)?, Choice::Best(rank)))
}

/// The trial that ranks first, among those that are fit for use.
fn best<'a>(study: &'a Study, rank_by: RankBy, arguments: &str) -> Result<&'a TrialRecord, Stop> {
    let board = leaderboard::build(study, rank_by, &|_| None);
    if let Some(record) = board.leader().and_then(|row| study.trial(row.trial)) {
        return Ok(record);
    }
    let name = plain(&study.sweep);
    let message = match board.put_last().next() {
        Some(first) => format!(
            "{name} has no trial that is fit for export: {}; to export one all the same: sweep export-best {} \
             --trial {}",
            unfit(study),
            plain(arguments),
            first.trial.0,
        ),
        None if study.is_over() && study.counts().complete > 0 => {
            format!("{name} has no best trial: no complete one has a finite {}", rank_by.describe())
        }
        None if study.is_over() => format!("{name} has no best trial: every trial of it failed"),
        None => format!("{name} has no best trial: none is complete yet"),
    };
    Err(Stop::new(Exit::NoneComplete, &message))
}

/// Describes the verdicts of complete trials of which none is fit for use.
fn unfit(study: &Study) -> String {
    let verdicts: Vec<Verdict> = study
        .trials
        .iter()
        .filter(|record| record.state == State::Complete)
        .filter_map(verdict::judge)
        .collect();
    let count = |verdict| verdicts.iter().filter(|found| **found == verdict).count();
    let parts = [Verdict::Collapsed, Verdict::Diverged].map(|verdict| (count(verdict), verdict));
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, verdict)| format!("{count} {verdict} (the trial {})", verdict.describe()))
        .collect();
    format!("of {} complete, {}", verdicts.len(), parts.join(" and "))
}

/// The trial with this number.
pub(super) fn named(study: &Study, id: TrialId) -> Result<&TrialRecord, Stop> {
    study.trial(id).ok_or_else(|| {
        let numbers = || study.trials.iter().map(|record| record.trial.id);
        let range = numbers().min().zip(numbers().max());
        let range = range.map_or_else(
            || "it has none".to_owned(),
            |(first, last)| {
                format!("the first of its {} trials is {first}, and the last is {last}", study.trials.len())
            },
        );
        let removed = if study.removed.contains(&id) { " any more, since its spec has changed" } else { "" };
        Stop::usage(format!("{} has no trial {id}{removed}; {range}", plain(&study.sweep)))
    })
}

/// The error for a trial that has no result to export.
fn not_complete(record: &TrialRecord) -> Stop {
    let id = record.trial.id;
    let message = match record.state {
        State::Failed => {
            format!("trial {id} failed and has no model; --retry-failed of sweep run tries it again")
        }
        State::Halted => format!(
            "trial {id} was halted at a rung and is not measured on the test set; --continue-halted {} of sweep run lets \
             it go on to its end",
            id.0
        ),
        State::Waiting | State::Running | State::Paused | State::Complete => {
            format!("trial {id} is {} and has no model yet; run the sweep to its end", record.state.as_str())
        }
    };
    Stop::new(Exit::NoneComplete, &message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        samples::{collapsed, failed, record, study},
        trial::FailureKind,
    };

    fn stopped(found: Result<&TrialRecord, Stop>) -> (Exit, String) {
        let stop = found.unwrap_err();
        (stop.exit, stop.message)
    }

    #[test]
    fn a_collapsed_trial_is_not_the_best_while_there_is_another() {
        let study = study(vec![collapsed(1, 0.9), record(2, &[0.5])]);
        assert_eq!(best(&study, RankBy::TestF1, "reviews").unwrap().trial.id, TrialId(2));
    }

    #[test]
    fn a_sweep_of_collapsed_trials_has_no_best_one_and_says_how_to_export_one() {
        let study = study(vec![collapsed(1, 0.5), collapsed(2, 0.9)]);
        let (exit, message) = stopped(best(&study, RankBy::TestF1, "reviews"));
        assert_eq!(exit, Exit::NoneComplete);
        assert!(
            message.contains("of 2 complete, 2 collapsed (the trial predicts no better than chance"),
            "{message}"
        );
        assert!(message.ends_with("sweep export-best reviews --trial 2"), "{message}");
    }

    #[test]
    fn a_sweep_whose_trials_all_failed_has_no_best_one() {
        let study = study(vec![failed(record(1, &[0.5]), FailureKind::Panic)]);
        let (exit, message) = stopped(best(&study, RankBy::TestF1, "reviews"));
        assert_eq!(
            (exit, message.ends_with("every trial of it failed")),
            (Exit::NoneComplete, true),
            "{message}"
        );
    }

    #[test]
    fn a_trial_that_does_not_exist_is_answered_with_those_that_do() {
        let study = study(vec![record(1, &[0.5]), record(4, &[0.5])]);
        let (exit, message) = stopped(named(&study, TrialId(9)));
        assert_eq!(
            (exit, message.as_str()),
            (
                Exit::Usage,
                "reviews has no trial 0009; the first of its 2 trials is 0001, and the last is 0004"
            )
        );
    }

    #[test]
    fn a_trial_that_waits_or_failed_has_nothing_to_export() {
        let mut waiting = record(1, &[]);
        waiting.state = State::Waiting;
        assert!(not_complete(&waiting).message.starts_with("trial 0001 is waiting"));
        let stop = not_complete(&failed(record(2, &[0.5]), FailureKind::Panic));
        assert!(
            stop.exit == Exit::NoneComplete && stop.message.contains("--retry-failed"),
            "{}",
            stop.message
        );
    }
}
