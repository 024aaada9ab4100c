//! How far the optimism and the chance that the leaderboard states of a winner are from the truth.

use std::sync::Mutex;

use sweep::leaderboard::{self, Against, Prediction};

use crate::{
    Wanted,
    sweeps::{Errors, Sweep},
    ties::{LEVEL, f1, same, simulate},
};

const KINDS: [Errors; 18] = [
    Errors::Independent,
    Errors::HardDocuments,
    Errors::NearDuplicates,
    Errors::PrecisionOrRecall,
    Errors::NearlyPerfect,
    Errors::RareClass,
    Errors::FiveClasses,
    Errors::Weighted,
    Errors::Micro,
    Errors::HalfWorse(5),
    Errors::HalfWorse(10),
    Errors::HalfZero,
    Errors::Ladder,
    Errors::NearTies,
    Errors::Spread(5),
    Errors::Spread(10),
    Errors::Spread(20),
    Errors::Tail(30),
];

/// Kinds of which exactly one trial is the best.
const ONE_BEST: [Errors; 5] =
    [Errors::Spread(5), Errors::Spread(10), Errors::Spread(20), Errors::Tail(30), Errors::Ladder];

/// Parts of the chances from 0 to 1.
const BINS: usize = 10;

/// What is known of one simulated winner.
struct Judged {
    /// By how much its F1 was too high.
    optimism: f64,
    /// Whether it was truly the best.
    is_best: bool,
    stated: leaderboard::Flattery,
}

pub(crate) fn print(wanted: &Wanted) {
    if !wanted.table("optimism") {
        return;
    }
    println!("\n### By how much the winner is flattered: points of F1, and the bias of what is stated\n");
    let headings: Vec<String> = wanted.documents.iter().map(|n| format!("{n} documents")).collect();
    println!(
        "| errors | trials | {} |\n| --- | --: |{}",
        headings.join(" | "),
        " --: |".repeat(headings.len())
    );
    let calibration = Mutex::new([[0.0_f64; 3]; BINS]);
    for errors in KINDS.into_iter().filter(|errors| wanted.of_errors(&errors.name())) {
        for &trials in &wanted.trials {
            let cells: Vec<String> =
                wanted.documents.iter().map(|&n| cell(errors, trials, n, wanted, &calibration)).collect();
            println!("| {} | {trials} | {} |", errors.name(), cells.join(" | "));
        }
    }
    println!("\n### The chance that the winner is truly the best, where one trial is\n");
    println!(
        "| stated | sweeps | mean of what is stated, % | truly the best, % |\n| --- | --: | --: | --: |"
    );
    let calibration = calibration.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (bin, [sweeps, stated, best]) in calibration.into_iter().enumerate().filter(|(_, bin)| bin[0] > 0.0) {
        let (low, high) = (100 * bin / BINS, 100 * (bin + 1) / BINS);
        println!(
            "| {low} to {high} % | {sweeps:.0} | {:.0} | {:.0} |",
            100.0 * stated / sweeps,
            100.0 * best / sweeps
        );
    }
}

/// The true optimism in points, and the bias of what is stated with its standard error.
fn cell(
    errors: Errors,
    trials: usize,
    documents: usize,
    wanted: &Wanted,
    calibration: &Mutex<[[f64; 3]; BINS]>,
) -> String {
    let counts = ONE_BEST.contains(&errors);
    let [optimism, bias, square] = simulate(wanted.sweeps, |seed| {
        let Judged { optimism, is_best, stated } =
            judge(&errors.draw(trials, documents, seed), errors.classes().len());
        if counts && let Ok(mut calibration) = calibration.lock() {
            let bin = (0..BINS - 1).find(|bin| stated.chance < (bin + 1) as f64 / BINS as f64);
            let [sweeps, sum, best] = &mut calibration[bin.unwrap_or(BINS - 1)];
            *sweeps += 1.0;
            *sum += stated.chance;
            *best += f64::from(u8::from(is_best));
        }
        let bias = stated.optimism - optimism;
        [optimism, bias, bias * bias]
    });
    let error = ((square - bias * bias) / f64::from(wanted.sweeps)).max(0.0).sqrt();
    format!("{:.2} {:+.2} ± {:.2}", 100.0 * optimism, 100.0 * bias, 100.0 * error)
}

fn judge(sweep: &Sweep, classes: usize) -> Judged {
    let f1s: Vec<f64> = sweep.predictions.iter().map(|model| f1(model, sweep.target, classes)).collect();
    let winner = (0..f1s.len()).fold(0, |best, each| if f1s[each] > f1s[best] { each } else { best });
    // The mean error of all trials is 0 but for the small bias of F1 itself. Without it, fewer sweeps are needed.
    let mean = |f1s: &[f64]| f1s.iter().sum::<f64>() / f1s.len() as f64;
    let truth = sweep.f1s.as_ref().map_or(0.0, |truths| truths[winner] - mean(truths)) + mean(&f1s);
    let mut order: Vec<&Vec<Prediction>> = sweep.predictions.iter().collect();
    order.swap(0, winner);
    let same = same(&order);
    let p_values = leaderboard::p_values(&same, sweep.target, Against::Best);
    let stated = leaderboard::flattery(&same, sweep.target, classes, (&p_values, LEVEL));
    Judged { optimism: f1s[winner] - truth, is_best: sweep.is_best[winner], stated }
}
