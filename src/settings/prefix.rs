//! Which trainings begin as others do from end to end.
//!
//! `train::recipe` and `train::schedule` say what a step depends on; what is claimed here is exact,
//! to the bit, or it is not claimed.

use super::{Schedule, Settings};

/// The settings that say when a training ends, and nothing of what it does until then.
pub const ENDS: [&str; 2] = ["epochs", "patience"];

impl Settings {
    /// Whether a training with these settings and one with `longer`, of the same seed on the same
    /// data, do the same until this one ends, and this one does not end later.
    #[must_use]
    pub fn begin(&self, longer: &Self) -> bool {
        let is_alike = self.epochs == longer.epochs || self.is_blind_to_its_end();
        let ends_no_later = self.epochs <= longer.epochs && self.patience <= longer.patience;
        is_alike && ends_no_later && self.without_end() == longer.without_end()
    }

    /// Whether no step, and no evaluation but the last, depends on how many steps there will be.
    pub(crate) fn is_blind_to_its_end(&self) -> bool {
        // Warm-up takes a share of all steps. With `eval_every` the last step is evaluated out of turn.
        self.schedule == Schedule::Constant && self.warmup_ratio == 0.0 && self.eval_every == 0
    }

    /// These settings with every setting of [`ENDS`] made alike.
    pub(crate) fn without_end(&self) -> Self {
        Self { epochs: 1, patience: 1, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{KEYS, Key, Value};

    fn ending(epochs: usize, patience: usize) -> Settings {
        let schedule = Schedule::Constant;
        Settings { epochs, patience, schedule, warmup_ratio: 0.0, ..Settings::default() }
    }

    #[test]
    fn a_training_begins_one_with_more_epochs_or_more_patience() {
        assert!(ending(2, 1).begin(&ending(2, 1)));
        assert!(ending(2, 1).begin(&ending(3, 1)));
        assert!(ending(2, 1).begin(&ending(2, 4)));
        assert!(ending(2, 1).begin(&ending(3, 4)));
        assert!(!ending(3, 1).begin(&ending(2, 4)));
        assert!(!ending(2, 4).begin(&ending(3, 1)));
    }

    #[test]
    fn where_the_number_of_steps_counts_only_patience_may_differ() {
        let changes: [fn(&mut Settings); 4] = [
            |settings| settings.schedule = Schedule::Linear,
            |settings| settings.schedule = Schedule::Cosine,
            |settings| settings.warmup_ratio = 0.1,
            |settings| settings.eval_every = 5,
        ];
        for change in changes {
            let [mut short, mut patient, mut long] = [(2, 1), (2, 3), (3, 3)].map(|(e, p)| ending(e, p));
            [&mut short, &mut patient, &mut long].into_iter().for_each(change);
            assert!(short.begin(&patient));
            assert!(!short.begin(&long) && !patient.begin(&long));
        }
    }

    fn with_another(key: &Key, base: &Settings) -> Settings {
        let words = key.kind.describe();
        let texts = words.split('"').map(|word| Value::Text(word.to_owned()));
        let values = texts.chain([Value::Int(9), Value::Float(0.5), Value::Text("other".to_owned())]);
        let set = |value| {
            let mut other = base.clone();
            key.set(&mut other, &value).ok().map(|()| other)
        };
        values.filter_map(set).find(|other| key.get(other) != key.get(base)).unwrap()
    }

    #[test]
    fn any_other_setting_makes_another_training() {
        for key in KEYS.iter().filter(|key| !ENDS.contains(&key.name)) {
            let base = ending(2, 1);
            let other = with_another(key, &base);
            assert!(!base.begin(&other) && !other.begin(&base), "{}", key.name);
        }
    }
}
