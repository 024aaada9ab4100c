//! `sweep effects`: what each setting did to the figures of a sweep's trials.

use clap::{Args, ValueEnum};

use super::{
    args::SweepArgs,
    exit::{Exit, Stop},
    open::open,
    terminal::{print, print_json, table, terminal_width},
};
use crate::{
    display::{plain, wrap},
    effects::{Design, Effects, Figure},
    leaderboard::figures,
    results::Results,
};

/// How the effects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EffectsFormat {
    /// For people
    Table,
    /// For programs: every figure
    Json,
    /// For spreadsheets: a row for each value of each setting
    Csv,
}

/// By which figure settings are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// F1 on the validation set
    ValF1,
    /// F1 on the test set, which is then used up for the choice of settings
    TestF1,
}

#[derive(Debug, Args)]
pub(super) struct EffectsArgs {
    #[command(flatten)]
    sweep: SweepArgs,
    /// How they are written
    #[arg(long, value_enum, default_value_t = EffectsFormat::Table)]
    format: EffectsFormat,
    /// What is judged
    #[arg(long, value_enum, default_value_t = By::ValF1)]
    by: By,
}

pub(super) fn effects(args: &EffectsArgs, results: &Results) -> Result<Exit, Stop> {
    let opened = open(results, args.sweep.sweep.as_deref())?;
    let figure = match args.by {
        By::ValF1 => Figure::ValF1,
        By::TestF1 => Figure::TestF1,
    };
    let effects = Effects::of(&opened.study, figure);
    match args.format {
        EffectsFormat::Json => print_json(&effects)?,
        EffectsFormat::Csv => print(&effects.to_csv())?,
        EffectsFormat::Table => print(&describe(&effects, terminal_width()))?,
    }
    Ok(Exit::Complete)
}

/// The effects as tables, with sentences around them, which are broken to `width`.
fn describe(effects: &Effects, width: Option<usize>) -> String {
    let paragraph = |text: &str| {
        let text = plain(text);
        let lines = width.map_or_else(|| vec![text.clone()], |width| wrap(&text, width));
        lines.join("\n") + "\n"
    };
    let design = match effects.design {
        Design::Grid => "of a grid",
        Design::Draws => "drawn",
        Design::Mixed => "drawn within a grid",
        Design::Proposals => "proposed from earlier results",
    };
    let head = format!(
        "{}: {} of {}, {} {design}",
        effects.sweep,
        effects.figure_name(),
        counted(effects.trials, "trial"),
        counted(effects.configurations, "configuration"),
    );
    let mut text = paragraph(&head) + "\n";
    match &effects.silent {
        Some(why) => text += &paragraph(why),
        None => text += &table(&effects.rows()),
    }
    if effects.has_clear() {
        text += "\n";
        text += &table(&effects.rows_of_means());
    }
    if let Some(best) = expected_best(effects) {
        text += "\n";
        text += &paragraph(&best);
    }
    for note in effects.notes.iter().cloned().chain(effects.thinned_note()) {
        text += "\n";
        text += &paragraph(&note);
    }
    text
}

/// The best of a quarter, of half and of all of the draws, in a sentence.
fn expected_best(effects: &Effects) -> Option<String> {
    let last = effects.expected_best.last()?.draws;
    let at = |draws: usize| effects.expected_best.iter().rev().find(|best| best.draws <= draws);
    let best = [last / 4, last / 2, last].into_iter().filter_map(at);
    let best: Vec<String> =
        best.map(|best| format!("{} of {}", figures::share(best.mean), best.draws)).collect();
    Some(format!("Expected best of so many draws: {}.", best.join(", ")))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
