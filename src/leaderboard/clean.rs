//! Figures on the clean part of the test set: without the documents that are like others of train or validation.

use serde::Serialize;

use super::predictions::Prediction;
use crate::{
    metrics::{Confusion, Scores},
    study::Study,
};

/// A trial's figures on the clean part of the test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CleanFigures {
    /// Number of documents.
    pub documents: u64,
    /// Share of documents classified rightly.
    pub accuracy: f64,
    /// F1 of the positive class, or the average.
    pub f1: f64,
    /// Lower end of its 95 % interval.
    pub f1_low: f64,
    /// Upper end of its 95 % interval.
    pub f1_high: f64,
}

/// The test documents that are like others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclean {
    /// Number of them.
    pub documents: usize,
    /// Number of all test documents.
    pub of: usize,
    /// The ways in which they are alike, with their numbers.
    pub kinds: String,
}

impl Unclean {
    /// What the plan of `study` says of them; `None` if there are none, or the plan does not say.
    pub(super) fn of(study: &Study) -> Option<Self> {
        let report = study.leaks.as_ref().filter(|report| !report.unclean.is_empty())?;
        Some(Self { documents: report.unclean.len(), of: report.test, kinds: report.kinds_left() })
    }

    /// As [`Self::note`], where no figures without these documents are shown.
    pub(super) fn note_without_figures(&self) -> String {
        let Self { documents, of, kinds } = self;
        let are = if *documents == 1 { "is" } else { "are" };
        format!(
            "{documents} of {of} test documents {are} like documents of train or validation ({kinds}): by trial, \
             `sweep leaderboard` has F1 without them too."
        )
    }

    /// A sentence about the column of the clean part.
    pub(super) fn note(&self) -> String {
        let Self { documents, of, kinds } = self;
        let are = if *documents == 1 { "is" } else { "are" };
        format!(
            "Clean F1 leaves out {documents} of {of} test documents, which {are} like documents of train or validation: {kinds}."
        )
    }
}

impl CleanFigures {
    /// The figures of a trial with these predictions; `None` where all test documents are clean, or none is.
    pub(super) fn of(study: &Study, predictions: &[Prediction]) -> Option<Self> {
        let report = study.leaks.as_ref().filter(|report| !report.unclean.is_empty())?;
        let mut confusion = Confusion::new(study.labels.len());
        for each in predictions.iter().filter(|each| !report.unclean.contains(each.id)) {
            confusion.add(each.label, each.predicted);
        }
        let documents = confusion.total();
        // The loss of single documents is not known.
        let Scores { accuracy, f1, f1_low, f1_high, .. } = Scores::new(confusion, 0.0, study.target);
        (documents > 0).then_some(Self { documents, accuracy, f1, f1_low, f1_high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{AlikeDocuments, Fate, LeakReport, Likeness, RowSet},
        leaderboard::{Leaderboard, RankBy, build},
        samples::{record, study},
    };

    /// A test set of four documents, of which `unclean` are like others; the model is wrong about documents 3 and 4.
    fn board(unclean: Vec<u32>) -> Leaderboard {
        let mut study = study(vec![record(1, &[0.5])]);
        let near = AlikeDocuments {
            likeness: Likeness::Near,
            validation_in_train: 0,
            test_in_train: unclean.len(),
            test_in_validation: 0,
            fate: Fate::Kept,
            dropped: 0,
            test_left: unclean.len(),
            across_folds: None,
            examples: Vec::new(),
        };
        study.leaks = Some(LeakReport {
            alike: vec![near],
            near_threshold: 700,
            unclean: RowSet::new(unclean),
            test: 4,
            ..LeakReport::default()
        });
        build(&study, RankBy::TestF1, &|_| {
            Some(
                [(1, 0, 0), (2, 1, 1), (3, 1, 0), (4, 0, 1)]
                    .map(|(id, label, predicted)| Prediction { id, label, predicted })
                    .to_vec(),
            )
        })
    }

    #[test]
    fn unclean_documents_do_not_count_on_the_clean_part() {
        let clean = board(vec![3]).rows[0].clean.clone().unwrap();
        // One hit, one false alarm, no miss: 2 / 3.
        assert_eq!((clean.documents, clean.accuracy, clean.f1), (3, 2.0 / 3.0, 2.0 / 3.0));
        assert!(clean.f1_low < clean.f1 && clean.f1 < clean.f1_high);
    }

    #[test]
    fn a_clean_test_set_has_no_column_of_its_own() {
        let board = board(Vec::new());
        assert_eq!(board.rows[0].clean, None);
        assert!(!board.to_table().to_lowercase().contains("clean"), "{}", board.to_table());
    }

    #[test]
    fn the_clean_part_has_a_column_and_a_footnote() {
        let table = board(vec![1, 2]).to_table();
        let headings: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
        assert!(headings.join(" ").contains("test F1 [95 %] clean F1 [95 %]"), "{table}");
        let note = "Clean F1 leaves out 2 of 4 test documents, which are like documents of train or validation: 2 near (.70).";
        assert!(table.contains(note), "{table}");
    }

    #[test]
    fn json_and_csv_have_the_figures_of_the_clean_part() {
        let board = board(vec![3, 4]);
        let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
        assert_eq!((&rows[0]["clean"]["documents"], &rows[0]["clean"]["f1"]), (&2.into(), &1.0.into()));
        let csv = board.to_csv();
        let heading = "clean_documents,clean_accuracy,clean_f1,clean_f1_low,clean_f1_high";
        assert!(csv.lines().next().unwrap().contains(heading), "{csv}");
        assert!(csv.lines().nth(1).unwrap().contains(",2,1,1,"), "{csv}");
    }

    #[test]
    fn a_test_set_without_a_clean_document_has_no_clean_figures() {
        let board = board(vec![1, 2, 3, 4]);
        assert_eq!(board.rows[0].clean, None);
        assert!(board.to_table().contains("leaves out 4 of 4"));
    }
}
