//! `sweep run`: from a spec to results.

use std::{collections::BTreeMap, fmt::Write as _, io, path::PathBuf};

use clap::Args;

use super::{
    cautions,
    checkpoints::RunCheckpoints,
    dry_run::DryRun,
    exit::{Exit, Stop},
    observing::ProgressObserver,
    open::{Replayed, replay},
    prepare, show,
    slots::{self, Load},
    terminal::{eprint_lossy, has_colour, look, terminal_width},
};
use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    display,
    error_chain::chain,
    executor::{self, Ended, Observer, Painter, Run, Workers},
    leaderboard::RankBy,
    plan::Plan,
    progress::{self, Display},
    report,
    results::{Lock, Results, SweepFolder},
    sampler::FixedPlan,
    spec,
    spec::{Reading, Spec},
    study::Study,
    system::files::named,
    system::{device::Device, disk},
    trial::TrialId,
};

/// Number of leaderboard rows in the summary.
const SUMMARY_ROWS: usize = 10;

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
    let colour = has_colour();
    prepare::check_paths(&args.spec, results)?;
    let checkpoints = RunCheckpoints::new(results, args.fresh);
    let reading = spec::read(&args.spec, &args.set, &|wanted| checkpoints.inspect(wanted))
        .map_err(|error| checkpoints.stop(&error, colour))?;
    for warning in &reading.warnings {
        eprint_lossy(&warning.render(colour));
    }
    let plan = Plan::new(&reading.spec, &reading.dataset);
    let parameters = reading.checkpoints.values().map(|facts| facts.parameters).max().unwrap_or(0);
    let slots = slots::choose(&args.devices, Load { trials: plan.trials.len(), parameters })?;
    let precision_note = slots::check_precision(&plan, &slots.devices)?;
    prepare::check_data_paths(&plan)?;
    let folder = results.sweep(&plan.sweep);
    if args.dry_run {
        let (reading, checkpoints, slots) = (&reading, &checkpoints, &slots);
        let is_fresh = args.fresh;
        return DryRun { folder: &folder, reading, checkpoints, slots, precision_note, is_fresh }.show(plan);
    }
    for note in plan.notes.iter().cloned().chain(precision_note) {
        eprint_lossy(&format!("{}\n", display::plain(&note)));
    }
    // The documents are not needed any more, and may be many millions.
    let Reading { spec, checkpoints: facts, .. } = reading;
    PlannedRun { args, folder, checkpoints, spec, facts, devices: slots.devices }.start(plan)
}

/// A run whose spec is checked.
struct PlannedRun<'a> {
    args: &'a RunArgs,
    folder: SweepFolder,
    checkpoints: RunCheckpoints<'a>,
    spec: Spec,
    /// Facts of the checkpoints.
    facts: BTreeMap<Checkpoint, CheckpointFacts>,
    devices: Vec<Device>,
}

impl PlannedRun<'_> {
    /// Runs the trials of `plan` that are not over, and concludes the run.
    fn start(mut self, mut plan: Plan) -> Result<Exit, Stop> {
        prepare::take_fingerprints(&mut plan)?;
        if self.args.fresh || !self.folder.plan().exists() {
            // An error in the weights is found before anything is removed or created.
            self.checkpoints.fetch_weights(&Study::new(&plan))?;
        }
        // From here on everything happens in this very folder, whatever becomes of its name.
        self.folder = self.folder.held()?;
        let lock = self.lock(&plan.sweep)?;
        if self.args.fresh {
            prepare::forget(&self.folder, &lock)?;
        }
        let plan = prepare::prepare(&self.folder, plan, &spec_as_run(self.args)?)?;
        // Of the plan as it is now: the trials may have other numbers in a sweep whose spec has changed.
        for caution in cautions::cautions(&plan, &self.spec, &self.facts) {
            eprint_lossy(&format!("{caution}\n"));
        }
        let Replayed { mut study, .. } = replay(&self.folder, &plan)?;
        let mut again = prepare::reopen(&self.folder, &mut study);
        if self.args.retry_failed {
            let failed = study.failed();
            study.reopen(&failed);
            again.extend(failed);
        }
        self.checkpoints.fetch_weights(&study)?;
        self.warn_of_full_disk(&study, &plan);
        let folder = self.folder;
        let ended = Execution { folder: &folder, plan, study, again, devices: self.devices }.run()?;
        folder.check()?;
        let exit = Exit::of_run(ended.study.counts(), ended.interrupted);
        conclude(&folder, &ended.study)?;
        drop(lock);
        Ok(exit)
    }

    /// Takes the lock of the folder, and says so if a process that has ended held it.
    fn lock(&self, sweep: &str) -> Result<Lock, Stop> {
        let lock = self.folder.lock()?;
        if let Some(holder) = lock.taken_over() {
            eprint_lossy(&format!(
                "the last run of {sweep} ({holder}) ended without a word: its lock is taken over\n"
            ));
        }
        Ok(lock)
    }

    /// Warns if the remaining trials need more disk space than there is.
    fn warn_of_full_disk(&self, study: &Study, plan: &Plan) {
        let path = self.folder.path();
        let forecast = prepare::forecast_disk(study, &self.facts, &self.devices, plan.policy.keep);
        if let Some(warning) = forecast.and_then(|forecast| forecast.warning(disk::free(path).ok()?, path)) {
            eprint_lossy(&format!("warning: {warning}\n"));
        }
    }
}

/// The spec with the command that runs it, as a comment above its text.
fn spec_as_run(args: &RunArgs) -> Result<String, Stop> {
    let text = named::read_to_string(&args.spec)
        .map_err(|error| Stop::usage(format!("cannot read {}: {error}", args.spec.display())))?;
    // Escaped, so that the comment stays on one line even if a path or an override has a line break.
    let mut command = format!("# sweep run {}", args.spec.display().to_string().escape_debug());
    for set in &args.set {
        let _ = write!(command, " --set {set:?}");
    }
    Ok(format!("{command}\n{text}"))
}

/// The trials of a run, ready to be run.
struct Execution<'a> {
    folder: &'a SweepFolder,
    plan: Plan,
    study: Study,
    /// Trials that run again although the log says that they are over.
    again: Vec<TrialId>,
    devices: Vec<Device>,
}

impl Execution<'_> {
    /// Runs the trials, and shows their progress.
    fn run(self) -> Result<Ended, Stop> {
        let Self { folder, plan, study, again, devices } = self;
        // Drawn before anything else: a run that was killed may have left trials without pictures.
        let board = show::leaderboard(folder, &study, RankBy::TestF1);
        if let Err(error) = show::draw_missing(folder, &study, &board) {
            eprint_lossy(&format!("warning: cannot draw: {}\n", display::message(&chain(&*error))));
        }
        let mut display = Display::new(&study, look());
        let workers = Workers::of_this_program().map_err(|error| Stop::internal(&error))?;
        let run = Run { folder: folder.clone(), plan, again, devices, workers };
        // Not needed any more, and large: the executor reads the log itself.
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
}

/// Draws the sweep, writes its leaderboard, and prints the summary.
fn conclude(folder: &SweepFolder, study: &Study) -> Result<(), Stop> {
    let board = show::leaderboard(folder, study, RankBy::TestF1);
    let drawn = show::draw_missing(folder, study, &board)
        .and_then(|()| show::write_leaderboard(folder, &board))
        .and_then(|()| show::draw_sweep(folder, study, &board, &report::pictured(&board)));
    let table = board.to_table_within(terminal_width(), SUMMARY_ROWS);
    match progress::summary(&mut io::stdout().lock(), study, &table, folder) {
        // Nobody reads the summary, but the exit code still says how the run ended.
        Err(error) if is_unread(&error) => {}
        written => written?,
    }
    // Reported last, so that the summary is printed even if the disk is full.
    drawn.map_err(|error| Stop::results(&chain(&*error)))
}

/// Whether nobody reads the output: the reader has closed it (EPIPE), or the terminal is gone (EIO).
fn is_unread(error: &io::Error) -> bool {
    let is_hung_up = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    is_hung_up || error.kind() == io::ErrorKind::BrokenPipe
}
