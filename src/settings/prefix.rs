//! When one training is a prefix of another: both compute the same until the shorter one ends.
//!
//! A prefix is exact to the bit. What each training step depends on is decided in `train::recipe` and
//! `train::learning::schedule`; the rule here must follow every change there.

use super::{choices::Schedule, fields::Settings};

/// The settings that decide when a training ends, and nothing that happens before its end.
pub const ENDS: [&str; 2] = ["epochs", "patience"];

impl Settings {
    /// Whether a training with these settings is a prefix of a training with `longer`, on the same data with
    /// the same seed: both compute the same until this training ends, and this one does not end later.
    #[must_use]
    pub fn is_prefix_of(&self, longer: &Self) -> bool {
        let has_same_steps = self.epochs == longer.epochs || self.is_independent_of_its_length();
        let ends_no_later = self.epochs <= longer.epochs && self.patience <= longer.patience;
        has_same_steps && ends_no_later && self.without_end() == longer.without_end()
    }

    /// Whether no step, and no evaluation but the last, depends on the total number of steps.
    pub(crate) fn is_independent_of_its_length(&self) -> bool {
        // Warm-up is a share of all steps. With `eval_every` the last step has an evaluation of its own.
        self.schedule == Schedule::Constant && self.warmup_ratio == 0.0 && self.eval_every == 0
    }

    /// These settings with every setting of [`ENDS`] at the same fixed value.
    pub(crate) fn without_end(&self) -> Self {
        Self { epochs: 1, patience: 1, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::keys::KEYS;

    fn ending(epochs: usize, patience: usize) -> Settings {
        let schedule = Schedule::Constant;
        Settings { epochs, patience, schedule, warmup_ratio: 0.0, ..Settings::default() }
    }

    #[test]
    fn a_training_is_a_prefix_of_one_with_more_epochs_or_more_patience() {
        assert!(ending(2, 1).is_prefix_of(&ending(2, 1)));
        assert!(ending(2, 1).is_prefix_of(&ending(3, 1)));
        assert!(ending(2, 1).is_prefix_of(&ending(2, 4)));
        assert!(ending(2, 1).is_prefix_of(&ending(3, 4)));
        assert!(!ending(3, 1).is_prefix_of(&ending(2, 4)));
        assert!(!ending(2, 4).is_prefix_of(&ending(3, 1)));
    }

    #[test]
    fn where_a_step_depends_on_the_number_of_steps_only_patience_may_differ() {
        let changes: [fn(&mut Settings); 4] = [
            |settings| settings.schedule = Schedule::Linear,
            |settings| settings.schedule = Schedule::Cosine,
            |settings| settings.warmup_ratio = 0.1,
            |settings| settings.eval_every = 5,
        ];
        for change in changes {
            let [mut short, mut patient, mut long] = [(2, 1), (2, 3), (3, 3)].map(|(e, p)| ending(e, p));
            [&mut short, &mut patient, &mut long].into_iter().for_each(change);
            assert!(short.is_prefix_of(&patient));
            assert!(!short.is_prefix_of(&long) && !patient.is_prefix_of(&long));
        }
    }

    #[test]
    fn trainings_that_differ_in_any_other_setting_are_no_prefixes() {
        for key in KEYS.iter().filter(|key| !ENDS.contains(&key.name)) {
            let base = ending(2, 1);
            let other = key.another(&base);
            assert!(!base.is_prefix_of(&other) && !other.is_prefix_of(&base), "{}", key.name);
        }
    }
}
