//! A panel for each setting: the mean figure by its value, with a band.

use super::frame::{MARGIN, WIDTH};
use crate::{
    effects::{Kind, MeanAt, SettingEffect},
    leaderboard::figures,
    numbers,
    plan::Scale,
    report::{
        axis::{Axis, Tick},
        canvas::{Area, Canvas, Point, Stroke},
        names,
        palette::{BLUE, SOFT, WHITE},
        panel::{Frame, Marker, Panel, TICK_SIZE, mark},
        text,
    },
};

/// Panels in a row, and where the names of values would have no room there.
const ACROSS: usize = 3;
const ACROSS_LONG: usize = 2;
/// Room between the names of values.
const NAME_GAP: f64 = 14.0;
/// Height of a row of panels.
const HEIGHT: f64 = 290.0;
/// Height of a panel's area.
const AREA_HEIGHT: f64 = 200.0;
/// Room to the left of a panel's area for its axis.
const LEFT: f64 = 78.0;

/// The panels of the settings.
pub(super) struct Panels<'a> {
    all: Vec<(Panel, &'a SettingEffect)>,
    across: usize,
    title: String,
    bottom: f64,
}

impl<'a> Panels<'a> {
    /// The panels of these settings from `top` on; their vertical axes are alike.
    pub(super) fn new(settings: &[&'a SettingEffect], figure: &str, top: f64) -> Self {
        let bands = settings.iter().flat_map(|setting| &setting.means).map(|mean| mean.band);
        let y =
            Axis::around(bands.flat_map(|band| [band.low.max(0.0), band.high.min(1.0)]), 0.05, f64::INFINITY);
        let across = across(settings);
        let pitch = (WIDTH - 2.0 * MARGIN) / numbers::count(across);
        let panel = |(at, setting): (usize, &&'a SettingEffect)| {
            let left = MARGIN + numbers::count(at % across) * pitch + LEFT;
            let top = top + numbers::count(at / across) * HEIGHT;
            let right = MARGIN + numbers::count(at % across + 1) * pitch - 16.0;
            let area = Area { left, top, right, bottom: top + AREA_HEIGHT };
            (Panel { area, x: axis(setting), y }, *setting)
        };
        let all = settings.iter().enumerate().map(panel).collect();
        let rows = numbers::count(settings.len().div_ceil(across));
        Self { all, across, title: format!("mean {figure}"), bottom: top + rows * HEIGHT - 14.0 }
    }

    /// Where the last row ends.
    pub(super) const fn bottom(&self) -> f64 {
        self.bottom
    }

    pub(super) fn draw(&self, canvas: &mut Canvas) {
        for (at, (panel, setting)) in self.all.iter().enumerate() {
            let y_ticks: Vec<Tick> =
                panel.y.ticks(5).into_iter().filter(|tick| (0.0..=1.0).contains(&tick.at)).collect();
            let title = match setting.kind {
                Kind::Log => format!("{} (log scale)", setting.name),
                Kind::Linear | Kind::Numbers | Kind::Categories => setting.name.clone(),
            };
            let frame = Frame {
                x_title: Some(&title),
                y_title: if at % self.across == 0 { &self.title } else { "" },
                x_ticks: &ticks(setting, panel),
                y_ticks: &y_ticks,
            };
            let colour = if setting.is_clear() { BLUE } else { SOFT };
            let is_range = matches!(setting.kind, Kind::Linear | Kind::Log);
            if is_range {
                band(canvas, panel, setting, colour.mix(WHITE, 0.82));
            }
            panel.frame(canvas, &frame);
            if is_range {
                let line: Vec<Point> = setting
                    .means
                    .iter()
                    .filter_map(|mean| Some((mean.value.as_f64()?, mean.band.mean)))
                    .collect();
                panel.curve(canvas, &line, Stroke::solid(colour, 2.4), Marker::None);
            } else {
                for (slot, mean) in setting.means.iter().enumerate() {
                    level(canvas, panel, numbers::count(slot), mean, colour);
                }
            }
        }
    }
}

/// The number of panels in a row.
fn across(settings: &[&SettingEffect]) -> usize {
    let is_long = |setting: &&SettingEffect| {
        let list = matches!(setting.kind, Kind::Numbers | Kind::Categories);
        let width = |mean: &MeanAt| text::width(&figures::value(&mean.value), TICK_SIZE, false) + NAME_GAP;
        let widest = setting.means.iter().map(width).fold(0.0, f64::max);
        let room = (WIDTH - 2.0 * MARGIN) / numbers::count(ACROSS) - LEFT - 16.0;
        list && widest * numbers::count(setting.means.len()) > room
    };
    if settings.len() < ACROSS || settings.iter().any(is_long) { ACROSS_LONG } else { ACROSS }
}

/// The horizontal axis of a setting.
fn axis(setting: &SettingEffect) -> Axis {
    let numbers = setting.means.iter().filter_map(|mean| mean.value.as_f64());
    match setting.kind {
        Kind::Linear => Axis::of_setting(numbers, Some(Scale::Linear)),
        Kind::Log => Axis::of_setting(numbers, Some(Scale::Log)),
        Kind::Numbers | Kind::Categories => {
            Axis::linear(-0.5, numbers::count(setting.means.len().max(1)) - 0.5)
        }
    }
}

fn ticks(setting: &SettingEffect, panel: &Panel) -> Vec<Tick> {
    match setting.kind {
        Kind::Linear | Kind::Log => panel.x.ticks(4),
        Kind::Numbers | Kind::Categories => {
            let values: Vec<String> = setting.means.iter().map(|mean| figures::value(&mean.value)).collect();
            let room = panel.area.width() / numbers::count(values.len().max(1)) - NAME_GAP;
            let shown = names::distinct(&values, TICK_SIZE, room.max(52.0));
            let tick = |(at, label)| Tick { at: numbers::count(at), label };
            shown.into_iter().enumerate().map(tick).collect()
        }
    }
}

/// Fills the band of a range.
fn band(canvas: &mut Canvas, panel: &Panel, setting: &SettingEffect, colour: crate::report::palette::Colour) {
    let edge = |end: &dyn Fn(&MeanAt) -> f64| -> Vec<Point> {
        setting.means.iter().filter_map(|mean| panel.at((mean.value.as_f64()?, end(mean)))).collect()
    };
    let mut corners = edge(&|mean| mean.band.low);
    corners.extend(edge(&|mean| mean.band.high).into_iter().rev());
    if corners.len() > 2 {
        canvas.polygon(&corners, colour);
    }
}

/// Draws the mean at a value of a list with its interval.
fn level(canvas: &mut Canvas, panel: &Panel, at: f64, mean: &MeanAt, colour: crate::report::palette::Colour) {
    let ends = panel.at((at, mean.band.low)).zip(panel.at((at, mean.band.high)));
    if let Some((low, high)) = ends {
        let stroke = Stroke::solid(colour.mix(WHITE, 0.25), 2.4);
        canvas.line(&[low, high], stroke);
        // A short interval would be hidden by the mark.
        for (x, y) in [low, high] {
            canvas.line(&[(x - 7.0, y), (x + 7.0, y)], stroke);
        }
    }
    if let Some(place) = panel.at((at, mean.band.mean)) {
        mark(canvas, place, Marker::Disc, 5.0, colour);
    }
}
