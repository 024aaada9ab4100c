//! How far the optimism and the chance that the leaderboard states of a winner are from the truth.

use std::{sync::Mutex, time::Instant};

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
/// For each sweep whose winner is judged, the true optimism is measured on so many.
const TRUTHS: u32 = 10;

/// Prints how long a leaderboard of 400 equal trials takes on 1,200 documents: the confidence set, and what is said of the
/// winner.
fn print_cost() {
    let sweep = Errors::HardDocuments.draw(400, 1_200, 1);
    let (winner, _) = winner(&sweep, 2);
    let order: Vec<&Vec<Prediction>> = std::iter::once(winner)
        .chain((0..400).filter(|own| *own != winner))
        .map(|own| &sweep.predictions[own])
        .collect();
    let same = same(&order);
    let mut seconds = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        let begun = Instant::now();
        let p_values = leaderboard::p_values(&same, sweep.target, Against::Best);
        let ranked = Instant::now();
        std::hint::black_box(leaderboard::flattery(&same, sweep.target, 2, (&p_values, LEVEL)));
        seconds[0].push((ranked - begun).as_secs_f64());
        seconds[1].push(ranked.elapsed().as_secs_f64());
    }
    let [set, winner] = seconds.map(|mut all| {
        all.sort_by(f64::total_cmp);
        1_000.0 * all[2]
    });
    println!(
        "\n400 trials, 1,200 documents: {set:.0} ms for the confidence set, {winner:.0} ms for the winner"
    );
}

pub(crate) fn print(wanted: &Wanted) {
    if wanted.table("cost") {
        print_cost();
    }
    if !wanted.table("optimism") {
        return;
    }
    println!("\n### By how much the winner is flattered: points of F1, and what is stated\n");
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
            "| {low} to {high} % | {sweeps:.0} | {:.0} | {:.0} ± {:.0} |",
            100.0 * stated / sweeps,
            100.0 * best / sweeps,
            100.0 * (best / sweeps * (1.0 - best / sweeps) / sweeps).sqrt()
        );
    }
}

/// The true optimism in points. Where a figure is stated, its bias with its standard error; where a bound is stated, its
/// mean, and in how many sweeps it is not above the true optimism. If there is either, in how many sweeps.
fn cell(
    errors: Errors,
    trials: usize,
    documents: usize,
    wanted: &Wanted,
    calibration: &Mutex<[[f64; 3]; BINS]>,
) -> String {
    let counts = ONE_BEST.contains(&errors);
    let classes = errors.classes().len();
    let [truth] = simulate(TRUTHS * wanted.sweeps, |seed| {
        let sweep = errors.draw(trials, documents, seed);
        let (winner, f1) = winner(&sweep, classes);
        [f1 - sweep.f1s[winner]]
    });
    let [plain, sum, square, bound, held] = simulate(wanted.sweeps, |seed| {
        let sweep = errors.draw(trials, documents, seed);
        let (winner, _) = winner(&sweep, classes);
        let stated = state(&sweep, classes, winner);
        // With few documents, no chance is stated.
        if counts
            && let Some(chance) = stated.chance
            && let Ok(mut calibration) = calibration.lock()
        {
            let bin = (0..BINS - 1).find(|bin| chance < (bin + 1) as f64 / BINS as f64);
            let [sweeps, sum, best] = &mut calibration[bin.unwrap_or(BINS - 1)];
            *sweeps += 1.0;
            *sum += chance;
            *best += f64::from(u8::from(sweep.is_best[winner]));
        }
        let (bias, held) = (stated.optimism - truth, f64::from(u8::from(stated.optimism <= truth)));
        if stated.is_bound {
            [0.0, 0.0, 0.0, stated.optimism, held]
        } else {
            [1.0, bias, bias * bias, 0.0, 0.0]
        }
    });
    let mut parts = vec![format!("{:.2}:", 100.0 * truth)];
    if plain > 0.0 {
        let bias = sum / plain;
        let error = ((square / plain - bias * bias) / (plain * f64::from(wanted.sweeps))).max(0.0).sqrt();
        parts.push(format!("{:+.2} ± {:.2}", 100.0 * bias, 100.0 * error));
    }
    if plain > 0.0 && plain < 1.0 {
        parts.push(format!("in {:.0} %,", 100.0 * plain));
    }
    if plain < 1.0 {
        let bounds = 1.0 - plain;
        parts.push(format!("≥ {:.2} ({:.0} %)", 100.0 * bound / bounds, 100.0 * held / bounds));
    }
    parts.join(" ")
}

/// The trial of highest F1, and this F1.
fn winner(sweep: &Sweep, classes: usize) -> (usize, f64) {
    let f1s = sweep.predictions.iter().map(|model| f1(model, sweep.target, classes)).enumerate();
    f1s.fold((0, f64::NEG_INFINITY), |best, own| if own.1 > best.1 { own } else { best })
}

/// What the leaderboard states of the winner.
fn state(sweep: &Sweep, classes: usize, winner: usize) -> leaderboard::Flattery {
    let mut order: Vec<&Vec<Prediction>> = sweep.predictions.iter().collect();
    order.swap(0, winner);
    let same = same(&order);
    let p_values = leaderboard::p_values(&same, sweep.target, Against::Best);
    leaderboard::flattery(&same, sweep.target, classes, (&p_values, LEVEL))
}
