//! When trials can be trained together, as one model with a leading axis of trials.

use super::{fields::Settings, keys::KEYS};

/// The settings in which trials that are trained together may differ: numbers and choices that each of them uses for
/// itself, and that change neither a shape nor which steps there are.
const OWN: [&str; 18] = [
    "dropout",
    "learning_rate",
    "head_learning_rate",
    "layer_decay",
    "weight_decay",
    "label_smoothing",
    "class_weights",
    "warmup_ratio",
    "schedule",
    "gradient_clip",
    "monitor",
    "best_epoch",
    "patience",
    "min_delta",
    "rule",
    "alpha",
    "strip",
    "s",
];

impl Settings {
    /// What a training with these settings must have in common with others to be trained together with them, on the same
    /// data and with any seeds: the settings, with every setting that a trial may have for itself at its default. `None`:
    /// it is trained alone.
    #[must_use]
    pub fn fusible(&self) -> Option<Self> {
        let (default, mut shape) = (Self::default(), self.clone());
        for key in KEYS.iter().filter(|key| OWN.contains(&key.name)) {
            (key.set)(&mut shape, &key.get(&default))?;
        }
        Some(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Freeze;

    const FREEZES: [Freeze; 3] = [Freeze::Encoder, Freeze::Layers(1), Freeze::Layers(0)];

    #[test]
    fn trainings_that_differ_in_settings_of_their_own_can_be_trained_together() {
        for freeze in FREEZES {
            let settings = Settings { freeze, ..Settings::default() };
            for key in KEYS.iter().filter(|key| OWN.contains(&key.name)) {
                assert_eq!(key.another(&settings).fusible(), settings.fusible(), "{}", key.name);
            }
        }
    }

    #[test]
    fn trainings_that_differ_in_any_other_setting_cannot() {
        for freeze in FREEZES {
            let settings = Settings { freeze, ..Settings::default() };
            assert!(settings.fusible().is_some());
            for key in KEYS.iter().filter(|key| !OWN.contains(&key.name)) {
                assert_ne!(key.another(&settings).fusible(), settings.fusible(), "{}", key.name);
            }
        }
    }
}
