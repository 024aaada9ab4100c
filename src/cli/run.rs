//! `sweep run`: from a spec to results.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    fs,
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::Args;

use super::{
    Exit, Stop, changes,
    checkpoints::{self, Checkpoints},
    eprint_lossy,
    observing::ProgressObserver,
    prepare, print, read_plan, replay, show,
    slots::{self, Load, Slots},
    terminal_width, texts,
};
use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    display,
    error_chain::{chain, with_causes},
    executor::{self, Ended, Observer, Painter, Run, Workers},
    fingerprint,
    leaderboard::RankBy,
    plan::{self, DiskForecast, Overview, Plan},
    policy::Keep,
    progress::{self, Display},
    report,
    results::{Results, SweepFolder},
    sampler::FixedPlan,
    spec::{self, Reading},
    study::Study,
    system::{device::Device, disk},
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
    /// Try failed trials again
    #[arg(long)]
    retry_failed: bool,
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
    let mut plan = Plan::new(&reading.spec, &reading.dataset);
    let parameters = reading.checkpoints.values().map(|facts| facts.parameters).max().unwrap_or(0);
    let slots = slots::choose(&args.devices, Load { trials: plan.trials.len(), parameters })?;
    let note = slots::check_precision(&plan, &slots.devices)?;
    prepare::check_data_paths(&plan)?;
    let folder = results.sweep(&plan.sweep);
    if args.dry_run {
        return dry_run(args, (&folder, plan), (&reading, note), (&checkpoints, &slots));
    }
    if let Some(note) = note {
        eprint_lossy(&format!("{note}\n"));
    }
    let Reading { checkpoints: facts, .. } = reading;
    let devices = slots.devices;
    take_fingerprints(&mut plan)?;
    if args.fresh || !folder.plan().exists() {
        // Before anything is removed or made.
        checkpoints.fetch_weights(&Study::new(&plan))?;
    }
    let lock = folder.lock()?;
    if let Some(holder) = lock.taken_over() {
        let name = &plan.sweep;
        eprint_lossy(&format!(
            "the last run of {name} ({holder}) ended without a word: its lock is taken over\n"
        ));
    }
    if args.fresh {
        prepare::forget(&folder, &lock)?;
    }
    let plan = prepare::prepare(&folder, plan, &spec_as_run(args)?)?;
    let (mut study, _) = replay(&folder, &plan)?;
    let mut again = prepare::reopen(&folder, &mut study);
    if args.retry_failed {
        let failed = study.failed();
        study.reopen(&failed);
        again.extend(failed);
    }
    checkpoints.fetch_weights(&study)?;
    if let Some(warning) = forecast(&study, &facts, &devices, plan.policy.keep)
        .and_then(|forecast| forecast.warning(disk::free(folder.path()).ok()?, folder.path()))
    {
        eprint_lossy(&format!("warning: {warning}\n"));
    }
    let ended = execute(&folder, plan, (study, again), devices)?;
    let exit = Exit::of_run(ended.study.counts(), ended.interrupted);
    conclude(&folder, &ended.study)?;
    drop(lock);
    Ok(exit)
}

/// Shows the plan, and what it makes of an earlier one.
fn dry_run(
    args: &RunArgs,
    (folder, mut plan): (&SweepFolder, Plan),
    (reading, note): (&Reading, Option<String>),
    (checkpoints, slots): (&Checkpoints<'_>, &Slots),
) -> Result<Exit, Stop> {
    let mut notes = [
        texts::notes(&plan, &reading.dataset),
        checkpoints.notes(&plan),
        checkpoints::unused(&reading.checkpoints),
    ]
    .concat();
    notes.extend(note);
    let mut study = Study::new(&plan);
    let mut refusal = None;
    if let Some(found) = if args.fresh { None } else { read_plan(folder)? } {
        take_fingerprints(&mut plan)?;
        match changes::revise(folder, &found, &plan) {
            Ok(revision) => {
                eprint_lossy(&changes::describe(&revision));
                plan = revision.plan;
                (study, _) = replay(folder, &plan)?;
            }
            Err(stop) => refusal = Some(stop),
        }
    }
    let free = disk::free(folder.path()).ok();
    let forecast = forecast(&study, &reading.checkpoints, &slots.devices, plan.policy.keep);
    let warning = forecast.zip(free).and_then(|(forecast, free)| forecast.warning(free, folder.path()));
    notes.extend(warning.map(|warning| format!("warning: {warning}")));
    let overview = Overview {
        plan: &plan,
        dataset: &reading.dataset,
        devices: &slots.line(),
        disk: &forecast.map_or_else(|| "unknown".to_owned(), |forecast| forecast.describe(free)),
        notes: &notes,
    };
    print(&plan::describe(&overview))?;
    refusal.map_or(Ok(Exit::Complete), Err)
}

/// Reads the checkpoints whole for their digests.
fn take_fingerprints(plan: &mut Plan) -> Result<(), Stop> {
    let names = plan.trials.iter().map(|trial| &trial.settings.checkpoint);
    plan.fingerprints.checkpoints =
        fingerprint::checkpoints(names).map_err(|error| Stop::usage(with_causes(&error)))?;
    Ok(())
}

/// The disk space that the trials take that are still to be run.
fn forecast(
    study: &Study,
    facts: &BTreeMap<Checkpoint, CheckpointFacts>,
    devices: &[Device],
    keep: Keep,
) -> Option<DiskForecast> {
    let due: HashSet<TrialId> = study.to_run().into_iter().map(|(trial, _)| trial).collect();
    let trials = study.trials.iter().map(|record| &record.trial).filter(|trial| due.contains(&trial.id));
    DiskForecast::new(trials, facts, devices.len(), keep)
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

/// Runs what is left of `study`; its trials `again` too, although the log says that they are over.
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
        let mut progress = ProgressObserver(&mut display);
        let mut painter = Painter::new(show::drawing(folder.clone()));
        let observers: Vec<&mut dyn Observer> = vec![&mut progress, &mut painter];
        Ok::<_, Stop>(executor::run(run, interrupts, &mut FixedPlan, observers).await?)
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
        Err(error) if is_unheard(&error) => {}
        written => written?,
    }
    // Told last: a disk that is full does not take the figures away.
    drawn.map_err(|error| Stop::results(&chain(&*error)))
}

/// Whether nobody is there to read: the reader has seen enough, or the terminal was closed (EIO).
fn is_unheard(error: &io::Error) -> bool {
    let is_hung_up = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    is_hung_up || error.kind() == io::ErrorKind::BrokenPipe
}
