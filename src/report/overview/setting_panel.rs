//! The panel of a setting: the figure of each ranked trial by the setting's value.
//!
//! A mark's height is the trial's figure. On an axis of numbers its place is the value, and nothing else. In a
//! column, marks stand in the middle, or at the place of the other setting's value; they stand side by side
//! only where they would hide each other.

use std::collections::BTreeMap;

use super::{
    arranged::Arranged,
    quartiles::{Quartiles, groups},
    ranked::Ranked,
    swarm,
};
use crate::{
    numbers,
    report::{
        axis::{Axis, Spread, Tick},
        canvas::{Area, Canvas, Point, Stroke},
        palette::{UNFIT, VERMILLION, WHITE},
        panel::{Frame, Marker, Panel, mark, median_line, middle_half, note},
    },
};

/// Share of a column's width that its marks may take.
const COLUMN_SHARE: f64 = 0.84;
/// The same where marks have places within the column, which must not be taken for columns.
const WITHIN_SHARE: f64 = 0.6;
/// Largest width of the box of a column's quartiles, in pixels.
const HALF_WIDTH_MAX: f64 = 260.0;
/// Least number of trials in a column with quartiles.
const COLUMN_QUARTILES_MIN: usize = 5;
/// Least number of trials on an axis of numbers with quartiles.
const NUMBERS_QUARTILES_MIN: usize = 20;
/// Largest number of groups of neighbouring values that have quartiles.
const GROUPS_MAX: usize = 5;

/// The colour of the leader's interval.
pub(super) fn band_colour() -> crate::report::palette::Colour {
    VERMILLION.mix(WHITE, 0.87)
}

/// Radius of the marks of this many trials, in pixels.
const fn radius(trials: usize) -> f64 {
    match trials {
        0..=40 => 5.0,
        41..=200 => 3.4,
        _ => 2.4,
    }
}

/// The mark of a trial.
struct TrialMark<'a> {
    place: Point,
    trial: &'a Ranked<'a>,
}

/// The quartiles of the trials around a place.
struct Half {
    middle: f64,
    /// Half of the width of the box.
    reach: f64,
    /// Half of the length of the median's line, which is seen on both sides of the marks.
    line_reach: f64,
    quartiles: Quartiles,
}

/// A panel that is ready to be drawn.
pub(super) struct SettingPanel<'a> {
    panel: Panel,
    title: String,
    ticks: Vec<Tick>,
    marks: Vec<TrialMark<'a>>,
    halves: Vec<Half>,
    /// Whether every trial shows the interval of its F1.
    pub(super) has_intervals: bool,
    /// Whether marks stand side by side.
    pub(super) has_swarms: bool,
    radius: f64,
}

impl<'a> SettingPanel<'a> {
    /// The panel of a setting in this area.
    pub(super) fn new(arranged: &Arranged<'_>, area: Area, y: Axis, ranked: &'a [Ranked<'a>]) -> Self {
        let (x, ticks) = arranged.axis(area.width());
        let mut panel = Self {
            panel: Panel { area, x, y },
            title: arranged.title(),
            ticks,
            marks: Vec::new(),
            halves: Vec::new(),
            has_intervals: arranged.has_intervals(ranked),
            has_swarms: false,
            radius: radius(ranked.len()),
        };
        match &arranged.spread {
            Spread::Columns(columns) => panel.fill_columns(arranged, columns.len(), ranked),
            Spread::Numbers(_) => panel.fill_numbers(arranged, ranked),
        }
        panel
    }

    /// Whether some quartiles are shown.
    pub(super) const fn has_halves(&self) -> bool {
        !self.halves.is_empty()
    }

    /// Places the trials in columns.
    fn fill_columns(&mut self, arranged: &Arranged<'_>, columns: usize, ranked: &'a [Ranked<'a>]) {
        let mut slots: BTreeMap<(usize, usize), Vec<(f64, &'a Ranked<'a>)>> = BTreeMap::new();
        for trial in ranked {
            if let (Some(slot), Some(y)) = (arranged.slot(trial.row.trial), self.down(trial)) {
                slots.entry(slot).or_default().push((y, trial));
            }
        }
        let area = self.panel.area;
        let pitch = area.width() / numbers::count(columns.max(1));
        let share = if arranged.places() > 1 { WITHIN_SHARE } else { COLUMN_SHARE };
        let room = pitch * share / numbers::count(arranged.places());
        let diameter = 2.0 * self.radius + 1.0;
        let lanes: Vec<Vec<i32>> = slots
            .values()
            .map(|trials| swarm::lanes(&trials.iter().map(|(y, _)| *y).collect::<Vec<_>>(), diameter))
            .collect();
        let width = swarm::lane_width(lanes.iter().flatten().copied(), diameter, room);
        self.has_swarms = lanes.iter().flatten().any(|lane| *lane != 0);
        for (((column, place), trials), lanes) in slots.iter().zip(&lanes) {
            let middle = area.left + (numbers::count(*column) + 0.5) * pitch;
            let offset = numbers::count(*place) + 0.5 - numbers::count(arranged.places()) / 2.0;
            for (&(y, trial), lane) in trials.iter().zip(lanes) {
                let place = (middle + offset * room + f64::from(*lane) * width, y);
                self.marks.push(TrialMark { place, trial });
            }
        }
        for column in 0..columns {
            let figures = slots.range((column, 0)..(column + 1, 0)).flat_map(|(_, trials)| trials);
            let figures: Vec<f64> = figures.filter_map(|(_, trial)| f1(trial)).collect();
            if figures.len() >= COLUMN_QUARTILES_MIN && !self.has_intervals {
                let middle = area.left + (numbers::count(column) + 0.5) * pitch;
                let line_reach = pitch * COLUMN_SHARE / 2.0 + 8.0;
                let reach = line_reach.min(HALF_WIDTH_MAX / 2.0);
                let quartiles = Quartiles::of(figures.into_iter());
                self.halves.extend(quartiles.map(|quartiles| Half { middle, reach, line_reach, quartiles }));
            }
        }
    }

    /// Places the trials by their numbers.
    fn fill_numbers(&mut self, arranged: &Arranged<'_>, ranked: &'a [Ranked<'a>]) {
        let mut pairs = Vec::new();
        for trial in ranked {
            let number = arranged.value(trial.row.trial).and_then(crate::settings::Value::as_f64);
            let (Some(number), Some(figure)) = (number, f1(trial)) else { continue };
            if let Some(place) = self.panel.at((number, figure)) {
                self.marks.push(TrialMark { place, trial });
                pairs.push((number, figure));
            }
        }
        if pairs.len() < NUMBERS_QUARTILES_MIN {
            return;
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        for group in groups(&pairs, GROUPS_MAX) {
            let ends = group.first().zip(group.last());
            let places = ends.and_then(|(a, b)| self.panel.across(a.0).zip(self.panel.across(b.0)));
            let quartiles = Quartiles::of(group.iter().map(|pair| pair.1));
            self.halves.extend(places.zip(quartiles).map(|((left, right), quartiles)| {
                let reach = (right - left) / 2.0 + 3.0;
                Half { middle: f64::midpoint(left, right), reach, line_reach: reach, quartiles }
            }));
        }
    }

    /// The height of a trial's mark.
    fn down(&self, trial: &Ranked<'_>) -> Option<f64> {
        self.panel.down(f1(trial)?)
    }

    /// Draws the panel. `y_title` is the title of its vertical axis.
    pub(super) fn draw(&self, canvas: &mut Canvas, y_title: &str) {
        let area = self.panel.area;
        let leader = self.marks.iter().find(|mark| mark.trial.leads);
        if let Some((low, high)) = leader.and_then(|mark| self.interval(mark.trial)) {
            canvas.rectangle(Area { top: high, bottom: low, ..area }, band_colour());
        }
        self.draw_boxes(canvas);
        let y_ticks: Vec<Tick> =
            self.panel.y.ticks(6).into_iter().filter(|tick| (0.0..=1.0).contains(&tick.at)).collect();
        let frame = Frame { x_title: Some(&self.title), y_title, x_ticks: &self.ticks, y_ticks: &y_ticks };
        self.panel.frame(canvas, &frame);
        if self.marks.is_empty() {
            note(canvas, area, "no test result yet");
        }
        self.draw_medians(canvas);
        for shown in self.marks.iter().filter(|_| self.has_intervals) {
            self.draw_interval(canvas, shown);
        }
        // Trials of no use first, then the worst: so the best lie on top.
        for shown in self.in_order(|trial| trial.unfit && !trial.leads) {
            mark(canvas, shown.place, Marker::Ring, self.radius, UNFIT);
        }
        for shown in self.in_order(|trial| !trial.unfit && !trial.leads) {
            self.draw_mark(canvas, shown);
        }
        if let Some(best) = leader {
            mark(canvas, best.place, Marker::Star, 6.4, best.trial.colour);
        }
    }

    /// Draws the boxes of the quartiles.
    fn draw_boxes(&self, canvas: &mut Canvas) {
        for Half { middle, reach, quartiles, .. } in &self.halves {
            let ends = self.panel.down(quartiles.low).zip(self.panel.down(quartiles.high));
            if let Some((bottom, top)) = ends {
                middle_half(canvas, Area { left: middle - reach, right: middle + reach, top, bottom });
            }
        }
    }

    /// Draws the lines of the medians.
    fn draw_medians(&self, canvas: &mut Canvas) {
        for Half { middle, line_reach, quartiles, .. } in &self.halves {
            if let Some(y) = self.panel.down(quartiles.median) {
                median_line(canvas, (middle - line_reach, y), middle + line_reach);
            }
        }
    }

    /// The marks of these trials, the worst first.
    fn in_order(&self, is_drawn: impl Fn(&Ranked<'_>) -> bool) -> Vec<&TrialMark<'a>> {
        let mut marks: Vec<&TrialMark<'_>> = self.marks.iter().filter(|mark| is_drawn(mark.trial)).collect();
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.trial.row.rank));
        marks
    }

    /// The heights of both ends of the interval of a trial's F1.
    fn interval(&self, trial: &Ranked<'_>) -> Option<(f64, f64)> {
        let test = trial.row.test.as_ref()?;
        self.panel.down(test.f1_low).zip(self.panel.down(test.f1_high))
    }

    /// Draws the interval of a trial's F1 as a line through its mark.
    fn draw_interval(&self, canvas: &mut Canvas, TrialMark { place, trial }: &TrialMark<'_>) {
        if let Some((low, high)) = self.interval(trial) {
            let colour = if trial.unfit && !trial.leads { UNFIT } else { trial.colour };
            let stroke = Stroke::solid(colour.mix(WHITE, 0.45), if trial.leads { 2.4 } else { 1.6 });
            canvas.line(&[(place.0, low), (place.0, high)], stroke);
        }
    }

    /// Draws the mark of a trial that is neither the leader nor of no use.
    fn draw_mark(&self, canvas: &mut Canvas, TrialMark { place, trial }: &TrialMark<'_>) {
        if self.has_intervals || self.has_swarms {
            mark(canvas, *place, Marker::Disc, self.radius, trial.colour);
        } else {
            // On an axis of numbers, marks may hide each other: a darker one is more than one trial.
            canvas.translucent_disc(*place, self.radius + 0.6, trial.colour, 0.6);
        }
    }
}

/// The figure of a trial, if it is finite.
fn f1(trial: &Ranked<'_>) -> Option<f64> {
    trial.row.test.as_ref().map(|test| test.f1).filter(|f1| f1.is_finite())
}
