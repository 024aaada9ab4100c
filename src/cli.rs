//! The command line: what is asked for, who does it, and the exit code.
//!
//! Results go to standard output, everything else to standard error. A reader
//! that closes standard output early (`sweep leaderboard | head -1`) is no error.

mod cache;
mod changes;
mod checkpoints;
mod devices;
mod exit;
mod listing;
mod observing;
mod predict;
mod prepare;
mod run;
mod show;
mod slots;
mod status;
mod texts;

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::exit::Stop;
pub use self::{exit::Exit, show::drawing};
use crate::{
    display::{columns, plain},
    event::Event,
    journal::{self, RESTART},
    leaderboard::RankBy,
    plan::Plan,
    results::{Results, SweepFolder},
    study::Study,
    system::device::Device,
    worker,
};

/// Hyperparameter sweeps for fine-tuning text classifiers, with honest numbers.
#[derive(Debug, Parser)]
#[command(name = "sweep", version, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Folder of all results
    #[arg(long, global = true, value_name = "DIR", default_value = "results")]
    results: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a sweep; run again after an interruption, it goes on where it stopped
    Run(run::RunArgs),
    /// Show the ranked trials of a sweep
    Leaderboard(listing::LeaderboardArgs),
    /// Write the best trial's model as a Hugging Face folder
    ExportBest(listing::ExportArgs),
    /// Draw every picture and the HTML page again from the log
    Report(listing::ReportArgs),
    /// Classify texts given as arguments, or those of a file or of standard input
    Predict(predict::PredictArgs),
    /// Show what runs, what waits and how long it will take
    Status(status::StatusArgs),
    /// List what trials share on the disk, or remove it
    Cache(cache::CacheArgs),
    /// Show what this machine offers
    Devices(devices::DevicesArgs),
    /// Serve trials on one device (started by `run`)
    #[command(hide = true)]
    Worker(WorkerArgs),
}

#[derive(Debug, Args)]
struct SweepArgs {
    /// Name of the sweep; the newest by default
    sweep: Option<String>,
}

#[derive(Debug, Args)]
struct WorkerArgs {
    /// cpu:SLOT or cuda:INDEX
    #[arg(long)]
    device: String,
    /// Threads that training may use
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

/// How trials are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rank {
    /// By F1 on the test set, highest first
    TestF1,
    /// By F1 on the validation set, highest first
    ValF1,
    /// By loss on the validation set, lowest first
    ValLoss,
}

impl Rank {
    const fn by(self) -> RankBy {
        match self {
            Self::TestF1 => RankBy::TestF1,
            Self::ValF1 => RankBy::ValF1,
            Self::ValLoss => RankBy::ValLoss,
        }
    }
}

/// How a listing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Runs the program with its arguments.
#[must_use]
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, and go to standard output.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Complete };
        }
    };
    match dispatch(cli) {
        Ok(exit) => exit,
        Err(stop) => {
            if !stop.message.is_empty() {
                eprint_lossy(&format!("error: {}\n", stop.message));
            }
            stop.exit
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, Stop> {
    let results = Results::new(cli.results);
    match cli.command {
        Command::Run(args) => run::run(&args, &results),
        Command::Leaderboard(args) => listing::leaderboard(&args, &results),
        Command::ExportBest(args) => listing::export_best(&args, &results),
        Command::Report(args) => listing::report(&args, &results),
        Command::Predict(args) => predict::predict(&args),
        Command::Status(args) => status::status(&args, &results),
        Command::Cache(args) => cache::cache(&args, &results),
        Command::Devices(args) => devices::devices(&args),
        Command::Worker(args) => serve(&args),
    }
}

fn serve(args: &WorkerArgs) -> Result<Exit, Stop> {
    let number = |text: &str| text.parse::<usize>().ok();
    let device = match args.device.split_once(':') {
        Some(("cpu", slot)) => number(slot).map(|slot| Device::Cpu { slot, threads: args.threads.into() }),
        Some(("cuda", index)) => number(index).map(|index| Device::Cuda { index }),
        Some(_) | None => None,
    };
    let device = device.ok_or_else(|| Stop::usage(format!("unknown device `{}`", args.device)))?;
    Ok(match worker::run(device) {
        worker::Left::Quietly => Exit::Complete,
        worker::Left::AfterFailure => Exit::Internal,
    })
}

/// A sweep as its folder tells, without writing there.
struct Opened {
    folder: SweepFolder,
    plan: Plan,
    study: Study,
    /// Device slots of the latest run, if there was one.
    slots: Option<usize>,
}

/// Reads the sweep called `name`, or the newest one.
fn open(results: &Results, name: Option<&str>) -> Result<Opened, Stop> {
    let folder = results.find(name)?;
    let plan = read_plan(&folder)?;
    let plan = plan.ok_or_else(|| Stop::results(&format!("{} is gone", folder.plan().display())))?;
    let (study, slots) = replay(&folder, &plan)?;
    Ok(Opened { folder, plan, study, slots })
}

/// What the log in `folder` tells of `plan`, and the device slots of the latest run.
fn replay(folder: &SweepFolder, plan: &Plan) -> Result<(Study, Option<usize>), Stop> {
    let (mut study, mut slots, mut applied) = (Study::new(plan), None, Ok(()));
    journal::scan(&folder.log(), &mut |record| {
        if let Event::SweepStarted { devices, .. } = &record.event {
            slots = Some(devices.len());
        }
        applied = applied.clone().and_then(|()| study.apply(&record));
    })?;
    Ok(applied.map(|()| (study, slots))?)
}

/// The plan in `folder`, if there is one.
fn read_plan(folder: &SweepFolder) -> Result<Option<Plan>, Stop> {
    let path = folder.plan();
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| Stop::results(&format!("cannot read {}: {error}", path.display())))?,
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Stop::results(&format!("{} is damaged or cut off ({error}); {RESTART}", path.display()))
    })
}

/// Writes `text` to standard output.
fn print(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush())?)
}

/// Writes `text` to standard error, if anybody listens there.
fn eprint_lossy(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes `value` to standard output as indented JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), Stop> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    print(&(text + "\n"))
}

/// Columns of the terminal that standard output is, or what `COLUMNS` says they are; `None` when
/// it is no terminal.
fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    let asked = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    said.filter(|width| *width > 0).or_else(|| asked().filter(|width| *width > 0))
}

/// Rows as a table: columns as wide as their widest cell, two spaces between them.
fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let pad = |(cell, width): (&String, &usize)| cell.clone() + &" ".repeat(width - columns(cell));
        let cells: Vec<String> = row.iter().zip(&widths).map(pad).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_worker_command_is_not_shown() {
        assert!(!Cli::command().render_long_help().to_string().contains("worker"));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(ToOwned::to_owned).to_vec();
        assert_eq!(table(&[row(["a", "b"]), row(["long", ""])]), "a     b\nlong\n");
        assert_eq!(table(&[row(["差评", "b"]), row(["\u{1b}[2J", "c"])]), "差评  b\n [2J  c\n");
    }
}
