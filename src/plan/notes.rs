//! What a reader of the figures must know about the data: which F1 counts, what was dropped, how files were
//! read, and classes that a split lacks.
//!
//! A dry run shows these notes, a run shows them when it starts, and the plan and the log keep them.

use crate::{
    data::{DataSpec, Dataset, Duplicates},
    metrics::{Average, Target},
};

/// The notes about `dataset`, read as `spec` says: whole sentences without a full stop.
pub(super) fn notes(spec: &DataSpec, dataset: &Dataset) -> Vec<String> {
    let mut notes = vec![f1(spec, dataset)];
    notes.extend(duplicates(spec, dataset));
    notes.extend(folds(spec, dataset));
    notes.extend(unclean(dataset));
    notes.extend(dataset.notes.iter().cloned());
    let warnings = dataset.counts().warnings(&dataset.labels, dataset.target);
    notes.extend(warnings.into_iter().map(|warning| format!("warning: {warning}")));
    notes
}

/// A sentence about the F1 that counts.
fn f1(spec: &DataSpec, dataset: &Dataset) -> String {
    match dataset.target {
        Target::Class(class) => {
            let label = |class: usize| dataset.labels.get(class).map_or("", String::as_str);
            let positive = label(class);
            if spec.guesses_positive() {
                format!(
                    "F1 is that of class {positive}: a guess, since it sorts last and [data] has no `positive`; to say \
                     it, write positive = {:?} or positive = {:?}",
                    positive,
                    label(usize::from(class == 0)),
                )
            } else {
                format!("F1 is that of class {positive}")
            }
        }
        Target::Average(Average::Macro) => "F1 is the mean over all classes (macro-F1)".to_owned(),
        Target::Average(Average::Micro) => {
            "F1 is that of all classes' counts together (micro-F1), which is the accuracy".to_owned()
        }
        Target::Average(Average::Weighted) => {
            "F1 is the mean over all classes, weighted by their documents (weighted F1)".to_owned()
        }
    }
}

/// Sentences about texts that stand in two splits.
fn duplicates(spec: &DataSpec, dataset: &Dataset) -> Vec<String> {
    if spec.folds.is_some() {
        return duplicates_of_test(spec, dataset);
    }
    let leaks = &dataset.leaks;
    let mut notes = Vec::new();
    if leaks.train_dropped > 0 {
        let texts = counted(leaks.train_dropped, "training text");
        notes.push(format!("dropped: {texts} standing in validation or test too"));
    }
    if leaks.validation_dropped > 0 {
        let texts = counted(leaks.validation_dropped, "validation text");
        notes.push(format!("dropped: {texts} standing in test too"));
    }
    let alike = [
        (leaks.train_alike_dropped, "training text", "validation or test"),
        (leaks.validation_alike_dropped, "validation text", "test"),
    ];
    notes.extend(alike.iter().filter(|(count, ..)| *count > 0).map(|(count, what, other)| {
        format!("dropped: {} like one of {other} without being the same", counted(*count, what))
    }));
    let kept = [
        (leaks.train_validation, "training text", "validation"),
        (leaks.train_test, "training text", "test"),
        (leaks.validation_test, "validation text", "test"),
    ];
    if spec.duplicates == Duplicates::Keep {
        notes.extend(kept.iter().filter(|(count, ..)| *count > 0).map(|(count, what, other)| {
            format!("kept, so that numbers flatter: {} standing in {other} too", counted(*count, what))
        }));
    }
    notes
}

/// Sentences about texts of what is folded that stand in test too, or in two folds.
fn duplicates_of_test(spec: &DataSpec, dataset: &Dataset) -> Vec<String> {
    let leaks = &dataset.leaks;
    let [same, alike] = [
        leaks.train_dropped + leaks.validation_dropped,
        leaks.train_alike_dropped + leaks.validation_alike_dropped,
    ];
    let mut notes = Vec::new();
    if same > 0 {
        notes.push(format!("dropped: {} standing in test too", counted(same, "text")));
    }
    if alike > 0 {
        notes.push(format!("dropped: {} like one of test without being the same", counted(alike, "text")));
    }
    let kept = [(leaks.train_test + leaks.validation_test, "test"), (leaks.across_folds, "another fold")];
    if spec.duplicates == Duplicates::Keep {
        notes.extend(kept.iter().filter(|(count, _)| *count > 0).map(|(count, other)| {
            format!("kept, so that numbers flatter: {} standing in {other} too", counted(*count, "text"))
        }));
    }
    notes
}

/// Says what is folded, and what is kept together.
fn folds(spec: &DataSpec, dataset: &Dataset) -> Vec<String> {
    let Some(folds) = spec.folds else { return Vec::new() };
    let documents = counted(dataset.train.len(), "document");
    let mut notes = vec![format!(
        "{documents} are divided into {folds} folds: each trial validates on one of them, and trains on the others"
    )];
    if dataset.leaks.bundled > 0 {
        let bundled = counted(dataset.leaks.bundled, "document");
        notes.push(format!("{bundled} belong together with others, and stand in one fold with them"));
    }
    notes
}

/// Warns of test documents that are still like others; `None` if there are none, or nobody looked for them.
fn unclean(dataset: &Dataset) -> Option<String> {
    let report = dataset.report.as_ref().filter(|report| !report.unclean.is_empty())?;
    let (unclean, kinds) = (report.unclean.len(), report.kinds_left());
    let are = if unclean == 1 { "is" } else { "are" };
    Some(format!(
        "warning: {unclean} of {} {are} like documents of train or validation ({kinds}); the leaderboard has F1 without \
         them too",
        counted(report.test, "test document")
    ))
}

/// `count` and a noun in the singular or the plural.
pub(super) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
