//! Commands that read a sweep's results or a model and say what stands there.

use std::{io, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{Exit, Format, Rank, Stop, SweepArgs, open, pending, print};
use crate::results::Results;

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

impl Layout {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Markdown => "markdown",
        }
    }
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
    /// What decides which trial is the best
    #[arg(long, value_enum, default_value_t = Rank::TestF1)]
    rank: Rank,
}

#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// Folder of an exported model
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Texts to classify; without any, those of standard input
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
}

pub(super) fn leaderboard(args: &LeaderboardArgs, results: &Results) -> Result<Exit, Stop> {
    let opened = open(results, args.sweep.sweep.as_deref())?;
    print(&pending::leaderboard(&opened.study, args.format.as_str(), args.rank, None))?;
    Ok(Exit::Complete)
}

pub(super) fn export_best(args: &ExportArgs, results: &Results) -> Result<Exit, Stop> {
    let opened = open(results, args.sweep.sweep.as_deref())?;
    let sweep = (&opened.folder, &opened.plan, &opened.study);
    let out = pending::export_best(sweep, args.rank, args.out.as_deref());
    print(&format!("{}\n", out.map_err(|error| Stop::results(&error))?.display()))?;
    Ok(Exit::Complete)
}

pub(super) fn report(args: &SweepArgs, results: &Results) -> Result<Exit, Stop> {
    let opened = open(results, args.sweep.as_deref())?;
    let (folder, study) = (&opened.folder, &opened.study);
    let trials: Vec<_> = study.trials.iter().map(|trial| trial.trial.id).collect();
    pending::draw_trials(folder, study, &trials)
        .and_then(|()| pending::write_leaderboard(folder, study))
        .and_then(|()| pending::draw_sweep(folder, study))
        .map_err(|error| Stop::results(&error))?;
    print(&format!("{}\n", folder.report().display()))?;
    Ok(Exit::Complete)
}

pub(super) fn predict(args: &PredictArgs) -> Result<Exit, Stop> {
    let json = args.format == Format::Json;
    let answer = pending::predict(&args.model, &args.texts, &mut io::stdin().lock(), json);
    print(&answer.map_err(|error| Stop::usage(error.to_string()))?)?;
    Ok(Exit::Complete)
}
