//! 95 % intervals of F1, as functions of the counts.
//!
//! An interval covers the choice of documents: the F1 of endlessly many documents like these lies within in about
//! 95 % of sets. No interval has width 0: of finitely many documents, not even a perfect score is certain. How
//! often each interval covers stands in `docs/statistics.md`, which `benches/statistics/` measures.

use super::{
    Confusion,
    target::{Average, Target},
};
use crate::numbers::{count, count_u64};

/// The 97.5 % quantile of the standard normal distribution, for two-sided intervals of 95 %.
const Z: f64 = 1.959_963_984_540_054;
/// The 5 % quantiles of the gamma distributions of shape 1, 2 and 3: the expected number of events below which so
/// many events or more happen in under 5 % of cases.
const RARE: [f64; 3] = [0.051_293_294_387_550_53, 0.355_361_510_698_662_5, 0.817_691_447_145_651];

/// Documents that are added to each class of an average before the variance is computed, in the shares of all
/// classes together. Without them, a perfect score would have no variance.
const ADDED_DOCUMENTS: f64 = 0.5;
/// The variance of a class of b documents, true and predicted ones, is raised by this number of parts in b: few
/// documents show too little of it.
const SMALL_CLASS: f64 = 2.0;

/// The 95 % interval of a proportion; all of \[0, 1\] without a trial.
///
/// It is the score interval of Wilson ("Probable inference, the law of succession, and statistical inference",
/// Journal of the American Statistical Association 22, 1927). Near its ends, it is widened as Brown, Cai and
/// `DasGupta` advise ("Interval estimation for a binomial proportion", Statistical Science 16, 2001): with one to
/// three successes, Wilson's lower end is too high, and with one to three failures, its upper end is too low.
#[must_use]
pub(super) fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = count_u64(trials);
    let p = count_u64(successes) / n;
    let z2 = Z * Z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let rare = |events: u64| {
        let place = usize::try_from(events).ok().and_then(|events| events.checked_sub(1));
        place.and_then(|place| RARE.get(place)).map_or(1.0, |expected| expected / n)
    };
    let low = (centre - half).min(rare(successes)).max(0.0);
    let high = (centre + half).max(1.0 - rare(trials - successes)).min(1.0);
    // Where p is 0 or 1, one end is p, but for rounding.
    (low.min(p), high.max(p))
}

impl Confusion {
    /// The 95 % interval of `target`'s F1: it holds the F1, has a width, and lies within 0 and 1.
    #[must_use]
    pub fn f1_interval(&self, target: Target) -> (f64, f64) {
        match target {
            Target::Class(class) => of_class(self, class),
            Target::Average(Average::Micro) => {
                let hits = (0..self.classes()).map(|class| self.true_positives(class)).sum();
                wilson(hits, self.total())
            }
            Target::Average(Average::Macro) => AverageF1::new(self, false).interval(),
            Target::Average(Average::Weighted) => AverageF1::new(self, true).interval(),
        }
    }
}

/// The interval of one class's F1.
///
/// With p = TP/(TP + FP + FN), F1 is 2p/(1 + p). Given the number of documents that are of the class or predicted as
/// such, TP is binomial. So p is a proportion with a Wilson interval, whose ends map to those of F1: the "Wilson
/// indirect" method of Lam, Gopal and Qian (arXiv 2309.14621).
fn of_class(confusion: &Confusion, class: usize) -> (f64, f64) {
    let hits = confusion.true_positives(class);
    let errors = confusion.false_positives(class) + confusion.false_negatives(class);
    let (low, high) = wilson(hits, hits + errors);
    (2.0 * low / (1.0 + low), 2.0 * high / (1.0 + high))
}

/// The counts of one class.
#[derive(Clone, Copy)]
struct Counts {
    hits: f64,
    of_class: f64,
    named: f64,
}

impl Counts {
    /// Documents of the class plus documents that are predicted as such: the denominator of F1.
    const fn both(self) -> f64 {
        self.of_class + self.named
    }

    /// F1; 0 without a document.
    fn f1(self) -> f64 {
        if self.both() > 0.0 { 2.0 * self.hits / self.both() } else { 0.0 }
    }

    /// The denominator, or 1 for a class that is neither there nor predicted.
    fn both_or_one(self) -> f64 {
        self.both().max(1.0)
    }
}

/// An average F1 and what its interval follows from.
struct AverageF1<'a> {
    confusion: &'a Confusion,
    /// Whether a class counts by its documents; otherwise, all classes count the same.
    is_weighted: bool,
    documents: f64,
    counts: Vec<Counts>,
    added: Added,
    /// The counts with the added documents.
    smoothed: Vec<Counts>,
}

impl<'a> AverageF1<'a> {
    fn new(confusion: &'a Confusion, is_weighted: bool) -> Self {
        let counts = |class: usize| {
            let hits = confusion.true_positives(class);
            Counts {
                hits: count_u64(hits),
                of_class: count_u64(confusion.support(class)),
                named: count_u64(hits + confusion.false_positives(class)),
            }
        };
        let counts: Vec<Counts> = (0..confusion.classes()).map(counts).collect();
        let documents = count_u64(confusion.total());
        let added = Added::new(&counts, documents);
        let smoothed = counts.iter().enumerate().map(|(class, each)| added.to(*each, class)).collect();
        Self { confusion, is_weighted, documents, counts, added, smoothed }
    }

    /// The interval.
    ///
    /// The number of documents that counts is the one with which a proportion of the same size would have the
    /// variance of the average F1. With this number, the interval is that of Agresti and Coull ("Approximate is better
    /// than \"exact\" for interval estimation of binomial proportions", The American Statistician 52, 1998) around
    /// the average F1 without its bias. It is made at least as wide as the interval of any one class makes it. A class
    /// that is neither there nor predicted says nothing about its F1, so its whole range is added.
    fn interval(&self) -> (f64, f64) {
        if self.documents == 0.0 {
            return (0.0, 1.0);
        }
        let weights: Vec<f64> = self.counts.iter().map(|each| self.weight(*each, self.documents)).collect();
        let f1: f64 = weights.iter().zip(&self.counts).map(|(weight, each)| weight * each.f1()).sum();
        let centre = (f1 - self.bias(&weights)).clamp(0.0, 1.0);
        let (mut low, mut high) = agresti_coull(centre, self.effective_documents());
        let mut unknown = 0.0;
        for (class, (weight, counts)) in weights.iter().zip(&self.counts).enumerate() {
            if counts.both() > 0.0 {
                let (class_low, class_high) = of_class(self.confusion, class);
                low = low.min(f1 - weight * (counts.f1() - class_low));
                high = high.max(f1 + weight * (class_high - counts.f1()));
            } else {
                unknown += weight;
            }
        }
        (low.min(f1).max(0.0), (high.max(f1) + unknown).min(1.0))
    }

    /// The weight of a class with these counts among so many documents.
    fn weight(&self, counts: Counts, documents: f64) -> f64 {
        if self.is_weighted { counts.of_class / documents } else { 1.0 / count(self.counts.len()) }
    }

    /// How far the average F1 of a set is above that of all documents on average, to the second order.
    ///
    /// With b the denominator of F1, the mean of F1 over sets is F1 − F1(1 − F1)/b. If classes are weighted by their
    /// documents, F1 · FP/b is added for each class and divided by the number of documents.
    fn bias(&self, weights: &[f64]) -> f64 {
        let of_class = |((weight, counts), smoothed): ((&f64, &Counts), &Counts)| {
            let f1 = smoothed.f1();
            let of_ratio = if counts.both() > 0.0 { weight * f1 * (1.0 - f1) } else { 0.0 };
            let of_weight = f1 * (counts.named - counts.hits) / self.documents;
            (if self.is_weighted { of_weight - of_ratio } else { -of_ratio }) / counts.both_or_one()
        };
        weights.iter().zip(&self.counts).zip(&self.smoothed).map(of_class).sum()
    }

    /// The number of documents with which a proportion has the variance of the average F1.
    ///
    /// The variance is that of the delta method (Takahashi, Yamamoto, Kuchiba and Koyama 2022, "Confidence interval
    /// for micro-averaged F1 and macro-averaged F1 scores", Applied Intelligence 52) with the added documents.
    fn effective_documents(&self) -> f64 {
        let documents = self.documents + ADDED_DOCUMENTS * count(self.counts.len());
        let weights: Vec<f64> = self.smoothed.iter().map(|each| self.weight(*each, documents)).collect();
        let f1: f64 = weights.iter().zip(&self.smoothed).map(|(weight, each)| weight * each.f1()).sum();
        let raised = |(weight, counts): (&f64, &Counts)| {
            let is_unknown = counts.both() == 0.0 && !self.is_weighted;
            if is_unknown { 0.0 } else { weight * (1.0 + SMALL_CLASS / counts.both_or_one()).sqrt() }
        };
        // How much one more document changes the average: by its part in a numerator, and in two denominators.
        let parts = weights.iter().zip(&self.counts).map(raised).zip(&self.smoothed);
        let (hit, both): (Vec<f64>, Vec<f64>) = parts
            .map(|(weight, each)| (2.0 * weight / each.both(), weight * each.f1() / each.both()))
            .unzip();
        let mut variance = 0.0;
        for (truth, row) in self.confusion.rows().iter().enumerate() {
            let of_weight = if self.is_weighted { (self.smoothed[truth].f1() - f1) / documents } else { 0.0 };
            for (predicted, &cell) in row.iter().enumerate() {
                let of_hit = if truth == predicted { hit[truth] } else { 0.0 };
                let change = of_hit - both[truth] - both[predicted] + of_weight;
                variance += (count_u64(cell) + self.added.cell(truth, predicted)) * change * change;
            }
        }
        f1 * (1.0 - f1) / variance.max(f64::MIN_POSITIVE)
    }
}

/// The documents that are added to each class before the variance is computed, [`ADDED_DOCUMENTS`] for each.
///
/// They are right as often as the documents of all classes together; the wrong ones are predicted as the other
/// classes are.
struct Added {
    /// How many of the added documents of a class are right.
    right: f64,
    /// Share of each predicted class.
    named: Vec<f64>,
    /// How many of the added documents of a class are wrong.
    wrong: f64,
}

impl Added {
    fn new(counts: &[Counts], documents: f64) -> Self {
        let hits: f64 = counts.iter().map(|each| each.hits).sum();
        let right = (hits + 1.0) / (documents + 2.0);
        let all = documents + 0.5 * count(counts.len());
        let named: Vec<f64> = counts.iter().map(|each| (each.named + 0.5) / all).collect();
        let wrong = ADDED_DOCUMENTS * (1.0 - right);
        Self { right: ADDED_DOCUMENTS * right, named, wrong }
    }

    /// How many documents are added of one true class and one predicted class.
    fn cell(&self, truth: usize, predicted: usize) -> f64 {
        if truth == predicted {
            self.right
        } else {
            self.wrong * self.named[predicted] / (1.0 - self.named[truth])
        }
    }

    /// The counts of a class with the added documents.
    fn to(&self, counts: Counts, class: usize) -> Counts {
        let named: f64 = (0..self.named.len()).map(|truth| self.cell(truth, class)).sum();
        Counts {
            hits: counts.hits + self.right,
            of_class: counts.of_class + ADDED_DOCUMENTS,
            named: counts.named + named,
        }
    }
}

/// The interval of Agresti and Coull for a proportion of so many trials.
fn agresti_coull(proportion: f64, trials: f64) -> (f64, f64) {
    let n = trials + Z * Z;
    let centre = (proportion * trials + Z * Z / 2.0) / n;
    let half = Z * (centre * (1.0 - centre) / n).sqrt();
    (centre - half, centre + half)
}
