//! The trials as lines over all settings at once.

use super::frame::{HEAD, MARGIN, Texts, WIDTH, draw_legend, legend_height};
use crate::{
    effects::{Axis as Values, Effects, Observed, Setting},
    leaderboard::figures,
    numbers,
    plan::Scale,
    report::{
        axis::{Axis, Tick},
        canvas::{Anchor, Area, Canvas, Label, Point, Stroke},
        error::ReportError,
        names,
        palette::{INK, SOFT, VERMILLION, WHITE, ranked},
        panel::{LegendEntry, LegendSymbol, Marker, TICK_SIZE, TITLE_SIZE, mark},
        text,
    },
    study::Study,
};

/// Trials that are shown at most: the best half of them, and others at even distances by their figure.
const TRIALS_MAX: usize = 300;
/// Settings that are shown at most, the most important ones.
const SETTINGS_MAX: usize = 8;
/// Least number of trials.
const TRIALS_MIN: usize = 5;
/// Height of the axes.
const HEIGHT: f64 = 460.0;
/// Room above the axes for their names.
const ABOVE: f64 = 44.0;
/// Most values of a list that have a name of their own.
const NAMES_MAX: usize = 24;

/// One vertical axis.
struct Upright<'a> {
    x: f64,
    /// Room for its name.
    room: f64,
    title: String,
    kind: Placed<'a>,
    ticks: Vec<Tick>,
}

/// How values are placed on an axis.
enum Placed<'a> {
    /// By their size.
    Numbers(Axis),
    /// Each value of this list has a stretch of the axis.
    List(&'a Setting),
}

/// A trial that is shown: its place in [`Observed::trials`], and its rank among the shown, 0 the best.
struct Shown {
    at: usize,
    rank: usize,
}

/// Draws the picture; `None` with fewer than two settings or five trials.
pub(in crate::report) fn png(
    study: &Study,
    observed: &Observed,
    effects: &Effects,
) -> Option<Result<Vec<u8>, ReportError>> {
    if observed.settings.len() < 2 || observed.trials.len() < TRIALS_MIN {
        return None;
    }
    let mut chosen: Vec<usize> = effects.by_importance().into_iter().take(SETTINGS_MAX).collect();
    chosen.sort_unstable();
    let shown = shown(observed);
    let f1 = names::f1(study.target, &study.labels);
    let figure = effects.figure_name().replace("F1", &f1);
    let mut texts = Texts {
        title: format!("{} · trials by their settings", study.sweep),
        subtitle: format!("each line is a trial, from its settings to its {figure}"),
        notes: notes(observed, effects, &shown, chosen.len()),
    };
    let values = chosen.iter().flat_map(|&at| &observed.settings[at].levels).map(figures::value);
    texts.explain(&values.collect::<Vec<_>>());
    let entries = entries();
    let room = WIDTH - 2.0 * MARGIN;
    let top = HEAD + legend_height(&entries, room) + ABOVE;
    let area = Area { left: MARGIN + 40.0, top, right: WIDTH - MARGIN - 90.0, bottom: top + HEIGHT };
    let axes = axes(observed, &chosen, &shown, &effects.figure_name(), area);
    let lines: Vec<Vec<Point>> =
        shown.iter().map(|trial| line(observed, &chosen, &axes, area, trial, shown.len())).collect();
    Some(texts.picture((WIDTH, area.bottom + 20.0), |canvas| {
        draw_legend(canvas, (MARGIN, HEAD + 4.0), &entries, room);
        // The worst first, so that the best lie on top.
        for (trial, line) in shown.iter().zip(&lines).rev() {
            canvas.line(line, stroke(trial.rank, shown.len()));
        }
        for axis in &axes {
            axis.draw(canvas, area);
        }
        if let Some(&end) = lines.first().and_then(|line| line.last()) {
            mark(canvas, end, Marker::Star, 6.0, VERMILLION);
        }
    }))
}

/// The legend of the lines.
fn entries() -> [LegendEntry<'static>; 3] {
    [
        (LegendSymbol::Line(Stroke::solid(VERMILLION, 3.4), Marker::None), "best trial"),
        (LegendSymbol::Line(Stroke::solid(ranked(0.1), 2.0), Marker::None), "good"),
        (LegendSymbol::Line(Stroke::solid(ranked(1.0), 2.0), Marker::None), "bad"),
    ]
}

fn notes(observed: &Observed, effects: &Effects, shown: &[Shown], settings: usize) -> Vec<String> {
    let mut notes = effects.notes.clone();
    if observed.trials.len() > shown.len() {
        notes.push(format!(
            "{} of {} trials: the best {}, and others at even distances by their figure.",
            shown.len(),
            observed.trials.len(),
            shown.len() / 2
        ));
    }
    if observed.settings.len() > settings {
        notes.push(format!("{settings} of {} settings.", observed.settings.len()));
    }
    notes
}

/// The trials that are shown, the best first.
fn shown(observed: &Observed) -> Vec<Shown> {
    let mut order: Vec<usize> = (0..observed.trials.len()).collect();
    let figure = |at: &usize| observed.trials[*at].figure;
    order.sort_by(|a, b| figure(b).total_cmp(&figure(a)));
    if order.len() > TRIALS_MAX {
        let half = TRIALS_MAX / 2;
        let rest = order.split_off(half);
        let every = |number: usize| rest[number * (rest.len() - 1) / (half - 1)];
        order.extend((0..half).map(every));
    }
    order.into_iter().enumerate().map(|(rank, at)| Shown { at, rank }).collect()
}

/// The line of a trial with this rank.
fn stroke(rank: usize, trials: usize) -> Stroke {
    if rank == 0 {
        return Stroke::solid(VERMILLION, 3.4);
    }
    let colour = ranked(numbers::count(rank) / numbers::count(trials.saturating_sub(1).max(1)));
    let width = match (rank, trials) {
        (_, 0..=40) | (0..=9, _) => 1.8,
        (_, 41..=120) => 1.2,
        _ => 0.9,
    };
    Stroke::solid(colour.mix(WHITE, if rank < 10 { 0.0 } else { 0.15 }), width)
}

/// The axes of the chosen settings and of the figure, from left to right.
fn axes<'a>(
    observed: &'a Observed,
    chosen: &[usize],
    shown: &[Shown],
    figure: &str,
    area: Area,
) -> Vec<Upright<'a>> {
    let pitch = area.width() / numbers::count(chosen.len().max(1));
    let mut axes: Vec<Upright<'a>> = chosen
        .iter()
        .enumerate()
        .map(|(number, &at)| {
            Upright::of_setting(&observed.settings[at], area.left + numbers::count(number) * pitch, pitch)
        })
        .collect();
    let figures = shown.iter().map(|trial| observed.trials[trial.at].figure);
    let upright = Axis::around(figures, 0.02, f64::INFINITY);
    let mut ticks = upright.ticks(6);
    ticks.retain(|tick| (0.0..=1.0).contains(&tick.at));
    let room = (pitch - 10.0).min(170.0);
    axes.push(Upright {
        x: area.right,
        room,
        title: figure.to_owned(),
        kind: Placed::Numbers(upright),
        ticks,
    });
    axes
}

impl<'a> Upright<'a> {
    fn of_setting(setting: &'a Setting, x: f64, pitch: f64) -> Self {
        let (low, high) = setting.range;
        let room = pitch - 10.0;
        match setting.axis {
            Values::Numbers => {
                let scale = if setting.is_log { Scale::Log } else { Scale::Linear };
                let axis = Axis::of_setting([low, high].into_iter(), Some(scale));
                let mut ticks = axis.ticks(6);
                ticks.retain(|tick| !setting.is_whole || (tick.at - tick.at.round()).abs() < 1e-9);
                let log = if axis.is_log() { " (log)" } else { "" };
                Self { x, room, title: format!("{}{log}", setting.name), kind: Placed::Numbers(axis), ticks }
            }
            Values::Levels { .. } => {
                let values: Vec<String> = setting.levels.iter().map(figures::value).collect();
                let every = values.len().div_ceil(NAMES_MAX);
                let names = names::distinct(&values, TICK_SIZE, (pitch - 34.0).max(44.0));
                let ticks = names.into_iter().enumerate().step_by(every);
                let ticks = ticks.map(|(at, label)| Tick { at: numbers::count(at), label }).collect();
                Self { x, room, title: setting.name.clone(), kind: Placed::List(setting), ticks }
            }
        }
    }

    /// The height of a value; on a list, `aside` (0 to 1) is where within the value's stretch.
    fn down(&self, area: Area, value: f64, aside: f64) -> Option<f64> {
        let position = match &self.kind {
            Placed::Numbers(axis) => axis.position(value)?,
            Placed::List(setting) => {
                (value + 0.5 + 0.5 * (aside - 0.5)) / numbers::count(setting.levels.len().max(1))
            }
        };
        Some(area.bottom - position * area.height())
    }

    /// Draws the axis, its name above, and its figures to the right.
    fn draw(&self, canvas: &mut Canvas, area: Area) {
        canvas.line(&[(self.x, area.top), (self.x, area.bottom)], Stroke::solid(INK, 1.4));
        // Names that are next to each other may both be long.
        let title = text::fit(&self.title, TITLE_SIZE, self.room);
        let width = text::width(&title, TITLE_SIZE, false);
        let x = self.x.clamp(MARGIN + width / 2.0, WIDTH - MARGIN - width / 2.0);
        canvas.text((x, area.top - 18.0), &title, Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle));
        for tick in &self.ticks {
            let Some(y) = self.down(area, tick.at, 0.5) else { continue };
            canvas.line(&[(self.x - 4.0, y), (self.x + 4.0, y)], Stroke::solid(INK, 1.4));
            let width = text::width(&tick.label, TICK_SIZE, false);
            // A ground of its own, since lines pass behind the figures.
            let ground =
                Area { left: self.x + 7.0, top: y - 9.0, right: self.x + 13.0 + width, bottom: y + 9.0 };
            canvas.rectangle(ground, WHITE.mix(SOFT, 0.04));
            canvas.text((self.x + 10.0, y), &tick.label, Label::new(TICK_SIZE, INK));
        }
    }
}

/// The places of a trial on the axes.
fn line(
    observed: &Observed,
    chosen: &[usize],
    axes: &[Upright<'_>],
    area: Area,
    shown: &Shown,
    trials: usize,
) -> Vec<Point> {
    let trial = &observed.trials[shown.at];
    // Trials with the same value of a list are spread by their rank, the best on top, so that lines fan out.
    let aside = 1.0 - numbers::count(shown.rank) / numbers::count(trials.saturating_sub(1).max(1));
    let mut points = Vec::new();
    for (axis, &at) in axes.iter().zip(chosen) {
        let setting = &observed.settings[at];
        let value = match setting.axis {
            Values::Numbers => trial.values[at].as_f64().unwrap_or(f64::NAN),
            Values::Levels { .. } => setting.place(&trial.values[at]),
        };
        points.extend(axis.down(area, value, aside).map(|y| (axis.x, y)));
    }
    points.extend(axes.last().and_then(|axis| Some((axis.x, axis.down(area, trial.figure, 0.5)?))));
    points
}
