//! A sweep as jobs of a Slurm cluster: options and dry runs without a cluster, and Slurm's commands with one.
//!
//! The tests with a cluster need `SLURM_CONF`, and say that they were skipped without it.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sweep::slurm::{self, BatchJob, JobState, Mode, QueuedJob, Slurm, SlurmOptions, Submission};

use crate::common::{place::Place, program::Written};

const SPEC: &str = r#"
name = "jobs"
[data]
path = "builtin:reviews"
[train]
epochs = 1
[search.space]
dropout = { grid = [0.1, 0.2] }
[executor]
kind = "slurm"
partition = "gpu"
gpus = "a100:1"
time = "2h"
setup = ["module load cuda"]
"#;

/// Writes a program of these lines of shell.
fn write_program(path: &Path, lines: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A dry run on a machine where these commands of Slurm's are found, each of which says on its own file that it was called.
fn dry_run(place: &Place, programs: &[&str], arguments: &[&str]) -> Written {
    for name in programs {
        write_program(&place.path("bin").join(name), "touch \"$0.called\"");
    }
    fs::create_dir_all(place.path("bin")).unwrap();
    let mut command = place.run_command(&["--dry-run"]);
    Written::by(command.args(arguments).env("PATH", place.path("bin")))
}

const ALL: [&str; 4] = ["sbatch", "squeue", "scancel", "scontrol"];

#[test]
fn a_dry_run_shows_the_script_of_a_job_and_touches_nothing() {
    let place = Place::new("jobs", SPEC);
    let shown = dry_run(&place, &ALL, &[]).succeeded().stdout;
    let folder = place.path("results/jobs");
    for line in [
        "up to 2 workers on Slurm (partition gpu, gpus a100:1, 1 cpu, 2h at most)",
        "#!/bin/bash",
        "#SBATCH --partition=gpu",
        "#SBATCH --gres=gpu:a100:1",
        "#SBATCH --time=0-02:00:00",
        "module load cuda",
        &format!("pilot --folder {} --name ", folder.display()),
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    assert!(!shown.contains("there is no sbatch"), "{shown}");
    assert!(!place.has_results());
    assert!(ALL.iter().all(|name| !place.path(format!("bin/{name}.called")).exists()));
}

#[test]
fn a_dry_run_on_a_machine_without_slurm_says_so_in_a_sentence() {
    let place = Place::new("jobs", SPEC);
    let shown = dry_run(&place, &[], &[]).succeeded().stdout;
    assert!(
        shown.contains("#SBATCH --job-name=") && shown.contains("\nnote: there is no sbatch here: "),
        "{shown}"
    );
}

#[test]
fn options_of_the_command_come_before_those_of_the_spec() {
    let place = Place::new("jobs", SPEC);
    let shown = dry_run(&place, &ALL, &["--workers", "1", "--partition", "long"]).succeeded().stdout;
    assert!(
        shown.contains("1 worker on Slurm (partition long, ") && shown.contains("--partition=long\n"),
        "{shown}"
    );
    let shown = dry_run(&place, &ALL, &["--executor", "local"]).succeeded().stdout;
    assert!(!shown.contains("Slurm") && !shown.contains("#SBATCH"), "{shown}");
    let spec = SPEC.split("[executor]").next().unwrap();
    place.write_spec(spec);
    let shown = dry_run(&place, &ALL, &["--executor", "slurm"]).succeeded().stdout;
    assert!(shown.contains("up to 2 workers on Slurm (1 cpu)"), "{shown}");
}

#[test]
fn the_plan_of_a_sweep_does_not_depend_on_where_it_runs() {
    let place = Place::new("jobs", SPEC);
    let plan = |arguments: &[&str]| {
        let shown = dry_run(&place, &ALL, arguments).succeeded().stdout;
        let lines = shown.split("\nbatch script").next().unwrap().lines();
        lines
            .filter(|line| !line.starts_with("devices") && !line.starts_with("disk"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(plan(&[]).trim_end(), plan(&["--executor", "local"]).trim_end());
}

#[test]
fn what_becomes_of_jobs_is_not_said_twice_nor_without_jobs() {
    let place = Place::new("jobs", SPEC);
    let said = place.run(&["--dry-run", "--detach", "--cancel"]).with_code(2).stderr;
    assert!(said.contains("'--detach' cannot be used with '--cancel'"), "{said}");
    let said = place.run(&["--dry-run", "--executor", "local", "--cancel"]).with_code(2).stderr;
    assert!(said.contains("--cancel says what becomes of jobs on a cluster"), "{said}");
    let said = place.run(&["--dry-run", "--executor", "local", "--workers", "2"]).with_code(2).stderr;
    assert!(said.contains("`workers` says how a cluster is used"), "{said}");
}

/// The commands of a cluster; `None` where there is none.
fn cluster(test: &str) -> Option<Slurm> {
    if env::var_os("SLURM_CONF").is_none() {
        eprintln!("skipped: {test} needs a Slurm cluster (SLURM_CONF)");
        return None;
    }
    Some(Slurm::find().unwrap())
}

/// A job in a folder whose name sbatch and bash would read differently without quotes, which does what `lines` say.
struct Job {
    place: Place,
    job: BatchJob,
}

impl Job {
    fn new(name: &str, lines: &str) -> Self {
        let place = Place::empty();
        let folder = place.path("a b'c\"d#e%f$x");
        let job = BatchJob {
            name: format!("sweep-test-{}-{name}", std::process::id()),
            program: folder.join("program"),
            logs: folder.join("cluster/logs"),
            probe: folder.join("cluster/probe"),
            folder,
        };
        write_program(&job.program, lines);
        fs::create_dir_all(&job.logs).unwrap();
        fs::write(&job.probe, "").unwrap();
        Self { place, job }
    }

    async fn submit(&self, slurm: &Slurm, options: &SlurmOptions) -> u64 {
        match slurm.submit(&slurm::script(options, &self.job).unwrap()).await {
            Submission::Submitted(id) => id,
            other => panic!("{other:?}"),
        }
    }

    /// The job once it is as `is` wants it.
    async fn until(&self, slurm: &Slurm, is: impl Fn(&QueuedJob) -> bool) -> QueuedJob {
        let begin = Instant::now();
        loop {
            let jobs = slurm.queue(&self.job.name).await.unwrap();
            assert!(begin.elapsed() < Duration::from_mins(1), "{jobs:?}");
            if let Some(job) = jobs.into_iter().find(|job| is(job)) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn log(&self, id: u64) -> String {
        fs::read_to_string(self.job.logs.join(format!("{}.{id}.log", self.job.name))).unwrap()
    }

    /// A file that the program has made.
    fn made(&self, name: &str) -> PathBuf {
        assert!(self.job.folder.starts_with(self.place.path("")));
        self.job.folder.join(name)
    }
}

#[tokio::test]
async fn a_job_runs_the_program_with_its_arguments_and_writes_its_log() {
    let Some(slurm) = cluster("a job that runs") else { return };
    let job = Job::new(
        "runs",
        "for word in \"$@\"; do echo \"<$word>\"; done; echo gpus $CUDA_VISIBLE_DEVICES; exit 3",
    );
    let options = SlurmOptions {
        mode: Mode::JobPerTrial,
        cpus: 2,
        gpus: Some("1".to_owned()),
        time: Some(Duration::from_mins(5)),
        extra: vec!["--comment=two \"words\" #1".to_owned()],
        setup: vec!["echo \"setup $SLURM_CPUS_PER_TASK\"".to_owned()],
        ..SlurmOptions::default()
    };
    let id = job.submit(&slurm, &options).await;
    let ended = job.until(&slurm, |job| matches!(job.state, JobState::Ended(_))).await;
    assert_eq!((ended.id, &ended.state), (id, &JobState::Ended("FAILED".to_owned())));
    let report = slurm.report(id).await.unwrap();
    assert_eq!((report.exit_code, report.signal, report.node), (Some(3), None, ended.node));
    let (folder, name) = (job.job.folder.display(), &job.job.name);
    let expected = format!(
        "setup 2\n<pilot>\n<--folder>\n<{folder}>\n<--name>\n<{name}>\n<--cpus>\n<2>\n<--one-trial>\ngpus 0\n"
    );
    assert_eq!(job.log(id), expected);
}

#[tokio::test]
async fn a_node_that_does_not_see_the_probe_says_so_and_does_not_start_the_program() {
    let Some(slurm) = cluster("a job without its folder") else { return };
    let job = Job::new("probe", "echo started");
    fs::remove_file(&job.job.probe).unwrap();
    let script = slurm::script(&SlurmOptions::default(), &job.job).unwrap().replace("sleep 2", "true");
    let Submission::Submitted(id) = slurm.submit(&script).await else { panic!("not submitted") };
    job.until(&slurm, |job| matches!(job.state, JobState::Ended(_))).await;
    assert_eq!(slurm.report(id).await.unwrap().exit_code, Some(66));
    let log = job.log(id);
    assert!(log.contains("cannot read") && !log.contains("started"), "{log}");
}

#[tokio::test]
async fn a_job_is_requeued_under_its_number_and_cancelled() {
    let Some(slurm) = cluster("a job that is cancelled") else { return };
    let job = Job::new(
        "cancelled",
        "echo \"restarts ${SLURM_RESTART_COUNT:-0}\"; touch \"$3/alive\"; exec sleep 600",
    );
    let id = job.submit(&slurm, &SlurmOptions::default()).await;
    job.until(&slurm, |queued| queued.state == JobState::Running && job.made("alive").exists()).await;
    fs::remove_file(job.made("alive")).unwrap();
    slurm.requeue(id).await.unwrap();
    let again =
        job.until(&slurm, |queued| queued.state == JobState::Running && job.made("alive").exists()).await;
    assert_eq!(again.id, id);
    assert!(job.log(id).contains("restarts 1"), "{}", job.log(id));
    slurm.cancel(&[id]).await.unwrap();
    let ended = job.until(&slurm, |job| matches!(job.state, JobState::Ended(_))).await;
    assert_eq!(ended.state, JobState::Ended("CANCELLED".to_owned()));
    slurm.cancel(&[id]).await.unwrap();
    assert!(slurm.requeue(u64::from(u32::MAX) - 9).await.is_err());
}

#[tokio::test]
async fn what_no_node_has_is_refused_in_slurms_words_with_advice() {
    let Some(slurm) = cluster("a job that is refused") else { return };
    let job = Job::new("refused", "true");
    let text = |text: &str| Some(text.to_owned());
    for (options, word) in [
        (SlurmOptions { partition: text("nope"), ..SlurmOptions::default() }, "partition"),
        (SlurmOptions { gpus: text("9"), ..SlurmOptions::default() }, "gpus"),
        (SlurmOptions { gpus: text("a100:1"), ..SlurmOptions::default() }, "gpus"),
        (SlurmOptions { constraint: text("avx1024"), ..SlurmOptions::default() }, "constraint"),
        (SlurmOptions { extra: vec!["--no-such-option=1".to_owned()], ..SlurmOptions::default() }, ""),
    ] {
        let Submission::Refused(words) = slurm.submit(&slurm::script(&options, &job.job).unwrap()).await
        else {
            panic!("not refused: {options:?}");
        };
        let advice = slurm::advice(&words).unwrap_or_default();
        assert!(advice.contains(word), "{words}: {advice}");
    }
    // Slurm keeps the record of a job that no node could ever run.
    let left = slurm.queue(&job.job.name).await.unwrap();
    assert!(left.iter().all(|job| job.state == JobState::Ended("FAILED".to_owned())), "{left:?}");
}

#[tokio::test]
async fn a_job_that_is_held_has_slurms_reason() {
    let Some(slurm) = cluster("a job that is held") else { return };
    let job = Job::new("held", "true");
    let options = SlurmOptions { extra: vec!["--hold".to_owned()], ..SlurmOptions::default() };
    let id = job.submit(&slurm, &options).await;
    let queued = job.until(&slurm, |_| true).await;
    assert_eq!((&queued.state, queued.reason.as_str()), (&JobState::Pending, "JobHeldUser"));
    assert!(slurm::advice(&queued.reason).is_some_and(|advice| advice.contains("scontrol release")));
    slurm.cancel(&[id]).await.unwrap();
}
