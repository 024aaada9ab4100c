//! The page that holds the pictures: one file without scripts, which needs no server.
//!
//! Texts from data, spec and error messages are escaped.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    leaderboard::{Averages, Leaderboard, LeaderboardRow, figures},
    study::{Study, TrialRecord},
    trial::TrialId,
};

/// The style sheet of the page, for light and dark screens.
const STYLE: &str = "\
:root { color-scheme: light dark; --line: #d5d5d5; --soft: #5c5c5c; --back: #fff; --ink: #222; --card: #f6f6f6 }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #aaa; --back: #181818; --ink: #e8e8e8; --card: #242424 } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1500px; margin: 2rem auto; padding: 0 1rem; background: var(--back); color: var(--ink) }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.5rem }
img { max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: 4px }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap }
th, td { padding: .3rem .55rem; font-size: .92rem; border-bottom: 1px solid var(--line); text-align: left }
th { position: sticky; top: 0; background: var(--back) }
tr.best td { font-weight: 600 } td a { color: inherit }
.soft { color: var(--soft) }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1.5rem }
figure { margin: 0 } figcaption { margin-top: .3rem; overflow-wrap: anywhere }
pre { background: var(--card); padding: 1rem; overflow-x: auto; border-radius: 4px }
";

/// The page of a sweep: overview, leaderboard, each trial's pictures, and the spec.
///
/// Its links are relative, to `overview.png` and `trials/` beside the page. Trials that are not in `pictured`
/// are shown in the leaderboard only.
#[must_use]
pub fn page(study: &Study, board: &Leaderboard, spec: &str, pictured: &BTreeSet<TrialId>) -> String {
    let name = escape(&study.sweep);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name} · sweep</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{name}</h1>\n\
         <p><img src=\"overview.png\" alt=\"Validation curves of all trials, and test F1 by swept setting\"></p>\n"
    );
    leaderboard(&mut html, board, pictured);
    classes(&mut html, board);
    trials(&mut html, study, board, pictured);
    let _ = write!(html, "<h2>Spec</h2>\n<pre>{}</pre>\n</body>\n</html>\n", escape(spec));
    html
}

/// Writes the leaderboard with its footnotes.
fn leaderboard(html: &mut String, board: &Leaderboard, pictured: &BTreeSet<TrialId>) {
    let _ = writeln!(html, "<h2>Leaderboard</h2>\n<p>Ranked by {}.</p>", escape(&board.ranked_by()));
    let (headings, rows) = board.cells();
    html.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    for heading in &headings {
        let _ = write!(html, "<th>{}</th>", escape(heading));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    let leader = board.leader().map(|row| row.trial);
    for (row, cells) in board.rows.iter().zip(&rows) {
        let best = leader == Some(row.trial);
        html.push_str(if best { "<tr class=\"best\">" } else { "<tr>" });
        for (heading, cell) in headings.iter().zip(cells) {
            let cell = escape(cell);
            let _ = if heading == "trial" && pictured.contains(&row.trial) {
                write!(html, "<td><a href=\"#trial-{}\">{cell}</a></td>", row.trial)
            } else {
                write!(html, "<td>{cell}</td>")
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    for note in board.footnotes().into_iter().chain(board.failures()) {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(&note));
    }
}

/// Writes the best trial's figures for each class of the test set.
fn classes(html: &mut String, board: &Leaderboard) {
    let Some((leader, test)) = board.leader().and_then(|row| Some((row, row.test.as_ref()?))) else { return };
    let _ = write!(
        html,
        "<h2>Classes</h2>\n<p>The test set by class, in trial <a href=\"#trial-{0}\">{0}</a>, the best by {1}.</p>\n\
         <div class=\"wide\"><table>\n<thead><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th>\
         <th>documents</th></tr></thead>\n<tbody>\n",
        leader.trial,
        escape(&board.ranked_by()),
    );
    for class in &test.classes {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&class.label),
            figures::share(class.precision),
            figures::share(class.recall),
            figures::share(class.f1),
            class.support,
        );
    }
    html.push_str("</tbody></table></div>\n");
    if let Some(Averages { macro_f1, micro_f1, weighted_f1 }) = test.averages {
        let _ = writeln!(
            html,
            "<p class=\"soft\">macro-F1 {}, micro-F1 {}, weighted F1 {}; what ranks here is {}.</p>",
            figures::share(macro_f1),
            figures::share(micro_f1),
            figures::share(weighted_f1),
            board.target.f1_name(),
        );
    }
}

/// Writes the pictures of the trials.
fn trials(html: &mut String, study: &Study, board: &Leaderboard, pictured: &BTreeSet<TrialId>) {
    html.push_str("<h2>Trials</h2>\n");
    if pictured.len() < board.rows.len() {
        let _ = writeln!(
            html,
            "<p class=\"soft\">The first {} of {} trials on the leaderboard; <code>sweep report --all</code> draws \
             every one.</p>",
            pictured.len(),
            board.rows.len()
        );
    }
    html.push_str("<div class=\"grid\">\n");
    for row in board.rows.iter().filter(|row| pictured.contains(&row.trial)) {
        let Some(record) = study.trial(row.trial) else { continue };
        let rank = row.rank.map_or_else(|| row.state.as_str().to_owned(), |rank| format!("rank {rank}"));
        let _ = writeln!(html, "<figure id=\"trial-{}\">", row.trial);
        pictures(html, record);
        let verdict = row.verdict.map_or_else(String::new, |verdict| format!(" · {verdict}"));
        let params: Vec<String> =
            row.params.0.iter().map(|(name, value)| format!("{name} = {}", figures::value(value))).collect();
        let _ = writeln!(
            html,
            "<figcaption><b>{}</b> · {rank}{verdict}<br><span class=\"soft\">{}</span></figcaption>",
            row.trial,
            escape(&params.join(", "))
        );
        failure(html, row);
        html.push_str("</figure>\n");
    }
    html.push_str("</div>\n");
}

/// Writes links to the pictures that a trial has.
fn pictures(html: &mut String, record: &TrialRecord) {
    let id = record.trial.id;
    if record.evaluations.is_empty() {
        html.push_str("<p class=\"soft\">No evaluation yet.</p>\n");
    } else {
        let path = format!("trials/{id}/curve.png");
        let _ = writeln!(
            html,
            "<a href=\"{path}\"><img loading=\"lazy\" width=\"1200\" height=\"900\" src=\"{path}\" \
             alt=\"Losses and validation F1 of trial {id}\"></a>"
        );
    }
    if record.outcome.is_some() {
        let _ = writeln!(html, "<a href=\"trials/{id}/confusion.png\">Confusion on the test set</a>");
    }
}

/// Writes why a trial failed, with the last lines of its worker's log.
fn failure(html: &mut String, row: &LeaderboardRow) {
    if let Some(reason) = &row.reason {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(reason));
    }
    if let Some(failed) = row.failure.as_ref().filter(|failed| !failed.log.is_empty()) {
        let _ = writeln!(html, "<pre>{}</pre>", escape(&failed.log.join("\n")));
    }
}

/// `text` escaped for HTML, for an element or a quoted attribute. Control characters other than line breaks
/// and tabs are dropped.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => {}
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        leaderboard::{RankBy, build},
        metrics::{Average, Confusion, Scores, Target},
        report::pictured,
        samples::{failed, record, study},
        settings::Value,
        trial::FailureKind,
    };

    fn whole(study: &Study, spec: &str) -> String {
        let board = build(study, RankBy::TestF1, &|_| None);
        page(study, &board, spec, &pictured(&board))
    }

    #[test]
    fn a_sweep_of_many_trials_shows_pictures_of_the_best() {
        let study = study((1..=201).map(|id| record(id, &[0.1 + 0.001 * f64::from(id)])).collect());
        let html = whole(&study, "");
        assert_eq!(html.matches("<figure").count(), 100);
        assert_eq!(html.matches("<tr><td>").count() + html.matches("<tr class=").count(), 201 + 2);
        assert_eq!(html.matches("<td><a href=").count(), 100);
        assert!(html.contains("The first 100 of 201 trials on the leaderboard"));
    }

    #[test]
    fn texts_from_data_never_become_markup() {
        let mut nasty = failed(record(1, &[0.5]), FailureKind::Data);
        nasty.trial.params.0[1].1 = Value::Text("\"><script>a</script>".to_owned());
        nasty.failure.as_mut().unwrap().message = "<img src=x onerror=y>".to_owned();
        let mut study = study(vec![nasty]);
        study.sweep = "<i>'s & co</i>".to_owned();
        let mut board = build(&study, RankBy::TestF1, &|_| None);
        board.add_logs(&|_| vec!["</pre><script>".to_owned(), "the cause".to_owned()]);
        let html = page(&study, &board, "# </pre><script>", &pictured(&board));
        assert!(html.contains("<pre>&lt;/pre&gt;&lt;script&gt;\nthe cause</pre>"), "{html}");
        assert!(!html.contains("<script") && !html.contains("<img src=x") && !html.contains("<i>"), "{html}");
        assert!(html.contains("&lt;i&gt;&#39;s &amp; co"));
        assert!(html.contains("# &lt;/pre&gt;&lt;script&gt;"));
    }

    /// The page of a sweep with two complete trials, of which the second is the best.
    fn of_two_trials() -> String {
        whole(&study(vec![record(1, &[0.5]), record(2, &[0.4])]), "")
    }

    #[test]
    fn the_classes_are_those_of_the_best_trial() {
        let html = of_two_trials();
        assert!(html.contains("<a href=\"#trial-0002\">0002</a>, the best by test F1"), "{html}");
    }

    #[test]
    fn each_class_is_shown_under_its_name() {
        let html = of_two_trials();
        // 44 of 200 wrong in each class.
        let row = |label: &str| {
            format!("<tr><td>{label}</td><td>.780</td><td>.780</td><td>.780</td><td>200</td></tr>")
        };
        assert!(html.contains(&row("差评")) && html.contains(&row("好评")), "{html}");
    }

    #[test]
    fn two_classes_have_no_averages() {
        assert!(!of_two_trials().contains("macro-F1"));
    }

    #[test]
    fn more_than_two_classes_have_their_averages_below_the_table() {
        let target = Target::Average(Average::Weighted);
        let mut three = record(1, &[0.5]);
        let mut counts = Confusion::new(3);
        for (truth, predicted) in [(0, 0), (1, 1), (2, 2), (2, 0)] {
            counts.add(truth, predicted);
        }
        three.outcome.as_mut().unwrap().test = Scores::new(counts, 0.5, target);
        let labels = ["<a>", "b & c", "d"].map(str::to_owned).to_vec();
        let study = Study { labels, target, ..study(vec![three]) };
        let html = whole(&study, "");
        assert!(
            html.contains("<tr><td>&lt;a&gt;</td><td>.500</td><td>1.000</td><td>.667</td><td>1</td></tr>")
        );
        assert!(
            html.contains("macro-F1 .778, micro-F1 .750, weighted F1 .750; what ranks here is weighted F1."),
            "{html}"
        );
    }

    /// The page of a complete trial, a failed one and a waiting one.
    fn of_three_states() -> String {
        let mut waiting = record(3, &[]);
        waiting.state = crate::trial::State::Waiting;
        let broken = failed(record(2, &[0.5]), FailureKind::Exit(1));
        whole(&study(vec![record(1, &[0.5]), broken, waiting]), "")
    }

    #[test]
    fn each_trial_has_its_pictures_as_far_as_they_exist() {
        let html = of_three_states();
        let has = |picture: &str| html.contains(&format!("trials/{picture}.png"));
        assert!(has("0001/curve") && has("0001/confusion") && has("0002/curve"));
        assert!(!has("0002/confusion") && !has("0003/curve"));
    }

    #[test]
    fn the_page_refers_to_no_server() {
        assert!(!of_three_states().contains("http"));
    }
}
