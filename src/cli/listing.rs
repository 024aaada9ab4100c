//! Commands that read a sweep's results or a model and say what stands there.

use std::{io, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{Exit, Opened, Rank, Stop, SweepArgs, open, print, show};
use crate::{
    error_chain::chain,
    export::{Model, export},
    leaderboard::RankBy,
    machine::Machine,
    predict::{self, PredictError, Texts},
    results::{Results, read_json},
    train::{Exported, Precision, Session},
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

#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// Folder of an exported model
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Predicted::Table)]
    format: Predicted,
    /// Standard input is a CSV with a header, and the texts stand in this column
    #[arg(long, value_name = "NAME", conflicts_with = "texts")]
    column: Option<String>,
    /// Where the model runs: cpu or cuda:0
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Texts to classify; without any, each line of standard input is one
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
}

/// Type of exported parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dtype {
    /// 32 bits
    F32,
    /// 16 bits: half the size
    F16,
}

/// How predictions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Predicted {
    /// For people: class, probability, text
    Table,
    /// For programs: every class's probability
    Json,
    /// For spreadsheets: every class's probability
    Csv,
}

pub(super) fn leaderboard(args: &LeaderboardArgs, results: &Results) -> Result<Exit, Stop> {
    let opened = open(results, args.sweep.sweep.as_deref())?;
    let board = show::leaderboard(&opened.folder, &opened.study, args.rank.by());
    print(&match args.format {
        Layout::Table => board.to_table(),
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
        let message = format!("no trial of {} is complete yet, so there is no best one", plan.sweep);
        return Err(Stop { exit: Exit::NoneComplete, message });
    };
    let trial = folder.trial(record.trial.id);
    let job: Job = read_json(&trial.job())?;
    let precision = match args.dtype {
        Dtype::F32 => Precision::F32,
        Dtype::F16 => Precision::F16,
    };
    let model = Model { job: &job, folder: trial.path(), labels: &study.labels, outcome, precision };
    let out = args.out.clone().unwrap_or_else(|| folder.path().join("best-model"));
    export(&model, &out).map_err(|error| Stop::results(&chain(&error)))?;
    let params = record.trial.params.to_string();
    let params = if params.is_empty() { params } else { format!(" ({params})") };
    let (id, by) = (record.trial.id, args.rank.by().describe());
    print(&format!("{}: trial {id}{params}, the best by {by}\n", out.display()))?;
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

pub(super) fn predict(args: &PredictArgs) -> Result<Exit, Stop> {
    let model = Exported::read(&args.model).map_err(|error| Stop::usage(chain(&error)))?;
    let device = Machine::detect(args.device.starts_with("cuda")).slots(&args.device)?;
    let device = device.first().copied().ok_or_else(|| Stop::usage("no device to predict on"))?;
    let mut session = Session::open(device).map_err(|error| Stop::usage(chain(&error)))?;
    let texts = match &args.column {
        Some(column) => Texts::Column(Box::new(io::stdin().lock()), column.clone()),
        None if args.texts.is_empty() => Texts::Lines(Box::new(io::stdin().lock())),
        None => Texts::Given(args.texts.clone()),
    };
    let format = match args.format {
        Predicted::Table => predict::Format::Table,
        Predicted::Json => predict::Format::Json,
        Predicted::Csv => predict::Format::Csv,
    };
    match predict::predict(&mut session, &model, texts, format, &mut io::stdout().lock()) {
        Err(PredictError::Write(error)) => Err(error.into()),
        Err(error) => Err(Stop::usage(chain(&error))),
        Ok(()) => Ok(Exit::Complete),
    }
}
