//! How far the search of a sweep is, and what is left to be planned to confirm the best of it.

use super::{
    Study, TrialRecord,
    confirmation::{self, Unconfirmed},
};
use crate::trial::State;

impl Study {
    /// The trials of the search: all but those that confirm a configuration.
    pub fn of_search(&self) -> impl Iterator<Item = &TrialRecord> {
        self.trials.iter().filter(|record| record.trial.confirms.is_none())
    }

    /// Whether every trial of the search that is planned is complete, failed or halted.
    #[must_use]
    pub fn is_search_over(&self) -> bool {
        let is_over =
            |record: &TrialRecord| matches!(record.state, State::Complete | State::Failed | State::Halted);
        self.of_search().all(is_over)
    }

    /// The configurations that are still to be confirmed, the best first. None is before the search is over.
    #[must_use]
    pub fn unconfirmed(&self) -> Vec<Unconfirmed<'_>> {
        let confirm = self.confirm.filter(|_| self.is_search_over());
        confirm.map_or_else(Vec::new, |confirm| confirmation::unconfirmed(&self.trials, &confirm))
    }

    /// Trials that are still to be planned to confirm configurations; before the search is over, so many at most.
    #[must_use]
    pub fn confirmations_to_come(&self) -> usize {
        let Some(confirm) = &self.confirm else { return 0 };
        if !self.is_search_over() {
            return confirmation::bound(&self.trials, confirm);
        }
        self.unconfirmed().iter().map(|own| own.repeats.len()).sum()
    }

    /// Whether the search is over, and none of its configurations can be confirmed, although the best are to be.
    #[must_use]
    pub fn confirms_nothing(&self) -> bool {
        let is_confirming = |record: &TrialRecord| record.trial.confirms.is_some();
        self.confirm.is_some()
            && self.is_search_over()
            && self.unconfirmed().is_empty()
            && !self.trials.iter().any(is_confirming)
    }

    /// A number that no trial has had yet, nor any one after it.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        let numbers = self.trials.iter().map(|record| record.trial.id).chain(self.removed.iter().copied());
        numbers.map(|id| id.0).max().unwrap_or(0).saturating_add(1)
    }
}
