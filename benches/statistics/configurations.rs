//! How often the interval over seeds and documents holds the F1 of a configuration over all of them.

use sweep::{
    leaderboard::{OverSeeds, Prediction, shared_variance},
    metrics::Confusion,
};

use crate::{
    Wanted,
    sweeps::{Errors, Sweep},
    ties::{same, simulate},
};

/// F1 of every configuration here, over all seeds and documents.
const TRUTH: f64 = 0.85;

pub(crate) fn print(wanted: &Wanted) {
    if !wanted.table("configurations") {
        return;
    }
    println!("\n### Seeds and documents together: the interval holds the truth, in %, and its mean width\n");
    let headings: Vec<String> = wanted.documents.iter().map(|n| format!("{n} documents")).collect();
    println!(
        "| seeds differ by | seeds | {} |\n| --- | --: |{}",
        headings.join(" | "),
        " --: |".repeat(headings.len())
    );
    for points in [0.0, 0.5, 1.0, 3.0] {
        for seeds in [1, 2, 3, 5, 10] {
            let cells: Vec<String> =
                wanted.documents.iter().map(|&n| cell(seeds, points, n, wanted)).collect();
            println!("| {points:.1} points | {seeds} | {} |", cells.join(" | "));
        }
    }
}

/// These sweeps are small: so many times as many are simulated.
const TIMES: u32 = 5;

/// How often the interval of the first seed holds the truth → how often that over all seeds does, and both widths.
fn cell(seeds: usize, points: f64, documents: usize, wanted: &Wanted) -> String {
    let [first, first_width, all, all_width] = simulate(TIMES * wanted.sweeps, |seed| {
        let sweep = Errors::HardDocuments.draw_seeds(seeds, points, documents, seed);
        let [first, all] = intervals(&sweep);
        let holds = |(low, high): (f64, f64)| f64::from(u8::from(low <= TRUTH && TRUTH <= high));
        [holds(first), first.1 - first.0, holds(all), all.1 - all.0]
    });
    format!("{:.1} ({first_width:.3}) → {:.1} ({all_width:.3})", 100.0 * first, 100.0 * all)
}

/// The interval of the first seed, and that over all seeds.
fn intervals(sweep: &Sweep) -> [(f64, f64); 2] {
    let f1 = |model: &Vec<Prediction>| {
        let mut counts = Confusion::new(2);
        for each in model {
            counts.add(each.label, each.predicted);
        }
        let (low, high) = counts.f1_interval(sweep.target);
        (counts.rates(sweep.target).f1, low, high)
    };
    let f1s: Vec<(f64, f64, f64)> = sweep.predictions.iter().map(f1).collect();
    let models: Vec<&Vec<Prediction>> = sweep.predictions.iter().collect();
    let shared = if models.len() > 1 { shared_variance(&same(&models), sweep.target, 2) } else { 1.0 };
    let all = OverSeeds::of(&f1s, shared).map_or((0.0, 1.0), |it| (it.low, it.high));
    [(f1s[0].1, f1s[0].2), all]
}
