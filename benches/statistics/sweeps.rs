//! Made-up sweeps whose truly best trials are known.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sweep::{
    leaderboard::Prediction,
    metrics::{Average, Target},
};

/// How the trials of a sweep err.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errors {
    /// Equal trials that err independently.
    Independent,
    /// Equal trials that mostly err on the same, hard documents.
    HardDocuments,
    /// Equal trials, all nearly the same except one.
    NearDuplicates,
    /// Equal F1, by high precision or by high recall.
    PrecisionOrRecall,
    /// Equal F1, one of which names the positive class always.
    OneConstant,
    /// Equal trials with 1 % errors.
    NearlyPerfect,
    /// Equal trials; 5 % of documents are of the positive class.
    RareClass,
    /// Half of the trials are equal; the others never name the positive class.
    HalfZero,
    /// Equal trials of five classes of different sizes, by macro-F1.
    FiveClasses,
    /// Equal trials of twelve classes, one without a document and two rare, by macro-F1.
    TwelveClasses,
    /// Equal trials of five classes, by weighted F1.
    Weighted,
    /// Equal trials of five classes, by micro-F1.
    Micro,
    /// Half of the trials are so many points below the others.
    HalfWorse(u32),
    /// The trials stand evenly over 20 points.
    Ladder,
    /// Two best trials, and the others half a point below.
    NearTies,
    /// True F1s as of a normal distribution with a standard deviation of so many tenths of a point.
    Spread(u32),
    /// True F1s as of an exponential distribution below the best, whose mean is so many tenths of a point.
    Tail(u32),
}

/// A test set, each trial's predictions for it, and which trials are truly best.
pub(crate) struct Sweep {
    pub(crate) predictions: Vec<Vec<Prediction>>,
    pub(crate) is_best: Vec<bool>,
    pub(crate) target: Target,
    /// Each trial's F1 on endlessly many documents.
    pub(crate) f1s: Vec<f64>,
}

/// How one trial errs: its chance of missing a document of the positive class, and of a false alarm. With more
/// classes, both are the chance of an error.
#[derive(Clone, Copy)]
struct Rates {
    miss: f64,
    false_alarm: f64,
}

impl Errors {
    /// The name in a table.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Independent => "independent errors".to_owned(),
            Self::HardDocuments => "shared hard documents".to_owned(),
            Self::NearDuplicates => "near-duplicates and one other".to_owned(),
            Self::PrecisionOrRecall => "high precision or high recall".to_owned(),
            Self::OneConstant => "one names one class always".to_owned(),
            Self::NearlyPerfect => "1 % errors".to_owned(),
            Self::RareClass => "5 % positive documents".to_owned(),
            Self::HalfZero => "half of them F1 = 0".to_owned(),
            Self::FiveClasses => "macro-F1, 5 classes".to_owned(),
            Self::TwelveClasses => "macro-F1, 12 classes, one absent".to_owned(),
            Self::Weighted => "weighted F1, 5 classes".to_owned(),
            Self::Micro => "micro-F1, 5 classes".to_owned(),
            Self::HalfWorse(points) => format!("half of them {points} points worse"),
            Self::Ladder => "evenly over 20 points".to_owned(),
            Self::NearTies => "all but two 0.5 points worse".to_owned(),
            Self::Spread(tenths) => format!("normally spread by {:.1} points", f64::from(tenths) / 10.0),
            Self::Tail(tenths) => format!("a tail of {:.1} points below the best", f64::from(tenths) / 10.0),
        }
    }

    /// Share of each class among the documents. The second class is the positive one of two.
    pub(crate) fn classes(self) -> Vec<f64> {
        match self {
            Self::RareClass => vec![0.95, 0.05],
            Self::FiveClasses | Self::Weighted | Self::Micro => vec![0.4, 0.25, 0.2, 0.1, 0.05],
            Self::TwelveClasses => vec![0.18, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0, 0.01, 0.01],
            _ => vec![0.5, 0.5],
        }
    }

    fn target(self) -> Target {
        match self {
            Self::FiveClasses | Self::TwelveClasses => Target::Average(Average::Macro),
            Self::Weighted => Target::Average(Average::Weighted),
            Self::Micro => Target::Average(Average::Micro),
            _ => Target::Class(1),
        }
    }

    /// The rates of one of so many trials, whether it is truly best, and how much of its errors it shares.
    fn trial(self, trial: usize, trials: usize) -> (Rates, bool, f64) {
        let both = |error: f64| Rates { miss: error, false_alarm: error };
        // With equally many documents of both classes and equal rates, F1 is 1 − error.
        match self {
            Self::Independent => (both(0.15), true, 0.0),
            Self::NearDuplicates => (both(0.15), true, if trial == 0 { 0.0 } else { 0.99 }),
            // Both have F1 = .8.
            Self::PrecisionOrRecall if trial.is_multiple_of(2) => {
                (Rates { miss: 0.05, false_alarm: 0.425 }, true, 0.5)
            }
            Self::PrecisionOrRecall => (Rates { miss: 0.3, false_alarm: 0.05 }, true, 0.5),
            // Both have F1 = 2/3.
            Self::OneConstant if trial == 0 => (Rates { miss: 0.0, false_alarm: 1.0 }, true, 0.0),
            Self::OneConstant => (Rates { miss: 0.3, false_alarm: 0.4 }, true, 0.5),
            Self::NearlyPerfect => (both(0.01), true, 0.7),
            Self::RareClass => (Rates { miss: 0.3, false_alarm: 0.01 }, true, 0.5),
            Self::HalfZero if trial % 2 == 1 => (Rates { miss: 1.0, false_alarm: 0.0 }, false, 0.0),
            Self::HalfZero => (both(0.2), true, 0.7),
            Self::FiveClasses | Self::TwelveClasses | Self::Weighted | Self::Micro => (both(0.2), true, 0.6),
            Self::HalfWorse(points) if trial % 2 == 1 => (both(0.15 + f64::from(points) / 100.0), false, 0.7),
            Self::HardDocuments | Self::HalfWorse(_) => (both(0.15), true, 0.7),
            Self::Ladder => (both(0.15 + 0.2 * trial as f64 / (trials - 1) as f64), trial == 0, 0.7),
            Self::NearTies => (both(if trial < 2 { 0.15 } else { 0.155 }), trial < 2, 0.7),
            // The best trial is the first one: it has the fewest errors.
            Self::Spread(tenths) => {
                let place = quantile((trial as f64 + 0.5) / trials as f64);
                (both((0.15 + f64::from(tenths) / 1_000.0 * place).max(0.001)), trial == 0, 0.7)
            }
            Self::Tail(tenths) => {
                let place = -(1.0 - trial as f64 / trials as f64).ln();
                (both(0.15 + f64::from(tenths) / 1_000.0 * place), trial == 0, 0.7)
            }
        }
    }

    /// Draws a sweep of so many trials, measured on so many documents.
    pub(crate) fn draw(self, trials: usize, documents: usize, seed: u64) -> Sweep {
        let all: Vec<_> = (0..trials).map(|trial| self.trial(trial, trials)).collect();
        self.draw_trials(&all, documents, seed)
    }

    /// Draws so many seeds of one configuration, whose chances of an error are spread normally by so many points around
    /// 15 %. Its F1 over all seeds and documents is .85.
    pub(crate) fn draw_seeds(self, seeds: usize, points: f64, documents: usize, seed: u64) -> Sweep {
        let mut rng = ChaCha8Rng::seed_from_u64(!seed);
        let mut trial = |_| {
            let error = (0.15 + points / 100.0 * quantile(rng.random())).clamp(0.001, 0.299);
            (Rates { miss: error, false_alarm: error }, true, 0.7)
        };
        self.draw_trials(&(0..seeds).map(&mut trial).collect::<Vec<_>>(), documents, seed)
    }

    /// Draws the test set, and what trials with these rates predict.
    fn draw_trials(self, all: &[(Rates, bool, f64)], documents: usize, seed: u64) -> Sweep {
        let trials = all.len();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shares = self.classes();
        // Trials of the same kind have the same chance of an error.
        let mut kinds: Vec<(f64, f64, f64)> = Vec::new();
        let mut kind_of = |(rates, _, shared): &(Rates, bool, f64)| {
            let kind = (rates.false_alarm, rates.miss, *shared);
            kinds.iter().position(|each| *each == kind).unwrap_or_else(|| {
                kinds.push(kind);
                kinds.len() - 1
            })
        };
        let kind_of: Vec<usize> = all.iter().map(&mut kind_of).collect();
        let thresholds: Vec<[f64; 2]> =
            kinds.iter().map(|(false_alarm, miss, _)| [quantile(*false_alarm), quantile(*miss)]).collect();
        let mut predictions = vec![Vec::with_capacity(documents); trials];
        for id in 0..documents as u64 {
            let label = pick(&shares, &mut rng);
            let hardness = quantile(rng.random());
            let usual = wrong(label, shares.len(), &mut rng);
            // Given the document's hardness, trials err independently.
            let chance = |((_, _, shared), thresholds): (&(f64, f64, f64), &[f64; 2])| {
                let threshold = thresholds[usize::from(label == 1 || shares.len() > 2)];
                cumulative((threshold - shared.sqrt() * hardness) / (1.0 - shared).sqrt())
            };
            let chances: Vec<f64> = kinds.iter().zip(&thresholds).map(chance).collect();
            for (own, kind) in predictions.iter_mut().zip(&kind_of) {
                let errs = rng.random::<f64>() < chances[*kind];
                let predicted = if !errs {
                    label
                } else if rng.random::<f64>() < 0.5 {
                    usual
                } else {
                    wrong(label, shares.len(), &mut rng)
                };
                own.push(Prediction { id, label, predicted });
            }
        }
        let is_best = all.iter().map(|(_, is_best, _)| *is_best).collect();
        let f1s = all.iter().map(|(rates, ..)| rates.f1(self.target(), &shares)).collect();
        Sweep { predictions, is_best, target: self.target(), f1s }
    }
}

impl Rates {
    /// F1 on endlessly many documents, of which such shares are of each class.
    fn f1(self, target: Target, shares: &[f64]) -> f64 {
        // A document of another class is named as of this one by so many false alarms.
        let alarms = self.false_alarm / (shares.len() - 1) as f64;
        let of_class = |share: f64| {
            let hits = share * (1.0 - self.miss);
            2.0 * hits / (hits + (1.0 - share) * alarms + share)
        };
        match target {
            Target::Class(class) => of_class(shares[class]),
            Target::Average(Average::Micro) => 1.0 - self.miss,
            Target::Average(Average::Macro) => {
                shares.iter().map(|share| of_class(*share)).sum::<f64>() / shares.len() as f64
            }
            Target::Average(Average::Weighted) => shares.iter().map(|share| share * of_class(*share)).sum(),
        }
    }
}

/// A class with these chances.
pub(crate) fn pick(shares: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let mut left = rng.random::<f64>() * shares.iter().sum::<f64>();
    for (class, share) in shares.iter().enumerate() {
        left -= share;
        if left < 0.0 {
            return class;
        }
    }
    0
}

/// Another class than `label`.
fn wrong(label: usize, classes: usize, rng: &mut ChaCha8Rng) -> usize {
    (label + rng.random_range(1..classes)) % classes
}

/// The chance that a standard normal number is below `x`.
fn cumulative(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The number below which a standard normal number is with the chance `p`.
fn quantile(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if cumulative(middle) < p { low = middle } else { high = middle }
    }
    low
}
