//! Made-up trials and sweeps for the tests of everything that shows results.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "made-up numbers are small"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    data::{Alike, DataSpec, Duplicates, Limit, Shares, Source},
    event::{Evaluation, Event, Outcome},
    fingerprint::Fingerprints,
    metrics::{ClassCounts, Confusion, Scores, Target},
    plan::{Plan, Removed},
    policy::Policy,
    settings::{Settings, Value},
    study::{Study, TrialRecord},
    system::device::Device,
    trial::{Failure, FailureKind, Params, State, Trial, TrialId},
};

/// The counts of 400 documents of two classes, `wrong` of each taken for the other; 0 to 200.
pub(crate) fn scores(wrong: u64, loss: f64) -> Scores {
    let mut confusion = Confusion::new(2);
    for document in 0..400_usize {
        let truth = document % 2;
        confusion.add(truth, if (document / 2) < wrong as usize { 1 - truth } else { truth });
    }
    Scores::new(confusion, loss, Target::Class(1))
}

/// The scores of naming class 1 always, where `ones` of 400 documents are of that class.
fn constant(ones: u64, loss: f64) -> Scores {
    let confusion = Confusion::try_from(vec![vec![0, 400 - ones], vec![0, ones]]).unwrap();
    Scores::new(confusion, loss, Target::Class(1))
}

/// The scores of naming class 1 always, where nine tenths of the documents are of that class.
pub(crate) fn one_class_only() -> Scores {
    constant(360, 0.3)
}

/// A complete trial with one evaluation an epoch, of these validation losses; its training loss
/// falls steadily, and its F1 follows from the validation loss.
pub(crate) fn record(id: u32, val_losses: &[f64]) -> TrialRecord {
    let best =
        (0..val_losses.len()).min_by(|&a, &b| val_losses[a].total_cmp(&val_losses[b])).unwrap_or_default();
    let wrong = |loss: f64| (loss * 100.0).clamp(0.0, 150.0) as u64;
    let evaluations: Vec<Evaluation> = val_losses
        .iter()
        .enumerate()
        .map(|(index, &loss)| Evaluation {
            epoch: index as f64 + 1.0,
            step: 100 * (index as u64 + 1),
            train_loss: 0.7 * 0.8_f64.powi(index as i32),
            learning_rate: 1e-4,
            validation: scores(wrong(loss), loss),
            best: val_losses[..index].iter().all(|earlier| loss < *earlier),
            seconds: 3.0 * (index as f64 + 1.0),
        })
        .collect();
    let outcome = evaluations.get(best).map(|evaluation| Outcome {
        best_epoch: evaluation.epoch,
        best_step: evaluation.step,
        epochs_run: val_losses.len() as f64,
        stopped_early: false,
        train_loss: evaluation.train_loss,
        validation: evaluation.validation.clone(),
        test: scores(wrong(evaluation.validation.loss) + 4, evaluation.validation.loss + 0.02),
        training: None,
        seconds: 3.0 * val_losses.len() as f64,
        files: None,
    });
    let settings = Settings { epochs: val_losses.len().max(1), ..Settings::default() };
    let trial = Trial {
        id: TrialId(id),
        params: params(id),
        repeat: 0,
        fold: None,
        seed: 1_000 + u64::from(id),
        settings,
        origin: None,
        confirms: None,
    };
    TrialRecord {
        state: State::Complete,
        attempts: 1,
        device: Some(Device::Cpu { slot: 0, threads: 1 }),
        evaluations,
        outcome,
        ..TrialRecord::new(trial)
    }
}

fn params(id: u32) -> Params {
    Params(vec![
        ("learning_rate".to_owned(), Value::Float(1e-5 * f64::from(id))),
        ("dropout".to_owned(), Value::Float(0.1)),
    ])
}

/// `record`, failed for `kind` after its evaluations.
pub(crate) fn failed(mut record: TrialRecord, kind: FailureKind) -> TrialRecord {
    record.state = State::Failed;
    record.outcome = None;
    record.failure = Some(Failure { kind, message: "it stopped\nthere".to_owned() });
    record
}

/// A complete trial that names class 1 always, on 400 validation and as many test documents; `share` of the test
/// documents are of that class, which decides its test F1.
pub(crate) fn collapsed(id: u32, share: f64) -> TrialRecord {
    let mut record = record(id, &[0.7, 0.69]);
    let outcome = record.outcome.as_mut().unwrap();
    (outcome.validation, outcome.test) = (constant(200, 0.69), constant((400.0 * share) as u64, 0.69));
    record
}

/// A sweep of these trials over learning rate and dropout.
pub(crate) fn study(trials: Vec<TrialRecord>) -> Study {
    Study {
        planned: trials.len(),
        sweep: "reviews".to_owned(),
        labels: vec!["差评".to_owned(), "好评".to_owned()],
        target: Target::Class(1),
        classes: ClassCounts::default(),
        leaks: None,
        positive_is_guess: false,
        folds: None,
        swept: vec!["learning_rate".to_owned(), "dropout".to_owned()],
        scales: BTreeMap::new(),
        search: None,
        confirm: None,
        search_ended: None,
        elapsed: crate::study::Elapsed::default(),
        trials,
        removed: BTreeSet::new(),
    }
}

/// The columns `text` and `label` of `source`, without a limit, seeded with 1.
pub(crate) fn data_spec(source: Source) -> DataSpec {
    DataSpec {
        source,
        text: "text".to_owned(),
        label: "label".to_owned(),
        positive: None,
        average: None,
        encoding: None,
        duplicates: Duplicates::Drop,
        alike: Alike::default(),
        group: None,
        limit: Limit::default(),
        folds: None,
        seed: 1,
    }
}

/// A plan of `trials` equal trials on one file.
pub(crate) fn plan(trials: u32) -> Plan {
    let source = Source::Single { path: PathBuf::from("/data.csv"), split: Shares::default() };
    let trial = |id| Trial {
        id: TrialId(id),
        params: Params::default(),
        repeat: 0,
        fold: None,
        seed: 1,
        settings: Settings::default(),
        origin: None,
        confirms: None,
    };
    Plan {
        sweep: "test".to_owned(),
        seed: 1,
        labels: vec!["0".to_owned(), "1".to_owned()],
        positive: Some(1),
        average: None,
        classes: ClassCounts::default(),
        notes: Vec::new(),
        leaks: None,
        swept: Vec::new(),
        scales: BTreeMap::new(),
        search: None,
        confirm: None,
        data: data_spec(source),
        fingerprints: Fingerprints::default(),
        hub: BTreeMap::new(),
        policy: Policy::default(),
        trials: (1..=trials).map(trial).collect(),
        removed: Removed::default(),
    }
}

/// Pieces of texts that a terminal would obey, that nobody would see, or that would be markup or a formula.
const HOSTILE: &[&str] = &[
    "![",
    "](",
    "[",
    "]",
    "(",
    ")",
    "!",
    "javascript:",
    "https://a.example",
    "www.a.example",
    "<script>",
    "<img src=x>",
    "</td>",
    "&lt;",
    "&",
    "|",
    "`",
    "``",
    "*",
    "_",
    "~~",
    "$",
    "#",
    "-",
    "---",
    "+",
    "=",
    "@",
    "1.",
    ":",
    "\\",
    "'",
    "\"",
    " ",
    "\n",
    "\r",
    "\t",
    "\u{1b}[31m",
    "\u{7}",
    "\u{7f}",
    "\u{9b}",
    "\u{2028}",
    "\u{202e}",
    "\u{2066}",
    "\u{200b}",
    "\u{200d}",
    "\u{feff}",
    "\u{e0041}",
    "a",
    "好",
    "سلبي",
    "👨",
];

/// Texts that a hostile label may be: a letter, so that it is not empty, and pieces of the above.
pub(crate) fn hostile() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::{collection::vec, sample::select, strategy::Strategy as _};
    vec(select(HOSTILE), 1..12).prop_map(|pieces| pieces.concat() + "x")
}

/// The first character of `text` that a terminal obeys or that nobody sees; a joiner between two of the letters or emoji of
/// [`HOSTILE`] is seen by what it does.
pub(crate) fn first_unseen(text: &str) -> Option<char> {
    let chars: Vec<char> = text.chars().collect();
    let joins = |c: Option<&char>| c.is_some_and(|c| "سلبي👨".contains(*c));
    let is_unseen = |at: usize| match chars[at] {
        '\n' | '\t' => false,
        '\u{200d}' if at > 0 => !joins(chars.get(at - 1)) || !joins(chars.get(at + 1)),
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    };
    (0..chars.len()).find(|at| is_unseen(*at)).map(|at| chars[at])
}

/// The texts of a Markdown document as its readers see them, a line for each block or cell. Fails at a link, a picture or
/// HTML.
pub(crate) fn markdown_texts(document: &str) -> String {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM
        | Options::ENABLE_WIKILINKS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut texts = String::new();
    for event in Parser::new_ext(document, options) {
        match event {
            Event::Text(text) | Event::Code(text) => texts.push_str(&text),
            Event::End(_) => texts.push('\n'),
            Event::SoftBreak => texts.push(' '),
            Event::Start(
                Tag::Link { .. }
                | Tag::Image { .. }
                | Tag::HtmlBlock
                | Tag::BlockQuote(_)
                | Tag::Item
                | Tag::Emphasis
                | Tag::Strikethrough
                | Tag::FootnoteDefinition(_),
            )
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::HardBreak
            | Event::Rule
            | Event::TaskListMarker(_) => panic!("{event:?} in {document}"),
            Event::Start(_) => {}
        }
    }
    texts
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// An attempt that starts on `device` of this machine, alone in its process.
pub(crate) fn started(attempt: u32, device: Device) -> Event {
    Event::Started { attempt, device, micro_batch: None, alone: false, with: Vec::new(), worker: None }
}
