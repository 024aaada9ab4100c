//! How much each setting decided, and the mean figure by its value.

use super::{
    frame::{HEAD, MARGIN, Texts, WIDTH, draw_legend, legend_height},
    means,
};
use crate::{
    effects::{Effects, SettingEffect},
    leaderboard::figures,
    numbers,
    report::{
        axis::Axis,
        canvas::{Anchor, Area, Canvas, Label, Stroke},
        error::ReportError,
        names,
        palette::{BLUE, GREY, GRID, INK, SOFT, WHITE},
        panel::{LegendEntry, LegendSymbol, Marker, TICK_SIZE, TITLE_SIZE, mark},
        text,
    },
    study::Study,
};

/// Settings that are shown at most, the most important ones.
const SETTINGS_MAX: usize = 9;
/// Height of a setting's row.
const ROW: f64 = 32.0;
/// Where the dots begin and end.
const PLOT: (f64, f64) = (300.0, 900.0);

/// Draws the picture; `None` where nothing is said of importance.
pub(in crate::report) fn png(study: &Study, effects: &Effects) -> Option<Result<Vec<u8>, ReportError>> {
    if effects.silent.is_some() {
        return None;
    }
    let order: Vec<usize> = effects.by_importance().into_iter().take(SETTINGS_MAX).collect();
    let settings: Vec<&SettingEffect> = order.iter().map(|&at| &effects.settings[at]).collect();
    let f1 = names::f1(study.target, &study.labels);
    let figure = effects.figure_name().replace("F1", &f1);
    let mut texts = Texts {
        title: format!("{} · what each setting did", study.sweep),
        subtitle: format!("{figure} of {} trials", effects.trials),
        notes: notes(effects, settings.len()),
    };
    let values = settings.iter().flat_map(|setting| &setting.means);
    let values: Vec<String> = values.map(|mean| figures::value(&mean.value)).collect();
    texts.explain(&values);
    let all: [(bool, LegendEntry<'_>); 2] = [
        (true, (LegendSymbol::Mark(Marker::Disc, BLUE), "share of the variance, with its 95 % interval")),
        (false, (LegendSymbol::Mark(Marker::Ring, SOFT), "not beyond chance: nothing is said")),
    ];
    let is_there = |is_clear: bool| settings.iter().any(|setting| setting.is_clear() == is_clear);
    let entries: Vec<LegendEntry<'_>> =
        all.into_iter().filter(|(is_clear, _)| is_there(*is_clear)).map(|(_, entry)| entry).collect();
    let room = WIDTH - 2.0 * MARGIN;
    let top = HEAD + legend_height(&entries, room) + 10.0;
    let bottom = top + numbers::count(settings.len()) * ROW + 6.0;
    let area = Area { left: PLOT.0, top, right: PLOT.1, bottom };
    let panels = means::Panels::new(&settings, &effects.figure_name(), bottom + 84.0);
    Some(texts.picture((WIDTH, panels.bottom()), |canvas| {
        draw_legend(canvas, (MARGIN, HEAD + 4.0), &entries, room);
        draw_axis(canvas, area);
        for (at, setting) in settings.iter().enumerate() {
            draw_row(canvas, area, top + (numbers::count(at) + 0.5) * ROW + 3.0, setting);
        }
        panels.draw(canvas);
    }))
}

/// The sentences below.
fn notes(effects: &Effects, shown: usize) -> Vec<String> {
    let mut notes: Vec<String> = effects.notes.iter().cloned().chain(effects.thinned_note()).collect();
    if effects.settings.len() > shown {
        notes.push(format!("The {shown} most important of {} settings.", effects.settings.len()));
    }
    if let Some(interaction) = effects.notable_interaction() {
        notes.push(format!(
            "{} also depend on each other: together they explain {} of the variance beyond what each does.",
            interaction.settings.join(" and "),
            interaction.importance.describe(),
        ));
    }
    notes
}

fn across(area: Area, share: f64) -> f64 {
    area.left + share.clamp(0.0, 1.0) * area.width()
}

fn draw_axis(canvas: &mut Canvas, area: Area) {
    for tick in Axis::linear(0.0, 1.0).ticks(5) {
        let x = across(area, tick.at);
        canvas.line(&[(x, area.top), (x, area.bottom)], Stroke::solid(GRID, 1.0));
        let label = format!("{:.0} %", tick.at * 100.0);
        canvas.text((x, area.bottom + 17.0), &label, Label::new(TICK_SIZE, INK).anchor(Anchor::Middle));
    }
    let title = Label::new(TITLE_SIZE, INK).anchor(Anchor::Middle);
    canvas.text((area.middle().0, area.bottom + 44.0), "importance: share of the variance", title);
}

/// Draws the name of a setting, its importance, and the figures.
fn draw_row(canvas: &mut Canvas, area: Area, y: f64, setting: &SettingEffect) {
    let name = text::fit(&setting.name, TITLE_SIZE, area.left - MARGIN - 16.0);
    canvas.text((area.left - 14.0, y), &name, Label::new(TITLE_SIZE, INK).anchor(Anchor::End));
    let Some(importance) = setting.importance else { return };
    let said = if importance.is_clear {
        let line = [(across(area, importance.low), y), (across(area, importance.high), y)];
        canvas.line(&line, Stroke::solid(BLUE.mix(WHITE, 0.3), 3.0));
        mark(canvas, (across(area, importance.share), y), Marker::Disc, 6.0, BLUE);
        importance.describe()
    } else {
        mark(canvas, (area.left, y), Marker::Ring, 5.0, SOFT);
        canvas.line(&[(area.left + 12.0, y), (area.right, y)], Stroke::solid(GREY, 1.0).dashed(2.0, 6.0));
        format!("not beyond chance (p {})", figures::share(importance.p_value))
    };
    canvas.text((area.right + 18.0, y), &said, Label::new(TICK_SIZE, INK));
}
