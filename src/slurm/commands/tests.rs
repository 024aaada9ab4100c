//! Commands against programs that play Slurm's.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::*;
use crate::slurm::JobState;

/// A folder with programs called like Slurm's, each a shell script of these lines.
struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    fn new(programs: &[(&str, &str)]) -> Self {
        let fake = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["sbatch", "squeue", "scancel", "scontrol"] {
            let lines =
                programs.iter().find(|(program, _)| *program == name).map_or("exit 9", |(_, lines)| lines);
            let path = fake.path(name);
            fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fake
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn slurm(&self) -> Slurm {
        Slurm::find_in(self.folder.path().as_os_str()).unwrap()
    }

    /// What a program of ours has written there.
    fn written(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

/// What becomes of a submission when sbatch does this.
async fn submitted(sbatch: &str) -> Submission {
    Fake::new(&[("sbatch", sbatch)]).slurm().submit("#!/bin/bash\n").await
}

#[tokio::test]
async fn a_submitted_job_has_its_number() {
    assert_eq!(submitted("echo 17").await, Submission::Submitted(17));
    assert_eq!(submitted("echo 'Welcome!' >&2; echo '17;big'").await, Submission::Submitted(17));
}

#[tokio::test]
async fn the_script_reaches_sbatch_whole_on_its_standard_input() {
    let fake = Fake::new(&[("sbatch", "cat > \"$(dirname \"$0\")/got\"; echo 1")]);
    let script = "#!/bin/bash\n".to_owned() + &"# a long comment\n".repeat(20_000);
    assert_eq!(fake.slurm().submit(&script).await, Submission::Submitted(1));
    assert_eq!(fake.written("got"), script);
}

#[tokio::test]
async fn sbatch_that_reads_nothing_still_says_what_it_says() {
    let fake = Fake::new(&[("sbatch", "echo 'sbatch: error: Invalid --time specification' >&2; exit 255")]);
    let script = "# a long comment\n".repeat(20_000);
    let refused = Submission::Refused("sbatch: error: Invalid --time specification".to_owned());
    assert_eq!(fake.slurm().submit(&script).await, refused);
}

#[tokio::test]
async fn what_slurm_refuses_is_refused_in_its_words() {
    for words in [
        "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid partition name \
         specified",
        "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
        "sbatch: error: Batch job submission failed: Requested node configuration is not available",
        "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size \
         and/or time limits)",
        "sbatch: error: Batch job submission failed: Unspecified error",
        "sbatch: error: Memory specification can not be satisfied",
        "sbatch: unrecognized option '--bla'\nTry \"sbatch --help\" for more information",
    ] {
        let found = submitted(&format!(
            "cat >/dev/null; printf '%s\\n' {} >&2; exit 1",
            crate::display::shell_word(words)
        ))
        .await;
        let expected = Submission::Refused(words.replace('\n', "; "));
        assert_eq!(found, expected, "{words}");
    }
}

#[tokio::test]
async fn a_job_may_be_there_after_an_error_on_the_way_to_the_controller() {
    for words in [
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        "sbatch: error: Batch job submission failed: Protocol authentication error",
        "a word that nobody knows",
    ] {
        let found = submitted(&format!("echo '{words}' >&2; exit 1")).await;
        assert_eq!(found, Submission::Unclear(words.to_owned()), "{words}");
    }
}

#[tokio::test]
async fn a_job_may_be_there_when_sbatch_says_no_number_or_is_killed() {
    for sbatch in ["echo done", "exit 0", "kill -9 $$", "echo 'sbatch: error: Invalid' >&2; kill -9 $$"] {
        assert!(matches!(submitted(sbatch).await, Submission::Unclear(_)), "{sbatch}");
    }
}

#[tokio::test]
async fn a_command_that_gives_no_answer_is_ended_with_what_it_started() {
    let lines = "sleep 600 & echo $! > \"$(dirname \"$0\")/child\"; wait";
    let fake = Fake::new(&[("sbatch", lines), ("squeue", "sleep 600")]);
    let slurm = Slurm { limit: Duration::from_millis(500), ..fake.slurm() };
    let Submission::Unclear(words) = slurm.submit("").await else { panic!("a job is known") };
    assert!(words.contains("sbatch gave no answer within"), "{words}");
    assert!(matches!(slurm.queue("").await, Err(SlurmError::Silent { program: "squeue", .. })));
    let child = fake.written("child");
    let stat = format!("/proc/{}/stat", child.trim());
    let is_over = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    for _ in 0..500 {
        if is_over() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the sleep is still there");
}

#[tokio::test]
async fn sbatch_that_cannot_be_started_has_made_no_job() {
    let fake = Fake::new(&[]);
    let slurm = fake.slurm();
    fs::remove_file(fake.path("sbatch")).unwrap();
    assert!(matches!(slurm.submit("").await, Submission::Refused(_)));
}

#[tokio::test]
async fn the_queue_has_the_jobs_of_the_prefix() {
    let lines = "echo \"$@\" > \"$(dirname \"$0\")/got\"; echo '7|RUNNING|None|n1|sweep-a-w1'; echo '8|RUNNING|None|n1|other'";
    let fake = Fake::new(&[("squeue", lines)]);
    let jobs = fake.slurm().queue("sweep-a-").await.unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].id, &jobs[0].state), (7, &JobState::Running));
    let user = rustix::process::getuid().as_raw();
    assert_eq!(fake.written("got"), format!("-h -r -t all -u {user} -o %i|%T|%r|%N|%j\n"));
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_is_an_error_and_no_empty_queue() {
    let fake = Fake::new(&[(
        "squeue",
        "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1",
    )]);
    let error = fake.slurm().queue("").await.unwrap_err().to_string();
    assert_eq!(error, "squeue failed: slurm_load_jobs error: Unable to contact slurm controller");
}

#[tokio::test]
async fn words_of_slurm_cannot_speak_to_the_terminal() {
    let fake = Fake::new(&[("squeue", "printf 'a\\033[31mb\\nc\\n' >&2; exit 1")]);
    assert_eq!(fake.slurm().queue("").await.unwrap_err().to_string(), "squeue failed: a [31mb; c");
}

#[tokio::test]
async fn all_jobs_are_cancelled_and_none_is_no_call() {
    let fake = Fake::new(&[("scancel", "echo $# >> \"$(dirname \"$0\")/got\"")]);
    fake.slurm().cancel(&[]).await.unwrap();
    assert!(!fake.path("got").exists());
    let ids: Vec<u64> = (1..=450).collect();
    fake.slurm().cancel(&ids).await.unwrap();
    assert_eq!(fake.written("got"), "200\n200\n50\n");
}

#[tokio::test]
async fn a_job_that_is_over_is_as_good_as_cancelled() {
    let over = "scancel: error: Kill job error on job id 9: Invalid job id specified";
    let fake = Fake::new(&[("scancel", &format!("echo '{over}' >&2; exit 1"))]);
    fake.slurm().cancel(&[9]).await.unwrap();
    let fake =
        Fake::new(&[("scancel", &format!("echo '{over}' >&2; echo 'Access/permission denied' >&2; exit 1"))]);
    assert!(fake.slurm().cancel(&[9, 10]).await.is_err());
    let fake = Fake::new(&[("scancel", "exit 1")]);
    assert!(fake.slurm().cancel(&[9]).await.is_err());
}

#[tokio::test]
async fn a_job_that_is_requeued_keeps_its_number() {
    let fake = Fake::new(&[("scontrol", "echo \"$@\" > \"$(dirname \"$0\")/got\"")]);
    fake.slurm().requeue(12).await.unwrap();
    assert_eq!(fake.written("got"), "requeue 12\n");
    let fake = Fake::new(&[("scontrol", "echo 'Invalid job id specified for job 12'; exit 1")]);
    let error = fake.slurm().requeue(12).await.unwrap_err().to_string();
    assert_eq!(error, "scontrol failed: Invalid job id specified for job 12");
}

#[tokio::test]
async fn a_job_that_the_controller_has_forgotten_has_no_report() {
    let fake = Fake::new(&[(
        "scontrol",
        "echo 'JobId=7 JobState=TIMEOUT Reason=TimeLimit ExitCode=0:15 BatchHost=n2'",
    )]);
    let report = fake.slurm().report(7).await.unwrap();
    assert_eq!((report.state, report.signal), (JobState::Ended("TIMEOUT".to_owned()), Some(15)));
    let fake =
        Fake::new(&[("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")]);
    assert_eq!(fake.slurm().report(7).await, None);
}

#[test]
fn a_machine_without_slurm_gets_one_sentence() {
    let empty = tempfile::tempdir().unwrap();
    let said = Slurm::find_in(empty.path().as_os_str()).unwrap_err().to_string();
    assert!(said.starts_with("there is no sbatch here: ") && !said.contains('\n'), "{said}");
    let fake = Fake::new(&[]);
    fs::remove_file(fake.path("scancel")).unwrap();
    let said = Slurm::find_in(fake.folder.path().as_os_str()).unwrap_err().to_string();
    assert!(said.starts_with("there is no scancel here: "), "{said}");
    assert!(Slurm::find_in(OsStr::new("")).is_err());
}

#[test]
fn a_command_found_in_a_relative_folder_has_an_absolute_path() {
    let fake = Fake::new(&[]);
    let up = std::env::current_dir().unwrap().components().skip(1).map(|_| "../").collect::<String>();
    let path = Path::new(&up).join(fake.folder.path().strip_prefix("/").unwrap());
    assert!(Slurm::find_in(path.as_os_str()).unwrap().sbatch.is_absolute());
}

/// The variables that are taken away for a script of these lines.
fn taken(lines: &str) -> Vec<&'static str> {
    overriding(lines).filter(|name| !OVERRIDING.contains(name)).collect()
}

#[test]
fn a_variable_of_the_environment_does_not_override_what_the_script_says() {
    assert_eq!(taken("#SBATCH --partition=gpu\n"), ["SBATCH_PARTITION"]);
    assert_eq!(taken("#SBATCH --time-min=5\n#SBATCH --nodes=1\n"), [""; 0]);
    assert!(taken("#SBATCH --mem=5M\n").contains(&"SBATCH_MEM_PER_CPU"));
    assert!(overriding("").any(|name| name == "SBATCH_ARRAY_INX"));
}

#[test]
fn a_job_hears_nothing_of_the_job_in_which_the_sweep_runs() {
    for name in [
        "SLURM_JOB_ID",
        "SLURM_RESTART_COUNT",
        "SLURM_CPUS_PER_TASK",
        "CUDA_VISIBLE_DEVICES",
        "SQUEUE_STATES",
    ] {
        assert!(is_misleading(name), "{name}");
    }
    for name in ["SLURM_CONF", "SLURM_CLUSTERS", "SBATCH_ACCOUNT", "PATH", "HOME", "LD_LIBRARY_PATH"] {
        assert!(!is_misleading(name), "{name}");
    }
}
