//! Commands that show a sweep's results: `leaderboard` and `report`.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};

use super::{
    args::{Rank, SweepArgs},
    exit::{Exit, Stop},
    inspecting::Inspector,
    open::{OpenedSweep, read, with_sweep},
    show,
    terminal::{eprint_lossy, print, terminal_width},
};
use crate::{
    display,
    error_chain::chain,
    leaderboard::{Configurations, Leaderboard, RankBy},
    report,
    results::{Results, SweepFolder},
    study::Study,
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

/// What a row of the leaderboard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// One trial
    Trial,
    /// One configuration: the trials that differ by their seed alone, or by their fold
    Configuration,
}

#[derive(Debug, Args)]
pub(super) struct LeaderboardArgs {
    #[command(flatten)]
    sweep: SweepArgs,
    /// How it is written
    #[arg(long, value_enum, default_value_t = LeaderboardFormat::Table)]
    format: LeaderboardFormat,
    /// What decides; by default test-f1, and among configurations over folds val-f1, which is their out-of-fold F1
    #[arg(long, value_enum)]
    rank: Option<Rank>,
    /// What a row is; by default a trial, and with folds a configuration
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Rows that are shown at most, or "all"; by default 20 in a table on a terminal, and all elsewhere
    #[arg(long, value_name = "N", value_parser = Top::parse)]
    top: Option<Top>,
    /// Every column of a table, however wide the terminal is
    #[arg(long)]
    wide: bool,
}

impl LeaderboardArgs {
    /// How many rows are shown.
    fn top(&self) -> Top {
        self.top.unwrap_or_else(|| Top::default_for(self.format, io::stdout().is_terminal()))
    }
}

/// Trials that a table on a terminal shows unless the user says how many.
const TOP_DEFAULT: usize = 20;

/// How often a report is drawn at most where trials end while it is drawn, and others draw too.
const DRAWINGS_MAX: u32 = 10;

/// How many trials are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Top(usize);

impl Top {
    const ALL: Self = Self(usize::MAX);

    /// A number of trials; "all" and 0 mean all of them.
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Ok(Self::ALL),
            Ok(count) => Ok(Self(count)),
            Err(_) if text == "all" => Ok(Self::ALL),
            Err(_) => Err("a number of trials, or `all`".to_owned()),
        }
    }

    /// The number that holds where the user gives none.
    fn default_for(format: LeaderboardFormat, is_terminal: bool) -> Self {
        if format == LeaderboardFormat::Table && is_terminal { Self(TOP_DEFAULT) } else { Self::ALL }
    }
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
    let board = with_sweep(results, args.sweep.sweep.as_deref(), |opened| {
        let OpenedSweep { folder, study, .. } = opened;
        let by_default = if study.folds.is_some() { By::Configuration } else { By::Trial };
        let by = args.by.unwrap_or(by_default);
        let rank = args.rank.map_or_else(|| default_rank(by, study), Rank::by);
        let board = match by {
            By::Configuration => Board::Configurations(show::configurations(folder, study, rank)),
            By::Trial => Board::Trials(Box::new(show::leaderboard(folder, study, rank))),
        };
        // Files of a sweep that was begun anew meanwhile are gone.
        opened.check_not_begun_anew().map(|()| board)
    })?;
    match board {
        Board::Trials(board) => by_trial(args, *board),
        Board::Configurations(board) => by_configuration(args, board),
    }
}

/// A leaderboard, by what its rows are.
enum Board {
    Trials(Box<Leaderboard>),
    Configurations(Configurations),
}

/// What decides where the user does not say it.
const fn default_rank(by: By, study: &Study) -> RankBy {
    match by {
        By::Configuration if study.folds.is_some() => show::FOLDS_RANK,
        By::Configuration | By::Trial => RankBy::TestF1,
    }
}

fn by_configuration(args: &LeaderboardArgs, mut board: Configurations) -> Result<Exit, Stop> {
    let Top(top) = args.top();
    print(&match args.format {
        LeaderboardFormat::Table => board.to_table_within(terminal_width().filter(|_| !args.wide), top),
        LeaderboardFormat::Markdown => board.to_markdown_of(top),
        LeaderboardFormat::Json => {
            board.rows.truncate(top);
            board.to_json()
        }
        LeaderboardFormat::Csv => {
            board.rows.truncate(top);
            board.to_csv()
        }
    })?;
    Ok(Exit::Complete)
}

fn by_trial(args: &LeaderboardArgs, mut board: Leaderboard) -> Result<Exit, Stop> {
    // The other formats have this sentence among their footnotes.
    let has_notes = matches!(args.format, LeaderboardFormat::Table | LeaderboardFormat::Markdown);
    if let Some(warning) = board.nothing_fit().filter(|_| !has_notes) {
        eprint_lossy(&format!("warning: {warning}\n"));
    }
    let Top(top) = args.top();
    print(&match args.format {
        LeaderboardFormat::Table => board.to_table_within(terminal_width().filter(|_| !args.wide), top),
        LeaderboardFormat::Markdown => board.to_markdown_of(top),
        LeaderboardFormat::Json => {
            board.rows.truncate(top);
            board.to_json()
        }
        LeaderboardFormat::Csv => {
            board.rows.truncate(top);
            board.to_csv()
        }
    })?;
    Ok(Exit::Complete)
}

pub(super) fn report(args: &ReportArgs, results: &Results) -> Result<Exit, Stop> {
    let folder = results.find(args.sweep.sweep.as_deref())?;
    for _ in 0..DRAWINGS_MAX {
        let turn = folder.turn();
        let OpenedSweep { study, .. } = read(folder.clone())?;
        draw(&folder, &study, args.all)?;
        // In a turn of its own, nobody else has drawn a later state.
        let is_newest = turn.is_some_and(|turn| turn.was_respected())
            || read(folder.clone())?.study.counts() == study.counts();
        if is_newest {
            break;
        }
    }
    print(&format!("{}\n", display::path(folder.report().path())))?;
    Ok(Exit::Complete)
}

/// Draws the pictures of trials and sweep, and writes leaderboard and page.
fn draw(folder: &SweepFolder, study: &Study, all: bool) -> Result<(), Stop> {
    let board = show::leaderboard(folder, study, RankBy::TestF1);
    let every = || study.trials.iter().map(|trial| trial.trial.id).collect();
    let pictured = if all { every() } else { report::pictured(&board) };
    show::draw_trials(folder, study, &pictured, &|| true)
        .and_then(|()| show::write_leaderboard(folder, &board))
        .and_then(|()| {
            let mut inspector = Inspector::new(folder.clone());
            show::draw_whole_sweep(folder, study, &board, &pictured, &mut inspector)
        })
        .map_err(|error| Stop::results(&chain(&*error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_trials_or_all_of_them_can_be_asked_for() {
        assert_eq!(Top::parse("5"), Ok(Top(5)));
        assert_eq!([Top::parse("0"), Top::parse("all")], [Ok(Top::ALL), Ok(Top::ALL)]);
        assert!(Top::parse("-1").is_err() && Top::parse("best").is_err());
    }

    #[test]
    fn only_a_table_on_a_terminal_is_cut_unless_it_is_asked_for() {
        assert_eq!(Top::default_for(LeaderboardFormat::Table, true), Top(20));
        assert_eq!(Top::default_for(LeaderboardFormat::Table, false), Top::ALL);
        for format in [LeaderboardFormat::Json, LeaderboardFormat::Csv, LeaderboardFormat::Markdown] {
            assert_eq!(Top::default_for(format, true), Top::ALL);
        }
    }
}
