//! The program itself: exit codes and what goes where, without training anything.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use sweep::protocol::PROTOCOL_VERSION;

use crate::common::{
    place::Place,
    program::{self, Written},
};

fn command(results: &Path, arguments: &[&str]) -> Command {
    let mut command = program::sweep(&[]);
    command.arg("--results").arg(results).args(arguments);
    command
}

fn run(results: &Place, arguments: &[&str]) -> Written {
    Written::by(&mut command(&results.path(""), arguments))
}

/// A plan of an older version, which lacks fields of today's.
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
fn results() -> Place {
    let place = Place::empty();
    place.write("demo/plan.json", PLAN);
    place
}

#[test]
fn wrong_usage_ends_with_2() {
    run(&Place::empty(), &["dance"]).with_code(2);
}

#[test]
fn help_ends_with_0() {
    run(&Place::empty(), &["--help"]).with_code(0);
}

#[test]
fn help_names_the_exit_codes() {
    assert!(run(&Place::empty(), &["--help"]).stdout.contains("130 interrupted"));
}

#[test]
fn listings_without_results_end_with_5() {
    for command in ["leaderboard", "status", "report", "export-best"] {
        let Written { stderr, .. } = run(&Place::empty(), &[command]).with_code(5);
        assert!(stderr.contains("holds no sweep"), "{stderr}");
    }
}

#[test]
fn an_unknown_sweep_is_answered_with_those_there_are() {
    let Written { stderr, .. } = run(&results(), &["status", "demp"]).with_code(5);
    assert!(stderr.contains("no sweep `demp`") && stderr.contains("there are: demo"), "{stderr}");
}

/// The refusal of a damaged log.
fn on_a_damaged_log() -> String {
    let results = results();
    results.write("demo/events.jsonl", "nonsense\n{}\n");
    run(&results, &["status"]).with_code(5).stderr
}

#[test]
fn a_damaged_log_is_refused_at_its_line() {
    let message = on_a_damaged_log();
    assert!(message.contains("events.jsonl line 1 is not a record"), "{message}");
}

#[test]
fn a_damaged_log_is_refused_with_a_way_out() {
    let message = on_a_damaged_log();
    assert!(message.contains("--fresh"), "{message}");
}

/// The refusal of half a plan.
fn on_half_a_plan() -> String {
    let results = results();
    results.write("demo/plan.json", &PLAN[..PLAN.len() / 2]);
    run(&results, &["leaderboard"]).with_code(5).stderr
}

#[test]
fn a_plan_that_is_cut_off_is_refused_by_its_name() {
    let message = on_half_a_plan();
    assert!(message.contains("plan.json is damaged or cut off"), "{message}");
}

#[test]
fn a_plan_that_is_cut_off_is_refused_with_a_way_out() {
    let message = on_half_a_plan();
    assert!(message.contains("--fresh"), "{message}");
}

#[test]
fn results_whose_path_is_not_utf8_are_refused_before_anything_is_made() {
    let place = Place::new("a", "name = \"a\"\n[data]\npath = \"builtin:reviews\"\n");
    let results = place.path(OsStr::from_bytes(b"r\xff"));
    let spec = place.path("a.toml");
    let Written { stderr, .. } =
        Written::by(&mut command(&results, &["run", spec.to_str().unwrap()])).with_code(2);
    assert!(stderr.contains("is not UTF-8"), "{stderr}");
    assert!(!results.exists());
}

fn parsed(results: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(results, &[arguments, &["--format", "json"]].concat()).stdout).unwrap()
}

#[test]
fn the_status_speaks_json() {
    let status = parsed(&results(), &["status"]);
    assert_eq!((&status["sweep"], &status["counts"]["waiting"]), (&"demo".into(), &0.into()));
    assert!(status["running_in"].is_null());
}

#[test]
fn the_list_of_devices_speaks_json() {
    assert!(parsed(&results(), &["devices"])["cores"].as_u64().unwrap() >= 1);
}

#[test]
fn a_reader_that_closes_standard_output_early_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let results = results();
    let written = Written::by(command(&results.path(""), &["status"]).stdout(writer));
    assert_eq!((written.code, written.stderr.as_str()), (Some(0), ""));
}

#[test]
fn status_names_the_process_that_holds_the_sweep() {
    let results = results();
    let lock = File::create(results.path("demo/.lock")).unwrap();
    (&lock).write_all(br#"{"host":"here","pid":7,"since":"2026-01-05T10:22:07Z"}"#).unwrap();
    lock.lock().unwrap();
    let text = run(&results, &["status"]).stdout;
    assert!(text.starts_with("demo (pid 7 on here since 2026-01-05T10:22:07Z): 0 complete"), "{text}");
}

/// A worker whose input and output are pipes.
fn worker(results: &Place, arguments: &[&str]) -> Child {
    let mut command = command(&results.path(""), &["worker", "--device", "cpu:0"]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Reads the first line of a worker.
fn first_line(worker: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(worker.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line
}

#[test]
fn a_worker_is_ready_at_once() {
    let results = Place::empty();
    let mut worker = worker(&results, &["--threads", "1"]);
    assert_eq!(first_line(&mut worker), format!("{{\"ready\":{{\"v\":{PROTOCOL_VERSION}}}}}\n"));
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[test]
fn a_worker_leaves_when_its_input_ends() {
    let results = Place::empty();
    let mut worker = worker(&results, &["--threads", "1"]);
    first_line(&mut worker);
    drop(worker.stdin.take());
    assert_eq!(worker.wait().unwrap().code(), Some(0));
}

/// What a worker does that is to run a trial without its file; its input does not end.
fn on_a_trial_without_its_file() -> Written {
    let results = Place::empty();
    let mut worker = worker(&results, &[]);
    let mut input = worker.stdin.take().unwrap();
    let sweep = results.path("");
    let request = json!({ "run": { "trials": [{ "trial": 3, "sweep": sweep, "folder": "trials/0003" }] } });
    writeln!(input, "{request}").unwrap();
    let written = worker.wait_with_output().unwrap().into();
    drop(input);
    written
}

#[test]
fn a_worker_fails_a_trial_without_its_file() {
    let Written { stdout, .. } = on_a_trial_without_its_file();
    let last = stdout.lines().last().unwrap();
    assert!(last.starts_with(r#"{"failed":[3,{"kind":"disk""#), "{last}");
}

#[test]
fn a_worker_leaves_after_a_trial_that_failed() {
    on_a_trial_without_its_file().with_code(1);
}

#[test]
fn the_list_names_every_sweep_with_its_state_and_no_damaged_folder_hides_another_one() {
    let place = results();
    place.write("broken/plan.json", "{");
    place.write("lost/events.jsonl", "");
    place.write("notes/readme.txt", "no sweep");
    let written = run(&place, &["list", "--format", "json"]).with_code(0);
    let rows: Vec<Value> = serde_json::from_str(&written.stdout).unwrap();
    let mut states: Vec<(&str, &str)> =
        rows.iter().map(|row| (row["sweep"].as_str().unwrap(), row["state"].as_str().unwrap())).collect();
    states.sort_unstable();
    assert_eq!(states, [("broken", "damaged"), ("demo", "complete"), ("lost", "damaged")]);
}

#[test]
fn a_damaged_sweep_is_listed_with_the_reason_below_the_table() {
    let place = results();
    place.write("broken/plan.json", "{");
    let text = run(&place, &["list"]).with_code(0).stdout;
    assert!(text.starts_with("sweep   state"), "{text}");
    assert!(text.contains("\ndemo    complete  0/0"), "{text}");
    assert!(text.contains("\n\nbroken cannot be read: "), "{text}");
}

#[test]
fn a_results_folder_without_sweeps_lists_nothing_and_says_what_makes_one() {
    let written = run(&Place::empty(), &["list"]).with_code(0);
    assert_eq!(written.stdout, "");
    assert!(written.stderr.contains("`sweep run SPEC` makes one"), "{}", written.stderr);
    assert_eq!(run(&Place::empty(), &["list", "--format", "json"]).with_code(0).stdout, "[]\n");
}

#[test]
fn completions_of_every_shell_know_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&Place::empty(), &["completions", shell]).with_code(0).stdout;
        assert!(script.contains("export-best") && script.contains("retry-failed"), "{shell}");
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let place = Place::empty();
    let folder = place.path("man");
    run(&place, &["man", folder.to_str().unwrap()]).with_code(0);
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.contains(&"sweep.1".to_owned()) && names.contains(&"sweep-run.1".to_owned()), "{names:?}");
    assert!(!names.contains(&"sweep-worker.1".to_owned()), "{names:?}");
}

#[test]
fn the_manual_page_is_printed_without_a_folder() {
    let page = run(&Place::empty(), &["man"]).with_code(0).stdout;
    assert!(page.contains(".TH sweep 1"), "{page}");
}

#[test]
fn a_prediction_without_a_model_names_the_command_that_writes_one() {
    let written = run(&Place::empty(), &["predict", "a text"]).with_code(2);
    assert!(written.stderr.contains("sweep export-best"), "{}", written.stderr);
}

#[test]
fn a_prediction_from_a_sweeps_folder_names_the_folder_of_its_model() {
    let place = results();
    let folder = place.path("demo");
    let model = folder.to_str().unwrap();
    let written = run(&place, &["predict", "--model", model, "a text"]).with_code(2);
    assert!(
        written.stderr.contains("to have this sweep's best model: sweep export-best demo --out DIR"),
        "{}",
        written.stderr
    );
    let written = run(&place, &["predict", "--model", "nowhere", "a text"]).with_code(2);
    assert!(written.stderr.contains("there is no folder nowhere"), "{}", written.stderr);
}

#[test]
fn a_run_without_a_spec_shows_a_spec() {
    let written = run(&Place::empty(), &["run"]).with_code(2);
    assert!(written.stderr.contains("sweep run first.toml"), "{}", written.stderr);
}

#[test]
fn a_number_of_trials_that_is_none_is_wrong_usage() {
    run(&results(), &["leaderboard", "--top", "best"]).with_code(2);
    run(&results(), &["leaderboard", "--top", "3"]).with_code(0);
}

#[test]
fn the_leaderboard_by_configuration_is_written_in_every_format() {
    let by = |format: &str| {
        run(&results(), &["leaderboard", "--by", "configuration", "--format", format]).succeeded().stdout
    };
    assert!(by("table").starts_with("rank  dropout  seeds  test F1  [95 %]  val F1  val loss  trials\n"));
    assert!(by("markdown").starts_with("# demo\n\nConfigurations, ranked by the mean of test F1"));
    assert_eq!(by("json"), "[]\n");
    assert!(by("csv").starts_with("rank,dropout,seeds,unfit,test_f1,"));
}
