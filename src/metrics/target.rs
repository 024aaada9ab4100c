//! Which F1 counts for a task.

use serde::{Deserialize, Serialize};

/// How the classes' figures become one figure, in a task with more than two classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// The unweighted mean over all classes.
    #[default]
    Macro,
    /// From the counts of all classes together. Each document has one class, so precision,
    /// recall and F1 are all equal to the accuracy.
    Micro,
    /// The mean weighted by each class's documents. The recall is equal to the accuracy.
    Weighted,
}

/// Which F1 counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The F1 of this class, in a binary task.
    Class(usize),
    /// This average over all classes.
    Average(Average),
}

impl Average {
    /// Every average, in the order of the reference.
    pub const ALL: [Self; 3] = [Self::Macro, Self::Micro, Self::Weighted];

    /// The spelling in a spec.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Macro => "macro",
            Self::Micro => "micro",
            Self::Weighted => "weighted",
        }
    }

    /// The average spelled `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }

    /// The name of its F1 within a sentence.
    #[must_use]
    pub const fn f1_name(self) -> &'static str {
        match self {
            Self::Macro => "macro-F1",
            Self::Micro => "micro-F1",
            Self::Weighted => "weighted F1",
        }
    }
}

impl Target {
    /// The F1 of the class `positive`; without a positive class the F1 of `average`, which is macro by
    /// default.
    #[must_use]
    pub fn of(positive: Option<usize>, average: Option<Average>) -> Self {
        positive.map_or(Self::Average(average.unwrap_or_default()), Self::Class)
    }

    /// The positive class of a binary task.
    #[must_use]
    pub const fn positive(self) -> Option<usize> {
        match self {
            Self::Class(class) => Some(class),
            Self::Average(_) => None,
        }
    }

    /// The average of a task with more than two classes.
    #[must_use]
    pub const fn average(self) -> Option<Average> {
        match self {
            Self::Class(_) => None,
            Self::Average(average) => Some(average),
        }
    }

    /// The name of the F1 with the class whose F1 it is, for a task with the classes `labels`: `F1 of 好评`,
    /// `macro-F1`. Labels come from outside, so the name is to be made plain before it is shown.
    #[must_use]
    pub fn f1_of(self, labels: &[String]) -> String {
        match self.positive().and_then(|class| labels.get(class)) {
            Some(label) => format!("F1 of {label}"),
            None => self.f1_name().to_owned(),
        }
    }

    /// The name of the F1 within a sentence: `F1`, `macro-F1`, `micro-F1` or `weighted F1`.
    #[must_use]
    pub const fn f1_name(self) -> &'static str {
        match self {
            Self::Class(_) => "F1",
            Self::Average(average) => average.f1_name(),
        }
    }
}
