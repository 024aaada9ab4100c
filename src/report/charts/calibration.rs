//! How far the leader's probabilities can be believed: a reliability diagram.

use super::frame::{HEAD, MARGIN, Texts, draw_legend, legend_height};
use crate::{
    leaderboard::{Calibration, Leaderboard, figures},
    numbers,
    report::{
        axis::{Axis, Tick},
        canvas::{Area, Canvas, Stroke},
        error::ReportError,
        palette::{BLUE, GREY, SOFT, WHITE},
        panel::{Frame, LegendEntry, LegendSymbol, Marker, Panel, mark},
    },
    study::Study,
};

/// Width of the picture.
const WIDTH: f64 = 820.0;

/// Draws the picture; `None` without a leader.
pub(in crate::report) fn png(
    study: &Study,
    board: &Leaderboard,
    calibration: &Calibration,
) -> Option<Result<Vec<u8>, ReportError>> {
    let leader = board.leader()?;
    let Calibration { documents, ece, by_chance, .. } = *calibration;
    let beyond = if ece > by_chance { "That is more than chance" } else { "That is within chance" };
    let mut texts = Texts {
        title: format!("{} · calibration of trial {}", study.sweep, leader.trial),
        subtitle: format!("{documents} test documents · expected calibration error {}", figures::share(ece)),
        notes: vec![format!(
            "{beyond}: a calibrated model with these probabilities has an error below {} on 95 of 100 such test sets.",
            figures::share(by_chance)
        )],
    };
    texts.explain([]);
    let entries: [LegendEntry<'_>; 2] = [
        (LegendSymbol::Mark(Marker::Disc, BLUE), "share that is right, with its 95 % interval"),
        (LegendSymbol::Line(Stroke::solid(SOFT, 1.6).dashed(7.0, 5.0), Marker::None), "calibrated"),
    ];
    let room = WIDTH - 2.0 * MARGIN;
    let top = HEAD + legend_height(&entries, room) + 8.0;
    let area = Area { left: MARGIN + 76.0, top, right: WIDTH - MARGIN, bottom: top + 460.0 };
    let below = Area { top: area.bottom + 18.0, bottom: area.bottom + 118.0, ..area };
    Some(texts.picture((WIDTH, below.bottom + 66.0), |canvas| {
        draw_legend(canvas, (MARGIN, HEAD + 4.0), &entries, room);
        diagram(canvas, area, calibration);
        histogram(canvas, below, calibration);
    }))
}

/// Ticks of an axis from 0 to 1.
fn tenths() -> Vec<Tick> {
    Axis::linear(0.0, 1.0).ticks(5)
}

fn diagram(canvas: &mut Canvas, area: Area, calibration: &Calibration) {
    let panel = Panel { area, x: Axis::linear(0.0, 1.0), y: Axis::linear(0.0, 1.0) };
    let ticks = tenths();
    panel.frame(
        canvas,
        &Frame { x_title: None, y_title: "share that is right", x_ticks: &ticks, y_ticks: &ticks },
    );
    let dashed = Stroke::solid(SOFT, 1.6).dashed(7.0, 5.0);
    panel.curve(canvas, &[(0.0, 0.0), (1.0, 1.0)], dashed, Marker::None);
    for bin in &calibration.bins {
        if let (Some(low), Some(high)) =
            (panel.at((bin.confidence, bin.low)), panel.at((bin.confidence, bin.high)))
        {
            canvas.line(&[low, high], Stroke::solid(BLUE.mix(WHITE, 0.35), 2.6));
        }
    }
    for bin in &calibration.bins {
        if let Some(place) = panel.at((bin.confidence, bin.right)) {
            mark(canvas, place, Marker::Disc, 6.0, BLUE);
        }
    }
}

/// Draws how many documents each bin has.
fn histogram(canvas: &mut Canvas, area: Area, calibration: &Calibration) {
    let most = calibration.bins.iter().map(|bin| bin.documents).max().unwrap_or(1);
    let panel =
        Panel { area, x: Axis::linear(0.0, 1.0), y: Axis::linear(0.0, numbers::count_u64(most.max(1))) };
    let mut y_ticks = panel.y.ticks(2);
    y_ticks.retain(|tick| tick.at.fract() == 0.0);
    let x_ticks = tenths();
    let frame = Frame {
        x_title: Some("probability of the predicted class"),
        y_title: "documents",
        x_ticks: &x_ticks,
        y_ticks: &y_ticks,
    };
    panel.frame(canvas, &frame);
    for bin in &calibration.bins {
        let from = ((bin.confidence * 10.0).floor() / 10.0).min(0.9);
        let corners = panel.at((from, numbers::count_u64(bin.documents))).zip(panel.at((from + 0.1, 0.0)));
        if let Some(((left, top), (right, bottom))) = corners {
            canvas.rectangle(Area { left: left + 1.0, top, right: right - 1.0, bottom }, GREY);
        }
    }
}
