//! How often a truly best trial is called worse, and how often a worse one is.

use rayon::prelude::*;
use sweep::{
    leaderboard::{self, Against, Prediction, SamePredictions},
    metrics::{Confusion, Target},
};

use crate::{
    Wanted, before,
    sweeps::{Errors, Sweep},
};

pub(crate) const LEVEL: f64 = 0.05;

/// Sweeps all of whose trials are truly best.
const EQUAL: [Errors; 11] = [
    Errors::Independent,
    Errors::HardDocuments,
    Errors::NearDuplicates,
    Errors::PrecisionOrRecall,
    Errors::OneConstant,
    Errors::NearlyPerfect,
    Errors::RareClass,
    Errors::FiveClasses,
    Errors::TwelveClasses,
    Errors::Weighted,
    Errors::Micro,
];
/// Sweeps of which some trials are worse than the best.
const UNEQUAL: [Errors; 5] =
    [Errors::HalfWorse(5), Errors::HalfWorse(10), Errors::Ladder, Errors::NearTies, Errors::HalfZero];

/// What a method says of simulated sweeps, in shares.
#[derive(Clone, Copy, Default)]
struct Figures {
    /// Sweeps in which a truly best trial is called worse.
    any_best_excluded: f64,
    /// Truly worse trials that are called worse.
    worse_excluded: f64,
}

/// More trials than these take too long with many classes.
const MANY_CLASSES_TRIALS_MAX: usize = 60;
/// One of so many sweeps is judged by the method of before too.
const BEFORE_OF: u64 = 5;

pub(crate) fn print(wanted: &Wanted) {
    if wanted.table("ties") {
        for errors in EQUAL.into_iter().chain(UNEQUAL).filter(|errors| wanted.of_errors(&errors.name())) {
            let kept = |trials: &usize| *trials <= MANY_CLASSES_TRIALS_MAX || errors.classes().len() == 2;
            let trials: Vec<usize> = wanted.trials.iter().copied().filter(kept).collect();
            let rows: Vec<Vec<[Figures; 2]>> = trials
                .iter()
                .map(|&trials| wanted.documents.iter().map(|&n| figures(errors, trials, n, wanted)).collect())
                .collect();
            println!("\n### {}\n\nA truly best trial is called worse, in % of sweeps:\n", errors.name());
            table(&trials, &rows, wanted, |figures| figures.any_best_excluded);
            if UNEQUAL.contains(&errors) {
                println!("\nTruly worse trials that are called worse, in %:\n");
                table(&trials, &rows, wanted, |figures| figures.worse_excluded);
            }
        }
    }
    if wanted.table("chosen") {
        println!("\n### Chosen by validation: an equal trial is called different, in % of sweeps\n");
        let headings: Vec<String> = wanted.documents.iter().map(|n| format!("{n} documents")).collect();
        println!(
            "| errors | trials | {} |\n| --- | --: |{}",
            headings.join(" | "),
            " --: |".repeat(headings.len())
        );
        for errors in [Errors::HardDocuments, Errors::PrecisionOrRecall, Errors::RareClass] {
            for &trials in &wanted.trials {
                let cell = |&documents: &usize| {
                    let any = simulate(wanted.sweeps, |seed| {
                        let sweep = errors.draw(trials, documents, seed);
                        [f64::from(u8::from(now(&sweep, Against::First).iter().any(|p| *p <= LEVEL)))]
                    });
                    format!("{:.1}", 100.0 * any[0])
                };
                let cells: Vec<String> = wanted.documents.iter().map(cell).collect();
                println!("| {} | {trials} | {} |", errors.name(), cells.join(" | "));
            }
        }
    }
}

/// Prints a figure for each number of trials and documents: before → now.
fn table(trials: &[usize], rows: &[Vec<[Figures; 2]>], wanted: &Wanted, figure: impl Fn(Figures) -> f64) {
    let headings: Vec<String> = wanted.documents.iter().map(|n| format!("{n} documents")).collect();
    println!("| trials | {} |\n| --: |{}", headings.join(" | "), " --: |".repeat(headings.len()));
    for (trials, row) in trials.iter().zip(rows) {
        let cell = |[before, now]: &[Figures; 2]| {
            let before =
                if wanted.before { format!("{:.0} → ", 100.0 * figure(*before)) } else { String::new() };
            format!("{before}{:.1}", 100.0 * figure(*now))
        };
        let cells: Vec<String> = row.iter().map(cell).collect();
        println!("| {trials} | {} |", cells.join(" | "));
    }
}

/// The figures of the method of before and of today's.
fn figures(errors: Errors, trials: usize, documents: usize, wanted: &Wanted) -> [Figures; 2] {
    let means = simulate(wanted.sweeps, |seed| {
        let sweep = errors.draw(trials, documents, seed);
        let now = judge(&sweep, &now(&sweep, Against::Best));
        let is_judged = wanted.before && seed.is_multiple_of(BEFORE_OF);
        let before = if is_judged { judge(&sweep, &before(&sweep)) } else { Figures::default() };
        let judged = f64::from(u8::from(is_judged));
        [judged, before.any_best_excluded, before.worse_excluded, now.any_best_excluded, now.worse_excluded]
    });
    let [judged, before_best, before_worse, best, worse] = means;
    [
        Figures { any_best_excluded: before_best / judged, worse_excluded: before_worse / judged },
        Figures { any_best_excluded: best, worse_excluded: worse },
    ]
}

/// The means of what `run` finds for the seeds from 0.
pub(crate) fn simulate<const N: usize>(runs: u32, run: impl Fn(u64) -> [f64; N] + Sync + Send) -> [f64; N] {
    let add = |a: [f64; N], b: [f64; N]| std::array::from_fn(|at| a[at] + b[at]);
    let sums = (0..u64::from(runs)).into_par_iter().map(run).reduce(|| [0.0; N], add);
    sums.map(|sum| sum / f64::from(runs))
}

fn judge(sweep: &Sweep, p_values: &[f64]) -> Figures {
    let excluded = |best: bool| {
        let of_kind = sweep.is_best.iter().zip(p_values).filter(move |(is_best, _)| **is_best == best);
        (of_kind.clone().filter(|(_, p)| **p <= LEVEL).count(), of_kind.count())
    };
    let ((best, _), (worse, all_worse)) = (excluded(true), excluded(false));
    Figures {
        any_best_excluded: f64::from(u8::from(best > 0)),
        worse_excluded: worse as f64 / all_worse.max(1) as f64,
    }
}

/// Today's p-values.
fn now(sweep: &Sweep, against: Against) -> Vec<f64> {
    let models: Vec<&Vec<Prediction>> = sweep.predictions.iter().collect();
    leaderboard::p_values(&same(&models), sweep.target, against)
}

/// The predictions of several trials, the first one first.
pub(crate) fn same(models: &[&Vec<Prediction>]) -> SamePredictions {
    let mut same = SamePredictions::starting_with(models[0]);
    for model in &models[1..] {
        assert!(same.add(model), "all trials are measured on the same documents");
    }
    same
}

/// The p-values of before: of each trial against the one of highest F1.
fn before(sweep: &Sweep) -> Vec<f64> {
    let f1s: Vec<f64> = sweep.predictions.iter().map(|model| f1(model, sweep.target, 12)).collect();
    let leader = (0..f1s.len()).fold(0, |best, each| if f1s[each] > f1s[best] { each } else { best });
    let others: Vec<usize> = (0..f1s.len()).filter(|&each| each != leader).collect();
    let rounds = before::rounds(others.len());
    let p = |&other: &usize| {
        before::p_value(&sweep.predictions[leader], &sweep.predictions[other], sweep.target, rounds)
    };
    let raw: Vec<f64> = others.iter().map(|other| p(other).unwrap_or(1.0)).collect();
    let mut p_values = vec![1.0; f1s.len()];
    for (other, p) in others.into_iter().zip(before::holm(&raw)) {
        p_values[other] = p;
    }
    p_values
}

pub(crate) fn f1(model: &[Prediction], target: Target, classes: usize) -> f64 {
    let mut counts = Confusion::new(classes);
    for each in model {
        counts.add(each.label, each.predicted);
    }
    counts.rates(target).f1
}
