//! Two models side by side: the statistic of their difference in F1.
//!
//! Let a class have h documents that a model rightly predicts as of the class, and let b be the number of
//! documents of the class plus the number of documents predicted as such. Then F1 is F = 2h/b. For two models i
//! and j, let F0 = 2(hᵢ + hⱼ)/(bᵢ + bⱼ) be the F1 of both together, and H = 2bᵢbⱼ/(bᵢ + bⱼ). Document k counts as
//!
//! dₖ = (2(hᵢₖ − hⱼₖ) − F0(bᵢₖ − bⱼₖ)) / H.
//!
//! The sum of dₖ over all documents is Fᵢ − Fⱼ exactly. A document for which both models predict the same has
//! dₖ = 0. Swapping both models' predictions for a document changes the sign of its dₖ and leaves F0 as it is, so
//! for one class and two models, random signs are the approximate randomisation test of Yeh (2000, arXiv
//! cs/0008005). The statistic is t = Σdₖ / √Σdₖ², whose denominator no change of signs changes. For an average F1,
//! dₖ is the weighted sum over the classes.

use std::ops::Range;

use super::models::{Counts, Models};
use crate::numbers::count;

/// With many models, t is made as small as if this number of documents more told two of them apart.
///
/// Chosen by simulation (`benches/statistics/`): without it, up to 16 % of sweeps exclude a best trial with 200
/// trials and 40 documents.
const FEW_DOCUMENTS: f64 = 3.0;

/// Two models that some document tells apart.
pub(super) struct Pair {
    /// The place of the model of higher F1; of equal F1s, the first place.
    pub(super) better: usize,
    /// The place of the other model.
    pub(super) worse: usize,
    /// The observed t, made smaller for few documents and for models of folds; not negative.
    pub(super) t: f64,
    /// The standard error: √Σdₖ².
    error: f64,
}

/// What a document adds to Σdₖ / √Σdₖ², for one class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coefficients {
    /// For a prediction that rightly names the class.
    pub(super) hit: f64,
    /// For any prediction that names the class; to be subtracted.
    pub(super) named: f64,
}

impl Pair {
    /// Compares the models at two places, of which `better` is the first; `None` where they are equal for every
    /// document that counts.
    pub(super) fn new(models: &Models, better: usize, worse: usize) -> Option<Self> {
        let [a, b] = [better, worse].map(|place| &models.different[place]);
        let mut pair = Self { better, worse, t: 0.0, error: 1.0 };
        let coefficients: Vec<Coefficients> = pair.coefficients(models).collect();
        let variance = match coefficients[..] {
            [only] => one_class_variance(models, [&a.predicted, &b.predicted], only),
            _ => variance(models, [&a.predicted, &b.predicted], &coefficients),
        };
        pair.error = variance.sqrt();
        pair.t = (a.f1 - b.f1) / pair.error;
        let differing = a.predicted.iter().zip(&b.predicted).filter(|(a, b)| a != b).count();
        pair.t *= for_few_documents(differing, models.different.len()) / models.variance.sqrt();
        (variance > 0.0).then_some(pair)
    }

    /// The coefficients of each class that counts, for better against worse.
    pub(super) fn coefficients(&self, models: &Models) -> impl Iterator<Item = Coefficients> {
        let [a, b] = [self.better, self.worse].map(|place| &models.different[place].counts);
        let error = self.error;
        let counts = a.iter().zip(b).zip(&models.terms);
        counts.map(move |((a, b), term)| Coefficients::new(*a, *b, term.weight / error))
    }
}

impl Coefficients {
    fn new(first: Counts, second: Counts, weight: f64) -> Self {
        let both = first.both + second.both;
        let h = 2.0 * first.both * second.both / both;
        if h > 0.0 {
            let f0 = 2.0 * (first.hits + second.hits) / both;
            Self { hit: 2.0 * weight / h, named: f0 * weight / h }
        } else {
            // No document is of the class, and one of the models never names it. So neither F1 is above 0.
            Self::default()
        }
    }
}

/// What the observed t is multiplied by.
///
/// Random signs make +d and −d equally likely. If one model has high precision and the other high recall, then d is
/// skewed: t has longer tails than random signs show. The more models there are, the further out in the tails the
/// largest t lies, and the fewer documents tell the two models apart, the more this matters.
fn for_few_documents(differing: usize, models: usize) -> f64 {
    let differing = count(differing);
    let missing = FEW_DOCUMENTS * (1.0 - 2.0 / count(models));
    (differing / (differing + missing)).sqrt()
}

/// Σdₖ² where only class 1 counts and all others are class 0.
fn one_class_variance(models: &Models, [a, b]: [&[u32]; 2], only: Coefficients) -> f64 {
    let different = |documents: Range<usize>| {
        let pairs = a[documents.clone()].iter().zip(&b[documents]);
        f64::from(pairs.map(|(a, b)| u32::from(a != b)).sum::<u32>())
    };
    let of_class = models.labels.partition_point(|&label| label == 0);
    let (false_hit, hit) = (only.named, only.hit - only.named);
    different(0..of_class) * false_hit * false_hit + different(of_class..a.len()) * hit * hit
}

/// Σdₖ² where several classes count.
fn variance(models: &Models, [a, b]: [&[u32]; 2], coefficients: &[Coefficients]) -> f64 {
    let classes = models.terms.last().map_or(0, |term| term.class as usize + 1);
    let mut of_class = vec![Coefficients::default(); classes];
    for (term, each) in models.terms.iter().zip(coefficients) {
        of_class[term.class as usize] = *each;
    }
    let value = |predicted: u32, label: u32| {
        let of_class = of_class.get(predicted as usize).copied().unwrap_or_default();
        if predicted == label { of_class.hit - of_class.named } else { -of_class.named }
    };
    let documents = a.iter().zip(b).zip(&models.labels);
    documents
        .filter(|((a, b), _)| a != b)
        .map(|((&a, &b), &label)| value(a, label) - value(b, label))
        .map(|difference| difference * difference)
        .sum()
}
