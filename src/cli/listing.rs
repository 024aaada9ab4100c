//! Commands that read a sweep's results and say what stands there.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Exit, Opened, Rank, Stop, SweepArgs, open, prepare, print, show, terminal_width};
use crate::{
    display::plain,
    error_chain::chain,
    export::{Model, export},
    leaderboard::RankBy,
    results::Results,
    train::Precision,
    trial::Job,
};

/// How the leaderboard is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// For people
    Table,
    /// For programs: every field
    Json,
    /// For spreadsheets: every field
    Csv,
    /// For documents
    Markdown,
}

#[derive(Debug, Args)]
pub(super) struct LeaderboardArgs {
    #[command(flatten)]
    sweep: SweepArgs,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Layout::Table)]
    format: Layout,
    /// What decides
    #[arg(long, value_enum, default_value_t = Rank::TestF1)]
    rank: Rank,
}

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
    /// What decides which trial is the best
    #[arg(long, value_enum, default_value_t = Rank::TestF1)]
    rank: Rank,
}

/// Type of exported parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dtype {
    /// 32 bits
    F32,
    /// 16 bits: half the size
    F16,
}

pub(super) fn leaderboard(args: &LeaderboardArgs, results: &Results) -> Result<Exit, Stop> {
    let opened = open(results, args.sweep.sweep.as_deref())?;
    let board = show::leaderboard(&opened.folder, &opened.study, args.rank.by());
    print(&match args.format {
        Layout::Table => board.to_table_within(terminal_width(), usize::MAX),
        Layout::Json => board.to_json(),
        Layout::Csv => board.to_csv(),
        Layout::Markdown => board.to_markdown(),
    })?;
    Ok(Exit::Complete)
}

pub(super) fn export_best(args: &ExportArgs, results: &Results) -> Result<Exit, Stop> {
    let Opened { folder, plan, study, .. } = open(results, args.sweep.sweep.as_deref())?;
    let board = show::leaderboard(&folder, &study, args.rank.by());
    let best = board.leader().and_then(|row| study.trials.iter().find(|record| record.trial.id == row.trial));
    let Some((record, outcome)) = best.and_then(|record| Some((record, record.outcome.as_ref()?))) else {
        let why = if study.is_over() { "every trial of it failed" } else { "none is complete yet" };
        let message = format!("{} has no best trial: {why}", plan.sweep);
        return Err(Stop { exit: Exit::NoneComplete, message });
    };
    let trial = folder.trial(record.trial.id);
    if let Some(stop) = prepare::missing_parameters(&folder, record.trial.id) {
        return Err(stop);
    }
    let job = Job {
        sweep: plan.sweep.clone(),
        trial: record.trial.clone(),
        data: plan.data.clone(),
        checkpoint_every: plan.policy.checkpoint_every,
        cache: None,
    };
    let precision = match args.dtype {
        Dtype::F32 => Precision::F32,
        Dtype::F16 => Precision::F16,
    };
    let model = Model { job: &job, folder: trial.path(), labels: &study.labels, outcome, precision };
    let out = args.out.clone().unwrap_or_else(|| folder.best_model());
    export(&model, &out).map_err(|error| Stop::results(&chain(&error)))?;
    let params = record.trial.params.to_string();
    let params = if params.is_empty() { params } else { format!(" ({})", plain(&params)) };
    let (id, rank) = (record.trial.id, args.rank.by().describe());
    print(&format!("{}: trial {id}{params}, the best by {rank}\n", out.display()))?;
    Ok(Exit::Complete)
}

pub(super) fn report(args: &SweepArgs, results: &Results) -> Result<Exit, Stop> {
    let Opened { folder, study, .. } = open(results, args.sweep.as_deref())?;
    let trials: Vec<_> = study.trials.iter().map(|trial| trial.trial.id).collect();
    let board = show::leaderboard(&folder, &study, RankBy::TestF1);
    show::draw_trials(&folder, &study, &trials)
        .and_then(|()| show::write_leaderboard(&folder, &board))
        .and_then(|()| show::draw_sweep(&folder, &study, &board))
        .map_err(|error| Stop::results(&chain(&*error)))?;
    print(&format!("{}\n", folder.report().display()))?;
    Ok(Exit::Complete)
}
