//! A confusion matrix as a table.

use std::fmt::Write as _;

use super::words::{isolated, scroll_box};
use crate::{
    leaderboard::figures::{self, html as escape},
    metrics::Confusion,
    numbers::count_u64,
};

/// Classes of a matrix at most; of more classes, the pairs that are confused most often are listed.
const CLASSES_MAX: usize = 30;
/// Pairs in the list.
const PAIRS_MAX: usize = 20;
/// Width of the name of a class above its column, in columns of a terminal.
const NAME_COLUMNS: usize = 24;

/// The matrix of the counts: a row for each true class, a column for each predicted one; the colour of a cell is its share
/// of the row.
pub(super) fn table(confusion: &Confusion, labels: &[String], trial: &str) -> String {
    if confusion.classes() > CLASSES_MAX {
        return pairs(confusion, labels);
    }
    let name = |class: usize| labels.get(class).cloned().unwrap_or_else(|| class.to_string());
    let mut html = scroll_box(&format!("Confusion of trial {trial}"));
    html.push_str(
        "<table class=\"confusion\"><caption>Rows: true class. Columns: predicted class.</caption>\n<thead><tr><td></td>",
    );
    for class in 0..confusion.classes() {
        let short = figures::shorten(&figures::plain(&name(class)), NAME_COLUMNS);
        let _ = write!(html, "<th scope=\"col\">{}</th>", isolated(&short));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (truth, row) in confusion.rows().iter().enumerate() {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", isolated(&name(truth)));
        let of = confusion.support(truth);
        for (predicted, documents) in row.iter().enumerate() {
            let share = if of == 0 { 0.0 } else { count_u64(*documents) / count_u64(of) };
            let right = if truth == predicted { " right" } else { "" };
            let _ = write!(
                html,
                "<td class=\"h{:.0}{right}\" title=\"{} taken for {}: {documents} of {of} ({:.1} %)\">{documents}</td>",
                share * 10.0,
                escape(&figures::plain(&name(truth))),
                escape(&figures::plain(&name(predicted))),
                share * 100.0,
            );
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

/// The pairs of classes that are confused most often.
fn pairs(confusion: &Confusion, labels: &[String]) -> String {
    let name = |class: usize| labels.get(class).cloned().unwrap_or_else(|| class.to_string());
    let mut errors: Vec<(u64, usize, usize)> = confusion
        .rows()
        .iter()
        .enumerate()
        .flat_map(|(truth, row)| row.iter().enumerate().map(move |(predicted, n)| (*n, truth, predicted)))
        .filter(|(n, truth, predicted)| *n > 0 && truth != predicted)
        .collect();
    errors.sort_by_key(|(n, truth, predicted)| (std::cmp::Reverse(*n), *truth, *predicted));
    let mut html = format!(
        "<p class=\"soft\">A matrix of {} classes has no room here; these are the pairs that are confused most often.</p>\n{}\
         <table>\n<thead><tr><th scope=\"col\">true class</th><th scope=\"col\">predicted class</th>\
         <th scope=\"col\">documents</th></tr></thead>\n<tbody>\n",
        confusion.classes(),
        scroll_box("Confusions"),
    );
    for (n, truth, predicted) in errors.into_iter().take(PAIRS_MAX) {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{n}</td></tr>",
            isolated(&name(truth)),
            isolated(&name(predicted))
        );
    }
    html.push_str("</tbody></table></div>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_which_class_was_taken_for_which_and_how_often() {
        let counts = Confusion::try_from(vec![vec![3, 1], vec![0, 4]]).unwrap();
        let html = table(&counts, &["bad".to_owned(), "<good>".to_owned()], "0001");
        assert!(html.contains("<td class=\"h8 right\""), "{html}");
        assert!(html.contains("title=\"bad taken for &lt;good&gt;: 1 of 4 (25.0 %)\">1</td>"), "{html}");
    }

    #[test]
    fn many_classes_have_a_list_of_the_most_frequent_confusions() {
        let mut counts = Confusion::new(CLASSES_MAX + 1);
        counts.add(2, 3);
        counts.add(5, 5);
        let html = table(&counts, &[], "0001");
        assert!(
            html.contains("<tr><td>2</td><td>3</td><td>1</td></tr>") && !html.contains("<td>5</td>"),
            "{html}"
        );
    }
}
