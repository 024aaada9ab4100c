//! Every kind of fault, about twenty times each at random places of sweeps of several trials: no
//! trial is lost, every slot is freed, and the leaderboard is that of a sweep without faults.
//!
//! `cargo test --release --test it faults::table -- --nocapture` prints the table. `SWEEP_FAULT_SWEEPS=35`
//! runs so many sweeps for each kind of fault, instead of five.

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use sweep::leaderboard::{self, RankBy};

use super::*;
use crate::common::program::is_alive;

/// Trials of each sweep.
const TRIALS: u32 = 6;
/// Faults in each sweep.
const FAULTS: u32 = 4;
/// Sweeps that run at the same time; most of them wait.
const AT_ONCE: usize = 8;

/// Sweeps for each kind.
fn sweeps() -> u32 {
    std::env::var("SWEEP_FAULT_SWEEPS").map_or(5, |number| number.parse().unwrap())
}

/// A kind of fault: its name, the deed, and what the sweep is to be run with.
struct Kind {
    fault: &'static str,
    deed: &'static str,
    limits: Limits,
    /// Whether the deed is about the start of a process rather than about a trial.
    is_start: bool,
}

/// Which limit is short enough to be reached.
#[derive(Clone, Copy, PartialEq)]
enum Limits {
    Long,
    Stall,
    Time,
    StartUp,
    Leave,
}

const fn kind(fault: &'static str, deed: &'static str, limits: Limits) -> Kind {
    Kind { fault, deed, limits, is_start: false }
}

const fn at_start(fault: &'static str, deed: &'static str, limits: Limits) -> Kind {
    Kind { fault, deed, limits, is_start: true }
}

const KINDS: [Kind; 39] = [
    kind("killed (SIGKILL) before a word", "killed-before-a-word", Limits::Long),
    kind("killed after an evaluation", "killed", Limits::Long),
    kind("killed in the middle of the outcome", "half-an-outcome", Limits::Long),
    kind("aborted", "abort", Limits::Long),
    kind("segmentation fault", "segfault", Limits::Long),
    kind("a page of a mapped entry is gone (SIGBUS)", "lost-pages", Limits::Long),
    kind("an entry of the cache changed", "changed-entry", Limits::Long),
    kind("exit with code 3", "exit", Limits::Long),
    kind("exit without a word", "mute", Limits::Long),
    kind("half a line, then exit", "half-a-line", Limits::Long),
    kind("panic", "panic", Limits::Long),
    kind("file not written", "disk", Limits::Long),
    kind("hangs", "hang", Limits::Stall),
    kind("hangs and ignores SIGTERM", "hang-deaf", Limits::Stall),
    kind("talks for ever", "chatter", Limits::Time),
    kind("stands still alone (SIGSTOP)", "freeze", Limits::Stall),
    at_start("never gets ready", "unready", Limits::StartUp),
    at_start("exits before it is ready", "exit-unready", Limits::Long),
    at_start("killed before it is ready", "killed-unready", Limits::Long),
    at_start("finds no thread to spare before it is ready", "short-unready", Limits::Long),
    kind("finds no open file to spare", "short", Limits::Long),
    kind("killed, and no worker can be started for a moment", "program-gone", Limits::Long),
    kind("closes its output and lives on", "closed-output", Limits::Leave),
    kind("stays after its outcome", "finished-and-stays", Limits::Leave),
    kind("garbage", "garbage", Limits::Long),
    kind("a line of 100 MB", "long-line", Limits::Long),
    kind("broken UTF-8", "broken-utf8", Limits::Long),
    kind("JSON nested 10,000 deep", "deep", Limits::Long),
    kind("another trial's outcome", "foreign", Limits::Long),
    kind("its outcome twice", "twice", Limits::Long),
    kind("an outcome of three classes instead of two", "three-classes", Limits::Long),
    kind("an event that is not a worker's", "foreign-event", Limits::Long),
    kind("10 MB on standard error", "flood", Limits::Long),
    kind("20,000 good lines", "good-flood", Limits::Long),
    kind("leaves a grandchild that holds its pipes", "grandchild", Limits::Long),
    kind("leaves a grandchild in its group", "orphan", Limits::Long),
    kind("out of memory with passes above 16 examples", "out-of-memory-above 16", Limits::Long),
    kind("disk full", "disk-full", Limits::Long),
    kind("waits for space on the disk", "waits-for-space", Limits::Long),
];

/// What came of a sweep.
struct Came {
    injected: usize,
    failed_attempts: usize,
    lost: usize,
    differs: bool,
}

/// Whole numbers that look random and are the same every time (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((z ^ (z >> 31)) % u64::from(bound)).unwrap()
    }
}

/// So many different numbers from 1 to `most`.
fn places(numbers: &mut Numbers, count: u32, most: u32) -> Vec<u32> {
    let mut all: Vec<u32> = (1..=most).collect();
    (0..count).map(|_| all.swap_remove(numbers.below(u32::try_from(all.len()).unwrap()) as usize)).collect()
}

fn script(kind: &Kind, numbers: &mut Numbers) -> String {
    // The first processes of a sweep are started in any case.
    let most = if kind.is_start { FAULTS } else { TRIALS };
    let lines = places(numbers, FAULTS, most).into_iter().map(|place| {
        let attempt = if kind.deed.starts_with("out-of-memory-above") { "*" } else { "1" };
        if kind.is_start {
            format!("start {place} {}\n", kind.deed)
        } else {
            format!("{place} {attempt} {}\n", kind.deed)
        }
    });
    lines.collect::<Vec<String>>().concat()
}

/// The ranking without what depends on where and how often trials ran.
fn ranking(study: &Study) -> Vec<leaderboard::LeaderboardRow> {
    let mut rows = leaderboard::build(study, RankBy::TestF1, &|_| None).rows;
    for row in &mut rows {
        (row.device, row.micro_batch, row.seconds) = (None, None, None);
    }
    rows
}

fn faulty_sweep(kind: &Kind, script: &str, slots: usize) -> FaultySweep {
    let mut sweep = FaultySweep::new(slots, TRIALS, script);
    // So that a busy machine, on which others look stalled too, fails no trial.
    let retries = Retries { stalled: 20, time_limit: 20, startup_timeout: 20, ..Retries::default() };
    let long = Duration::from_mins(5);
    let limit = |own| if kind.limits == own { Duration::from_secs(1) } else { long };
    // A worker that stays may have been given the next trial.
    let stall = limit(Limits::Stall).min(limit(Limits::Leave));
    *sweep.policy() = Policy {
        start_up_limit: limit(Limits::StartUp),
        stall_limit: stall,
        time_limit: Some(limit(Limits::Time)),
        retries,
        ..Policy::default()
    };
    sweep.run.workers.leave = limit(Limits::Leave);
    sweep
}

fn run(sweep: &FaultySweep) -> Study {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(sweep.run());
    assert!(!ended.interrupted);
    ended.study
}

/// One sweep with faults, compared with one without.
fn came_of(kind: &Kind, number: u32, undisturbed: &[leaderboard::LeaderboardRow]) -> Came {
    let mut numbers = Numbers(u64::from(number) + 1000 * kind.deed.bytes().map(u64::from).sum::<u64>());
    let slots = 2 + (number % 2) as usize;
    let sweep = faulty_sweep(kind, &script(kind, &mut numbers), slots);
    let study = run(&sweep);
    for trial in (1..=TRIALS).map(TrialId) {
        for pid in sweep.pids(trial) {
            assert!(!is_alive(pid), "{}: a worker is left", kind.fault);
        }
    }
    assert_eq!(Study::replay(&sweep.run.plan, &sweep.results().records()).unwrap(), study);
    Came {
        injected: sweep.deeds().iter().filter(|deed| *deed == kind.deed).count(),
        failed_attempts: (1..=TRIALS).map(|trial| sweep.failures(TrialId(trial)).len()).sum(),
        lost: states(&study).iter().filter(|state| **state != State::Complete).count(),
        differs: ranking(&study) != undisturbed,
    }
}

#[test]
fn no_fault_loses_a_trial_or_changes_the_leaderboard() {
    let begun = Instant::now();
    let undisturbed = ranking(&run(&faulty_sweep(&KINDS[0], "", 2)));
    let pending: VecDeque<(usize, u32)> =
        (0..sweeps()).flat_map(|number| (0..KINDS.len()).map(move |kind| (kind, number))).collect();
    let (queue, all) = (Mutex::new(pending), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((kind, number)) = queue.lock().unwrap().pop_front() else { break };
                    let came = came_of(&KINDS[kind], number, &undisturbed);
                    all.lock().unwrap().push((kind, came));
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    eprintln!("\n| fault | injected | attempts that failed | trials lost | other leaderboards |");
    eprintln!("| --- | --: | --: | --: | --: |");
    let (mut injected, mut failed, mut lost, mut other) = (0, 0, 0, 0);
    for (index, kind) in KINDS.iter().enumerate() {
        let own = || all.iter().filter(|(kind, _)| *kind == index).map(|(_, came)| came);
        let count = |of: fn(&Came) -> usize| own().map(of).sum::<usize>();
        let (times, attempts) = (count(|came| came.injected), count(|came| came.failed_attempts));
        let (gone, differing) = (count(|came| came.lost), count(|came| usize::from(came.differs)));
        eprintln!("| {} | {times} | {attempts} | {gone} | {differing} |", kind.fault);
        assert!(times >= (sweeps() * FAULTS) as usize, "{} was injected {times} times", kind.fault);
        (injected, failed, lost, other) =
            (injected + times, failed + attempts, lost + gone, other + differing);
    }
    let (kinds, seconds) = (KINDS.len(), begun.elapsed().as_secs_f64());
    eprintln!(
        "| {kinds} kinds, {} sweeps, {seconds:.0} s | {injected} | {failed} | {lost} | {other} |\n",
        all.len()
    );
    assert!(injected >= 300);
    assert_eq!((lost, other), (0, 0));
}
