//! The jobs that a sweep has on a cluster once no run looks after them: `sweep cancel`, and the question at Ctrl-C.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    args::SweepArgs,
    cluster::OnInterrupt,
    exit::{Exit, Stop, with_causes},
    lock,
    terminal::{eprint_lossy, print},
};
use crate::{
    display::plain,
    executor::{cancel_jobs, prefix},
    mailbox::{Letter, Mailbox, Message, Order, WorkerName},
    results::{Results, SweepFolder},
    slurm::Slurm,
};

/// How long workers have to stop their trials with a checkpoint before their jobs are ended.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    sweep: SweepArgs,
}

/// `sweep cancel`: ends the jobs of a sweep that no run looks after.
pub(super) fn cancel(args: &CancelArgs, results: &Results) -> Result<Exit, Stop> {
    let folder = results.find(args.sweep.sweep.as_deref())?;
    // A run would submit others in their place.
    let _lock = lock::take(&folder, true)?;
    let said = end(&folder)?;
    print(&format!("{said}\n"))?;
    Ok(Exit::Complete)
}

/// What becomes of the jobs after Ctrl-C has ended `sweep run`.
pub(super) fn after_interrupt(folder: &SweepFolder, wish: OnInterrupt) -> Result<Exit, Stop> {
    let is_cancelled = match wish {
        OnInterrupt::Detach => false,
        OnInterrupt::Cancel => true,
        OnInterrupt::Ask => is_cancel_wanted(),
    };
    if is_cancelled {
        let said = end(folder)?;
        eprint_lossy(&format!("{said}\n"));
    } else {
        let arguments = plain(&folder.arguments());
        eprint_lossy(&format!(
            "the jobs go on without this program: the same command takes over what they have done meanwhile; `sweep \
             status {arguments}` shows them, `sweep cancel {arguments}` ends them\n"
        ));
    }
    Ok(Exit::Interrupted)
}

/// Asks the user. Without a terminal, nobody can answer, and the jobs are left.
fn is_cancel_wanted() -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    eprint_lossy("leave the jobs running, or cancel them? [leave / cancel] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let is_read = io::stdin().read_line(&mut answer).is_ok();
    is_read && answer.trim().to_lowercase().starts_with('c')
}

/// Says so if workers of a cluster may still be at work on a sweep that now runs on this machine.
pub(super) fn warn_of_workers(folder: &SweepFolder) {
    let workers = Mailbox::new(folder, "run").workers().unwrap_or_default();
    if !workers.is_empty() {
        let arguments = plain(&folder.arguments());
        eprint_lossy(&format!(
            "warning: {} workers of a cluster may still be at work on this sweep; what they do from here on does not \
             count, and the trials go on from their latest checkpoints: `sweep cancel {arguments}` ends them\n",
            workers.len()
        ));
    }
}

/// Has the workers of a sweep stop their trials with a checkpoint, and ends its jobs. Returns what was done, in words.
fn end(folder: &SweepFolder) -> Result<String, Stop> {
    let mailbox = Mailbox::new(folder, "cancel");
    let slurm = Slurm::find().map_err(|error| Stop::usage(with_causes(&error)))?;
    let path = std::path::absolute(folder.path()).map_err(|error| Stop::internal(&error))?;
    let prefix = prefix(&path);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Stop::internal(&error))?;
    let cancel = |all| {
        let ended = runtime.block_on(cancel_jobs(&slurm, &prefix, all));
        ended.map_err(|error| {
            Stop::results(&format!(
                "{}; what of the jobs is left is not known: try again",
                with_causes(&error)
            ))
        })
    };
    let waiting = cancel(false)?;
    let workers = mailbox.workers().unwrap_or_default();
    for worker in &workers {
        let number = mailbox.orders(worker).unwrap_or_default().last().map_or(1, |last| last + 1);
        // One that cannot be told is ended below.
        let _ = mailbox.order(worker, number, &Order::Leave);
    }
    let left = await_leaving(&mailbox, &workers);
    // Those of workers that have left end by themselves meanwhile, which is no harm.
    cancel(true)?;
    let killed = workers.len() - left;
    Ok(format!(
        "jobs are cancelled: {waiting} waited, {left} workers stopped their trials with a checkpoint, {killed} did not \
         answer. The same `sweep run` goes on where they stopped"
    ))
}

/// Waits until the workers have left, or the time is over. Returns how many have.
fn await_leaving(mailbox: &Mailbox, workers: &[WorkerName]) -> usize {
    let until = Instant::now() + PATIENCE;
    loop {
        let letters = mailbox.letters().unwrap_or_default();
        let has_left = |worker: &&WorkerName| {
            let own =
                |letter: &&Letter| letter.worker == **worker && letter.session == 0 && !letter.is_passing;
            letters.iter().filter(own).any(|letter| matches!(mailbox.read_letter(letter), Ok(Message::Left)))
        };
        let left = workers.iter().filter(has_left).count();
        if left == workers.len() || Instant::now() >= until {
            return left;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
