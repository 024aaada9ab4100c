//! How the values of a setting are placed from left to right.

use std::collections::BTreeSet;

use super::{ranked::Ranked, setting::Setting};
use crate::{
    leaderboard::figures,
    numbers,
    report::{
        axis::{Axis, Spread, Tick, spread},
        names,
        panel::TICK_SIZE,
    },
    settings::Value,
    trial::TrialId,
};

/// Largest number of trials in columns that show the interval of their F1.
const COLUMN_INTERVALS_MAX: usize = 40;
/// Largest number of trials on an axis of numbers that show the interval of their F1. More trials have
/// quartiles.
const NUMBERS_INTERVALS_MAX: usize = 19;
/// Largest number of a setting's values that have places of their own within the columns of another one.
const WITHIN_MAX: usize = 6;

/// A setting and the places of its values.
pub(super) struct Arranged<'a> {
    setting: &'a Setting,
    pub(super) spread: Spread,
    /// The other setting of a grid of two, whose values have places of their own within each column.
    within: Option<Within<'a>>,
}

/// A setting whose values have places within the columns of another setting, from left to right.
struct Within<'a> {
    setting: &'a Setting,
    values: Vec<Value>,
}

impl<'a> Arranged<'a> {
    /// The arrangement of each of these settings.
    pub(super) fn all(settings: &'a [Setting]) -> Vec<Self> {
        let spreads: Vec<Spread> = settings
            .iter()
            .map(|setting| spread(&setting.values.values().cloned().collect::<Vec<_>>(), setting.scale))
            .collect();
        let within = |other: usize| match (&spreads[..], spreads.get(other)) {
            ([Spread::Columns(_), Spread::Columns(_)], Some(Spread::Columns(values))) => {
                let setting = settings.get(other)?;
                (2..=WITHIN_MAX).contains(&values.len()).then(|| Within { setting, values: values.clone() })
            }
            _ => None,
        };
        let arranged = |(index, setting): (usize, &'a Setting)| Self {
            setting,
            spread: spreads[index].clone(),
            within: within(1_usize.wrapping_sub(index)),
        };
        settings.iter().enumerate().map(arranged).collect()
    }

    /// The value of a trial.
    pub(super) fn value(&self, trial: TrialId) -> Option<&Value> {
        self.setting.values.get(&trial)
    }

    /// The column of a trial, and its place within the column; both count from 0.
    pub(super) fn slot(&self, trial: TrialId) -> Option<(usize, usize)> {
        let Spread::Columns(columns) = &self.spread else { return None };
        let column = columns.iter().position(|column| Some(column) == self.value(trial))?;
        let within = self.within.as_ref().and_then(|within| {
            let value = within.setting.values.get(&trial)?;
            within.values.iter().position(|other| other == value)
        });
        Some((column, within.unwrap_or(0)))
    }

    /// The number of places within each column.
    pub(super) fn places(&self) -> usize {
        self.within.as_ref().map_or(1, |within| within.values.len())
    }

    /// Whether each trial stands at a place of its own, so that there is room for its interval.
    pub(super) fn has_intervals(&self, ranked: &[Ranked<'_>]) -> bool {
        let trials = || ranked.iter().map(|trial| trial.row.trial);
        let (places, most): (BTreeSet<(u64, usize)>, usize) = match self.spread {
            Spread::Columns(_) => {
                let slots = trials().filter_map(|trial| self.slot(trial));
                (slots.map(|(column, place)| (column as u64, place)).collect(), COLUMN_INTERVALS_MAX)
            }
            Spread::Numbers(_) => {
                let numbers = trials().filter_map(|trial| self.value(trial)?.as_f64());
                (numbers.map(|number| (number.to_bits(), 0)).collect(), NUMBERS_INTERVALS_MAX)
            }
        };
        ranked.len() <= most && places.len() == ranked.len()
    }

    /// The title of the horizontal axis: the setting, its scale, and what the places within a column are.
    pub(super) fn title(&self) -> String {
        let name = &self.setting.name;
        match (&self.spread, &self.within) {
            (Spread::Numbers(axis), _) if axis.is_log() => format!("{name} (log scale)"),
            (_, None) => name.clone(),
            (_, Some(within)) => {
                let values: Vec<String> = within.values.iter().map(figures::value).collect();
                format!("{name} (left to right in each: {} {})", within.setting.name, values.join(", "))
            }
        }
    }

    /// The horizontal axis with its ticks; `room` is its length in pixels.
    pub(super) fn axis(&self, room: f64) -> (Axis, Vec<Tick>) {
        match &self.spread {
            Spread::Columns(columns) => {
                let count = numbers::count(columns.len().max(1));
                let values: Vec<String> = columns.iter().map(figures::value).collect();
                let names = names::distinct(&values, TICK_SIZE, (room / count - 10.0).max(70.0));
                let ticks = names.into_iter().enumerate();
                let ticks = ticks.map(|(index, label)| Tick { at: numbers::count(index), label });
                (Axis::linear(-0.5, count - 0.5), ticks.collect())
            }
            Spread::Numbers(axis) => {
                let whole = self.setting.values.values().all(|value| matches!(value, Value::Int(_)));
                let mut ticks = axis.ticks(6);
                ticks.retain(|tick| !whole || (tick.at - tick.at.round()).abs() < 1e-9);
                (*axis, ticks)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(name: &str, values: &[f64]) -> Setting {
        let values = (1..).zip(values).map(|(id, value)| (TrialId(id), Value::Float(*value))).collect();
        Setting { name: name.to_owned(), scale: None, values }
    }

    /// A grid of two learning rates and three values of dropout.
    fn grid() -> [Setting; 2] {
        [
            setting("learning_rate", &[1e-3, 1e-3, 1e-3, 2e-3, 2e-3, 2e-3]),
            setting("dropout", &[0.2, 0.0, 0.1, 0.2, 0.0, 0.1]),
        ]
    }

    #[test]
    fn a_trial_of_a_grid_of_two_stands_by_its_other_value_within_the_column() {
        let grid = grid();
        let arranged = Arranged::all(&grid);
        assert_eq!(arranged[0].slot(TrialId(1)), Some((0, 2)));
        assert_eq!(arranged[1].slot(TrialId(4)), Some((2, 1)));
    }

    #[test]
    fn the_places_within_a_column_are_explained() {
        let grid = grid();
        let title = Arranged::all(&grid)[0].title();
        assert_eq!(title, "learning_rate (left to right in each: dropout 0, 0.1, 0.2)");
    }

    #[test]
    fn a_single_setting_has_one_place_in_each_column() {
        let [first, _] = grid();
        let first = [first];
        let arranged = Arranged::all(&first);
        assert_eq!((arranged[0].places(), arranged[0].title().as_str()), (1, "learning_rate"));
        assert_eq!(arranged[0].slot(TrialId(1)), arranged[0].slot(TrialId(3)));
    }
}
