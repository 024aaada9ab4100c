//! A trial's figures on the test set, as `leaderboard.json` has them.

use serde::Serialize;

use crate::metrics::{Average, Confusion, PrecisionRecallF1, Scores, Target};

/// Figures on the test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "named and described as in `metrics::Scores`")]
pub struct TestFigures {
    pub loss: f64,
    pub accuracy: f64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    pub f1_low: f64,
    pub f1_high: f64,
    #[serde(flatten)]
    pub counts: Counts,
    /// With more than two classes: each average, whichever of them counts.
    #[serde(flatten)]
    pub averages: Option<Averages>,
    /// By class, in the order of the labels.
    pub classes: Vec<ClassFigures>,
}

/// Each average F1 of a task with more than two classes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "described at `metrics::Average`")]
pub struct Averages {
    pub macro_f1: f64,
    pub micro_f1: f64,
    pub weighted_f1: f64,
}

/// Figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Its name.
    pub label: String,
    /// TP / (TP + FP).
    pub precision: f64,
    /// TP / (TP + FN).
    pub recall: f64,
    /// 2 TP / (2 TP + FP + FN).
    pub f1: f64,
    /// Documents of the class.
    pub support: u64,
}

/// The counts behind the figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Counts {
    /// In a binary task, of the positive class.
    #[expect(missing_docs, reason = "the usual names")]
    Binary {
        tp: u64,
        fp: u64,
        tn: u64,
        #[serde(rename = "fn")]
        fn_: u64,
    },
    /// With more classes.
    Matrix {
        /// Row: true, column: predicted.
        confusion: Confusion,
    },
}

impl Averages {
    /// Of `confusion`, which has more than two classes.
    fn of(confusion: &Confusion) -> Self {
        let f1 = |average| confusion.rates(Target::Average(average)).f1;
        Self {
            macro_f1: f1(Average::Macro),
            micro_f1: f1(Average::Micro),
            weighted_f1: f1(Average::Weighted),
        }
    }
}

impl ClassFigures {
    /// Of every class of `confusion`, by the name that `labels` give it, or else its index.
    pub(crate) fn of(confusion: &Confusion, labels: &[String]) -> Vec<Self> {
        let figures = |class: usize| {
            let PrecisionRecallF1 { precision, recall, f1 } = confusion.rates(Target::Class(class));
            let label = labels.get(class).cloned().unwrap_or_else(|| class.to_string());
            Self { label, precision, recall, f1, support: confusion.support(class) }
        };
        (0..confusion.classes()).map(figures).collect()
    }
}

impl TestFigures {
    /// The figures of `scores`; `labels` name the classes.
    pub(super) fn new(scores: &Scores, labels: &[String]) -> Self {
        let confusion = &scores.confusion;
        let counts = match scores.positive.filter(|&class| class < confusion.classes()) {
            Some(class) => Counts::Binary {
                tp: confusion.true_positives(class),
                fp: confusion.false_positives(class),
                tn: confusion.true_negatives(class),
                fn_: confusion.false_negatives(class),
            },
            None => Counts::Matrix { confusion: confusion.clone() },
        };
        Self {
            loss: scores.loss,
            accuracy: scores.accuracy,
            precision: scores.precision,
            recall: scores.recall,
            f1: scores.f1,
            f1_low: scores.f1_low,
            f1_high: scores.f1_high,
            counts,
            averages: (confusion.classes() > 2).then(|| Averages::of(confusion)),
            classes: ClassFigures::of(confusion, labels),
        }
    }
}
