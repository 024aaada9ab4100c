//! Commands that read a sweep's results: `leaderboard`, `export-best` and `report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{
    args::{Rank, SweepArgs},
    exit::{Exit, Stop},
    open::{OpenedSweep, open},
    prepare, show,
    terminal::{print, terminal_width},
};
use crate::{
    display::{self, plain},
    error_chain::chain,
    export::{Model, export},
    leaderboard::RankBy,
    report,
    results::Results,
    train::Precision,
};

/// How the leaderboard is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LeaderboardFormat {
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
    #[arg(long, value_enum, default_value_t = LeaderboardFormat::Table)]
    format: LeaderboardFormat,
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

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    sweep: SweepArgs,
    /// Pictures of every trial, also of a sweep of more than 200
    #[arg(long)]
    all: bool,
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
        LeaderboardFormat::Table => board.to_table_within(terminal_width(), usize::MAX),
        LeaderboardFormat::Json => board.to_json(),
        LeaderboardFormat::Csv => board.to_csv(),
        LeaderboardFormat::Markdown => board.to_markdown(),
    })?;
    Ok(Exit::Complete)
}

pub(super) fn export_best(args: &ExportArgs, results: &Results) -> Result<Exit, Stop> {
    let OpenedSweep { folder, plan, study, .. } = open(results, args.sweep.sweep.as_deref())?;
    let board = show::leaderboard(&folder, &study, args.rank.by());
    let best = board.leader().and_then(|row| study.trials.iter().find(|record| record.trial.id == row.trial));
    let Some((record, outcome)) = best.and_then(|record| Some((record, record.outcome.as_ref()?))) else {
        let why = if study.is_over() { "every trial of it failed" } else { "none is complete yet" };
        let message = format!("{} has no best trial: {why}", plan.sweep);
        return Err(Stop::new(Exit::NoneComplete, &message));
    };
    let trial = folder.trial(record.trial.id);
    if let Some(stop) = prepare::missing_parameters(&folder, record) {
        return Err(stop);
    }
    let job = plan.job(&record.trial);
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
    print(&format!("{}: trial {id}{params}, the best by {rank}\n", display::path(&out)))?;
    Ok(Exit::Complete)
}

pub(super) fn report(args: &ReportArgs, results: &Results) -> Result<Exit, Stop> {
    let OpenedSweep { folder, study, .. } = open(results, args.sweep.sweep.as_deref())?;
    let board = show::leaderboard(&folder, &study, RankBy::TestF1);
    let every = || study.trials.iter().map(|trial| trial.trial.id).collect();
    let pictured = if args.all { every() } else { report::pictured(&board) };
    show::draw_trials(&folder, &study, &pictured)
        .and_then(|()| show::write_leaderboard(&folder, &board))
        .and_then(|()| show::draw_sweep(&folder, &study, &board, &pictured))
        .map_err(|error| Stop::results(&chain(&*error)))?;
    print(&format!("{}\n", display::path(&folder.report())))?;
    Ok(Exit::Complete)
}
