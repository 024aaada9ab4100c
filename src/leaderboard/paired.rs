//! Whether two models' F1 on the same documents differ by more than chance.
//!
//! The test is approximate randomisation (Yeh 2000, "More accurate tests for the
//! statistical significance of result differences", arXiv cs/0008005). If the models
//! were equally good, then swapping their two predictions for a document would be as
//! likely as leaving them. So each round swaps the predictions of every document with
//! probability 1/2, and the p-value is the share of rounds in which F1 differs at least
//! as much as observed.
//!
//! Two facts make a round cheap. A document for which both models predict the same class
//! changes nothing when it is swapped. Documents with the same true class and the same
//! pair of predictions are interchangeable, so a round needs only the number of swapped
//! documents of each such group: one binomial draw instead of one coin for each document.

use std::{collections::BTreeMap, path::Path};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::metrics::{Average, Target};

/// Smallest number of rounds of a test. The standard error of a p-value near .05 is then under .005.
const ROUNDS_MIN: u32 = 2_000;
/// Rounds of a test for each comparison with the leader.
///
/// The lowest p-value that a test can give is 1 / (rounds + 1). Holm's correction multiplies it by up to the
/// number of comparisons. With 25 rounds for each comparison the product is below 1/25 = .04, which is under
/// the significance level of .05. With 19 rounds it could exceed .05, and then every trial counts as tied.
const ROUNDS_PER_COMPARISON: u32 = 25;
/// Number of rounds with a difference at least as large as observed after which a test ends early.
///
/// The p-value is then this number divided by the rounds so far, which is a valid p-value too: sequential
/// Monte Carlo testing (Besag and Clifford 1991, "Sequential Monte Carlo p-values", Biometrika 78).
const EXCEEDANCES_MAX: u32 = 200;
/// Seed of the random swaps: any fixed number, so that the same predictions give the same p-value.
const SEED: u64 = 0x5eed;
/// Sums of floating-point numbers in another order may differ in their last bits, so a difference that is
/// smaller than the observed one by less than this counts as equal.
const ROUNDING_ERROR: f64 = 1e-12;

/// The class that one model predicted for one test document. Classes are indices into the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The document's number.
    pub id: u64,
    /// The document's true class.
    pub label: usize,
    /// The class that the model predicted.
    pub predicted: usize,
}

/// Why a `predictions.csv` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PredictionsError {
    /// The file cannot be read, or a row lacks a column or holds no number as its id.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        source: csv::Error,
    },
    /// The file names a class that the task does not have.
    #[error("{}: unknown class {class:?}", path.display())]
    UnknownClass {
        /// The file.
        path: std::path::PathBuf,
        /// The name of the class.
        class: String,
    },
}

/// The columns of `predictions.csv` that a test needs.
#[derive(serde::Deserialize)]
struct PredictionLine {
    id: u64,
    label: String,
    predicted: String,
}

/// Reads the columns `id`, `label` and `predicted` of a `predictions.csv`.
///
/// # Errors
/// When the file cannot be read, or names a class that is not in `labels`.
pub fn read_predictions(path: &Path, labels: &[String]) -> Result<Vec<Prediction>, PredictionsError> {
    let read = |source| PredictionsError::Read { path: path.to_owned(), source };
    let class = |name: String| {
        labels
            .iter()
            .position(|label| *label == name)
            .ok_or_else(|| PredictionsError::UnknownClass { path: path.to_owned(), class: name })
    };
    csv::Reader::from_path(path)
        .map_err(read)?
        .into_deserialize::<PredictionLine>()
        .map(|line| {
            let line = line.map_err(read)?;
            Ok(Prediction { id: line.id, label: class(line.label)?, predicted: class(line.predicted)? })
        })
        .collect()
}

/// The number of rounds of each test, if there are this many comparisons with the leader.
pub(super) fn rounds(comparisons: usize) -> u32 {
    u32::try_from(comparisons).unwrap_or(u32::MAX).saturating_mul(ROUNDS_PER_COMPARISON).max(ROUNDS_MIN)
}

/// The counts by class from which a model's F1 follows.
#[derive(Clone)]
struct Tally {
    /// Documents of the class that were predicted as such.
    hits: Vec<i64>,
    /// Documents that were predicted as of the class.
    predicted: Vec<i64>,
}

impl Tally {
    fn new(classes: usize) -> Self {
        Self { hits: vec![0; classes], predicted: vec![0; classes] }
    }

    /// Counts `documents` more predictions; fewer, if negative.
    fn add(&mut self, truth: usize, predicted: usize, documents: i64) {
        self.predicted[predicted] += documents;
        if truth == predicted {
            self.hits[truth] += documents;
        }
    }

    /// Copies the counts of `other`, which has the same number of classes, without a new allocation.
    fn reset(&mut self, other: &Self) {
        self.hits.copy_from_slice(&other.hits);
        self.predicted.copy_from_slice(&other.predicted);
    }

    /// The F1 that `target` names; `truths` are the documents of each class.
    ///
    /// F1 of a class is 2 · hits / (predicted + true), the harmonic mean of precision and recall.
    fn f1(&self, target: Target, truths: &[i64]) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
        let class_f1 = |class: usize| match self.predicted[class] + truths[class] {
            0 => 0.0,
            both => 2.0 * self.hits[class] as f64 / both as f64,
        };
        match target {
            Target::Class(class) if class < truths.len() => class_f1(class),
            Target::Class(_) => 0.0,
            Target::Average(average) => self.average_f1(average, truths, class_f1),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
    fn average_f1(&self, average: Average, truths: &[i64], class_f1: impl Fn(usize) -> f64) -> f64 {
        let documents = truths.iter().sum::<i64>().max(1) as f64;
        match average {
            Average::Macro => (0..truths.len()).map(class_f1).sum::<f64>() / truths.len().max(1) as f64,
            Average::Micro => self.hits.iter().sum::<i64>() as f64 / documents,
            Average::Weighted => {
                let weighted = |(class, &truths): (usize, &i64)| truths as f64 * class_f1(class);
                truths.iter().enumerate().map(weighted).sum::<f64>() / documents
            }
        }
    }
}

/// Documents that are interchangeable in a test: same true class and same pair of different predictions.
///
/// The order of the fields is the order in which a round draws its random numbers, so it must stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    /// The true class.
    truth: usize,
    /// The class that the first model predicted.
    first: usize,
    /// The class that the second model predicted.
    second: usize,
}

/// The two-sided p-value of the hypothesis that both models have the same F1, from at most `rounds` rounds.
///
/// The same input gives the same value. `None` when the predictions are not about the same documents.
pub(super) fn p_value(
    first: &[Prediction],
    second: &[Prediction],
    target: Target,
    rounds: u32,
) -> Option<f64> {
    let PairedCounts { truths, tallies, groups } = paired_counts(first, second)?;
    let difference =
        |tallies: &[Tally; 2]| (tallies[0].f1(target, &truths) - tallies[1].f1(target, &truths)).abs();
    let observed = difference(&tallies) - ROUNDING_ERROR;
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut exceedances = 0;
    let mut shuffled = tallies.clone();
    for round in 1..=rounds {
        for (shuffled, tally) in shuffled.iter_mut().zip(&tallies) {
            shuffled.reset(tally);
        }
        for (&group, &documents) in &groups {
            swap(&mut shuffled, group, i64::from(heads(documents, &mut rng)));
        }
        exceedances += u32::from(difference(&shuffled) >= observed);
        if exceedances == EXCEEDANCES_MAX {
            return Some(f64::from(exceedances) / f64::from(round));
        }
    }
    // The observed assignment is one of the possible ones, so it counts as a round too: without it,
    // p could be 0 and the test would reject too often (Noreen 1989,
    // "Computer-intensive methods for testing hypotheses").
    Some(f64::from(exceedances + 1) / f64::from(rounds + 1))
}

/// The counts of two models' predictions that a test needs.
struct PairedCounts {
    /// Number of documents by true class.
    truths: Vec<i64>,
    /// The tally of the first model and of the second.
    tallies: [Tally; 2],
    /// Number of documents of each group.
    groups: BTreeMap<Group, u32>,
}

/// Counts two models' predictions. `None` unless both are about the same documents, at least one.
fn paired_counts(first: &[Prediction], second: &[Prediction]) -> Option<PairedCounts> {
    let is_same = |(a, b): (&Prediction, &Prediction)| a.id == b.id && a.label == b.label;
    if first.len() != second.len() || !first.iter().zip(second).all(is_same) {
        return None;
    }
    let classes = first.iter().chain(second).map(|each| each.label.max(each.predicted) + 1).max()?;
    let (mut truths, mut tallies) = (vec![0; classes], [Tally::new(classes), Tally::new(classes)]);
    let mut groups: BTreeMap<Group, u32> = BTreeMap::new();
    for (a, b) in first.iter().zip(second) {
        truths[a.label] += 1;
        tallies[0].add(a.label, a.predicted, 1);
        tallies[1].add(b.label, b.predicted, 1);
        if a.predicted != b.predicted {
            let group = Group { truth: a.label, first: a.predicted, second: b.predicted };
            *groups.entry(group).or_default() += 1;
        }
    }
    Some(PairedCounts { truths, tallies, groups })
}

/// Swaps the two models' predictions for `documents` documents of a group.
fn swap(tallies: &mut [Tally; 2], group: Group, documents: i64) {
    let [first, second] = tallies;
    first.add(group.truth, group.first, -documents);
    first.add(group.truth, group.second, documents);
    second.add(group.truth, group.second, -documents);
    second.add(group.truth, group.first, documents);
}

/// The number of heads among `tosses` fair coins: a binomial number with p = 1/2.
///
/// Each random bit is one coin, so 64 tosses take one random word.
fn heads(tosses: u32, rng: &mut ChaCha8Rng) -> u32 {
    let whole: u32 = (0..tosses / 64).map(|_| rng.next_u64().count_ones()).sum();
    let rest = tosses % 64;
    if rest == 0 { whole } else { whole + (rng.next_u64() >> (64 - rest)).count_ones() }
}

/// Holm's step-down correction of p-values for multiple comparisons; the order of the values stays.
///
/// The k-th lowest of n values (k from 0) is multiplied by n - k, held to at most 1, and raised to the
/// corrected value before it if that value is higher (Holm 1979, "A simple sequentially rejective multiple
/// test procedure", Scandinavian Journal of Statistics 6). Rejecting where the result is at most α keeps
/// the chance of any false rejection under α, whatever the dependence between the tests; here all tests
/// share the leader's predictions.
pub(super) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut floor = 0.0_f64;
    for (position, &index) in order.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "few comparisons")]
        let factor = (p_values.len() - position) as f64;
        floor = floor.max(factor * p_values[index]).min(1.0);
        adjusted[index] = floor;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Confusion;

    /// Predictions on 400 documents of two classes. They are wrong for the documents that `wrong` accepts.
    fn predictions(wrong: impl Fn(u64) -> bool) -> Vec<Prediction> {
        (0..400)
            .map(|id| {
                let label = usize::from(id % 2 == 0);
                Prediction { id, label, predicted: if wrong(id) { 1 - label } else { label } }
            })
            .collect()
    }

    fn p(first: &[Prediction], second: &[Prediction], target: Target) -> f64 {
        p_value(first, second, target, rounds(1)).unwrap()
    }

    #[test]
    fn a_model_is_not_distinguishable_from_itself() {
        let model = predictions(|id| id % 7 == 0);
        assert!((p(&model, &model, Target::Class(1)) - 1.0).abs() < 1e-12);
    }

    /// Every kind of F1 that a task with two classes may have.
    fn targets() -> impl Iterator<Item = Target> {
        Average::ALL.map(Target::Average).into_iter().chain([Target::Class(1)])
    }

    #[test]
    fn twenty_points_of_f1_are_a_difference() {
        let good = predictions(|id| id % 10 == 0);
        for target in targets() {
            assert!(p(&good, &predictions(|id| id % 10 < 3), target) < 0.001);
        }
    }

    #[test]
    fn one_point_of_f1_is_no_difference() {
        let good = predictions(|id| id % 10 == 0);
        for target in targets() {
            assert!(p(&good, &predictions(|id| id % 10 == 1 || id % 100 == 0), target) > 0.3);
        }
    }

    #[test]
    fn the_p_value_agrees_with_the_exact_sign_test_when_accuracy_is_what_differs() {
        // One class in truth, so F1 is monotone in the number of hits: 12 documents to 3,
        // two-sided binomial p = 0.0352.
        let one_class = |wrong: fn(u64) -> bool| -> Vec<Prediction> {
            (0..100).map(|id| Prediction { id, label: 1, predicted: usize::from(!wrong(id)) }).collect()
        };
        let value = p_value(
            &one_class(|id| id < 3),
            &one_class(|id| (3..15).contains(&id)),
            Target::Class(1),
            40_000,
        );
        assert!((value.unwrap() - 0.0352).abs() < 0.006, "{value:?}");
    }

    #[test]
    fn an_f1_that_weighs_classes_by_their_documents_hardly_sees_a_rare_one() {
        // 20 of 400 documents are of the third class: one model knows it, the other never names it,
        // but is better at the first two.
        let documents = |rare: usize, wrong: fn(u64) -> bool| -> Vec<Prediction> {
            let predict = |id: u64| {
                if id < 20 {
                    return Prediction { id, label: 2, predicted: rare };
                }
                let label = (id % 2) as usize;
                Prediction { id, label, predicted: if wrong(id) { 1 - label } else { label } }
            };
            (0..400).map(predict).collect()
        };
        let knows = documents(2, |id| id % 10 == 0);
        let ignores = documents(0, |id| id % 25 == 0);
        let p = |average| p(&knows, &ignores, Target::Average(average));
        assert!(p(Average::Macro) < 0.001, "{}", p(Average::Macro));
        assert!(p(Average::Micro) > 0.5 && p(Average::Weighted) > 0.05);
    }

    #[test]
    fn a_tally_has_the_f1_of_the_same_counts_in_a_matrix() {
        let predicted = |id: u64| [(0, 0), (0, 2), (1, 1), (2, 1), (2, 2), (2, 2), (3, 3)][(id % 7) as usize];
        let model: Vec<Prediction> =
            (0..70).map(|id| Prediction { id, label: predicted(id).0, predicted: predicted(id).1 }).collect();
        let mut counts = Confusion::new(4);
        for each in &model {
            counts.add(each.label, each.predicted);
        }
        let PairedCounts { truths, tallies, .. } = paired_counts(&model, &model).unwrap();
        for target in Average::ALL.map(Target::Average) {
            assert!((tallies[0].f1(target, &truths) - counts.rates(target).f1).abs() < 1e-12, "{target:?}");
        }
    }

    #[test]
    fn models_measured_on_other_documents_are_not_compared() {
        let model = predictions(|_| false);
        assert_eq!(p_value(&model, &model[1..], Target::Average(Average::Macro), 10), None);
        let mut other = model.clone();
        other[3].id = 9_999;
        assert_eq!(p_value(&model, &other, Target::Average(Average::Macro), 10), None);
    }

    #[test]
    fn the_least_p_value_survives_the_correction_over_any_number_of_comparisons() {
        for comparisons in [1_u32, 10, 100, 1_000] {
            let least = 1.0 / f64::from(rounds(comparisons as usize) + 1);
            assert!(least * f64::from(comparisons) < 0.05);
        }
    }

    #[test]
    fn holm_multiplies_by_the_number_of_hypotheses_left_without_falling() {
        let adjusted = holm(&[0.04, 0.01, 0.03]);
        for (found, expected) in adjusted.iter().zip([0.06, 0.03, 0.06]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
    }

    #[test]
    fn a_corrected_p_value_is_at_most_one() {
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }

    /// A `predictions.csv` with one line, of the class 坏 predicted as 好.
    fn predictions_file() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        std::fs::write(&path, "id,label,predicted,p_好,p_坏\n7,坏,好,0.6,0.4\n").unwrap();
        (folder, path)
    }

    #[test]
    fn predictions_are_read_by_the_names_of_their_classes() {
        let (_folder, path) = predictions_file();
        let labels = ["好".to_owned(), "坏".to_owned()];
        assert_eq!(read_predictions(&path, &labels).unwrap(), [Prediction { id: 7, label: 1, predicted: 0 }]);
    }

    #[test]
    fn a_class_that_the_task_does_not_have_is_an_error() {
        let (_folder, path) = predictions_file();
        let error = read_predictions(&path, &["好".to_owned()]).unwrap_err();
        assert!(matches!(error, PredictionsError::UnknownClass { class, .. } if class == "坏"));
    }
}
