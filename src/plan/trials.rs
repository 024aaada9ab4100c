//! The trials of a spec: grid cells, draws and seeds.
//!
//! Grid cells come in the order of the spec, the last swept setting fastest. Each cell is drawn `samples`
//! times if any swept setting has a range, and each configuration is run `repeats` times; with folds, each repeat is a
//! trial for each fold. The draws of a cell are distinct as long as its ranges hold enough values: see [`Draws`].
//!
//! With `sampler = "sobol"` the draws of a cell are Sobol points, scrambled by the spec's seed, the cell's grid
//! values and the name of the setting; a setting's dimension is its place among the ranges of the spec.
//!
//! A draw depends on the spec's seed, its cell's grid values, the name of its setting and its number within
//! the cell; a trial's seed depends on the spec's seed, the trial's own values, its repeat and its fold. So another
//! grid value or another draw leaves every other trial unchanged, and one lucky or unlucky seed is not in all folds of
//! a configuration. Settings of [`settings::UNSEEDED`] are no part of either: trials that differ in these settings
//! alone begin with the same steps and may share them.

use std::collections::HashSet;

use super::{
    draws::{Draws, canonical, int_values, seeded},
    proposals::{self, Configuration, Known},
};
use crate::{
    chance::digest,
    settings::{self, Settings, Value},
    spec::{Domain, RangeSampler, Spec, SweptSetting},
    trial::{ConfigurationSource, Confirmation, Origin, Params, Trial, TrialId},
};

/// The trials of `spec` with which its sweep begins: all, unless the plan grows. Equal configurations once.
pub(super) fn trials(spec: &Spec) -> Vec<Trial> {
    let configurations = match spec.configurations_at_first() {
        Some(count) => proposals::first(spec, count),
        None => crossed(spec),
    };
    numbered(spec, configurations, 1)
}

/// The trials of the next `count` configurations of a search that grows, after those of `known`, numbered from `first` on.
#[must_use]
pub fn grown(spec: &Spec, known: &[Known], count: u32, first: u32) -> Vec<Trial> {
    numbered(spec, proposals::next(spec, known, count), first)
}

/// The trials of `configurations`, numbered from `first` on.
pub(super) fn numbered(spec: &Spec, configurations: Vec<Configuration>, first: u32) -> Vec<Trial> {
    let mut trials = Vec::new();
    for Configuration { params, origin } in configurations {
        for (repeat, fold) in (0..spec.repeats).flat_map(|repeat| folds(spec).map(move |fold| (repeat, fold)))
        {
            let number = first.saturating_add(u32::try_from(trials.len()).unwrap_or(u32::MAX));
            trials.push(Trial {
                id: TrialId(number),
                params: params.clone(),
                repeat,
                fold,
                seed: seed(spec.seed, &params, repeat, fold),
                settings: settings(spec, &params),
                origin: origin.clone(),
                confirms: None,
            });
        }
    }
    trials
}

/// The trials that run the configuration of `trial` again, numbered from `first` on: one for each of `repeats`, with the
/// seeds that they would have if the search had so many `repeats`.
#[must_use]
pub fn confirming(spec: &Spec, trial: &Trial, repeats: &[u32], why: &Confirmation, first: u32) -> Vec<Trial> {
    let params = &trial.params;
    let confirming = |(id, &repeat): (u32, &u32)| Trial {
        id: TrialId(id),
        params: params.clone(),
        repeat,
        fold: None,
        seed: seed(spec.seed, params, repeat, None),
        settings: settings(spec, params),
        origin: None,
        confirms: Some(why.clone()),
    };
    (first..).zip(repeats).map(confirming).collect()
}

/// The folds of each repeat: each of them from 1, or none once.
fn folds(spec: &Spec) -> impl Iterator<Item = Option<u32>> {
    let without = spec.data.folds.is_none().then_some(None);
    (1..=spec.data.folds.unwrap_or(0)).map(Some).chain(without)
}

/// Each cell of the grids, drawn `samples` times if there are ranges.
///
/// In a search of generations they come in an order that is a function of the seed and of each one's values, since
/// neighbours of the grid, compared among themselves, would say little about the rest of it.
fn crossed(spec: &Spec) -> Vec<Configuration> {
    let mut seen = HashSet::new();
    let cells = cells(&spec.space);
    let mut all: Vec<Params> =
        cells.iter().flat_map(|cell| Draws::new(spec, cell).distinct(draws(spec), &mut seen)).collect();
    let Some(generation) = spec.search.halving.as_ref().map(|_| spec.search.generation) else {
        return all.into_iter().map(|params| Configuration { params, origin: None }).collect();
    };
    let number = spec.seed.to_string();
    all.sort_by_cached_key(|params| digest(&["order", &number, &canonical(&params.0)]));
    let is_drawn = spec.space.iter().any(|swept| swept.domain.is_range());
    let source = |draw| match spec.sampler {
        _ if !is_drawn => ConfigurationSource::Grid,
        RangeSampler::Random => ConfigurationSource::Random { draw },
        RangeSampler::Sobol | RangeSampler::Tpe => ConfigurationSource::Sobol { draw },
    };
    let configuration = |(number, params): (u32, Params)| {
        let origin = Origin { generation: number / generation, source: source(number) };
        Configuration { params, origin: Some(origin) }
    };
    (0..).zip(all).map(configuration).collect()
}

/// Draws for each grid cell.
fn draws(spec: &Spec) -> u32 {
    if spec.space.iter().any(|swept| swept.domain.is_range()) { spec.samples } else { 1 }
}

/// Says that a plan of `trials` trials has fewer configurations than `spec` asks for, and why; `None` if it has
/// as many.
#[must_use]
pub fn merged(spec: &Spec, trials: usize) -> Option<String> {
    if let Some(asked) = spec.configurations_at_first() {
        let found = trials / spec.trials_of_configuration();
        let asked = usize::try_from(asked).unwrap_or(usize::MAX);
        return (found < asked).then(|| used_up(found));
    }
    let grids = spec.space.iter().filter_map(|swept| match &swept.domain {
        Domain::Grid(values) => Some(values.len()),
        Domain::Uniform(..) | Domain::LogUniform(..) | Domain::Int(..) => None,
    });
    let cells: usize = grids.product();
    let draws = usize::try_from(draws(spec)).unwrap_or(usize::MAX);
    let (asked, found) = (cells.saturating_mul(draws), trials / spec.trials_of_configuration());
    if found >= asked {
        return None;
    }
    let ints: Vec<String> = spec
        .space
        .iter()
        .filter_map(|swept| match swept.domain {
            Domain::Int(low, high) => {
                Some(format!("{} has {} values, {low} to {high}", swept.name, int_values(low, high)))
            }
            Domain::Grid(_) | Domain::Uniform(..) | Domain::LogUniform(..) => None,
        })
        .collect();
    let ints = if ints.is_empty() { String::new() } else { format!(" ({})", ints.join(", ")) };
    let each = if cells > 1 { format!(", {draws} in each grid cell") } else { String::new() };
    Some(format!(
        "`samples` = {draws} asks for {asked} configurations{each}; only {found} different ones exist{ints}, and \
         equal ones are run once"
    ))
}

/// Says that there are no more configurations than `found`.
pub(super) fn used_up(found: usize) -> String {
    format!("the search space has {found} different configurations and no more: each of them is in the plan")
}

/// Every combination of grid values, the last grid fastest; one empty cell if there is no grid.
fn cells(space: &[SweptSetting]) -> Vec<Vec<(String, Value)>> {
    let mut cells = vec![Vec::new()];
    for swept in space {
        let Domain::Grid(values) = &swept.domain else { continue };
        cells = cells
            .into_iter()
            .flat_map(|cell| {
                values.iter().map(move |value| {
                    let mut longer = cell.clone();
                    longer.push((swept.name.clone(), value.clone()));
                    longer
                })
            })
            .collect();
    }
    cells
}

/// The settings of a trial: the spec's settings with `params` in their place.
fn settings(spec: &Spec, params: &Params) -> Settings {
    let mut settings = spec.settings.clone();
    for (name, value) in &params.0 {
        let value = match value {
            Value::Text(text) if name == "checkpoint" => Value::Text(spec.checkpoint(text).to_string()),
            other => other.clone(),
        };
        if let Some(key) = settings::key(name) {
            // The spec reader admits only values that its settings take.
            let set = key.set(&mut settings, &value);
            debug_assert!(set.is_ok(), "{set:?}");
        }
    }
    settings
}

/// A trial's seed, below 2^53 so that every JSON reader keeps it exact.
fn seed(spec_seed: u64, params: &Params, repeat: u32, fold: Option<u32>) -> u64 {
    let params = canonical(&seeded(&params.0));
    let (spec_seed, repeat) = (spec_seed.to_string(), repeat.to_string());
    let fold = fold.map(|fold| fold.to_string());
    let parts: Vec<&str> =
        ["trial", &spec_seed, &params, &repeat].into_iter().chain(fold.as_deref()).collect();
    let digest = digest(&parts);
    let mut first = [0; 8];
    first.copy_from_slice(digest.split_at(8).0);
    u64::from_be_bytes(first) >> 11
}

#[cfg(test)]
pub(super) mod tests;
