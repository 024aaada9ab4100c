//! How the leader was chosen among the trials, and what a reader must know of it.

use super::{
    board::{Leaderboard, LeaderboardRow},
    confidence_set::Flattery,
    figures,
    rank_by::RankBy,
    winner::{ChosenBy, ValidationChoice, Winner},
};
use crate::trial::TrialId;

/// Fills in what is known of the choice of the first of `rows`: nothing if there was none, because fewer than two trials
/// are fit for it.
pub(super) fn mark_winner(
    rows: &mut [LeaderboardRow],
    rank_by: RankBy,
    flattery: Option<Flattery>,
    chosen_by_validation: Option<TrialId>,
) {
    let fit = |row: &&LeaderboardRow| row.rank.is_some() && !row.is_put_last();
    if rows.iter().filter(fit).count() < 2 {
        return;
    }
    let choice = rows.iter().find(|row| Some(row.trial) == chosen_by_validation);
    let validation_choice = choice.and_then(|row| {
        let test = row.test.as_ref()?;
        let (f1, f1_low, f1_high) = (test.f1, test.f1_low, test.f1_high);
        Some(ValidationChoice { trial: row.trial, f1, f1_low, f1_high })
    });
    let winner = Winner {
        chosen_by: match rank_by {
            RankBy::TestF1 => ChosenBy::Test,
            RankBy::ValF1 | RankBy::ValLoss => ChosenBy::Validation,
        },
        optimism: flattery.map(|it| it.optimism),
        optimism_is_bound: flattery.map(|it| it.is_bound),
        chance_best: flattery.and_then(|it| it.chance),
        candidates: flattery.map(|it| it.candidates),
        validation_choice,
    };
    if let Some(leader) = rows.first_mut() {
        leader.winner = Some(winner);
    }
}

impl Leaderboard {
    /// Says how far the leader's test F1 can be believed, and what validation would have chosen: whole sentences.
    pub(super) fn winner_notes(&self) -> Vec<String> {
        let Some((leader, winner)) = self.leader().and_then(|row| Some((row.trial, row.winner.as_ref()?)))
        else {
            return Vec::new();
        };
        if winner.chosen_by == ChosenBy::Validation {
            let by = self.rank_by.describe();
            return vec![format!(
                "The leader was chosen by {by}, so that its test F1 is not flattered by the choice."
            )];
        }
        let choice = winner.validation_choice.map(|ValidationChoice { trial, f1, f1_low, f1_high }| {
            if trial == leader {
                return "Validation F1 chooses the same trial.".to_owned();
            }
            let (f1, interval) = (figures::share(f1), figures::interval(f1_low, f1_high));
            format!("Validation F1 would have chosen trial {trial}, with test F1 {f1} {interval}.")
        });
        std::iter::once(optimism(winner)).chain(chance(leader, winner)).chain(choice).collect()
    }
}

/// Says by how much the winner's test F1 is too high.
fn optimism(winner: &Winner) -> String {
    let picking = "Picking the winner by its test score is optimistic";
    match winner.optimism.map(|optimism| 100.0 * optimism) {
        None => format!("{picking}."),
        Some(points) if points < 0.05 && winner.optimism_is_bound == Some(true) => {
            format!("{picking}. By how much, so few test documents do not tell.")
        }
        Some(_) if winner.candidates == Some(1) => {
            format!("{picking}, but hardly here: no other trial is tied with it.")
        }
        Some(points) if winner.optimism_is_bound == Some(true) => format!(
            "{picking}: here by at least {points:.1} points of F1 on average. How much exactly, so few test documents do \
             not tell."
        ),
        Some(points) if points < 0.05 => format!("{picking}: here by less than 0.1 points of F1 on average."),
        Some(points) => format!("{picking}: here by about {points:.1} points of F1 on average."),
    }
}

/// Says how likely the leader is truly the best.
fn chance(leader: TrialId, winner: &Winner) -> Option<String> {
    let (chance, candidates) = (winner.chance_best?, winner.candidates?);
    let percent = 100.0 * chance;
    (candidates > 1).then(|| {
        format!(
            "The chance that trial {leader} is truly the best of the {candidates} that may be is at least {percent:.0} %."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        leaderboard::{Prediction, build},
        samples::{record, scores, study},
        study::TrialRecord,
    };

    /// A complete trial with so many documents of each class wrong on test and on validation.
    fn trial(id: u32, test: u64, validation: u64) -> TrialRecord {
        let mut record = record(id, &[0.6, 0.5]);
        let outcome = record.outcome.as_mut().unwrap();
        (outcome.test, outcome.validation) = (scores(test, 0.4), scores(validation, 0.5));
        record
    }

    /// Predictions with so many documents of each class wrong, from this one on.
    fn predictions(wrong: u64, from: u64) -> Vec<Prediction> {
        let predict = |id: u64| {
            let (label, number) = (usize::from(id % 2 == 1), id / 2);
            let errs = (from..from + wrong).contains(&number);
            Prediction { id, label, predicted: if errs { 1 - label } else { label } }
        };
        (0..400).map(predict).collect()
    }

    /// Three trials; the first has the best test F1, the second the best validation F1.
    fn board(rank_by: RankBy) -> Leaderboard {
        let study = study(vec![trial(1, 10, 30), trial(2, 12, 20), trial(3, 60, 60)]);
        build(&study, rank_by, &|id| Some(predictions([10, 12, 60][id.0 as usize - 1], 20 * u64::from(id.0))))
    }

    #[test]
    fn a_footnote_says_by_how_many_points_the_winner_is_flattered() {
        let notes = board(RankBy::TestF1).winner_notes();
        let note =
            "Picking the winner by its test score is optimistic: here by about 0.6 points of F1 on average.";
        assert_eq!(notes[0], note);
    }

    #[test]
    fn of_a_small_test_set_a_lower_bound_is_stated_and_marked_in_every_format() {
        let study = study(vec![trial(1, 10, 30), trial(2, 12, 20)]);
        // Two trials of F1 .7 on 400 documents.
        let board = build(&study, RankBy::TestF1, &|id| Some(predictions(60, 60 * u64::from(id.0 - 1))));
        let note =
            "by at least 1.0 points of F1 on average. How much exactly, so few test documents do not tell.";
        for text in [board.to_table(), board.to_markdown()] {
            assert!(text.contains(note), "{text}");
        }
        let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
        assert_eq!(rows[0]["winner"]["optimism_is_bound"], true);
        assert!(board.to_csv().lines().nth(1).unwrap().ends_with(",true"), "{}", board.to_csv());
    }

    #[test]
    fn a_small_test_set_does_not_tell_that_a_winner_without_a_tie_is_hardly_flattered() {
        let study = study(vec![trial(1, 10, 30), trial(2, 12, 20)]);
        let notes = build(&study, RankBy::TestF1, &|id| Some(predictions([60, 110][id.0 as usize - 1], 0)))
            .winner_notes();
        let note = "Picking the winner by its test score is optimistic. By how much, so few test documents do not tell.";
        assert_eq!(notes[0], note);
    }

    #[test]
    fn a_footnote_gives_the_chance_that_the_winner_is_truly_the_best() {
        let notes = board(RankBy::TestF1).winner_notes();
        assert_eq!(
            notes[1],
            "The chance that trial 0001 is truly the best of the 2 that may be is at least 59 %."
        );
    }

    #[test]
    fn a_footnote_gives_the_test_f1_of_the_choice_of_validation_with_its_interval() {
        let notes = board(RankBy::TestF1).winner_notes();
        assert_eq!(notes[2], "Validation F1 would have chosen trial 0002, with test F1 .940 [.911, .960].");
    }

    #[test]
    fn every_format_has_the_three_figures() {
        let board = board(RankBy::TestF1);
        for text in [board.to_table(), board.to_markdown()] {
            assert!(text.contains("about 0.6 points") && text.contains("is at least 59 %"), "{text}");
            assert!(text.contains("trial 0002, with test F1 .940"), "{text}");
        }
        let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
        let winner = &rows[0]["winner"];
        assert!(winner["optimism"].as_f64().is_some_and(|it| 0.005 < it && it < 0.007), "{winner}");
        assert_eq!((&winner["chosen_by"], &winner["candidates"]), (&"test".into(), &2.into()));
        let choice = &winner["validation_choice"];
        assert_eq!((&choice["trial"], &choice["f1"]), (&2.into(), &rows[1]["test"]["f1"]));
        assert!(rows[1]["winner"].is_null() && rows[2]["winner"].is_null());
    }

    #[test]
    fn csv_has_the_figures_in_the_row_of_the_winner() {
        let text = board(RankBy::TestF1).to_csv();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headings = reader.headers().unwrap().clone();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let at = |name: &str| headings.iter().position(|heading| heading == name).unwrap();
        assert!(rows[0][at("optimism")].starts_with("0.00"), "{text}");
        assert_eq!((&rows[0][at("validation_choice")], &rows[0][at("candidates")]), ("2", "2"));
        assert_eq!(rows[0][at("validation_choice_f1")], rows[1][at("test_f1")]);
        assert_eq!((&rows[1][at("optimism")], &rows[1][at("validation_choice")]), ("", ""));
    }

    #[test]
    fn a_leader_that_validation_has_chosen_is_said_to_be_not_flattered() {
        let board = board(RankBy::ValF1);
        let note =
            "The leader was chosen by validation F1, so that its test F1 is not flattered by the choice.";
        assert_eq!(board.winner_notes(), [note]);
        let winner = board.rows[0].winner.as_ref().unwrap();
        assert_eq!((winner.chosen_by, winner.optimism), (ChosenBy::Validation, None));
    }

    #[test]
    fn without_predictions_the_amount_is_not_said() {
        let study = study(vec![trial(1, 10, 30), trial(2, 12, 20)]);
        let notes = build(&study, RankBy::TestF1, &|_| None).winner_notes();
        assert_eq!(notes[0], "Picking the winner by its test score is optimistic.");
    }

    #[test]
    fn a_winner_without_a_tie_is_hardly_flattered() {
        let study = study(vec![trial(1, 10, 10), trial(2, 80, 80)]);
        let notes = build(&study, RankBy::TestF1, &|id| Some(predictions([10, 80][id.0 as usize - 1], 20)))
            .winner_notes();
        assert_eq!(
            notes,
            [
                "Picking the winner by its test score is optimistic, but hardly here: no other trial is tied with it.",
                "Validation F1 chooses the same trial."
            ]
        );
    }
}
