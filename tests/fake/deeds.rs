//! The worse deeds of the fake worker.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, getppid, kill_process, setrlimit};
use sweep::{
    event::{Event, Outcome, Progress},
    job::Attempt,
    metrics::{Confusion, Scores, Target},
    protocol::{PROTOCOL_VERSION, WorkerLine},
    system::memory::Memory,
    trial::{Failure, FailureKind, TrialId},
};

use super::{complete, evaluated, outcome, say, until_killed, wait_for_a_signal, write};

/// Lines of a flood that is within the protocol.
const FLOOD: u64 = 20_000;

/// Notes that a deed was done.
pub(crate) fn note(program: &str, deed: &str) {
    let file = File::options().create(true).append(true).open(format!("{program}.deeds"));
    let written = file.and_then(|mut file| file.write_all(format!("{deed}\n").as_bytes()));
    written.expect("deeds can be noted");
}

/// Which start of the program this is, from 1.
pub(crate) fn number_of_start(program: &str) -> u32 {
    let is_free = |number: &u32| File::create_new(format!("{program}.start-{number}")).is_ok();
    (1..10_000).find(is_free).unwrap_or(0)
}

/// Ends before it is ready.
pub(crate) fn end_unready(deed: &str) -> ExitCode {
    match deed {
        "killed-unready" => raise(Signal::KILL),
        "short-unready" => {
            // As the program's own worker says it.
            eprintln!("error: cannot start 2 threads: Resource temporarily unavailable (os error 11)");
            ExitCode::FAILURE
        }
        "exit-unready" => ExitCode::from(3),
        other => panic!("no such deed: {other}"),
    }
}

/// Does what is told, if it is one of these deeds: an exit code ends the process.
#[expect(clippy::option_option, reason = "not one of these deeds; goes on; ends")]
pub(crate) fn obey(deed: &str, trial: TrialId, made: Attempt, folder: &Path) -> Option<Option<ExitCode>> {
    if let Some(most) = deed.strip_prefix("out-of-memory-above ") {
        // A batch of 32, as a trial's settings have it.
        if made.micro_batch.unwrap_or(32) > most.parse().expect("a number") {
            run_out_of_memory();
        }
        complete(trial);
        return Some(None);
    }
    if deed == "lost-pages-of-the-cache" {
        if !made.without_cache {
            lose_pages();
        }
        complete(trial);
        return Some(None);
    }
    fail(deed, trial)
        .map(Some)
        .or_else(|| (say_wrong(deed, trial) || end(deed, trial, folder)).then_some(None))
}

/// Reports a failure.
fn fail(deed: &str, trial: TrialId) -> Option<ExitCode> {
    let (kind, message) = match deed {
        "exit" => return Some(ExitCode::from(3)),
        "panic" => (FailureKind::Panic, "panicked at src/train.rs:1:1: a bug"),
        "disk" => (FailureKind::Disk, "cannot write a file"),
        "disk-full" => (FailureKind::DiskFull, "no space left on device"),
        "short" => (FailureKind::Shortage, "cannot open a file: Too many open files (os error 24)"),
        "changed-entry" => (FailureKind::Cache, "an entry changed while the trial used it"),
        // As the program's own worker says it of a panic that speaks of it.
        "no-gpu-memory" => (FailureKind::OutOfMemory(Memory::Gpu), "CUDA_ERROR_OUT_OF_MEMORY"),
        _ => return None,
    };
    eprintln!("{message}");
    say(&WorkerLine::Failed(trial, Failure { kind, message: message.to_owned() }));
    Some(ExitCode::FAILURE)
}

/// Says something that no worker should say, or should not say so often.
fn say_wrong(deed: &str, trial: TrialId) -> bool {
    match deed {
        "long-line" => {
            let part = "x".repeat(1 << 20);
            // Whoever listens is allowed to stop listening.
            (0..100).for_each(|_| _ = std::io::stdout().write_all(part.as_bytes()));
            wait_for_a_signal()
        }
        "broken-utf8" => {
            std::io::stdout().write_all(b"{\"stopped\": \"\xff\xfe\"}\n").expect("output is open");
            wait_for_a_signal()
        }
        "deep" => {
            write(&format!("{}\n", "[".repeat(10_000)));
            wait_for_a_signal()
        }
        "deep-event" => {
            write(&format!("{{\"event\":[{},{}1]}}\n", trial.0, "{\"a\":".repeat(10_000)));
            wait_for_a_signal()
        }
        "good-flood" => {
            let line = |step| {
                let progress = Progress { epoch: 1, epochs: 1, step, steps: FLOOD, train_loss: 0.5 };
                serde_json::to_string(&WorkerLine::Progress(trial, progress)).expect("JSON") + "\n"
            };
            write(&(0..FLOOD).map(line).collect::<String>());
            complete(trial);
        }
        "twice" => {
            complete(trial);
            say(&WorkerLine::Finished(trial, outcome(trial)));
        }
        "ready-twice" => say(&WorkerLine::Ready { v: PROTOCOL_VERSION }),
        "three-classes" => {
            let three = Scores::new(Confusion::new(3), 0.5, Target::Class(1));
            say(&WorkerLine::Finished(trial, Outcome { test: three, ..outcome(trial) }));
        }
        "unasked-stop" => say(&WorkerLine::Stopped(trial)),
        "foreign-event" => say(&WorkerLine::Event(trial, Event::SweepEnded { interrupted: false })),
        _ => return false,
    }
    true
}

/// Ends otherwise than it should, or not at all, or waits.
fn end(deed: &str, trial: TrialId, folder: &Path) -> bool {
    match deed {
        "hang" | "deaf-to-stop" => {
            say(&evaluated(trial));
            wait_for_a_signal()
        }
        "hang-deaf" => {
            say(&evaluated(trial));
            until_killed(trial)
        }
        "chatter" => chatter(trial),
        "freeze" => {
            say(&evaluated(trial));
            raise(Signal::STOP)
        }
        "all-freeze" => {
            say(&evaluated(trial));
            freeze_with_parent();
            complete(trial);
            true
        }
        "program-gone" => {
            hide_program();
            raise(Signal::KILL)
        }
        "abort" => raise(Signal::ABORT),
        "segfault" => {
            // The first one goes to a handler of Rust's, which takes itself away.
            kill_process(getpid(), Signal::SEGV).expect("a process may signal itself");
            raise(Signal::SEGV)
        }
        "lost-pages" => lose_pages(),
        "no-memory" => run_out_of_memory(),
        "half-an-outcome" => {
            say(&evaluated(trial));
            let line = serde_json::to_string(&WorkerLine::Finished(trial, outcome(trial))).expect("JSON");
            write(line.get(..line.len() / 2).expect("ASCII"));
            raise(Signal::KILL)
        }
        "closed-output" => {
            say(&evaluated(trial));
            close_output()
        }
        "finished-and-stays" => {
            complete(trial);
            wait_for_a_signal()
        }
        "orphan" => {
            // In the worker's group, with pipes of its own.
            let mut sleep = Command::new("sleep");
            sleep.arg("600").stdin(null()).stdout(null()).stderr(null());
            let child = sleep.spawn().expect("sleep is a program");
            fs::write(folder.join("orphan"), child.id().to_string()).expect("the folder is writable");
            std::mem::forget(child);
            raise(Signal::KILL)
        }
        "waits-for-space" => {
            say(&WorkerLine::DiskFull(trial, folder.to_owned()));
            (0..3).for_each(|_| say(&WorkerLine::Alive(trial)));
            say(&WorkerLine::DiskFreed(trial));
            complete(trial);
            true
        }
        "dies-waiting-for-space" => {
            say(&WorkerLine::DiskFull(trial, folder.to_owned()));
            raise(Signal::KILL)
        }
        _ => false,
    }
}

/// Stands still together with the process that has started it, for longer than a busy machine may be late.
/// It goes on a little later than that one.
fn freeze_with_parent() {
    let [me, parent] = [Some(getpid()), getppid()].map(|pid| pid.expect("it has a parent").as_raw_nonzero());
    let script = format!("kill -STOP {parent} {me}; sleep 4; kill -CONT {parent} {me}");
    let mut frost = Command::new("sh");
    frost.args(["-c", &script]).process_group(0).stdin(null()).stdout(null()).stderr(null());
    frost.status().expect("sh is a program");
    std::thread::sleep(std::time::Duration::from_millis(200));
}

/// Takes its program away for a moment.
fn hide_program() {
    let program = std::env::args().next().unwrap_or_default();
    // Another worker may have done the same a moment ago.
    let Ok(target) = fs::read_link(&program) else { return };
    let _ = fs::remove_file(&program);
    let back = format!("sleep 0.2; ln -s '{}' '{program}'", target.display());
    let mut sh = Command::new("sh");
    sh.args(["-c", &back]).process_group(0).stdin(null()).stdout(null()).stderr(null());
    #[expect(clippy::zombie_processes, reason = "this process ends at once")]
    let _ = sh.spawn().expect("sh is a program");
}

fn null() -> std::process::Stdio {
    std::process::Stdio::null()
}

/// Talks without end, and slowly enough that nobody has to wait.
fn chatter(trial: TrialId) -> ! {
    loop {
        say(&WorkerLine::Alive(trial));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Dies as a process does that reads a page of a mapped file which was cut.
fn lose_pages() -> ! {
    // The first one goes to a handler of Rust's, which takes itself away.
    kill_process(getpid(), Signal::BUS).expect("a process may signal itself");
    raise(Signal::BUS)
}

fn raise(signal: Signal) -> ! {
    let me: Pid = getpid();
    kill_process(me, signal).expect("a process may signal itself");
    wait_for_a_signal()
}

/// Takes memory until there is none: the allocator then says so and aborts.
fn run_out_of_memory() -> ! {
    let limit = Some(256 << 20);
    setrlimit(Resource::As, Rlimit { current: limit, maximum: limit }).expect("a limit may be lowered");
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; 16 << 20]);
    }
}

/// Lives on as a process that has closed its standard output and hears nothing.
fn close_output() -> ! {
    let error = Command::new("sh").args(["-c", "exec 1>&-; exec sleep 600"]).exec();
    panic!("sh is a program: {error}")
}
