//! The classifier that a checkpoint may have of its own, and what becomes of it.

use serde_json::Value;

use super::{
    checkpoint::catalog::Catalog,
    encoder::{
        family::MEAN_OUTPUT,
        layout::{listed, spellings},
    },
    exported, model_file, shape,
};
use crate::{checkpoint::Checkpoint, settings::Pooling};

/// The output layer of a checkpoint that was fine-tuned as a classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnHead {
    /// Number of its classes.
    pub classes: usize,
    /// The names of its classes, if `config.json` has them.
    pub labels: Option<Vec<String>>,
}

impl OwnHead {
    /// The output layer of `checkpoint` that stands where a classifier with this `pooling` has its own; `None`
    /// without one, or before the weights are there.
    #[must_use]
    pub fn of(checkpoint: &Checkpoint, pooling: Pooling) -> Option<Self> {
        let folder = checkpoint.folder()?;
        let family = shape::encoder_config(checkpoint).ok()?.family();
        let catalog = Catalog::open(&folder).ok()?;
        let output = match pooling {
            Pooling::Cls => family.head.output,
            Pooling::Mean => MEAN_OUTPUT,
        };
        let names = spellings(family, &format!("{output}.weight"));
        let (_, shape) = catalog.shapes().find(|(name, _)| names.iter().any(|own| own == name))?;
        let &[classes, _] = shape else { return None };
        let config = model_file::read(&folder.join("config.json"), model_file::SMALL_BYTES_MAX).ok();
        let config: Option<Value> = config.and_then(|text| serde_json::from_str(&text).ok());
        let labels = config.and_then(|config| exported::labels(&config)).filter(|it| it.len() == classes);
        Some(Self { classes, labels })
    }

    /// Says what becomes of this layer, of the checkpoint called `title`, where the classes are `labels`.
    #[must_use]
    pub fn describe(&self, title: &str, labels: &[String]) -> String {
        let Self { classes, labels: own } = self;
        if *classes != labels.len() {
            let k = labels.len();
            return format!(
                "{title} has a classifier of its own for {classes} classes; it is not used, since the data has {k}: a \
                 new one is trained"
            );
        }
        let start =
            format!("{title} has a classifier of its own for {classes} classes, from which training starts");
        let Some(own) = own else {
            return format!(
                "{start}; its classes have no names, and become those of the data in their order"
            );
        };
        let alike = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        if own.iter().zip(labels).all(|(own, label)| alike(own, label)) {
            return format!("{start}: it has the classes of the data");
        }
        let pairs: Vec<String> =
            own.iter().zip(labels).map(|(own, label)| format!("{own} as {label}")).collect();
        let is_mixed = own.iter().any(|own| labels.iter().any(|label| alike(own, label)));
        let warning = if is_mixed { "warning: " } else { "" };
        format!("{warning}{start}, each class by its position: {}", listed(&pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(classes: usize, own: Option<[&str; 2]>) -> String {
        let labels = own.map(|own| own.map(str::to_owned).to_vec());
        OwnHead { classes, labels }.describe("bert", &["negative".to_owned(), "positive".to_owned()])
    }

    #[test]
    fn a_classifier_for_other_classes_is_said_to_be_replaced() {
        assert_eq!(
            describe(3, None),
            "bert has a classifier of its own for 3 classes; it is not used, since the data has 2: a new one is trained"
        );
    }

    #[test]
    fn a_classifier_for_the_same_classes_is_said_to_be_taken_over() {
        let text = describe(2, Some(["Negative", "Positive"]));
        assert!(text.ends_with("from which training starts: it has the classes of the data"), "{text}");
    }

    #[test]
    fn a_classifier_with_its_classes_in_another_order_is_warned_of() {
        let text = describe(2, Some(["positive", "negative"]));
        assert!(text.starts_with("warning: bert has"), "{text}");
        assert!(text.ends_with("by its position: positive as negative, negative as positive"), "{text}");
    }

    #[test]
    fn a_classifier_for_other_names_says_which_becomes_which() {
        let text = describe(2, Some(["LABEL_0", "LABEL_1"]));
        assert!(text.ends_with("by its position: LABEL_0 as negative, LABEL_1 as positive"), "{text}");
        assert!(!text.starts_with("warning"), "{text}");
    }
}
