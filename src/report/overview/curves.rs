//! The validation curves of all trials, coloured by rank.

use std::collections::BTreeMap;

use super::{
    layout::{CURVES, RIGHT},
    ranked::Ranked,
};
use crate::{
    leaderboard::Leaderboard,
    report::{
        axis::Axis,
        canvas::{Anchor, Area, Canvas, Label, Point, Stroke},
        palette::{GREY, INK, SOFT, ranked},
        panel::{Frame, LegendSymbol, Marker, Panel, TICK_SIZE, TITLE_SIZE, legend, note},
    },
    study::{Study, TrialRecord},
    trial::TrialId,
};

/// Draws the validation curves of all trials.
pub(super) fn draw_curves(canvas: &mut Canvas, study: &Study, board: &Leaderboard, ranked: &[Ranked<'_>]) {
    let records: BTreeMap<TrialId, &TrialRecord> =
        study.trials.iter().map(|record| (record.trial.id, record)).collect();
    let evaluations = || study.trials.iter().flat_map(|record| &record.evaluations);
    let right = if ranked.len() > 1 { CURVES.right } else { RIGHT };
    let panel = Panel {
        area: Area { right, ..CURVES },
        x: Axis::of_epochs(evaluations().map(|each| each.epoch)),
        y: Axis::around(evaluations().map(|each| each.validation.loss), 0.05, 50.0),
    };
    let y_title =
        if panel.y.is_log() { "validation loss (nats, log scale)" } else { "validation loss (nats)" };
    let (x_ticks, y_ticks) = (panel.x.epoch_ticks(), panel.y.ticks(7));
    panel.frame(canvas, &Frame { x_title: Some("epoch"), y_title, x_ticks: &x_ticks, y_ticks: &y_ticks });
    if evaluations().next().is_none() {
        note(canvas, panel.area, "no evaluation yet");
        return;
    }
    let unranked = board.rows.iter().filter(|row| row.rank.is_none()).map(|row| row.trial);
    let mut any_unranked = false;
    for record in unranked.filter_map(|id| records.get(&id)) {
        any_unranked |= !record.evaluations.is_empty();
        curve(canvas, &panel, record, Stroke::solid(GREY, 1.4).dashed(6.0, 5.0));
    }
    // The worst curve is drawn first, so that the best lie on top.
    for (place, trial) in ranked.iter().enumerate().rev() {
        if let Some(record) = records.get(&trial.row.trial) {
            curve(canvas, &panel, record, stroke(trial, place, ranked.len()));
        }
    }
    curves_legend(canvas, ranked, any_unranked);
    if ranked.len() > 1 {
        colour_bar(canvas, panel.area, ranked, board);
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

/// Draws the validation curve of a trial.
fn curve(canvas: &mut Canvas, panel: &Panel, record: &TrialRecord, stroke: Stroke) {
    let points: Vec<Point> =
        record.evaluations.iter().map(|each| (each.epoch, each.validation.loss)).collect();
    // The line of a single point cannot be seen, and one of two points hardly.
    let marker = if points.len() < 3 { Marker::Disc } else { Marker::None };
    panel.curve(canvas, &points, stroke, marker);
}

/// Draws the legend: the three best trials, and trials without a rank.
fn curves_legend(canvas: &mut Canvas, ranked: &[Ranked<'_>], any_unranked: bool) {
    let names: Vec<(LegendSymbol, String)> = ranked
        .iter()
        .take(3)
        .enumerate()
        .map(|(place, trial)| {
            let rank = trial.row.rank.unwrap_or(0);
            let symbol = LegendSymbol::Line(stroke(trial, place, ranked.len()), Marker::None);
            (symbol, format!("rank {rank}: trial {}", trial.row.trial))
        })
        .collect();
    let mut entries: Vec<(LegendSymbol, &str)> =
        names.iter().map(|(symbol, name)| (*symbol, name.as_str())).collect();
    if any_unranked {
        let stroke = Stroke::solid(GREY, 1.8).dashed(6.0, 5.0);
        entries.push((LegendSymbol::Line(stroke, Marker::None), "failed or unfinished"));
    }
    legend(canvas, (CURVES.left, CURVES.top - 28.0), &entries);
}

/// Draws the colours of the ranks to the right of the curves.
fn colour_bar(canvas: &mut Canvas, area: Area, ranks: &[Ranked<'_>], board: &Leaderboard) {
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
    let lowest = ranks.last().and_then(|trial| trial.row.rank).unwrap_or(1).max(2);
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
