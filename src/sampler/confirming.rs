//! A search whose best configurations are run again with further seeds, once it is over.
//!
//! Nothing is planned here as long as a trial of the search is under way, or the search plans another one. So what is
//! planned follows from the figures of the whole search, and from nothing else.

use super::proposal::{Proposal, Sampler};
use crate::{
    plan,
    spec::Spec,
    study::{Study, Unconfirmed},
    trial::Trial,
};

/// Plans what a search plans, and then the trials that confirm its best configurations.
pub struct Confirming {
    spec: Spec,
    search: Box<dyn Sampler>,
    /// The number of trials with which nothing was left to be planned. While a run lasts, a trial of the search that is
    /// over stays so; then a study of as many trials need not be looked at again.
    settled: Option<usize>,
}

impl Confirming {
    /// The best configurations of `spec`, whose trials come from `search`.
    #[must_use]
    pub fn new(spec: Spec, search: Box<dyn Sampler>) -> Self {
        Self { spec, search, settled: None }
    }
}

impl Sampler for Confirming {
    fn ask(&mut self, study: &Study) -> Proposal {
        let mut proposal = self.search.ask(study);
        let is_settled = self.settled == Some(study.trials.len());
        if !proposal.trials.is_empty() || is_settled || !study.is_search_over() {
            return proposal;
        }
        proposal.trials = trials(&self.spec, &study.unconfirmed(), study.next_id());
        if proposal.trials.is_empty() {
            self.settled = Some(study.trials.len());
        }
        proposal
    }
}

/// The trials that confirm these configurations, numbered from `first` on.
fn trials(spec: &Spec, unconfirmed: &[Unconfirmed<'_>], first: u32) -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    for Unconfirmed { trial, repeats, why } in unconfirmed {
        let first = first.saturating_add(u32::try_from(trials.len()).unwrap_or(u32::MAX));
        trials.extend(plan::confirming(spec, trial, repeats, why, first));
    }
    trials
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sampler::{FixedPlan, Growing},
        samples,
        search::{Confirm, RungFigure, SearchPlan},
        study::TrialRecord,
        trial::State,
    };

    /// A spec of two generations of two points, the best one of which is confirmed with two further seeds.
    fn spec() -> Spec {
        let text = "name = \"a\"\nseed = 1\n[data]\npath = \"builtin:reviews\"\n[search]\ntrials = 4\ngeneration = 2\n\
                    budget = { epochs = 1000 }\nconfirm = { top = 1, repeats = 2, by = \"val_loss\" }\n\
                    [search.space]\ndropout = { uniform = [0.0, 0.5] }\n";
        crate::spec::parse(&crate::spec::SpecText {
            name: "a.toml",
            text,
            overrides: &[],
            base: std::path::Path::new(""),
            working: std::path::Path::new(""),
        })
        .unwrap()
    }

    /// The trial complete, with a validation loss that is a function of its number.
    fn complete(record: &TrialRecord) -> TrialRecord {
        let losses = [0.5, 0.4, 0.2, 0.3, 0.6, 0.7, 0.1, 0.15, 0.1, 0.1];
        let loss = losses[usize::try_from(record.trial.id.0 - 1).unwrap()];
        TrialRecord { trial: record.trial.clone(), ..samples::record(1, &[loss]) }
    }

    /// Plans and completes trials until nothing is left to be done. Returns all trials.
    fn run(sampler: &mut dyn Sampler, study: &mut Study) -> Vec<Trial> {
        loop {
            let planned = sampler.ask(study).trials;
            study.trials.extend(planned.into_iter().map(TrialRecord::new));
            let Some(waiting) = study.trials.iter_mut().find(|record| record.state == State::Waiting) else {
                return study.trials.iter().map(|record| record.trial.clone()).collect();
            };
            *waiting = complete(waiting);
        }
    }

    fn study(spec: &Spec, planned: u32) -> Study {
        let trials = plan::grown(spec, &[], planned, 1).into_iter().map(TrialRecord::new);
        let search = Some(SearchPlan { generation: 2, halving: None, growth: None });
        Study { search, confirm: spec.search.confirm, ..samples::study(trials.collect()) }
    }

    #[test]
    fn a_search_that_grows_is_confirmed_once_it_plans_nothing_more() {
        let spec = spec();
        assert_eq!(
            spec.search.confirm,
            Some(Confirm { top: 1, repeats: 2, by: RungFigure::ValLoss, after: 1 })
        );
        let mut study = study(&spec, 2);
        let all = run(&mut Confirming::new(spec.clone(), Box::new(Growing::new(spec))), &mut study);
        let confirmed: Vec<_> =
            all.iter().map(|trial| trial.confirms.as_ref().map(|why| why.trial.0)).collect();
        assert_eq!(confirmed, [None, None, None, None, Some(3), Some(3)]);
        assert!(all[4].params == all[2].params && all[4].seed != all[5].seed && all[4].origin.is_none());
    }

    #[test]
    fn a_search_that_is_raised_after_it_was_confirmed_goes_on_as_if_it_had_not_been() {
        let (small, spec) =
            (spec(), Spec { search: crate::spec::SearchSpec { trials: Some(6), ..spec().search }, ..spec() });
        let mut study = study(&small, 2);
        run(&mut Confirming::new(small.clone(), Box::new(Growing::new(small))), &mut study);
        let all = run(&mut Confirming::new(spec.clone(), Box::new(Growing::new(spec.clone()))), &mut study);
        let mut whole = super::tests::study(&spec, 2);
        run(&mut Growing::new(spec), &mut whole);
        let params =
            |trials: &[Trial]| trials.iter().map(|trial| trial.params.to_string()).collect::<Vec<_>>();
        let of_search: Vec<Trial> = all.iter().filter(|trial| trial.confirms.is_none()).cloned().collect();
        let expected: Vec<Trial> = whole.trials.iter().map(|record| record.trial.clone()).collect();
        assert_eq!(params(&of_search), params(&expected));
        // Trials 7 and 8 are better than trial 3, so that one of them is confirmed now.
        assert_eq!(
            all.iter().filter_map(|trial| trial.confirms.as_ref()).map(|why| why.trial.0).collect::<Vec<_>>(),
            [3, 3, 7, 7]
        );
        assert_eq!(all.iter().map(|trial| trial.id.0).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_that_is_killed_between_two_of_them_plans_the_same_ones() {
        let spec = spec();
        let mut whole = study(&spec, 4);
        let sampler = || Confirming::new(spec.clone(), Box::new(FixedPlan));
        let all = run(&mut sampler(), &mut whole);
        for kept in 4..=6 {
            let mut cut = whole.clone();
            cut.trials.truncate(kept);
            assert_eq!(run(&mut sampler(), &mut cut), all, "after {kept} trials");
        }
    }
}
