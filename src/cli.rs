//! The command line: its arguments, the commands, and the exit code.
//!
//! Results go to standard output, everything else to standard error. A reader
//! that closes standard output early (`sweep leaderboard | head -1`) is no error.

mod args;
mod cache;
mod cautions;
mod changes;
mod checkpoints;
mod devices;
mod dry_run;
mod exit;
mod export_best;
mod list;
mod listing;
mod observing;
mod open;
mod predict;
mod prepare;
mod reopening;
mod run;
mod shell;
mod show;
mod slots;
mod status;
mod terminal;
mod texts;
mod tips;
mod verify;
mod worker;

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};

use self::exit::Stop;
pub use self::{exit::Exit, show::drawing};
use crate::results::Results;

/// Hyperparameter sweeps for fine-tuning text classifiers, with honest numbers.
#[derive(Debug, Parser)]
#[command(name = "sweep", version, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: SweepCommand,
    /// Folder of all results
    #[arg(long, global = true, value_name = "DIR", default_value = "results")]
    results: PathBuf,
}

#[derive(Debug, Subcommand)]
enum SweepCommand {
    /// Run a sweep; run again after an interruption, it goes on where it stopped
    Run(run::RunArgs),
    /// Show the ranked trials of a sweep
    Leaderboard(listing::LeaderboardArgs),
    /// Write the best trial's model as a Hugging Face folder
    ExportBest(export_best::ExportArgs),
    /// Draw every picture and the HTML page again from the log
    Report(listing::ReportArgs),
    /// Classify texts given as arguments, or those of a file or of standard input
    Predict(predict::PredictArgs),
    /// Show what runs, what waits and how long it will take
    Status(status::StatusArgs),
    /// Check every file of a sweep's results
    Verify(verify::VerifyArgs),
    /// List the sweeps of the results folder
    List(list::ListArgs),
    /// List what trials share on the disk, or remove it
    Cache(cache::CacheArgs),
    /// Show what this machine offers
    Devices(devices::DevicesArgs),
    /// Print the completions of a shell
    Completions(shell::CompletionsArgs),
    /// Print the manual page, or write a page for each command into a folder
    Man(shell::ManArgs),
    /// Serve trials on one device (started by `run`)
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
}

/// Runs the program with its arguments.
#[must_use]
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Clap reports help and version as errors too; they go to standard output and exit with 0.
            let _ = error.print();
            if let Some(tip) = tips::tip(&error) {
                terminal::eprint_lossy(&format!("\n{tip}"));
            }
            return if error.use_stderr() { Exit::Usage } else { Exit::Complete };
        }
    };
    match dispatch(cli) {
        Ok(exit) => exit,
        Err(stop) => {
            if !stop.message.is_empty() {
                terminal::eprint_lossy(&format!("error: {}\n", stop.message));
            }
            stop.exit
        }
    }
}

/// Runs the command that the arguments name.
fn dispatch(cli: Cli) -> Result<Exit, Stop> {
    let results = Results::new(cli.results);
    match cli.command {
        SweepCommand::Run(args) => run::run(&args, &results),
        SweepCommand::Leaderboard(args) => listing::leaderboard(&args, &results),
        SweepCommand::ExportBest(args) => export_best::export_best(&args, &results),
        SweepCommand::Report(args) => listing::report(&args, &results),
        SweepCommand::Predict(args) => predict::predict(&args),
        SweepCommand::Status(args) => status::status(&args, &results),
        SweepCommand::Verify(args) => verify::verify(&args, &results),
        SweepCommand::List(args) => list::list(&args, &results),
        SweepCommand::Cache(args) => cache::cache(&args, &results),
        SweepCommand::Devices(args) => devices::devices(&args),
        SweepCommand::Completions(args) => shell::completions(&args, Cli::command()),
        SweepCommand::Man(args) => shell::man(&args, Cli::command()),
        SweepCommand::Worker(args) => worker::serve(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_worker_command_is_not_shown() {
        assert!(!Cli::command().render_long_help().to_string().contains("worker"));
    }
}
