//! A worker that trains nothing and misbehaves as told, for `tests/it/faults.rs`.
//!
//! It looks for its orders beside itself, in `<name of the program>.script`. A line
//! is `TRIAL ATTEMPT DEED`, with `*` for any trial or attempt; the first that fits
//! counts, and without one the trial completes. `start DEED` is about every start, `start N DEED`
//! about the start with this number: `unready`, or what `deeds::end_unready` knows. Deeds that are none of a worker's are noted in
//! `<name of the program>.deeds`, a line each.

#![expect(clippy::disallowed_methods, reason = "the files here are its own")]

mod deeds;
mod gpus;

mod plausible;

use std::{
    env, fs,
    io::{self, BufRead, Write},
    path::Path,
    process::{Child, Command, ExitCode},
};

use rustix::process::{Pid, Signal, getpid, kill_process};
use sweep::{
    event::{Evaluation, Event, Outcome, Progress},
    metrics::{Confusion, Scores, Target},
    protocol::{Assignment, PROTOCOL_VERSION, WorkerLine, WorkerRequest},
    trial::{Failure, FailureKind, TrialId},
};

fn main() -> ExitCode {
    let program = env::args().next().unwrap_or_default();
    let script = fs::read_to_string(format!("{program}.script")).unwrap_or_default();
    let mut requests = io::stdin().lock().lines().map_while(Result::ok);
    let start = deeds::number_of_start(&program);
    let numbered = format!("start {start} ");
    let at_start = script.lines().find_map(|line| {
        let deed = line.strip_prefix(&numbered).or_else(|| line.strip_prefix("start "))?;
        // A number that is left is that of another start.
        (!deed.contains(' ')).then_some(deed)
    });
    if let Some(deed) = at_start {
        deeds::note(&program, deed);
        if deed != "unready" {
            return deeds::end_unready(deed);
        }
        // Until the input ends or a signal comes.
        return if requests.next().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    say(&WorkerLine::Ready { v: PROTOCOL_VERSION });
    while let Some(line) = requests.next() {
        let Ok(WorkerRequest::Run { trials }) = serde_json::from_str(&line) else { continue };
        for Assignment { trial, sweep, folder, attempt: made, .. } in trials {
            let folder = sweep.join(folder);
            let attempt = note_attempt(&folder);
            let deed = deed(&script, trial, attempt);
            if deed == "plausible" {
                plausible::lines(trial, &folder, made.pause_after).iter().for_each(say);
                continue;
            }
            if deed != "complete" {
                deeds::note(&program, deed);
            }
            gpus::note(&folder);
            match gpus::obey(deed, trial) {
                Some(true) => continue,
                Some(false) => return ExitCode::FAILURE,
                None => {}
            }
            let ending = deeds::obey(deed, trial, made, &folder);
            if let Some(code) = ending.unwrap_or_else(|| obey(deed, trial, &mut requests)) {
                return code;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Notes this process in the trial's folder; the answer is the number of the attempt.
fn note_attempt(folder: &Path) -> usize {
    let path = folder.join("pids");
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(&path, format!("{before}{}\n", std::process::id())).expect("the folder of a trial is writable");
    before.lines().count() + 1
}

fn deed(script: &str, trial: TrialId, attempt: usize) -> &str {
    let fits = |word: Option<&str>, number: &str| word.is_some_and(|word| word == "*" || word == number);
    let (trial, attempt) = (trial.0.to_string(), attempt.to_string());
    let found = script.lines().find_map(|line| {
        let mut words = line.splitn(3, ' ');
        (fits(words.next(), &trial) && fits(words.next(), &attempt)).then(|| words.next()).flatten()
    });
    found.unwrap_or("complete")
}

/// Does what is told; an exit code ends the process.
fn obey(deed: &str, trial: TrialId, requests: &mut impl Iterator<Item = String>) -> Option<ExitCode> {
    match deed {
        "complete" => complete(trial),
        "killed" => {
            say(&evaluated(trial));
            die();
        }
        "killed-before-a-word" => die(),
        "garbage" => write("loss: 0.3\n"),
        "foreign" => say(&WorkerLine::Finished(TrialId(trial.0 + 1), outcome(trial))),
        "half-a-line" => {
            write("{\"finished\":[");
            return Some(ExitCode::SUCCESS);
        }
        "mute" => return Some(ExitCode::SUCCESS),
        "flood" => {
            let noise = vec![b'x'; 1 << 20];
            (0..10).for_each(|_| io::stderr().write_all(&noise).expect("standard error is read"));
            complete(trial);
        }
        "no-number" => {
            let failure =
                Failure { kind: FailureKind::NonFinite { step: 7 }, message: "no number".to_owned() };
            say(&WorkerLine::Failed(trial, failure));
            return Some(ExitCode::FAILURE);
        }
        "failed-and-stays" => {
            let failure = Failure { kind: FailureKind::Data, message: "no data".to_owned() };
            say(&WorkerLine::Failed(trial, failure));
            wait_for_a_signal();
        }
        "grandchild" => {
            // It inherits the pipes and holds them open when its parent is gone.
            let child = Command::new("sleep").arg("600").spawn();
            let child = child.expect("sleep is a program");
            deeds::note(&env::args().next().unwrap_or_default(), &format!("child {}", child.id()));
            die_beside(child);
        }
        "until-stopped" => {
            say(&evaluated(trial));
            requests.next();
            say(&WorkerLine::Stopped(trial));
        }
        "stays-after-stop" => {
            say(&evaluated(trial));
            requests.next();
            say(&WorkerLine::Stopped(trial));
            wait_for_a_signal();
        }
        "until-terminated" => {
            say(&evaluated(trial));
            wait_for_a_signal();
        }
        "until-killed" => until_killed(trial),
        other => panic!("no such deed: {other}"),
    }
    None
}

fn complete(trial: TrialId) {
    say(&WorkerLine::Progress(trial, Progress { epoch: 1, epochs: 1, step: 1, steps: 2, train_loss: 0.5 }));
    say(&evaluated(trial));
    say(&WorkerLine::Finished(trial, outcome(trial)));
}

fn wait_for_a_signal() -> ! {
    loop {
        std::thread::park();
    }
}

/// Takes SIGTERM in and does nothing about it.
fn until_killed(trial: TrialId) -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let kind = tokio::signal::unix::SignalKind::terminate();
        let mut terminate = tokio::signal::unix::signal(kind).expect("signals can be caught");
        say(&evaluated(trial));
        loop {
            terminate.recv().await;
            eprintln!("not yet");
        }
    })
}

fn die_beside(child: Child) -> ! {
    std::mem::forget(child);
    die()
}

fn die() -> ! {
    let me: Pid = getpid();
    kill_process(me, Signal::KILL).expect("a process may kill itself");
    wait_for_a_signal()
}

fn say(line: &WorkerLine) {
    write(&(serde_json::to_string(line).expect("a line has a JSON form") + "\n"));
}

fn write(text: &str) {
    let mut out = io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).expect("standard output is open");
}

/// Figures that differ from trial to trial.
fn scores(trial: TrialId) -> Scores {
    let mut confusion = Confusion::new(2);
    (0..10).for_each(|document| confusion.add(1, usize::from(document >= trial.0 % 7)));
    Scores::new(confusion, 0.5, Target::Class(1))
}

fn evaluated(trial: TrialId) -> WorkerLine {
    let evaluation = Evaluation {
        epoch: 1.0,
        step: 1,
        train_loss: 0.5,
        learning_rate: 1e-4,
        validation: scores(trial),
        best: true,
        seconds: 0.1,
    };
    WorkerLine::Event(trial, Event::Evaluated(evaluation))
}

fn outcome(trial: TrialId) -> Outcome {
    Outcome {
        best_epoch: 1.0,
        best_step: 1,
        epochs_run: 1.0,
        stopped_early: false,
        train_loss: 0.5,
        validation: scores(trial),
        test: scores(trial),
        training: None,
        seconds: 0.1,
        files: None,
    }
}
