//! The configurations of a search that is told how many there are to be, or how much it may take: one after another,
//! never the same one twice.
//!
//! First come those that the spec lists under `[[search.enqueue]]`. All others are points of the whole space, grids
//! included: point number n depends on the seed and on n alone.

use std::collections::HashSet;

use super::draws::{Attempt, Draws, canonical, fitted};
use crate::{
    search::RungFigure,
    settings::Value,
    spec::{Domain, RangeSampler, Spec, SweptSetting},
    tpe::{self, Dimension, Observation, Outcome},
    trial::{ConfigurationSource, Origin, Params},
};

/// The first draw for settings that an enqueued configuration does not name.
const FILLED_IN: u32 = 1 << 20;

/// A configuration, and where it comes from in a search of generations.
pub(super) struct Configuration {
    pub(super) params: Params,
    pub(super) origin: Option<Origin>,
}

/// A configuration that was planned, and what is known of it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its values.
    pub params: Params,
    /// What came of it; [`Outcome::Running`] as long as nothing may be known.
    pub outcome: Outcome,
}

/// The first `count` configurations; fewer if the space is used up.
pub(super) fn first(spec: &Spec, count: u32) -> Vec<Configuration> {
    next(spec, &[], count)
}

/// The next `count` configurations after those of `known`; fewer if the space is used up.
pub(super) fn next(spec: &Spec, known: &[Known], count: u32) -> Vec<Configuration> {
    let mut seen: HashSet<String> = known.iter().map(|known| canonical(&known.params.0)).collect();
    let mut history = History::new(spec, known);
    let first = u32::try_from(known.len()).unwrap_or(u32::MAX);
    let mut found = Vec::new();
    for number in first..first.saturating_add(count) {
        let Some((params, source)) = configuration(spec, &history, number, &mut seen) else { break };
        history.add(&Known { params: params.clone(), outcome: Outcome::Running });
        let origin = Origin { generation: number / spec.search.generation, source };
        found.push(Configuration { params, origin: Some(origin) });
    }
    found
}

/// Configuration number `number`, counted from 0.
fn configuration(
    spec: &Spec,
    history: &History<'_>,
    number: u32,
    seen: &mut HashSet<String>,
) -> Option<(Params, ConfigurationSource)> {
    let enqueued = &spec.search.enqueue;
    let at = usize::try_from(number).unwrap_or(usize::MAX);
    // What is not named is filled in from draws that no other configuration has.
    if let Some(listed) = enqueued.get(at)
        && let Some(whole) = Draws::new(spec, listed).next(FILLED_IN + number, seen)
    {
        return Some((whole, ConfigurationSource::Enqueued));
    }
    let others = u32::try_from(enqueued.len()).unwrap_or(0);
    // One that others have filled in already gives its place to a point.
    let draw = number.checked_sub(others).unwrap_or(FILLED_IN + number);
    if spec.sampler == RangeSampler::Tpe
        && let Some(proposed) = history.propose(spec, draw, number, seen)
    {
        return Some(proposed);
    }
    let source = match spec.sampler {
        RangeSampler::Random => ConfigurationSource::Random { draw },
        RangeSampler::Sobol | RangeSampler::Tpe => ConfigurationSource::Sobol { draw },
    };
    Draws::new(spec, &[]).next(draw, seen).map(|params| (params, source))
}

/// What the estimator knows.
struct History<'a> {
    space: &'a [SweptSetting],
    dimensions: Vec<Dimension>,
    observations: Vec<Observation>,
}

impl<'a> History<'a> {
    fn new(spec: &'a Spec, known: &[Known]) -> Self {
        let dimension = |swept: &SweptSetting| match &swept.domain {
            Domain::Grid(values) => Dimension::Categorical(values.len()),
            Domain::Uniform(low, high) => Dimension::Uniform(*low, *high),
            Domain::LogUniform(low, high) => Dimension::LogUniform(*low, *high),
            Domain::Int(low, high) => Dimension::Int(*low, *high),
        };
        let dimensions = spec.space.iter().map(dimension).collect();
        let mut history = Self { space: &spec.space, dimensions, observations: Vec::new() };
        let by = RungFigure::from(spec.settings.monitor);
        for finding in &spec.search.findings {
            let score = by.score(finding.loss, finding.f1);
            let params = Params(finding.values.clone());
            history.add(&Known { params, outcome: Outcome::Complete { score } });
        }
        for known in known {
            history.add(known);
        }
        history
    }

    fn add(&mut self, known: &Known) {
        let point = self.space.iter().map(|swept| {
            let value = known.params.0.iter().find(|(name, _)| *name == swept.name).map(|(_, value)| value);
            coordinate(&swept.domain, value)
        });
        let point: Option<Vec<f64>> = point.collect();
        self.observations.extend(point.map(|point| Observation { point, outcome: known.outcome }));
    }

    /// The proposal for draw `draw`, configuration number `number`; `None` while too few trials have ended, or if
    /// nothing new is proposed.
    fn propose(
        &self,
        spec: &Spec,
        draw: u32,
        number: u32,
        seen: &mut HashSet<String>,
    ) -> Option<(Params, ConfigurationSource)> {
        let is_ended =
            |trial: &&Observation| matches!(trial.outcome, Outcome::Complete { .. } | Outcome::Halted { .. });
        if self.observations.iter().filter(is_ended).count() < tpe::STARTUP {
            return None;
        }
        let names = ["tpe", &spec.seed.to_string(), &draw.to_string()];
        let points = tpe::propose(&self.dimensions, &self.observations, &names);
        let params =
            points.iter().map(|point| self.params(point)).find(|params| seen.insert(canonical(&params.0)))?;
        let split = tpe::split(&self.observations);
        let known = self.observations.iter().filter(is_ended).count();
        let source = ConfigurationSource::Tpe {
            draw,
            generations: (number / spec.search.generation).saturating_sub(1),
            good: split.good.len(),
            others: known.saturating_sub(split.good.len()),
        };
        Some((params, source))
    }

    /// The values of a point, rounded as draws are.
    fn params(&self, point: &[f64]) -> Params {
        let value = |(swept, number): (&SweptSetting, &f64)| {
            (swept.name.clone(), fitted(swept, *number, Attempt::default()))
        };
        Params(self.space.iter().zip(point).map(value).collect())
    }
}

/// The number of a value; of a grid, its place there.
fn coordinate(domain: &Domain, value: Option<&Value>) -> Option<f64> {
    match (domain, value?) {
        (Domain::Grid(values), value) => {
            let at = values.iter().position(|other| other == value)?;
            u32::try_from(at).ok().map(f64::from)
        }
        (_, value) => value.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{trials, trials::tests::spec},
        settings::Value,
        spec::SearchSpec,
    };

    fn rates() -> Vec<(&'static str, Domain)> {
        let pooling = ["cls", "mean"].map(|name| Value::Text(name.to_owned())).to_vec();
        vec![
            ("learning_rate", Domain::LogUniform(1e-5, 1e-2)),
            ("dropout", Domain::Uniform(0.0, 0.5)),
            ("pooling", Domain::Grid(pooling)),
        ]
    }

    fn counted(space: Vec<(&str, Domain)>, sampler: RangeSampler, count: u32) -> Spec {
        let search = SearchSpec { trials: Some(count), ..SearchSpec::default() };
        Spec { sampler, search, repeats: 1, ..spec(space) }
    }

    fn values(configurations: &[Configuration]) -> Vec<String> {
        configurations.iter().map(|own| own.params.to_string()).collect()
    }

    #[test]
    fn more_configurations_leave_the_first_ones_as_they_are() {
        for sampler in [RangeSampler::Random, RangeSampler::Sobol] {
            let spec = counted(rates(), sampler, 32);
            let (few, many) = (values(&first(&spec, 16)), values(&first(&spec, 32)));
            assert_eq!(few, many[..16]);
            assert_eq!(many.iter().collect::<HashSet<_>>().len(), 32);
        }
    }

    #[test]
    fn grids_are_part_of_the_points() {
        let spec = counted(rates(), RangeSampler::Sobol, 16);
        let cls = values(&first(&spec, 16)).iter().filter(|values| values.contains("pooling=cls")).count();
        assert_eq!(cls, 8, "Sobol points halve every dimension");
    }

    #[test]
    fn a_space_that_is_used_up_has_each_configuration_once() {
        let space = vec![
            ("batch_size", Domain::Int(8, 10)),
            ("chunk_length", Domain::Grid(vec![Value::Int(64), Value::Int(128)])),
        ];
        let all = trials::trials(&counted(space, RangeSampler::Sobol, 50));
        assert_eq!(all.iter().map(|trial| trial.params.to_string()).collect::<HashSet<_>>().len(), 6);
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn generations_have_eight_configurations() {
        let spec = counted(rates(), RangeSampler::Sobol, 20);
        let generations: Vec<u32> =
            first(&spec, 20).into_iter().map(|own| own.origin.unwrap().generation).collect();
        assert_eq!(generations, [[0; 8].to_vec(), [1; 8].to_vec(), [2; 4].to_vec()].concat());
    }

    /// Configurations that ended, the better the lower their learning rate.
    fn known(spec: &Spec, count: u32) -> Vec<Known> {
        let score = |params: &Params| -params.0[0].1.as_f64().unwrap_or_default();
        let ended = |own: Configuration| Known {
            outcome: Outcome::Complete { score: score(&own.params) },
            params: own.params,
        };
        first(spec, count).into_iter().map(ended).collect()
    }

    #[test]
    fn proposals_lie_where_good_configurations_were() {
        let spec = counted(rates(), RangeSampler::Tpe, 64);
        let proposed = next(&spec, &known(&spec, 32), 8);
        let rates: Vec<f64> = proposed.iter().map(|own| own.params.0[0].1.as_f64().unwrap()).collect();
        // A tenth of the range on its logarithmic scale is below 2e-5, half of it below 3.2e-4.
        assert!(rates.iter().filter(|rate| **rate < 3.2e-4).count() >= 7, "{rates:?}");
        let sources = proposed.iter().all(|own| {
            matches!(
                own.origin.as_ref().unwrap().source,
                ConfigurationSource::Tpe { generations: 3, good: 4, .. }
            )
        });
        assert!(sources, "{:?}", proposed[0].origin);
    }

    #[test]
    fn before_ten_have_ended_points_are_those_of_sobol() {
        let tpe = counted(rates(), RangeSampler::Tpe, 64);
        let sobol = counted(rates(), RangeSampler::Sobol, 64);
        let mut known = known(&tpe, 16);
        for later in &mut known[8..] {
            later.outcome = Outcome::Running;
        }
        assert_eq!(values(&next(&tpe, &known, 8)), values(&first(&sobol, 24))[16..]);
    }

    #[test]
    fn proposals_are_never_one_that_was_planned() {
        let space = vec![("batch_size", Domain::Int(8, 31))];
        let spec = counted(space, RangeSampler::Tpe, 24);
        let mut all = known(&spec, 12);
        while all.len() < 24 {
            let proposed = next(&spec, &all, 4);
            assert_eq!(proposed.len(), 4);
            all.extend(
                proposed
                    .into_iter()
                    .map(|own| Known { params: own.params, outcome: Outcome::Complete { score: 0.0 } }),
            );
        }
        assert_eq!(all.iter().map(|own| own.params.to_string()).collect::<HashSet<_>>().len(), 24);
        assert!(next(&spec, &all, 4).is_empty(), "the space is used up");
    }
}
