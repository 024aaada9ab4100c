//! Which trials may resume from the end of another trial, whose training is a prefix of theirs.

use std::collections::{BTreeMap, HashMap};

use super::draws::canonical;
use crate::{
    settings::ENDS,
    trial::{Trial, TrialId},
};

/// For each of `trials`, the trial whose end it may resume from, if there is one: among the trials that are
/// a prefix of it (see [`Settings::is_prefix_of`](crate::settings::Settings::is_prefix_of)) the one with the
/// most epochs, and among these the one with the most patience.
///
/// There is no cycle: a prefix has fewer epochs, or the same epochs and less patience.
#[must_use]
pub fn prefixes<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> BTreeMap<TrialId, TrialId> {
    let mut groups: HashMap<(u64, Option<u32>, String), Vec<&Trial>> = HashMap::new();
    for trial in trials {
        let params = trial.params.0.iter().filter(|(name, _)| !ENDS.contains(&&**name)).cloned();
        let params: Vec<_> = params.collect();
        groups.entry((trial.seed, trial.fold, canonical(&params))).or_default().push(trial);
    }
    let mut prefixes = BTreeMap::new();
    for mut group in groups.into_values().filter(|group| group.len() > 1) {
        group.sort_by_key(|trial| (length(trial), trial.id));
        for (at, trial) in group.iter().enumerate() {
            let (shorter, _) = group.split_at(at);
            let prefix = shorter.iter().rev().find(|other| {
                let ends_no_later = other.settings.patience <= trial.settings.patience;
                ends_no_later && length(other) < length(trial) && other.settings.is_prefix_of(&trial.settings)
            });
            prefixes.extend(prefix.map(|prefix| (trial.id, prefix.id)));
        }
    }
    prefixes
}

/// Epochs and patience: longer trainings sort later.
fn length(trial: &Trial) -> (usize, usize) {
    (trial.settings.epochs, trial.settings.patience)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        samples,
        settings::{Schedule, Settings},
    };

    /// Trials of one seed with these epochs and this patience, numbered from 1.
    fn trials(ends: &[(usize, usize)], schedule: Schedule) -> Vec<Trial> {
        let trial = samples::plan(1).trials.remove(0);
        let settings = |&(epochs, patience): &(usize, usize)| Settings {
            epochs,
            patience,
            schedule,
            warmup_ratio: 0.0,
            ..Settings::default()
        };
        (1..)
            .zip(ends)
            .map(|(id, ends)| Trial { id: TrialId(id), settings: settings(ends), ..trial.clone() })
            .collect()
    }

    fn found(trials: &[Trial]) -> Vec<(u32, u32)> {
        prefixes(trials).into_iter().map(|(trial, prefix)| (trial.0, prefix.0)).collect()
    }

    #[test]
    fn each_trial_resumes_from_its_longest_prefix() {
        let trials = trials(&[(3, 2), (3, 1), (1, 2), (1, 1)], Schedule::Constant);
        assert_eq!(found(&trials), [(1, 2), (2, 4), (3, 4)]);
    }

    #[test]
    fn under_a_schedule_over_all_epochs_only_the_patience_of_a_prefix_may_differ() {
        let trials = trials(&[(1, 1), (1, 2), (3, 1), (3, 2)], Schedule::Linear);
        assert_eq!(found(&trials), [(2, 1), (4, 3)]);
    }

    /// Four trials, of which the first two have another seed and another setting than the others.
    fn two_of_four_alike() -> Vec<Trial> {
        let mut trials = trials(&[(1, 1), (2, 1), (3, 1), (4, 1)], Schedule::Constant);
        trials[0].seed = 9;
        trials[1].settings.dropout = 0.5;
        trials
    }

    #[test]
    fn trials_of_other_seeds_or_settings_are_no_prefixes() {
        assert_eq!(found(&two_of_four_alike()), [(4, 3)]);
    }

    #[test]
    fn a_trial_is_no_prefix_of_itself() {
        let mut trials = two_of_four_alike();
        trials[2].id = trials[3].id;
        trials[2].settings.epochs = 4;
        assert_eq!(found(&trials), [(0, 0); 0]);
    }
}
