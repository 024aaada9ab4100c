//! The leaderboard as dots with intervals: who leads, who is not distinguishable from the leader, and who is behind.

use super::frame::{HEAD, MARGIN, Texts, WIDTH, draw_legend, legend_height};
use crate::{
    leaderboard::{Leaderboard, LeaderboardRow, figures},
    numbers,
    report::{
        axis::Axis,
        canvas::{Anchor, Area, Canvas, Label, Stroke},
        error::ReportError,
        names,
        palette::{BLUE, Colour, GRID, INK, SOFT, UNFIT, VERMILLION, WHITE},
        panel::{LegendEntry, LegendSymbol, Marker, TICK_SIZE, TITLE_SIZE, mark},
        text,
    },
    study::Study,
};

/// Trials that are shown at most, the first ones of the leaderboard.
const ROWS_MAX: usize = 40;
/// Height of a trial's row.
const ROW: f64 = 27.0;
/// Where the dots begin: trials and their settings stand to the left.
const PLOT_LEFT: f64 = 500.0;
/// The same where figures end: they stand to the right of the dots.
const PLOT_RIGHT: f64 = 1010.0;

/// How a trial stands to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Leads,
    Tied,
    Behind,
    Uncompared,
    Unfit,
}

impl Standing {
    fn of(row: &LeaderboardRow, board: &Leaderboard) -> Self {
        if board.leader().is_some_and(|leader| leader.trial == row.trial) {
            Self::Leads
        } else if row.is_put_last() {
            Self::Unfit
        } else {
            match row.tied {
                Some(true) => Self::Tied,
                Some(false) => Self::Behind,
                None => Self::Uncompared,
            }
        }
    }

    /// Shape and colour of the mark: each can be told by its shape alone.
    const fn look(self) -> (Marker, Colour) {
        match self {
            Self::Leads => (Marker::Star, VERMILLION),
            Self::Tied => (Marker::Disc, BLUE),
            Self::Behind => (Marker::Square, SOFT),
            Self::Uncompared => (Marker::Ring, SOFT),
            Self::Unfit => (Marker::Cross, UNFIT),
        }
    }

    const fn describe(self) -> &'static str {
        match self {
            Self::Leads => "leader",
            Self::Tied => "not distinguishable from the leader",
            Self::Behind => "distinguishable from the leader",
            Self::Uncompared => "not compared",
            Self::Unfit => "collapsed or diverged",
        }
    }
}

/// Draws the picture; `None` with fewer than two ranked trials.
pub(in crate::report) fn png(study: &Study, board: &Leaderboard) -> Option<Result<Vec<u8>, ReportError>> {
    let ranked: Vec<&LeaderboardRow> =
        board.rows.iter().filter(|row| row.rank.is_some() && row.test.is_some()).collect();
    if ranked.len() < 2 {
        return None;
    }
    let shown: Vec<(&LeaderboardRow, Standing)> =
        ranked.iter().take(ROWS_MAX).map(|row| (*row, Standing::of(row, board))).collect();
    let f1 = format!("test {}", names::f1(board.target, &study.labels));
    let labels: Vec<String> = shown.iter().map(|(row, _)| settings(row)).collect();
    let mut texts = Texts {
        title: format!("{} · leaderboard", study.sweep),
        subtitle: format!("{f1} with its 95 % interval, which covers the choice of test documents"),
        notes: Vec::new(),
    };
    if ranked.len() > shown.len() {
        texts.notes.push(format!("The first {} of {} ranked trials.", shown.len(), ranked.len()));
    }
    texts.explain(&labels);
    let standings =
        [Standing::Leads, Standing::Tied, Standing::Behind, Standing::Uncompared, Standing::Unfit];
    let entries: Vec<LegendEntry<'_>> = standings
        .into_iter()
        .filter(|standing| shown.iter().any(|(_, other)| other == standing))
        .map(|standing| {
            let (marker, colour) = standing.look();
            (LegendSymbol::Mark(marker, colour), standing.describe())
        })
        .collect();
    let room = WIDTH - 2.0 * MARGIN;
    let top = HEAD + legend_height(&entries, room) + 12.0;
    let bottom = top + numbers::count(shown.len()) * ROW + 8.0;
    let area = Area { left: PLOT_LEFT, top, right: PLOT_RIGHT, bottom };
    let axis = axis(&shown);
    Some(texts.picture((WIDTH, bottom + 70.0), |canvas| {
        draw_legend(canvas, (MARGIN, HEAD + 6.0), &entries, room);
        draw_axis(canvas, area, axis, &f1, shown.first().map(|(row, _)| *row));
        for (at, ((row, standing), label)) in shown.iter().zip(&labels).enumerate() {
            let y = top + (numbers::count(at) + 0.5) * ROW + 4.0;
            draw_row(canvas, (area, axis), y, row, *standing, label);
        }
    }))
}

/// The values of a trial's swept settings.
fn settings(row: &LeaderboardRow) -> String {
    let params = row.params.0.iter();
    params.map(|(name, value)| format!("{name} {}", figures::value(value))).collect::<Vec<_>>().join(", ")
}

/// The axis of the figures, which holds every interval.
fn axis(shown: &[(&LeaderboardRow, Standing)]) -> Axis {
    let ends = shown.iter().filter_map(|(row, _)| row.test.as_ref());
    Axis::around(ends.flat_map(|test| [test.f1_low, test.f1, test.f1_high]), 0.04, f64::INFINITY)
}

/// Draws the band of the leader's interval, grid, figures and title of the axis.
fn draw_axis(canvas: &mut Canvas, area: Area, axis: Axis, title: &str, first: Option<&LeaderboardRow>) {
    let across = |figure: f64| axis.position(figure).map(|at| area.left + at * area.width());
    let band = first.and_then(|row| row.test.as_ref());
    if let Some((left, right)) = band.and_then(|test| across(test.f1_low).zip(across(test.f1_high))) {
        canvas.rectangle(Area { left, right, ..area }, VERMILLION.mix(WHITE, 0.9));
    }
    for tick in axis.ticks(7).into_iter().filter(|tick| (0.0..=1.0).contains(&tick.at)) {
        let Some(x) = across(tick.at) else { continue };
        canvas.line(&[(x, area.top), (x, area.bottom)], Stroke::solid(GRID, 1.0));
        let label = Label::new(TICK_SIZE, INK).anchor(Anchor::Middle);
        canvas.text((x, area.bottom + 18.0), &tick.label, label);
    }
    let title = text::fit(title, TITLE_SIZE, area.width());
    let label = Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle);
    canvas.text((area.middle().0, area.bottom + 46.0), &title, label);
}

/// Draws a trial: rank, number and settings, dot and interval, and its figures.
fn draw_row(
    canvas: &mut Canvas,
    (area, axis): (Area, Axis),
    y: f64,
    row: &LeaderboardRow,
    standing: Standing,
    settings: &str,
) {
    let Some(test) = &row.test else { return };
    let (marker, colour) = standing.look();
    let rank = row.rank.map_or_else(String::new, |rank| rank.to_string());
    canvas.text((MARGIN + 30.0, y), &rank, Label::new(TICK_SIZE, SOFT).anchor(Anchor::End));
    canvas.text((MARGIN + 42.0, y), &row.trial.to_string(), Label::new(TICK_SIZE, INK));
    let room = area.left - MARGIN - 112.0;
    canvas.text((MARGIN + 96.0, y), &text::fit(settings, TICK_SIZE, room), Label::new(TICK_SIZE, INK));
    let across = |figure: f64| axis.position(figure).map(|at| area.left + at * area.width());
    if let Some((low, high)) = across(test.f1_low).zip(across(test.f1_high)) {
        canvas.line(&[(low, y), (high, y)], Stroke::solid(colour.mix(WHITE, 0.25), 2.0));
        for end in [low, high] {
            canvas.line(&[(end, y - 4.0), (end, y + 4.0)], Stroke::solid(colour.mix(WHITE, 0.25), 2.0));
        }
    }
    if let Some(x) = across(test.f1) {
        mark(canvas, (x, y), marker, 5.0, colour);
    }
    let tie = if standing == Standing::Tied { " ≈" } else { "" };
    let figures =
        format!("{} {}{tie}", figures::share(test.f1), figures::interval(test.f1_low, test.f1_high));
    canvas.text((area.right + 16.0, y), &figures, Label::new(TICK_SIZE, INK));
}
