//! The page that holds the pictures: one file without scripts, which needs no server.
//!
//! The overview and the pictures of the first trials are part of the page, so that it can be sent to others by
//! itself; the page says where the others lie. Texts from data, spec and error messages are escaped.

mod effects;
mod leaks;
mod parts;
mod pictures;
mod style;

use std::{collections::BTreeSet, fmt::Write as _};

pub use self::pictures::FileBeside;
use self::{
    parts::{isolated, scroll_box},
    pictures::{EMBEDDED_TRIALS_MAX, Picture, Pictures},
    style::STYLE,
};
use crate::{
    effects::{Effects, Figure},
    leaderboard::{
        Averages, Leaderboard, LeaderboardRow,
        figures::{self, html as escape},
    },
    study::{Study, TrialRecord},
    trial::TrialId,
};

/// The page of a sweep: overview, leaderboard, each trial's pictures, and the spec.
///
/// `file` gives the pictures, by their paths from the page: `overview.png` and those below `trials/`. A picture
/// that it does not give is linked. Trials that are not in `pictured` are shown in the leaderboard only.
#[must_use]
pub fn page(
    study: &Study,
    board: &Leaderboard,
    spec: &str,
    pictured: &BTreeSet<TrialId>,
    file: FileBeside<'_>,
) -> String {
    let name = escape(&study.sweep);
    let mut images = Pictures::new(file);
    let alt = escape(&overview_in_words(study, board));
    let overview = images.img(&Picture { path: "overview.png", size: None, alt: &alt });
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name} · sweep</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n\
         <p>{overview}</p>\n"
    );
    leaderboard(&mut html, board, pictured);
    if study.is_over() {
        effects::section(&mut html, &Effects::of(study, Figure::ValF1), &mut images);
    }
    classes(&mut html, board, pictured, &mut images);
    trials(&mut html, study, board, pictured, &mut images);
    leaks::section(&mut html, study);
    let _ = write!(
        html,
        "<h2>Spec</h2>\n<pre tabindex=\"0\">{}</pre>\n</main>\n</body>\n</html>\n",
        escape(spec)
    );
    html
}

/// What the overview shows, in words.
fn overview_in_words(study: &Study, board: &Leaderboard) -> String {
    let settings = if study.swept.is_empty() { "trial".to_owned() } else { study.swept.join(", ") };
    let f1 = board.target.f1_name();
    let best = board.leader().and_then(|row| Some((row.trial, row.test.as_ref()?.f1)));
    let best = best.map_or_else(String::new, |(trial, figure)| {
        format!(". The best trial is {trial}, with test {f1} {}", figures::share(figure))
    });
    format!(
        "Validation loss by epoch of {} trials, and their test {f1} by {}{best}. The leaderboard below has all figures.",
        study.trials.len(),
        figures::plain(&settings),
    )
}

/// Writes the leaderboard with its footnotes.
fn leaderboard(html: &mut String, board: &Leaderboard, pictured: &BTreeSet<TrialId>) {
    let _ = writeln!(html, "<h2>Leaderboard</h2>\n<p>Ranked by {}.</p>", escape(&board.ranked_by()));
    let (headings, rows) = board.cells();
    html.push_str(&scroll_box("Leaderboard"));
    html.push_str("<table class=\"board\">\n<thead><tr>");
    for heading in &headings {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(heading));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    let leader = board.leader().map(|row| row.trial);
    for (row, cells) in board.rows.iter().zip(&rows) {
        let best = leader == Some(row.trial);
        html.push_str(if best { "<tr class=\"best\">" } else { "<tr>" });
        for (heading, cell) in headings.iter().zip(cells) {
            let cell = isolated(cell);
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

/// Writes the best trial's figures for each class of the test set, and its confusion matrix.
fn classes(html: &mut String, board: &Leaderboard, pictured: &BTreeSet<TrialId>, images: &mut Pictures<'_>) {
    let Some(leader) = board.leader().filter(|row| row.test.is_some()) else { return };
    let _ = write!(
        html,
        "<h2 id=\"classes\">Classes</h2>\n<p>The test set by class, in trial <a href=\"#trial-{0}\">{0}</a>, the \
         best by {1}.</p>\n<div class=\"pair\">\n<div>\n",
        leader.trial,
        escape(&board.ranked_by()),
    );
    class_table(html, board, leader);
    html.push_str("</div>\n");
    if pictured.contains(&leader.trial) {
        let _ = writeln!(html, "<figure>{}</figure>", confusion(leader, images));
    }
    html.push_str("</div>\n");
}

/// The picture of a trial's confusion matrix.
fn confusion(row: &LeaderboardRow, images: &mut Pictures<'_>) -> String {
    let accuracy = row.test.as_ref().map_or(f64::NAN, |test| test.accuracy);
    let alt = format!(
        "Confusion matrix of trial {} on the test set, accuracy {}",
        row.trial,
        figures::share(accuracy)
    );
    images.img(&Picture { path: &format!("trials/{}/confusion.png", row.trial), size: None, alt: &alt })
}

/// Writes the table of the classes with their averages.
fn class_table(html: &mut String, board: &Leaderboard, row: &LeaderboardRow) {
    let Some(test) = &row.test else { return };
    html.push_str(&scroll_box("Classes"));
    html.push_str("<table>\n<thead><tr>");
    for heading in ["class", "precision", "recall", "F1", "documents"] {
        let _ = write!(html, "<th scope=\"col\">{heading}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for class in &test.classes {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            isolated(&class.label),
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

/// Writes the pictures of the first trials, and where those of the others lie.
fn trials(
    html: &mut String,
    study: &Study,
    board: &Leaderboard,
    pictured: &BTreeSet<TrialId>,
    images: &mut Pictures<'_>,
) {
    html.push_str("<h2>Trials</h2>\n");
    let rows: Vec<(&LeaderboardRow, &TrialRecord)> = board
        .rows
        .iter()
        .filter(|row| pictured.contains(&row.trial))
        .filter_map(|row| Some((row, study.trial(row.trial)?)))
        .collect();
    let (first, others) = rows.split_at(rows.len().min(EMBEDDED_TRIALS_MAX));
    html.push_str("<div class=\"grid\">\n");
    for (row, record) in first {
        let _ = writeln!(html, "<figure id=\"trial-{}\">", row.trial);
        trial_pictures(html, row, record, board, images);
        let _ = writeln!(html, "<figcaption>{}</figcaption>", caption(row));
        evidence(html, row);
        failure(html, row);
        html.push_str("</figure>\n");
    }
    html.push_str("</div>\n");
    links(html, others);
    if pictured.len() < board.rows.len() {
        let _ = writeln!(
            html,
            "<p class=\"soft\">The first {} of {} trials on the leaderboard have pictures; <code>sweep report \
             --all</code> draws those of every one.</p>",
            pictured.len(),
            board.rows.len()
        );
    }
}

/// The number, rank, verdict and parameters of a trial.
fn caption(row: &LeaderboardRow) -> String {
    let rank = row.rank.map_or_else(|| row.state.as_str().to_owned(), |rank| format!("rank {rank}"));
    let verdict = row.verdict.map_or_else(String::new, |verdict| format!(" · {verdict}"));
    let param =
        |(name, value): &(String, _)| format!("{} = {}", escape(name), isolated(&figures::value(value)));
    let params: Vec<String> = row.params.0.iter().map(param).collect();
    format!("<b>{}</b> · {rank}{verdict}<br><span class=\"soft\">{}</span>", row.trial, params.join(", "))
}

/// Writes the pictures that a trial has. The confusion matrix of the best trial is shown with the classes.
fn trial_pictures(
    html: &mut String,
    row: &LeaderboardRow,
    record: &TrialRecord,
    board: &Leaderboard,
    images: &mut Pictures<'_>,
) {
    let id = row.trial;
    if record.evaluations.is_empty() {
        html.push_str("<p class=\"soft\">No evaluation yet.</p>\n");
    } else {
        let verdict = row.verdict.map_or_else(String::new, |verdict| format!(", verdict {verdict}"));
        let best = row
            .best_epoch
            .map_or_else(String::new, |epoch| format!(", best epoch {}", figures::number(epoch)));
        let alt = format!("Losses and validation F1 of trial {id} by epoch{best}{verdict}");
        let path = format!("trials/{id}/curve.png");
        let _ =
            writeln!(html, "{}", images.img(&Picture { path: &path, size: Some((1200, 900)), alt: &alt }));
    }
    if record.outcome.is_none() {
        return;
    }
    let _ = if board.leader().is_some_and(|leader| leader.trial == id) {
        writeln!(html, "<p><a href=\"#classes\">Confusion on the test set</a></p>")
    } else {
        let confusion = confusion(row, images);
        writeln!(html, "<details><summary>Confusion on the test set</summary>{confusion}</details>")
    };
}

/// Writes links to the pictures of the trials behind the first ones.
fn links(html: &mut String, others: &[(&LeaderboardRow, &TrialRecord)]) {
    if others.is_empty() {
        return;
    }
    let _ = writeln!(
        html,
        "<h3>Other trials</h3>\n<p>The pictures of the first {EMBEDDED_TRIALS_MAX} trials are part of this page. Those of the \
         other {} lie in <code>trials/</code> beside it: their links work as long as the page stays in its folder.</p>\n\
         <ul class=\"others\">",
        others.len(),
    );
    for (row, record) in others {
        let id = row.trial;
        let mut links = Vec::new();
        if !record.evaluations.is_empty() {
            links.push(format!("<a href=\"trials/{id}/curve.png\">losses and F1</a>"));
        }
        if record.outcome.is_some() {
            links.push(format!("<a href=\"trials/{id}/confusion.png\">confusion</a>"));
        }
        let _ = write!(html, "<li id=\"trial-{id}\">{}<br>{}", caption(row), links.join(" · "));
        evidence(html, row);
        failure(html, row);
        html.push_str("</li>\n");
    }
    html.push_str("</ul>\n");
}

/// Writes what the verdict of a trial rests on.
fn evidence(html: &mut String, row: &LeaderboardRow) {
    if let Some(evidence) = &row.evidence {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(&evidence.text));
    }
}

/// Writes why a trial failed, with the last lines of its worker's log.
fn failure(html: &mut String, row: &LeaderboardRow) {
    if let Some(reason) = &row.reason {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(reason));
    }
    if let Some(failed) = row.failure.as_ref().filter(|failed| !failed.log.is_empty()) {
        let _ = writeln!(html, "<pre tabindex=\"0\">{}</pre>", escape(&failed.log.join("\n")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        leaderboard::{Prediction, RankBy, build},
        metrics::{Average, Confusion, Scores, Target},
        report::pictured,
        samples::{failed, record, study},
        settings::Value,
        trial::FailureKind,
    };

    fn whole(study: &Study, spec: &str) -> String {
        let board = build(study, RankBy::TestF1, &|_| None);
        page(study, &board, spec, &pictured(&board), &|_| None)
    }

    #[test]
    fn a_sweep_of_many_trials_shows_pictures_of_the_best() {
        let study = study((1..=201).map(|id| record(id, &[0.1 + 0.001 * f64::from(id)])).collect());
        let html = whole(&study, "");
        assert_eq!(html.matches("<figure id=").count(), EMBEDDED_TRIALS_MAX);
        assert_eq!(html.matches("<li id=").count(), 100 - EMBEDDED_TRIALS_MAX);
        assert_eq!(html.matches("<tr><td>").count() + html.matches("<tr class=").count(), 201 + 2);
        assert_eq!(html.matches("<td><a href=").count(), 100);
        assert!(html.contains("The first 100 of 201 trials on the leaderboard"));
    }

    #[test]
    fn the_section_of_a_trial_says_what_its_verdict_rests_on() {
        let html = whole(&study(vec![record(1, &[0.6, 0.5, 0.6])]), "");
        let evidence =
            "<p class=\"soft\">Validation loss ended 20.0 % above its lowest value, that of epoch 2";
        let section = html.split("<figure id=\"trial-0001\">").nth(1).unwrap();
        assert!(section.contains(evidence), "{section}");
    }

    #[test]
    fn the_page_says_how_likely_the_winner_is_the_best() {
        let study = study(vec![record(1, &[0.5]), record(2, &[0.5])]);
        let predictions = |id: TrialId| {
            let predict = |document: u64| {
                let label = usize::from(document % 2 == 1);
                let errs = (document / 2 + 60 * u64::from(id.0)) % 200 < 54;
                Prediction { id: document, label, predicted: if errs { 1 - label } else { label } }
            };
            Some((0..400).map(predict).collect())
        };
        let board = build(&study, RankBy::TestF1, &predictions);
        let html = page(&study, &board, "", &pictured(&board), &|_| None);
        assert!(
            html.contains("<p class=\"soft\">Picking the winner by its test score is optimistic: here by"),
            "{html}"
        );
    }

    #[test]
    fn the_page_of_a_small_sweep_refers_to_no_other_file() {
        let study = study(vec![record(1, &[0.5]), record(2, &[0.4])]);
        let board = build(&study, RankBy::TestF1, &|_| None);
        let html = page(&study, &board, "", &pictured(&board), &|path| Some(path.as_bytes().to_vec()));
        // The overview, two curves and two confusion matrices, each once.
        assert_eq!(html.matches("src=\"data:image/png;base64,").count(), 5, "{html}");
        assert_eq!(html.matches("src=").count(), 5);
        let links: Vec<&str> = html.split("href=\"").skip(1).collect();
        assert!(links.iter().all(|link| link.starts_with('#')), "{links:?}");
    }

    #[test]
    fn every_picture_has_words_for_those_who_do_not_see_it() {
        let html = of_three_states();
        assert_eq!(html.matches("<img").count(), html.matches(" alt=\"").count());
        assert!(!html.contains("alt=\"\""), "{html}");
        assert!(
            html.contains("alt=\"Losses and validation F1 of trial 0001 by epoch, best epoch 1, verdict"),
            "{html}"
        );
    }

    #[test]
    fn every_link_within_the_page_has_its_place() {
        let study = study((1..=60).map(|id| record(id, &[0.1 + 0.001 * f64::from(id)])).collect());
        let html = whole(&study, "");
        for link in html.split("href=\"#").skip(1) {
            let place = link.split('"').next().unwrap();
            assert!(html.contains(&format!(" id=\"{place}\"")), "{place}");
        }
    }

    #[test]
    fn headings_of_tables_stay_in_sight_and_tables_scroll_by_themselves() {
        let html = of_two_trials();
        assert!(html.contains("thead th { position: sticky; top: 0;"));
        assert_eq!(html.matches("<table").count(), html.matches("<div class=\"box\"").count());
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
        let html = page(&study, &board, "# </pre><script>", &pictured(&board), &|_| None);
        assert!(html.contains("<pre tabindex=\"0\">&lt;/pre&gt;&lt;script&gt;\nthe cause</pre>"), "{html}");
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
            format!("<tr><td><bdi>{label}</bdi></td><td>.780</td><td>.780</td><td>.780</td><td>200</td></tr>")
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
