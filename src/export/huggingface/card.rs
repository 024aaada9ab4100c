//! The model card, `README.md`.

use std::{fmt::Write as _, path::Path};

use crate::{
    data::Source,
    display::{markdown, markdown_code},
    event::Outcome,
    export::model::{Choice, Model, over_folds},
    job::Job,
    leaderboard::{ClassFigures, verdict::Verdict},
    metrics::{Average, Scores, Target},
    settings::{KEYS, Pooling, Settings},
};

/// The text of `README.md`: figures, data, settings, and how to use the model.
pub(super) fn card(model: &Model<'_>) -> String {
    let Model { job, labels, outcome, .. } = model;
    let settings = &job.trial.settings;
    let mut card = String::from(
        "---\nlibrary_name: transformers\npipeline_tag: text-classification\ntags: [sweep]\n---\n",
    );
    // Writing to a String cannot fail.
    let _ = write!(
        card,
        "# {} / trial {}\n\nA text classifier with the classes {}. Fine-tuned from {} by `sweep`; {}.\n\n",
        markdown(&job.sweep),
        job.trial.id,
        labels.iter().map(|label| markdown(label)).collect::<Vec<_>>().join(", "),
        markdown_code(&settings.checkpoint.title()),
        match model.choice {
            Choice::Best(figure) => format!("the best of its sweep's trials by {}", figure.describe()),
            Choice::BestOverFolds(figure) => format!(
                "one fold of the best configuration of its sweep by {}, the one with the highest validation F1",
                over_folds(figure)
            ),
            Choice::Named => "one of its sweep's trials, chosen by its number".to_owned(),
        },
    );
    card.push_str(&verdict_line(model.verdict));
    card.push_str(&figures_section(outcome, settings.epochs));
    if let Some(positive) = outcome.test.positive.and_then(|positive| labels.get(positive)) {
        let _ = writeln!(card, "\nPrecision, recall and F1 are those of the class {}.", markdown(positive));
    }
    card.push_str(&classes_table(&outcome.test, labels));
    card.push_str(&data_section(job));
    card.push_str(&settings_section(settings, job.trial.seed));
    card.push_str(&use_section(settings));
    card
}

/// A paragraph with the verdict on the training; nothing if it is good or not known.
fn verdict_line(verdict: Option<Verdict>) -> String {
    let Some(verdict) = verdict.filter(|verdict| *verdict != Verdict::Good) else { return String::new() };
    let advice = if verdict.is_unfit() { " It is not fit for use." } else { "" };
    format!("**Verdict: {verdict}.** The trial {}.{advice}\n\n", verdict.describe())
}

/// The section with the figures of validation and test set; `epochs` is the planned number.
fn figures_section(outcome: &Outcome, epochs: usize) -> String {
    let test = &outcome.test;
    let f1 = match test.target() {
        Target::Class(_) => "F1",
        Target::Average(Average::Macro) => "Macro-F1",
        Target::Average(Average::Micro) => "Micro-F1",
        Target::Average(Average::Weighted) => "Weighted F1",
    };
    let mut section = String::from("## Figures\n\n| | validation | test |\n| --- | --- | --- |\n");
    for (name, validation, test) in [
        (f1, outcome.validation.f1, test.f1),
        ("Precision", outcome.validation.precision, test.precision),
        ("Recall", outcome.validation.recall, test.recall),
        ("Accuracy", outcome.validation.accuracy, test.accuracy),
        ("Loss", outcome.validation.loss, test.loss),
    ] {
        let _ = writeln!(section, "| {name} | {validation:.4} | {test:.4} |");
    }
    let _ = write!(
        section,
        "\n{f1} on the test set ({} documents) with its 95 % interval: {:.4} [{:.4}, {:.4}]. The validation set \
         chose the epoch ({} of {}); the test set was measured once, with these parameters. Where several trials \
         were compared by their test figures, the best of them is an optimistic estimate.\n",
        test.confusion.total(),
        test.f1,
        test.f1_low,
        test.f1_high,
        outcome.best_epoch,
        epochs,
    );
    section
}

/// The table of figures by class, and the average F1s if the task is not binary.
fn classes_table(test: &Scores, labels: &[String]) -> String {
    let mut table = String::from(
        "\nThe test set by class:\n\n| class | precision | recall | F1 | documents |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for class in ClassFigures::of(&test.confusion, labels) {
        let label = markdown(&class.label);
        let ClassFigures { precision, recall, f1, support, .. } = class;
        let _ = writeln!(table, "| {label} | {precision:.4} | {recall:.4} | {f1:.4} | {support} |");
    }
    if test.positive.is_none() {
        let f1 = |average| test.confusion.rates(Target::Average(average)).f1;
        let [macro_f1, micro, weighted] = Average::ALL.map(f1);
        let _ = writeln!(table, "\nMacro-F1 {macro_f1:.4}, micro-F1 {micro:.4}, weighted F1 {weighted:.4}.");
    }
    table
}

/// The section about the data.
fn data_section(job: &Job) -> String {
    let name =
        |path: &Path| markdown_code(&path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default());
    let files = match &job.data.source {
        Source::Files { train, validation, test } => {
            let validation =
                validation.as_ref().map_or_else(String::new, |path| format!(", validation {}", name(path)));
            format!("train {}{validation}, test {}", name(train), name(test))
        }
        Source::Single { path, .. } => format!("{}, split at random within each class", name(path)),
        Source::Reviews { .. } => {
            "`builtin:reviews`, generated, split at random within each class".to_owned()
        }
    };
    let [text, label] = [&job.data.text, &job.data.label].map(|column| markdown_code(column));
    let fold = job.trial.fold.zip(job.data.folds).map_or_else(String::new, |(fold, folds)| {
        format!(
            " Train and validation together are divided into {folds} folds. This model was validated on fold {fold} and \
             trained on the others."
        )
    });
    format!("\n## Data\n\n{files}; texts in column {text}, classes in {label}.{fold}\n")
}

/// The section with the settings and the seed.
fn settings_section(settings: &Settings, seed: u64) -> String {
    let mut section = String::from("\n## Settings\n\n| setting | value |\n| --- | --- |\n");
    for key in KEYS {
        let value = match key.name {
            // Without the path: it would reveal folders of the training machine.
            "checkpoint" => settings.checkpoint.title(),
            _ => key.get(settings).to_string(),
        };
        let _ = writeln!(section, "| {} | {} |", key.name, markdown(&value));
    }
    let _ = writeln!(section, "| seed | {seed} |");
    section
}

/// The section about how to use the model.
fn use_section(settings: &Settings) -> String {
    let trust = match settings.pooling {
        Pooling::Cls => "",
        Pooling::Mean => ", trust_remote_code=True",
    };
    format!(
        "\n## Use\n\n```sh\nsweep predict --model . \"a text\"\n```\n\n```python\n\
         from transformers import AutoModelForSequenceClassification, AutoTokenizer\n\
         tokenizer = AutoTokenizer.from_pretrained(\".\")\n\
         model = AutoModelForSequenceClassification.from_pretrained(\".\"{trust})\n\
         inputs = tokenizer([\"a text\"], truncation=True, max_length={}, return_tensors=\"pt\")\n\
         print(model.config.id2label[model(**inputs).logits.argmax(-1).item()])\n```\n\n\
         `sweep predict` reads texts longer than {} tokens as they were read in training (`{}`, stride {}, \
         `{}` of the chunks' logits); the lines above read their first tokens only.\n",
        settings.chunk_length,
        settings.chunk_length,
        settings.long.as_str(),
        settings.chunk_stride,
        settings.aggregate.as_str(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        checkpoint::Checkpoint,
        data::Shares,
        display::plain,
        leaderboard::RankBy,
        samples::{first_unseen, hostile, markdown_texts, plan, record},
        train::Precision,
    };

    /// The card of a model with these texts: the sweep's name, the file and the columns of the data, and two labels.
    fn card_of([sweep, file, text, label, zero, one]: &[String; 6]) -> String {
        let (plan, record) = (plan(1), record(1, &[0.5]));
        let mut job = plan.job(&record.trial);
        job.sweep.clone_from(sweep);
        job.data.source = Source::Single { path: file.replace('/', "").into(), split: Shares::default() };
        (job.data.text, job.data.label) = (text.clone(), label.clone());
        job.trial.settings.checkpoint = Checkpoint::Folder(file.replace('/', "").into());
        card(&Model {
            job: &job,
            folder: &crate::system::files::Place::named("trial"),
            labels: &[zero.clone(), one.clone()],
            outcome: record.outcome.as_ref().unwrap(),
            verdict: None,
            choice: Choice::Best(RankBy::TestF1),
            precision: Precision::F32,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn hostile_texts_in_a_card_stay_texts(
            texts in [hostile(), hostile(), hostile(), hostile(), hostile(), hostile()],
        ) {
            let card = card_of(&texts);
            prop_assert_eq!(first_unseen(&card), None, "{}", card);
            let front = "---\nlibrary_name: transformers\npipeline_tag: text-classification\ntags: [sweep]\n---\n# ";
            prop_assert!(card.starts_with(front), "{}", card);
            let seen = markdown_texts(&card);
            for text in &texts {
                let text = plain(&text.replace('/', ""));
                prop_assert!(seen.replace('/', "").contains(text.trim()), "{:?} in {}", text, seen);
            }
        }
    }

    #[test]
    fn the_card_says_a_verdict_that_is_not_good() {
        let line = verdict_line(Some(Verdict::Collapsed));
        assert!(
            line.starts_with("**Verdict: collapsed.** The trial predicts no better than chance"),
            "{line}"
        );
        assert!(
            line.contains("not fit for use") && !verdict_line(Some(Verdict::Overfit)).contains("not fit")
        );
    }

    #[test]
    fn a_good_verdict_needs_no_words() {
        assert!(verdict_line(Some(Verdict::Good)).is_empty() && verdict_line(None).is_empty());
    }
}
