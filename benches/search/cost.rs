//! What one proposal costs.

use std::time::Instant;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use sweep::{
    plan::{self, Known},
    spec::{self, SpecText},
    tpe::{self, Dimension, Observation, Outcome},
};

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

/// Prints what planning a sweep of many trials takes, one generation after another, from made-up results.
pub(crate) fn print_growth() {
    println!("\nPlanning {GROWN} trials of four settings, generations of 8: milliseconds a trial\n");
    println!("| sampler | all | the last 200 |\n| --- | --: | --: |");
    for sampler in ["sobol", "tpe"] {
        let (all, last) = growth(sampler);
        println!("| {sampler} | {all:.2} | {last:.2} |");
    }
}

const GROWN: usize = 2_000;

fn growth(sampler: &str) -> (f64, f64) {
    let text = format!(
        "name = \"growth\"\n[data]\npath = \"builtin:reviews\"\n[search]\ntrials = {GROWN}\nsampler = \"{sampler}\"\n\
         [search.space]\nlearning_rate = {{ log_uniform = [1e-6, 1e-3] }}\ndropout = {{ uniform = [0.0, 0.5] }}\n\
         weight_decay = {{ log_uniform = [1e-4, 1.0] }}\npooling = {{ grid = [\"cls\", \"mean\"] }}\n"
    );
    let here = std::path::Path::new(".");
    let spec =
        spec::parse(&SpecText { name: "growth", text: &text, overrides: &[], base: here, working: here });
    let spec = spec.unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut known: Vec<Known> = Vec::new();
    let (mut all, mut last) = (0.0, 0.0);
    while known.len() < GROWN {
        let start = Instant::now();
        let trials = plan::grown(&spec, &known, 8, u32::try_from(known.len()).unwrap() + 1);
        let time = start.elapsed().as_secs_f64() * 1e3;
        all += time;
        if known.len() >= GROWN - 200 {
            last += time;
        }
        known.extend(trials.into_iter().map(|trial| Known {
            params: trial.params,
            outcome: Outcome::Complete { score: f64::from(random.next_u32()) },
        }));
    }
    (all / 2_000.0, last / 200.0)
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
