//! Footnotes about confirmed configurations.

use crate::{
    leaderboard::{Leaderboard, RankBy, build, configurations},
    samples::{record, scores, study},
    search::RungFigure,
    settings::Value,
    study::TrialRecord,
    trial::{Confirmation, Params, State, TrialId},
};

/// A complete trial of a learning rate with so many documents of each class wrong on test, and this validation loss.
fn trial(id: u32, rate: f64, wrong: u64, loss: f64) -> TrialRecord {
    let mut record = record(id, &[loss]);
    record.outcome.as_mut().unwrap().test = scores(wrong, 0.4);
    record.trial.params = Params(vec![("learning_rate".to_owned(), Value::Float(rate))]);
    record
}

/// As [`trial`], to confirm the configuration of trial `of`, number `place` of three.
fn confirming(trial: TrialRecord, of: u32, place: u32) -> TrialRecord {
    let mut record = trial;
    let by = RungFigure::ValLoss;
    let why = Confirmation { trial: TrialId(of), place, of: 3, by, loss: 0.3, f1: 0.9, seeds: 1 };
    (record.trial.confirms, record.trial.repeat) = (Some(why), 1);
    record
}

/// Three configurations, of which the first two are confirmed by a trial each, with these validation losses.
fn board(losses: [f64; 2]) -> Leaderboard {
    let trials = vec![
        trial(1, 1e-5, 20, 0.30),
        trial(2, 2e-5, 24, 0.31),
        trial(3, 3e-5, 10, 0.50),
        confirming(trial(4, 1e-5, 30, losses[0]), 1, 1),
        confirming(trial(5, 2e-5, 20, losses[1]), 2, 2),
    ];
    build(&study(trials), RankBy::TestF1, &|_| None)
}

#[test]
fn a_footnote_says_what_came_of_the_confirmed_configurations() {
    let notes = board([0.30, 0.32]).confirmed_notes();
    let expected = [
        "The best 2 of 3 configurations by validation loss were run again with further seeds. Test F1 over all seeds: that of \
         trial 0001 .875 ± .035 [.555, 1.000] (2 seeds), that of trial 0002 .890 ± .014 [.758, 1.000] (2 seeds).",
        "By validation loss over all seeds, that of trial 0001 is still the first of them.",
    ];
    assert_eq!(notes, expected);
}

#[test]
fn a_footnote_says_that_another_one_is_the_first_now() {
    let notes = board([0.40, 0.32]).confirmed_notes();
    assert_eq!(
        notes[1],
        "By validation loss over all seeds, that of trial 0002 is the first of them; that of trial 0001, which was, is \
         number 2."
    );
}

#[test]
fn more_confirmed_configurations_than_there_were_when_the_first_was_chosen_are_no_part_of_those() {
    let of = |trial: TrialRecord, of: u32, known: u32| {
        let mut record = confirming(trial, of, 1);
        record.trial.confirms.as_mut().unwrap().of = known;
        record
    };
    let trials = vec![
        trial(1, 1e-5, 20, 0.30),
        trial(2, 2e-5, 24, 0.31),
        of(trial(4, 1e-5, 30, 0.30), 1, 1),
        of(trial(5, 2e-5, 20, 0.31), 2, 1),
    ];
    let notes = build(&study(trials), RankBy::TestF1, &|_| None).confirmed_notes();
    let begin = "2 configurations, each among the best by validation loss when it was chosen, were run again with further seeds.";
    assert!(notes[0].starts_with(begin), "{notes:?}");
}

#[test]
fn as_long_as_confirming_trials_are_under_way_nothing_is_said_of_who_is_first() {
    let mut all = study(vec![
        trial(1, 1e-5, 20, 0.30),
        trial(2, 2e-5, 24, 0.31),
        confirming(trial(4, 1e-5, 30, 0.4), 1, 1),
        confirming(trial(5, 2e-5, 20, 0.3), 2, 2),
    ]);
    (all.trials[3].state, all.trials[3].outcome) = (State::Running, None);
    let notes = build(&all, RankBy::TestF1, &|_| None).confirmed_notes();
    assert_eq!(notes[1..], ["1 of these trials are not over."]);
}

#[test]
fn without_confirming_trials_nothing_is_said() {
    let all = study(vec![trial(1, 1e-5, 20, 0.30), trial(2, 2e-5, 24, 0.31)]);
    assert_eq!(build(&all, RankBy::TestF1, &|_| None).confirmed_notes(), [""; 0]);
}

#[test]
fn the_leaderboard_by_configuration_tells_the_seeds_of_the_search_from_the_others() {
    let configurations = configurations(&board([0.30, 0.32]), &|_| None, &|_| None);
    let rows: Vec<_> =
        configurations.rows.iter().map(|row| (row.trials[0].0, row.seeds, row.confirming)).collect();
    assert_eq!(rows, [(3, 1, 0), (2, 2, 1), (1, 2, 1)]);
    let table = configurations.to_table_within(None, usize::MAX);
    assert!(table.contains(" 1 + 1  "), "{table}");
    assert!(
        table.contains("1 stands above the first confirmed configuration with fewer seeds (1 of 3)"),
        "{table}"
    );
}

#[test]
fn a_row_says_which_configuration_it_confirms() {
    let csv = board([0.30, 0.32]).to_csv();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let at = reader.headers().unwrap().iter().position(|name| name == "confirms").unwrap();
    let mut found: Vec<(String, String)> =
        reader.records().map(Result::unwrap).map(|row| (row[1].to_owned(), row[at].to_owned())).collect();
    found.sort();
    let expected = [("1", ""), ("2", ""), ("3", ""), ("4", "1"), ("5", "2")];
    assert_eq!(found, expected.map(|(trial, of)| (trial.to_owned(), of.to_owned())));
}

#[test]
fn comparisons_that_are_taken_over_bring_the_intervals_over_seeds_along() {
    let (mut now, mut before) = (board([0.30, 0.32]), board([0.30, 0.32]));
    before.confirmed[0].test_f1.as_mut().unwrap().low = 0.5;
    now.take_comparisons(Some(&before));
    assert_eq!(now.confirmed, before.confirmed);
}
