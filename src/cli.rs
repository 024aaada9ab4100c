//! The command line: its arguments, the commands, and the exit code.
//!
//! Results go to standard output, everything else to standard error. A reader
//! that closes standard output early (`sweep leaderboard | head -1`) is no error.

mod args;
mod cache;
mod cautions;
mod changes;
mod checkpoints;
mod cluster;
mod compare;
mod devices;
mod dry_run;
mod effects;
mod exit;
mod explain;
mod export;
mod export_best;
mod export_folds;
mod following;
mod gpus;
mod history;
mod inspecting;
mod jobs;
mod list;
mod listing;
mod lock;
mod observing;
mod open;
mod pilot;
mod predict;
mod prepare;
mod probe;
mod reopening;
mod run;
mod rungs;
mod serve;
mod shell;
mod show;
mod slots;
mod status;
mod terminal;
mod texts;
mod tips;
mod tokenizer;
mod verify;
mod worker;

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};

use self::exit::Stop;
pub use self::{exit::Exit, show::drawing};
use crate::{
    results::Results,
    system::{disk::Lack, gpus::child, signals},
    train,
};

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
    /// Show two trials side by side, of one sweep or of two
    Compare(compare::CompareArgs),
    /// Write the figures of a sweep for TensorBoard, MLflow or notebooks
    Export(export::ExportFiguresArgs),
    /// Say what each setting did to the figures, and whether that is more than chance
    Effects(effects::EffectsArgs),
    /// Write the best trial's model as a Hugging Face folder
    ExportBest(export_best::ExportArgs),
    /// Draw every picture and the HTML page again from the log
    Report(listing::ReportArgs),
    /// Classify texts given as arguments, or those of a file or of standard input
    Predict(predict::PredictArgs),
    /// Show what runs, what waits and how long it will take
    Status(status::StatusArgs),
    /// Show the sweeps of the results folder in a browser, while they run too
    Serve(serve::ServeArgs),
    /// End the jobs that a sweep has on a cluster; their trials stop with a checkpoint
    Cancel(jobs::CancelArgs),
    /// Say where a trial comes from, and why it went on or was halted
    Explain(explain::ExplainArgs),
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
    /// Serve trials in the job of a cluster; only `sweep run` has it started
    #[command(hide = true)]
    Pilot(pilot::PilotArgs),
    /// Read the tokenizer of a checkpoint within bounds (started by `run` and `predict`)
    #[command(name = train::wall::COMMAND, hide = true)]
    Tokenizer(tokenizer::TokenizerArgs),
    /// Ask drivers about their GPUs (started by `run`, `predict` and `devices`)
    #[command(name = child::COMMAND, hide = true)]
    Probe(probe::ProbeArgs),
}

/// Runs the program with its arguments.
#[must_use]
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            terminal::print_usage(&error);
            if let Some(tip) = tips::tip(&error) {
                terminal::eprint_lossy(&format!("\n{tip}"));
            }
            return if error.use_stderr() { Exit::Usage } else { Exit::Complete };
        }
    };
    signals::survive_large_files();
    let results = cli.results.clone();
    match dispatch(cli) {
        Ok(exit) => exit,
        Err(stop) => {
            if !stop.message.is_empty() {
                let hint = exit::hint(&stop.message, || Lack::at(&results));
                let hint = hint.filter(|hint| !stop.message.contains(hint));
                let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
                terminal::eprint_rendered(&format!("error: {}{hint}\n", stop.message));
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
        SweepCommand::Compare(args) => compare::compare(&args, &results),
        SweepCommand::Export(args) => export::export(&args, &results),
        SweepCommand::Effects(args) => effects::effects(&args, &results),
        SweepCommand::ExportBest(args) => export_best::export_best(&args, &results),
        SweepCommand::Report(args) => listing::report(&args, &results),
        SweepCommand::Predict(args) => predict::predict(&args),
        SweepCommand::Status(args) => status::status(&args, &results),
        SweepCommand::Serve(args) => serve::serve(&args, &results),
        SweepCommand::Cancel(args) => jobs::cancel(&args, &results),
        SweepCommand::Explain(args) => explain::explain(&args, &results),
        SweepCommand::Verify(args) => verify::verify(&args, &results),
        SweepCommand::List(args) => list::list(&args, &results),
        SweepCommand::Cache(args) => cache::cache(&args, &results),
        SweepCommand::Devices(args) => devices::devices(&args),
        SweepCommand::Completions(args) => shell::completions(&args, Cli::command()),
        SweepCommand::Man(args) => shell::man(&args, Cli::command()),
        SweepCommand::Worker(args) => worker::serve(&args),
        SweepCommand::Pilot(args) => pilot::fly(&args),
        SweepCommand::Tokenizer(args) => tokenizer::examine(&args),
        SweepCommand::Probe(args) => probe::probe(&args),
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
    fn the_commands_of_child_processes_are_not_shown() {
        let help = Cli::command().render_long_help().to_string();
        for hidden in ["worker", "pilot", train::wall::COMMAND, child::COMMAND] {
            assert!(!help.contains(hidden), "{hidden}");
        }
    }
}
