//! What ways to search find on real trials: `cargo bench --bench search`.
//!
//! Prints the tables of `docs/search.md`. `repetitions=N` is the number of searches of a kind on each table, 100 by
//! default; words after `--` choose tables: `samplers`, `rules`, `cost`.
//!
//! A table (`benches/data/search/`) holds real trials with their figures after each epoch. A search asks for a point
//! of the space and gets the nearest trial of the table that it has not had yet, so no model stands between a sampler
//! and real curves, and each point brings the noise of a real training. Each repetition has four fifths of the table,
//! drawn at random and the same ones for all ways to search, so that differences are paired. A table of N trials says
//! something about searches of up to some N / 3 trials; beyond that all of them end with the same trial.

#![expect(clippy::print_stdout, reason = "the tables are what the bench is for")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

mod cost;
mod measured;
mod median;
mod replay;
mod samplers;
mod statistics;
mod table;

use measured::{LOOKS, Measured};
use samplers::Sampler;
use table::Table;

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
    if is_wanted("cost") {
        cost::print();
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
}

/// Rules that stop trials, against the same trials without them, and the share of their epochs.
fn print_rules(tables: &[Table], repetitions: u64) {
    let whole = |table: &Table, count, at| replay::search(table, Sampler::Random, count, at);
    let base = Measured::new(tables, repetitions, &whole);
    let median = Measured::new(tables, repetitions, &|table, count, at| {
        median::stopped(table, &whole(table, count, at))
    });
    print_header("rule, over random search without it");
    print_row("Optuna's median", |look| {
        format!("{}, {:.2}", median.over(&base, look), median.share(&base, look))
    });
}
