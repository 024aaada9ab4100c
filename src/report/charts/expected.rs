//! What more draws bought: the expected best figure against the number of trials.

use super::frame::{HEAD, MARGIN, Texts, WIDTH, draw_legend, legend_height};
use crate::{
    effects::{Effects, ExpectedBest},
    leaderboard::figures,
    numbers,
    report::{
        axis::{Axis, Tick},
        canvas::{Area, Point, Stroke},
        error::ReportError,
        names,
        palette::{BLUE, VERMILLION, WHITE},
        panel::{Frame, LegendEntry, LegendSymbol, Marker, Panel},
    },
    study::Study,
};

/// Number of draws above which their axis is logarithmic.
const LINEAR_MAX: usize = 60;

/// Draws the picture; `None` where configurations are no draws, or too few.
pub(in crate::report) fn png(study: &Study, effects: &Effects) -> Option<Result<Vec<u8>, ReportError>> {
    let figure = effects.figure_name().replace("F1", &names::f1(study.target, &study.labels));
    let texts = texts(study, effects, &figure)?;
    let solid = Stroke::solid(BLUE, 2.6);
    let entries: [LegendEntry<'_>; 2] = [
        (LegendSymbol::Line(solid, Marker::None), "expected best"),
        (LegendSymbol::Patch(BLUE.mix(WHITE, 0.82)), "where the best of so many lies in nine of ten choices"),
    ];
    let room = WIDTH - 2.0 * MARGIN;
    let top = HEAD + legend_height(&entries, room) + 10.0;
    let area = Area { left: MARGIN + 84.0, top, right: WIDTH - MARGIN, bottom: top + 380.0 };
    let panel = panel(&effects.expected_best, area);
    let x_ticks: Vec<Tick> =
        panel.x.ticks(8).into_iter().filter(|tick| tick.at >= 1.0 && tick.at.fract() == 0.0).collect();
    let mut y_ticks = panel.y.ticks(6);
    y_ticks.retain(|tick| (0.0..=1.0).contains(&tick.at));
    Some(texts.picture((WIDTH, area.bottom + 66.0), |canvas| {
        draw_legend(canvas, (MARGIN, HEAD + 4.0), &entries, room);
        let corners = band(&panel, &effects.expected_best);
        canvas.polygon(&corners, BLUE.mix(WHITE, 0.82));
        let y_title = format!("best {figure}");
        let frame = Frame { x_title: Some("draws"), y_title: &y_title, x_ticks: &x_ticks, y_ticks: &y_ticks };
        panel.frame(canvas, &frame);
        let (firm, rest) = parts(&effects.expected_best);
        panel.curve(canvas, &rest, solid.dashed(8.0, 6.0), Marker::None);
        panel.curve(canvas, &firm, solid, Marker::None);
        if let Some(end) = rest.last().and_then(|point| panel.at(*point)) {
            crate::report::panel::mark(canvas, end, Marker::Star, 6.0, VERMILLION);
        }
    }))
}

/// The texts around the curve.
fn texts(study: &Study, effects: &Effects, figure: &str) -> Option<Texts> {
    let last = effects.expected_best.last()?;
    let half = best_of(&effects.expected_best, last.draws / 2);
    let gain = half.map_or_else(String::new, |half| {
        format!(
            "{} of {} draws, {} of {}",
            figures::share(half.mean),
            half.draws,
            figures::share(last.mean),
            last.draws
        )
    });
    let mut texts = Texts {
        title: format!("{} · what more draws bought", study.sweep),
        subtitle: format!("expected best {figure}: {gain}"),
        notes: vec![
            "The mean over all choices of so many of the draws, which is without bias. From half of the draws on (dashed) it rests \
             on few of them: the chance that still better ones exist is not seen."
                .to_owned(),
        ],
    };
    texts.notes.extend(effects.notes.iter().cloned());
    texts.explain([]);
    Some(texts)
}

/// The last number of draws that is at most `draws`.
fn best_of(all: &[ExpectedBest], draws: usize) -> Option<&ExpectedBest> {
    all.iter().rev().find(|best| best.draws <= draws)
}

fn panel(all: &[ExpectedBest], area: Area) -> Panel {
    let draws = all.iter().map(|best| numbers::count(best.draws));
    let last = all.last().map_or(1, |best| best.draws);
    let factor = if last > LINEAR_MAX { 1.0 } else { f64::INFINITY };
    let ends = all.iter().flat_map(|best| [best.low, best.mean, best.high]);
    Panel { area, x: Axis::around(draws, 0.02, factor), y: Axis::around(ends, 0.05, f64::INFINITY) }
}

/// The corners of the band.
fn band(panel: &Panel, all: &[ExpectedBest]) -> Vec<Point> {
    let edge = |end: fn(&ExpectedBest) -> f64| {
        all.iter()
            .filter_map(move |best| panel.at((numbers::count(best.draws), end(best))))
            .collect::<Vec<Point>>()
    };
    let mut corners = edge(|best| best.low);
    corners.extend(edge(|best| best.high).into_iter().rev());
    corners
}

/// The curve up to half of the draws, and from there on.
fn parts(all: &[ExpectedBest]) -> (Vec<Point>, Vec<Point>) {
    let last = all.last().map_or(1, |best| best.draws);
    let points: Vec<Point> = all.iter().map(|best| (numbers::count(best.draws), best.mean)).collect();
    let firm = all.iter().take_while(|best| 2 * best.draws <= last).count().max(1);
    (points[..firm].to_vec(), points[firm - 1..].to_vec())
}
