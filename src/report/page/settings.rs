//! The swept settings and what they lead to: parallel coordinates of all trials, and test F1 against each setting.

use std::{collections::BTreeMap, fmt::Write as _};

use super::plot::{Frame, Plot, begin};
use crate::{
    leaderboard::{Leaderboard, LeaderboardRow, figures, figures::html as escape},
    numbers::count,
    report::axis::{Axis, Spread, Tick, spread},
    settings::Value,
    study::Study,
    trial::TrialId,
};

/// Width of the name of an axis, in columns of a terminal.
const NAME_COLUMNS: usize = 20;
/// Width of the label of a tick.
const LABEL_COLUMNS: usize = 16;
/// Ticks of an axis at most.
const TICKS_MAX: usize = 12;

/// Gives the value of a trial on an axis.
type ValueOf<'a> = Box<dyn Fn(&LeaderboardRow) -> Option<Value> + 'a>;

/// An axis of the parallel coordinates, or of a panel: a setting or a figure.
struct Dimension<'a> {
    name: String,
    spread: Spread,
    value: ValueOf<'a>,
}

impl<'a> Dimension<'a> {
    fn new(
        name: &str,
        board: &Leaderboard,
        scale: Option<crate::plan::Scale>,
        value: impl Fn(&LeaderboardRow) -> Option<Value> + 'a,
    ) -> Self {
        let values: Vec<Value> = board.rows.iter().filter_map(&value).collect();
        Self { name: name.to_owned(), spread: spread(&values, scale), value: Box::new(value) }
    }

    fn of_setting(study: &Study, board: &Leaderboard, name: &'a str) -> Self {
        let value = move |row: &LeaderboardRow| {
            row.params.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        Self::new(name, board, study.scales.get(name).copied(), value)
    }

    /// A figure stands by its size, however few values it has.
    fn of_figure(
        name: &str,
        board: &Leaderboard,
        figure: impl Fn(&LeaderboardRow) -> Option<f64> + 'a,
    ) -> Self {
        let finite = board.rows.iter().filter_map(&figure).filter(|figure| figure.is_finite());
        let spread = Spread::Numbers(Axis::around(finite, 0.04, f64::INFINITY));
        Self { name: name.to_owned(), spread, value: Box::new(move |row| figure(row).map(Value::Float)) }
    }

    /// The axis, and where a trial stands on it.
    fn axis(&self) -> Axis {
        match &self.spread {
            Spread::Numbers(axis) => *axis,
            Spread::Columns(values) => Axis::linear(-0.5, count(values.len().max(1)) - 0.5),
        }
    }

    fn at(&self, row: &LeaderboardRow) -> Option<f64> {
        let value = (self.value)(row)?;
        match &self.spread {
            Spread::Numbers(_) => value.as_f64(),
            Spread::Columns(values) => values.iter().position(|other| *other == value).map(count),
        }
    }

    fn ticks(&self, most: usize) -> Vec<Tick> {
        match &self.spread {
            Spread::Numbers(axis) => axis.ticks(most),
            Spread::Columns(values) => {
                let every = values.len().div_ceil(most.max(1)).max(1);
                let tick = |(at, value): (usize, &Value)| Tick {
                    at: count(at),
                    label: figures::shorten(&figures::value(value), LABEL_COLUMNS),
                };
                values.iter().enumerate().step_by(every).map(tick).collect()
            }
        }
    }

    fn title(&self) -> String {
        figures::shorten(&figures::plain(&self.name), NAME_COLUMNS)
    }
}

/// The parallel coordinates: an axis for each swept setting, then validation F1 and test F1. A line is a trial. Empty
/// without a swept setting or an evaluation.
pub(super) fn parallel(
    study: &Study,
    board: &Leaderboard,
    shades: &BTreeMap<TrialId, &'static str>,
) -> String {
    if study.swept.is_empty() || board.rows.iter().all(|row| row.val_f1.is_none()) {
        return String::new();
    }
    let mut axes: Vec<Dimension<'_>> =
        study.swept.iter().map(|name| Dimension::of_setting(study, board, name)).collect();
    axes.push(Dimension::of_figure("validation F1", board, |row| row.val_f1));
    axes.push(Dimension::of_figure("test F1", board, |row| Some(row.test.as_ref()?.f1)));
    let gap = (860.0 / count(axes.len() - 1)).max(150.0);
    let (top, bottom) = (34.0, 320.0);
    let width = gap * count(axes.len() - 1) + 130.0;
    let mut svg =
        begin("parallel", (width, 340.0), "Each trial's settings and F1, as a line across one axis for each");
    svg.push_str("<g class=\"lines\">");
    let place = |axis: &Dimension<'_>, row: &LeaderboardRow| {
        Some(bottom - (bottom - top) * axis.axis().position(axis.at(row)?)?)
    };
    for row in board.rows.iter().rev() {
        let ys: Vec<Option<f64>> = axes.iter().map(|axis| place(axis, row)).collect();
        line(&mut svg, row, shades.get(&row.trial).copied().unwrap_or("unranked"), &ys, gap);
    }
    svg.push_str("</g>");
    for (index, axis) in axes.iter().enumerate() {
        draw_axis(&mut svg, axis, 50.0 + gap * count(index), (top, bottom));
    }
    svg.push_str("</svg>");
    format!("<div class=\"wide\">{svg}</div>")
}

/// Draws the line of a trial up to the first axis on which it has no place.
fn line(svg: &mut String, row: &LeaderboardRow, class: &str, ys: &[Option<f64>], gap: f64) {
    let known: Vec<f64> = ys.iter().map_while(|y| *y).collect();
    if known.len() < 2 {
        return;
    }
    let mut points = String::new();
    for (index, y) in known.iter().enumerate() {
        let order = if index == 0 { 'M' } else { 'L' };
        let _ = write!(points, "{order}{:.0} {y:.1}", 50.0 + gap * count(index));
    }
    let heights: Vec<String> = known.iter().map(|y| format!("{y:.1}")).collect();
    let _ = write!(
        svg,
        "<path class=\"line {class}\" data-trial=\"{}\" data-y=\"{}\" d=\"{points}\"><title>{}: {}</title></path>",
        row.trial.0,
        heights.join(" "),
        row.trial,
        escape(&figures::plain(&row.params.to_string())),
    );
}

fn draw_axis(svg: &mut String, axis: &Dimension<'_>, x: f64, (top, bottom): (f64, f64)) {
    let title = escape(&axis.title());
    let _ = write!(
        svg,
        "<g class=\"coordinate\" data-x=\"{x:.0}\" data-top=\"{top}\" data-bottom=\"{bottom}\" data-name=\"{title}\">\
         <text class=\"name mid\" x=\"{x:.0}\" y=\"16\">{title}</text>\
         <line class=\"axis\" x1=\"{x:.0}\" x2=\"{x:.0}\" y1=\"{top}\" y2=\"{bottom}\"/>"
    );
    let scale = axis.axis();
    for tick in axis.ticks(TICKS_MAX.min(8)) {
        let Some(share) = scale.position(tick.at) else { continue };
        let y = bottom - (bottom - top) * share;
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{:.0}\" x2=\"{x:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"halo\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
            x - 4.0,
            x + 6.0,
            y + 4.0,
            escape(&tick.label),
        );
    }
    svg.push_str("</g>");
}

/// Test F1 against each swept setting: a panel for each. Empty as long as no trial is ranked.
pub(super) fn panels(study: &Study, board: &Leaderboard, shades: &BTreeMap<TrialId, &'static str>) -> String {
    let ranked: Vec<&LeaderboardRow> = board.rows.iter().filter(|row| row.test.is_some()).collect();
    if study.swept.is_empty() || ranked.is_empty() {
        return String::new();
    }
    let f1 = board.target.f1_name();
    let y = Axis::around(ranked.iter().filter_map(|row| Some(row.test.as_ref()?.f1)), 0.08, f64::INFINITY);
    let mut html = "<div class=\"grid small\">".to_owned();
    for name in &study.swept {
        let setting = Dimension::of_setting(study, board, name);
        let plot = Plot { left: 46.0, top: 28.0, width: 300.0, height: 150.0, x: setting.axis(), y };
        let words = format!("Test {f1} by {}", figures::plain(name));
        let _ = write!(html, "<figure>{}", begin("panel", (360.0, 222.0), &words));
        let is_log = matches!(&setting.spread, Spread::Numbers(axis) if axis.is_log());
        let title = if is_log { format!("{} (log scale)", setting.title()) } else { setting.title() };
        let (x_ticks, y_ticks) = (fitting(setting.ticks(6)), y.ticks(5));
        let y_title = format!("test {f1}");
        let frame = Frame { x_title: &title, y_title: &y_title, x_ticks: &x_ticks, y_ticks: &y_ticks };
        html.push_str(&plot.frame(&frame));
        let is_in_columns = matches!(setting.spread, Spread::Columns(_));
        for (place, row) in ranked.iter().enumerate().rev() {
            let aside = if is_in_columns { count(place % 7) * 5.0 - 15.0 } else { 0.0 };
            point(
                &mut html,
                &plot,
                &setting,
                row,
                (shades.get(&row.trial).copied().unwrap_or("unranked"), aside),
            );
        }
        html.push_str("</svg></figure>");
    }
    html.push_str("</div>");
    html
}

/// As many of these ticks as have room for their labels beside each other.
fn fitting(ticks: Vec<Tick>) -> Vec<Tick> {
    let widest = ticks.iter().map(|tick| figures::columns(&tick.label)).max().unwrap_or(1);
    let most = (44 / (widest + 2)).max(1);
    let every = ticks.len().div_ceil(most).max(1);
    ticks.into_iter().step_by(every).collect()
}

/// Draws the mark of a trial; in a column, marks stand a little beside each other.
fn point(
    svg: &mut String,
    plot: &Plot,
    setting: &Dimension<'_>,
    row: &LeaderboardRow,
    (class, aside): (&str, f64),
) {
    let Some(test) = &row.test else { return };
    let Some((x, y)) = setting.at(row).and_then(|x| plot.at((x, test.f1))) else { return };
    let value = (setting.value)(row).map_or_else(String::new, |value| figures::value(&value));
    let _ = write!(
        svg,
        "<circle class=\"dot {class}\" data-trial=\"{}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}: {} = {}, {} {}\
         </title></circle>",
        row.trial.0,
        x + aside,
        row.trial,
        escape(&setting.title()),
        escape(&value),
        figures::share(test.f1),
        figures::interval(test.f1_low, test.f1_high),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        leaderboard::{RankBy, build},
        report::page::shade,
        samples::{record, study},
    };

    fn drawn(study: &Study) -> (String, String) {
        let board = build(study, RankBy::TestF1, &|_| None);
        let shades = shade::classes(&board);
        (parallel(study, &board, &shades), panels(study, &board, &shades))
    }

    #[test]
    fn each_setting_and_both_figures_have_an_axis_and_each_trial_a_line() {
        let (parallel, panels) =
            drawn(&study((1..=5).map(|id| record(id, &[0.1 * f64::from(id)])).collect()));
        assert_eq!(parallel.matches("class=\"coordinate\"").count(), 4);
        assert_eq!(parallel.matches("<path").count(), 5);
        assert_eq!(panels.matches("<circle").count(), 2 * 5);
    }

    #[test]
    fn a_text_has_a_place_on_its_axis() {
        let mut study = study((1..=3).map(|id| record(id, &[0.1 * f64::from(id)])).collect());
        for (trial, text) in study.trials.iter_mut().zip(["mean", "cls", "mean"]) {
            trial.trial.params.0[1].1 = Value::Text(text.to_owned());
        }
        let (parallel, _) = drawn(&study);
        assert!(parallel.contains(">mean</text>") && parallel.contains(">cls</text>"), "{parallel}");
        assert_eq!(parallel.matches("<path").count(), 3);
    }

    #[test]
    fn a_sweep_without_a_swept_setting_has_neither() {
        let mut study = study(vec![record(1, &[0.5])]);
        study.swept.clear();
        assert_eq!(drawn(&study), (String::new(), String::new()));
    }
}
