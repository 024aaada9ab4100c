//! The part of the page on what each setting did: tables, and what must be known about them.

use std::fmt::Write as _;

use super::words::{isolated, scroll_box};
use crate::{
    effects::Effects,
    leaderboard::figures::{html as escape, plain},
};

/// The part of the page.
pub(super) fn part(effects: &Effects) -> String {
    let mut html = format!(
        "<h2>What each setting did</h2>\n<p>Judged by {} of {} trials.</p>\n",
        escape(&effects.figure_name()),
        effects.trials
    );
    if let Some(why) = &effects.silent {
        let _ = writeln!(html, "<p>{}</p>", escape(why));
    } else {
        table(&mut html, &effects.rows(), "Importance of settings");
        if effects.has_clear() {
            table(&mut html, &effects.rows_of_means(), "Mean figures by value");
        }
    }
    for note in effects.notes.iter().cloned().chain(effects.thinned_note()) {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(&plain(&note)));
    }
    html
}

/// Writes a table whose first row has the headings.
fn table(html: &mut String, rows: &[Vec<String>], name: &str) {
    let Some((headings, rows)) = rows.split_first() else { return };
    html.push_str(&scroll_box(name));
    html.push_str("<table>\n<thead><tr>");
    for heading in headings {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(heading));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            let _ = write!(html, "<td>{}</td>", isolated(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{effects::Figure, samples::record, settings::Value};

    /// The part of a grid of six by two trials, one of whose values is markup.
    fn shown() -> String {
        let mut study = crate::samples::study(
            (0..12_u32).map(|at| record(at + 1, &[0.1 * f64::from(1 + at / 2)])).collect(),
        );
        for (at, record) in study.trials.iter_mut().enumerate() {
            record.trial.params.0 = vec![
                ("learning_rate".to_owned(), Value::Text(format!("<script>{}", at / 2))),
                ("dropout".to_owned(), Value::Int(i64::try_from(at % 2).unwrap())),
            ];
        }
        let effects = Effects::of(&study, Figure::ValF1);
        part(&effects)
    }

    #[test]
    fn values_stay_texts() {
        let html = shown();
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"), "{html}");
    }
}
