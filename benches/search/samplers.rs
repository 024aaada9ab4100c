//! Ways to choose the next point, all by the program's own code.

use std::{path::Path, sync::LazyLock};

use sweep::{
    checkpoint::CheckpointFacts,
    data::Dataset,
    plan::Plan,
    settings::Value,
    spec::{self, Domain, Inspected, RangeSampler, Spec, SpecText},
    tpe::{self, Dimension, Observation, Outcome},
};

use crate::table::{SETTINGS, Space, Table};

/// Trials that are planned together by a search that learns.
const GENERATION: usize = 8;

/// A way to choose points.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampler {
    Random,
    Sobol,
    /// As Optuna does it: ten random draws, and then each proposal knows of all trials before it.
    Tpe,
    /// The same, by validation loss.
    TpeByLoss,
    /// Sobol points first, and then proposals that know of the generations up to the one before the last.
    TpeAhead,
}

impl Sampler {
    pub(crate) const ALL: [Self; 5] = [Self::Random, Self::Sobol, Self::Tpe, Self::TpeByLoss, Self::TpeAhead];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Random => "random (level)",
            Self::Sobol => "Sobol",
            Self::Tpe => "TPE",
            Self::TpeByLoss => "TPE by validation loss",
            Self::TpeAhead => "TPE, Sobol first, generations of 8, one ahead",
        }
    }

    /// How many trials must be over, and are known, before trial number `at` is chosen.
    pub(crate) const fn known(self, at: usize) -> usize {
        match self {
            Self::Random | Self::Sobol => 0,
            Self::Tpe | Self::TpeByLoss => at,
            Self::TpeAhead => (at / GENERATION).saturating_sub(1) * GENERATION,
        }
    }

    /// How the points are drawn of which a model knows too little.
    const fn start(self) -> RangeSampler {
        match self {
            Self::Random | Self::Tpe | Self::TpeByLoss => RangeSampler::Random,
            Self::Sobol | Self::TpeAhead => RangeSampler::Sobol,
        }
    }
}

/// A point of a table's space.
#[derive(Clone)]
pub(crate) struct Point {
    /// Learning rate, dropout, weight decay and chunk length.
    pub(crate) params: [f64; SETTINGS],
    /// The same for the model, which has the place of the chunk length among its values.
    coordinates: Vec<f64>,
}

/// A point that a search had, and the trial that came of it.
#[derive(Clone)]
pub(crate) struct Tried {
    pub(crate) point: Point,
    /// Which one of the table.
    pub(crate) trial: usize,
    /// Epochs that it has run.
    pub(crate) epochs: usize,
    /// Whether it was halted after these.
    pub(crate) is_halted: bool,
}

/// The points of one search.
pub(crate) struct Points<'a> {
    table: &'a Table,
    sampler: Sampler,
    repetition: u64,
    drawn: Vec<Point>,
}

impl<'a> Points<'a> {
    pub(crate) fn new(table: &'a Table, sampler: Sampler, trials: usize, repetition: u64) -> Self {
        let drawn = drawn(&table.space, sampler.start(), trials, repetition);
        Self { table, sampler, repetition, drawn }
    }

    /// The point after those that were `tried`.
    pub(crate) fn next(&self, tried: &[Tried]) -> Point {
        let at = tried.len();
        let known = self.sampler.known(at);
        if known < tpe::STARTUP {
            return self.drawn[at].clone();
        }
        let observed = |(number, tried): (usize, &Tried)| Observation {
            point: tried.point.coordinates.clone(),
            outcome: if number < known { self.outcome(tried) } else { Outcome::Running },
        };
        let history: Vec<Observation> = tried.iter().enumerate().map(observed).collect();
        let names = ["replay", &self.repetition.to_string(), &at.to_string()];
        let coordinates = tpe::propose(&dimensions(&self.table.space), &history, &names).remove(0);
        point(&self.table.space, coordinates)
    }

    fn outcome(&self, tried: &Tried) -> Outcome {
        let trial = &self.table.trials[tried.trial];
        let score = match (self.sampler, tried.is_halted) {
            (Sampler::TpeByLoss, _) => {
                -trial.val_loss[..tried.epochs].iter().copied().fold(f64::INFINITY, f64::min)
            }
            (_, true) => trial.val_f1[..tried.epochs].iter().copied().fold(0.0, f64::max),
            (_, false) => trial.best_val_f1,
        };
        let epoch = u32::try_from(tried.epochs).unwrap();
        if tried.is_halted { Outcome::Halted { epoch, score } } else { Outcome::Complete { score } }
    }
}

/// The space as the model has it.
fn dimensions(space: &Space) -> [Dimension; SETTINGS] {
    let (rate, decay) = (space.learning_rate.log, space.weight_decay.log);
    let dropout = space.dropout.linear;
    [
        Dimension::LogUniform(rate.0, rate.1),
        Dimension::Uniform(dropout.0, dropout.1),
        Dimension::LogUniform(decay.0, decay.1),
        Dimension::Int(0, last_length(space)),
    ]
}

/// The place of the last chunk length.
fn last_length(space: &Space) -> i64 {
    i64::try_from(space.chunk_length.grid.len()).unwrap() - 1
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the place of a chunk length")]
fn point(space: &Space, coordinates: Vec<f64>) -> Point {
    let mut params: [f64; SETTINGS] = coordinates[..].try_into().unwrap();
    params[3] = space.chunk_length.grid[params[3] as usize];
    Point { params, coordinates }
}

/// A spec on whose data nothing depends.
static SPEC: LazyLock<(Spec, Dataset)> = LazyLock::new(|| {
    let text = "name = \"replay\"\n[data]\npath = \"builtin:reviews\"\n";
    let here = Path::new("/");
    let written = SpecText { name: "replay.toml", text, overrides: &[], base: here, working: here };
    let facts =
        CheckpointFacts { window: 512, layers: 2, parameters: 1, unused: Vec::new(), notes: Vec::new() };
    let inspect = |wanted: spec::Wanted<'_>| {
        Ok(Inspected { checkpoint: wanted.checkpoint.clone(), facts: facts.clone() })
    };
    let reading = spec::check(&written, &inspect).unwrap_or_else(|error| panic!("{error}"));
    (reading.spec, reading.dataset)
});

/// The draws of a plan of so many trials.
fn drawn(space: &Space, sampler: RangeSampler, trials: usize, repetition: u64) -> Vec<Point> {
    let (spec, dataset) = &*SPEC;
    let (rate, decay) = (space.learning_rate.log, space.weight_decay.log);
    let dropout = space.dropout.linear;
    let domains = [
        ("learning_rate", Domain::LogUniform(rate.0, rate.1)),
        ("dropout", Domain::Uniform(dropout.0, dropout.1)),
        ("weight_decay", Domain::LogUniform(decay.0, decay.1)),
        // A grid would be crossed with the draws: another whole number stands for the place of the chunk length.
        ("max_chunks", Domain::Int(0, last_length(space))),
    ];
    let swept = domains.map(|(name, domain)| spec::SweptSetting { name: name.to_owned(), domain });
    let spec = Spec {
        seed: repetition,
        space: swept.into(),
        samples: u32::try_from(trials).unwrap(),
        sampler,
        ..spec.clone()
    };
    let coordinate = |value: &Value| match value {
        Value::Float(value) => *value,
        Value::Int(value) => f64::from(i32::try_from(*value).unwrap()),
        Value::Text(_) => unreachable!("no text is swept"),
    };
    let planned = Plan::new(&spec, dataset).trials.into_iter();
    let points: Vec<Point> = planned
        .map(|trial| point(space, trial.params.0.iter().map(|(_, value)| coordinate(value)).collect()))
        .collect();
    assert_eq!(points.len(), trials);
    points
}
