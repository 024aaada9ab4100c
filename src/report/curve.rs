//! The picture of one trial: its losses and its validation F1 by epoch.

use super::{
    axis::{Axis, Tick},
    canvas::{Anchor, Area, Canvas, Label, Point, Stroke},
    curve_points::{self, Series},
    error::ReportError,
    names,
    palette::{BLUE, Colour, GREEN, INK, ORANGE, SOFT, VERMILLION, WHITE},
    panel::{Frame, LEGEND_HEIGHT, LegendSymbol, Marker, Panel, TICK_SIZE, TITLE_SIZE, legend},
    text,
};
use crate::{
    event::Evaluation,
    leaderboard::{
        best_evaluation, figures,
        verdict::{self, Verdict},
    },
    numbers,
    study::{Study, TrialRecord},
    trial::State,
};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 900;
/// Left edge of the plot areas.
const EDGE_LEFT: f64 = 104.0;
/// Right edge of the plot areas.
const EDGE_RIGHT: f64 = 1164.0;
/// Largest number of points with markers. The markers of more points would touch each other.
const MARKERS_MAX: usize = 60;

/// Draws the picture.
pub(super) fn png(record: &TrialRecord, study: &Study) -> Result<Vec<u8>, ReportError> {
    let evaluations = &record.evaluations;
    if evaluations.is_empty() {
        return Err(ReportError::NothingToDraw { trial: record.trial.id, what: "evaluation" });
    }
    let mut canvas = Canvas::new(WIDTH, HEIGHT);
    let below = head(&mut canvas, record, study);
    let x = Axis::of_epochs(evaluations.iter().map(|each| each.epoch));
    let x_ticks = x.epoch_ticks(evaluations.iter().map(|each| each.epoch));
    let best = best_epoch(record).filter(|epoch| x.position(*epoch).is_some());
    let mut losses = Panel { area: area(below + LEGEND_HEIGHT + 34.0, 550.0), x, y: loss_axis(evaluations) };
    if best.is_none() {
        losses.area.top -= 16.0;
    }
    let f1 = Panel { area: area(628.0, 826.0), x, y: f1_axis(evaluations) };
    draw_losses(&mut canvas, &losses, record, &x_ticks);
    let training = series(evaluations, BLUE, |each| each.train_loss);
    let validation = series(evaluations, VERMILLION, |each| each.validation.loss);
    curve_points::draw(&mut canvas, &losses, &[training, validation]);
    let name = f1_name(record, study);
    draw_f1(&mut canvas, &f1, record, &x_ticks, &name);
    let points = evaluations.iter().map(|each| (each.epoch, each.validation.f1)).collect();
    curve_points::draw(&mut canvas, &f1, &[Series { points, colour: GREEN, figure: figures::share }]);
    foot(&mut canvas, record, study, &name);
    canvas.png()
}

/// The name of the F1 that counts.
fn f1_name(record: &TrialRecord, study: &Study) -> String {
    let target = record.evaluations.last().map_or(study.target, |last| last.validation.target());
    names::f1(target, &study.labels)
}

/// Says at the lower edge if a text is transliterated.
fn foot(canvas: &mut Canvas, record: &TrialRecord, study: &Study, f1: &str) {
    let params = record.trial.params.0.iter();
    let mut texts = params.map(|(name, value)| format!("{name} {}", figures::value(value)));
    let is_transliterated = |text: &str| text::is_transliterated(text);
    if is_transliterated(&study.sweep) || is_transliterated(f1) || texts.any(|text| is_transliterated(&text))
    {
        let label = Label::new(TICK_SIZE - 2.0, SOFT).anchor(Anchor::End);
        let note = text::fit(text::TRANSLITERATED, label.size, EDGE_RIGHT - EDGE_LEFT);
        canvas.text((EDGE_RIGHT, f64::from(HEIGHT) - 11.0), &note, label);
    }
}

/// The curve of a loss.
fn series(evaluations: &[Evaluation], colour: Colour, loss: fn(&Evaluation) -> f64) -> Series {
    let points = evaluations.iter().map(|each| (each.epoch, loss(each))).collect();
    Series { points, colour, figure: figures::number }
}

/// The plot area between these heights.
fn area(top: f64, bottom: f64) -> Area {
    Area { left: EDGE_LEFT, top, right: EDGE_RIGHT, bottom }
}

/// Draws title, parameters and outcome. Returns the height at which they end.
fn head(canvas: &mut Canvas, record: &TrialRecord, study: &Study) -> f64 {
    let room = f64::from(WIDTH) - 2.0 * 36.0;
    let title = format!("{} · trial {}{}", study.sweep, record.trial.id, state_in_title(record));
    // `fit` measures the regular font; bold letters are about 15 % wider.
    canvas.text((36.0, 36.0), &text::fit(&title, 24.0, room * 0.87), Label::new(24.0, INK).bold());
    let parts: Vec<String> = record
        .trial
        .params
        .0
        .iter()
        .map(|(name, value)| format!("{name} = {}", figures::shorten(&figures::value(value), 44)))
        .collect();
    let mut y = 70.0;
    for line in text::wrap(&parts, "    ", TITLE_SIZE, room, 2) {
        canvas.text((36.0, y), &line, Label::new(TITLE_SIZE, INK));
        y += 25.0;
    }
    canvas.text(
        (36.0, y),
        &text::fit(&summary(record, study), TITLE_SIZE, room),
        Label::new(TITLE_SIZE, SOFT),
    );
    y + 34.0
}

/// The end of the title: the state of a trial that is not complete, and whether the trial is of no use.
fn state_in_title(record: &TrialRecord) -> String {
    let epoch = record.evaluations.last().map_or(0.0, |last| last.epoch);
    let verdict = verdict::judge(record);
    match (record.state, &record.failure) {
        (State::Failed, Some(failure)) => {
            let failed = if verdict == Some(Verdict::Diverged) { "diverged" } else { "failed" };
            format!(" · {failed} after epoch {}: {}", figures::number(epoch), failure.kind)
        }
        (State::Failed, None) => " · failed".to_owned(),
        (State::Halted, _) => {
            let at = record.rungs.last().map_or(0, |last| last.decision.epoch);
            format!(" · halted after epoch {at}")
        }
        (State::Waiting | State::Running | State::Paused, _) => format!(" · {}", record.state.as_str()),
        (State::Complete, _) => match verdict {
            Some(unfit @ (Verdict::Collapsed | Verdict::Diverged)) => format!(" · {unfit}"),
            Some(Verdict::Overfit | Verdict::Underfit | Verdict::Good) | None => String::new(),
        },
    }
}

/// The line below the title: epochs and test figures.
fn summary(record: &TrialRecord, study: &Study) -> String {
    let planned = record.trial.settings.epochs;
    let run = record.outcome.as_ref().map(|outcome| outcome.epochs_run);
    let run = run.or(record.evaluations.last().map(|last| last.epoch)).unwrap_or(0.0);
    let epochs = if planned == 1 { "epoch" } else { "epochs" };
    let mut parts = vec![format!("{} of {planned} {epochs}", figures::number(run))];
    if let Some(outcome) = &record.outcome {
        if outcome.stopped_early {
            parts[0].push_str(", stopped early");
        }
        let test = &outcome.test;
        parts.push(format!(
            "test {} {} {}",
            names::f1(test.target(), &study.labels),
            figures::share(test.f1),
            figures::interval(test.f1_low, test.f1_high)
        ));
        parts.push(format!("test accuracy {}", figures::share(test.accuracy)));
    }
    parts.join(" · ")
}

/// Epoch of the best parameters, so far if the trial is not complete.
fn best_epoch(record: &TrialRecord) -> Option<f64> {
    let outcome = record.outcome.as_ref().map(|outcome| outcome.best_epoch);
    outcome.or(best_evaluation(&record.evaluations).map(|best| best.epoch))
}

/// An axis for training and validation losses.
fn loss_axis(evaluations: &[Evaluation]) -> Axis {
    Axis::of_losses(evaluations.iter().flat_map(|each| [each.train_loss, each.validation.loss]))
}

/// An axis for the intervals of F1, not much beyond 0 and 1.
fn f1_axis(evaluations: &[Evaluation]) -> Axis {
    let ends = evaluations.iter().flat_map(|each| [each.validation.f1_low, each.validation.f1_high]);
    let (low, high) = ends
        .filter(|end| end.is_finite())
        .fold((1.0_f64, 0.0_f64), |(low, high), end| (low.min(end), high.max(end)));
    if low > high {
        return Axis::linear(0.0, 1.0);
    }
    let margin = (0.06 * (high - low)).max(0.005);
    Axis::linear((low - margin).max(-0.02), (high + margin).min(1.02))
}

/// The colour of the epochs in which the trial overfits.
pub(super) fn overfitting_shade() -> Colour {
    ORANGE.mix(WHITE, 0.76)
}

/// Draws the panel of the losses.
fn draw_losses(canvas: &mut Canvas, panel: &Panel, record: &TrialRecord, x_ticks: &[Tick]) {
    let evaluations = &record.evaluations;
    let shade = overfitting_shade();
    let overfit = verdict::overfitting(record);
    if let Some((left, right)) = overfit.and_then(|it| panel.across(it.from).zip(panel.across(it.to))) {
        canvas.rectangle(Area { left, right, ..panel.area }, shade);
    }
    let y_title = if panel.y.is_log() { "cross-entropy (nats, log scale)" } else { "cross-entropy (nats)" };
    let y_ticks = panel.y.ticks(7);
    panel.frame(canvas, &Frame { x_title: None, y_title, x_ticks, y_ticks: &y_ticks });
    best_line(canvas, panel, record);
    halted_line(canvas, panel, record);
    best_name(canvas, panel, record);
    let train = Stroke::solid(BLUE, 2.6).dashed(10.0, 6.0);
    let validation = Stroke::solid(VERMILLION, 2.6);
    let markers = markers(evaluations);
    let points = |loss: fn(&Evaluation) -> f64| -> Vec<Point> {
        evaluations.iter().map(|each| (each.epoch, loss(each))).collect()
    };
    panel.curve(canvas, &points(|each| each.train_loss), train, markers.0);
    panel.curve(canvas, &points(|each| each.validation.loss), validation, markers.1);
    let mut entries = vec![
        (LegendSymbol::Line(train, markers.0), "training loss"),
        (LegendSymbol::Line(validation, markers.1), "validation loss"),
    ];
    let overfit =
        overfit.map(|it| format!("overfitting: validation loss over {:.0} % above its lowest", it.bound));
    if record.state == State::Halted {
        entries.push((
            LegendSymbol::Line(halted_stroke(), Marker::None),
            "halted: others of its generation went on",
        ));
    }
    entries.extend(overfit.iter().map(|name| (LegendSymbol::Patch(shade), name.as_str())));
    let above = if best_epoch(record).is_some() { 44.0 } else { 28.0 };
    legend(canvas, (EDGE_LEFT, panel.area.top - above), &entries);
}

/// The markers of training and validation losses.
fn markers(evaluations: &[Evaluation]) -> (Marker, Marker) {
    if evaluations.len() > MARKERS_MAX {
        (Marker::None, Marker::None)
    } else {
        (Marker::Square, Marker::Disc)
    }
}

/// Draws the panel of validation F1.
fn draw_f1(canvas: &mut Canvas, panel: &Panel, record: &TrialRecord, x_ticks: &[Tick], name: &str) {
    let evaluations = &record.evaluations;
    let band = GREEN.mix(WHITE, 0.84);
    draw_band(canvas, panel, evaluations, band);
    let y_ticks: Vec<Tick> =
        panel.y.ticks(5).into_iter().filter(|tick| (0.0..=1.0).contains(&tick.at)).collect();
    panel.frame(canvas, &Frame { x_title: Some("epoch"), y_title: "F1", x_ticks, y_ticks: &y_ticks });
    best_line(canvas, panel, record);
    halted_line(canvas, panel, record);
    let stroke = Stroke::solid(GREEN, 2.6);
    let points: Vec<Point> = evaluations.iter().map(|each| (each.epoch, each.validation.f1)).collect();
    let marker = markers(evaluations).1;
    panel.curve(canvas, &points, stroke, marker);
    let name = format!("validation {name}");
    let entries = [
        (LegendSymbol::Line(stroke, marker), name.as_str()),
        (LegendSymbol::Patch(band), "its 95 % interval"),
    ];
    legend(canvas, (EDGE_LEFT, panel.area.top - 24.0), &entries);
}

/// Draws the interval of F1 as a band around its curve; around a single point, as a bar.
fn draw_band(canvas: &mut Canvas, panel: &Panel, evaluations: &[Evaluation], colour: Colour) {
    let ends: Vec<Option<(Point, Point)>> = evaluations
        .iter()
        .map(|each| {
            let low = panel.at((each.epoch, each.validation.f1_low))?;
            Some((low, panel.at((each.epoch, each.validation.f1_high))?))
        })
        .collect();
    for pair in ends.windows(2) {
        if let [Some((low0, high0)), Some((low1, high1))] = *pair {
            canvas.polygon(&[low0, low1, high1, high0], colour);
        }
    }
    if let [Some((low, high))] = ends[..] {
        canvas.rectangle(Area { left: low.0 - 9.0, top: high.1, right: low.0 + 9.0, bottom: low.1 }, colour);
    }
}

/// Draws a vertical line at the best epoch. Call before the curves, so that no marker is crossed.
fn best_line(canvas: &mut Canvas, panel: &Panel, record: &TrialRecord) {
    if let Some(x) = best_epoch(record).and_then(|epoch| panel.across(epoch)) {
        let stroke = Stroke::solid(INK, 1.6).dashed(3.0, 4.0);
        canvas.line(&[(x, panel.area.top), (x, panel.area.bottom)], stroke);
    }
}

/// Draws a bar where a trial was halted, so that nobody takes the end of the curves for the end of the training.
fn halted_line(canvas: &mut Canvas, panel: &Panel, record: &TrialRecord) {
    let halted = record.rungs.last().filter(|_| record.state == State::Halted);
    if let Some(x) = halted.and_then(|last| panel.across(numbers::count(last.decision.epoch))) {
        canvas.line(&[(x, panel.area.top), (x, panel.area.bottom)], halted_stroke());
    }
}

/// The bar where a trial was halted.
fn halted_stroke() -> Stroke {
    Stroke::solid(SOFT, 4.0)
}

/// Draws the name of the best epoch, with its figures, above the panel.
fn best_name(canvas: &mut Canvas, panel: &Panel, record: &TrialRecord) {
    let Some((epoch, x)) = best_epoch(record).and_then(|epoch| Some((epoch, panel.across(epoch)?))) else {
        return;
    };
    let evaluation =
        record.evaluations.iter().min_by(|a, b| (a.epoch - epoch).abs().total_cmp(&(b.epoch - epoch).abs()));
    let figures = evaluation.map_or_else(String::new, |best| {
        let (loss, f1) = (figures::number(best.validation.loss), figures::share(best.validation.f1));
        format!(" (validation loss {loss}, F1 {f1})")
    });
    let name = format!("best: epoch {}{figures}", figures::number(epoch));
    let name = text::fit(&name, TITLE_SIZE, panel.area.width());
    let half = text::width(&name, TITLE_SIZE, false) / 2.0;
    let middle = x.clamp(EDGE_LEFT + half, EDGE_RIGHT - half);
    canvas.text((middle, panel.area.top - 14.0), &name, Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        samples::{failed, record},
        trial::FailureKind,
    };

    #[test]
    fn a_trial_of_no_use_is_named_so_in_the_title() {
        let mut diverged = record(1, &[0.5, 0.6]);
        diverged.evaluations[1].validation.loss = f64::NAN;
        assert_eq!(state_in_title(&diverged), " · diverged");
        let broken = failed(record(1, &[0.5]), FailureKind::NonFinite { step: 3 });
        assert!(state_in_title(&broken).starts_with(" · diverged after epoch 1: "));
        assert_eq!(state_in_title(&record(1, &[0.5, 0.6])), "");
    }
}
