//! The validation curves of all trials, coloured by rank.

use std::collections::BTreeMap;

use super::{
    layout::{CURVES, RIGHT},
    ranked::Ranked,
};
use crate::{
    leaderboard::{Leaderboard, LeaderboardRow, verdict::Verdict},
    numbers,
    report::{
        axis::Axis,
        canvas::{Anchor, Area, Canvas, Label, Point, Stroke},
        palette::{GREY, INK, SOFT, UNFIT, ranked},
        panel::{Frame, LegendSymbol, Marker, Panel, TICK_SIZE, TITLE_SIZE, legend, mark, note},
    },
    study::{Study, TrialRecord},
    trial::TrialId,
};

/// Draws the validation losses of all trials: by epoch, or side by side if no trial has a second evaluation.
pub(super) fn draw_curves(canvas: &mut Canvas, study: &Study, board: &Leaderboard, ranked: &[Ranked<'_>]) {
    let curves = curves(study, board, ranked);
    let right = if ranked.len() > 1 { CURVES.right } else { RIGHT };
    let is_by_place = curves.len() > 1 && curves.iter().all(|curve| curve.points.len() < 2);
    let epochs = || curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0));
    let losses = curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1));
    let x = if is_by_place {
        Axis::linear(0.5, numbers::count(curves.len()) + 0.5)
    } else {
        Axis::of_epochs(epochs())
    };
    let panel = Panel { area: Area { right, ..CURVES }, x, y: Axis::of_losses(losses) };
    let y_title =
        if panel.y.is_log() { "validation loss (nats, log scale)" } else { "validation loss (nats)" };
    let (x_title, mut x_ticks) = if is_by_place {
        ("place on the leaderboard (each trial has one evaluation)", panel.x.ticks(12))
    } else {
        ("epoch", panel.x.epoch_ticks(epochs()))
    };
    x_ticks.retain(|tick| !is_by_place || tick.at.fract() == 0.0);
    let y_ticks = panel.y.ticks(7);
    panel.frame(canvas, &Frame { x_title: Some(x_title), y_title, x_ticks: &x_ticks, y_ticks: &y_ticks });
    if epochs().next().is_none() {
        note(canvas, panel.area, "no evaluation yet");
        return;
    }
    // The worst curve is drawn first, so that the best lie on top.
    for (place, curve) in curves.iter().enumerate().rev() {
        curve.draw(canvas, &panel, is_by_place.then(|| numbers::count(place + 1)));
    }
    curves_legend(canvas, &curves, ranked, is_by_place);
    if ranked.len() > 1 {
        colour_bar(canvas, panel.area, ranked, board);
    }
}

/// How the curve of a trial is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// By its rank.
    Ranked,
    /// Ranked, and collapsed or diverged.
    Unfit,
    /// Halted.
    Halted,
    /// Failed or unfinished.
    Unranked,
}

/// The validation loss of a trial by epoch.
struct Curve {
    points: Vec<Point>,
    stroke: Stroke,
    kind: Kind,
    /// Whether a loss was not finite.
    is_diverged: bool,
}

/// The curves of all trials with an evaluation, in the order of the leaderboard.
fn curves(study: &Study, board: &Leaderboard, ranked: &[Ranked<'_>]) -> Vec<Curve> {
    let records: BTreeMap<TrialId, &TrialRecord> =
        study.trials.iter().map(|record| (record.trial.id, record)).collect();
    let shades: BTreeMap<TrialId, (usize, &Ranked<'_>)> =
        ranked.iter().enumerate().map(|(place, trial)| (trial.row.trial, (place, trial))).collect();
    let curve = |row: &LeaderboardRow| {
        let record = records.get(&row.trial).filter(|record| !record.evaluations.is_empty())?;
        let points = record.evaluations.iter().map(|each| (each.epoch, each.validation.loss)).collect();
        let (stroke, kind) = match shades.get(&row.trial) {
            Some((_, trial)) if trial.unfit && !trial.leads => (Stroke::solid(UNFIT, 1.2), Kind::Unfit),
            Some((place, trial)) => (stroke(trial, *place, ranked.len()), Kind::Ranked),
            None if row.halted.is_some() => (Stroke::solid(GREY, 1.4), Kind::Halted),
            None => (Stroke::solid(GREY, 1.4).dashed(6.0, 5.0), Kind::Unranked),
        };
        Some(Curve { points, stroke, kind, is_diverged: row.verdict == Some(Verdict::Diverged) })
    };
    board.rows.iter().filter_map(curve).collect()
}

impl Curve {
    /// Draws the curve; a single point at `place` from left to right if there is one, instead of its epoch.
    fn draw(&self, canvas: &mut Canvas, panel: &Panel, place: Option<f64>) {
        let points: Vec<Point> =
            self.points.iter().map(|point| (place.unwrap_or(point.0), point.1)).collect();
        // The line of a single point cannot be seen, and one of two points hardly.
        let marker = match self.kind {
            _ if points.len() > 2 => Marker::None,
            Kind::Unfit => Marker::Ring,
            Kind::Ranked | Kind::Halted | Kind::Unranked => Marker::Disc,
        };
        panel.curve(canvas, &points, self.stroke, marker);
        let finite = points.iter().rev().find_map(|point| panel.at(*point));
        if let Some(end) = finite.filter(|_| self.is_diverged) {
            mark(canvas, end, Marker::Cross, 5.5, INK);
        }
    }
}

/// The line of the trial that stands at `place`, from 0, of this many ranked trials.
fn stroke(trial: &Ranked<'_>, place: usize, trials: usize) -> Stroke {
    let thin = if trials > 100 { 1.0 } else { 1.8 };
    let width = if trial.leads {
        3.4
    } else if place < 3 {
        2.6
    } else {
        thin
    };
    let solid = Stroke::solid(trial.colour, width);
    // Dashes distinguish the second and the third curve from the first in more than their colours.
    match place {
        1 => solid.dashed(12.0, 6.0),
        2 => solid.dashed(3.0, 5.0),
        _ => solid,
    }
}

/// Draws the legend: the three best trials, and those whose curves have no colour of a rank.
fn curves_legend(canvas: &mut Canvas, curves: &[Curve], ranked: &[Ranked<'_>], is_by_place: bool) {
    let symbol = |stroke: Stroke, on_line: Marker, alone: Marker| {
        if is_by_place {
            LegendSymbol::Mark(alone, stroke.colour)
        } else {
            LegendSymbol::Line(stroke, on_line)
        }
    };
    let best = ranked.iter().enumerate().take(3).filter(|(_, trial)| trial.leads || !trial.unfit);
    let names: Vec<(LegendSymbol, String)> = best
        .map(|(place, trial)| {
            let rank = trial.row.rank.unwrap_or(0);
            let symbol = symbol(stroke(trial, place, ranked.len()), Marker::None, Marker::Disc);
            (symbol, format!("rank {rank}: trial {}", trial.row.trial))
        })
        .collect();
    let mut entries: Vec<(LegendSymbol, &str)> =
        names.iter().map(|(symbol, name)| (*symbol, name.as_str())).collect();
    let mut others = |kind: Kind, marker: Marker, name| {
        if let Some(curve) = curves.iter().find(|curve| curve.kind == kind) {
            let on_line = if curve.points.len() > 2 { Marker::None } else { marker };
            entries.push((symbol(curve.stroke, on_line, marker), name));
        }
    };
    others(Kind::Unfit, Marker::Ring, "collapsed or diverged");
    others(Kind::Halted, Marker::Disc, "halted");
    others(Kind::Unranked, Marker::Disc, "failed or unfinished");
    if curves.iter().any(|curve| curve.is_diverged) {
        entries.push((LegendSymbol::Mark(Marker::Cross, INK), "last finite loss before divergence"));
    }
    legend(canvas, (CURVES.left, CURVES.top - 28.0), &entries);
}

/// Draws the colours of the ranks to the right of the curves.
fn colour_bar(canvas: &mut Canvas, area: Area, ranks: &[Ranked<'_>], board: &Leaderboard) {
    let fit = ranks.iter().filter(|trial| !trial.unfit);
    let Some(lowest) = fit.filter_map(|trial| trial.row.rank).max() else { return };
    let (left, right) = (area.right + 40.0, area.right + 62.0);
    let steps = 128;
    for step in 0..steps {
        let at = |step: i32| area.top + area.height() * f64::from(step) / f64::from(steps);
        let bar = Area { left, right, top: at(step), bottom: at(step + 1) };
        canvas.rectangle(bar, ranked((f64::from(step) + 0.5) / f64::from(steps)));
    }
    let (top, bottom) = (area.top, area.bottom);
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    canvas.line(&corners, Stroke::solid(SOFT, 1.0));
    let lowest = lowest.max(2);
    #[expect(clippy::cast_precision_loss, reason = "few trials")]
    let axis = Axis::linear(1.0, lowest as f64);
    // Both ends have their ranks. Between them are round numbers, as far as they do not overlap with the
    // ends.
    let mut marks = vec![(1.0, "1".to_owned())];
    #[expect(clippy::cast_precision_loss, reason = "few trials")]
    marks.push((lowest as f64, lowest.to_string()));
    marks.extend(
        axis.ticks(6)
            .into_iter()
            .filter(|tick| (tick.at - tick.at.round()).abs() < 1e-9)
            .filter(|tick| axis.position(tick.at).is_some_and(|at| (0.1..=0.9).contains(&at)))
            .map(|tick| (tick.at, format!("{:.0}", tick.at))),
    );
    for (rank, name) in marks {
        let Some(position) = axis.position(rank) else { continue };
        let y = area.top + position * area.height();
        canvas.line(&[(right, y), (right + 5.0, y)], Stroke::solid(SOFT, 1.0));
        canvas.text((right + 9.0, y), &name, Label::new(TICK_SIZE, INK));
    }
    let title = format!("rank by {}", board.rank_by.describe());
    let label = Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle).upwards();
    canvas.text((right + 64.0, area.middle().1), &title, label);
}
