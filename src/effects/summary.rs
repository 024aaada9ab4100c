//! The effects of a sweep's settings, with their names and values.

use serde::Serialize;

use super::{
    expected::{ExpectedBest, expected_best},
    heat_map::HeatMap,
    judge::{Band, Effect, LEVEL, POINTS_MAX, judge},
    notes::{notes, silence},
    observed::{Design, Figure, LeftOut, Observed, Setting},
    sample::Axis,
};
use crate::{settings::Value, study::Study};

/// The share of the variance from which on people are told of an interaction.
const NOTABLE: f64 = 0.05;

/// What the settings of a sweep did. Serialised, it is the output of `sweep effects --format json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effects {
    /// The sweep.
    pub sweep: String,
    /// The figure by which settings are judged.
    pub figure: Figure,
    /// The epoch until which figures count, if trials were halted.
    pub until_epoch: Option<usize>,
    /// How configurations came about.
    pub design: Design,
    /// Trials that are compared.
    pub trials: usize,
    /// Different configurations among them.
    pub configurations: usize,
    /// Trials that are not compared.
    pub left_out: LeftOut,
    /// Points that have a figure: the trials of a grid, else the configurations.
    pub points: usize,
    /// Points that importance and means are of.
    pub judged: usize,
    /// Why nothing is said of importance; `None` if something is.
    pub silent: Option<String>,
    /// The swept settings that have more than one value, in the order of the spec.
    pub settings: Vec<SettingEffect>,
    /// What the two most important settings did together.
    pub interaction: Option<Interaction>,
    /// The cells of two settings that are lists: the most important ones.
    pub heat_map: Option<HeatMap>,
    /// The best figure of so many draws; empty unless configurations are draws.
    pub expected_best: Vec<ExpectedBest>,
    /// What a reader must know: whole sentences.
    pub notes: Vec<String>,
}

/// How the values of a setting lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A range on a linear scale.
    Linear,
    /// A range on a logarithmic scale.
    Log,
    /// A list of numbers.
    Numbers,
    /// A list with texts.
    Categories,
}

/// What a setting did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingEffect {
    /// Its name.
    pub name: String,
    /// How its values lie.
    pub kind: Kind,
    /// Its importance; `None` where nothing is said.
    pub importance: Option<Importance>,
    /// The mean figure by its value, over all values of the other settings; empty where nothing is said.
    pub means: Vec<MeanAt>,
    /// The values whose mean is not distinguishable from the best one; `None` unless the effect is more than chance.
    pub best: Option<Best>,
}

/// How much a setting decided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Importance {
    /// The share of the variance that it explains by itself, less what chance shows: 0 to 1.
    pub share: f64,
    /// Lower end of the 95 % interval of `share`.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How often a setting without effect would show as much, corrected for the number of settings.
    pub p_value: f64,
    /// Whether it is more than chance: `p_value` is at most 0.05.
    pub is_clear: bool,
}

/// The mean figure at a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeanAt {
    /// The value.
    pub value: Value,
    /// The mean, and its 95 % interval.
    #[serde(flatten)]
    pub band: Band,
}

/// The values of a setting that may be the best.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// The value of the highest mean.
    pub value: Value,
    /// Of a range: the stretch around it, from the least to the largest value. Else every value of the list.
    pub values: Vec<Value>,
    /// Whether the highest mean is at the end of the values that were tried, so that better ones may lie beyond.
    pub is_at_end: bool,
}

/// What two settings did together beyond the sum of what each did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interaction {
    /// The settings.
    pub settings: [String; 2],
    /// The share of the variance, with its interval and p-value.
    #[serde(flatten)]
    pub importance: Importance,
}

impl Importance {
    fn new(band: Band, p_value: f64) -> Self {
        let Band { mean: share, low, high } = band;
        Self { share, low, high, p_value, is_clear: p_value <= LEVEL }
    }
}

impl Effects {
    /// What the settings of `study` did to `figure`.
    #[must_use]
    pub fn of(study: &Study, figure: Figure) -> Self {
        Self::of_observed(&study.sweep, &Observed::of(study, figure))
    }

    /// As [`Self::of`], of trials that were read from a study called `sweep`.
    #[must_use]
    pub fn of_observed(sweep: &str, observed: &Observed) -> Self {
        let sample = observed.sample();
        let judged = judge(&sample);
        let effect = |(at, setting): (usize, &Setting)| {
            SettingEffect::new(setting, judged.as_ref().map(|judged| &judged.effects[at]))
        };
        let settings: Vec<SettingEffect> = observed.settings.iter().enumerate().map(effect).collect();
        let together = judged.as_ref().and_then(|judged| judged.together.as_ref());
        let interaction = together.map(|together| Interaction {
            settings: [together.settings.0, together.settings.1].map(|at| settings[at].name.clone()),
            importance: Importance::new(together.importance, together.p_value),
        });
        Self {
            sweep: sweep.to_owned(),
            figure: observed.figure,
            until_epoch: observed.until_epoch,
            design: observed.design,
            trials: observed.trials.len(),
            configurations: observed.configurations().len(),
            left_out: observed.left_out,
            points: sample.len(),
            judged: if judged.is_some() { sample.len().min(POINTS_MAX) } else { 0 },
            silent: if judged.is_some() { None } else { Some(silence(observed, &sample)) },
            heat_map: HeatMap::of(observed, &by_importance(&settings)),
            settings,
            interaction,
            expected_best: observed.draws().map_or_else(Vec::new, |draws| expected_best(&draws)),
            notes: notes(observed),
        }
    }

    /// The places of the settings, the most important first; those of equal importance in the order of the spec.
    #[must_use]
    pub fn by_importance(&self) -> Vec<usize> {
        by_importance(&self.settings)
    }

    /// What the two most important settings did together, if it is more than chance and enough to be said.
    #[must_use]
    pub fn notable_interaction(&self) -> Option<&Interaction> {
        self.interaction.as_ref().filter(|it| it.importance.is_clear && it.importance.share >= NOTABLE)
    }

    /// Says that importance and means are those of some of the points only.
    #[must_use]
    pub fn thinned_note(&self) -> Option<String> {
        let Self { judged, points, .. } = self;
        let is_thinned = *judged > 0 && judged < points;
        is_thinned
            .then(|| format!("Importance and means are those of {judged} of {points}, chosen at random."))
    }

    /// Whether some setting's effect is more than chance.
    #[must_use]
    pub fn has_clear(&self) -> bool {
        self.settings.iter().any(SettingEffect::is_clear)
    }
}

fn by_importance(settings: &[SettingEffect]) -> Vec<usize> {
    // Settings whose effect is more than chance come first, whatever the shares.
    let key = |at: &usize| {
        let importance = settings[*at].importance;
        (settings[*at].is_clear(), importance.map_or(0.0, |importance| importance.share))
    };
    let mut order: Vec<usize> = (0..settings.len()).collect();
    order.sort_by(|a, b| {
        let (one, other) = (key(a), key(b));
        other.0.cmp(&one.0).then(other.1.total_cmp(&one.1))
    });
    order
}

impl SettingEffect {
    fn new(setting: &Setting, effect: Option<&Effect>) -> Self {
        let kind = match setting.axis {
            Axis::Numbers if setting.is_log => Kind::Log,
            Axis::Numbers => Kind::Linear,
            Axis::Levels { is_ordered: true, .. } => Kind::Numbers,
            Axis::Levels { is_ordered: false, .. } => Kind::Categories,
        };
        let slots = setting.axis.slots();
        // F1 is between 0 and 1.
        let mean = |(slot, band): (usize, &Band)| MeanAt {
            value: setting.value(setting.axis.at(slot, slots)),
            band: Band { low: band.low.max(0.0), high: band.high.min(1.0), ..*band },
        };
        Self {
            name: setting.name.clone(),
            kind,
            importance: effect.map(|effect| Importance::new(effect.importance, effect.p_value)),
            means: effect.map_or_else(Vec::new, |effect| effect.means.iter().enumerate().map(mean).collect()),
            best: effect.filter(|effect| effect.is_clear()).and_then(|effect| Best::new(setting, effect)),
        }
    }

    /// Whether its effect is more than chance.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.importance.is_some_and(|importance| importance.is_clear)
    }
}

impl Best {
    fn new(setting: &Setting, effect: &Effect) -> Option<Self> {
        let slots = effect.means.len();
        let higher = |best: usize, slot: usize| {
            if effect.means[slot].mean > effect.means[best].mean { slot } else { best }
        };
        let best = (0..slots).reduce(higher)?;
        let value = |slot: usize| setting.value(setting.axis.at(slot, slots));
        let ends = [0, slots - 1];
        let values = match setting.axis {
            Axis::Levels { .. } => (0..slots).filter(|&slot| effect.is_best[slot]).map(value).collect(),
            Axis::Numbers => {
                let first = (0..best).rev().take_while(|&slot| effect.is_best[slot]).last().unwrap_or(best);
                let last = (best..slots).take_while(|&slot| effect.is_best[slot]).last().unwrap_or(best);
                // The first and the last place stand for the ends of the range.
                let from = if first == 0 { setting.value(0.0) } else { value(first) };
                let to = if last + 1 == slots { setting.value(1.0) } else { value(last) };
                vec![from, to]
            }
        };
        let has_order = !matches!(setting.axis, Axis::Levels { is_ordered: false, .. });
        Some(Self { value: value(best), values, is_at_end: has_order && ends.contains(&best) })
    }
}
