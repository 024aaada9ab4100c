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
/// Where the dots begin and end: trials and their settings stand to the left, figures to the right.
const PLOT: (f64, f64) = (560.0, 980.0);
/// Where the settings begin, which have columns up to the dots.
const SETTINGS_LEFT: f64 = MARGIN + 96.0;
/// Room between columns.
const GAP: f64 = 14.0;
/// Least width that is kept for a setting's name.
const NAME_MIN: f64 = 62.0;
/// What a column may be wider than its values.
const SPARE_MAX: f64 = 60.0;
/// Settings that have columns.
const COLUMNS_MAX: usize = 6;

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
    let columns = Columns::new(board, &shown);
    let texts = texts(study, board, &f1, (shown.len(), ranked.len()), &columns);
    let entries = entries(&shown);
    let room = WIDTH - 2.0 * MARGIN;
    let top = HEAD + legend_height(&entries, room) + 36.0;
    let bottom = top + numbers::count(shown.len()) * ROW + 8.0;
    let area = Area { left: PLOT.0, top, right: PLOT.1, bottom };
    let axis = axis(&shown);
    Some(texts.picture((WIDTH, bottom + 70.0), |canvas| {
        draw_legend(canvas, (MARGIN, HEAD + 6.0), &entries, room);
        draw_axis(canvas, area, axis, &f1, shown.first().map(|(row, _)| *row));
        columns.draw(canvas, top);
        for (at, (row, standing)) in shown.iter().enumerate() {
            draw_row(canvas, (area, axis), middle(top, at), row, *standing);
        }
    }))
}

/// The texts around the dots of `shown` trials of `ranked`.
fn texts(
    study: &Study,
    board: &Leaderboard,
    f1: &str,
    (shown, ranked): (usize, usize),
    columns: &Columns,
) -> Texts {
    let mut texts = Texts {
        title: format!("{} · leaderboard", study.sweep),
        subtitle: format!("{f1} with its 95 % interval, which covers the choice of test documents"),
        notes: Vec::new(),
    };
    if ranked > shown {
        texts.notes.push(format!("The first {shown} of {ranked} ranked trials."));
    }
    if board.swept.len() > COLUMNS_MAX {
        texts.notes.push(format!("The first {COLUMNS_MAX} of {} settings.", board.swept.len()));
    }
    texts.explain(columns.all.iter().flat_map(|column| &column.values));
    texts
}

/// The legend of the kinds of trials that are shown.
fn entries(shown: &[(&LeaderboardRow, Standing)]) -> Vec<LegendEntry<'static>> {
    let standings =
        [Standing::Leads, Standing::Tied, Standing::Behind, Standing::Uncompared, Standing::Unfit];
    standings
        .into_iter()
        .filter(|standing| shown.iter().any(|(_, other)| other == standing))
        .map(|standing| {
            let (marker, colour) = standing.look();
            (LegendSymbol::Mark(marker, colour), standing.describe())
        })
        .collect()
}

/// The height of the middle of a row.
fn middle(top: f64, row: usize) -> f64 {
    top + (numbers::count(row) + 0.5) * ROW + 4.0
}

/// The columns of the settings.
struct Columns {
    all: Vec<Column>,
}

/// A setting's name and its value in each trial.
struct Column {
    name: String,
    values: Vec<String>,
    /// Width of the widest value, and of the least that is left of a name.
    width: f64,
}

impl Columns {
    fn new(board: &Leaderboard, shown: &[(&LeaderboardRow, Standing)]) -> Self {
        let value = |row: &LeaderboardRow, name: &String| {
            let found = row.params.0.iter().find(|(key, _)| key == name);
            found.map_or_else(|| figures::NOTHING.to_owned(), |(_, value)| figures::value(value))
        };
        let column = |name: &String| {
            let values: Vec<String> = shown.iter().map(|(row, _)| value(row, name)).collect();
            let widths = values.iter().map(|value| text::width(value, TICK_SIZE, false));
            let least = text::width(name, TICK_SIZE, false).min(NAME_MIN);
            Column { name: name.clone(), width: widths.fold(least, f64::max), values }
        };
        Self { all: board.swept.iter().take(COLUMNS_MAX).map(column).collect() }
    }

    /// The width of each column, so that all of them have room: the widest ones are made narrower first.
    fn widths(&self) -> Vec<f64> {
        let room = PLOT.0 - SETTINGS_LEFT - GAP * numbers::count(self.all.len());
        let mut sorted: Vec<f64> = self.all.iter().map(|column| column.width).collect();
        sorted.sort_by(f64::total_cmp);
        let (mut left, mut most) = (room, f64::INFINITY);
        for (at, width) in sorted.iter().enumerate() {
            let share = left / numbers::count(sorted.len() - at);
            if *width > share {
                most = share;
                break;
            }
            left -= width;
        }
        let spare = if most.is_finite() { 0.0 } else { left / numbers::count(sorted.len().max(1)) };
        self.all.iter().map(|column| column.width.min(most) + spare.min(SPARE_MAX)).collect()
    }

    fn draw(&self, canvas: &mut Canvas, top: f64) {
        let mut x = SETTINGS_LEFT;
        for (Column { name, values, .. }, width) in self.all.iter().zip(self.widths()) {
            canvas.text((x, top - 12.0), &text::fit(name, TICK_SIZE, width), Label::new(TICK_SIZE, SOFT));
            for (row, value) in values.iter().enumerate() {
                let value = text::fit(value, TICK_SIZE, width);
                canvas.text((x, middle(top, row)), &value, Label::new(TICK_SIZE, INK));
            }
            x += width + GAP;
        }
    }
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

/// Draws a trial: rank and number, dot and interval, and its figures.
fn draw_row(
    canvas: &mut Canvas,
    (area, axis): (Area, Axis),
    y: f64,
    row: &LeaderboardRow,
    standing: Standing,
) {
    let Some(test) = &row.test else { return };
    let (marker, colour) = standing.look();
    let rank = row.rank.map_or_else(String::new, |rank| rank.to_string());
    canvas.text((MARGIN + 30.0, y), &rank, Label::new(TICK_SIZE, SOFT).anchor(Anchor::End));
    canvas.text((MARGIN + 42.0, y), &row.trial.to_string(), Label::new(TICK_SIZE, INK));
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
