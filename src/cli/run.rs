//! `sweep run`: from a spec to results.

use std::{
    fmt::Write as _,
    fs,
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::Args;

use super::{
    Exit, Stop,
    checkpoints::{self, Checkpoints},
    eprint_lossy, prepare, print, replay, show, terminal_width, texts,
};
use crate::{
    device::Device,
    display,
    error_chain::chain,
    executor::{self, Ended, Note, Run, Workers},
    fingerprint,
    leaderboard::RankBy,
    machine::Machine,
    plan::{self, Overview, Plan},
    progress::{self, Display},
    report,
    results::{Results, SweepFolder},
    spec,
    study::Study,
    trial::TrialId,
};

/// Rows of the leaderboard in the summary.
const TOP: usize = 10;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The spec (TOML)
    spec: PathBuf,
    /// Set a key of the spec, such as train.epochs=3; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// auto, cpu, cpu:N (slots), or a list such as cuda:0,cuda:1
    #[arg(long, default_value = "auto")]
    devices: String,
    /// Print the plan and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Forget what an earlier run of this sweep left
    #[arg(long)]
    fresh: bool,
}

pub(super) fn run(args: &RunArgs, results: &Results) -> Result<Exit, Stop> {
    let colour = io::stderr().is_terminal();
    prepare::check_paths(&args.spec, results)?;
    let checkpoints = Checkpoints::new(results, args.fresh);
    let reading = spec::read(&args.spec, &args.set, &|wanted| checkpoints.inspect(wanted))
        .map_err(|error| checkpoints.stop(&error, colour))?;
    for warning in &reading.warnings {
        eprint_lossy(&warning.render(colour));
    }
    let devices = devices(&args.devices)?;
    let mut plan = Plan::new(&reading.spec, &reading.dataset);
    prepare::check_data_paths(&plan)?;
    if args.dry_run {
        let devices = devices_line(&devices);
        let notes = [
            texts::notes(&plan, &reading.dataset),
            checkpoints.notes(&plan),
            checkpoints::unused(&reading.checkpoints),
        ]
        .concat();
        let overview = Overview {
            plan: &plan,
            dataset: &reading.dataset,
            checkpoints: &reading.checkpoints,
            devices: &devices,
            notes: &notes,
        };
        print(&plan::describe(&overview))?;
        return Ok(Exit::Complete);
    }
    drop(reading);
    let names = plan.trials.iter().map(|trial| trial.settings.checkpoint.as_str());
    plan.fingerprints.checkpoints =
        fingerprint::checkpoints(names).map_err(|error| Stop::usage(error.to_string()))?;
    let folder = results.sweep(&plan.sweep);
    if args.fresh || !folder.plan().exists() {
        // Before anything is removed or made.
        checkpoints.fetch_weights(&Study::new(&plan))?;
    }
    let lock = folder.lock()?;
    if args.fresh {
        prepare::forget(&folder, &lock)?;
    }
    prepare::prepare(&folder, &plan, &spec_as_run(args)?)?;
    let (mut study, _) = replay(&folder, &plan)?;
    let again = prepare::reopen(&folder, &mut study);
    checkpoints.fetch_weights(&study)?;
    let ended = execute(&folder, plan, (study, again), devices)?;
    let exit = Exit::of_run(ended.study.counts(), ended.interrupted);
    conclude(&folder, &ended.study)?;
    drop(lock);
    Ok(exit)
}

fn devices(choice: &str) -> Result<Vec<Device>, Stop> {
    let with_gpus = cfg!(feature = "cuda") && (choice.trim() == "auto" || choice.contains("cuda"));
    Ok(Machine::detect(with_gpus).slots(choice)?)
}

/// `cpu:0, cpu:1 (1 thread each)`
fn devices_line(devices: &[Device]) -> String {
    let describe = |device: &Device| match device {
        Device::Cpu { threads: 1, .. } => format!("{device} (1 thread)"),
        Device::Cpu { threads, .. } => format!("{device} ({threads} threads)"),
        Device::Cuda { .. } => device.to_string(),
    };
    devices.iter().map(describe).collect::<Vec<_>>().join(", ")
}

/// The spec as it ran: its text, below the command that ran it.
fn spec_as_run(args: &RunArgs) -> Result<String, Stop> {
    let text = fs::read_to_string(&args.spec)
        .map_err(|error| Stop::usage(format!("cannot read {}: {error}", args.spec.display())))?;
    // Escaped, so that the comment is one line whatever a path or an override holds.
    let mut command = format!("# sweep run {}", args.spec.display().to_string().escape_debug());
    for set in &args.set {
        let _ = write!(command, " --set {set:?}");
    }
    Ok(format!("{command}\n{text}"))
}

/// Runs what is left of `study`; its trials `again` too, although the log says that they are complete.
fn execute(
    folder: &SweepFolder,
    plan: Plan,
    (study, again): (Study, Vec<TrialId>),
    devices: Vec<Device>,
) -> Result<Ended, Stop> {
    // Before anything else, since a run that was killed may have left trials without pictures.
    let board = show::leaderboard(folder, &study, RankBy::TestF1);
    if let Err(error) = show::draw_missing(folder, &study, &board) {
        eprint_lossy(&format!("warning: cannot draw: {}\n", display::message(&chain(&*error))));
    }
    let mut display = Display::new(&study, io::stderr().is_terminal());
    let workers = Workers::of_this_program().map_err(|error| Stop::internal(&error))?;
    let run = Run { folder: folder.clone(), plan, again, devices, workers };
    // The run reads the log anew.
    drop((study, board));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(|error| Stop::internal(&error))?.block_on(async {
        let interrupts = executor::interrupts().map_err(|error| Stop::internal(&error))?;
        let mut watch = |note: Note<'_>| match note {
            Note::Logged(record, study) => display.logged(record, study),
            Note::Moved(trial, progress) => display.moved(trial, progress),
            Note::Stopping(times) => display.stopping(times),
            Note::Trouble(text) => display.print(&format!("warning: {text}")),
        };
        Ok::<_, Stop>(executor::run(run, interrupts, show::drawing(folder.clone()), &mut watch).await?)
    });
    display.close();
    ended
}

/// Draws the sweep as it stands and says what came of it.
fn conclude(folder: &SweepFolder, study: &Study) -> Result<(), Stop> {
    let board = show::leaderboard(folder, study, RankBy::TestF1);
    let drawn = show::draw_missing(folder, study, &board)
        .and_then(|()| show::write_leaderboard(folder, &board))
        .and_then(|()| show::draw_sweep(folder, study, &board, &report::pictured(&board)));
    let table = board.to_table_within(terminal_width(), TOP);
    match progress::summary(&mut io::stdout().lock(), study, &table, folder) {
        // The exit code tells what came of the run, whoever reads the summary.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    // Told last: a disk that is full does not take the figures away.
    drawn.map_err(|error| Stop::results(&chain(&*error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_with_their_threads() {
        let devices = [Device::Cpu { slot: 0, threads: 1 }, Device::Cpu { slot: 1, threads: 2 }];
        assert_eq!(devices_line(&devices), "cpu:0 (1 thread), cpu:1 (2 threads)");
    }
}
