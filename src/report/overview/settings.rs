//! Test F1 against each swept setting: the arrangement of the panels and their legend.

use super::{
    arranged::Arranged,
    layout::{CURVES, MARGIN, RIGHT, SETTINGS_HEIGHT, SETTINGS_LEGEND, SETTINGS_TOP},
    ranked::Ranked,
    setting::Setting,
    setting_panel::{SettingPanel, band_colour},
};
use crate::{
    numbers,
    report::{
        axis::Axis,
        canvas::{Area, Canvas},
        palette::{self, UNFIT, VERMILLION},
        panel::{LEGEND_HEIGHT, LegendEntry, LegendSymbol, Marker, legend, legend_lines},
    },
};

/// The number of settings in a row, chosen so that no row is nearly empty.
pub(super) const fn across(settings: usize) -> usize {
    match settings {
        0 | 1 => 1,
        2 | 4 => 2,
        _ => 3,
    }
}

/// The panels of all settings, in rows.
pub(super) fn panels<'a>(settings: &[Setting], ranked: &'a [Ranked<'a>]) -> Vec<SettingPanel<'a>> {
    let arranged = Arranged::all(settings);
    let has_intervals = arranged.iter().any(|setting| setting.has_intervals(ranked));
    let y = vertical(ranked, has_intervals);
    let across = across(settings.len());
    let pitch = (RIGHT - MARGIN) / numbers::count(across);
    let panel = |(index, arranged): (usize, &Arranged<'_>)| {
        let left = MARGIN + numbers::count(index % across) * pitch + 72.0;
        let top = SETTINGS_TOP + numbers::count(index / across) * SETTINGS_HEIGHT + SETTINGS_LEGEND;
        let right = if index % across == across - 1 { RIGHT } else { left + pitch - 84.0 };
        SettingPanel::new(arranged, Area { left, top, right, bottom: top + 276.0 }, y, ranked)
    };
    arranged.iter().enumerate().map(panel).collect()
}

/// The vertical axis of all panels. Only the leader's interval is shown if not all are.
fn vertical(ranked: &[Ranked<'_>], has_intervals: bool) -> Axis {
    let figures = ranked.iter().filter_map(|trial| trial.row.test.as_ref().map(|test| (trial, test)));
    let figures = figures.flat_map(|(trial, test)| {
        let ends = (has_intervals || trial.leads).then_some([test.f1_low, test.f1_high]);
        std::iter::once(test.f1).chain(ends.into_iter().flatten())
    });
    Axis::around(figures, 0.05, f64::INFINITY)
}

/// Draws the legend and the panels. `f1` is the name of the figure on the vertical axes.
pub(super) fn draw_settings(
    canvas: &mut Canvas,
    panels: &[SettingPanel<'_>],
    f1: &str,
    ranked: &[Ranked<'_>],
) {
    draw_legend(canvas, panels, f1, ranked);
    let across = across(panels.len());
    for (index, panel) in panels.iter().enumerate() {
        // The panels of a row share their vertical axis, so only the first one has its title.
        panel.draw(canvas, if index % across == 0 { f1 } else { "" });
    }
}

/// Draws the legend above the panels.
fn draw_legend(canvas: &mut Canvas, panels: &[SettingPanel<'_>], f1: &str, ranked: &[Ranked<'_>]) {
    let has_intervals = panels.iter().any(|panel| panel.has_intervals);
    let trial = if has_intervals {
        "trial, coloured by rank (line: its 95 % interval)"
    } else {
        "trial, coloured by rank"
    };
    let band = format!("95 % interval of the best trial's {f1}");
    let middle = palette::ranked(0.3);
    let all: [(bool, LegendEntry<'_>); 6] = [
        (
            ranked.iter().any(|trial| trial.leads),
            (LegendSymbol::Mark(Marker::Star, VERMILLION), "best trial"),
        ),
        (
            ranked.iter().any(|trial| !trial.leads && !trial.unfit),
            (LegendSymbol::Mark(Marker::Disc, middle), trial),
        ),
        (
            ranked.iter().any(|trial| !trial.leads && trial.unfit),
            (LegendSymbol::Mark(Marker::Ring, UNFIT), "collapsed or diverged trial"),
        ),
        (ranked.iter().any(|trial| trial.leads), (LegendSymbol::Patch(band_colour()), band.as_str())),
        (panels.iter().any(SettingPanel::has_halves), (LegendSymbol::Half, "median and middle half of all")),
        (
            panels.iter().any(|panel| panel.has_swarms),
            (LegendSymbol::Pair(middle), "side by side: equal or nearly so"),
        ),
    ];
    let entries: Vec<LegendEntry<'_>> =
        all.into_iter().filter(|(is_shown, _)| *is_shown).map(|(_, entry)| entry).collect();
    let mut y = SETTINGS_TOP + 4.0;
    for line in legend_lines(&entries, RIGHT - CURVES.left) {
        legend(canvas, (CURVES.left, y), line);
        y += LEGEND_HEIGHT;
    }
}
