//! The part of the page about documents that are alike: rows of files and numbers, and no text from outside.

use std::fmt::Write as _;

use super::words::scroll_box;
use crate::{leaderboard::figures::html as escape, study::Study};

/// Examples of each kind.
const EXAMPLES_SHOWN: usize = 10;

/// Which documents of different splits are alike; empty where the plan does not say.
pub(super) fn part(study: &Study) -> String {
    let Some(report) = &study.leaks else { return String::new() };
    let mut html = "<h2>Documents that are alike</h2>\n".to_owned();
    let table = report.table();
    if let Some((headings, rows)) = table.split_first() {
        html.push_str(&scroll_box("Documents that are alike"));
        html.push_str("<table>\n<thead><tr>");
        for heading in headings {
            let _ = write!(html, "<th scope=\"col\">{}</th>", escape(heading));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
            let _ = writeln!(html, "<tr>{}</tr>", cells.concat());
        }
        html.push_str("</tbody></table></div>\n");
    }
    for finding in report.findings(EXAMPLES_SHOWN) {
        let _ = writeln!(html, "<p class=\"soft\">{}.</p>", escape(&capital(&finding)));
    }
    html
}

/// `text` with its first letter in upper case.
fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{AlikeDocuments, Fate, LeakReport, Likeness, RowOf, RowPair, SplitName},
        samples,
    };

    fn html(report: Option<LeakReport>) -> String {
        let mut study = samples::study(Vec::new());
        study.leaks = report;
        part(&study)
    }

    fn report(notes: Vec<String>) -> LeakReport {
        let row = |split, row| RowOf { split, row };
        let pair = RowPair {
            later: row(SplitName::Test, 324),
            earlier: row(SplitName::Train, 9223),
            similarity: Some(959),
        };
        let near = AlikeDocuments {
            likeness: Likeness::Near,
            validation_in_train: 8,
            test_in_train: 3,
            test_in_validation: 0,
            fate: Fate::Kept,
            dropped: 0,
            test_left: 3,
            across_folds: None,
            examples: vec![pair],
        };
        LeakReport { alike: vec![near], near_threshold: 700, notes, ..LeakReport::default() }
    }

    #[test]
    fn documents_that_are_alike_have_a_table_and_examples() {
        let html = html(Some(report(Vec::new())));
        let row =
            "<tr><td>near (.70)</td><td>8</td><td>3</td><td>0</td><td>kept</td><td>0</td><td>3</td></tr>";
        assert!(html.contains(row), "{html}");
        assert!(html.contains("Near (.70), by rows: test 324 and train 9223 (.95)."), "{html}");
    }

    #[test]
    fn a_plan_that_does_not_say_has_no_section() {
        assert_eq!(html(None), "");
    }

    #[test]
    fn findings_are_escaped() {
        let html = html(Some(report(vec!["<script>".to_owned()])));
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "{html}");
    }
}
