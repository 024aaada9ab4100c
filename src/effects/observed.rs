//! What a study says of its settings: the values and the figure of each trial that can be compared with the others.
//!
//! Complete trials are compared by the figure of their best epoch. Where trials were halted, nobody knows what they
//! would have reached, and those that were not halted are no fair choice of all: then every trial counts with its best
//! figure until the first rung, to which all of them came. Trials without such a figure are left out and counted. So are
//! trials that confirm a configuration: results have chosen it, and its values would count more than those of others.
//! With folds, a repeat of a configuration counts with the mean over its folds (`folds`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    folds::over_folds,
    sample::{Axis, LEVELS_MAX, Sample, level},
};
use crate::{
    numbers::count,
    plan::Scale,
    settings::Value,
    study::{Study, TrialRecord},
    trial::{ConfigurationSource, State, TrialId},
};

/// The figure by which settings are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// F1 on validation, which no choice of a test figure has touched.
    #[default]
    ValF1,
    /// F1 on the test set. Whoever chooses settings by it has used the test set up.
    TestF1,
}

impl Figure {
    /// Its name in sentences.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::ValF1 => "validation F1",
            Self::TestF1 => "test F1",
        }
    }
}

/// How configurations came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Every combination of values.
    Grid,
    /// Draws over the whole space, at random or of a Sobol sequence.
    Draws,
    /// Draws within each cell of a grid.
    Mixed,
    /// Later configurations follow from the results of earlier ones.
    Proposals,
}

/// Trials that cannot be compared with the others, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// They failed.
    pub failed: usize,
    /// They wait, run or pause.
    pub unfinished: usize,
    /// They were halted, and the figure that is asked for is only known at the end.
    pub halted: usize,
    /// Their figure is no number, or they lack a value of a setting.
    pub unknown: usize,
    /// They confirm configurations, which results have chosen.
    pub confirming: usize,
    /// Another fold of their configuration has no figure.
    pub incomplete: usize,
}

/// A swept setting with more than one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// How its values lie.
    pub axis: Axis,
    /// Its values in order, if they are a list.
    pub levels: Vec<Value>,
    /// The least and the largest value, if they are a range.
    pub range: (f64, f64),
    /// Whether the scale of the range is logarithmic.
    pub is_log: bool,
    /// Whether its values are whole numbers.
    pub is_whole: bool,
}

/// A trial that can be compared with others.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The trial.
    pub trial: TrialId,
    /// Its value of each setting of [`Observed::settings`].
    pub values: Vec<Value>,
    /// Its figure.
    pub figure: f64,
    /// Whether it was halted, so that it has the figure of a rung.
    pub is_halted: bool,
    /// How its configuration came about, in a search.
    pub source: Option<ConfigurationSource>,
}

/// The trials of a study that can be compared by a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The figure.
    pub figure: Figure,
    /// The epoch until which figures count, if trials were halted.
    pub until_epoch: Option<usize>,
    /// The swept settings that have more than one value.
    pub settings: Vec<Setting>,
    /// Names of swept settings with so many different texts that nothing is said of them.
    pub unjudged: Vec<String>,
    /// How configurations came about.
    pub design: Design,
    /// The trials, in the order of the plan.
    pub trials: Vec<Compared>,
    /// How many others there are.
    pub left_out: LeftOut,
}

impl Observed {
    /// The trials of `study` with the `figure` of each.
    #[must_use]
    pub fn of(study: &Study, figure: Figure) -> Self {
        let until_epoch = until(study, figure);
        let confirming = study.trials.len() - study.of_search().count();
        let mut left_out = LeftOut { confirming, ..LeftOut::default() };
        let mut found = Vec::new();
        for record in study.of_search() {
            match score(record, figure, until_epoch) {
                Ok(score) => found.push((record, score)),
                Err(reason) => *reason.of(&mut left_out) += 1,
            }
        }
        if let Some(folds) = study.folds {
            (found, left_out.incomplete) = over_folds(found, folds as usize);
        }
        let (settings, columns, unjudged) = settings(study, &found);
        let mut trials = Vec::new();
        for (at, (record, figure)) in found.into_iter().enumerate() {
            let values: Option<Vec<Value>> = columns.iter().map(|column| column[at].clone()).collect();
            let Some(values) = values else {
                left_out.unknown += 1;
                continue;
            };
            trials.push(Compared {
                trial: record.trial.id,
                values,
                figure,
                is_halted: record.state == State::Halted,
                source: record.trial.origin.as_ref().map(|origin| origin.source.clone()),
            });
        }
        let design = design(study, &settings, &trials);
        Self { figure, until_epoch, settings, unjudged, design, trials, left_out }
    }

    /// The trials of each configuration, in the order of the plan: places in [`Self::trials`].
    pub(super) fn configurations(&self) -> Vec<Vec<usize>> {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        let mut configurations: Vec<Vec<usize>> = Vec::new();
        for (at, trial) in self.trials.iter().enumerate() {
            let key = format!("{:?}", trial.values);
            let number = *found.entry(key).or_insert(configurations.len());
            if number == configurations.len() {
                configurations.push(Vec::new());
            }
            configurations[number].push(at);
        }
        configurations
    }

    /// The mean figure of these trials.
    pub(super) fn mean(&self, trials: &[usize]) -> f64 {
        trials.iter().map(|&at| self.trials[at].figure).sum::<f64>() / count(trials.len().max(1))
    }

    /// The figures as plain numbers: a point for each trial of a grid, where repeats tell of the chance of training,
    /// else one for each configuration.
    pub(super) fn sample(&self) -> Sample {
        let is_grid = self.settings.iter().all(|setting| setting.axis != Axis::Numbers);
        let each =
            is_grid.then(|| self.points(&(0..self.trials.len()).map(|at| vec![at]).collect::<Vec<_>>()));
        // Repeats of draws from lists belong together: they share the values of all settings.
        each.filter(Sample::is_crossed).unwrap_or_else(|| self.points(&self.configurations()))
    }

    /// A point for each of these groups of trials.
    fn points(&self, points: &[Vec<usize>]) -> Sample {
        let place = |setting: usize, point: &Vec<usize>| {
            point.first().map_or(0.0, |&at| self.settings[setting].place(&self.trials[at].values[setting]))
        };
        Sample {
            axes: self.settings.iter().map(|setting| setting.axis).collect(),
            columns: (0..self.settings.len())
                .map(|setting| points.iter().map(|point| place(setting, point)).collect())
                .collect(),
            figures: points.iter().map(|point| self.mean(point)).collect(),
        }
    }

    /// The figure of each configuration, if configurations are draws of the whole space and all of them were trained
    /// to their end.
    pub(super) fn draws(&self) -> Option<Vec<f64>> {
        let is_draw = |trial: &Compared| match trial.source {
            None | Some(ConfigurationSource::Random { .. } | ConfigurationSource::Sobol { .. }) => true,
            Some(
                ConfigurationSource::Enqueued | ConfigurationSource::Grid | ConfigurationSource::Tpe { .. },
            ) => false,
        };
        let configurations = self.configurations();
        let draws = configurations.iter().filter(|trials| trials.iter().all(|&at| is_draw(&self.trials[at])));
        (self.design == Design::Draws && self.until_epoch.is_none() && self.left_out.halted == 0)
            .then(|| draws.map(|trials| self.mean(trials)).collect())
    }
}

/// The values of a setting in some trials; `None` where a trial has none.
type Column = Vec<Option<Value>>;

/// The settings that are judged, the values of each in these trials, and the names of those that cannot be judged.
fn settings(study: &Study, found: &[(&TrialRecord, f64)]) -> (Vec<Setting>, Vec<Column>, Vec<String>) {
    let (mut settings, mut columns, mut unjudged) = (Vec::new(), Vec::new(), Vec::new());
    for name in &study.swept {
        let value = |(record, _): &(&TrialRecord, f64)| {
            let found = record.trial.params.0.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        let column: Column = found.iter().map(value).collect();
        match Setting::new(name, &column, study.scales.get(name).copied()) {
            Ok(Some(setting)) => {
                settings.push(setting);
                columns.push(column);
            }
            Ok(None) => {}
            Err(TooMany) => unjudged.push(name.clone()),
        }
    }
    (settings, columns, unjudged)
}

/// The epoch until which figures count: the first rung, if a trial was halted.
fn until(study: &Study, figure: Figure) -> Option<usize> {
    let is_halted = study.trials.iter().any(|record| record.state == State::Halted);
    let rung = study.halving().and_then(|halving| halving.rungs.first().copied());
    rung.filter(|_| is_halted && figure == Figure::ValF1)
}

/// Why a trial cannot be compared.
#[derive(Clone, Copy)]
enum Reason {
    Failed,
    Unfinished,
    Halted,
    Unknown,
}

impl Reason {
    fn of(self, left_out: &mut LeftOut) -> &mut usize {
        match self {
            Self::Failed => &mut left_out.failed,
            Self::Unfinished => &mut left_out.unfinished,
            Self::Halted => &mut left_out.halted,
            Self::Unknown => &mut left_out.unknown,
        }
    }
}

/// The figure of a trial.
fn score(record: &TrialRecord, figure: Figure, until_epoch: Option<usize>) -> Result<f64, Reason> {
    let score = match (record.state, until_epoch) {
        (State::Complete | State::Halted, Some(epoch)) => record.best_until(epoch).map(|best| best.f1),
        (State::Complete, None) => record.outcome.as_ref().map(|outcome| match figure {
            Figure::ValF1 => outcome.validation.f1,
            Figure::TestF1 => outcome.test.f1,
        }),
        (State::Halted, None) => return Err(Reason::Halted),
        (State::Failed, _) => return Err(Reason::Failed),
        (State::Waiting | State::Running | State::Paused, _) => return Err(Reason::Unfinished),
    };
    score.filter(|score| score.is_finite()).ok_or(Reason::Unknown)
}

/// How the configurations of these trials came about.
fn design(study: &Study, settings: &[Setting], trials: &[Compared]) -> Design {
    let is_source = |is: fn(&ConfigurationSource) -> bool| {
        trials.iter().any(|trial| trial.source.as_ref().is_some_and(is))
    };
    if is_source(|source| matches!(source, ConfigurationSource::Tpe { .. })) {
        return Design::Proposals;
    }
    let ranges = settings.iter().filter(|setting| study.scales.contains_key(&setting.name)).count();
    let is_searched = is_source(|source| {
        matches!(source, ConfigurationSource::Random { .. } | ConfigurationSource::Sobol { .. })
    });
    match ranges {
        // The points of a search without crossed grids are draws of grid values too.
        _ if is_searched && study.halving().is_none() => Design::Draws,
        0 => Design::Grid,
        ranges if ranges == settings.len() => Design::Draws,
        _ => Design::Mixed,
    }
}

/// A list of more than [`LEVELS_MAX`] texts.
struct TooMany;

impl Setting {
    /// A setting with these values; `None` if it has not two of them.
    fn new(name: &str, values: &[Option<Value>], scale: Option<Scale>) -> Result<Option<Self>, TooMany> {
        let mut levels: Vec<Value> = Vec::new();
        let mut seen = BTreeSet::new();
        for value in values.iter().flatten() {
            if seen.insert(format!("{value:?}")) {
                levels.push(value.clone());
            }
        }
        if levels.len() < 2 {
            return Ok(None);
        }
        let numbers: Option<Vec<f64>> =
            levels.iter().map(|level| level.as_f64().filter(|number| number.is_finite())).collect();
        let is_range = scale.is_some() || levels.len() > LEVELS_MAX;
        let (axis, range) = match &numbers {
            Some(numbers) if is_range => (Axis::Numbers, ends(numbers)),
            Some(_) | None => {
                levels.sort_by(compare);
                (Axis::Levels { count: levels.len(), is_ordered: numbers.is_some() }, (0.0, 0.0))
            }
        };
        if axis != Axis::Numbers && levels.len() > LEVELS_MAX {
            return Err(TooMany);
        }
        let (low, high) = range;
        let is_log = match scale {
            Some(Scale::Log) => low > 0.0,
            Some(Scale::Linear) => false,
            None => low > 0.0 && high / low > 10.0,
        };
        let is_whole = levels.iter().all(|level| matches!(level, Value::Int(_)));
        let levels = if axis == Axis::Numbers { Vec::new() } else { levels };
        Ok(Some(Self { name: name.to_owned(), axis, levels, range, is_log, is_whole }))
    }

    /// The place of a value on the axis.
    #[must_use]
    pub fn place(&self, value: &Value) -> f64 {
        match self.axis {
            Axis::Levels { .. } => count(self.levels.iter().position(|level| level == value).unwrap_or(0)),
            Axis::Numbers => {
                let (low, high) = self.range;
                let number = value.as_f64().unwrap_or(low);
                let share = if self.is_log {
                    (libm::log(number) - libm::log(low)) / (libm::log(high) - libm::log(low))
                } else {
                    (number - low) / (high - low)
                };
                share.clamp(0.0, 1.0)
            }
        }
    }

    /// The value at a place of the axis.
    #[must_use]
    pub fn value(&self, place: f64) -> Value {
        let (low, high) = self.range;
        match self.axis {
            Axis::Levels { .. } => self.levels.get(level(place)).cloned().unwrap_or(Value::Int(0)),
            Axis::Numbers if self.is_log => {
                Value::Float(libm::exp(libm::log(low) + place * (libm::log(high) - libm::log(low))))
            }
            Axis::Numbers => Value::Float(low + place * (high - low)),
        }
    }
}

/// The least and the largest of some numbers.
fn ends(numbers: &[f64]) -> (f64, f64) {
    numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)))
}

/// The order of a list's values: numbers first.
fn compare(one: &Value, other: &Value) -> std::cmp::Ordering {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => one.to_string().cmp(&other.to_string()),
    }
}
