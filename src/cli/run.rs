//! `sweep run`: from a spec to results.

use std::{
    fs,
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::Args;

use super::{Exit, Rank, Stop, pending, print, table};
use crate::{
    device::Device,
    executor::{self, Draw, Ended, Note, Run, Workers},
    journal,
    machine::Machine,
    plan::Plan,
    progress::{self, Display},
    results::{Results, SweepFolder, json, write_atomic},
    study::Study,
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
    let read = pending::read_spec(&args.spec, &args.set).map_err(Stop::usage)?;
    let devices = devices(&args.devices)?;
    if args.dry_run {
        print(&describe(&read.plan, &devices))?;
        return Ok(Exit::Complete);
    }
    let folder = results.sweep(&read.plan.sweep);
    let lock = folder.lock()?;
    if args.fresh {
        folder.clear(&lock)?;
    }
    prepare(&folder, &read.plan, &read.text)?;
    let ended = execute(&folder, &read.plan, devices)?;
    let exit = Exit::of_run(ended.study.counts(), ended.interrupted);
    conclude(&folder, &ended.study)?;
    drop(lock);
    Ok(exit)
}

fn devices(choice: &str) -> Result<Vec<Device>, Stop> {
    let with_gpus = cfg!(feature = "cuda") && (choice.trim() == "auto" || choice.contains("cuda"));
    Ok(Machine::detect(with_gpus).slots(choice)?)
}

fn describe(plan: &Plan, devices: &[Device]) -> String {
    let names: Vec<String> = devices.iter().map(ToString::to_string).collect();
    let mut rows = vec![vec!["trial".to_owned(), "seed".to_owned()]];
    rows[0].extend(plan.swept.iter().cloned());
    for trial in &plan.trials {
        let mut row = vec![trial.id.to_string(), trial.seed.to_string()];
        row.extend(trial.params.0.iter().map(|(_, value)| value.to_string()));
        rows.push(row);
    }
    format!("{}: {} trials on {}\n\n{}", plan.sweep, plan.trials.len(), names.join(","), table(&rows))
}

/// Makes the folder hold this plan, with the spec that it comes from, unless it does already.
fn prepare(folder: &SweepFolder, plan: &Plan, spec: &str) -> Result<(), Stop> {
    let path = folder.plan();
    let text = json(&path, plan)?;
    match fs::read_to_string(&path) {
        Ok(found) if found == text => Ok(()),
        Ok(_) => Err(Stop::usage(format!(
            "{} holds another plan under the same name; give the spec a new name, or --fresh to forget \
             those results",
            folder.path().display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_atomic(&path, text.as_bytes())?;
            Ok(write_atomic(&folder.spec(), spec.as_bytes())?)
        }
        Err(error) => Err(Stop::results(&format!("cannot read {}: {error}", path.display()))),
    }
}

fn execute(folder: &SweepFolder, plan: &Plan, devices: Vec<Device>) -> Result<Ended, Stop> {
    let study = Study::replay(plan, &journal::replay(&folder.log())?.records)?;
    let mut display = Display::new(&study, io::stderr().is_terminal());
    let workers = Workers::of_this_program().map_err(|error| Stop::internal(&error))?;
    let run = Run { folder: folder.clone(), plan: plan.clone(), devices, workers };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(|error| Stop::internal(&error))?.block_on(async {
        let interrupts = executor::interrupts().map_err(|error| Stop::internal(&error))?;
        let mut watch = |note: Note<'_>| match note {
            Note::Logged(record, study) => display.logged(record, study),
            Note::Moved(trial, progress) => display.moved(trial, progress),
            Note::Stopping(times) => display.stopping(times),
            Note::Trouble(text) => display.print(&format!("warning: {text}")),
        };
        Ok::<_, Stop>(executor::run(run, interrupts, draw(folder.clone()), &mut watch).await?)
    });
    display.close();
    ended
}

fn draw(folder: SweepFolder) -> Draw {
    Box::new(move |study, trials| {
        pending::draw_trials(&folder, study, trials)?;
        pending::write_leaderboard(&folder, study)
    })
}

/// Draws the sweep as it stands and says what came of it.
fn conclude(folder: &SweepFolder, study: &Study) -> Result<(), Stop> {
    pending::write_leaderboard(folder, study)
        .and_then(|()| pending::draw_sweep(folder, study))
        .map_err(|error| Stop::results(&error))?;
    let leaderboard = pending::leaderboard(study, "table", Rank::TestF1, Some(TOP));
    match progress::summary(&mut io::stdout().lock(), study, &leaderboard, folder) {
        // The exit code tells what came of the run, whoever reads the summary.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study;

    #[test]
    fn the_same_plan_goes_on_and_another_one_under_its_name_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = Results::new(root.path()).sweep("test");
        let lock = folder.lock().unwrap();
        let plan = study::tests::plan(2);
        prepare(&folder, &plan, "the spec").unwrap();
        prepare(&folder, &plan, "the spec, with a comment").unwrap();
        assert_eq!(fs::read_to_string(folder.spec()).unwrap(), "the spec");

        let other = study::tests::plan(3);
        let stop = prepare(&folder, &other, "").unwrap_err();
        assert_eq!(stop.exit, Exit::Usage);
        assert!(stop.message.contains("--fresh"), "{}", stop.message);

        folder.clear(&lock).unwrap();
        prepare(&folder, &other, "another spec").unwrap();
        assert_eq!(fs::read_to_string(folder.spec()).unwrap(), "another spec");
    }

    #[test]
    fn a_plan_is_shown_as_a_table() {
        let devices = [Device::Cpu { slot: 0, threads: 1 }];
        let text = describe(&study::tests::plan(1), &devices);
        assert_eq!(text, "test: 1 trials on cpu:0\n\ntrial  seed\n0001   1\n");
    }
}
