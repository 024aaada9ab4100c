//! The best configurations of a search, run again with further seeds: the same ones on any number of slots and after any
//! interruption, and the same figures as those of a sweep that had so many seeds from the beginning.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use sweep::trial::{Confirmation, Trial};

use super::*;
use crate::common::texts::csv_of_two_words;

/// A grid of six, the best two of which get two further seeds.
const GRID: &str = "confirm = { top = 2, repeats = 2 }";
/// As [`GRID`], without them.
const GRID_ALONE: &str = "sampler = \"random\"";

fn grid(search: &str) -> String {
    TINY_SPEC.replace("epochs = 2", "epochs = 3")
        + &format!(
            "[search]\n{search}\n[search.space]\nlearning_rate = {{ grid = [3e-3, 5e-3, 1e-2] }}\n\
             dropout = {{ grid = [0.1, 0.3] }}\n"
        )
}

/// A place with texts that are learned in three epochs.
fn of_two_words(place: Place) -> Place {
    place.write("tiny.csv", csv_of_two_words(["满意", "失望"], 60));
    place
}

fn grid_place(search: &str) -> Place {
    of_two_words(Place::new("tiny", &grid(search)))
}

/// A search that grows and halts, the best two of which get two further seeds.
static GROWING: LazyLock<String> = LazyLock::new(|| {
    spec("trials = 12\ngeneration = 4\nsampler = \"tpe\"\nconfirm = { top = 2, repeats = 2 }")
});

static OF_GRID: LazyLock<Place> = LazyLock::new(|| {
    let place = of_two_words(Place::shared("tiny", &grid(GRID)));
    place.run(&["--devices", "cpu:1"]).succeeded();
    place
});
static OF_GROWING: LazyLock<Place> = LazyLock::new(|| undisturbed(&GROWING));

/// The trials that confirm a configuration, by number, with the reason.
fn confirming(place: &Place) -> Vec<(Trial, Confirmation)> {
    let planned = |record: sweep::event::Record| match record.event {
        Event::TrialPlanned(trial) => trial.confirms.clone().map(|why| (*trial, why)),
        _ => None,
    };
    place.results().records().into_iter().filter_map(planned).collect()
}

/// The configuration, the number of the seed and the seed of each of these trials.
fn seeds<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> BTreeSet<(String, u32, u64)> {
    trials.into_iter().map(|trial| (trial.params.to_string(), trial.repeat, trial.seed)).collect()
}

fn confirmed(place: &Place) -> BTreeSet<(String, u32, u64)> {
    seeds(confirming(place).iter().map(|(trial, _)| trial))
}

/// A digest of each file of each complete trial, by its seed.
fn by_seed(place: &Place) -> BTreeMap<u64, Vec<(String, u64)>> {
    let results = place.results();
    let digest = |(name, bytes): (String, Vec<u8>)| {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        (name, hasher.finish())
    };
    let complete = results.rows().into_iter().filter(|row| row["state"] == "complete");
    let digests = |row: Value| {
        let files = trial_files(results.trial(crate::common::results::id(&row)).path());
        (row["seed"].as_u64().unwrap(), files.into_iter().map(digest).collect())
    };
    complete.map(digests).collect()
}

#[test]
fn the_best_two_of_a_grid_get_two_seeds_more_once_it_is_over() {
    let confirming = confirming(&OF_GRID);
    let found: Vec<_> = confirming.iter().map(|(trial, why)| (trial.id.0, why.place, trial.repeat)).collect();
    assert_eq!(found, [(7, 1, 1), (8, 1, 2), (9, 2, 1), (10, 2, 2)]);
    let rows = OF_GRID.results().rows();
    let figure = |id: u32| {
        let row = rows.iter().find(|row| crate::common::results::id(row) == id).unwrap();
        (-row["val_f1"].as_f64().unwrap(), row["val_loss"].as_f64().unwrap(), id)
    };
    let mut figures: Vec<_> = (1..=6).map(figure).collect();
    figures.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert_eq!([confirming[0].1.trial.0, confirming[2].1.trial.0], [figures[0].2, figures[1].2]);
    let records = OF_GRID.results().records();
    let planned = records.iter().position(|record| matches!(record.event, Event::TrialPlanned(_))).unwrap();
    let ended = records[..planned].iter().filter(|record| matches!(record.event, Event::Finished(_)));
    assert_eq!(ended.count(), 6, "none is planned before the search is over");
}

#[test]
fn a_confirmed_configuration_has_the_seeds_and_the_bytes_of_so_many_repeats() {
    let whole = grid_place("repeats = 3");
    whole.run(&["--devices", "cpu:2"]).succeeded();
    let (all, confirmed) = (by_seed(&whole), by_seed(&OF_GRID));
    assert_eq!((all.len(), confirmed.len()), (18, 10));
    for (seed, files) in &confirmed {
        assert!(all.get(seed) == Some(files), "the trial of seed {seed} has other files");
    }
    let over_seeds = |place: &Place| {
        let text =
            place.sweep(&["leaderboard", "--by", "configuration", "--format", "json"]).succeeded().stdout;
        let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
        let row = |row: Value| (row["params"].to_string(), (row["test_f1"].clone(), row["val_loss"].clone()));
        rows.into_iter().filter(|row| row["seeds"] == 3).map(row).collect::<BTreeMap<_, _>>()
    };
    let (all, confirmed) = (over_seeds(&whole), over_seeds(&OF_GRID));
    assert_eq!(confirmed.len(), 2);
    for (params, figures) in &confirmed {
        assert_eq!(all.get(params), Some(figures), "{params}");
    }
}

#[test]
fn more_slots_confirm_the_same_configurations() {
    for (place, expected) in [(grid_place(GRID), &OF_GRID), (place(&GROWING), &OF_GROWING)] {
        place.run(&["--devices", "cpu:2"]).succeeded();
        assert_same(&place, expected, "cpu:2");
    }
}

#[test]
fn a_sweep_that_is_killed_again_and_again_confirms_the_same_configurations() {
    for (place, expected, after) in
        [(grid_place(GRID), &OF_GRID, [9, 31, 26, 3, 2]), (place(&GROWING), &OF_GROWING, [40, 75, 60, 41, 4])]
    {
        kill(&place, "cpu:2", &after);
        place.run(&["--devices", "cpu:1"]).succeeded();
        assert_same(&place, expected, "killed");
    }
}

/// The log is cut where trials are planned, so that the run dies before each of them, and after the last one.
#[test]
fn a_run_that_dies_between_two_confirming_trials_goes_on_with_the_same_ones() {
    let log = fs::read_to_string(OF_GRID.results().log().path()).unwrap();
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    let first = lines.iter().position(|line| line.contains("trial_planned")).unwrap();
    for kept in [first, first + 1, first + 3, first + 4] {
        let place = grid_place(GRID);
        place.run(&["--devices", "cpu:2"]).succeeded();
        let own = fs::read_to_string(place.results().log().path()).unwrap();
        let own: Vec<&str> = own.split_inclusive('\n').collect();
        let planned = own.iter().position(|line| line.contains("trial_planned")).unwrap();
        fs::write(place.results().log().path(), own[..planned + kept - first].concat()).unwrap();
        let status = place.sweep(&["status", "--format", "json"]).succeeded().stdout;
        let status: Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["confirmations_to_come"], 4 - (kept - first), "{status}");
        place.run(&["--devices", "cpu:1"]).succeeded();
        assert_same(&place, &OF_GRID, &format!("{kept} records kept"));
    }
}

#[test]
fn a_growing_search_confirms_what_it_has_found_and_halts_none_of_it() {
    let confirming = confirming(&OF_GROWING);
    assert_eq!(confirming.iter().map(|(trial, _)| trial.id.0).collect::<Vec<_>>(), [13, 14, 15, 16]);
    let rows = OF_GROWING.results().rows();
    for (trial, why) in &confirming {
        let row = rows.iter().find(|row| crate::common::results::id(row) == trial.id.0).unwrap();
        assert_eq!((&row["state"], &row["halted"]), (&Value::from("complete"), &Value::Null));
        assert_eq!((&row["confirms"]["place"], trial.origin.is_none()), (&Value::from(why.place), true));
    }
    // The search is that of a sweep that confirms nothing.
    let alone = place(&GROWING.replace("confirm = { top = 2, repeats = 2 }\n", ""));
    alone.run(&["--devices", "cpu:2"]).succeeded();
    let of_search = |place: &Place| {
        let mut decisions = decisions(place);
        decisions.retain(|id, _| *id <= 12);
        decisions
    };
    assert_eq!(of_search(&OF_GROWING), of_search(&alone));
}

#[test]
fn a_higher_top_and_more_repeats_confirm_what_they_would_have_at_once() {
    let place = grid_place("confirm = { top = 1, repeats = 1 }");
    place.run(&["--devices", "cpu:2"]).succeeded();
    place.run(&["--devices", "cpu:2", "--set", "search.confirm.top=2"]).succeeded();
    let run =
        place.run(&["--devices", "cpu:2", "--set", "search.confirm={ top = 2, repeats = 2 }"]).succeeded();
    assert!(
        run.stderr
            .contains("`confirm` was top 2 by val_f1, 1 seeds more and is now top 2 by val_f1, 2 seeds more"),
        "{}",
        run.stderr
    );
    assert_eq!(confirmed(&place), confirmed(&OF_GRID));
    assert_eq!(by_seed(&place), by_seed(&OF_GRID));
}

#[test]
fn what_was_confirmed_stays_without_the_key_and_what_has_not_begun_goes() {
    let place = grid_place(GRID);
    place.run(&["--devices", "cpu:1"]).succeeded();
    let before = by_seed(&place);
    place.write_spec(&grid(GRID_ALONE));
    place.run(&["--devices", "cpu:1"]).succeeded();
    assert_eq!((by_seed(&place), place.results().rows().len()), (before, 10));
    // The log of a run that died when all of them were planned, and one was complete.
    let log = fs::read_to_string(place.results().log().path()).unwrap();
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    let is_first_end = |line: &&str| line.contains("\"trial\":7,\"event\":{\"finished\"");
    let end = lines.iter().position(is_first_end).unwrap();
    fs::write(place.results().log().path(), lines[..=end].concat()).unwrap();
    let run = place.run(&["--devices", "cpu:1"]).succeeded();
    assert_eq!((place.results().rows().len(), place.results().starts()[&7]), (7, 1), "{}", run.stderr);
    place.write_spec(&grid(GRID));
    place.run(&["--devices", "cpu:1"]).succeeded();
    assert_same(&place, &OF_GRID, "asked for again");
}

#[test]
fn a_larger_grid_has_numbers_above_those_of_the_confirming_trials() {
    let place = grid_place(GRID);
    place.run(&["--devices", "cpu:2"]).succeeded();
    let wider = grid(GRID).replace("[3e-3, 5e-3, 1e-2]", "[3e-3, 5e-3, 1e-2, 8e-3]");
    place.write_spec(&wider);
    let run = place.run(&["--devices", "cpu:2"]).succeeded();
    assert!(run.stderr.contains("trials: 10 kept, 2 new, 0 removed"), "{}", run.stderr);
    let at_once = of_two_words(Place::new("tiny", &wider));
    at_once.run(&["--devices", "cpu:2"]).succeeded();
    // Whatever the two new ones are worth: the best two of eight are confirmed.
    assert!(confirmed(&place).is_superset(&confirmed(&at_once)));
    // A smaller grid sets aside what confirms those that it does not have.
    place.write_spec(&grid(GRID).replace("[3e-3, 5e-3, 1e-2]", "[3e-3]"));
    place.run(&["--devices", "cpu:2"]).succeeded();
    let rows = place.results().rows();
    assert!(rows.iter().all(|row| row["params"]["learning_rate"] == 3e-3), "{rows:?}");
    assert_eq!(rows.len(), 6, "two configurations of three seeds each");
    place.write_spec(&wider);
    place.run(&["--devices", "cpu:2"]).succeeded();
    assert!(place.results().starts().values().all(|starts| *starts == 1), "nothing was trained twice");
}

#[test]
fn seeds_that_the_search_gets_later_are_not_trained_again() {
    let place = grid_place(GRID);
    place.run(&["--devices", "cpu:2"]).succeeded();
    place.write_spec(&grid("repeats = 3"));
    place.run(&["--devices", "cpu:2"]).succeeded();
    let starts = place.results().starts();
    assert!(starts.len() == 18 && starts.values().all(|starts| *starts == 1), "{starts:?}");
    assert_eq!(by_seed(&place).len(), 18);
}

#[test]
fn halted_trials_that_go_on_may_be_confirmed_too() {
    let halving = SOBOL.replace("trials = 16", "trials = 8\nconfirm = { top = 3, repeats = 1 }");
    let (place, whole) = (super::place(&halving), super::place(&halving.replace("[search.halving]\n", "")));
    place.run(&["--devices", "cpu:2"]).succeeded();
    let before = confirmed(&place);
    let halted = place.results().rows().into_iter().filter(|row| row["state"] == "halted");
    let halted: Vec<String> = halted.map(|row| crate::common::results::id(&row).to_string()).collect();
    place.run(&["--devices", "cpu:2", "--continue-halted", &halted.join(",")]).succeeded();
    whole.run(&["--devices", "cpu:2"]).succeeded();
    let after = confirmed(&place);
    assert!(after.is_superset(&before), "nothing that was planned goes");
    assert!(after.is_superset(&confirmed(&whole)), "the best of all are confirmed now");
    assert!(place.results().rows().iter().all(|row| row["state"] == "complete"));
}

#[test]
fn confirming_trials_are_taken_over_from_other_sweeps_and_by_them() {
    let place = grid_place(GRID);
    place.run(&["--devices", "cpu:2"]).succeeded();
    let second = |name: &str, search: &str| {
        place.write("second.toml", grid(search).replace("\"tiny\"", &format!("\"{name}\"")));
        place.sweep(&["run", "second.toml", "--devices", "cpu:2", "--set", "run.reuse=true"]).succeeded();
        let rows = place.results_of(name).rows();
        let reused = rows.iter().filter(|row| !row["reused_from"].is_null()).count();
        (rows.len(), reused)
    };
    assert_eq!(second("repeated", "repeats = 3"), (18, 10));
    assert_eq!(second("again", "confirm = { top = 3, repeats = 2 }"), (12, 12));
}

#[test]
fn confirming_trials_share_their_steps_as_those_of_a_search_do() {
    let ends = "confirm = { top = 2, repeats = 1 }\n[search.space]\npatience = { grid = [1, 2] }\n";
    let spec = TINY_SPEC.replace("epochs = 2", "epochs = 3\nlearning_rate = 5e-3") + "[search]\n" + ends;
    let place = of_two_words(Place::new("tiny", &spec));
    place.run(&["--devices", "cpu:1"]).succeeded();
    let resumed = place.results().records().into_iter().filter_map(|record| match record.event {
        Event::Resumed { from: Some(from), .. } => Some((record.trial.unwrap().0, from.trial.0)),
        _ => None,
    });
    let resumed: Vec<_> = resumed.collect();
    let confirming = confirming(&place);
    let shorter = confirming.iter().find(|(trial, _)| trial.settings.patience == 1).unwrap().0.id.0;
    let longer = confirming.iter().find(|(trial, _)| trial.settings.patience == 2).unwrap().0.id.0;
    assert_eq!(resumed, [(2, 1), (longer, shorter)]);
}

#[test]
fn a_dry_run_and_an_explanation_say_what_is_confirmed_and_why() {
    let planned = grid_place(GRID).run(&["--dry-run"]).succeeded().stdout;
    assert!(
        planned.contains(
            "\nconfirm  the best 2 by val_f1 get 2 further seeds each, once the search is over: at most 4 trials, 12 \
             epochs on top\n"
        ),
        "{planned}"
    );
    assert!(!planned.contains("generations of"), "{planned}");
    let (trial, why) = confirming(&OF_GROWING).remove(0);
    let explain = |id: u32| OF_GROWING.sweep(&["explain", &id.to_string()]).succeeded().stdout;
    let text = explain(trial.id.0);
    assert!(text.contains("\nsource      point ") || text.contains("\nsource      proposal "), "{text}");
    let of = format!("\nconfirms    the configuration of trial {}, with seed 2 of it\n", why.trial);
    assert!(text.contains(&of), "{text}");
    assert!(
        text.contains("\n            number 1 of ") && text.contains(" by validation F1 (validation loss "),
        "{text}"
    );
    let text = explain(why.trial.0);
    assert!(text.contains("\nconfirmed   with further seeds by 0013, 0014\n"), "{text}");
}

#[test]
fn the_leaderboard_says_which_were_confirmed_and_what_came_of_it() {
    let board = OF_GRID.sweep(&["leaderboard", "--wide"]).succeeded().stdout;
    assert!(
        board.contains("The best 2 of 6 configurations by validation F1 were run again with further seeds."),
        "{board}"
    );
    assert!(
        board.contains(" (3 seeds), that of trial ") && board.contains("By validation F1 over all seeds, "),
        "{board}"
    );
    let board = OF_GRID.sweep(&["leaderboard", "--by", "configuration"]).succeeded().stdout;
    assert!(board.contains(" 1 + 2  "), "{board}");
    let page = fs::read_to_string(OF_GRID.results().report().path()).unwrap();
    assert!(page.contains("were run again with further seeds"));
}
