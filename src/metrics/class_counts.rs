//! The documents of each class in each split, and what they do to the figures.

use serde::{Deserialize, Serialize};

use super::target::{Average, Target};

/// Classes that a sentence names; the others are counted.
const NAMED_MAX: usize = 4;

/// The documents of each class, in the order of the labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are documentation enough")]
pub struct ClassCounts {
    pub train: Vec<usize>,
    pub validation: Vec<usize>,
    pub test: Vec<usize>,
    /// By fold; empty without folds. With folds, `train` is what they hold together, and `validation` is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<Vec<usize>>,
}

impl ClassCounts {
    /// Whether nothing is known: the plan is of an older version.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.train.is_empty()
    }

    /// Which classes a split lacks or training shows once only, and what that does to the F1 of `target`:
    /// a whole sentence each, without a full stop.
    #[must_use]
    pub fn warnings(&self, labels: &[String], target: Target) -> Vec<String> {
        if self.is_empty() {
            return Vec::new();
        }
        let with = |counts: &[usize], documents: usize| -> Vec<usize> {
            (0..labels.len()).filter(|class| counts.get(*class) == Some(&documents)).collect()
        };
        let mut warnings = Vec::new();
        let never_shown = with(&self.train, 0);
        if !never_shown.is_empty() {
            let classes = named(&never_shown, labels);
            warnings.push(format!("train has no document of {classes}, so that no model can predict it"));
        }
        for (split, counts) in [("validation", &self.validation), ("test", &self.test)] {
            let absent = with(counts, 0);
            if !absent.is_empty() {
                let classes = named(&absent, labels);
                let effect = effect(&absent, labels, target, split);
                warnings.push(format!("{split} has no document of {classes}: {effect}"));
            }
        }
        warnings.extend(self.folds_without_a_class(labels));
        let shown_once = with(&self.train, 1);
        if !shown_once.is_empty() {
            let classes = named(&shown_once, labels);
            warnings.push(format!("train has a single document of {classes}: too few to learn from"));
        }
        warnings
    }
}

impl ClassCounts {
    /// Documents that a trial trains on: all of train, or with folds all but those of one fold on average.
    #[must_use]
    pub fn trained_on(&self) -> usize {
        let all = self.train.iter().sum::<usize>();
        all - all / self.folds.len().max(1) * usize::from(!self.folds.is_empty())
    }

    /// Says which classes some folds lack.
    fn folds_without_a_class(&self, labels: &[String]) -> Option<String> {
        let lacks = |class: &usize| self.folds.iter().any(|fold| fold.get(*class) == Some(&0));
        let absent: Vec<usize> = (0..labels.len()).filter(lacks).collect();
        let folds =
            self.folds.iter().filter(|fold| absent.iter().any(|class| fold.get(*class) == Some(&0))).count();
        let (all, classes) = (self.folds.len(), named(&absent, labels));
        (!absent.is_empty()).then(|| {
            format!(
                "{folds} of {all} folds have no document of {classes}: the figures of such a fold by itself say little; \
                 those of all folds together count every document"
            )
        })
    }
}

/// What absent classes do to the F1 of `target` on `split`.
fn effect(absent: &[usize], labels: &[String], target: Target, split: &str) -> String {
    match target {
        Target::Class(class) if absent.contains(&class) => {
            format!("{} is 0 there, whatever is predicted", target.f1_of(labels))
        }
        Target::Class(_) => format!("nothing there can be taken for {} by mistake", positive(labels, target)),
        Target::Average(Average::Macro) => {
            let there = labels.len().saturating_sub(absent.len());
            #[expect(clippy::cast_precision_loss, reason = "numbers of classes are far below 2^53")]
            let most = format!("{:.3}", there as f64 / labels.len().max(1) as f64);
            let each = if absent.len() == 1 { "its F1 counts as 0" } else { "the F1 of each counts as 0" };
            let most = most.strip_prefix('0').unwrap_or(&most);
            format!("{each}, so that {split} macro-F1 cannot exceed {most}")
        }
        Target::Average(Average::Micro | Average::Weighted) => {
            format!("{split} {} says nothing about it", target.f1_name())
        }
    }
}

/// The name of the positive class, in quotes.
fn positive(labels: &[String], target: Target) -> String {
    let label = target.positive().and_then(|class| labels.get(class));
    label.map_or_else(|| "the positive class".to_owned(), |label| format!("`{label}`"))
}

/// `class a`, `classes a and b`, or `classes a, b and 7 more`.
fn named(classes: &[usize], labels: &[String]) -> String {
    let shown = classes.iter().take(NAMED_MAX).filter_map(|class| labels.get(*class));
    let mut names: Vec<String> = shown.map(|label| format!("`{label}`")).collect();
    if let Some(more @ 1..) = classes.len().checked_sub(NAMED_MAX) {
        names.push(format!("{more} more"));
    }
    match names.pop() {
        Some(last) if !names.is_empty() => format!("classes {} and {last}", names.join(", ")),
        last => format!("class {}", last.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    fn counts(test: [usize; 3]) -> ClassCounts {
        ClassCounts {
            train: vec![9, 9, 9],
            validation: vec![2, 2, 2],
            test: test.to_vec(),
            folds: Vec::new(),
        }
    }

    const MACRO: Target = Target::Average(Average::Macro);

    #[test]
    fn an_absent_class_bounds_macro_f1() {
        assert_eq!(
            counts([2, 0, 2]).warnings(&labels(), MACRO),
            [
                "test has no document of class `b`: its F1 counts as 0, so that test macro-F1 cannot exceed .667"
            ]
        );
    }

    #[test]
    fn a_class_in_every_split_needs_no_warning() {
        assert_eq!(counts([1, 1, 1]).warnings(&labels(), MACRO), Vec::<String>::new());
    }

    #[test]
    fn a_positive_class_that_is_absent_has_an_f1_of_0() {
        let labels = ["bad", "good"].map(str::to_owned);
        let counts = ClassCounts {
            train: vec![9, 9],
            validation: vec![1, 1],
            test: vec![3, 0],
            ..ClassCounts::default()
        };
        assert_eq!(
            counts.warnings(&labels, Target::Class(1)),
            ["test has no document of class `good`: F1 of good is 0 there, whatever is predicted"]
        );
    }

    #[test]
    fn a_class_with_a_single_training_document_is_named() {
        let counts = ClassCounts {
            train: vec![9, 1],
            validation: vec![1, 1],
            test: vec![1, 1],
            ..ClassCounts::default()
        };
        let warnings = counts.warnings(&["x", "y"].map(str::to_owned), Target::Class(1));
        assert_eq!(warnings, ["train has a single document of class `y`: too few to learn from"]);
    }

    #[test]
    fn nothing_is_said_of_a_plan_without_counts() {
        assert!(ClassCounts::default().warnings(&labels(), MACRO).is_empty());
    }
}
