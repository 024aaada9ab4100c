//! Two models side by side, document by document: on which of them they differ, and what that says of their F1.
//!
//! The test is the one of the leaderboard ([`confidence_set`]) for these two alone. The interval is that of the delta
//! method. Let a class have h documents that a model rightly predicts as of the class, and let b be the number of
//! documents of the class plus the number of documents predicted as such, so that F = 2h/b. Document k then moves F by
//! gₖ = (2hₖ − F bₖ)/b, and the difference of two models by dₖ = gₖ of the first − gₖ of the second. The variance of the
//! difference is Σdₖ². For an average F1, dₖ is the weighted sum over the classes.
//!
//! As Agresti and Min (2005, "Simple improved confidence intervals for comparing matched proportions", Statistics in
//! Medicine 24) advise for proportions, half a document more counts for either model in each class that counts: one that
//! this model alone predicts rightly. So the interval has a width where the models differ on few documents or on none.

use serde::Serialize;

use super::{
    confidence_set::{self, Against, SamePredictions},
    predictions::Prediction,
};
use crate::{
    metrics::{Average, Target},
    numbers::count,
};

/// The quantile of the normal distribution that 2.5 % lie above.
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// Two models' predictions for the same documents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pairing {
    /// Documents.
    pub documents: usize,
    /// Documents that both predict rightly.
    pub both_right: usize,
    /// Documents that only the first model predicts rightly.
    pub only_first: usize,
    /// Documents that only the second model predicts rightly.
    pub only_second: usize,
    /// Documents that both predict wrongly, whether they agree or not.
    pub both_wrong: usize,
    /// F1 of the first model − F1 of the second.
    pub difference: f64,
    /// Lower end of the 95 % interval of `difference`.
    pub low: f64,
    /// Upper end of the 95 % interval of `difference`.
    pub high: f64,
    /// Of the hypothesis that both models are equally good, against that either is better.
    pub p_value: f64,
    /// The documents for which the models predict different classes, by rising id.
    #[serde(skip)]
    pub differing: Vec<Differing>,
}

/// A document for which two models predict different classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The document's number.
    pub id: u64,
    /// The document's true class.
    pub label: usize,
    /// The class that each model predicted.
    pub predicted: [usize; 2],
}

impl Pairing {
    /// Compares two models by the F1 that `target` names, in a task of so many classes; `None` where their predictions are
    /// about different documents.
    #[must_use]
    pub fn new(models: [&[Prediction]; 2], target: Target, classes: usize) -> Option<Self> {
        let mut same = SamePredictions::starting_with(models[0]);
        if !same.add(models[1]) {
            return None;
        }
        let documents = models[0].len();
        let pairs = || models[0].iter().zip(models[1]);
        let which = |first: bool, second: bool| {
            let is_right = |each: &Prediction| each.label == each.predicted;
            pairs().filter(|(a, b)| (is_right(a), is_right(b)) == (first, second)).count()
        };
        let differing = pairs().filter(|(a, b)| a.predicted != b.predicted);
        let differing = differing.map(|(a, b)| {
            let (id, label) = (a.id, a.label);
            Differing { id, label, predicted: [a.predicted, b.predicted] }
        });
        let mut differing: Vec<Differing> = differing.collect();
        differing.sort_by_key(|each| each.id);
        let [first, second] = models.map(|model| Influences::new(model, target, classes));
        let difference = first.f1 - second.f1;
        let half = NORMAL_QUANTILE * first.variance(&second, models).sqrt();
        let p_values = confidence_set::p_values(&same, target, Against::First);
        Some(Self {
            documents,
            both_right: which(true, true),
            only_first: which(true, false),
            only_second: which(false, true),
            both_wrong: which(false, false),
            difference,
            low: (difference - half).max(-1.0),
            high: (difference + half).min(1.0),
            // One of the two is 1: that of the model which the other is compared with.
            p_value: p_values.into_iter().fold(1.0, f64::min),
            differing,
        })
    }
}

/// How far each document moves a model's F1.
struct Influences {
    /// The F1 that counts.
    f1: f64,
    /// By class: what a document adds that is of the class and rightly predicted.
    hit: Vec<f64>,
    /// By class: what a document takes away that is of the class and not predicted as such, or the other way round.
    miss: Vec<f64>,
    /// Whether the F1 that counts is the accuracy, by which the documents of all classes are alike.
    is_accuracy: bool,
}

impl Influences {
    fn new(model: &[Prediction], target: Target, classes: usize) -> Self {
        if target == Target::Average(Average::Micro) {
            // The accuracy: a right document adds its share, and a wrong one takes nothing away.
            let share = 1.0 / count(model.len().max(1));
            let right = model.iter().filter(|each| each.label == each.predicted).count();
            let (hit, miss) = (vec![share; classes], vec![0.0; classes]);
            return Self { f1: count(right) * share, hit, miss, is_accuracy: true };
        }
        let (mut of_class, mut named, mut hits) = (vec![0; classes], vec![0; classes], vec![0; classes]);
        for each in model {
            of_class[each.label] += 1;
            named[each.predicted] += 1;
            hits[each.label] += usize::from(each.label == each.predicted);
        }
        let (mut f1, mut hit, mut miss) = (0.0, Vec::new(), Vec::new());
        for class in 0..classes {
            let weight = match target {
                Target::Class(counted) => f64::from(u8::from(class == counted)),
                Target::Average(Average::Weighted) => count(of_class[class]) / count(model.len().max(1)),
                Target::Average(Average::Macro | Average::Micro) => 1.0 / count(classes),
            };
            let both = count(of_class[class] + named[class]);
            let own = if both > 0.0 { 2.0 * count(hits[class]) / both } else { 0.0 };
            f1 += weight * own;
            hit.push(if both > 0.0 { weight * (2.0 - 2.0 * own) / both } else { 0.0 });
            miss.push(if both > 0.0 { weight * own / both } else { 0.0 });
        }
        Self { f1, hit, miss, is_accuracy: false }
    }

    fn of(&self, document: &Prediction) -> f64 {
        let (label, predicted) = (document.label, document.predicted);
        if label == predicted { self.hit[label] } else { -self.miss[label] - self.miss[predicted] }
    }

    /// The variance of the difference of this model's F1 from that of `other`.
    fn variance(&self, other: &Self, models: [&[Prediction]; 2]) -> f64 {
        let pairs = models[0].iter().zip(models[1]);
        let observed: Vec<f64> = pairs.map(|(a, b)| self.of(a) - other.of(b)).collect();
        // The influences on an F1 sum to 0, those on the accuracy do not.
        let mean = observed.iter().sum::<f64>() / count(observed.len().max(1));
        let observed: f64 = observed.into_iter().map(|d| (d - mean) * (d - mean)).sum();
        let more = (0..self.hit.len()).map(|class| {
            let only_own = self.hit[class] + other.miss[class];
            let only_other = other.hit[class] + self.miss[class];
            f64::midpoint(only_own * only_own, only_other * only_other)
        });
        observed + more.take(if self.is_accuracy { 1 } else { self.hit.len() }).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Confusion, Scores};

    /// A model's predictions for documents of these classes: pairs of the true and the predicted class.
    fn model(pairs: &[(usize, usize)]) -> Vec<Prediction> {
        let predictions = (1..).zip(pairs);
        predictions.map(|(id, &(label, predicted))| Prediction { id, label, predicted }).collect()
    }

    /// Ten documents. The first model is right on 1, 2, 3, 4, 6, 7, 8, and the second one on 1, 2, 5, 6, 7, 9.
    fn two() -> [Vec<Prediction>; 2] {
        let truth = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
        let with = |predicted: [usize; 10]| model(&truth.into_iter().zip(predicted).collect::<Vec<_>>());
        [with([1, 1, 1, 1, 0, 0, 0, 0, 1, 1]), with([1, 1, 0, 0, 1, 0, 0, 1, 0, 1])]
    }

    fn pairing(models: &[Vec<Prediction>; 2], target: Target) -> Pairing {
        Pairing::new([&models[0], &models[1]], target, 2).unwrap()
    }

    #[test]
    fn each_document_is_right_for_both_for_one_or_for_none() {
        let found = pairing(&two(), Target::Class(1));
        let counts = [found.both_right, found.only_first, found.only_second, found.both_wrong];
        assert_eq!((found.documents, counts), (10, [4, 3, 2, 1]));
    }

    #[test]
    fn documents_with_different_predictions_come_by_their_rows() {
        let mut models = two();
        for model in &mut models {
            model.reverse();
        }
        let found = pairing(&models, Target::Class(1));
        assert_eq!(found.differing.iter().map(|each| each.id).collect::<Vec<_>>(), [3, 4, 5, 8, 9]);
        assert_eq!(found.differing[0], Differing { id: 3, label: 1, predicted: [1, 0] });
    }

    #[test]
    fn the_difference_is_that_of_the_f1_that_counts() {
        // Of class 1: 2·4/(5+6) and 2·3/(5+5). Of class 0: 2·3/(5+4) and 2·3/(5+5).
        let of_class = [8.0 / 11.0 - 0.6, 6.0 / 9.0 - 0.6];
        let of = |target| pairing(&two(), target).difference;
        assert!((of(Target::Class(1)) - of_class[0]).abs() < 1e-12);
        for average in [Average::Macro, Average::Weighted] {
            let mean = f64::midpoint(of_class[0], of_class[1]);
            assert!((of(Target::Average(average)) - mean).abs() < 1e-12, "{average:?}");
        }
        assert!((of(Target::Average(Average::Micro)) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn the_difference_agrees_with_the_figures_of_each_model() {
        let models = two();
        for target in [Target::Class(0), Target::Class(1), Target::Average(Average::Macro)] {
            let f1 = models.each_ref().map(|model| {
                let mut confusion = Confusion::new(2);
                for each in model {
                    confusion.add(each.label, each.predicted);
                }
                Scores::new(confusion, 0.5, target).f1
            });
            assert!((pairing(&models, target).difference - (f1[0] - f1[1])).abs() < 1e-12, "{target:?}");
        }
    }

    #[test]
    fn the_interval_of_a_difference_in_accuracy_is_that_of_agresti_and_min() {
        // b = 3 and c = 2 of 10 documents; half a document more in each of both cells.
        let (b, c, n) = (3.0_f64, 2.0_f64, 10.0_f64);
        let half = NORMAL_QUANTILE * ((b + c + 1.0) - (b - c) * (b - c) / n).sqrt() / n;
        let found = pairing(&two(), Target::Average(Average::Micro));
        assert!((found.low - (0.1 - half)).abs() < 1e-12 && (found.high - (0.1 + half)).abs() < 1e-12);
    }

    #[test]
    fn models_that_agree_on_every_document_have_p_1_and_an_interval_around_0() {
        let [first, _] = two();
        let found = pairing(&[first.clone(), first], Target::Class(1));
        assert_eq!((found.difference, found.p_value), (0.0, 1.0));
        assert!(found.low < 0.0 && found.low == -found.high, "{found:?}");
    }

    #[test]
    fn the_other_order_gives_the_opposite_interval_and_the_same_p_value() {
        let [first, second] = two();
        let one = pairing(&[first.clone(), second.clone()], Target::Class(1));
        let other = pairing(&[second, first], Target::Class(1));
        assert!((one.low + other.high).abs() < 1e-12 && (one.high + other.low).abs() < 1e-12);
        assert_eq!(one.p_value, other.p_value);
    }

    #[test]
    fn the_p_value_is_that_of_the_leaderboards_test_for_two_models() {
        let [first, second] = two();
        let mut same = SamePredictions::starting_with(&first);
        assert!(same.add(&second));
        let expected = confidence_set::p_values(&same, Target::Class(1), Against::Best);
        assert_eq!(pairing(&two(), Target::Class(1)).p_value, expected[1]);
    }

    #[test]
    fn a_model_that_is_better_on_many_documents_is_told_apart() {
        let good: Vec<(usize, usize)> = (0..200).map(|at| (at % 2, at % 2)).collect();
        let bad: Vec<(usize, usize)> = (0..200).map(|at| (at % 2, usize::from(at % 10 < 3))).collect();
        let found = pairing(&[model(&good), model(&bad)], Target::Class(1));
        assert!(found.low > 0.0 && found.p_value < 0.01, "{found:?}");
    }

    #[test]
    fn predictions_for_other_documents_are_not_compared() {
        let [first, mut second] = two();
        second[3].id = 99;
        assert_eq!(Pairing::new([&first, &second], Target::Class(1), 2), None);
    }
}
