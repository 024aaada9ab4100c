//! Whether two models' F1 on the same documents differ by more than chance.
//!
//! Approximate randomisation (Yeh 2000, arXiv cs/0008005): were the models equal,
//! each document's two predictions could change places. Documents with equal
//! predictions change nothing, and those with the same truth and the same two
//! predictions are alike, so a round draws one binomial number for each such group.

use std::{collections::BTreeMap, path::Path};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::metrics::{Average, Target};

/// The fewest rounds of a test.
const ROUNDS_MIN: u32 = 2_000;
/// Rounds for each comparison: the least p-value that a test can give, times the number of
/// comparisons, must stay under the level, or Holm's correction would call everything a tie.
const ROUNDS_PER_COMPARISON: u32 = 25;
/// Exceedances after which a test ends early with p = exceedances / rounds, which is valid
/// too (Besag and Clifford 1991).
const ENOUGH: u32 = 200;

/// What one model said of one test document; classes are indices into the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The document.
    pub id: u64,
    /// Its true class.
    pub label: usize,
    /// The class predicted.
    pub predicted: usize,
}

/// Why a `predictions.csv` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PredictionsError {
    /// It cannot be read, or a row lacks a column or holds no number as its id.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// A class stands in it that the task does not have.
    #[error("{}: unknown class {class:?}", path.display())]
    UnknownClass {
        /// The file.
        path: std::path::PathBuf,
        /// Its name.
        class: String,
    },
}

#[derive(serde::Deserialize)]
struct Line {
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
        .into_deserialize::<Line>()
        .map(|line| {
            let line = line.map_err(read)?;
            Ok(Prediction { id: line.id, label: class(line.label)?, predicted: class(line.predicted)? })
        })
        .collect()
}

/// Rounds of each of `comparisons` tests.
pub(super) fn rounds(comparisons: usize) -> u32 {
    u32::try_from(comparisons).unwrap_or(u32::MAX).saturating_mul(ROUNDS_PER_COMPARISON).max(ROUNDS_MIN)
}

/// What F1 needs, by class, documents hit and documents predicted.
#[derive(Clone)]
struct Tally {
    hits: Vec<i64>,
    predicted: Vec<i64>,
}

impl Tally {
    fn new(classes: usize) -> Self {
        Self { hits: vec![0; classes], predicted: vec![0; classes] }
    }

    fn add(&mut self, truth: usize, predicted: usize, documents: i64) {
        self.predicted[predicted] += documents;
        if truth == predicted {
            self.hits[truth] += documents;
        }
    }

    /// Becomes equal to `other`, which has as many classes, without a new allocation.
    fn reset(&mut self, other: &Self) {
        self.hits.copy_from_slice(&other.hits);
        self.predicted.copy_from_slice(&other.predicted);
    }

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

/// Documents of one truth on which the models differ in the same way: (truth, first, second).
type Group = (usize, usize, usize);

/// The two-sided p-value of "both have the same F1", with at most `rounds` rounds.
///
/// The same input gives the same value. `None` when the two are not about the same documents.
pub(super) fn p_value(
    first: &[Prediction],
    second: &[Prediction],
    target: Target,
    rounds: u32,
) -> Option<f64> {
    let Pairs { truths, tallies, groups } = pairs(first, second)?;
    let difference =
        |tallies: &[Tally; 2]| (tallies[0].f1(target, &truths) - tallies[1].f1(target, &truths)).abs();
    // Sums in another order may differ in their last bits.
    let observed = difference(&tallies) - 1e-12;
    let mut rng = ChaCha8Rng::seed_from_u64(0x5eed);
    let mut exceeded = 0;
    let mut shuffled = tallies.clone();
    for round in 1..=rounds {
        for (shuffled, tally) in shuffled.iter_mut().zip(&tallies) {
            shuffled.reset(tally);
        }
        for (&group, &documents) in &groups {
            swap(&mut shuffled, group, i64::from(coins(documents, &mut rng)));
        }
        exceeded += u32::from(difference(&shuffled) >= observed);
        if exceeded == ENOUGH {
            return Some(f64::from(exceeded) / f64::from(round));
        }
    }
    Some(f64::from(exceeded + 1) / f64::from(rounds + 1))
}

/// What a test of two models needs of their predictions.
struct Pairs {
    /// Documents by true class.
    truths: Vec<i64>,
    /// Of the first model and of the second.
    tallies: [Tally; 2],
    /// Sizes of the groups.
    groups: BTreeMap<Group, u32>,
}

/// `None` when the two are not about the same documents, or about none.
fn pairs(first: &[Prediction], second: &[Prediction]) -> Option<Pairs> {
    let same = |(a, b): (&Prediction, &Prediction)| a.id == b.id && a.label == b.label;
    if first.len() != second.len() || !first.iter().zip(second).all(same) {
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
            *groups.entry((a.label, a.predicted, b.predicted)).or_default() += 1;
        }
    }
    Some(Pairs { truths, tallies, groups })
}

fn swap([first, second]: &mut [Tally; 2], (truth, a, b): Group, documents: i64) {
    first.add(truth, a, -documents);
    first.add(truth, b, documents);
    second.add(truth, b, -documents);
    second.add(truth, a, documents);
}

/// Heads among `tosses` fair coins.
fn coins(tosses: u32, rng: &mut ChaCha8Rng) -> u32 {
    let whole: u32 = (0..tosses / 64).map(|_| rng.next_u64().count_ones()).sum();
    let rest = tosses % 64;
    if rest == 0 { whole } else { whole + (rng.next_u64() >> (64 - rest)).count_ones() }
}

/// Holm's step-down correction; the order stays.
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

    /// Predictions on 400 documents of two classes, wrong where `wrong` says so.
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

    #[test]
    fn twenty_points_of_f1_are_told_apart_and_one_point_is_not() {
        let good = predictions(|id| id % 10 == 0);
        for target in Average::ALL.map(Target::Average).into_iter().chain([Target::Class(1)]) {
            assert!(p(&good, &predictions(|id| id % 10 < 3), target) < 0.001);
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
    fn a_tallys_f1_is_that_of_the_same_counts_in_a_matrix() {
        let predicted = |id: u64| [(0, 0), (0, 2), (1, 1), (2, 1), (2, 2), (2, 2), (3, 3)][(id % 7) as usize];
        let model: Vec<Prediction> =
            (0..70).map(|id| Prediction { id, label: predicted(id).0, predicted: predicted(id).1 }).collect();
        let mut counts = Confusion::new(4);
        for each in &model {
            counts.add(each.label, each.predicted);
        }
        let Pairs { truths, tallies, .. } = pairs(&model, &model).unwrap();
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
    fn holm_multiplies_by_what_is_left_and_never_falls() {
        let adjusted = holm(&[0.04, 0.01, 0.03]);
        for (found, expected) in adjusted.iter().zip([0.06, 0.03, 0.06]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }

    #[test]
    fn predictions_are_read_by_the_names_of_their_classes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        std::fs::write(&path, "id,label,predicted,p_好,p_坏\n7,坏,好,0.6,0.4\n").unwrap();
        let labels = ["好".to_owned(), "坏".to_owned()];
        assert_eq!(read_predictions(&path, &labels).unwrap(), [Prediction { id: 7, label: 1, predicted: 0 }]);
        let error = read_predictions(&path, &labels[..1]).unwrap_err();
        assert!(matches!(error, PredictionsError::UnknownClass { class, .. } if class == "坏"));
    }
}
