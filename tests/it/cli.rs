//! The program itself: exit codes and what goes where, without training anything.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

fn sweep(results: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
    command.arg("--results").arg(results).stdin(Stdio::null());
    command
}

fn output(results: &Path, arguments: &[&str]) -> Output {
    sweep(results).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const PLAN: &str = r#"{
  "sweep": "demo", "seed": 1, "labels": ["0", "1"], "positive": 1, "swept": ["dropout"],
  "data": {
    "source": { "single": { "path": "/nowhere.csv", "split": { "train": 70000, "validation": 15000, "test": 15000 } } },
    "text": "text", "label": "label", "positive": null, "duplicates": "drop",
    "limit": { "train": null, "validation": null, "test": null }, "seed": 1
  },
  "trials": []
}"#;

/// Results with one sweep, `demo`, whose plan is empty.
fn results() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("demo")).unwrap();
    fs::write(root.path().join("demo/plan.json"), PLAN).unwrap();
    root
}

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(output(root.path(), &["dance"]).status.code(), Some(2));
    let help = output(root.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("130 interrupted"));
}

#[test]
fn listings_without_results_end_with_5() {
    let root = tempfile::tempdir().unwrap();
    for command in ["leaderboard", "status", "report", "export-best"] {
        let output = output(root.path(), &[command]);
        assert_eq!(output.status.code(), Some(5), "{command}");
        assert!(stderr(&output).contains("holds no sweep"), "{}", stderr(&output));
    }
}

#[test]
fn an_unknown_sweep_is_answered_with_those_there_are() {
    let root = results();
    let output = output(root.path(), &["status", "demp"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).contains("no sweep `demp`") && stderr(&output).contains("there are: demo"));
}

#[test]
fn a_damaged_log_ends_with_5_and_says_where() {
    let root = results();
    fs::write(root.path().join("demo/events.jsonl"), "nonsense\n{}\n").unwrap();
    let output = output(root.path(), &["status"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).contains("events.jsonl line 1 is not a record"), "{}", stderr(&output));
    assert!(stderr(&output).contains("--fresh"), "{}", stderr(&output));
}

#[test]
fn a_plan_that_is_cut_off_ends_with_5_and_says_how_to_go_on() {
    let root = results();
    fs::write(root.path().join("demo/plan.json"), &PLAN[..PLAN.len() / 2]).unwrap();
    let output = output(root.path(), &["leaderboard"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).contains("plan.json is damaged or cut off"), "{}", stderr(&output));
    assert!(stderr(&output).contains("--fresh"), "{}", stderr(&output));
}

#[test]
fn results_whose_path_is_not_utf8_are_refused_before_anything_is_made() {
    let root = tempfile::tempdir().unwrap();
    let spec = root.path().join("a.toml");
    fs::write(&spec, "name = \"a\"\n[data]\npath = \"builtin:reviews\"\n").unwrap();
    let results = root.path().join(OsStr::from_bytes(b"r\xff"));
    let output = output(&results, &["run", spec.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is not UTF-8"), "{}", stderr(&output));
    assert!(!results.exists());
}

#[test]
fn status_and_devices_speak_json() {
    let root = results();
    let status = output(root.path(), &["status", "--format", "json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["sweep"], &status["counts"]["waiting"]), (&"demo".into(), &0.into()));
    assert!(status["running_in"].is_null());
    let devices = output(root.path(), &["devices", "--format", "json"]);
    let devices: serde_json::Value = serde_json::from_slice(&devices.stdout).unwrap();
    assert!(devices["cores"].as_u64().unwrap() >= 1);
}

#[test]
fn a_reader_that_closes_standard_output_early_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let root = results();
    let output = sweep(root.path()).arg("status").stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn status_names_the_process_that_holds_the_sweep() {
    let root = results();
    let lock = File::create(root.path().join("demo/.lock")).unwrap();
    (&lock).write_all(br#"{"host":"here","pid":7,"since":"2026-01-05T10:22:07Z"}"#).unwrap();
    lock.lock().unwrap();
    let output = output(root.path(), &["status"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("demo (pid 7 on here since 2026-01-05T10:22:07Z): 0 complete"), "{text}");
}

#[test]
fn a_worker_is_ready_at_once_and_leaves_when_its_input_ends() {
    let root = tempfile::tempdir().unwrap();
    let mut worker = sweep(root.path())
        .args(["worker", "--device", "cpu:0", "--threads", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(worker.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "{\"ready\":{\"v\":1}}\n");
    drop(worker.stdin.take());
    assert_eq!(worker.wait().unwrap().code(), Some(0));
}

#[test]
fn a_worker_fails_a_trial_without_its_file_and_leaves() {
    let root = tempfile::tempdir().unwrap();
    let mut worker = sweep(root.path())
        .args(["worker", "--device", "cpu:0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = worker.stdin.take().unwrap();
    let folder = root.path().display();
    writeln!(input, r#"{{"run":{{"trial":3,"folder":"{folder}"}}}}"#).unwrap();
    let output = worker.wait_with_output().unwrap();
    let last = String::from_utf8_lossy(&output.stdout).lines().last().map(ToOwned::to_owned).unwrap();
    assert!(last.starts_with(r#"{"failed":[3,{"kind":"disk""#), "{last}");
    assert_eq!(output.status.code(), Some(1));
    drop(input);
}
