//! One search on a table, one trial after another and each to its own end.

use crate::{
    samplers::{Points, Sampler, Tried},
    table::{Pool, Table},
};

/// A trial of a search that is over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Which one of the table.
    pub(crate) trial: usize,
    /// Epochs that it ran.
    pub(crate) epochs: usize,
    /// Whether it came to its own end.
    pub(crate) is_complete: bool,
}

/// The trials of a search, in order.
pub(crate) fn search(table: &Table, sampler: Sampler, count: usize, repetition: u64) -> Vec<Ended> {
    let mut pool = Pool::new(table, repetition);
    let points = Points::new(table, sampler, count, repetition);
    let mut tried: Vec<Tried> = Vec::with_capacity(count);
    for _ in 0..count {
        let point = points.next(&tried);
        let trial = pool.take(&table.space.place(point.params));
        tried.push(Tried { point, trial, epochs: table.trials[trial].epochs, is_halted: false });
    }
    let ended = |tried: &Tried| Ended { trial: tried.trial, epochs: tried.epochs, is_complete: true };
    tried.iter().map(ended).collect()
}

/// Test F1 of the trial that validation chooses among those that are complete: of the highest validation F1, the
/// earliest among equals.
pub(crate) fn chosen_test_f1(table: &Table, search: &[Ended]) -> f64 {
    let complete = search.iter().filter(|ended| ended.is_complete).map(|ended| &table.trials[ended.trial]);
    let complete: Vec<_> = complete.collect();
    // The last of several equal ones is the greatest.
    let best = complete.iter().rev().max_by(|one, other| one.best_val_f1.total_cmp(&other.best_val_f1));
    best.unwrap().test_f1
}

/// Epochs of a search.
pub(crate) fn epochs(search: &[Ended]) -> usize {
    search.iter().map(|ended| ended.epochs).sum()
}
