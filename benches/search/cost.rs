//! What one proposal costs.

use std::time::Instant;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use sweep::tpe::{self, Dimension, Observation, Outcome};

/// Lengths of the history.
const TRIALS: [usize; 3] = [100, 500, 2_000];
/// Proposals of which the median is taken.
const PROPOSALS: usize = 21;

const USUAL: [Dimension; 5] = [
    Dimension::LogUniform(1e-5, 1e-3),
    Dimension::Uniform(0.0, 0.5),
    Dimension::LogUniform(1e-4, 1.0),
    Dimension::Int(2, 12),
    Dimension::Categorical(3),
];
/// Whole numbers that hardly ever repeat are the dearest.
const DEAREST: [Dimension; 5] = [Dimension::Int(0, 1_000_000); 5];

/// Prints the time of a proposal by the length of the history.
pub(crate) fn print() {
    println!("\nMilliseconds of a TPE proposal, the median of {PROPOSALS}\n");
    println!("| five dimensions | {} trials |", TRIALS.map(|trials| trials.to_string()).join(" | "));
    println!("| --- |{}", " --: |".repeat(TRIALS.len()));
    for (name, space) in [("usual", USUAL), ("wide whole numbers", DEAREST)] {
        let cells = TRIALS.map(|trials| format!("{:.2}", milliseconds(&space, trials)));
        println!("| {name} | {} |", cells.join(" | "));
    }
}

fn milliseconds(space: &[Dimension], trials: usize) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let history: Vec<Observation> = (0..trials)
        .map(|at| {
            let point = tpe::propose(space, &[], &["history", &at.to_string()]).remove(0);
            Observation { point, outcome: Outcome::Complete { score: f64::from(random.next_u32()) } }
        })
        .collect();
    let mut times: Vec<f64> = (0..PROPOSALS)
        .map(|at| {
            let start = Instant::now();
            assert_eq!(tpe::propose(space, &history, &["cost", &at.to_string()]).len(), tpe::CANDIDATES);
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    times[PROPOSALS / 2]
}
