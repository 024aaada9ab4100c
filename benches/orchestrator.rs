//! What thousands of trials cost the orchestrator: `cargo bench --bench orchestrator -- 100 1000 10000`.
//! `-- 2000 sobol tpe` lets these samplers plan the trials while the sweep runs, and halts most of them at a rung.
//!
//! Workers are fake ones that train nothing and report at once, on eight slots. Each sweep is run
//! by a process of its own, whose memory and processor time are therefore the orchestrator's
//! alone; the commands that read results are the program itself. Times are wall-clock; behind each
//! stands the processor time, which other work on the machine does not change.

#![expect(clippy::disallowed_methods, reason = "the files here are its own")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "its figures")]

mod made_up;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use made_up::Size;
use sweep::{
    cli,
    executor::{self, Notice, Painter, Program, Run, StartLimits, Workers},
    journal,
    plan::Plan,
    progress::{Display, Look},
    results::{Results, Tenure},
    sampler::{FixedPlan, Growing, Sampler},
    scheduler::Packing,
    study::Study,
    system::device::Device,
};

const SLOTS: usize = 8;
/// The argument that makes this program run one sweep and nothing else.
const ORCHESTRATE: &str = "--orchestrate";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [first, root, trials, sampler @ ..] = &arguments[..]
        && first == ORCHESTRATE
    {
        let sampler = sampler.first().map(String::as_str);
        return orchestrate(Path::new(root), Size { trials: trials.parse().unwrap(), sampler });
    }
    let samplers =
        arguments.iter().map(String::as_str).filter(|word| matches!(*word, "random" | "sobol" | "tpe"));
    let samplers: Vec<Option<&str>> = samplers.map(Some).collect();
    let mut sizes: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![100, 1_000];
    }
    for trials in sizes {
        for sampler in if samplers.is_empty() { &[None] } else { &samplers[..] } {
            measure(Size { trials, sampler: *sampler });
        }
    }
}

fn measure(size: Size<'_>) {
    let root = tempfile::tempdir_in(env::var("TMPDIR").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let how = size.sampler.map_or_else(String::new, |sampler| format!(" of {sampler} with halving"));
    println!("{} trials{how} on {SLOTS} slots", size.trials);
    let root = root.path();
    let mut bench = Command::new(env::current_exe().unwrap());
    bench.args([ORCHESTRATE.as_ref(), root.as_os_str()]).arg(size.trials.to_string()).args(size.sampler);
    let run = timed(&mut bench);
    print!("{}", run.output);
    let log = root.join("results/scale/events.jsonl");
    println!("  log                           {:>9.1} MB", megabytes(fs::metadata(&log).unwrap().len()));
    for command in ["leaderboard", "status", "report"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_sweep"));
        let ran = timed(program.arg(command).args(["scale", "--results"]).arg(root.join("results")));
        println!(
            "  sweep {command:<12}            {:>9.2} s  ({:.2} s of processor, {:.1} MB, {:.1} KB written)",
            ran.wall.as_secs_f64(),
            ran.processor,
            ran.peak,
            f64::from(u32::try_from(ran.output.len()).unwrap()) / 1e3,
        );
    }
    println!(
        "  report.html                   {:>9.1} MB",
        megabytes(fs::metadata(root.join("results/scale/report.html")).unwrap().len())
    );
}

/// What a program took.
struct Ran {
    wall: Duration,
    /// Seconds of processor time, its children's included.
    processor: f64,
    /// The most memory that it had at once, in MB.
    peak: f64,
    output: String,
}

fn timed(command: &mut Command) -> Ran {
    let (begin, before) = (Instant::now(), processor_of_children());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::read_to_string(&mut output).unwrap());
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_memory(&status).unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(2));
    }
    let wall = begin.elapsed();
    assert!(child.wait().unwrap().success(), "{command:?}");
    Ran { wall, processor: processor_of_children() - before, peak, output: reader.join().unwrap() }
}

/// `VmHWM` of a process, in MB.
fn peak_memory(status: &str) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let kilobytes: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    Some(kilobytes / 1024.0)
}

/// Seconds of processor time of this process, and of its children that have ended.
fn processor() -> (f64, f64) {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<f64> =
        text.rsplit_once(") ").unwrap().1.split(' ').filter_map(|field| field.parse().ok()).collect();
    // The first field is a letter; user and system time are fields 14 and 15 of the whole line,
    // those of children 16 and 17, all in hundredths of a second.
    let sum = |at: usize| (fields[at] + fields[at + 1]) / 100.0;
    (sum(10), sum(12))
}

fn processor_of_children() -> f64 {
    processor().1
}

#[expect(clippy::cast_precision_loss, reason = "files are small")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Runs the sweep, and tells what that took.
fn orchestrate(root: &Path, size: Size<'_>) {
    let (plan, spec) = made_up::plan(size);
    let folder = Results::new(root.join("results")).sweep(&plan.sweep);
    let lock = folder.lock().unwrap();
    sweep::results::write_json(&folder.plan(), &plan).unwrap();
    fs::write(folder.spec(), made_up::spec_text(size)).unwrap();
    let mut display = Display::new(&Study::new(&plan), Look::Lines);
    let run = Run {
        folder: folder.clone(),
        plan,
        again: Vec::new(),
        continued: Vec::new(),
        tenure: Tenure::default(),
        devices: (0..SLOTS).map(|slot| Device::Cpu { slot, threads: 1 }).collect(),
        cluster: None,
        workers: Workers {
            program: Program::at(fake_worker(root)),
            leave: Duration::from_mins(1),
            space: Duration::from_secs(2),
            start: StartLimits::default(),
            visible: Vec::new(),
            packing: Packing::default(),
        },
    };
    let mut watch = |notice: &Notice<'_>| match notice {
        Notice::Logged(record, study) => display.logged(record, study),
        Notice::Progress(..)
        | Notice::Stopping(_)
        | Notice::Workers(_)
        | Notice::Note(_)
        | Notice::Resolved(_) => {}
        Notice::Warning(text) => panic!("{text}"),
    };
    let mut painter = Painter::new(cli::drawing(folder.clone()));
    let mut sampler: Box<dyn Sampler> =
        if size.sampler.is_some() { Box::new(Growing::new(spec)) } else { Box::new(FixedPlan) };
    let (_user, interrupts) = tokio::sync::mpsc::channel(1);
    let (begin, before) = (Instant::now(), processor());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime
        .block_on(executor::run(run, interrupts, &mut *sampler, vec![&mut watch, &mut painter]))
        .unwrap();
    let (wall, after) = (begin.elapsed(), processor());
    drop(lock);
    let counts = ended.study.counts();
    assert_eq!(counts.complete + counts.halted, size.trials as usize);
    let each = |seconds: f64| seconds * 1e3 / f64::from(size.trials);
    println!("  run                           {:>9.2} s", wall.as_secs_f64());
    println!("    of each trial               {:>9.2} ms", each(wall.as_secs_f64()));
    println!("    orchestrator's processor    {:>9.2} ms of each trial", each(after.0 - before.0));
    println!("    workers' processor          {:>9.2} ms of each trial", each(after.1 - before.1));
    println!("  orchestrator's peak memory    {:>9.1} MB", peak_memory("/proc/self/status").unwrap());
    let begin = Instant::now();
    let records = journal::replay(&folder.log()).unwrap().records;
    let plan: Plan = sweep::results::read_json(&folder.plan()).unwrap();
    let study = Study::replay(&plan, &records).unwrap();
    println!("  replay of {:>9} records    {:>9.3} s", records.len(), begin.elapsed().as_secs_f64());
    assert_eq!(study, ended.study);
}

/// A copy of the fake worker, which has its orders beside it.
fn fake_worker(root: &Path) -> PathBuf {
    let program = root.join("fake-worker");
    fs::copy(env!("CARGO_BIN_EXE_fake-worker"), &program).unwrap();
    fs::write(root.join("fake-worker.script"), "* * plausible\n").unwrap();
    program
}
