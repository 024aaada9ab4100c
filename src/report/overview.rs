//! The picture of a sweep: every validation curve, and test F1 against each swept setting.

use std::collections::BTreeMap;

use super::{
    ReportError,
    axis::{Axis, Spread, Tick, spread},
    canvas::{self, Anchor, Area, Canvas, Label, Point, Stroke},
    palette::{Colour, GREY, INK, SOFT, VERMILLION, WHITE, ranked},
    panel::{Frame, Marker, Panel, Sample, TICK_SIZE, TITLE_SIZE, legend, mark},
    text,
};
use crate::{
    leaderboard::{Leaderboard, LeaderboardRow, figures},
    plan::Scale,
    settings::Value,
    study::{Study, TrialRecord},
    trial::{State, TrialId},
};

const WIDTH: u32 = 1500;
/// Left edge of texts.
const MARGIN: f64 = 36.0;
/// The plot area of the validation curves; its right edge where a colour bar stands beside it.
const CURVES: Area = Area { left: 108.0, top: 176.0, right: 1316.0, bottom: 560.0 };
/// Right edge of everything.
const RIGHT: f64 = 1464.0;
/// Where the settings begin, and the height of a row of them.
const SETTINGS_TOP: f64 = 640.0;
const SETTINGS_HEIGHT: f64 = 372.0;
/// Trials above which only the best one shows its interval.
const INTERVALS_MAX: usize = 120;

/// A trial on the leaderboard: its row, its shade, and whether it leads.
struct Ranked<'a> {
    row: &'a LeaderboardRow,
    colour: Colour,
    leads: bool,
}

/// Draws the picture.
pub(super) fn png(study: &Study, board: &Leaderboard) -> Result<Vec<u8>, ReportError> {
    let settings = settings(study, board);
    let rows = settings.len().div_ceil(across(settings.len()));
    #[expect(clippy::cast_precision_loss, reason = "few rows")]
    let height = SETTINGS_TOP + rows as f64 * SETTINGS_HEIGHT + 16.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand pixels")]
    let size = (WIDTH, height as u32);
    let ranked = shades(board);
    let f1 = format!("test {}", board.target.f1_name());
    canvas::in_bands(size, |canvas| {
        head(canvas, study, board);
        draw_curves(canvas, study, board, &ranked);
        draw_settings(canvas, (&settings, &f1), &ranked);
    })
}

/// The ranked trials, best first, from dark to light.
fn shades(board: &Leaderboard) -> Vec<Ranked<'_>> {
    let rows: Vec<(usize, &LeaderboardRow)> =
        board.rows.iter().filter_map(|row| Some((row.rank?, row))).collect();
    let lowest = rows.last().map_or(1, |(rank, _)| *rank).max(2);
    let leader = board.leader().map(|row| row.trial);
    rows.into_iter()
        .map(|(rank, row)| {
            let leads = Some(row.trial) == leader;
            #[expect(clippy::cast_precision_loss, reason = "few trials")]
            let shade = ranked((rank - 1) as f64 / (lowest - 1) as f64);
            Ranked { row, colour: if leads { VERMILLION } else { shade }, leads }
        })
        .collect()
}

fn head(canvas: &mut Canvas, study: &Study, board: &Leaderboard) {
    let room = RIGHT - MARGIN;
    let title = format!("{} · {}", study.sweep, counts(study));
    canvas.text((MARGIN, 38.0), &text::fit(&title, 25.0, room * 0.87), Label::new(25.0, INK).bold());
    let best = board.leader().map_or_else(
        || no_leader(study).to_owned(),
        |row| {
            let f1 = row.test.as_ref().map_or_else(String::new, |test| {
                let interval = figures::interval(test.f1_low, test.f1_high);
                format!("test {} {} {interval}", board.target.f1_name(), figures::share(test.f1))
            });
            let tied = board.rows.iter().filter(|row| row.tied == Some(true)).count();
            let tied =
                if tied == 0 { String::new() } else { format!(", {tied} not distinguishable from it") };
            format!("Best by {}: trial {} · {f1}{tied}", board.rank_by.describe(), row.trial)
        },
    );
    canvas.text((MARGIN, 72.0), &text::fit(&best, 18.0, room), Label::new(18.0, INK));
    if let Some(row) = board.leader() {
        let params = row.params.0.iter();
        let params: Vec<String> =
            params.map(|(name, value)| format!("{name} = {}", figures::value(value))).collect();
        for line in text::wrap(&params, "    ", TITLE_SIZE, (room, 1)) {
            canvas.text((MARGIN, 100.0), &line, Label::new(TITLE_SIZE, SOFT));
        }
    }
}

fn no_leader(study: &Study) -> &'static str {
    if !study.is_over() {
        "No trial is complete yet."
    } else if study.trials.is_empty() {
        "There is no trial."
    } else if study.counts().complete == 0 {
        "No trial is complete: every one failed."
    } else {
        "No trial has a figure to rank by."
    }
}

fn counts(study: &Study) -> String {
    let count = |state: State| study.trials.iter().filter(|record| record.state == state).count();
    let trials = study.trials.len();
    let mut parts = vec![format!("{trials} trial{}", if trials == 1 { "" } else { "s" })];
    for state in [State::Failed, State::Running, State::Waiting] {
        if count(state) > 0 {
            parts.push(format!("{} {}", count(state), state.as_str()));
        }
    }
    parts.join(", ")
}

fn draw_curves(canvas: &mut Canvas, study: &Study, board: &Leaderboard, ranked: &[Ranked<'_>]) {
    let records: BTreeMap<TrialId, &TrialRecord> =
        study.trials.iter().map(|record| (record.trial.id, record)).collect();
    let evaluations = || study.trials.iter().flat_map(|record| &record.evaluations);
    let right = if ranked.len() > 1 { CURVES.right } else { RIGHT };
    let panel = Panel {
        area: Area { right, ..CURVES },
        x: Axis::of_epochs(evaluations().map(|each| each.epoch)),
        y: Axis::around(evaluations().map(|each| each.validation.loss), 0.05, 50.0),
    };
    let y_title =
        if panel.y.is_log() { "validation loss (nats, log scale)" } else { "validation loss (nats)" };
    let (x_ticks, y_ticks) = (panel.x.epoch_ticks(), panel.y.ticks(7));
    panel.frame(canvas, &Frame { x_title: Some("epoch"), y_title, x_ticks: &x_ticks, y_ticks: &y_ticks });
    if evaluations().next().is_none() {
        empty(canvas, panel.area, "no evaluation yet");
        return;
    }
    let unranked = board.rows.iter().filter(|row| row.rank.is_none()).map(|row| row.trial);
    let mut any_unranked = false;
    for record in unranked.filter_map(|id| records.get(&id)) {
        any_unranked |= !record.evaluations.is_empty();
        curve(canvas, &panel, record, Stroke { dash: (6.0, 5.0), ..Stroke::solid(GREY, 1.4) });
    }
    // The worst first, so that the best lie on top.
    for (place, trial) in ranked.iter().enumerate().rev() {
        if let Some(record) = records.get(&trial.row.trial) {
            curve(canvas, &panel, record, stroke(trial, place, ranked.len()));
        }
    }
    curves_legend(canvas, ranked, any_unranked);
    if ranked.len() > 1 {
        colour_bar(canvas, panel.area, ranked, board);
    }
}

fn stroke(trial: &Ranked<'_>, place: usize, trials: usize) -> Stroke {
    let thin = if trials > 100 { 1.0 } else { 1.8 };
    let width = if trial.leads {
        3.4
    } else if place < 3 {
        2.6
    } else {
        thin
    };
    Stroke { dash: top_dash(place), ..Stroke::solid(trial.colour, width) }
}

/// The second and the third are told apart by more than their colour.
fn top_dash(place: usize) -> (f64, f64) {
    match place {
        1 => (12.0, 6.0),
        2 => (3.0, 5.0),
        _ => (0.0, 0.0),
    }
}

fn curve(canvas: &mut Canvas, panel: &Panel, record: &TrialRecord, stroke: Stroke) {
    let points: Vec<Point> =
        record.evaluations.iter().map(|each| (each.epoch, each.validation.loss)).collect();
    // A line through one point is nothing.
    let marker = if points.len() < 3 { Marker::Disc } else { Marker::None };
    panel.curve(canvas, &points, stroke, marker);
}

fn curves_legend(canvas: &mut Canvas, ranked: &[Ranked<'_>], any_unranked: bool) {
    let names: Vec<(Sample, String)> = ranked
        .iter()
        .take(3)
        .enumerate()
        .map(|(place, trial)| {
            let rank = trial.row.rank.unwrap_or(0);
            let sample = Sample::Line(stroke(trial, place, ranked.len()), Marker::None);
            (sample, format!("rank {rank}: trial {}", trial.row.trial))
        })
        .collect();
    let mut entries: Vec<(Sample, &str)> =
        names.iter().map(|(sample, name)| (*sample, name.as_str())).collect();
    if any_unranked {
        let stroke = Stroke { dash: (6.0, 5.0), ..Stroke::solid(GREY, 1.8) };
        entries.push((Sample::Line(stroke, Marker::None), "failed or unfinished"));
    }
    legend(canvas, (CURVES.left, CURVES.top - 28.0), &entries);
}

/// What the shades mean, to the right of the curves.
fn colour_bar(canvas: &mut Canvas, area: Area, ranks: &[Ranked<'_>], board: &Leaderboard) {
    let (left, right) = (area.right + 40.0, area.right + 62.0);
    let steps = 128;
    for step in 0..steps {
        let at = |step: i32| area.top + area.height() * f64::from(step) / f64::from(steps);
        let bar = Area { left, right, top: at(step), bottom: at(step + 1) };
        canvas.rectangle(bar, ranked((f64::from(step) + 0.5) / f64::from(steps)));
    }
    let (top, bottom) = (area.top, area.bottom);
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    canvas.line(&corners, Stroke::solid(SOFT, 1.0));
    let lowest = ranks.last().and_then(|trial| trial.row.rank).unwrap_or(1).max(2);
    #[expect(clippy::cast_precision_loss, reason = "few trials")]
    let axis = Axis::linear(1.0, lowest as f64);
    // The ends by their ranks, and between them round numbers that stand clear of both.
    let mut marks = vec![(1.0, "1".to_owned())];
    #[expect(clippy::cast_precision_loss, reason = "few trials")]
    marks.push((lowest as f64, lowest.to_string()));
    marks.extend(
        axis.ticks(6)
            .into_iter()
            .filter(|tick| (tick.at - tick.at.round()).abs() < 1e-9)
            .filter(|tick| axis.position(tick.at).is_some_and(|at| (0.1..=0.9).contains(&at)))
            .map(|tick| (tick.at, format!("{:.0}", tick.at))),
    );
    for (rank, name) in marks {
        let Some(position) = axis.position(rank) else { continue };
        let y = area.top + position * area.height();
        canvas.line(&[(right, y), (right + 5.0, y)], Stroke::solid(SOFT, 1.0));
        canvas.text((right + 9.0, y), &name, Label::new(TICK_SIZE, INK));
    }
    let title = format!("rank by {}", board.rank_by.describe());
    let label = Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle).upwards();
    canvas.text((right + 64.0, area.middle().1), &title, label);
}

/// A setting and its value in each ranked trial.
struct Setting {
    name: String,
    /// That of its range, if it has one.
    scale: Option<Scale>,
    values: BTreeMap<TrialId, Value>,
}

/// The swept settings; the trials themselves, when nothing is swept.
fn settings(study: &Study, board: &Leaderboard) -> Vec<Setting> {
    let ranked = || board.rows.iter().filter(|row| row.rank.is_some());
    if study.swept.is_empty() {
        let values = ranked().map(|row| (row.trial, Value::Int(i64::from(row.trial.0)))).collect();
        return vec![Setting { name: "trial".to_owned(), scale: Some(Scale::Linear), values }];
    }
    let value = |row: &LeaderboardRow, name: &String| {
        let found = row.params.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| (row.trial, value.clone()))
    };
    let setting = |name: &String| Setting {
        name: name.clone(),
        scale: study.scales.get(name).copied(),
        values: ranked().filter_map(|row| value(row, name)).collect(),
    };
    study.swept.iter().map(setting).collect()
}

/// Settings in a row, so that no row is nearly empty.
const fn across(settings: usize) -> usize {
    match settings {
        0 | 1 => 1,
        2 | 4 => 2,
        _ => 3,
    }
}

/// `f1`: the name of the figure on the vertical axes.
fn draw_settings(canvas: &mut Canvas, (settings, f1): (&[Setting], &str), ranked: &[Ranked<'_>]) {
    let intervals = ranked.len() <= INTERVALS_MAX;
    let tests =
        || ranked.iter().filter(|trial| intervals || trial.leads).filter_map(|trial| trial.row.test.as_ref());
    let f1s = ranked.iter().filter_map(|trial| trial.row.test.as_ref()).map(|test| test.f1);
    let y =
        Axis::around(f1s.chain(tests().flat_map(|test| [test.f1_low, test.f1_high])), 0.05, f64::INFINITY);
    let trial =
        if intervals { format!("trial, with the 95 % interval of its {f1}") } else { "trial".to_owned() };
    let best = if intervals && ranked.len() > 1 {
        "best trial".to_owned()
    } else {
        format!("best trial, with the 95 % interval of its {f1}")
    };
    let entries = [
        (Sample::Mark(Marker::Star, VERMILLION), best.as_str()),
        (Sample::Mark(Marker::Disc, super::palette::ranked(0.3)), trial.as_str()),
    ];
    let entries = &entries[..ranked.len().min(2)];
    legend(canvas, (CURVES.left, SETTINGS_TOP + 6.0), entries);
    let across = across(settings.len());
    #[expect(clippy::cast_precision_loss, reason = "few settings")]
    let pitch = (RIGHT - MARGIN) / across as f64;
    for (index, setting) in settings.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "few settings")]
        let (column, row) = ((index % across) as f64, (index / across) as f64);
        let left = MARGIN + column * pitch + 72.0;
        let top = SETTINGS_TOP + row * SETTINGS_HEIGHT + 34.0;
        let right = if index % across == across - 1 { RIGHT } else { left + pitch - 84.0 };
        let area = Area { left, top, right, bottom: top + 276.0 };
        // One title a row: the panels of a row share their vertical axis.
        let y_title = if column == 0.0 { f1 } else { "" };
        draw_setting(canvas, (setting, area, y, y_title), ranked, intervals);
    }
}

fn draw_setting(
    canvas: &mut Canvas,
    (setting, area, y, y_title): (&Setting, Area, Axis, &str),
    ranked: &[Ranked<'_>],
    intervals: bool,
) {
    let values: Vec<Value> = setting.values.values().cloned().collect();
    let spread = spread(&values, setting.scale);
    let (x, x_ticks) = horizontal(&spread, &values, area.width());
    let panel = Panel { area, x, y };
    let title = if x.is_log() { format!("{} (log scale)", setting.name) } else { setting.name.clone() };
    let y_ticks: Vec<Tick> = y.ticks(6).into_iter().filter(|tick| (0.0..=1.0).contains(&tick.at)).collect();
    let frame = Frame { x_title: Some(&title), y_title, x_ticks: &x_ticks, y_ticks: &y_ticks };
    panel.frame(canvas, &frame);
    if ranked.is_empty() {
        empty(canvas, area, "no test result yet");
    }
    let places = places(&spread, &setting.values);
    for trial in ranked.iter().rev() {
        let (Some(&across), Some(test)) = (places.get(&trial.row.trial), &trial.row.test) else { continue };
        let Some(place) = panel.at((across, test.f1)) else { continue };
        if intervals || trial.leads {
            let colour = trial.colour.mix(WHITE, if trial.leads { 0.2 } else { 0.5 });
            let ends = [test.f1_low, test.f1_high].map(|end| panel.down(end).unwrap_or(place.1));
            let stroke = Stroke::solid(colour, if trial.leads { 2.4 } else { 1.6 });
            canvas.line(&[(place.0, ends[0]), (place.0, ends[1])], stroke);
        }
        if trial.leads {
            mark(canvas, place, Marker::Star, 6.4, trial.colour);
        } else if intervals {
            mark(canvas, place, Marker::Disc, 5.0, trial.colour);
        } else {
            // Rims of many markers would hide each other.
            canvas.disc(place, 3.0, trial.colour);
        }
    }
}

/// The horizontal axis of a spread on `room` pixels, with its ticks.
fn horizontal(spread: &Spread, values: &[Value], room: f64) -> (Axis, Vec<Tick>) {
    match spread {
        Spread::Columns(columns) => {
            #[expect(clippy::cast_precision_loss, reason = "few columns")]
            let count = columns.len().max(1) as f64;
            let ticks = columns.iter().enumerate().map(|(index, value)| {
                let name = text::fit(&figures::value(value), TICK_SIZE, (room / count - 10.0).max(70.0));
                #[expect(clippy::cast_precision_loss, reason = "few columns")]
                let at = index as f64;
                Tick { at, label: name }
            });
            (Axis::linear(-0.5, count - 0.5), ticks.collect())
        }
        Spread::Numbers(axis) => {
            let whole = values.iter().all(|value| matches!(value, Value::Int(_)));
            let mut ticks = axis.ticks(6);
            ticks.retain(|tick| !whole || (tick.at - tick.at.round()).abs() < 1e-9);
            (*axis, ticks)
        }
    }
}

/// Where each trial stands on the horizontal axis. Trials of one column stand side by side in the
/// order of the plan, so that none hides another.
fn places(spread: &Spread, values: &BTreeMap<TrialId, Value>) -> BTreeMap<TrialId, f64> {
    match spread {
        Spread::Numbers(_) => {
            values.iter().filter_map(|(&trial, value)| Some((trial, value.as_f64()?))).collect()
        }
        Spread::Columns(columns) => {
            let mut places = BTreeMap::new();
            for (index, column) in columns.iter().enumerate() {
                let trials: Vec<TrialId> =
                    values.iter().filter(|(_, value)| *value == column).map(|(&trial, _)| trial).collect();
                for (order, &trial) in trials.iter().enumerate() {
                    #[expect(clippy::cast_precision_loss, reason = "few trials")]
                    let offset = 0.7 * ((order as f64 + 0.5) / trials.len() as f64 - 0.5);
                    #[expect(clippy::cast_precision_loss, reason = "few columns")]
                    places.insert(trial, index as f64 + offset);
                }
            }
            places
        }
    }
}

fn empty(canvas: &mut Canvas, area: Area, note: &str) {
    canvas.text(area.middle(), note, Label::new(18.0, SOFT).anchor(Anchor::Middle));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        leaderboard::{RankBy, build},
        samples::{failed, record, study},
        trial::FailureKind,
    };

    #[test]
    fn trials_of_one_column_stand_side_by_side_and_within_it() {
        let values: BTreeMap<TrialId, Value> =
            (1..=4).map(|id| (TrialId(id), Value::Float(if id == 4 { 0.3 } else { 0.1 }))).collect();
        let spread = Spread::Columns(vec![Value::Float(0.1), Value::Float(0.3)]);
        let places = places(&spread, &values);
        let of = |id: u32| places[&TrialId(id)];
        assert!(-0.5 < of(1) && of(1) < of(2) && of(2) < of(3) && of(3) < 0.5);
        assert!((of(4) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_sweep_of_nothing_shows_its_trials() {
        let mut study = study(vec![record(1, &[0.5]), record(2, &[0.4])]);
        study.swept.clear();
        let settings = settings(&study, &build(&study, RankBy::TestF1, &|_| None));
        assert_eq!(settings.len(), 1);
        assert_eq!((settings[0].name.as_str(), settings[0].values.len()), ("trial", 2));
    }

    #[test]
    fn a_sweep_without_a_leader_says_whether_one_may_come() {
        let mut waiting = record(1, &[]);
        waiting.state = State::Waiting;
        assert_eq!(no_leader(&study(vec![waiting])), "No trial is complete yet.");
        let broken = failed(record(1, &[0.5]), FailureKind::Panic);
        assert_eq!(no_leader(&study(vec![broken])), "No trial is complete: every one failed.");
    }

    #[test]
    fn the_best_trial_has_a_colour_of_its_own_and_shades_grow_lighter() {
        let study = study((1..=5).map(|id| record(id, &[0.1 * f64::from(id)])).collect());
        let board = build(&study, RankBy::TestF1, &|_| None);
        let shades = shades(&board);
        assert_eq!(shades[0].colour, VERMILLION);
        assert!(shades[1..].windows(2).all(|pair| pair[0].colour.luminance() < pair[1].colour.luminance()));
    }
}
