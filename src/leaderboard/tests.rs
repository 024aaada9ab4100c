//! Ranks, ties, footnotes and formats by example.

use super::*;
use crate::{
    metrics::{Average, Confusion, Scores, Target},
    samples::{collapsed, failed, record, scores, study},
    trial::{FailureKind, State},
};

mod classes;

const MACRO: Target = Target::Average(Average::Macro);

fn none(_: TrialId) -> Option<Vec<Prediction>> {
    None
}

/// A complete trial that has `wrong` documents of each class wrong on the test set.
fn trial(id: u32, wrong: u64) -> TrialRecord {
    let mut record = record(id, &[0.6, 0.5]);
    record.outcome.as_mut().unwrap().test = scores(wrong, 0.4);
    record
}

/// Predictions that give the scores of [`trial`] with the same `wrong`.
fn predictions(wrong: u64) -> Vec<Prediction> {
    (0..400)
        .map(|id| {
            let label = (id % 2) as usize;
            Prediction { id, label, predicted: if id / 2 < wrong { 1 - label } else { label } }
        })
        .collect()
}

fn ranks(board: &Leaderboard) -> Vec<(Option<usize>, u32)> {
    board.rows.iter().map(|row| (row.rank, row.trial.0)).collect()
}

#[test]
fn equal_figures_share_a_rank_and_the_next_one_counts_them() {
    let study = study(vec![trial(1, 30), trial(2, 20), trial(3, 10), trial(4, 20)]);
    let board = build(&study, RankBy::TestF1, &none);
    assert_eq!(ranks(&board), [(Some(1), 3), (Some(2), 2), (Some(2), 4), (Some(4), 1)]);
}

#[test]
fn failed_and_unfinished_trials_come_last_without_a_rank_but_with_their_reason() {
    let mut waiting = record(2, &[]);
    waiting.state = State::Waiting;
    waiting.outcome = None;
    let broken = failed(record(1, &[0.6]), FailureKind::NonFinite { step: 7 });
    let board = build(&study(vec![broken, waiting, trial(3, 20)]), RankBy::TestF1, &none);
    assert_eq!(ranks(&board), [(Some(1), 3), (None, 1), (None, 2)]);
    assert_eq!(board.rows[1].reason.as_deref(), Some("loss not finite at step 7: it stopped\nthere"));
    assert_eq!(board.rows[1].val_loss, Some(0.6));
    assert_eq!(board.rows[2].state, State::Waiting);
}

#[test]
fn each_key_ranks_in_its_own_direction() {
    let low_loss = record(1, &[0.3]);
    let mut high_f1 = record(2, &[0.5]);
    high_f1.outcome.as_mut().unwrap().validation = scores(0, 0.5);
    let study = study(vec![low_loss, high_f1]);
    assert_eq!(build(&study, RankBy::ValLoss, &none).rows[0].trial, TrialId(1));
    assert_eq!(build(&study, RankBy::ValF1, &none).rows[0].trial, TrialId(2));
    for name in RankBy::NAMES {
        assert_eq!(RankBy::parse(name).unwrap().as_str(), *name);
    }
    assert_eq!(RankBy::parse("f1"), None);
}

#[test]
fn a_complete_trial_whose_figure_is_not_finite_has_no_rank() {
    let mut odd = trial(1, 10);
    odd.outcome.as_mut().unwrap().test.f1 = f64::NAN;
    let board = build(&study(vec![odd, trial(2, 50)]), RankBy::TestF1, &none);
    assert_eq!(ranks(&board), [(Some(1), 2), (None, 1)]);
}

/// The second trial is one point behind the leader, the third 25 points.
fn one_close_and_one_distant() -> Leaderboard {
    let study = study(vec![trial(1, 10), trial(2, 12), trial(3, 60)]);
    build(&study, RankBy::TestF1, &|id| Some(predictions([10, 12, 60][id.0 as usize - 1])))
}

#[test]
fn a_trial_one_point_behind_is_tied_but_not_one_twenty_behind() {
    let board = one_close_and_one_distant();
    assert_eq!(board.rows.iter().map(|row| row.tied).collect::<Vec<_>>(), [false, true, false].map(Some));
    assert_eq!(board.comparisons, 2);
}

#[test]
fn a_trial_far_behind_has_a_low_p_value() {
    assert!(one_close_and_one_distant().rows[2].p_value.unwrap() < 0.01);
}

#[test]
fn the_leader_has_no_p_value() {
    assert!(one_close_and_one_distant().rows[0].p_value.is_none());
}

#[test]
fn the_footnote_counts_tied_trials() {
    let notes = one_close_and_one_distant().footnotes();
    assert!(notes[0].contains("1 of 2"), "{notes:?}");
}

#[test]
fn the_footnote_names_the_trial_that_validation_would_have_chosen() {
    let mut lucky = trial(1, 5);
    lucky.outcome.as_mut().unwrap().validation = scores(60, 0.6);
    let mut sound = trial(2, 8);
    sound.outcome.as_mut().unwrap().validation = scores(20, 0.3);
    let study = study(vec![lucky, sound]);
    let note = build(&study, RankBy::TestF1, &none).footnotes().pop().unwrap();
    assert!(note.starts_with("Validation F1 would have chosen trial 0002, with test F1 .960 [."), "{note}");
    let by_validation = build(&study, RankBy::ValF1, &none).footnotes();
    assert!(!by_validation.iter().any(|note| note.contains("optimistic")), "{by_validation:?}");
}

#[test]
fn a_single_trial_was_not_picked_by_anything() {
    let is_picked = |board: &Leaderboard| board.footnotes().iter().any(|note| note.contains("optimistic"));
    assert!(!is_picked(&build(&study(vec![trial(1, 10)]), RankBy::TestF1, &none)));
    let broken = failed(record(2, &[0.6]), FailureKind::Exit(1));
    assert!(!is_picked(&build(&study(vec![trial(1, 10), broken]), RankBy::TestF1, &none)));
}

/// Behind the leader, a trial without predictions, one with predictions on other documents, and a failed one.
fn two_that_cannot_be_compared() -> Leaderboard {
    let broken = failed(record(4, &[0.6]), FailureKind::Exit(1));
    let study = study(vec![trial(1, 10), trial(2, 12), trial(3, 12), broken]);
    let own = |id: TrialId| match id.0 {
        1 => Some(predictions(10)),
        2 => None,
        _ => Some(predictions(12)[1..].to_vec()),
    };
    build(&study, RankBy::TestF1, &own)
}

#[test]
fn a_trial_that_cannot_be_compared_is_not_called_different() {
    let board = two_that_cannot_be_compared();
    assert_eq!(board.rows.iter().map(|row| row.tied).collect::<Vec<_>>(), [Some(false), None, None, None]);
    let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
    assert!(rows[1]["tied"].is_null() && rows[3]["tied"].is_null(), "{rows}");
}

#[test]
fn a_footnote_names_the_trial_whose_predictions_are_missing() {
    let notes = two_that_cannot_be_compared().footnotes();
    assert!(
        notes[0].starts_with("Trial 0002 was not compared with the leader: its predictions.csv is missing")
    );
}

#[test]
fn a_footnote_names_predictions_on_other_documents() {
    let notes = two_that_cannot_be_compared().footnotes();
    assert!(
        notes[1].ends_with("its predictions.csv is about other documents than the leader's."),
        "{notes:?}"
    );
}

#[test]
fn a_footnote_names_damaged_predictions() {
    let mut board = two_that_cannot_be_compared();
    board.mark_damaged(&[TrialId(2)]);
    assert!(board.footnotes()[0].contains("its predictions.csv is damaged"), "{:?}", board.footnotes());
}

#[test]
fn without_the_leaders_predictions_no_trial_is_compared() {
    let study = study(vec![trial(1, 10), trial(2, 12)]);
    let board = build(&study, RankBy::TestF1, &|id| (id.0 == 2).then(|| predictions(12)));
    assert_eq!((board.comparisons, board.rows[1].tied), (0, None));
    let note = &board.footnotes()[0];
    assert!(note.starts_with("No trial was compared") && note.contains("of trial 0001 is missing"), "{note}");
}

#[test]
fn many_trials_that_cannot_be_compared_share_a_note() {
    let study = study((1..=9).map(|id| trial(id, 10 + u64::from(id))).collect());
    let board = build(&study, RankBy::TestF1, &|id| (id.0 == 1).then(|| predictions(11)));
    let notes = board.footnotes();
    let start = "Trials 0002, 0003, 0004, 0005, 0006 and 3 more were not compared with the leader: the predictions.csv \
                 of each is missing";
    assert!(notes[0].starts_with(start) && notes[1].starts_with("F1 is"), "{notes:?}");
}

#[test]
fn a_json_row_has_the_promised_fields_in_order() {
    let board = build(&study(vec![trial(1, 20)]), RankBy::TestF1, &none);
    let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let promised = "rank trial state params seed best_epoch epochs_run stopped_early train_loss val_loss \
                    val_f1 test verdict seconds device tied p_value reason failure micro_batch \
                    warm_started_from reused_from positive halted winner evidence clean confirms fold";
    assert_eq!(keys(&rows[0]).join(" "), promised);
    let test = "loss accuracy precision recall f1 f1_low f1_high tp fp tn fn classes";
    assert_eq!(keys(&rows[0]["test"]).join(" "), test);
    assert_eq!(rows[0]["test"]["fn"], 20);
    assert_eq!(rows[0]["params"]["dropout"], 0.1);
}

#[test]
fn csv_has_one_field_for_each_heading_in_every_row() {
    let broken = failed(record(2, &[0.6]), FailureKind::Exit(101));
    let board = build(&study(vec![trial(1, 20), broken]), RankBy::TestF1, &none);
    let text = board.to_csv();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headings = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let field = |row: usize, name: &str| {
        rows[row].get(headings.iter().position(|heading| heading == name).unwrap()).unwrap().to_owned()
    };
    assert_eq!((field(0, "rank"), field(0, "test_fn"), field(0, "learning_rate")), pairs("1", "20", "1e-5"));
    assert_eq!((field(1, "rank"), field(1, "test_fn"), field(1, "state")), pairs("", "", "failed"));
    assert_eq!(field(1, "reason"), "worker exited with code 101: it stopped\nthere");
}

fn pairs(a: &str, b: &str, c: &str) -> (String, String, String) {
    (a.to_owned(), b.to_owned(), c.to_owned())
}

#[test]
fn table_columns_line_up_behind_wide_characters() {
    let mut first = trial(1, 20);
    first.trial.params.0[1].1 = crate::settings::Value::Text("中文模型".to_owned());
    let board = build(&study(vec![first, trial(2, 30)]), RankBy::TestF1, &none);
    let table = board.to_table();
    let at: Vec<usize> = table
        .lines()
        .take(3)
        .map(|line| figures::columns(&line[..line.find(['[']).expect("an interval in every row")]))
        .collect();
    // Heading and rows differ in what stands before the bracket: `test F1 ` against `.900 `.
    assert_eq!((at[0] - "test F1 ".len(), at[1], at[2]), (at[1] - ".900 ".len(), at[1], at[1]), "{table}");
}

#[test]
fn texts_reach_neither_the_terminal_nor_the_markup() {
    let mut nasty = trial(1, 20);
    nasty.trial.params.0[1].1 = crate::settings::Value::Text("\u{1b}[2J|<b>".to_owned());
    let board = build(&study(vec![nasty]), RankBy::TestF1, &none);
    assert!(!board.to_table().contains('\u{1b}'));
    let markdown = board.to_markdown();
    assert!(markdown.contains("[2J\\|&lt;b&gt;") && !markdown.contains('\u{1b}'), "{markdown}");
}

#[test]
fn a_study_without_a_trial_is_a_table_of_headings() {
    let board = build(&study(Vec::new()), RankBy::TestF1, &none);
    assert!(board.leader().is_none());
    assert_eq!(board.to_table().lines().count(), 1);
    assert_eq!(board.to_json(), "[]\n");
}

/// A sweep with two trials too many to be compared, and how many predictions were read.
fn more_trials_than_are_compared() -> (Leaderboard, usize) {
    let study = study((1..=1_003).map(|id| record(id, &[0.3])).collect());
    let prediction = |id| Prediction { id, label: 1, predicted: 1 };
    let reads = std::cell::Cell::new(0);
    let predictions = |_| {
        reads.set(reads.get() + 1);
        Some((0..4).map(prediction).collect())
    };
    (build(&study, RankBy::TestF1, &predictions), reads.get())
}

#[test]
fn only_the_trials_next_to_the_leader_are_compared() {
    let (board, reads) = more_trials_than_are_compared();
    assert_eq!((board.comparisons, board.beyond_comparison, reads), (1_000, 2, 1_001));
    assert_eq!((board.rows[1_000].tied, board.rows[1_001].tied), (Some(true), None));
}

#[test]
fn a_footnote_counts_the_trials_that_are_not_compared() {
    let notes = more_trials_than_are_compared().0.footnotes();
    assert_eq!(
        notes[1],
        "Only the 1000 trials next to the leader are compared with it, not the 2 behind them."
    );
}

#[test]
fn fewer_trials_are_compared_by_the_average_of_many_classes() {
    let mut study = study((1..=600).map(|id| record(id, &[0.3])).collect());
    study.target = MACRO;
    let predictions = |_| Some((0..4).map(|id| Prediction { id, label: 3, predicted: 3 }).collect());
    assert_eq!(build(&study, RankBy::TestF1, &predictions).comparisons, 500);
}

/// Three equal trials and the leader by validation, which is the worst on the test set.
fn chosen_by_validation_alone() -> Leaderboard {
    let mut chosen = trial(1, 60);
    chosen.outcome.as_mut().unwrap().validation = scores(1, 0.1);
    let study = study(vec![chosen, trial(2, 10), trial(3, 12), trial(4, 60)]);
    let wrong = [60, 10, 12, 60];
    build(&study, RankBy::ValF1, &|id| Some(predictions(wrong[id.0 as usize - 1])))
}

#[test]
fn a_leader_by_validation_is_what_the_others_are_compared_with() {
    let board = chosen_by_validation_alone();
    let tied = |id: u32| board.rows.iter().find(|row| row.trial.0 == id).unwrap().tied;
    assert_eq!([1, 2, 3, 4].map(tied), [false, false, false, true].map(Some));
}

#[test]
fn a_footnote_says_why_the_leader_is_overfit_or_underfit() {
    let note = |losses: &[f64]| {
        let notes = build(&study(vec![record(1, losses)]), RankBy::TestF1, &none).footnotes();
        notes.into_iter().find(|note| note.starts_with("Trial 0001 leads"))
    };
    let underfit = "Trial 0001 leads with the verdict underfit. The best epoch was the last of 2 planned. Best epoch 2 of 2 run";
    assert!(note(&[0.6, 0.5]).is_some_and(|note| note.starts_with(underfit)), "{:?}", note(&[0.6, 0.5]));
    let overfit =
        "Trial 0001 leads with the verdict overfit. Validation loss ended 20.0 % above its lowest value";
    assert!(note(&[0.5, 0.6]).is_some_and(|note| note.starts_with(overfit)), "{:?}", note(&[0.5, 0.6]));
    assert_eq!(note(&[0.6, 0.5, 0.51]), None);
}

#[test]
fn a_footnote_says_how_the_trials_were_compared() {
    assert_eq!(
        one_close_and_one_distant().footnotes()[0],
        "≈ not distinguishable from the leader: 1 of 2 compared by the model confidence set of test F1 (p > .05)."
    );
    assert_eq!(
        chosen_by_validation_alone().footnotes()[0],
        "≈ not distinguishable from the leader: 1 of 3 compared by a paired test of test F1 (p > .05, corrected for \
         their number)."
    );
}

/// Six trials that always name the positive class, each with a higher test F1 than two real ones.
fn with_collapsed_trials() -> Study {
    let collapsed = (1..=6).map(|id| collapsed(id, 0.9));
    study(collapsed.chain([trial(7, 60), trial(8, 40)]).collect())
}

#[test]
fn collapsed_trials_rank_behind_all_others_by_every_figure() {
    let mut study = with_collapsed_trials();
    for record in &mut study.trials[..6] {
        let outcome = record.outcome.as_mut().unwrap();
        (outcome.validation.f1, outcome.validation.loss) = (0.99, 0.01);
    }
    for rank_by in [RankBy::TestF1, RankBy::ValF1, RankBy::ValLoss] {
        let board = build(&study, rank_by, &none);
        let last: Vec<u32> = board.rows[2..].iter().map(|row| row.trial.0).collect();
        assert_eq!(last, [1, 2, 3, 4, 5, 6], "{rank_by:?}");
        assert!(board.rows[2..].iter().all(|row| row.rank == Some(3)), "{rank_by:?}");
    }
}

#[test]
fn a_diverged_trial_ranks_behind_a_real_one() {
    let mut diverged = trial(1, 0);
    diverged.evaluations.last_mut().unwrap().validation.loss = f64::INFINITY;
    let board = build(&study(vec![diverged, trial(2, 60)]), RankBy::TestF1, &none);
    assert_eq!(ranks(&board), [(Some(1), 2), (Some(2), 1)]);
}

#[test]
fn a_collapsed_trial_does_not_share_the_rank_of_a_real_one_with_equal_figures() {
    let mut equal = collapsed(1, 0.9);
    equal.outcome.as_mut().unwrap().test = scores(10, 0.4);
    let board = build(&study(vec![equal, trial(2, 10)]), RankBy::TestF1, &none);
    assert_eq!(ranks(&board), [(Some(1), 2), (Some(2), 1)]);
}

#[test]
fn a_collapsed_trial_is_not_compared_with_the_leader() {
    let board = build(&with_collapsed_trials(), RankBy::TestF1, &|_| Some(predictions(40)));
    assert_eq!(board.comparisons, 1);
    assert!(board.rows[2..].iter().all(|row| row.tied.is_none() && row.p_value.is_none()));
}

#[test]
fn validation_does_not_choose_a_collapsed_trial() {
    let mut study = with_collapsed_trials();
    study.trials[0].outcome.as_mut().unwrap().validation.f1 = 1.0;
    assert_eq!(build(&study, RankBy::TestF1, &none).chosen_by_validation, Some(TrialId(7)));
}

#[test]
fn collapsed_trials_are_marked_in_every_listing_for_people() {
    let board = build(&with_collapsed_trials(), RankBy::TestF1, &none);
    for listing in [board.to_table(), board.to_table_within(Some(40), usize::MAX), board.to_markdown()] {
        assert_eq!(listing.matches("collapsed †").count(), 6, "{listing}");
    }
}

#[test]
fn a_footnote_counts_the_trials_that_come_last_and_says_why() {
    let board = build(&with_collapsed_trials(), RankBy::TestF1, &none);
    let note = "† last, whatever the figures: 6 collapsed, each of which predicts no better than chance on the \
                validation set.";
    assert_eq!(board.footnotes()[0], note);
}

#[test]
fn a_footnote_counts_the_trials_of_each_kind_of_processor_where_they_differ() {
    let on = |id: u32, arithmetic: &str| {
        let mut record = trial(id, 10 + u64::from(id));
        record.arithmetic = Some(arithmetic.to_owned());
        record
    };
    let elsewhere = study(vec![on(1, "avx512"), on(2, "avx2"), on(3, "avx512"), trial(4, 20)]);
    let note = "Trials ran on processors whose last digits differ: 1 on avx2, 2 on avx512. The log says which ran where.";
    let notes = build(&elsewhere, RankBy::TestF1, &none).footnotes();
    assert!(notes.iter().any(|found| found == note), "{notes:?}");

    let alike = study(vec![on(1, "avx512"), on(2, "avx512")]);
    let notes = build(&alike, RankBy::TestF1, &none).footnotes();
    assert!(!notes.iter().any(|found| found.contains("processors")), "{notes:?}");
}

#[test]
fn where_every_trial_collapsed_none_leads_and_the_first_footnote_says_so() {
    let board = build(&study(vec![collapsed(1, 0.5), collapsed(2, 0.9)]), RankBy::TestF1, &none);
    assert_eq!((ranks(&board), board.leader()), (vec![(Some(1), 2), (Some(2), 1)], None));
    assert!(board.footnotes()[0].starts_with("No trial is fit for use"), "{:?}", board.footnotes());
}
