//! Two settings of a grid as a map of cells.

use super::frame::{HEAD, MARGIN, Texts, WIDTH};
use crate::{
    effects::{Effects, HeatMap},
    leaderboard::figures,
    numbers,
    report::{
        canvas::{Anchor, Area, Canvas, Label, Stroke},
        error::ReportError,
        names,
        palette::{Colour, GRID, INK, SOFT, heat},
        panel::{TICK_SIZE, TITLE_SIZE},
        text,
    },
    study::Study,
};

/// Largest width of the name of a value.
const NAME_MAX: f64 = 190.0;
/// The least colour of a cell with a figure, so that it is told from an empty one.
const LEAST: f64 = 0.06;
/// Widths of a cell from which its figure and its number of trials have room.
const FIGURE_FROM: f64 = 40.0;
const TRIALS_FROM: f64 = 84.0;

/// Where cells are, and the range of their figures.
struct Layout {
    area: Area,
    cell: (f64, f64),
    low: f64,
    high: f64,
}

/// Draws the picture; `None` without two grid settings of which at least four cells have a trial.
pub(in crate::report) fn png(study: &Study, effects: &Effects) -> Option<Result<Vec<u8>, ReportError>> {
    let map = effects.heat_map.as_ref()?;
    let figures: Vec<f64> = map.cells.iter().flatten().filter_map(|cell| cell.mean).collect();
    if figures.len() < 4 {
        return None;
    }
    let f1 = names::f1(study.target, &study.labels);
    let [rows, columns] =
        [&map.rows, &map.columns].map(|values| values.iter().map(figures::value).collect::<Vec<_>>());
    let mut texts = Texts {
        title: format!("{} · {} and {}", study.sweep, map.row_setting, map.column_setting),
        subtitle: format!(
            "mean {} in each cell, over all other settings",
            effects.figure_name().replace("F1", &f1)
        ),
        notes: notes(effects, map),
    };
    texts.explain(rows.iter().chain(&columns));
    let rows = names::distinct(&rows, TICK_SIZE, NAME_MAX);
    let layout = Layout::new(map, &rows, &figures);
    let shown = names::distinct(&columns, TICK_SIZE, NAME_MAX);
    let are_wide = shown.iter().any(|name| text::width(name, TICK_SIZE, false) > layout.cell.0 - 8.0);
    let widest = shown.iter().map(|name| text::width(name, TICK_SIZE, false)).fold(0.0, f64::max);
    let below = if are_wide { widest + 18.0 } else { 32.0 };
    Some(texts.picture((WIDTH, layout.area.bottom + below + 40.0), |canvas| {
        cells(canvas, &layout, map);
        draw_names(canvas, &layout, &rows, &shown, are_wide);
        let title = Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle);
        let middle = layout.area.middle();
        canvas.text((middle.0, layout.area.bottom + below + 14.0), &map.column_setting, title);
        let name = text::fit(&map.row_setting, TITLE_SIZE, layout.area.height() + 60.0);
        canvas.text((MARGIN, middle.1), &name, title.upwards());
        scale(canvas, &layout);
    }))
}

/// Writes the names of the values beside the rows and below the columns: upwards, if some are wide.
fn draw_names(canvas: &mut Canvas, layout: &Layout, rows: &[String], shown: &[String], are_wide: bool) {
    for (at, name) in rows.iter().enumerate() {
        let y = layout.area.top + (numbers::count(at) + 0.5) * layout.cell.1;
        canvas.text((layout.area.left - 12.0, y), name, Label::new(TICK_SIZE, INK).anchor(Anchor::End));
    }
    for (at, name) in shown.iter().enumerate() {
        let x = layout.area.left + (numbers::count(at) + 0.5) * layout.cell.0;
        let label = Label::new(TICK_SIZE, INK);
        if are_wide {
            canvas.text((x, layout.area.bottom + 12.0), name, label.anchor(Anchor::End).upwards());
        } else {
            canvas.text((x, layout.area.bottom + 18.0), name, label.anchor(Anchor::Middle));
        }
    }
}

fn notes(effects: &Effects, map: &HeatMap) -> Vec<String> {
    let empty = map.cells.iter().flatten().filter(|cell| cell.mean.is_none()).count();
    let empty = (empty > 0).then(|| format!("{empty} empty cells: no trial there can be compared."));
    empty.into_iter().chain(effects.notes.iter().cloned()).collect()
}

impl Layout {
    fn new(map: &HeatMap, rows: &[String], figures: &[f64]) -> Self {
        let widest = rows.iter().map(|name| text::width(name, TICK_SIZE, false)).fold(0.0, f64::max);
        let left = MARGIN + 28.0 + widest + 16.0;
        let room = WIDTH - MARGIN - 130.0 - left;
        let count = |values: usize| numbers::count(values.max(1));
        let width = (room / count(map.columns.len())).min(170.0);
        let height = (620.0 / count(map.rows.len())).clamp(26.0, 72.0);
        let (right, bottom) =
            (left + width * count(map.columns.len()), HEAD + 8.0 + height * count(map.rows.len()));
        let low = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let high = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { area: Area { left, top: HEAD + 8.0, right, bottom }, cell: (width, height), low, high }
    }

    /// The colour of a figure.
    fn colour(&self, figure: f64) -> Colour {
        let share = if self.high > self.low { (figure - self.low) / (self.high - self.low) } else { 0.5 };
        heat(LEAST + (1.0 - LEAST) * share)
    }
}

fn cells(canvas: &mut Canvas, layout: &Layout, map: &HeatMap) {
    let (width, height) = layout.cell;
    for (row, cells) in map.cells.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let left = layout.area.left + numbers::count(column) * width;
            let top = layout.area.top + numbers::count(row) * height;
            let area = Area {
                left: left + 1.0,
                top: top + 1.0,
                right: left + width - 1.0,
                bottom: top + height - 1.0,
            };
            let Some(mean) = cell.mean else {
                let middle = area.middle();
                canvas.text(middle, figures::NOTHING, Label::new(TICK_SIZE, SOFT).anchor(Anchor::Middle));
                continue;
            };
            let colour = layout.colour(mean);
            canvas.rectangle(area, colour);
            if width < FIGURE_FROM {
                continue;
            }
            let mut shown = figures::share(mean);
            if width >= TRIALS_FROM && cell.trials > 1 {
                shown = format!("{shown} ({})", cell.trials);
            }
            let label = Label::new(TICK_SIZE, colour.readable()).anchor(Anchor::Middle);
            canvas.text(area.middle(), &shown, label);
        }
    }
    let Area { left, top, right, bottom } = layout.area;
    let corners = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)];
    canvas.line(&corners, Stroke::solid(GRID.mix(INK, 0.2), 1.0));
}

/// Draws the scale of the colours to the right of the cells.
fn scale(canvas: &mut Canvas, layout: &Layout) {
    let (left, steps) = (layout.area.right + 26.0, 40_u8);
    let (top, height) = (layout.area.top, layout.area.height().clamp(60.0, 260.0));
    for step in 0..steps {
        let at = |step: u8| top + height * (1.0 - f64::from(step) / f64::from(steps));
        let share = (f64::from(step) + 0.5) / f64::from(steps);
        let colour = layout.colour(layout.low + share * (layout.high - layout.low));
        canvas.rectangle(Area { left, right: left + 18.0, top: at(step + 1), bottom: at(step) }, colour);
    }
    for (y, figure) in [(top + 7.0, layout.high), (top + height - 7.0, layout.low)] {
        canvas.text((left + 28.0, y), &figures::share(figure), Label::new(TICK_SIZE, INK));
    }
}
