//! Optuna's `MedianPruner` with its defaults, for comparison: after five complete trials, a trial is stopped whose best
//! F1 so far is below the median of the complete trials' F1 after the same epoch. One trial after another.

use crate::{replay::Ended, statistics::median, table::Table};

/// Complete trials before the first one is stopped.
const STARTUP: usize = 5;

/// What the rule leaves of a search.
pub(crate) fn stopped(table: &Table, search: &[Ended]) -> Vec<Ended> {
    let mut ended: Vec<Ended> = Vec::with_capacity(search.len());
    for whole in search {
        let trial = &table.trials[whole.trial];
        let complete: Vec<usize> =
            ended.iter().filter(|ended| ended.is_complete).map(|ended| ended.trial).collect();
        let is_stopped = |epoch: &usize| {
            let values: Vec<f64> = complete
                .iter()
                .map(|other| &table.trials[*other])
                .filter(|other| other.epochs >= *epoch)
                .map(|other| other.val_f1[epoch - 1])
                .collect();
            let best = trial.val_f1[..*epoch].iter().copied().fold(0.0, f64::max);
            complete.len() >= STARTUP && !values.is_empty() && best < median(values)
        };
        let stop = (1..trial.epochs).find(is_stopped);
        let epochs = stop.unwrap_or(trial.epochs);
        ended.push(Ended { trial: whole.trial, epochs, is_complete: stop.is_none() });
    }
    ended
}
