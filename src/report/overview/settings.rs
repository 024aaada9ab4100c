//! Test F1 against each swept setting.

use std::collections::BTreeMap;

use super::{
    layout::{CURVES, MARGIN, RIGHT, SETTINGS_HEIGHT, SETTINGS_TOP},
    ranked::Ranked,
};
use crate::{
    leaderboard::{Leaderboard, LeaderboardRow, figures},
    plan::Scale,
    report::{
        axis::{Axis, Spread, Tick, spread},
        canvas::{Area, Canvas, Stroke},
        palette::{self, VERMILLION, WHITE},
        panel::{Frame, LegendSymbol, Marker, Panel, TICK_SIZE, legend, mark, note},
        text,
    },
    settings::Value,
    study::Study,
    trial::TrialId,
};

/// Largest number of trials that all show the interval of their F1; of more trials, only the best one does.
const INTERVALS_MAX: usize = 120;

/// A setting and its value in each ranked trial.
pub(super) struct Setting {
    name: String,
    /// Scale of the setting's range in the spec, if it has a range.
    scale: Option<Scale>,
    values: BTreeMap<TrialId, Value>,
}

/// The swept settings. Without any, the number of the trial takes their place.
pub(super) fn settings(study: &Study, board: &Leaderboard) -> Vec<Setting> {
    let ranked = || board.rows.iter().filter(|row| row.rank.is_some());
    if study.swept.is_empty() {
        let values = ranked().map(|row| (row.trial, Value::Int(i64::from(row.trial.0)))).collect();
        return vec![Setting { name: "trial".to_owned(), scale: Some(Scale::Linear), values }];
    }
    let value = |row: &LeaderboardRow, name: &String| {
        let found = row.params.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| (row.trial, value.clone()))
    };
    let setting = |name: &String| Setting {
        name: name.clone(),
        scale: study.scales.get(name).copied(),
        values: ranked().filter_map(|row| value(row, name)).collect(),
    };
    study.swept.iter().map(setting).collect()
}

/// The number of settings in a row, chosen so that no row is nearly empty.
pub(super) const fn across(settings: usize) -> usize {
    match settings {
        0 | 1 => 1,
        2 | 4 => 2,
        _ => 3,
    }
}

/// Draws a panel for each setting. `f1` is the name of the figure on the vertical axes.
pub(super) fn draw_settings(canvas: &mut Canvas, settings: &[Setting], f1: &str, ranked: &[Ranked<'_>]) {
    let has_intervals = ranked.len() <= INTERVALS_MAX;
    let tests = || {
        ranked.iter().filter(|trial| has_intervals || trial.leads).filter_map(|trial| trial.row.test.as_ref())
    };
    let f1s = ranked.iter().filter_map(|trial| trial.row.test.as_ref()).map(|test| test.f1);
    let y =
        Axis::around(f1s.chain(tests().flat_map(|test| [test.f1_low, test.f1_high])), 0.05, f64::INFINITY);
    let trial =
        if has_intervals { format!("trial, with the 95 % interval of its {f1}") } else { "trial".to_owned() };
    let best = if has_intervals && ranked.len() > 1 {
        "best trial".to_owned()
    } else {
        format!("best trial, with the 95 % interval of its {f1}")
    };
    let entries = [
        (LegendSymbol::Mark(Marker::Star, VERMILLION), best.as_str()),
        (LegendSymbol::Mark(Marker::Disc, palette::ranked(0.3)), trial.as_str()),
    ];
    let entries = &entries[..ranked.len().min(2)];
    legend(canvas, (CURVES.left, SETTINGS_TOP + 6.0), entries);
    let across = across(settings.len());
    #[expect(clippy::cast_precision_loss, reason = "few settings")]
    let pitch = (RIGHT - MARGIN) / across as f64;
    for (index, setting) in settings.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "few settings")]
        let (column, row) = ((index % across) as f64, (index / across) as f64);
        let left = MARGIN + column * pitch + 72.0;
        let top = SETTINGS_TOP + row * SETTINGS_HEIGHT + 34.0;
        let right = if index % across == across - 1 { RIGHT } else { left + pitch - 84.0 };
        let area = Area { left, top, right, bottom: top + 276.0 };
        // The panels of a row share their vertical axis, so only the first one has its title.
        let y_title = if column == 0.0 { f1 } else { "" };
        SettingPanel { setting, area, y, y_title, has_intervals }.draw(canvas, ranked);
    }
}

/// The panel of a setting: test F1 of the ranked trials by the setting's value.
struct SettingPanel<'a> {
    setting: &'a Setting,
    area: Area,
    /// The vertical axis.
    y: Axis,
    y_title: &'a str,
    /// Whether every trial shows the interval of its F1; else only the leader does.
    has_intervals: bool,
}

impl SettingPanel<'_> {
    /// Draws the panel with its trials.
    fn draw(&self, canvas: &mut Canvas, ranked: &[Ranked<'_>]) {
        let values: Vec<Value> = self.setting.values.values().cloned().collect();
        let spread = spread(&values, self.setting.scale);
        let (x, x_ticks) = horizontal(&spread, &values, self.area.width());
        let panel = Panel { area: self.area, x, y: self.y };
        let title =
            if x.is_log() { format!("{} (log scale)", self.setting.name) } else { self.setting.name.clone() };
        let y_ticks: Vec<Tick> =
            self.y.ticks(6).into_iter().filter(|tick| (0.0..=1.0).contains(&tick.at)).collect();
        let frame =
            Frame { x_title: Some(&title), y_title: self.y_title, x_ticks: &x_ticks, y_ticks: &y_ticks };
        panel.frame(canvas, &frame);
        if ranked.is_empty() {
            note(canvas, self.area, "no test result yet");
        }
        let places = places(&spread, &self.setting.values);
        for trial in ranked.iter().rev() {
            let (Some(&across), Some(test)) = (places.get(&trial.row.trial), &trial.row.test) else {
                continue;
            };
            let Some(place) = panel.at((across, test.f1)) else { continue };
            if self.has_intervals || trial.leads {
                let colour = trial.colour.mix(WHITE, if trial.leads { 0.2 } else { 0.5 });
                let ends = [test.f1_low, test.f1_high].map(|end| panel.down(end).unwrap_or(place.1));
                let stroke = Stroke::solid(colour, if trial.leads { 2.4 } else { 1.6 });
                canvas.line(&[(place.0, ends[0]), (place.0, ends[1])], stroke);
            }
            if trial.leads {
                mark(canvas, place, Marker::Star, 6.4, trial.colour);
            } else if self.has_intervals {
                mark(canvas, place, Marker::Disc, 5.0, trial.colour);
            } else {
                // Without white rims: the rims of many markers would hide other markers.
                canvas.disc(place, 3.0, trial.colour);
            }
        }
    }
}

/// The horizontal axis of a setting with its ticks; `room` is its length in pixels.
fn horizontal(spread: &Spread, values: &[Value], room: f64) -> (Axis, Vec<Tick>) {
    match spread {
        Spread::Columns(columns) => {
            #[expect(clippy::cast_precision_loss, reason = "few columns")]
            let count = columns.len().max(1) as f64;
            let ticks = columns.iter().enumerate().map(|(index, value)| {
                let name = text::fit(&figures::value(value), TICK_SIZE, (room / count - 10.0).max(70.0));
                #[expect(clippy::cast_precision_loss, reason = "few columns")]
                let at = index as f64;
                Tick { at, label: name }
            });
            (Axis::linear(-0.5, count - 0.5), ticks.collect())
        }
        Spread::Numbers(axis) => {
            let whole = values.iter().all(|value| matches!(value, Value::Int(_)));
            let mut ticks = axis.ticks(6);
            ticks.retain(|tick| !whole || (tick.at - tick.at.round()).abs() < 1e-9);
            (*axis, ticks)
        }
    }
}

/// The place of each trial on the horizontal axis. Trials of one column stand side by side in the order of
/// the plan, so that none hides another.
fn places(spread: &Spread, values: &BTreeMap<TrialId, Value>) -> BTreeMap<TrialId, f64> {
    match spread {
        Spread::Numbers(_) => {
            values.iter().filter_map(|(&trial, value)| Some((trial, value.as_f64()?))).collect()
        }
        Spread::Columns(columns) => {
            let mut places = BTreeMap::new();
            for (index, column) in columns.iter().enumerate() {
                let trials: Vec<TrialId> =
                    values.iter().filter(|(_, value)| *value == column).map(|(&trial, _)| trial).collect();
                for (order, &trial) in trials.iter().enumerate() {
                    #[expect(clippy::cast_precision_loss, reason = "few trials")]
                    let offset = 0.7 * ((order as f64 + 0.5) / trials.len() as f64 - 0.5);
                    #[expect(clippy::cast_precision_loss, reason = "few columns")]
                    places.insert(trial, index as f64 + offset);
                }
            }
            places
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        leaderboard::{RankBy, build},
        samples::{record, study},
    };

    #[test]
    fn trials_of_one_column_stand_side_by_side_and_within_it() {
        let values: BTreeMap<TrialId, Value> =
            (1..=4).map(|id| (TrialId(id), Value::Float(if id == 4 { 0.3 } else { 0.1 }))).collect();
        let spread = Spread::Columns(vec![Value::Float(0.1), Value::Float(0.3)]);
        let places = places(&spread, &values);
        let of = |id: u32| places[&TrialId(id)];
        assert!(-0.5 < of(1) && of(1) < of(2) && of(2) < of(3) && of(3) < 0.5);
        assert!((of(4) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_sweep_without_a_swept_setting_shows_its_trials() {
        let mut study = study(vec![record(1, &[0.5]), record(2, &[0.4])]);
        study.swept.clear();
        let settings = settings(&study, &build(&study, RankBy::TestF1, &|_| None));
        assert_eq!(settings.len(), 1);
        assert_eq!((settings[0].name.as_str(), settings[0].values.len()), ("trial", 2));
    }
}
