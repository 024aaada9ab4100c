//! Commands that show a sweep's results: `leaderboard` and `report`.

use clap::{Args, ValueEnum};

use super::{
    args::{Rank, SweepArgs},
    exit::{Exit, Stop},
    open::{OpenedSweep, open},
    show,
    terminal::{eprint_lossy, print, terminal_width},
};
use crate::{display, error_chain::chain, leaderboard::RankBy, report, results::Results};

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
pub(super) struct ReportArgs {
    #[command(flatten)]
    sweep: SweepArgs,
    /// Pictures of every trial, also of a sweep of more than 200
    #[arg(long)]
    all: bool,
}

pub(super) fn leaderboard(args: &LeaderboardArgs, results: &Results) -> Result<Exit, Stop> {
    let opened = open(results, args.sweep.sweep.as_deref())?;
    let board = show::leaderboard(&opened.folder, &opened.study, args.rank.by());
    // The other formats have this sentence among their footnotes.
    let has_notes = matches!(args.format, LeaderboardFormat::Table | LeaderboardFormat::Markdown);
    if let Some(warning) = board.nothing_fit().filter(|_| !has_notes) {
        eprint_lossy(&format!("warning: {warning}\n"));
    }
    print(&match args.format {
        LeaderboardFormat::Table => board.to_table_within(terminal_width(), usize::MAX),
        LeaderboardFormat::Json => board.to_json(),
        LeaderboardFormat::Csv => board.to_csv(),
        LeaderboardFormat::Markdown => board.to_markdown(),
    })?;
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
