//! Labels, names and messages that would be markup, formulas or orders to a terminal: they stay texts in every form of a
//! leaderboard and in the page.

use proptest::prelude::*;

use super::*;
use crate::{
    display::plain,
    leaderboard::{Classified, Prediction, RankBy, build, configurations, figures},
    samples::{failed, first_unseen, hostile, markdown_texts, record, study},
    settings::Value,
    trial::FailureKind,
};

/// A study in which every text from outside is one of `texts`.
fn study_of(texts: &[String; 4]) -> Study {
    let mut trials = vec![record(1, &[0.5]), record(2, &[0.4]), failed(record(3, &[0.5]), FailureKind::Data)];
    for trial in &mut trials {
        trial.trial.params.0[1].1 = Value::Text(texts[0].clone());
    }
    trials[2].failure.as_mut().unwrap().message.clone_from(&texts[1]);
    let mut study = study(trials);
    study.labels = vec![texts[2].clone(), texts[3].clone()];
    study.sweep.clone_from(&texts[0]);
    study.positive_is_guess = true;
    study
}

/// The names of the elements of an HTML page, and the parts of its tags.
fn tags(html: &str) -> impl Iterator<Item = (&str, &str)> {
    html.split('<').skip(1).map(|rest| {
        let tag = rest.split('>').next().unwrap();
        (tag.trim_start_matches('/').split_whitespace().next().unwrap_or_default(), tag)
    })
}

/// The elements of the page.
const ELEMENTS: &[&str] = &[
    "!DOCTYPE",
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "h1",
    "h2",
    "h3",
    "p",
    "div",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "a",
    "b",
    "bdi",
    "br",
    "code",
    "details",
    "figcaption",
    "figure",
    "img",
    "li",
    "pre",
    "span",
    "summary",
    "ul",
    "section",
    "blockquote",
    "caption",
    "circle",
    "g",
    "line",
    "ol",
    "path",
    "rect",
    "script",
    "svg",
    "text",
];

/// The leaderboard of a study in which every text from outside is one of `texts`, and its page.
fn shown(texts: &[String; 4]) -> (Leaderboard, String) {
    let study = study_of(texts);
    let mut board = build(&study, RankBy::TestF1, &|_| None);
    board.add_logs(&|_| vec![plain(&texts[1])]);
    let prediction = Prediction { id: 7, label: 0, predicted: 1 };
    let mut inspection = Inspection::new(TrialId(2), &[Classified { prediction, probability: 0.9 }]);
    inspection.mistakes[0].text = Some(texts.concat());
    inspection.no_texts = Some(texts[1].clone());
    let (spec, pictured) = (texts.concat(), pictured(&board));
    let configurations = configurations(&board, &|_| None, &|_| None);
    let (inspection, runner) = (Some(&inspection), Some(texts[1].as_str()));
    let page = page(&PageInput {
        study: &study,
        configurations: Some(&configurations),
        board: &board,
        spec: &spec,
        pictured: &pictured,
        inspection,
        runner,
    });
    (board, page.document(Shown::File))
}

/// The page without its own style and script, which hold no text from outside.
fn without_own(html: &str) -> String {
    let (before, after) = html.split_once("<style>").unwrap();
    let (_, after) = after.split_once("</style>").unwrap();
    let (middle, _) = after.rsplit_once("<script>").unwrap();
    format!("{before}{middle}")
}

/// The elements that the page has, whatever the texts are.
fn elements_of_page() -> usize {
    without_bdi(&shown(&["a", "b", "c", "d"].map(str::to_owned)).1)
}

fn without_bdi(html: &str) -> usize {
    tags(&without_own(html)).filter(|(name, _)| *name != "bdi").count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_hostile_text_is_never_obeyed(texts in [hostile(), hostile(), hostile(), hostile()]) {
        let (board, html) = shown(&texts);
        for shown in [html, board.to_markdown(), board.to_csv(), board.to_json(), board.to_table()] {
            prop_assert_eq!(first_unseen(&shown), None, "{}", shown);
        }
    }

    #[test]
    fn a_hostile_text_is_a_text_in_the_page(texts in [hostile(), hostile(), hostile(), hostile()]) {
        let (_, html) = shown(&texts);
        let own = without_own(&html);
        prop_assert!(tags(&own).all(|(name, _)| ELEMENTS.contains(&name)), "{}", own);
        // What the script knows stands in the only element of its kind.
        prop_assert_eq!(own.matches("<script").count(), 1, "{}", own);
        // Besides, there are only those that isolate a text which is not ASCII.
        prop_assert_eq!(without_bdi(&html), elements_of_page(), "{}", html);
    }

    #[test]
    fn a_hostile_text_is_a_text_in_markdown(texts in [hostile(), hostile(), hostile(), hostile()]) {
        let (board, _) = shown(&texts);
        let seen = markdown_texts(&board.to_markdown());
        let value = figures::shorten(&figures::value(&Value::Text(texts[0].clone())), 24);
        prop_assert!(seen.contains(value.trim()), "{:?} in {}", value, seen);
        prop_assert!(seen.contains(plain(&texts[3]).trim()), "{}", seen);
    }

    #[test]
    fn a_hostile_text_is_a_text_in_csv_and_exact_in_json(texts in [hostile(), hostile(), hostile(), hostile()]) {
        let (board, _) = shown(&texts);
        let csv = board.to_csv();
        for row in csv::Reader::from_reader(csv.as_bytes()).records().map(Result::unwrap) {
            for cell in &row {
                let is_formula = cell.trim_start().starts_with(['=', '+', '-', '@']);
                prop_assert!(!is_formula || cell.parse::<f64>().is_ok(), "{}", cell);
            }
        }
        let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
        prop_assert_eq!(rows[0]["positive"].as_str(), Some(texts[3].as_str()));
        prop_assert_eq!(rows[0]["params"]["dropout"].as_str(), Some(texts[0].as_str()));
    }
}
