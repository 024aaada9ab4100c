//! Sweeps as jobs of a cluster, with stand-ins for Slurm's commands that start jobs on this machine.
//!
//! The real thing, with its own faults, is in `tests/slurm`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sweep::event::Event;

use crate::common::{
    place::Place,
    program::{Running, Written, is_alive},
    results::{Files, differences, files_under},
    texts::csv_of_two_words,
};

const SPEC: &str = r#"
name = "tiny"
[data]
path = "tiny.csv"
positive = "good"
split = { train = 0.6, validation = 0.2, test = 0.2 }
[model]
checkpoint = "builtin:mini"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 6
batch_size = 8
learning_rate = 2e-3
[run]
checkpoint_every = 1
[search.space]
dropout = { grid = [0.1, 0.2, 0.3, 0.4] }
[executor]
workers = 2
poll = "1s"
lost_after = "5s"
"#;

/// The folder of a sweep, and a cluster that is this machine.
struct Cluster {
    place: Place,
}

impl Cluster {
    fn new() -> Self {
        let place = Place::new("tiny", SPEC);
        place.write("tiny.csv", csv_of_two_words(["满意", "失望"], 120));
        fs::create_dir_all(place.path("slurm/jobs")).unwrap();
        Self { place }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/slurm");
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", stand_ins.display()));
        command.env("FAKE_SLURM", self.place.path("slurm"));
        command
    }

    fn run_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["run", "tiny.toml", "--executor", "slurm"]);
        command.args(arguments);
        command
    }

    fn run(&self) -> Written {
        Written::by(&mut self.run_command(&[]))
    }

    /// The processes of the jobs that run.
    fn jobs(&self) -> Vec<Pid> {
        let folders = fs::read_dir(self.place.path("slurm/jobs")).unwrap();
        let pid = |folder: PathBuf| fs::read_to_string(folder.join("pid")).ok()?.trim().parse().ok();
        let pids = folders.filter_map(|entry| Pid::from_raw(pid(entry.unwrap().path())?));
        pids.filter(|pid| is_alive(*pid)).collect()
    }

    /// The workers below a job's process.
    fn workers_of(job: Pid) -> Vec<Pid> {
        let path = format!("/proc/{0}/task/{0}/children", job.as_raw_nonzero());
        let children = fs::read_to_string(path).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
    }

    /// Waits until as many evaluations are in the log.
    fn await_evaluations(&self, count: usize) {
        let log = self.place.path("results/tiny/events.jsonl");
        await_that("evaluations", || {
            fs::read_to_string(&log).unwrap_or_default().matches("\"evaluated\"").count() >= count
        });
    }

    fn events(&self) -> Vec<Event> {
        self.place.results().records().into_iter().map(|record| record.event).collect()
    }

    /// Asserts that the sweep is complete and that what it left is what a run on this machine leaves.
    #[track_caller]
    fn assert_as_on_this_machine(&self) {
        let (rows, files) = findings(&self.place);
        assert_eq!(rows, LOCAL.0);
        assert_eq!(differences(&files, &LOCAL.1), [""; 0]);
        let finished = self.events().into_iter().filter(|event| matches!(event, Event::Finished(_))).count();
        assert_eq!(finished, 4, "each trial finishes once");
        let left: Vec<_> = fs::read_dir(self.place.path("results/tiny/trials"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("attempt"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for job in self.jobs() {
            for worker in Self::workers_of(job) {
                let _ = kill_process(worker, Signal::KILL);
            }
            let _ = kill_process(job, Signal::KILL);
        }
    }
}

#[track_caller]
fn await_that(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_mins(2), "waited for {what} in vain");
        thread::sleep(Duration::from_millis(20));
    }
}

fn send(processes: &[Pid], signal: Signal) {
    for pid in processes {
        kill_process(*pid, signal).unwrap();
    }
}

type Found = (Vec<serde_json::Value>, Files);

/// What a sweep leaves that does not depend on when and where it ran.
fn findings(place: &Place) -> Found {
    let rows = place.results().rows_without(&["seconds", "device"]);
    let root = place.path("results/tiny/trials");
    let files = files_under(&root).into_iter().filter_map(|path| {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let is_of_figures = name.ends_with("predictions.csv") || name.ends_with("model.safetensors");
        is_of_figures.then(|| (name, fs::read(&path).unwrap()))
    });
    (rows, files.collect())
}

/// The same sweep on this machine.
static LOCAL: LazyLock<Found> = LazyLock::new(|| {
    let cluster = Cluster::new();
    Written::by(&mut cluster.command(&["run", "tiny.toml", "--executor", "local", "--devices", "cpu:2"]))
        .succeeded();
    findings(&cluster.place)
});

#[test]
fn a_sweep_on_a_cluster_leaves_what_it_leaves_on_one_machine() {
    let cluster = Cluster::new();
    cluster.run().succeeded();
    cluster.assert_as_on_this_machine();
    let hosts: Vec<String> = cluster
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Started { worker, .. } => Some(worker.unwrap().host),
            _ => None,
        })
        .collect();
    assert!(hosts.contains(&"node1".to_owned()) && hosts.contains(&"node2".to_owned()), "{hosts:?}");
    await_that("the jobs' ends", || cluster.jobs().is_empty());
}

#[test]
fn jobs_for_one_trial_each_leave_the_same() {
    let cluster = Cluster::new();
    let run = cluster.run_command(&["--set", "executor.mode=job-per-trial"]).output().unwrap();
    Written::from(run).succeeded();
    cluster.assert_as_on_this_machine();
    assert_eq!(fs::read_dir(cluster.place.path("slurm/jobs")).unwrap().count(), 4);
}

#[test]
fn the_trial_of_a_job_that_is_killed_goes_on_elsewhere() {
    let cluster = Cluster::new();
    let running = Running::start(&mut cluster.run_command(&[]));
    cluster.await_evaluations(1);
    let job = cluster.jobs()[0];
    for worker in Cluster::workers_of(job) {
        kill_process(worker, Signal::KILL).unwrap();
    }
    kill_process(job, Signal::KILL).unwrap();
    assert_eq!(running.end().code, Some(0));
    cluster.assert_as_on_this_machine();
}

#[test]
fn a_worker_that_stood_still_and_wakes_up_after_its_trial_was_given_away_changes_nothing() {
    let cluster = Cluster::new();
    let running = Running::start(&mut cluster.run_command(&[]));
    cluster.await_evaluations(1);
    let job = cluster.jobs()[0];
    let stopped: Vec<Pid> = Cluster::workers_of(job).into_iter().chain([job]).collect();
    send(&stopped, Signal::STOP);
    let is_lost = |cluster: &Cluster| {
        let log = fs::read_to_string(cluster.place.path("results/tiny/events.jsonl")).unwrap();
        log.contains("worker_lost")
    };
    await_that("the loss", || is_lost(&cluster));
    // It goes on with its trial, beside the one that has it now.
    send(&stopped, Signal::CONT);
    assert_eq!(running.end().code, Some(0));
    cluster.assert_as_on_this_machine();
    await_that("the end of the one that is not wanted", || !is_alive(job));
}

#[test]
fn an_orchestrator_that_was_killed_takes_over_what_jobs_do_meanwhile() {
    for away in [false, true] {
        let cluster = Cluster::new();
        let running = Running::start(&mut cluster.run_command(&[]));
        cluster.await_evaluations(1);
        running.kill();
        if away {
            // Both workers finish their trials, and nobody hears of it.
            let out = cluster.place.path("results/tiny/cluster/out");
            let finished = || {
                let texts =
                    files_under(&out).into_iter().map(|path| fs::read_to_string(path).unwrap_or_default());
                texts.filter(|text| text.contains("\"finished\"")).count()
            };
            await_that("both ends", || finished() == 2);
        }
        cluster.run().succeeded();
        cluster.assert_as_on_this_machine();
        assert_eq!(fs::read_dir(cluster.place.path("slurm/jobs")).unwrap().count(), 2, "away: {away}");
    }
}

#[test]
fn without_a_terminal_ctrl_c_leaves_the_jobs_and_says_so() {
    let cluster = Cluster::new();
    let mut running = Running::start(&mut cluster.run_command(&[]));
    running.wait_for("starts on");
    running.signal(Signal::INT);
    let written = running.end().with_code(130);
    assert!(written.stderr.contains("the jobs go on without this program"), "{}", written.stderr);
    assert_eq!(cluster.jobs().len(), 2);
    cluster.run().succeeded();
    cluster.assert_as_on_this_machine();
}

#[test]
fn cancelled_jobs_stop_their_trials_with_a_checkpoint() {
    let cluster = Cluster::new();
    // Long enough that they are in the midst of it.
    let long = ["--set", "train.epochs=60", "--set", "early_stopping.patience=100"];
    let running = Running::start(&mut cluster.run_command(&long));
    cluster.await_evaluations(1);
    running.signal(Signal::INT);
    running.end().with_code(130);
    let said = Written::by(&mut cluster.command(&["cancel", "tiny"])).succeeded().stdout;
    assert!(said.contains("workers stopped their trials with a checkpoint"), "{said}");
    await_that("the jobs' ends", || cluster.jobs().is_empty());
    Written::by(&mut cluster.run_command(&long)).succeeded();
    let is_of = |wanted: fn(&Event) -> bool| cluster.events().iter().filter(|event| wanted(event)).count();
    assert_eq!(is_of(|event| matches!(event, Event::Finished(_))), 4);
    assert_eq!(is_of(|event| matches!(event, Event::Resumed { .. })), 2, "two went on where they were");
}

#[test]
fn a_worker_whose_time_is_over_puts_its_job_into_the_queue_again() {
    let cluster = Cluster::new();
    let running = Running::start(&mut cluster.run_command(&[]));
    cluster.await_evaluations(1);
    kill_process(cluster.jobs()[0], Signal::USR1).unwrap();
    assert_eq!(running.end().code, Some(0));
    cluster.assert_as_on_this_machine();
    let requeued = ["1", "2"].map(|job| cluster.place.path(format!("slurm/jobs/{job}/requeued")).exists());
    assert!(requeued[0] || requeued[1]);
    assert!(cluster.events().iter().any(|event| matches!(event, Event::Interrupted)));
    assert!(!cluster.events().iter().any(|event| matches!(event, Event::Failed { .. })), "no failure counts");
}

#[test]
fn a_submission_whose_answer_is_lost_makes_one_job() {
    let cluster = Cluster::new();
    cluster.place.write("slurm/unclear", "");
    cluster.run().succeeded();
    cluster.assert_as_on_this_machine();
    assert_eq!(fs::read_dir(cluster.place.path("slurm/jobs")).unwrap().count(), 2);
}

#[test]
fn while_the_controller_is_down_trials_go_on() {
    let cluster = Cluster::new();
    let running = Running::start(&mut cluster.run_command(&[]));
    cluster.await_evaluations(1);
    cluster.place.write("slurm/down", "");
    assert_eq!(running.end().code, Some(0));
    cluster.assert_as_on_this_machine();
}

#[test]
fn a_refusal_ends_the_run_with_slurms_words() {
    let cluster = Cluster::new();
    let words = "sbatch: error: Batch job submission failed: Invalid partition name specified";
    cluster.place.write("slurm/refuse", words);
    let written = cluster.run();
    assert!(written.stderr.contains("Invalid partition name specified"), "{}", written.stderr);
    assert!(written.code.is_some_and(|code| code != 0));
    fs::remove_file(cluster.place.path("slurm/refuse")).unwrap();
    cluster.run().succeeded();
    cluster.assert_as_on_this_machine();
}

#[test]
fn nodes_that_do_not_see_the_folder_end_the_run_with_a_plain_sentence() {
    let cluster = Cluster::new();
    let bin = cluster.place.path("bin");
    fs::create_dir_all(&bin).unwrap();
    // A job that ends as the batch script does where there is no probe.
    let script = "#!/bin/bash\ncat >/dev/null\nid=$(($(ls $FAKE_SLURM/jobs | wc -l) + 1))\nmkdir $FAKE_SLURM/jobs/$id\n\
                  sed -n 's/^#SBATCH --job-name=//p' >/dev/null </dev/null\necho 999999 >$FAKE_SLURM/jobs/$id/pid\n\
                  basename $(ls $PWD/results/tiny/cluster/jobs | sort -V | tail -1) .json >$FAKE_SLURM/jobs/$id/name\necho $id\n";
    fs::write(bin.join("sbatch"), script).unwrap();
    Command::new("chmod").arg("+x").arg(bin.join("sbatch")).status().unwrap();
    let mut command = cluster.run_command(&["--workers", "1"]);
    let path = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
    command.env("PATH", format!("{}:{}", bin.display(), path.to_str().unwrap()));
    let written = Written::by(&mut command);
    assert!(written.stderr.contains("the node does not see"), "{}", written.stderr);
    assert!(written.code.is_some_and(|code| code != 0));
}

#[test]
fn the_status_shows_jobs_and_nodes() {
    let cluster = Cluster::new();
    let running = Running::start(&mut cluster.run_command(&[]));
    cluster.await_evaluations(1);
    await_that("the workers", || {
        let shown = Written::by(&mut cluster.command(&["status", "tiny"])).succeeded().stdout;
        shown.contains("2 workers as of") && shown.contains("node1") && shown.contains("running")
    });
    assert_eq!(running.end().code, Some(0));
    let shown = Written::by(&mut cluster.command(&["status", "tiny"])).succeeded().stdout;
    assert!(!shown.contains("node1"), "{shown}");
}
