//! What the best trial predicts: the mistakes that it was surest of, and how far its probabilities can be believed.

use std::fmt::Write as _;

use super::{
    plot::{Frame, Plot, begin},
    words::{isolated, scroll_box},
};
use crate::{
    leaderboard::{CALIBRATION_DOCUMENTS_MIN, Calibration, CalibrationBin, Classified, figures},
    report::axis::Axis,
    trial::TrialId,
};

/// Mistakes that are shown at most.
const MISTAKES_MAX: usize = 20;
/// Characters of a text that are shown at most.
const TEXT_CHARS_MAX: usize = 300;

/// What a look at the predictions of a trial on the test set has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// The trial.
    pub trial: TrialId,
    /// Documents of the test set.
    pub documents: usize,
    /// How many of them are classified wrongly.
    pub wrong: usize,
    /// How far the probabilities can be believed; `None` with too few documents to say it.
    pub calibration: Option<Calibration>,
    /// The mistakes with the highest probability of the predicted class, the surest first.
    pub mistakes: Vec<Mistake>,
    /// Why the mistakes have no texts, if they have none: a part of a sentence.
    pub no_texts: Option<String>,
}

/// A document that was classified wrongly.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// The prediction.
    pub classified: Classified,
    /// The document's text, if it is known.
    pub text: Option<String>,
}

impl Inspection {
    /// What the predictions of `trial` show, without texts.
    #[must_use]
    pub fn new(trial: TrialId, classified: &[Classified]) -> Self {
        let is_right = |each: &Classified| each.prediction.label == each.prediction.predicted;
        let mut wrong: Vec<Classified> = classified.iter().copied().filter(|each| !is_right(each)).collect();
        // Equal probabilities stand in the order of the documents.
        wrong.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let mistake = |classified: &Classified| Mistake { classified: *classified, text: None };
        Self {
            trial,
            documents: classified.len(),
            wrong: wrong.len(),
            calibration: Calibration::of(classified),
            mistakes: wrong.iter().take(MISTAKES_MAX).map(mistake).collect(),
            no_texts: None,
        }
    }
}

/// The part of the page with mistakes and calibration; empty if nobody has looked.
pub(super) fn part(inspection: Option<&Inspection>, labels: &[String]) -> String {
    let Some(inspection) = inspection.filter(|it| it.documents > 0) else { return String::new() };
    let mut html = String::new();
    mistakes(&mut html, inspection, labels);
    calibration(&mut html, inspection);
    html
}

fn mistakes(html: &mut String, inspection: &Inspection, labels: &[String]) {
    let Inspection { trial, documents, wrong, mistakes, no_texts, .. } = inspection;
    let _ = write!(
        html,
        "<h2>Most confident mistakes</h2>\n<p>Trial {trial} classifies {wrong} of {documents} test documents wrongly"
    );
    let _ = match mistakes.len() {
        0 => write!(html, ".</p>"),
        shown if shown < *wrong => write!(html, "; these are the {shown} that it was surest of.</p>"),
        _ => write!(html, "; here they are, those that it was surest of first.</p>"),
    };
    if let Some(why) = no_texts.as_ref().filter(|_| !mistakes.is_empty()) {
        let _ = write!(
            html,
            "<p class=\"soft\">The texts are not shown: {}.</p>",
            isolated(&figures::plain(why))
        );
    }
    if mistakes.is_empty() {
        return;
    }
    html.push_str("\n<ol class=\"mistakes\">\n");
    for each in mistakes {
        mistake(html, each, labels);
    }
    html.push_str("</ol>\n");
}

fn mistake(html: &mut String, Mistake { classified, text }: &Mistake, labels: &[String]) {
    let name = |class: usize| {
        let label = labels.get(class).cloned().unwrap_or_else(|| class.to_string());
        isolated(&figures::plain(&label))
    };
    let prediction = classified.prediction;
    let _ = write!(
        html,
        "<li><b>{}</b> taken for <b>{}</b> <span class=\"soft\">probability {}, document {}</span>",
        name(prediction.label),
        name(prediction.predicted),
        figures::share(classified.probability),
        prediction.id,
    );
    if let Some(text) = text {
        let _ = write!(html, "<blockquote dir=\"auto\">{}</blockquote>", isolated(&cut(text)));
    }
    html.push_str("</li>\n");
}

/// The beginning of a text on one line.
fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(TEXT_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    figures::plain(&shown)
}

fn calibration(html: &mut String, inspection: &Inspection) {
    let Some(Calibration { bins, documents, ece, by_chance }) = &inspection.calibration else {
        let _ = writeln!(
            html,
            "<h2>Calibration</h2>\n<p>With fewer than {CALIBRATION_DOCUMENTS_MIN} test documents nothing can be said of \
             how far probabilities can be believed.</p>"
        );
        return;
    };
    let _ = write!(
        html,
        "<h2>Calibration</h2>\n<p>How often trial {} is right, by the probability of the class that it names. On the \
         dashed line, probabilities mean what they say. The expected calibration error is {}, over {documents} test \
         documents in ten bins. That of a model whose probabilities mean what they say is below {} on 95 of 100 such \
         sets.</p>\n<div class=\"pair\"><figure>{}</figure>\n",
        inspection.trial,
        figures::share(*ece),
        figures::share(*by_chance),
        diagram(bins, *ece),
    );
    let _ = write!(
        html,
        "{}<table>\n<thead><tr><th scope=\"col\">probability</th><th scope=\"col\">documents</th>\
         <th scope=\"col\">mean probability</th><th scope=\"col\">right</th></tr></thead>\n<tbody>\n",
        scroll_box("Calibration")
    );
    for bin in bins {
        let _ = writeln!(
            html,
            "<tr><td>{:.1} to {:.1}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            bin.from,
            bin.from + 0.1,
            bin.documents,
            figures::share(bin.confidence),
            figures::share(bin.right),
        );
    }
    html.push_str("</tbody></table></div></div>\n");
}

/// The reliability diagram: a bar for each bin, and a line where bars would end if probabilities meant what they say.
fn diagram(bins: &[CalibrationBin], error: f64) -> String {
    let axis = Axis::linear(0.0, 1.0);
    let plot = Plot { left: 44.0, top: 28.0, width: 300.0, height: 230.0, x: axis, y: axis };
    let words = format!("Reliability diagram, expected calibration error {}", figures::share(error));
    let mut svg = begin("reliability", (360.0, 306.0), &words);
    let ticks = axis.ticks(5);
    let (x_title, y_title) = ("probability of the predicted class", "share that is right");
    svg.push_str(&plot.frame(&Frame { x_title, y_title, x_ticks: &ticks, y_ticks: &ticks }));
    for bin in bins {
        let place = plot.at((bin.from, bin.right)).zip(plot.at(((bin.from + 0.1).min(1.0), 0.0)));
        let Some(((left, top), (right, bottom))) = place else { continue };
        let _ = write!(
            svg,
            "<rect class=\"column\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{} documents with \
             mean probability {}: {} right</title></rect>",
            left + 1.0,
            right - left - 2.0,
            bottom - top,
            bin.documents,
            figures::share(bin.confidence),
            figures::share(bin.right),
        );
        if let Some((x, y)) = plot.at((bin.confidence, bin.right)) {
            let _ = write!(svg, "<circle class=\"dot lead\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>");
        }
    }
    let ends = plot.path([(0.0, 0.0), (1.0, 1.0)].into_iter());
    let _ = write!(svg, "<path class=\"ideal\" d=\"{ends}\"/></svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaderboard::Prediction;

    fn classified(id: u64, label: usize, probability: f64) -> Classified {
        Classified { prediction: Prediction { id, label, predicted: 0 }, probability }
    }

    fn labels() -> Vec<String> {
        vec!["<good>".to_owned(), "bad".to_owned()]
    }

    #[test]
    fn the_surest_mistakes_come_first() {
        let found = Inspection::new(
            TrialId(1),
            &[classified(1, 1, 0.6), classified(2, 0, 0.99), classified(3, 1, 0.9)],
        );
        let ids: Vec<u64> = found.mistakes.iter().map(|mistake| mistake.classified.prediction.id).collect();
        assert_eq!((ids, found.wrong, found.documents), (vec![3, 1], 2, 3));
    }

    #[test]
    fn a_hundred_mistakes_show_the_first_ones_and_say_how_many_there_are() {
        let all: Vec<Classified> = (0..100).map(|id| classified(id, 1, 0.7)).collect();
        let html = part(Some(&Inspection::new(TrialId(1), &all)), &labels());
        assert_eq!(html.matches("<li>").count(), MISTAKES_MAX);
        assert!(html.contains("classifies 100 of 100 test documents wrongly; these are the 20"), "{html}");
    }

    #[test]
    fn texts_and_classes_stay_texts_and_a_long_text_is_cut() {
        let mut found = Inspection::new(TrialId(1), &[classified(1, 1, 0.6)]);
        found.mistakes[0].text = Some("<img src=x>\n".to_owned() + &"a".repeat(1000));
        let html = part(Some(&found), &labels());
        assert!(html.contains("&lt;img src=x&gt; aaa") && html.contains("a…</blockquote>"), "{html}");
        assert!(!html.contains("<img") && html.contains("<b>&lt;good&gt;</b>"), "{html}");
        assert!(!html.contains(&"a".repeat(TEXT_CHARS_MAX)), "{html}");
    }

    #[test]
    fn the_page_says_why_there_are_no_texts() {
        let mut found = Inspection::new(TrialId(1), &[classified(1, 1, 0.6)]);
        found.no_texts = Some("the data is gone".to_owned());
        assert!(part(Some(&found), &labels()).contains("The texts are not shown: the data is gone."));
    }

    #[test]
    fn the_calibration_error_is_named() {
        let all: Vec<Classified> = (0..50).map(|id| classified(id, 1, 0.75)).collect();
        let html = part(Some(&Inspection::new(TrialId(1), &all)), &labels());
        assert!(html.contains("expected calibration error is .750"), "{html}");
    }
}
