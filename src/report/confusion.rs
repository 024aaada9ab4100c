//! The picture of a trial's confusion matrix on the test set.

use super::{
    canvas::{Anchor, Area, Canvas, Label, Point, Stroke},
    error::ReportError,
    names,
    palette::{GRID, INK, SOFT, heat},
    panel::{TICK_SIZE, TITLE_SIZE},
    text,
};
use crate::{
    leaderboard::figures,
    metrics::{Confusion, Scores},
    study::{Study, TrialRecord},
};

/// Height above the matrix for the title.
const HEAD: f64 = 122.0;
/// Largest width of a class name.
const NAME_WIDTH_MAX: f64 = 230.0;
/// Least side of a cell that has room for a count and a percentage.
const PERCENTAGE_CELL_MIN: f64 = 52.0;
/// Least side of a cell that has room for a count.
const COUNT_CELL_MIN: f64 = 20.0;
/// Least side of a cell that stands apart from its neighbours.
const GAP_CELL_MIN: f64 = 12.0;
/// Least size of a count that can be read.
const COUNT_SIZE_MIN: f64 = 9.0;
/// Number of classes from which on every fifth boundary between cells is stronger.
const FIFTHS_FROM: usize = 11;

/// The measures of a picture, in logical pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct MatrixLayout {
    /// Side of a cell.
    cell: f64,
    matrix: Area,
    width: u32,
    height: u32,
    /// Whether the class names below the matrix are horizontal; else they run upwards.
    has_horizontal_names: bool,
}

impl MatrixLayout {
    /// The largest cells with which the picture of these classes has a reasonable size.
    fn new(names: &[String]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "few classes")]
        let classes = names.len().max(1) as f64;
        let cell = (620.0 / classes).clamp(54.0, 240.0).min(1200.0 / classes).max(1.0);
        let side = cell * classes;
        let widest = names.iter().map(|name| text::width(name, TICK_SIZE, false)).fold(0.0, f64::max);
        let left = 36.0 + 34.0 + widest.min(NAME_WIDTH_MAX) + 12.0;
        let has_horizontal_names = widest <= cell - 8.0;
        let below = if has_horizontal_names { 30.0 } else { widest.min(NAME_WIDTH_MAX) + 16.0 } + 48.0;
        let matrix = Area { left, top: HEAD, right: left + side, bottom: HEAD + side };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2,000 pixels")]
        let pixels = |length: f64| length.ceil() as u32;
        let width = pixels((matrix.right + 150.0).max(760.0));
        Self { cell, matrix, width, height: pixels(matrix.bottom + below), has_horizontal_names }
    }
}

/// Draws the picture.
pub(super) fn png(record: &TrialRecord, study: &Study) -> Result<Vec<u8>, ReportError> {
    let outcome = record.outcome.as_ref();
    let outcome =
        outcome.ok_or(ReportError::NothingToDraw { trial: record.trial.id, what: "test result" })?;
    let test = &outcome.test;
    let classes = names::classes(&study.labels, test.confusion.classes());
    let is_transliterated = classes.iter().any(|name| text::is_transliterated(name));
    let names = names::distinct(&classes, TICK_SIZE, NAME_WIDTH_MAX);
    let layout = MatrixLayout::new(&names);
    let note = if is_transliterated { 30 } else { 0 };
    let mut canvas = Canvas::new(layout.width, layout.height + note);
    head(&mut canvas, record, study, test);
    cells(&mut canvas, &layout, &test.confusion);
    guides(&mut canvas, &layout, names.len());
    class_names(&mut canvas, &layout, &names);
    scale(&mut canvas, layout.matrix);
    if is_transliterated {
        let room = f64::from(layout.width) - 2.0 * 36.0;
        let note = text::fit(text::TRANSLITERATED, TICK_SIZE, room);
        canvas.text((36.0, f64::from(layout.height) + 8.0), &note, Label::new(TICK_SIZE, SOFT));
    }
    canvas.png()
}

/// Draws title, parameters and figures above the matrix.
fn head(canvas: &mut Canvas, record: &TrialRecord, study: &Study, test: &Scores) {
    let room = canvas.size().0 - 72.0;
    let title = format!("{} · trial {} · test set", study.sweep, record.trial.id);
    canvas.text((36.0, 36.0), &text::fit(&title, 22.0, room * 0.87), Label::new(22.0, INK).bold());
    let params = record.trial.params.0.iter();
    let params: Vec<String> =
        params.map(|(name, value)| format!("{name} = {}", figures::value(value))).collect();
    canvas.text(
        (36.0, 66.0),
        &text::fit(&params.join("    "), TITLE_SIZE, room),
        Label::new(TITLE_SIZE, INK),
    );
    let figures = format!(
        "{} documents · accuracy {} · {} {} {}",
        test.confusion.total(),
        figures::share(test.accuracy),
        names::f1(test.target(), &study.labels),
        figures::share(test.f1),
        figures::interval(test.f1_low, test.f1_high),
    );
    canvas.text((36.0, 92.0), &text::fit(&figures, TITLE_SIZE, room), Label::new(TITLE_SIZE, SOFT));
}

/// Colours each cell by its share of the row, and writes its figures.
fn cells(canvas: &mut Canvas, layout: &MatrixLayout, confusion: &Confusion) {
    let MatrixLayout { cell, matrix, .. } = *layout;
    // What is seen between the cells: a guide from each name to its cells.
    canvas.rectangle(matrix, GRID);
    for (row, counts) in confusion.rows().iter().enumerate() {
        let total: u64 = counts.iter().sum();
        for (column, &count) in counts.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
            let share = if total == 0 { 0.0 } else { count as f64 / total as f64 };
            #[expect(clippy::cast_precision_loss, reason = "few classes")]
            let (left, top) = (matrix.left + column as f64 * cell, matrix.top + row as f64 * cell);
            let gap = if cell >= GAP_CELL_MIN { 1.0 } else { 0.0 };
            let area = Area { left: left + gap, top: top + gap, right: left + cell, bottom: top + cell };
            canvas.rectangle(area, heat(share));
            let middle = (left + cell / 2.0, top + cell / 2.0);
            write_figures(canvas, &Cell { middle, side: cell, count, share });
        }
    }
}

/// Draws a frame around the matrix and around the cells of right predictions, and a stronger line at every
/// fifth boundary of many classes.
fn guides(canvas: &mut Canvas, layout: &MatrixLayout, classes: usize) {
    let MatrixLayout { cell, matrix, .. } = *layout;
    #[expect(clippy::cast_precision_loss, reason = "few classes")]
    let along = |class: usize| class as f64 * cell;
    if classes >= FIFTHS_FROM {
        let stroke = Stroke::solid(GRID.mix(INK, 0.28), 1.2);
        for class in (5..classes).step_by(5) {
            let (x, y) = (matrix.left + along(class), matrix.top + along(class));
            canvas.line(&[(x, matrix.top), (x, matrix.bottom)], stroke);
            canvas.line(&[(matrix.left, y), (matrix.right, y)], stroke);
        }
    }
    for class in (0..classes).filter(|_| cell >= GAP_CELL_MIN) {
        let (left, top) = (matrix.left + along(class), matrix.top + along(class));
        frame(canvas, Area { left, top, right: left + cell, bottom: top + cell });
    }
    frame(canvas, matrix);
}

/// Draws a thin line around an area.
fn frame(canvas: &mut Canvas, Area { left, top, right, bottom }: Area) {
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    canvas.line(&corners, Stroke::solid(SOFT, 1.0));
}

/// A cell of the matrix.
struct Cell {
    middle: Point,
    side: f64,
    /// Number of documents.
    count: u64,
    /// Share of the documents of the row, 0 to 1.
    share: f64,
}

/// Writes count and percentage into a cell, as far as there is room.
fn write_figures(canvas: &mut Canvas, cell: &Cell) {
    let &Cell { middle: (x, y), side, count, share } = cell;
    // Nearly all cells off the diagonal of a large matrix hold 0, which would only distract.
    if side < COUNT_CELL_MIN || (count == 0 && side < 100.0) {
        return;
    }
    let count = count.to_string();
    let size = (side * 0.17).clamp(15.0, 30.0).min(side * 0.62);
    let widest = text::width(&count, 1.0, true).max(0.1);
    let size = size.min((side - 4.0) / widest);
    if size < COUNT_SIZE_MIN {
        return;
    }
    let label = Label::new(size, heat(share).readable()).anchor(Anchor::Middle);
    if side < PERCENTAGE_CELL_MIN {
        canvas.text((x, y), &count, label);
        return;
    }
    canvas.text((x, y - size * 0.62), &count, label.bold());
    let percent = format!("{:.0} %", 100.0 * share);
    canvas.text((x, y + size * 0.68), &percent, Label { size: (size * 0.75).max(13.0), ..label });
}

/// Draws the names of the classes and the titles of rows and columns.
fn class_names(canvas: &mut Canvas, layout: &MatrixLayout, names: &[String]) {
    let MatrixLayout { cell, matrix, has_horizontal_names, .. } = *layout;
    let label = Label::new(TICK_SIZE, INK);
    // Names must not overlap: with many classes, only every second, third … class is named.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let every = (20.0 / cell).ceil().max(1.0) as usize;
    for (class, name) in names.iter().enumerate().step_by(every) {
        #[expect(clippy::cast_precision_loss, reason = "few classes")]
        let along = (class as f64 + 0.5) * cell;
        canvas.text((matrix.left - 10.0, matrix.top + along), name, label.anchor(Anchor::End));
        if has_horizontal_names {
            let at = (matrix.left + along, matrix.bottom + 18.0);
            canvas.text(at, name, label.anchor(Anchor::Middle));
        } else {
            let at = (matrix.left + along, matrix.bottom + 10.0);
            canvas.text(at, name, label.upwards().anchor(Anchor::End));
        }
    }
    let title = Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle);
    let (across, down) = matrix.middle();
    canvas.text((across, f64::from(layout.height) - 24.0), "predicted class", title);
    canvas.text((40.0, down), "true class", title.upwards());
}

/// Draws the colour scale to the right of the matrix.
fn scale(canvas: &mut Canvas, matrix: Area) {
    let (left, right) = (matrix.right + 34.0, matrix.right + 56.0);
    let height = matrix.height();
    let steps = 128;
    for step in 0..steps {
        let at = |step: i32| matrix.bottom - height * f64::from(step) / f64::from(steps);
        let colour = heat((f64::from(step) + 0.5) / f64::from(steps));
        canvas.rectangle(Area { left, right, top: at(step + 1), bottom: at(step) }, colour);
    }
    frame(canvas, Area { left, right, ..matrix });
    for percent in [0, 25, 50, 75, 100] {
        let y = matrix.bottom - height * f64::from(percent) / 100.0;
        canvas.line(&[(right, y), (right + 5.0, y)], Stroke::solid(SOFT, 1.0));
        canvas.text((right + 9.0, y), &format!("{percent} %"), Label::new(TICK_SIZE, INK));
    }
    canvas.text(
        (right + 70.0, matrix.middle().1),
        "share of the true class",
        Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle).upwards(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_any_number_of_classes_has_room_for_its_names_and_no_giant_size() {
        for classes in [1, 2, 3, 20, 77, 150, 1_000] {
            let names: Vec<String> =
                (0..classes).map(|class| format!("a rather long class name {class}")).collect();
            let layout = MatrixLayout::new(&names);
            assert!(
                layout.matrix.left > NAME_WIDTH_MAX && !layout.has_horizontal_names || classes <= 2,
                "{layout:?}"
            );
            assert!(layout.width <= 1_700 && layout.height <= 1_700, "{layout:?}");
            assert!(f64::from(layout.width) >= layout.matrix.right + 150.0);
        }
    }

    #[test]
    fn fifty_classes_all_have_their_names_and_counts_of_three_digits() {
        let layout = MatrixLayout::new(&vec!["a name".to_owned(); 50]);
        assert!(layout.cell >= TICK_SIZE + 4.0 && layout.cell >= COUNT_CELL_MIN);
        let size = (layout.cell - 4.0) / text::width("888", 1.0, true);
        assert!(size >= COUNT_SIZE_MIN, "{size}");
    }

    #[test]
    fn twenty_classes_still_show_counts_and_shares() {
        let names = vec!["体育".to_owned(); 20];
        let layout = MatrixLayout::new(&names);
        assert!(layout.cell >= PERCENTAGE_CELL_MIN && layout.has_horizontal_names, "{layout:?}");
    }
}
