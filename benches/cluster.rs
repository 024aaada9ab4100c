//! Hundreds of workers of a cluster, in pretence: `cargo bench --bench cluster -- workers=10,100,500 seconds=10 trials=20`.
//!
//! So many workers do `trials` trials each (20), which take `seconds` of no work each (10) and say what real ones say. All
//! workers are one process, the orchestrator is another one; both hand over by files in a folder of this machine (in
//! `TMPDIR`). Printed: how long the next trial was waited for, what the orchestrator took, and operations on the file
//! system of each side: those of handing over are counted in the code, the others by `strace -f -c -e trace=%file,%desc`
//! if `strace=1` is given, which slows all down.

#![expect(clippy::disallowed_methods, reason = "the files here are its own")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "its figures")]
#![expect(clippy::cast_precision_loss, reason = "counts are small")]

mod made_up;

use std::{
    collections::VecDeque,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use made_up::Size;
use serde_json::Value;
use sweep::{
    executor::{self, ClusterRun, Notice, PostTimes, Program, Run, StartLimits, Workers},
    job::Attempt,
    mailbox::{self, CLUSTER, Letter, MAILBOX_VERSION, Mailbox, Message, Order, Registration, WorkerName},
    protocol::{Assignment, PROTOCOL_VERSION, WorkerLine, WorkerRequest},
    results::{Results, Tenure},
    sampler::FixedPlan,
    scheduler::{Packing, WorkerExit},
    system::{device::Device, files::Place},
    trial::TrialId,
};

/// As real pilots do.
const LOOK: Duration = Duration::from_millis(200);
const BEAT: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &arguments[..] {
        [first, root, trials] if first == "--orchestrate" => {
            return orchestrate(Path::new(root), trials.parse().unwrap());
        }
        [first, root, workers, seconds] if first == "--pretend" => {
            let seconds = Duration::from_secs_f64(seconds.parse().unwrap());
            return pretend(Path::new(root), workers.parse().unwrap(), seconds);
        }
        _ => {}
    }
    let given = |name: &str, default: &str| {
        let prefix = format!("{name}=");
        let found = arguments.iter().find_map(|argument| argument.strip_prefix(&prefix));
        found.unwrap_or(default).to_owned()
    };
    for workers in given("workers", "10,100").split(',') {
        let workers: u32 = workers.parse().unwrap();
        let trials = workers * given("trials", "20").parse::<u32>().unwrap();
        measure(workers, trials, &given("seconds", "10"), given("strace", "0") == "1");
    }
}

fn measure(workers: u32, trials: u32, seconds: &str, is_traced: bool) {
    println!("{workers} workers, {trials} trials of {seconds} s");
    let root = tempfile::tempdir_in(env::var("TMPDIR").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let me = env::current_exe().unwrap();
    let pretence = Command::new(&me)
        .args(["--pretend".as_ref(), root.path().as_os_str()])
        .args([&workers.to_string(), seconds])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let trace = root.path().join("trace");
    let mut orchestrator = if is_traced { Command::new("strace") } else { Command::new(&me) };
    if is_traced {
        orchestrator.args(["-f", "-c", "-o"]).arg(&trace).args(["-e", "trace=%file,%desc"]).arg(&me);
    }
    orchestrator.args(["--orchestrate".as_ref(), root.path().as_os_str()]).arg(trials.to_string());
    assert!(orchestrator.status().unwrap().success());
    let said = pretence.wait_with_output().unwrap();
    print!("{}", String::from_utf8_lossy(&said.stdout));
    if is_traced {
        println!("{}", fs::read_to_string(trace).unwrap());
    }
}

/// Runs the sweep with whatever workers come.
fn orchestrate(root: &Path, trials: u32) {
    let size = Size { trials, sampler: None };
    let (plan, _) = made_up::plan(size);
    let folder = Results::new(root.join("results")).sweep(&plan.sweep);
    let lock = folder.lock().unwrap();
    sweep::results::write_json(&folder.plan(), &plan).unwrap();
    fs::write(folder.spec(), made_up::spec_text(size)).unwrap();
    let times = PostTimes { look: Duration::from_millis(250), lost_after: Duration::from_mins(2) };
    let run = Run {
        folder,
        plan,
        again: Vec::new(),
        continued: Vec::new(),
        tenure: Tenure::default(),
        devices: Vec::new(),
        cluster: Some(ClusterRun { times, patience: Duration::from_secs(10), slurm: None }),
        workers: Workers {
            program: Program::at(env::current_exe().unwrap()),
            leave: Duration::from_mins(1),
            space: Duration::from_secs(2),
            start: StartLimits::default(),
            visible: Vec::new(),
            packing: Packing::default(),
        },
    };
    let mut watch = |notice: &Notice<'_>| {
        if let Notice::Warning(text) = notice {
            panic!("{text}");
        }
    };
    let (_user, interrupts) = tokio::sync::mpsc::channel(1);
    let (begin, before) = (Instant::now(), processor());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(executor::run(run, interrupts, &mut FixedPlan, vec![&mut watch])).unwrap();
    let (wall, took) = (begin.elapsed().as_secs_f64(), processor() - before);
    drop(lock);
    assert_eq!(ended.study.counts().complete, trials as usize);
    let operations = mailbox::operations() as f64;
    let each = f64::from(trials);
    println!("  run                            {wall:>9.1} s");
    println!(
        "  orchestrator's processor       {:>9.2} ms of each trial, {:.1} % of a core",
        took * 1e3 / each,
        100.0 * took / wall
    );
    println!("  orchestrator's peak memory     {:>9.1} MB", peak_memory());
    println!(
        "  its operations of handing over {:>9.1} of each trial, {:.0} a second",
        operations / each,
        operations / wall
    );
}

/// A worker that pretends.
struct Pretender {
    name: WorkerName,
    next_order: u64,
    /// The number of the latest message of its process, and of the latest one of passing interest.
    numbers: (u64, u64),
    session: u32,
    /// The trial that it has, its attempt's folder and when it ends.
    trial: Option<(TrialId, Instant)>,
    /// When it said that a trial is complete, and waits for the next.
    free: Option<Instant>,
    looked: Instant,
    beaten: Instant,
    beats: u64,
    has_left: bool,
}

/// Pretends to be all workers, until their files are taken away.
fn pretend(root: &Path, workers: usize, seconds: Duration) {
    let sweep = root.join("results/scale");
    while !sweep.join(CLUSTER).join("probe").exists() {
        thread::sleep(Duration::from_millis(10));
    }
    let mailbox = Mailbox::at(Place::named(sweep.join(CLUSTER)), "pretenders");
    let template = lines_of_a_trial(root);
    let now = Instant::now();
    let mut all: Vec<Pretender> = (0..workers).map(|index| Pretender::join(&mailbox, index, now)).collect();
    let mut waits: Vec<f64> = Vec::new();
    let begin = Instant::now();
    while all.iter().any(|worker| !worker.has_left) {
        for worker in all.iter_mut().filter(|worker| !worker.has_left) {
            worker.live(&mailbox, seconds, &template, &mut waits);
        }
        thread::sleep(Duration::from_millis(2));
    }
    let wall = begin.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
    println!(
        "  waited for the next trial      {:>9.2} s in the median, {:.2} s at 95 %, {:.2} s at most",
        at(50),
        at(95),
        at(100)
    );
    println!("  workers' operations            {:>9.0} a second", mailbox::operations() as f64 / wall);
}

impl Pretender {
    fn join(mailbox: &Mailbox, index: usize, now: Instant) -> Self {
        let name = WorkerName::parse(&format!("pretender-{index}")).unwrap();
        let registration = Registration {
            v: MAILBOX_VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            job_name: String::new(),
            job: None,
            host: format!("n{index}"),
            pid: 1,
            devices: vec![Device::Cpu { slot: 0, threads: 1 }],
            arithmetic: String::new(),
            is_for_one: false,
        };
        mailbox.register(&name, &registration).unwrap();
        Self {
            name,
            next_order: 1,
            numbers: (0, 0),
            session: 0,
            trial: None,
            free: None,
            looked: now,
            beaten: now,
            beats: 0,
            has_left: false,
        }
    }

    fn post(&mut self, mailbox: &Mailbox, session: u32, message: &Message) {
        self.numbers.0 += 1;
        let letter = Letter { worker: self.name.clone(), session, number: self.numbers.0, is_passing: false };
        // At the end of the run the folders are gone.
        let _ = mailbox.post(&letter, message);
    }

    fn live(&mut self, mailbox: &Mailbox, seconds: Duration, template: &[Value], waits: &mut Vec<f64>) {
        let now = Instant::now();
        if let Some((trial, until)) = self.trial
            && now >= until
        {
            self.trial = None;
            for line in template {
                self.post(mailbox, self.session, &Message::Line(about(line, trial)));
            }
            self.free = Some(Instant::now());
        }
        let look_every = if self.trial.is_some() { 10 * LOOK } else { LOOK };
        if now.duration_since(self.looked) >= look_every {
            self.looked = now;
            self.look(mailbox, seconds, waits);
        }
        if now.duration_since(self.beaten) >= BEAT {
            self.beaten = now;
            self.beats += u64::from(mailbox.beat(&self.name, self.beats).is_ok());
            self.has_left |= matches!(mailbox.is_registered(&self.name), Ok(false));
            if let Some((trial, _)) = self.trial {
                self.numbers.1 += 1;
                let (number, worker) = (self.numbers.1, self.name.clone());
                let letter = Letter { worker, session: self.session, number, is_passing: true };
                let _ = mailbox.post(&letter, &Message::Line(WorkerLine::Alive(trial)));
            }
        }
    }

    fn look(&mut self, mailbox: &Mailbox, seconds: Duration, waits: &mut Vec<f64>) {
        let numbers = mailbox.orders(&self.name).unwrap_or_default();
        for number in numbers {
            if number < self.next_order {
                continue;
            }
            let Ok(order) = mailbox.read_order(&self.name, number) else { return };
            self.next_order = number + 1;
            match order {
                Order::Start { session, .. } => {
                    (self.session, self.numbers) = (session, (0, 0));
                    self.post(mailbox, session, &Message::Line(WorkerLine::Ready { v: PROTOCOL_VERSION }));
                }
                Order::Send { request: WorkerRequest::Run { trials }, session, .. } => {
                    waits.extend(self.free.take().map(|since| since.elapsed().as_secs_f64()));
                    self.post(mailbox, session, &Message::Given(number));
                    self.trial = trials.first().map(|given| (given.trial, Instant::now() + seconds));
                }
                Order::Close { session } | Order::End { session, .. } => {
                    let exit = WorkerExit::Code(0);
                    self.post(mailbox, session, &Message::Ended { exit, words: String::new() });
                }
                Order::Leave => {
                    self.numbers = (0, 0);
                    self.post(mailbox, 0, &Message::Left);
                    self.has_left = true;
                }
                Order::Send { .. } => {}
            }
        }
    }
}

/// What the fake worker says of a trial.
fn lines_of_a_trial(root: &Path) -> Vec<Value> {
    let program = root.join("fake-worker");
    fs::copy(env!("CARGO_BIN_EXE_fake-worker"), &program).unwrap();
    fs::write(root.join("fake-worker.script"), "* * plausible\n").unwrap();
    let folder = root.join("template");
    fs::create_dir(&folder).unwrap();
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let given = Assignment {
        trial: TrialId(1),
        sweep: folder,
        identity: None,
        folder: ".".into(),
        attempt: Attempt::default(),
    };
    let request = serde_json::to_string(&WorkerRequest::Run { trials: vec![given] }).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{request}").unwrap();
    drop(stdin);
    let lines: VecDeque<Value> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    child.wait().unwrap();
    // The first says that it is ready.
    lines.into_iter().skip(1).collect()
}

/// The line, about another trial.
fn about(line: &Value, trial: TrialId) -> WorkerLine {
    let mut line = line.clone();
    for value in line.as_object_mut().unwrap().values_mut() {
        value[0] = trial.0.into();
    }
    serde_json::from_value(line).unwrap()
}

/// Seconds of processor time of this process.
fn processor() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<f64> =
        text.rsplit_once(") ").unwrap().1.split(' ').filter_map(|field| field.parse().ok()).collect();
    (fields[10] + fields[11]) / 100.0
}

/// The most memory that this process had at once, in MB.
fn peak_memory() -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1024.0
}
