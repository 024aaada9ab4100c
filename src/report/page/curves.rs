//! Learning curves: those of all trials in one chart, and those of one trial.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    plot::{Frame, Plot, Point, begin},
    thinned::thinned,
};
use crate::{
    event::Evaluation,
    leaderboard::{Leaderboard, figures, figures::html as escape},
    report::axis::Axis,
    study::{Study, TrialRecord},
    trial::TrialId,
};

/// Points of a curve at most, in the chart of all trials.
const POINTS_MAX: usize = 40;
/// Evaluations of a trial at most that have a mark each.
const MARKS_MAX: usize = 40;

/// The validation losses of all trials by epoch, or a sentence if there is no evaluation yet.
pub(super) fn all(study: &Study, board: &Leaderboard, shades: &BTreeMap<TrialId, &'static str>) -> String {
    let with_curve: Vec<&TrialRecord> = board
        .rows
        .iter()
        .filter_map(|row| study.trial(row.trial))
        .filter(|it| !it.evaluations.is_empty())
        .collect();
    if with_curve.is_empty() {
        return "<p class=\"soft\">No evaluation yet.</p>".to_owned();
    }
    let epochs = || with_curve.iter().flat_map(|record| record.evaluations.iter().map(|each| each.epoch));
    let losses =
        with_curve.iter().flat_map(|record| record.evaluations.iter().map(|each| each.validation.loss));
    let (x, y) = (Axis::of_epochs(epochs()), Axis::of_losses(losses));
    let plot = Plot { left: 56.0, top: 28.0, width: 880.0, height: 290.0, x, y };
    let words = format!("Validation loss by epoch of {} trials", with_curve.len());
    let mut svg = begin("curves", (960.0, 366.0), &words);
    let y_title = if y.is_log() { "validation loss (nats, log scale)" } else { "validation loss (nats)" };
    let (x_ticks, y_ticks) = (x.epoch_ticks(epochs()), y.ticks(6));
    svg.push_str(&plot.frame(&Frame { x_title: "epoch", y_title, x_ticks: &x_ticks, y_ticks: &y_ticks }));
    // The worst is drawn first, so that the best lies on top.
    for record in with_curve.iter().rev() {
        let class = shades.get(&record.trial.id).copied().unwrap_or("unranked");
        curve(&mut svg, &plot, record, class);
    }
    svg.push_str("</svg>");
    svg
}

/// Draws the validation loss of a trial; a single evaluation as a point.
fn curve(svg: &mut String, plot: &Plot, record: &TrialRecord, class: &str) {
    let id = record.trial.id;
    let title = format!("{id}: {}", figures::plain(&record.trial.params.to_string()));
    let point = |each: &Evaluation| (each.epoch, each.validation.loss);
    if let [only] = &record.evaluations[..] {
        if let Some((x, y)) = plot.at(point(only)) {
            let _ = write!(
                svg,
                "<circle class=\"dot {class}\" data-trial=\"{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}</title>\
                 </circle>",
                id.0,
                escape(&title),
            );
        }
        return;
    }
    let d = plot.path(thinned(&record.evaluations, POINTS_MAX).map(point));
    let _ = write!(
        svg,
        "<path class=\"line {class}\" data-trial=\"{}\" d=\"{d}\"><title>{}</title></path>",
        id.0,
        escape(&title)
    );
}

/// The losses and the validation F1 of one trial by epoch, in two charts beside each other.
pub(super) fn of_trial(record: &TrialRecord, words: &str) -> String {
    let evaluations = &record.evaluations;
    let epochs = || evaluations.iter().map(|each| each.epoch);
    let x = Axis::of_epochs(epochs());
    let losses = Axis::of_losses(evaluations.iter().flat_map(|each| [each.train_loss, each.validation.loss]));
    let f1 = Axis::around(evaluations.iter().map(|each| each.validation.f1), 0.1, f64::INFINITY);
    let area = |left, y| Plot { left, top: 26.0, width: 182.0, height: 124.0, x, y };
    let (left, right) = (area(46.0, losses), area(288.0, f1));
    let mut svg = begin("trial", (480.0, 190.0), words);
    let mut x_ticks = x.epoch_ticks(epochs());
    let every = x_ticks.len().div_ceil(6).max(1);
    x_ticks = x_ticks.into_iter().step_by(every).collect();
    for (plot, y_title) in [(&left, "loss: training, validation"), (&right, "validation F1")] {
        let y_ticks = plot.y.ticks(4);
        let frame = Frame { x_title: "epoch", y_title, x_ticks: &x_ticks, y_ticks: &y_ticks };
        svg.push_str(&plot.frame(&frame).replace("x=\"4\"", &format!("x=\"{}\"", plot.left - 40.0)));
    }
    let best = record.outcome.as_ref().map(|outcome| outcome.best_epoch);
    for plot in [&left, &right] {
        if let Some(x) = best.and_then(|best| plot.across(best)) {
            let (top, bottom) = (plot.top, plot.top + plot.height);
            let _ = write!(
                svg,
                "<line class=\"best\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>"
            );
        }
    }
    series(&mut svg, &left, evaluations, ("train", |each| each.train_loss));
    series(&mut svg, &left, evaluations, ("val", |each| each.validation.loss));
    series(&mut svg, &right, evaluations, ("f1", |each| each.validation.f1));
    svg.push_str("</svg>");
    svg
}

/// Draws a figure of each evaluation: a line, and a mark that says its value while there are few.
fn series(
    svg: &mut String,
    plot: &Plot,
    evaluations: &[Evaluation],
    (class, figure): (&str, fn(&Evaluation) -> f64),
) {
    let point = |each: &Evaluation| -> Point { (each.epoch, figure(each)) };
    let d = plot.path(thinned(evaluations, 4 * POINTS_MAX).map(point));
    let _ = write!(svg, "<path class=\"line {class}\" d=\"{d}\"/>");
    if evaluations.len() > MARKS_MAX {
        return;
    }
    for each in evaluations {
        let Some((x, y)) = plot.at(point(each)) else { continue };
        let _ = write!(
            svg,
            "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"><title>epoch {}: {}</title></circle>",
            figures::number(each.epoch),
            figures::number(figure(each)),
        );
    }
}
