//! `sweep run`: from a spec to results.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    path::PathBuf,
    thread,
    time::{Duration, SystemTime},
};

use clap::Args;

use super::{
    args::trial_number,
    cautions,
    checkpoints::RunCheckpoints,
    cluster::{self, ClusterArgs},
    dry_run::DryRun,
    exit::{Exit, Stop},
    gpus, history,
    inspecting::Inspector,
    jobs, lock,
    observing::ProgressObserver,
    open::{Replayed, read_plan, replay},
    prepare, reopening, rungs, show,
    slots::{self, ChosenSlots, Load},
    terminal::{eprint_lossy, eprint_rendered, has_colour, look, terminal_width},
};
use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    display,
    error_chain::chain,
    executor::{self, ClusterRun, Ended, Observer, Painter, Run, Workers},
    leaderboard::{Leaderboard, RankBy},
    plan::Plan,
    policy::TrialsPerGpu,
    progress::{self, Display},
    report,
    results::{Lock, Results, ResultsError, SweepFolder},
    sampler::{Confirming, FixedPlan, Growing, Sampler},
    settings::{Freeze, Settings},
    spec,
    spec::{ExecutorSpec, Reading, Spec},
    study::Study,
    system::{clock, disk, files::named, machine, shortage::Shortage, signals::StopWish},
    trial::TrialId,
};

/// Tries to draw at the end of a run, and the time between two of them, where the machine is short of something.
const DRAWINGS_MAX: u32 = 5;
const DRAW_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Number of leaderboard rows in the summary.
const SUMMARY_ROWS: usize = 10;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The spec (TOML)
    spec: PathBuf,
    /// Set a key of the spec, such as train.epochs=3; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// auto, cpu, cpu:N (slots), cuda or wgpu (all GPUs), or a list such as cuda:0,cuda:2-3
    #[arg(long, default_value = "auto")]
    devices: String,
    /// Train up to so many trials of one shape as one model: auto, off, or a number; sets run.fuse
    #[arg(long, value_name = "TRIALS")]
    fuse: Option<String>,
    /// Trials that a GPU has at once: a number, or auto for as many as fit; instead of the spec's
    #[arg(long, value_name = "N")]
    trials_per_gpu: Option<TrialsPerGpu>,
    /// Print the plan and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Forget what an earlier run of this sweep left
    #[arg(long)]
    fresh: bool,
    /// Try failed trials again
    #[arg(long)]
    retry_failed: bool,
    /// Let these halted trials go on to their end, such as 7,12
    #[arg(long, value_name = "TRIALS", value_delimiter = ',', conflicts_with = "fresh", value_parser = trial_number)]
    continue_halted: Vec<u32>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(super) fn run(args: &RunArgs, results: &Results) -> Result<Exit, Stop> {
    let colour = has_colour();
    prepare::check_paths(&args.spec, results)?;
    let checkpoints = RunCheckpoints::new(results, args.fresh);
    let fuse = args.fuse.iter().map(|fuse| format!("run.fuse={fuse}"));
    let set: Vec<String> = args.set.iter().cloned().chain(fuse).chain(args.cluster.overrides()).collect();
    let mut reading = spec::read(&args.spec, &set, &|wanted| checkpoints.inspect(wanted))
        .map_err(|error| checkpoints.stop(&error, colour))?;
    args.cluster.check(&reading.spec.executor)?;
    history::look_up(&mut reading.spec, &reading.dataset, results, args.fresh)?;
    for warning in &reading.warnings {
        eprint_rendered(&warning.render(colour));
    }
    let mut plan = Plan::new(&reading.spec, &reading.dataset);
    plan.policy.trials_per_gpu = args.trials_per_gpu.unwrap_or(plan.policy.trials_per_gpu);
    let slots = choose_slots(args, &plan, &reading)?;
    let precision_note = slots::check_precision(&plan, &slots.devices)?;
    prepare::check_data_paths(&plan)?;
    rungs::check(&plan, &reading.dataset)?;
    let folder = results.sweep(&plan.sweep);
    if !args.fresh && folder.has_lost_its_plan() {
        return Err(ResultsError::NoPlan(folder.path().to_owned()).into());
    }
    if args.dry_run {
        let (reading, checkpoints, slots, is_fresh) = (&reading, &checkpoints, &slots, args.fresh);
        return DryRun { folder: &folder, reading, checkpoints, slots, precision_note, is_fresh }.show(plan);
    }
    let cluster = cluster::cluster_run(&reading.spec.executor)?;
    for note in plan.notes.iter().cloned().chain(precision_note).chain(slots.note.clone()) {
        eprint_lossy(&format!("{}\n", display::plain(&note)));
    }
    // The documents are not needed any more, and may be many millions.
    let Reading { spec, checkpoints: facts, .. } = reading;
    PlannedRun { args, folder, checkpoints, spec, facts, slots, cluster }.start(plan)
}

/// The slots of this machine; none where the workers of a cluster do the work.
fn choose_slots(args: &RunArgs, plan: &Plan, reading: &Reading) -> Result<ChosenSlots, Stop> {
    if reading.spec.executor != ExecutorSpec::Local {
        return Ok(ChosenSlots::none());
    }
    let parameters = reading.checkpoints.values().map(|facts| facts.parameters).max().unwrap_or(0);
    let activations = activations(plan, &reading.checkpoints);
    let load = Load { trials: plan.trials.len(), parameters, activations };
    slots::choose(&args.devices, load, plan.policy.trials_per_gpu)
}

/// Estimated bytes of the activations of a step, at most, of those trials of `plan` that train more than the classifier;
/// `None` if there is none.
fn activations(plan: &Plan, facts: &BTreeMap<Checkpoint, CheckpointFacts>) -> Option<u64> {
    let learning = plan.trials.iter().map(|trial| &trial.settings).filter(|it| it.freeze != Freeze::Encoder);
    let of = |settings: &Settings| {
        let facts = facts.get(&settings.checkpoint);
        facts.map_or(0, |facts| gpus::activations(settings, facts.layers, facts.parameters))
    };
    learning.map(of).max()
}

/// A run whose spec is checked.
struct PlannedRun<'a> {
    args: &'a RunArgs,
    folder: SweepFolder,
    checkpoints: RunCheckpoints<'a>,
    spec: Spec,
    /// Facts of the checkpoints.
    facts: BTreeMap<Checkpoint, CheckpointFacts>,
    slots: ChosenSlots,
    cluster: Option<ClusterRun>,
}

impl PlannedRun<'_> {
    /// Runs the trials of `plan` that are not over, and concludes the run.
    fn start(mut self, mut plan: Plan) -> Result<Exit, Stop> {
        let (visible, packing) = (self.slots.visible.clone(), self.slots.packing.clone());
        let workers = Workers { visible, packing, ..workers()? };
        prepare::take_fingerprints(&mut plan)?;
        if self.args.fresh || !self.folder.plan().exists() {
            // An error in the weights is found before anything is removed or created.
            self.checkpoints.fetch_weights(&Study::new(&plan))?;
        }
        if let Some(fault) = clock::fault(SystemTime::now()) {
            eprint_lossy(&format!("warning: {fault}, so that the times in the log are wrong\n"));
        }
        // From here on everything happens in this very folder, whatever becomes of its name.
        self.folder = self.folder.held()?;
        // Held until the end of this function.
        let lock = self.lock(&plan.sweep)?;
        self.check_continued()?;
        prepare::clean(&self.folder, &lock);
        let plan = self.write_plan(plan, &lock)?;
        // Of the plan as it is now: the trials may have other numbers in a sweep whose spec has changed.
        for caution in cautions::cautions(&plan, &self.spec, &self.facts) {
            eprint_lossy(&format!("{caution}\n"));
        }
        let Replayed { mut study, .. } = replay(&self.folder, &plan)?;
        let again = self.reopen(&mut study);
        self.checkpoints.fetch_weights(&study)?;
        self.warn_of_full_disk(&study, &plan);
        self.warn_of_workers();
        let continued = rungs::continued(&study, &self.args.continue_halted)?;
        let (folder, devices, cluster) = (self.folder, self.slots.devices, self.cluster);
        let sampler = sampler(&plan, self.spec);
        let (held, tenure) = (folder.clone(), lock.tenure());
        let run = Run { folder: held, tenure, plan, again, continued, devices, cluster, workers };
        let ended = execute(run, study, sampler)?;
        folder.check()?;
        if ended.is_detached {
            return jobs::after_interrupt(&folder, self.args.cluster.on_interrupt());
        }
        conclude(&folder, &ended)
    }

    /// The trials that run again although the log says that they are over.
    fn reopen(&self, study: &mut Study) -> Vec<TrialId> {
        let mut again = reopening::reopen(&self.folder, study);
        if self.args.retry_failed {
            let failed = study.failed();
            study.reopen(&failed);
            again.extend(failed);
        }
        again
    }

    fn warn_of_workers(&self) {
        if self.cluster.is_none() && !self.args.fresh {
            jobs::warn_of_workers(&self.folder);
        }
    }

    /// Refuses trials that cannot go on before anything is changed.
    fn check_continued(&self) -> Result<(), Stop> {
        if self.args.continue_halted.is_empty() {
            return Ok(());
        }
        let Some(found) = read_plan(&self.folder)? else {
            return Err(Stop::usage(
                "--continue-halted: the sweep has not begun, so that no trial is halted".to_owned(),
            ));
        };
        let Replayed { study, .. } = replay(&self.folder, &found)?;
        rungs::continued(&study, &self.args.continue_halted).map(drop)
    }

    /// Writes plan and spec into the folder, and returns the plan that it then holds.
    fn write_plan(&self, plan: Plan, lock: &Lock) -> Result<Plan, Stop> {
        let spec = spec_as_run(self.args)?;
        if !self.args.fresh {
            return prepare::prepare(&self.folder, plan, &spec);
        }
        // Nobody draws a sweep that is about to be forgotten.
        let _turn = self.folder.turn();
        prepare::forget(&self.folder, lock)?;
        prepare::prepare_anew(&self.folder, plan, &spec)
    }

    /// Takes the lock of the folder, and says so if a process that has ended held it.
    fn lock(&self, sweep: &str) -> Result<Lock, Stop> {
        let lock = lock::take(&self.folder, self.cluster.is_some())?;
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
        let forecast = prepare::forecast_disk(study, &self.facts, &self.slots.devices, &plan.policy);
        if let Some(warning) = forecast.and_then(|forecast| forecast.warning(disk::free(path).ok()?, path)) {
            eprint_lossy(&format!("warning: {warning}\n"));
        }
    }
}

/// Workers of this program, if this process may open as many files as a run needs.
fn workers() -> Result<Workers, Stop> {
    machine::check_open_files().map_err(|error| Stop::internal(&error))?;
    Workers::of_this_program().map_err(|error| {
        Stop::internal(&format!("cannot find the running program, which workers are started from: {error}"))
    })
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

/// Where further trials of `plan`, the plan of `spec`, come from.
fn sampler(plan: &Plan, spec: Spec) -> Box<dyn Sampler> {
    let grows = plan.search.as_ref().is_some_and(|search| search.growth.is_some());
    let search: Box<dyn Sampler> =
        if grows { Box::new(Growing::new(spec.clone())) } else { Box::new(FixedPlan) };
    if plan.confirm.is_some() { Box::new(Confirming::new(spec, search)) } else { search }
}

/// Runs the trials, and shows their progress. `study` is the sweep as it stands, `sampler` where further trials come from.
fn execute(run: Run, study: Study, mut sampler: Box<dyn Sampler>) -> Result<Ended, Stop> {
    let folder = run.folder.clone();
    // Drawn before anything else: a run that was killed may have left trials without pictures.
    let turn = folder.turn();
    let board = show::leaderboard(&folder, &study, RankBy::TestF1);
    if let Err(error) = show::draw_missing(&folder, &study, &board, &|| true) {
        eprint_lossy(&format!("warning: cannot draw: {}\n", chain(&*error)));
    }
    let mut display = Display::new(&study, look());
    // Not needed any more, and large: the executor reads the log itself.
    drop((study, board, turn));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(|error| Stop::internal(&error))?.block_on(async {
        let interrupts = executor::interrupts().map_err(|error| Stop::internal(&error))?;
        let mut progress = ProgressObserver(&mut display);
        let mut painter = Painter::new(show::drawing(folder));
        let observers: Vec<&mut dyn Observer> = vec![&mut progress, &mut painter];
        Ok::<_, Stop>(executor::run(run, interrupts, &mut *sampler, observers).await?)
    });
    display.close();
    ended
}

/// Draws the sweep, writes its leaderboard, and prints the summary. Returns how the run ended. Whoever wishes to
/// stop meanwhile gets the summary at once, and pictures later.
fn conclude(folder: &SweepFolder, ended: &Ended) -> Result<Exit, Stop> {
    let (wish, study) = (StopWish::listen(), &ended.study);
    let _turn = folder.turn();
    let is_wanted = || !ended.is_hurried && !wish.is_there();
    let board = show::leaderboard(folder, study, RankBy::TestF1);
    let drawn = patiently(&|| {
        show::write_leaderboard(folder, &board)?;
        show::draw_missing(folder, study, &board, &is_wanted)?;
        if is_wanted() { draw_sweep(folder, study, &board) } else { Ok(()) }
    });
    let table = match show::over_folds(folder, study) {
        Some(configurations) => configurations.to_table_within(terminal_width(), SUMMARY_ROWS),
        None => board.to_table_within(terminal_width(), SUMMARY_ROWS),
    };
    match progress::summary(&mut io::stdout().lock(), study, &table, folder) {
        // Nobody reads the summary, but the exit code still says how the run ended.
        Err(error) if is_unread(&error) => {}
        written => written?,
    }
    // Reported last, so that the summary is printed even if the disk is full.
    let error = drawn.err().map(|error| chain(&*error));
    end_of(ended, !is_wanted(), error)
}

/// Does what `draw` does, a few times if the machine is short of something for the moment.
fn patiently(draw: &dyn Fn() -> show::DrawResult) -> show::DrawResult {
    for _ in 1..DRAWINGS_MAX {
        match draw() {
            Err(error) if Shortage::cause(&*error).is_some() => thread::sleep(DRAW_AGAIN_AFTER),
            drawn => return drawn,
        }
    }
    draw()
}

fn draw_sweep(folder: &SweepFolder, study: &Study, board: &Leaderboard) -> show::DrawResult {
    let mut inspector = Inspector::of_small_data(folder.clone());
    show::draw_whole_sweep(folder, study, board, &report::pictured(board), &mut inspector)
}

/// How a run ended whose results were shown. A user who wished to stop gets the exit code of that, whatever could
/// not be drawn.
fn end_of(ended: &Ended, is_undrawn: bool, error: Option<String>) -> Result<Exit, Stop> {
    if is_undrawn {
        let sweep = &ended.study.sweep;
        let text = format!("interrupted: pictures may be missing; `sweep report {sweep}` draws them");
        return Err(Stop::new(Exit::Interrupted, &text));
    }
    match (Exit::of_run(ended.study.counts(), ended.interrupted), error) {
        (exit, None) => Ok(exit),
        (Exit::Interrupted, Some(error)) => Err(Stop::new(Exit::Interrupted, &error)),
        (_, Some(error)) => Err(Stop::results(&error)),
    }
}

/// Whether nobody reads the output: the reader has closed it (EPIPE), or the terminal is gone (EIO).
fn is_unread(error: &io::Error) -> bool {
    let is_hung_up = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    is_hung_up || error.kind() == io::ErrorKind::BrokenPipe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn ended(interrupted: bool) -> Ended {
        let mut study = samples::study(vec![samples::record(1, &[0.5]), samples::record(2, &[0.5])]);
        if interrupted {
            study.trials[1].state = crate::trial::State::Waiting;
        }
        Ended { study, interrupted, is_detached: false, is_hurried: false }
    }

    /// The exit code of a run, and whether it is an error.
    fn code(ended: &Ended, is_undrawn: bool, error: Option<&str>) -> (u8, bool) {
        match end_of(ended, is_undrawn, error.map(ToOwned::to_owned)) {
            Ok(exit) => (exit.code(), false),
            Err(stop) => (stop.exit.code(), true),
        }
    }

    #[test]
    fn results_that_cannot_be_drawn_are_an_error_unless_the_user_wished_to_stop() {
        assert_eq!(code(&ended(false), false, None), (0, false));
        assert_eq!(code(&ended(false), false, Some("no space")), (5, true));
        assert_eq!(code(&ended(true), false, None), (130, false));
        assert_eq!(code(&ended(true), false, Some("no space")), (130, true));
    }

    #[test]
    fn a_wish_to_stop_while_pictures_are_drawn_is_heard() {
        assert_eq!(code(&ended(false), true, None), (130, true));
        assert_eq!(code(&ended(false), true, Some("no space")), (130, true));
    }
}
