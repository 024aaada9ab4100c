//! A sweep of two trials, the second of which fails whenever it runs.

use super::*;

fn failing(place: Place) -> (Place, Written) {
    place.write_spec(&SPEC.replace("[3e-4, 2e-3]", "[3e-4, 1e30]").replace("[0.0, 0.2]", "[0.1]"));
    let written = run(&place, "cpu:1").with_code(3);
    (place, written)
}

/// The sweep, and what its run wrote; the failed trial has a log with a control character.
static FAILED: LazyLock<(Place, Written)> = LazyLock::new(|| {
    let (place, written) = failing(with_data(Place::shared("tiny", &SPEC)));
    let log = place.results().trial(2).worker_log();
    fs::write(log, "=== trial 0002, attempt 1\nthe \u{1b}[31mcause\n").unwrap();
    (place, written)
});

#[test]
fn a_run_with_a_failed_trial_names_the_command_that_tries_it_again() {
    let (_, Written { stdout, .. }) = &*FAILED;
    assert!(stdout.contains("add --retry-failed to the same command"), "{stdout}");
}

#[test]
fn a_failed_trial_stands_in_the_leaderboard_with_its_reason() {
    let row = FAILED.0.results().rows().into_iter().find(|row| row["state"] == "failed").unwrap();
    assert_eq!((&row["trial"], &row["failure"]["kind"]), (&2.into(), &"non_finite".into()));
    assert!(row["failure"]["message"].as_str().unwrap().contains("step"), "{row}");
}

#[test]
fn the_status_shows_the_last_lines_of_a_failed_trial() {
    let status = FAILED.0.sweep(&["status", "tiny"]).stdout;
    assert!(status.contains("trial 0002 said last:\n  the  [31mcause\n"), "{status:?}");
}

#[test]
fn the_report_shows_the_last_lines_of_a_failed_trial() {
    FAILED.0.sweep(&["report", "tiny"]).succeeded();
    let page = fs::read_to_string(FAILED.0.results().report()).unwrap();
    assert!(page.contains("<pre tabindex=\"0\">the  [31mcause</pre>"));
}

#[test]
fn a_failed_trial_stays_failed_until_it_is_asked_for_again() {
    let (place, _) = failing(place());
    run(&place, "cpu:1").with_code(3);
    assert_eq!(place.results().starts(), [(1, 1), (2, 1)].into());
    place.run(&["--devices", "cpu:1", "--retry-failed"]).with_code(3);
    assert_eq!(place.results().starts(), [(1, 1), (2, 2)].into());
}
