//! Facts about the whole page.

use super::{trials::CHARTS_MAX, *};
use crate::{
    leaderboard::{Prediction, RankBy, build},
    metrics::{Average, Confusion, Scores, Target},
    report::pictured,
    samples::{failed, record, study},
    settings::Value,
    trial::FailureKind,
};

fn of_board(study: &Study, board: &Leaderboard, spec: &str) -> String {
    let pictured = pictured(board);
    let input = PageInput {
        study,
        board,
        configurations: None,
        spec,
        pictured: &pictured,
        inspection: None,
        runner: None,
    };
    page(&input).document(Shown::File)
}

fn whole(study: &Study, spec: &str) -> String {
    of_board(study, &build(study, RankBy::TestF1, &|_| None), spec)
}

/// The page without its own style and script.
fn contents(html: &str) -> String {
    let (before, after) = html.split_once("<style>").unwrap();
    let (_, after) = after.split_once("</style>").unwrap();
    let (middle, _) = after.split_once("<script>").unwrap();
    format!("{before}{middle}")
}

/// The page of a complete trial, a failed one and a waiting one.
fn of_three_states() -> String {
    let mut waiting = record(3, &[]);
    waiting.state = crate::trial::State::Waiting;
    let broken = failed(record(2, &[0.5]), FailureKind::Exit(1));
    whole(&study(vec![record(1, &[0.5]), broken, waiting]), "")
}

/// The page of a sweep with two complete trials, of which the second is the best.
fn of_two_trials() -> String {
    whole(&study(vec![record(1, &[0.5]), record(2, &[0.4])]), "")
}

#[test]
fn a_sweep_of_many_trials_shows_charts_of_the_best() {
    let html = whole(&study((1..=201).map(|id| record(id, &[0.1 + 0.001 * f64::from(id)])).collect()), "");
    assert_eq!(html.matches("<figure id=").count(), CHARTS_MAX);
    assert_eq!(html.matches("<li id=").count(), 100 - CHARTS_MAX);
    assert_eq!(html.matches("<tr id=").count(), 201);
    assert_eq!(html.matches("<td class=\"id\"><a href=").count(), 100);
    assert!(html.contains("The first 100 of 201 trials on the leaderboard"));
}

#[test]
fn the_page_of_400_long_trials_has_at_most_3_mb() {
    let losses: Vec<f64> = (0..200).map(|epoch| 0.7 / f64::from(epoch + 1)).collect();
    let html = whole(&study((1..=400).map(|id| record(id, &losses)).collect()), "");
    assert!(html.len() < 3_000_000, "{}", html.len());
}

#[test]
fn the_page_of_a_small_sweep_refers_to_no_other_file() {
    let html = of_two_trials();
    assert!(!html.contains(" src=") && !html.contains("@import") && !html.contains("url("), "{html}");
    let links: Vec<&str> = html.split(" href=\"").skip(1).collect();
    assert!(links.iter().all(|link| link.starts_with('#')), "{links:?}");
}

#[test]
fn every_chart_has_words_for_those_who_do_not_see_it() {
    let html = contents(&of_three_states());
    assert_eq!(html.matches("<svg").count(), html.matches("role=\"img\" aria-label=\"").count());
    assert!(
        html.contains("aria-label=\"Losses and validation F1 of trial 0001 by epoch, best epoch 1, verdict"),
        "{html}"
    );
}

#[test]
fn every_link_within_the_page_has_its_place() {
    let html = whole(&study((1..=60).map(|id| record(id, &[0.1 + 0.001 * f64::from(id)])).collect()), "");
    for link in html.split("href=\"#").skip(1) {
        let place = link.split('"').next().unwrap();
        assert!(html.contains(&format!(" id=\"{place}\"")), "{place}");
    }
}

#[test]
fn headings_of_tables_stay_in_sight_and_tables_scroll_by_themselves() {
    let html = of_two_trials();
    assert!(html.contains("thead th { position: sticky; top: 0;"));
    let html = contents(&html);
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
    let html = contents(&of_board(&study, &board, "# </pre><script>"));
    assert!(html.contains("<pre tabindex=\"0\">&lt;/pre&gt;&lt;script&gt;\nthe cause</pre>"), "{html}");
    // What the script knows is the only script element here.
    assert_eq!(html.matches("<script").count(), 1);
    assert!(!html.contains("<img src=x") && !html.contains("<i>"), "{html}");
    assert!(html.contains("&lt;i&gt;&#39;s &amp; co"));
    assert!(html.contains("# &lt;/pre&gt;&lt;script&gt;"));
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
    let html = whole(&Study { labels, target, ..study(vec![three]) }, "");
    assert!(html.contains("<tr><td>&lt;a&gt;</td><td>.500</td><td>1.000</td><td>.667</td><td>1</td></tr>"));
    assert!(
        html.contains("macro-F1 .778, micro-F1 .750, weighted F1 .750; what ranks here is weighted F1."),
        "{html}"
    );
}

#[test]
fn each_trial_has_its_charts_as_far_as_they_exist() {
    let html = contents(&of_three_states());
    assert_eq!(html.matches("<svg class=\"trial\"").count(), 2);
    assert_eq!(html.matches("<details>").count(), 1);
    assert_eq!(html.matches("No evaluation yet.").count(), 1);
}

#[test]
fn the_page_names_no_address_of_a_server() {
    let html = of_three_states();
    assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("\"//"), "{html}");
}

#[test]
fn the_summary_counts_the_trials_by_their_states() {
    assert!(of_three_states().contains("3 trials: 1 complete, 1 failed, 1 waiting."));
}

#[test]
fn the_section_of_a_trial_says_what_its_verdict_rests_on() {
    let html = whole(&study(vec![record(1, &[0.6, 0.5, 0.6])]), "");
    let evidence = "<p class=\"soft\">Validation loss ended 20.0 % above its lowest value, that of epoch 2";
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
    let html = of_board(&study, &build(&study, RankBy::TestF1, &predictions), "");
    let note = "Picking the winner by its test score is optimistic: here by";
    assert!(html.contains(note), "{html}");
}
