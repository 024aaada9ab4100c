//! The batch script, as text and as bash reads it.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use super::*;

fn job() -> BatchJob {
    BatchJob {
        name: "sweep-first-w1".to_owned(),
        program: "/opt/sweep/bin/sweep".into(),
        folder: "/home/ann/results/first".into(),
        logs: "/home/ann/results/first/cluster/logs".into(),
        probe: "/home/ann/results/first/cluster/probe".into(),
    }
}

fn lines(options: &SlurmOptions, job: &BatchJob) -> Vec<String> {
    script(options, job).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[track_caller]
fn assert_has(options: &SlurmOptions, line: &str) {
    let lines = lines(options, &job());
    assert!(lines.iter().any(|found| found == line), "{line} in\n{}", lines.join("\n"));
}

#[test]
fn a_script_without_options_is_this() {
    insta::assert_snapshot!(script(&SlurmOptions::default(), &job()).unwrap());
}

#[test]
fn a_script_with_every_option_is_this() {
    let text = |text: &str| Some(text.to_owned());
    let options = SlurmOptions {
        mode: Mode::JobPerTrial,
        workers: Some(8),
        partition: text("gpu"),
        account: text("nlp"),
        qos: text("high"),
        time: Some(Duration::from_mins(90)),
        gpus: text("a100:2"),
        cpus: 8,
        memory: Some(ByteSize(16_000_000_000)),
        constraint: text("avx512&ib"),
        extra: vec![
            "--exclude=n[7-8]".to_owned(),
            "--exclusive".to_owned(),
            "--comment=a \"b\" #c".to_owned(),
        ],
        setup: vec!["module load cuda/12".to_owned(), "export A=\"$HOME/a\"".to_owned()],
        ..SlurmOptions::default()
    };
    insta::assert_snapshot!(script(&options, &job()).unwrap());
}

#[test]
fn a_short_job_is_warned_a_fifth_of_its_time_before_the_end() {
    let of = |time| SlurmOptions { time: Some(time), ..SlurmOptions::default() };
    assert_has(&of(Duration::from_mins(5)), "#SBATCH --signal=B:USR1@60");
    assert_has(&of(Duration::from_mins(1)), "#SBATCH --signal=B:USR1@12");
    assert_has(&of(Duration::from_hours(2)), "#SBATCH --signal=B:USR1@120");
    assert_has(&SlurmOptions::default(), "#SBATCH --signal=B:USR1@120");
}

#[test]
fn times_and_memory_are_written_as_slurm_reads_them() {
    assert_eq!(time_limit(Duration::from_hours(50)), "2-02:00:00");
    assert_eq!(time_limit(Duration::from_secs(90)), "0-00:01:30");
    assert_eq!(mebibytes(ByteSize(1)), "1M");
    assert_eq!(mebibytes(ByteSize(4_000_000_000)), "3815M");
}

#[test]
fn sbatch_gets_quotes_where_it_would_take_something_away() {
    assert_eq!(directive_value("a/b,c"), "a/b,c");
    assert_eq!(directive_value("n[1-3]"), "\"n[1-3]\"");
    assert_eq!(directive_value("a#b \"c\" \\d"), r#""a#b \"c\" \\d""#);
    assert_eq!(directive_value(""), "\"\"");
}

#[test]
fn a_percent_sign_in_a_path_is_no_pattern() {
    let job = BatchJob { logs: "/a/50%j/logs/".into(), ..job() };
    let lines = lines(&SlurmOptions::default(), &job);
    assert!(lines.contains(&"#SBATCH --output=/a/50%%j/logs/%x.%j.log".to_owned()), "{lines:?}");
}

/// What the script for `job` says that it cannot hold.
fn refusal(job: &BatchJob) -> String {
    script(&SlurmOptions::default(), job).unwrap_err().to_string()
}

#[test]
fn what_would_be_another_line_is_refused() {
    let said = refusal(&BatchJob { folder: "/a\n#SBATCH --uid=0".into(), ..job() });
    assert_eq!(said, "the sweep's folder has a line break, which a batch script cannot hold");
    for job in [
        BatchJob { name: "a\nb".to_owned(), ..job() },
        BatchJob { program: "/a\nb".into(), ..job() },
        BatchJob { logs: "/a\rb".into(), ..job() },
        BatchJob { probe: "/a\nb".into(), ..job() },
    ] {
        assert!(refusal(&job).contains("a line break"), "{job:?}");
    }
    let options =
        SlurmOptions { extra: vec!["--a=b\n#SBATCH --uid=0".to_owned()], ..SlurmOptions::default() };
    assert!(script(&options, &job()).is_err());
    let options = SlurmOptions { partition: Some("a\nb".to_owned()), ..SlurmOptions::default() };
    assert!(script(&options, &job()).is_err());
}

#[test]
fn a_backslash_in_the_path_of_logs_is_refused() {
    assert!(refusal(&BatchJob { logs: r"/a\b".into(), ..job() }).contains("a backslash"));
}

/// A folder whose name bash and sbatch would read differently without quotes, with a program that writes its arguments.
fn hostile() -> (tempfile::TempDir, BatchJob) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a b'c\"d$(touch x)`e`;#%f");
    fs::create_dir_all(folder.join("logs")).unwrap();
    let program = folder.join("the program");
    fs::write(&program, "#!/bin/sh\nfor word in \"$@\"; do echo \"<$word>\"; done\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let job = BatchJob {
        name: "sweep-it's-w1".to_owned(),
        program,
        logs: folder.join("logs"),
        probe: folder.join("probe"),
        folder,
    };
    (root, job)
}

/// What bash prints when it reads the script for `job` from its standard input, as Slurm has it read.
fn run(options: &SlurmOptions, job: &BatchJob) -> (Option<i32>, String, String) {
    // Without the wait for a folder that other machines change.
    let text = script(options, job).unwrap().replace(&format!("sleep {PROBE_EVERY}"), "true");
    let file = job.folder.join("script");
    fs::write(&file, text).unwrap();
    let output = Command::new("bash").arg(&file).current_dir(&job.folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_program_gets_its_arguments_whole() {
    let (_root, job) = hostile();
    fs::write(&job.probe, "").unwrap();
    let options = SlurmOptions { cpus: 4, mode: Mode::JobPerTrial, ..SlurmOptions::default() };
    let (code, stdout, stderr) = run(&options, &job);
    let folder = job.folder.to_str().unwrap();
    let expected =
        format!("<pilot>\n<--folder>\n<{folder}>\n<--name>\n<sweep-it's-w1>\n<--cpus>\n<4>\n<--one-trial>\n");
    assert_eq!((code, stdout, stderr.as_str()), (Some(0), expected, ""));
    assert!(!job.folder.join("x").exists());
}

#[test]
fn a_node_that_does_not_see_the_folder_says_so() {
    let (_root, job) = hostile();
    let (code, stdout, stderr) = run(&SlurmOptions::default(), &job);
    assert_eq!((code, stdout.as_str()), (Some(i32::from(NO_FOLDER)), ""));
    let folder = job.folder.to_str().unwrap();
    assert!(stderr.starts_with("sweep: the node ") && stderr.contains(folder), "{stderr}");
}

#[test]
fn lines_of_setup_come_before_the_program_and_may_wrap_it() {
    let (_root, job) = hostile();
    fs::write(&job.probe, "").unwrap();
    let wrap = "exec() { builtin exec env INSIDE=yes \"$@\"; }".to_owned();
    let options = SlurmOptions { setup: vec!["echo first".to_owned(), wrap], ..SlurmOptions::default() };
    fs::write(&job.program, "#!/bin/sh\necho \"$INSIDE $1\"\n").unwrap();
    assert_eq!(run(&options, &job).1, "first\nyes pilot\n");
}
