//! What ways to search find on real trials: `cargo bench --bench search`.
//!
//! Prints the tables of `docs/search.md`. `repetitions=N` is the number of searches of a kind on each table, 100 by
//! default; words after `--` choose tables: `samplers`, `rules`, `overhead`, `cost`.
//!
//! A table (`benches/data/search/`) holds real trials with their figures after each epoch. A search asks for a point
//! of the space and gets the nearest trial of the table that it has not had yet, so no model stands between a sampler
//! and real curves, and each point brings the noise of a real training. Each repetition has four fifths of the table,
//! drawn at random and the same ones for all ways to search, so that differences are paired. A table of N trials says
//! something about searches of up to some N / 3 trials; beyond that all of them end with the same trial.

#![expect(clippy::print_stdout, reason = "the tables are what the bench is for")]
#![expect(clippy::cast_precision_loss, reason = "counts are small")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

mod cost;
mod generations;
mod measured;
mod median;
mod replay;
mod samplers;
mod statistics;
mod table;

use sweep::search::{self, Halving, RungFigure};

use generations::Way;
use measured::{LOOKS, Measured};
use samplers::Sampler;
use table::Table;

/// One of so many goes on at a rung.
const ETA: u32 = 3;
/// The default of the setting of this name.
const WARMUP_RATIO: f64 = 0.1;
/// Trials of a search whose time is played.
const OVERHEAD_TRIALS: usize = 32;
/// Numbers of slots, each of which must give the same trials.
const SLOTS: [usize; 4] = [1, 2, 3, 8];

fn main() {
    let mut repetitions = 100;
    let mut words = Vec::new();
    // Cargo itself adds `--bench`.
    for argument in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        match argument.split_once('=') {
            Some(("repetitions", count)) => repetitions = count.parse().unwrap(),
            _ => words.push(argument),
        }
    }
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.starts_with(word.as_str()));
    let tables = Table::all();
    for table in &tables {
        println!("{}: {} trials of up to {} epochs", table.name, table.trials.len(), table.epochs);
    }
    println!("{repetitions} repetitions; test F1 in points with paired 95 % intervals");
    if is_wanted("samplers") {
        print_samplers(&tables, repetitions);
    }
    if is_wanted("rules") {
        print_rules(&tables, repetitions);
    }
    if is_wanted("overhead") {
        print_overhead(&tables, repetitions);
    }
    if is_wanted("cost") {
        cost::print();
        cost::print_growth();
    }
}

fn print_header(first: &str) {
    println!("\n| {first} | {} |", LOOKS.map(|look| look.to_string()).join(" | "));
    println!("| --- |{}", " --: |".repeat(LOOKS.len()));
}

fn print_row(name: &str, cell: impl Fn(usize) -> String) {
    println!("| {name} | {} |", (0..LOOKS.len()).map(cell).collect::<Vec<String>>().join(" | "));
}

/// Samplers against random search, every trial to its own end.
fn print_samplers(tables: &[Table], repetitions: u64) {
    let measured = |sampler| {
        Measured::new(tables, repetitions, &|table, count, at| replay::search(table, sampler, count, at))
    };
    let random = measured(Sampler::Random);
    print_header("sampler");
    print_row(Sampler::Random.name(), |look| format!("{:.1}", random.level(look)));
    for sampler in Sampler::ALL.into_iter().filter(|sampler| *sampler != Sampler::Random) {
        let measured = measured(sampler);
        print_row(sampler.name(), |look| measured.over(&random, look).to_string());
    }
    // What the default sampler would have to be given up for.
    let (sobol, ahead) = (measured(Sampler::Sobol), measured(Sampler::TpeAhead));
    print_header("sampler, over Sobol points");
    print_row(Sampler::TpeAhead.name(), |look| ahead.over(&sobol, look).to_string());
}

/// Rules that stop trials, against the same trials without them, and the share of their epochs.
fn print_rules(tables: &[Table], repetitions: u64) {
    let whole =
        |sampler| move |table: &Table, count: usize, at: u64| replay::search(table, sampler, count, at);
    let base = Measured::new(tables, repetitions, &whole(Sampler::Random));
    let cells = |found: &Measured, base: &Measured| {
        let cell = |look| format!("{}, {:.2}", found.over(base, look), found.share(base, look));
        LOOKS.iter().enumerate().map(|(look, _)| cell(look)).collect::<Vec<String>>()
    };
    let print = |name: &str, cells: Vec<String>| print_row(name, |look| cells[look].clone());
    print_header("rule, over the same points without it");
    let median = Measured::new(tables, repetitions, &|table, count, at| {
        median::stopped(table, &whole(Sampler::Random)(table, count, at))
    });
    print("Optuna's median", cells(&median, &base));
    let mut thirds = Vec::new();
    for rule in RULES {
        let found = halved(tables, repetitions, Sampler::Random, rule);
        print(rule.name, cells(&found, &base));
        thirds.push(found);
    }
    for (sampler, name) in [(Sampler::Sobol, "Sobol points"), (Sampler::TpeAhead, "TPE one generation ahead")]
    {
        let base = Measured::new(tables, repetitions, &whole(sampler));
        print(
            &format!("{}, {name}", RULES[0].name),
            cells(&halved(tables, repetitions, sampler, RULES[0]), &base),
        );
    }
    print_header("halving from a third of the epochs, over Optuna's median");
    print_row("random points", |look| {
        format!("{}, {:.2}", thirds[0].over(&median, look), thirds[0].share(&median, look))
    });
}

/// A way of halving.
#[derive(Clone, Copy)]
struct Rule {
    name: &'static str,
    by: RungFigure,
    /// The first rung; `None`: the program's own.
    first: Option<usize>,
}

const RULES: [Rule; 5] = [
    Rule { name: "halving from a third of the epochs, by loss", by: RungFigure::ValLoss, first: None },
    Rule { name: "by F1", by: RungFigure::ValF1, first: None },
    Rule { name: "by both", by: RungFigure::Both, first: None },
    Rule { name: "by loss, first rung 2", by: RungFigure::ValLoss, first: Some(2) },
    Rule { name: "by loss, first rung 1", by: RungFigure::ValLoss, first: Some(1) },
];

fn halving(table: &Table, rule: Rule) -> Halving {
    let first = rule.first.unwrap_or_else(|| search::first_rung(table.epochs, WARMUP_RATIO));
    Halving { eta: ETA, rungs: search::rungs(table.epochs, ETA, first), by: rule.by }
}

fn halved(tables: &[Table], repetitions: u64, sampler: Sampler, rule: Rule) -> Measured {
    Measured::new(tables, repetitions, &|table, count, at| {
        let halving = halving(table, rule);
        let way = Way { sampler, halving: Some(&halving), slots: 1 };
        generations::run(table, way, count, at).trials
    })
}

/// How much longer a search of [`OVERHEAD_TRIALS`] takes on several slots than its work would, were it divided evenly;
/// and whether the trials were the same on all of them.
fn print_overhead(tables: &[Table], repetitions: u64) {
    println!(
        "\n| slots times time over work, {OVERHEAD_TRIALS} trials | {} |",
        SLOTS.map(|it| it.to_string()).join(" | ")
    );
    println!("| --- |{}", " --: |".repeat(SLOTS.len()));
    let tables: Vec<&Table> = tables.iter().filter(|table| table.serves() >= OVERHEAD_TRIALS).collect();
    for (name, sampler, halves) in [
        ("Sobol", Sampler::Sobol, false),
        ("Sobol, halving from a third", Sampler::Sobol, true),
        ("TPE one ahead", Sampler::TpeAhead, false),
        ("TPE one ahead, halving from a third", Sampler::TpeAhead, true),
    ] {
        let mut overheads = [0.0; SLOTS.len()];
        for table in &tables {
            let halving = halves.then(|| halving(table, RULES[0]));
            for repetition in 0..repetitions {
                let run = |slots| {
                    let way = Way { sampler, halving: halving.as_ref(), slots };
                    generations::run(table, way, OVERHEAD_TRIALS, repetition)
                };
                let runs = SLOTS.map(run);
                assert!(runs.iter().all(|run| run.trials == runs[0].trials), "the slots changed the trials");
                let weight = statistics::count(tables.len()) * repetitions as f64;
                overheads.iter_mut().zip(&runs).for_each(|(sum, run)| *sum += run.overhead / weight);
            }
        }
        println!("| {name} | {} |", overheads.map(|overhead| format!("{overhead:.2}")).join(" | "));
    }
}
