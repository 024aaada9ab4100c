//! How honest ties and intervals are, by simulation: `cargo bench --bench statistics`.
//!
//! Prints the tables of `docs/statistics.md`. Words after `--` choose tables by the beginning of their names: `ties`,
//! `chosen`, `intervals`, `cost`, `optimism`, `configurations`, `effects`, `best`. `sweeps=N` is the number of simulated
//! sweeps in a cell, and `sets=N` that of simulated test sets; `quick` makes both small. `trials=2,6`, `documents=40,150`
//! and `errors=WORD` choose cells, and `before=no` leaves the methods of before out.

#![expect(clippy::print_stdout, reason = "the tables are what the bench is for")]
#![expect(clippy::cast_precision_loss, reason = "counts are small")]

mod before;
mod configurations;
mod effects;
mod intervals;
mod optimism;
mod sweeps;
mod ties;

/// What the command line asks for.
struct Wanted {
    /// Beginnings of the names of tables; none means all tables.
    words: Vec<String>,
    /// Simulated sweeps in a cell.
    sweeps: u32,
    /// Simulated test sets in a cell.
    sets: u32,
    /// Numbers of trials and of test documents.
    trials: Vec<usize>,
    documents: Vec<usize>,
    /// A part of the names of the kinds of errors.
    errors: String,
    /// Whether the methods of before are simulated too.
    before: bool,
}

impl Wanted {
    fn parse(arguments: impl Iterator<Item = String>) -> Self {
        let mut wanted = Self {
            words: Vec::new(),
            sweeps: 500,
            sets: 4_000,
            trials: vec![2, 6, 20, 60, 200],
            documents: vec![40, 150, 600, 5_000],
            errors: String::new(),
            before: true,
        };
        let list = |list: &str| list.split(',').filter_map(|each| each.parse().ok()).collect();
        // Cargo itself adds `--bench`.
        for argument in arguments.filter(|argument| !argument.starts_with("--")) {
            match argument.split_once('=') {
                Some(("sweeps", count)) => wanted.sweeps = count.parse().unwrap_or(wanted.sweeps),
                Some(("sets", count)) => wanted.sets = count.parse().unwrap_or(wanted.sets),
                Some(("trials", all)) => wanted.trials = list(all),
                Some(("documents", all)) => wanted.documents = list(all),
                Some(("errors", part)) => part.clone_into(&mut wanted.errors),
                Some(("before", "no")) => wanted.before = false,
                _ if argument == "quick" => (wanted.sweeps, wanted.sets) = (40, 200),
                _ => wanted.words.push(argument),
            }
        }
        wanted
    }

    fn of_errors(&self, name: &str) -> bool {
        name.contains(&self.errors)
    }

    fn table(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.starts_with(word.as_str()))
    }
}

fn main() {
    let wanted = Wanted::parse(std::env::args().skip(1));
    ties::print(&wanted);
    intervals::print(&wanted);
    optimism::print(&wanted);
    configurations::print(&wanted);
    effects::print(&wanted);
}
