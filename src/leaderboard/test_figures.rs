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
    pub counts: TestCounts,
    /// Every average F1 of a task with more than two classes; `None` with two.
    #[serde(flatten)]
    pub averages: Option<Averages>,
    /// Figures of each class, in the order of the labels.
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
    /// The name of the class.
    pub label: String,
    /// Precision: TP / (TP + FP).
    pub precision: f64,
    /// Recall: TP / (TP + FN).
    pub recall: f64,
    /// F1: 2 TP / (2 TP + FP + FN).
    pub f1: f64,
    /// Number of documents of the class.
    pub support: u64,
}

/// The counts of right and wrong predictions from which the figures follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TestCounts {
    /// The counts of the positive class in a binary task.
    #[expect(missing_docs, reason = "the usual names")]
    Binary {
        tp: u64,
        fp: u64,
        tn: u64,
        #[serde(rename = "fn")]
        fn_: u64,
    },
    /// The confusion matrix of a task with more than two classes.
    Matrix {
        /// A row for each true class, a column for each predicted class.
        confusion: Confusion,
    },
}

impl Averages {
    /// The averages of `confusion`, which has more than two classes.
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
    /// The figures of every class of `confusion`, under its name in `labels`, or else its index.
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
    /// The figures of `scores`, with the classes named by `labels`.
    pub(super) fn new(scores: &Scores, labels: &[String]) -> Self {
        let confusion = &scores.confusion;
        let counts = match scores.positive.filter(|&class| class < confusion.classes()) {
            Some(class) => TestCounts::Binary {
                tp: confusion.true_positives(class),
                fp: confusion.false_positives(class),
                tn: confusion.true_negatives(class),
                fn_: confusion.false_negatives(class),
            },
            None => TestCounts::Matrix { confusion: confusion.clone() },
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
