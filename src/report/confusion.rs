//! The picture of a trial's confusion on the test set.

use super::{
    ReportError,
    canvas::{Anchor, Area, Canvas, Label, Stroke},
    palette::{INK, SOFT, heat},
    panel::{TICK_SIZE, TITLE_SIZE},
    text,
};
use crate::{
    leaderboard::figures,
    metrics::{Confusion, Scores},
    study::{Study, TrialRecord},
};

/// Room above the matrix for the title.
const HEAD: f64 = 122.0;
/// Widest class name.
const NAME_ROOM: f64 = 190.0;
/// Least side of a cell that holds a percentage below its count.
const BOTH_MIN: f64 = 52.0;
/// Least side of a cell that holds a count.
const COUNT_MIN: f64 = 34.0;

/// The measures of a picture with this many classes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Layout {
    cell: f64,
    matrix: Area,
    width: u32,
    height: u32,
    upright: bool,
}

impl Layout {
    /// Cells as large as a picture of reasonable size lets them be.
    fn new(names: &[String]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "few classes")]
        let classes = names.len().max(1) as f64;
        let cell = (620.0 / classes).clamp(54.0, 240.0).min(1200.0 / classes).max(1.0);
        let side = cell * classes;
        let widest = names.iter().map(|name| text::width(name, TICK_SIZE, false)).fold(0.0, f64::max);
        let left = 36.0 + 34.0 + widest.min(NAME_ROOM) + 12.0;
        let upright = widest <= cell - 8.0;
        let below = if upright { 30.0 } else { widest.min(NAME_ROOM) + 16.0 } + 48.0;
        let matrix = Area { left, top: HEAD, right: left + side, bottom: HEAD + side };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2,000 pixels")]
        let pixels = |length: f64| length.ceil() as u32;
        let width = pixels((matrix.right + 150.0).max(760.0));
        Self { cell, matrix, width, height: pixels(matrix.bottom + below), upright }
    }
}

/// Draws the picture.
pub(super) fn png(record: &TrialRecord, study: &Study) -> Result<Vec<u8>, ReportError> {
    let outcome = record.outcome.as_ref();
    let outcome =
        outcome.ok_or(ReportError::NothingToDraw { trial: record.trial.id, what: "test result" })?;
    let test = &outcome.test;
    let names: Vec<String> = (0..test.confusion.classes())
        .map(|class| study.labels.get(class).map_or_else(|| class.to_string(), |label| figures::plain(label)))
        .collect();
    let layout = Layout::new(&names);
    let mut canvas = Canvas::new(layout.width, layout.height);
    head(&mut canvas, record, study, test);
    cells(&mut canvas, &layout, &test.confusion);
    class_names(&mut canvas, &layout, &names);
    scale(&mut canvas, layout.matrix);
    canvas.png()
}

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
        test.target().f1_name(),
        figures::share(test.f1),
        figures::interval(test.f1_low, test.f1_high),
    );
    canvas.text((36.0, 92.0), &text::fit(&figures, TITLE_SIZE, room), Label::new(TITLE_SIZE, SOFT));
}

/// Fills each cell by its share of the row, and writes what fits.
fn cells(canvas: &mut Canvas, layout: &Layout, confusion: &Confusion) {
    let Layout { cell, matrix, .. } = *layout;
    for (row, counts) in confusion.rows().iter().enumerate() {
        let total: u64 = counts.iter().sum();
        for (column, &count) in counts.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
            let share = if total == 0 { 0.0 } else { count as f64 / total as f64 };
            #[expect(clippy::cast_precision_loss, reason = "few classes")]
            let (left, top) = (matrix.left + column as f64 * cell, matrix.top + row as f64 * cell);
            let gap = if cell >= 12.0 { 1.0 } else { 0.0 };
            let area = Area { left: left + gap, top: top + gap, right: left + cell, bottom: top + cell };
            canvas.rectangle(area, heat(share));
            let label = Label::new(0.0, heat(share).readable()).anchor(Anchor::Middle);
            let middle = (left + cell / 2.0, top + cell / 2.0);
            write_cell(canvas, middle, (count, share, cell), label);
        }
    }
    let Area { left, top, right, bottom } = matrix;
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    canvas.line(&corners, Stroke::solid(SOFT, 1.0));
}

fn write_cell(canvas: &mut Canvas, (x, y): (f64, f64), (count, share, cell): (u64, f64, f64), label: Label) {
    // Off the diagonal of a large matrix nearly all is 0, which is noise to a reader.
    if cell < COUNT_MIN || (count == 0 && cell < 100.0) {
        return;
    }
    let count = count.to_string();
    let size = (cell * 0.17).clamp(15.0, 30.0);
    let widest = text::width(&count, 1.0, true).max(0.1);
    let size = size.min((cell - 8.0) / widest).max(9.0);
    if cell < BOTH_MIN {
        canvas.text((x, y), &count, Label { size, ..label });
        return;
    }
    canvas.text((x, y - size * 0.62), &count, Label { size, ..label }.bold());
    let percent = format!("{:.0} %", 100.0 * share);
    canvas.text((x, y + size * 0.68), &percent, Label { size: (size * 0.75).max(13.0), ..label });
}

fn class_names(canvas: &mut Canvas, layout: &Layout, names: &[String]) {
    let Layout { cell, matrix, upright, .. } = *layout;
    let label = Label::new(TICK_SIZE, INK);
    // Names must not run into each other: of many classes, every second, third … is named.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let every = (20.0 / cell).ceil().max(1.0) as usize;
    for (class, name) in names.iter().enumerate().step_by(every) {
        let name = text::fit(name, TICK_SIZE, NAME_ROOM);
        #[expect(clippy::cast_precision_loss, reason = "few classes")]
        let along = (class as f64 + 0.5) * cell;
        canvas.text((matrix.left - 10.0, matrix.top + along), &name, label.anchor(Anchor::End));
        if upright {
            let at = (matrix.left + along, matrix.bottom + 18.0);
            canvas.text(at, &name, label.anchor(Anchor::Middle));
        } else {
            let at = (matrix.left + along, matrix.bottom + 10.0);
            canvas.text(at, &name, label.upwards().anchor(Anchor::End));
        }
    }
    let title = Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle);
    let (across, down) = matrix.middle();
    canvas.text((across, canvas.size().1 - 24.0), "predicted class", title);
    canvas.text((40.0, down), "true class", title.upwards());
}

/// What the colours mean, to the right of the matrix.
fn scale(canvas: &mut Canvas, matrix: Area) {
    let (left, right) = (matrix.right + 34.0, matrix.right + 56.0);
    let height = matrix.height();
    let steps = 128;
    for step in 0..steps {
        let at = |step: i32| matrix.bottom - height * f64::from(step) / f64::from(steps);
        let colour = heat((f64::from(step) + 0.5) / f64::from(steps));
        canvas.rectangle(Area { left, right, top: at(step + 1), bottom: at(step) }, colour);
    }
    let (top, bottom) = (matrix.top, matrix.bottom);
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    canvas.line(&corners, Stroke::solid(SOFT, 1.0));
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
            let layout = Layout::new(&names);
            assert!(layout.matrix.left > NAME_ROOM && !layout.upright || classes <= 2, "{layout:?}");
            assert!(layout.width <= 1_700 && layout.height <= 1_700, "{layout:?}");
            assert!(f64::from(layout.width) >= layout.matrix.right + 150.0);
        }
    }

    #[test]
    fn twenty_classes_still_show_counts_and_shares() {
        let names = vec!["体育".to_owned(); 20];
        let layout = Layout::new(&names);
        assert!(layout.cell >= BOTH_MIN && layout.upright, "{layout:?}");
    }
}
