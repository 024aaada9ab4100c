//! The section of the page on what each setting did: a table, pictures, and what must be known about them.

use std::fmt::Write as _;

use super::{
    parts::{isolated, scroll_box},
    pictures::{Picture, Pictures},
};
use crate::{
    effects::Effects,
    leaderboard::figures::{html as escape, plain},
};

/// Writes the section. Pictures lie beside the page, as `sweep report` draws them.
pub(super) fn section(html: &mut String, effects: &Effects, images: &mut Pictures<'_>) {
    html.push_str("<h2 id=\"effects\">What each setting did</h2>\n");
    let _ =
        writeln!(html, "<p>Judged by {} of {} trials.</p>", escape(&effects.figure_name()), effects.trials);
    if let Some(why) = &effects.silent {
        let _ = writeln!(html, "<p>{}</p>", escape(why));
    } else {
        table(html, &effects.rows(), "Importance of settings");
        if effects.has_clear() {
            table(html, &effects.rows_of_means(), "Mean figures by value");
        }
    }
    for (path, alt) in pictures(effects) {
        if images.is_there(path) {
            let picture = Picture { path, size: None, alt: &escape(&plain(&alt)) };
            let _ = writeln!(html, "<figure>{}</figure>", images.img(&picture));
        }
    }
    for note in effects.notes.iter().cloned().chain(effects.thinned_note()) {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(&plain(&note)));
    }
}

/// The pictures that there is enough to draw for, and what they show in words.
fn pictures(effects: &Effects) -> Vec<(&'static str, String)> {
    let names: Vec<&str> = effects.settings.iter().map(|setting| setting.name.as_str()).collect();
    let mut pictures = Vec::new();
    if effects.silent.is_none() {
        let words = format!(
            "Importance of {}, and the mean {} by their values",
            names.join(", "),
            effects.figure_name()
        );
        pictures.push(("importance.png", words));
        pictures.push(("parallel.png", format!("Each trial as a line over {}", names.join(", "))));
    }
    if let Some(map) = effects.heat_map.as_ref().filter(|_| effects.silent.is_none()) {
        let words =
            format!("Mean {} by {} and {}", effects.figure_name(), map.row_setting, map.column_setting);
        pictures.push(("heatmap.png", words));
    }
    if !effects.expected_best.is_empty() {
        pictures.push(("expected_best.png", "Expected best figure against the number of draws".to_owned()));
    }
    pictures
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
        let Some((head, cells)) = row.split_first() else { continue };
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", isolated(head));
        for cell in cells {
            let _ = write!(html, "<td>{}</td>", isolated(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{effects::Figure, report::charts, samples::record, settings::Value};

    /// The section of a grid of six by two trials, one of whose values is markup.
    fn shown() -> String {
        let mut study = crate::samples::study(
            (0..12_u32).map(|at| record(at + 1, &[0.1 * f64::from(1 + at / 2)])).collect(),
        );
        for (at, record) in study.trials.iter_mut().enumerate() {
            record.trial.params.0 = vec![
                ("learning_rate".to_owned(), Value::Int(i64::try_from(at / 2).unwrap())),
                ("dropout".to_owned(), Value::Text(["<script>", "b"][at % 2].to_owned())),
            ];
        }
        let effects = Effects::of(&study, Figure::ValF1);
        assert!(charts::importance(&study, &effects).unwrap().is_ok());
        let mut html = String::new();
        section(&mut html, &effects, &mut Pictures::new(&|path| Some(path.as_bytes().to_vec())));
        html
    }

    #[test]
    fn the_section_has_its_pictures_and_no_markup_of_values() {
        let html = shown();
        assert_eq!(html.matches("<img").count(), 3, "{html}");
        assert!(!html.contains("<script>"), "{html}");
    }
}
