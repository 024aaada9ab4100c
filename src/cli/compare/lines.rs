//! A comparison of two trials for people.

use std::fmt::Write as _;

use super::comparison::{ComparedTrial, Comparison};
use crate::{
    cli::terminal::table,
    display::{columns, plain, shorten, wrap},
    leaderboard::{HaltedAt, Pairing, figures},
    settings::Value,
    trial::State,
};

/// Largest width of a value in a table, in terminal columns.
const VALUE_COLUMNS_MAX: usize = 24;
/// Largest width of a class in the list of documents. A row, three classes and the least of a text fit 80 columns.
const CLASS_COLUMNS_MAX: usize = 14;
/// Least width of a document's text, in terminal columns.
const TEXT_COLUMNS_MIN: usize = 20;
/// A lower p-value tells two trials apart.
const SIGNIFICANCE_LEVEL: f64 = 0.05;

/// The comparison as text, for a terminal of this width if it is for one.
pub(super) fn describe(comparison: &Comparison<'_>, width: Option<usize>) -> String {
    let mut text = String::new();
    for (letter, trial) in ["A", "B"].iter().zip(&comparison.trials) {
        push(&mut text, &format!("{letter}: {}", heading(trial)), width);
    }
    text.push('\n');
    text.push_str(&table(&figures_of(comparison)));
    text.push('\n');
    match (&comparison.test, &comparison.not_tested) {
        (Some(pairing), _) => test(&mut text, pairing, width),
        (None, why) => {
            push(&mut text, &format!("No paired test. {}", why.as_deref().unwrap_or_default()), width);
        }
    }
    if let Some(pairing) = &comparison.test {
        documents(&mut text, comparison, pairing, width);
    }
    if !comparison.notes.is_empty() {
        text.push('\n');
    }
    for note in &comparison.notes {
        push(&mut text, note, width);
    }
    text
}

/// Adds a line, broken between words where a terminal is too narrow for it.
fn push(text: &mut String, line: &str, width: Option<usize>) {
    let line = plain(line);
    let lines = width.map_or_else(|| vec![line.clone()], |width| wrap(&line, width));
    text.push_str(&lines.join("\n"));
    text.push('\n');
}

/// `trial 0003 of reviews (learning_rate=2e-3), the best by test F1`
fn heading(trial: &ComparedTrial<'_>) -> String {
    let params = trial.row.params.to_string();
    let params = if params.is_empty() { params } else { format!(" ({params})") };
    let best = trial.best_by.map_or_else(String::new, |by| format!(", the best by {by}"));
    format!("trial {} of {}{params}{best}", trial.row.trial, trial.sweep)
}

/// The rows of the table of settings and figures.
fn figures_of(comparison: &Comparison<'_>) -> Vec<Vec<String>> {
    let value = |value: &Value| shorten(&figures::value(value), VALUE_COLUMNS_MAX);
    let mut rows = vec![["", "A", "B"].map(ToOwned::to_owned).to_vec()];
    for setting in &comparison.settings {
        let [first, second] = setting.values.each_ref().map(value);
        rows.push(vec![setting.name.to_owned(), first, second]);
    }
    if comparison.settings.is_empty() {
        rows.push(["settings", "the same", "the same"].map(ToOwned::to_owned).to_vec());
    }
    let mut row = |name: &str, of: &dyn Fn(&ComparedTrial<'_>) -> Option<String>| {
        let [first, second] = comparison
            .trials
            .each_ref()
            .map(|trial| of(trial).unwrap_or_else(|| figures::NOTHING.to_owned()));
        rows.push(vec![name.to_owned(), first, second]);
    };
    row("state", &|trial| Some(state(trial)));
    row("verdict", &|trial| trial.row.verdict.map(|verdict| verdict.to_string()));
    row("best epoch", &|trial| {
        trial.row.best_epoch.map(|best| format!("{} of {}", figures::number(best), trial.epochs))
    });
    row("val F1 [95 %]", &|trial| {
        let of = trial.validation.as_ref()?;
        Some(format!("{} {}", figures::share(of.f1), figures::interval(of.f1_low, of.f1_high)))
    });
    row("val accuracy", &|trial| Some(figures::share(trial.validation.as_ref()?.accuracy)));
    row("val loss", &|trial| Some(figures::number(trial.validation.as_ref()?.loss)));
    row("test F1 [95 %]", &|trial| {
        let of = trial.row.test.as_ref()?;
        Some(format!("{} {}", figures::share(of.f1), figures::interval(of.f1_low, of.f1_high)))
    });
    row("test accuracy", &|trial| Some(figures::share(trial.row.test.as_ref()?.accuracy)));
    row("test loss", &|trial| Some(figures::number(trial.row.test.as_ref()?.loss)));
    row("time", &|trial| trial.row.seconds.map(figures::duration));
    rows
}

fn state(trial: &ComparedTrial<'_>) -> String {
    match trial.row.halted {
        Some(HaltedAt { epoch, .. }) if trial.row.state == State::Halted => {
            format!("halted at epoch {epoch}")
        }
        _ => trial.row.state.as_str().to_owned(),
    }
}

/// The paired test and the table of right and wrong predictions.
fn test(text: &mut String, pairing: &Pairing, width: Option<usize>) {
    let Pairing { documents, difference, low, high, p_value, .. } = pairing;
    let answer = match difference {
        _ if *p_value > SIGNIFICANCE_LEVEL => "they are not distinguishable on these documents",
        difference if *difference > 0.0 => "A is better on these documents",
        _ => "B is better on these documents",
    };
    let p =
        if *p_value < 0.001 { "p < .001".to_owned() } else { format!("p = {}", figures::share(*p_value)) };
    let line = format!(
        "difference in test F1, A − B: {} [{}, {}]; {p}: {answer} ({documents} documents, paired test of these two alone)",
        signed(*difference),
        signed(*low),
        signed(*high)
    );
    push(text, &line, width);
    text.push('\n');
    let row = |cells: [&str; 3]| cells.map(ToOwned::to_owned).to_vec();
    let Pairing { both_right, only_first, only_second, both_wrong, .. } = pairing;
    text.push_str(&table(&[
        row(["documents", "B right", "B wrong"]),
        row(["A right", &both_right.to_string(), &only_first.to_string()]),
        row(["A wrong", &only_second.to_string(), &both_wrong.to_string()]),
    ]));
}

/// A difference of shares with its sign: `+.025`, `−.010`, `.000`.
fn signed(difference: f64) -> String {
    let share = figures::share(difference.abs());
    match share.as_str() {
        ".000" => share,
        _ if difference < 0.0 => format!("−{share}"),
        _ => format!("+{share}"),
    }
}

/// The documents for which the predictions differ.
fn documents(text: &mut String, comparison: &Comparison<'_>, pairing: &Pairing, width: Option<usize>) {
    let (shown, all) = (comparison.documents.len(), pairing.differing.len());
    let which = match (shown, all) {
        (_, 0) => return,
        (0, _) => ".".to_owned(),
        _ if shown == all => ":".to_owned(),
        _ => format!("; the first {shown}:"),
    };
    text.push('\n');
    push(
        text,
        &format!("{all} of {} test documents have different predictions{which}", pairing.documents),
        width,
    );
    if shown == 0 {
        return;
    }
    let class = |class: &str| shorten(&plain(class), CLASS_COLUMNS_MAX);
    let mut rows = vec![["row", "label", "A", "B"].map(ToOwned::to_owned).to_vec()];
    rows.extend(comparison.documents.iter().map(|each| {
        let [first, second] = each.predicted.map(class);
        vec![each.id.to_string(), class(each.label), first, second]
    }));
    let texts =
        std::iter::once(Some("text")).chain(comparison.documents.iter().map(|each| each.text.as_deref()));
    let lines = table(&rows);
    let used = lines.lines().map(columns).max().unwrap_or(0);
    for (line, shown) in lines.lines().zip(texts) {
        let room = width.map_or(usize::MAX, |width| width.saturating_sub(used + 2).max(TEXT_COLUMNS_MIN));
        let pad = " ".repeat(used - columns(line));
        let whole = format!("{line}{pad}  {}", shorten(&plain(shown.unwrap_or_default()), room));
        let _ = writeln!(text, "{}", whole.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::compare::{
            comparison::{DifferentSetting, ValidationFigures},
            documents::DifferingDocument,
        },
        leaderboard::{Leaderboard, Prediction, RankBy, build},
        metrics::Target,
        samples::{record, study},
    };

    fn board() -> Leaderboard {
        let mut halted = record(2, &[0.6, 0.55]);
        (halted.state, halted.outcome) = (State::Halted, None);
        build(&study(vec![record(1, &[0.6, 0.5]), halted]), RankBy::TestF1, &|_| None)
    }

    fn trial(board: &Leaderboard, at: usize) -> ComparedTrial<'_> {
        let validation = ValidationFigures { loss: 0.5, accuracy: 0.75, f1: 0.75, f1_low: 0.7, f1_high: 0.8 };
        let (sweep, row) = (board.sweep.as_str(), &board.rows[at]);
        ComparedTrial { sweep, best_by: None, validation: Some(validation), epochs: 2, row }
    }

    /// Both predictions for a hundred documents, which differ for the first two.
    fn pairing() -> Pairing {
        let model = |wrong: [usize; 1]| -> Vec<Prediction> {
            let predicted = |at: usize| if wrong.contains(&at) { 1 - at % 2 } else { at % 2 };
            (0..100)
                .map(|at| Prediction { id: at as u64 + 1, label: at % 2, predicted: predicted(at) })
                .collect()
        };
        Pairing::new([&model([0]), &model([1])], Target::Class(1), 2).unwrap()
    }

    fn comparison<'a>(board: &'a Leaderboard, text: &str) -> Comparison<'a> {
        let document = |id| DifferingDocument {
            id,
            label: "差评",
            predicted: ["一个很长的类别名称", "\u{1b}[31m好评"],
            text: Some(text.to_owned()),
        };
        Comparison {
            trials: [trial(board, 0), trial(board, 1)],
            settings: vec![DifferentSetting {
                name: "dropout",
                values: [Value::Float(0.1), Value::Text("x".repeat(300))],
            }],
            test: Some(pairing()),
            not_tested: None,
            documents: vec![document(1)],
            notes: vec!["A note\u{202e}.".to_owned()],
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let board = board();
        let shown = describe(&comparison(&board, &"很好 ".repeat(500)), Some(80));
        assert!(shown.lines().all(|line| columns(line) <= 80), "{shown}");
    }

    #[test]
    fn a_text_is_shown_whole_where_there_is_no_terminal() {
        let (board, text) = (board(), "很好".repeat(500));
        assert!(describe(&comparison(&board, &text), None).contains(&text));
    }

    #[test]
    fn texts_labels_and_notes_cannot_speak_to_the_terminal() {
        let board = board();
        let shown = describe(&comparison(&board, "a\u{1b}[2Jb\nc"), None);
        assert!(shown.contains("a [2Jb c") && shown.contains("A note‹U+202E›."), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn a_trial_that_was_not_measured_has_no_test_figures() {
        let board = board();
        let shown = describe(&comparison(&board, "a"), None);
        let line = shown.lines().find(|line| line.starts_with("test F1")).unwrap();
        assert!(line.ends_with(figures::NOTHING), "{shown}");
    }

    #[test]
    fn the_table_of_documents_has_its_counts() {
        let board = board();
        let shown = describe(&comparison(&board, "a"), None);
        let table: Vec<&str> =
            shown.lines().skip_while(|line| !line.starts_with("documents")).take(3).collect();
        assert_eq!(table, ["documents  B right  B wrong", "A right    98       1", "A wrong    1        0"]);
    }

    #[test]
    fn a_difference_has_its_sign() {
        assert_eq!([0.025, -0.01, 0.0, -0.0001].map(signed), ["+.025", "−.010", ".000", ".000"]);
    }
}
