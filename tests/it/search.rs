//! Searches of generations: the same trials, decisions and figures on any number of slots and after any interruption.

mod confirming;

use std::{collections::BTreeMap, fs, path::PathBuf, sync::LazyLock, thread, time::Duration};

use serde_json::Value;
use sweep::{event::Event, trial::State};

use crate::common::{
    place::{Place, copy_folder},
    program::{Running, is_gone_soon},
    results::{Findings, TIME_AND_DEVICE, trial_files},
    texts::{TINY_SPEC, csv_of_opinions},
};

/// Sixteen points, of which three of eight go on after the second of six epochs.
static SOBOL: LazyLock<String> = LazyLock::new(|| spec("trials = 16"));
/// Proposals from the fifth generation on, when ten configurations have ended.
static TPE: LazyLock<String> = LazyLock::new(|| spec("trials = 20\ngeneration = 4\nsampler = \"tpe\""));

fn spec(search: &str) -> String {
    TINY_SPEC.replace("epochs = 2", "epochs = 6")
        + &format!(
            "[search]\n{search}\n[search.halving]\n[search.space]\nlearning_rate = {{ log_uniform = [1e-4, 1e-1] }}\n\
             dropout = {{ uniform = [0.0, 0.5] }}\npooling = {{ grid = [\"cls\", \"mean\"] }}\n"
        )
}

fn with_data(place: Place) -> Place {
    place.write("tiny.csv", csv_of_opinions(60));
    place
}

fn place(spec: &str) -> Place {
    with_data(Place::new("tiny", spec))
}

/// The sweep on one slot, without an interruption.
fn undisturbed(spec: &str) -> Place {
    let place = with_data(Place::shared("tiny", spec));
    place.run(&["--devices", "cpu:1"]).succeeded();
    place
}

static OF_SOBOL: LazyLock<Place> = LazyLock::new(|| undisturbed(&SOBOL));
static OF_TPE: LazyLock<Place> = LazyLock::new(|| undisturbed(&TPE));

/// The rows of the leaderboard and the files of complete trials.
fn findings(place: &Place) -> Findings {
    let results = place.results();
    let rows = results.rows_without(&TIME_AND_DEVICE);
    let complete = rows.iter().filter(|row| row["state"] == "complete");
    let files = complete.flat_map(|row| {
        let id = crate::common::results::id(row);
        let files = trial_files(results.trial(id).path());
        files.into_iter().map(move |(name, bytes)| (PathBuf::from(format!("{id}/{name}")), bytes))
    });
    Findings { files: files.collect(), rows: rows.clone() }
}

#[test]
fn a_log_whose_figures_contradict_its_decisions_is_not_whole() {
    let place = place(&SOBOL);
    copy_folder(&OF_SOBOL.path("results"), &place.path("results"));
    place.sweep(&["verify", "tiny"]).succeeded();
    let log = place.path("results/tiny/events.jsonl");
    // A halted trial gets the lowest loss.
    let mut lines: Vec<Value> =
        fs::read_to_string(&log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let halted = lines.iter().find(|line| line["event"]["halted"].is_object()).unwrap()["trial"].clone();
    for line in lines.iter_mut().filter(|line| line["trial"] == halted) {
        if let Some(loss) = line.pointer_mut("/event/evaluated/validation/loss") {
            *loss = 1e-6.into();
        }
    }
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(&log, text.join("\n") + "\n").unwrap();
    let verified = place.sweep(&["verify", "tiny"]);
    assert_eq!(verified.code, Some(5), "{}", verified.stdout);
    assert!(verified.stdout.contains("events.jsonl"), "{}", verified.stdout);
}

/// By trial: what was planned, and every decision. Which of its better ones were known by then depends on the order in
/// which they came, and is left out.
fn decisions(place: &Place) -> BTreeMap<u32, Vec<String>> {
    let mut decisions: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for record in place.results().records() {
        let text = match record.event {
            Event::TrialPlanned(trial) => format!("{trial:?}"),
            Event::Promoted(decision) => format!("on {} {} {}", decision.epoch, decision.loss, decision.f1),
            Event::Halted(decision) => format!("out {} {} {}", decision.epoch, decision.loss, decision.f1),
            _ => continue,
        };
        decisions.entry(record.trial.unwrap().0).or_default().push(text);
    }
    decisions
}

#[track_caller]
fn assert_same(place: &Place, expected: &Place, context: &str) {
    findings(place).assert_equal(&findings(expected), context);
    assert_eq!(decisions(place), decisions(expected), "{context}");
}

fn states(place: &Place) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    for row in place.results().rows() {
        *states.entry(row["state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    states
}

/// Kills the program as often as `after` says, each time once the log has so many more records.
fn kill(place: &Place, devices: &str, after: &[usize]) {
    for more in after {
        let log = place.results().log();
        let lines = || fs::read_to_string(log.path()).map_or(0, |text| text.lines().count());
        let wanted = lines() + more;
        let running = Running::start(&mut place.run_command(&["--devices", devices]));
        while lines() < wanted && running.is_alive() {
            thread::sleep(Duration::from_millis(2));
        }
        let workers = running.workers();
        running.kill();
        assert!(workers.into_iter().all(is_gone_soon));
    }
}

#[test]
fn three_of_eight_go_on_and_the_others_are_not_measured_on_the_test_set() {
    let states = states(&OF_SOBOL);
    let (complete, halted) = (states["complete"], states["halted"]);
    assert!(complete + halted == 16 && halted >= 8, "{states:?}");
    for row in OF_SOBOL.results().rows() {
        if row["state"] == "halted" {
            assert_eq!((&row["rank"], &row["test"]), (&Value::Null, &Value::Null));
            assert_eq!((&row["halted"]["epoch"], &row["halted"]["of"]), (&Value::from(2), &Value::from(8)));
            assert!(row["halted"]["place"].as_u64().unwrap() > 3, "{row}");
        }
    }
}

#[test]
fn more_slots_give_the_same_trials_decisions_and_figures() {
    for devices in ["cpu:2", "cpu:8"] {
        let place = place(&SOBOL);
        place.run(&["--devices", devices]).succeeded();
        assert_same(&place, &OF_SOBOL, devices);
    }
}

#[test]
fn a_search_that_learns_does_not_depend_on_the_slots() {
    assert!(decisions(&OF_TPE).values().flatten().any(|text| text.contains("Tpe {")), "nothing was proposed");
    for devices in ["cpu:2", "cpu:8"] {
        let place = place(&TPE);
        place.run(&["--devices", devices]).succeeded();
        assert_same(&place, &OF_TPE, devices);
    }
}

#[test]
fn killed_again_and_again_a_search_comes_to_the_same() {
    let place = place(&SOBOL);
    kill(&place, "cpu:2", &[9, 17, 23, 31]);
    place.run(&["--devices", "cpu:2"]).succeeded();
    assert_same(&place, &OF_SOBOL, "killed");
}

#[test]
fn killed_again_and_again_a_search_that_learns_comes_to_the_same() {
    let place = place(&TPE);
    kill(&place, "cpu:2", &[11, 29, 13, 37]);
    place.run(&["--devices", "cpu:2"]).succeeded();
    assert_same(&place, &OF_TPE, "killed");
}

#[test]
fn more_trials_later_are_those_of_more_trials_at_once() {
    let (place, at_once) = (place(&SOBOL), place(&SOBOL));
    place.run(&["--devices", "cpu:2", "--set", "search.trials=8"]).succeeded();
    place.run(&["--devices", "cpu:2"]).succeeded();
    at_once.run(&["--devices", "cpu:2"]).succeeded();
    assert_same(&place, &at_once, "8 trials, then 16");
    let place = super::search::place(&TPE);
    place.run(&["--devices", "cpu:2", "--set", "search.trials=12"]).succeeded();
    place.run(&["--devices", "cpu:2"]).succeeded();
    findings(&place).assert_equal(&findings(&OF_TPE), "12 trials, then 20");
}

#[test]
fn a_halted_trial_goes_on_exactly_where_it_was() {
    let place = place(&SOBOL);
    place.run(&["--devices", "cpu:1"]).succeeded();
    let halted = place.results().rows().into_iter().find(|row| row["state"] == "halted").unwrap();
    let id = crate::common::results::id(&halted);
    place.run(&["--devices", "cpu:1", "--continue-halted", &id.to_string()]).succeeded();
    let whole = super::search::place(&SOBOL.replace("[search.halving]\n", ""));
    whole.run(&["--devices", "cpu:2"]).succeeded();
    let files = |place: &Place| trial_files(place.results().trial(id).path());
    assert_eq!(files(&place), files(&whole));
    let mut resumed = place.results().records().into_iter().filter_map(|record| match record.event {
        Event::Resumed { epoch, .. } if record.trial.is_some_and(|trial| trial.0 == id) => Some(epoch),
        _ => None,
    });
    assert_eq!(resumed.next_back(), Some(2.0));
    // The others stand where they stood.
    let row = |place: &Place| place.results().rows_without(&["seconds", "device", "rank", "tied", "p_value"]);
    let others = |rows: Vec<Value>| {
        let mut rows: Vec<Value> = rows.into_iter().filter(|row| row["trial"] != id).collect();
        rows.sort_by_key(crate::common::results::id);
        rows
    };
    let (now, before) = (others(row(&place)), others(row(&OF_SOBOL)));
    assert_eq!(now, before);
}

#[test]
fn only_halted_trials_can_be_continued() {
    let leader = OF_SOBOL.results().leader().to_string();
    let refused = OF_SOBOL.run(&["--devices", "cpu:1", "--continue-halted", &leader]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("is complete, not halted"), "{}", refused.stderr);
    let refused = OF_SOBOL.run(&["--devices", "cpu:1", "--continue-halted", "99"]);
    assert!(refused.stderr.contains("has no trial 0099"), "{}", refused.stderr);
}

#[test]
fn a_budget_of_epochs_ends_the_search_wherever_it_runs() {
    let spec = spec("budget = { epochs = 60 }\ngeneration = 4");
    let (one, two) = (place(&spec), place(&spec));
    one.run(&["--devices", "cpu:1"]).succeeded();
    let run = two.run(&["--devices", "cpu:2"]).succeeded();
    assert_same(&two, &one, "a budget");
    assert!(
        run.stdout.contains(
            "the search planned no further trial: another generation might exceed the budget of 60 epochs"
        ),
        "{}",
        run.stdout
    );
    let rows = one.results().rows();
    let epochs: f64 = rows.iter().filter_map(|row| row["epochs_run"].as_f64()).sum();
    assert!(rows.len() >= 8 && epochs <= 60.0, "{} trials, {epochs} epochs", rows.len());
}

#[test]
fn enqueued_configurations_come_first() {
    let enqueued = "trials = 4\n[[search.enqueue]]\nlearning_rate = 0.002\ndropout = 0.1\npooling = \"mean\"\n\
                    [[search.enqueue]]\ndropout = 0.3";
    let place = place(&spec(enqueued));
    let planned = place.run(&["--dry-run"]).succeeded().stdout;
    assert!(planned.contains("0001   0.002          0.1      mean"), "{planned}");
    let second = planned.lines().find(|line| line.starts_with("0002")).unwrap();
    assert!(second.contains("  0.3  "), "{second}");
    assert!(
        planned.contains("halving  after epoch 2, one of 3 goes on by val_loss: at most 16 of 24 epochs"),
        "{planned}"
    );
}

#[test]
fn a_search_says_from_what_a_trial_and_its_decision_came() {
    let explain = |place: &Place, id: u32| place.sweep(&["explain", &id.to_string()]).succeeded().stdout;
    let rows = OF_SOBOL.results().rows();
    let halted = rows.iter().find(|row| row["state"] == "halted").unwrap();
    let text = explain(&OF_SOBOL, crate::common::results::id(halted));
    assert!(
        text.contains("of a scrambled Sobol sequence") && text.contains("halted after epoch 2"),
        "{text}"
    );
    assert!(text.contains("3 of 8 go on (known to be better: "), "{text}");
    let text = explain(&OF_TPE, 20);
    assert!(
        text.contains("of a tree-structured Parzen estimator, from the results of generations 1 to 3"),
        "{text}"
    );
}

#[test]
fn a_complete_trial_is_explained_with_what_its_verdict_rests_on() {
    let rows = OF_SOBOL.results().rows();
    let row = rows.iter().find(|row| row["state"] == "complete").unwrap();
    let id = crate::common::results::id(row).to_string();
    let text = OF_SOBOL.sweep(&["explain", &id]).succeeded().stdout;
    let (verdict, evidence) = (row["verdict"].as_str().unwrap(), row["evidence"]["text"].as_str().unwrap());
    assert!(text.contains(&format!("\nverdict     {verdict}: {evidence}\n")), "{text}");
}

#[test]
fn a_log_whose_decisions_do_not_follow_from_its_figures_is_refused() {
    let place = place(&SOBOL);
    place.run(&["--devices", "cpu:2"]).succeeded();
    let log = place.results().log();
    let text = fs::read_to_string(log.path()).unwrap();
    let line = text.lines().find(|line| line.contains("\"halted\":{")).unwrap();
    fs::write(log.path(), text.replace(line, &line.replace("\"halted\":{", "\"promoted\":{"))).unwrap();
    let refused = place.run(&["--devices", "cpu:2"]);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("by the figures of its generation it should be halted"),
        "{}",
        refused.stderr
    );
}

#[test]
fn without_halving_a_search_by_number_runs_every_trial_to_its_end() {
    let place =
        place(&spec("trials = 3").replace("[search.halving]\n", "").replace("epochs = 6", "epochs = 1"));
    place.run(&["--devices", "cpu:1"]).succeeded();
    assert_eq!(states(&place), BTreeMap::from([(State::Complete.as_str().to_owned(), 3)]));
}

#[test]
fn trials_that_are_trained_together_pause_and_go_on_as_they_do_alone() {
    let spec = SOBOL
        .replace("[search]", "[model]\nfreeze = \"encoder\"\n[search]")
        .replace("trials = 16", "trials = 8");
    let (alone, together) = (place(&spec), place(&spec));
    alone.run(&["--devices", "cpu:1", "--fuse", "off"]).succeeded();
    together.run(&["--devices", "cpu:1", "--fuse", "8"]).succeeded();
    assert_same(&together, &alone, "together");
    let is_fused = |record: &sweep::event::Record| matches!(&record.event, Event::Started { with, .. } if !with.is_empty());
    assert!(together.results().records().iter().any(is_fused));
}

#[test]
fn a_search_may_learn_from_another_sweep_on_the_same_data() {
    let first =
        place(&spec("trials = 12").replace("[search.halving]\n", "").replace("epochs = 6", "epochs = 1"));
    first.run(&["--devices", "cpu:2"]).succeeded();
    let second = spec("trials = 4\ngeneration = 4\nsampler = \"tpe\"\nhistory = [\"tiny\"]")
        .replace("[search.halving]\n", "")
        .replace("epochs = 6", "epochs = 1")
        .replace("name = \"tiny\"", "name = \"second\"");
    first.write("second.toml", &second);
    first.sweep(&["run", "second.toml", "--devices", "cpu:2"]).succeeded();
    let text = first.sweep(&["explain", "1", "second"]).succeeded().stdout;
    assert!(text.contains("2 good configurations and 10 others"), "{text}");
    first.write("alone.toml", second.replace("history = [\"tiny\"]", "history = [\"nobody\"]"));
    let refused = first.sweep(&["run", "alone.toml", "--fresh"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("has no sweep of this name (there are: "), "{}", refused.stderr);
}
