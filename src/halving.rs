//! Successive halving: what is decided about trials at rungs, from the state of a sweep alone.
//!
//! A decision needs no more than the figures of the trials of one generation, and is the same in whatever order they
//! come (see [`search::decide`]). What was decided is in the log before it is acted upon, and holds: it is decided again
//! only where a generation has other members, or the rungs are others, since the spec has changed.

use std::collections::BTreeMap;

use crate::{
    event::{Event, RungDecision},
    numbers::count,
    search::{self, Figures, Halving, Seen, Verdict},
    study::{Study, TrialRecord},
    trial::{State, TrialId},
};

/// The events that follow from what is known of the generation of trial `id`: trials that are promoted, and trials
/// that are halted. Empty where nothing is certain yet, or trials are not compared.
#[must_use]
pub fn decisions(study: &Study, id: TrialId) -> Vec<(TrialId, Event)> {
    study.halving().map(|halving| Generation::of(study, id).decisions(halving)).unwrap_or_default()
}

/// As [`decisions`], of all generations: what an interrupted run, or another spec, has left undecided.
#[must_use]
pub fn all_decisions(study: &Study) -> Vec<(TrialId, Event)> {
    firsts(study).into_iter().flat_map(|id| decisions(study, id)).collect()
}

/// Where a halted trial stood: its place at the rung at which it went out, from 1, among so many that were compared.
/// `None` for other trials, and as long as not all are there.
#[must_use]
pub fn place(study: &Study, id: TrialId) -> Option<(usize, usize)> {
    let decision = &study.trial(id).filter(|record| record.is_out())?.rungs.last()?.decision;
    let halving = study.halving()?;
    let generation = Generation::of(study, id);
    let standing = generation.standings(halving).into_iter().nth(decision.rung)?;
    let is_settled = !standing.seen.contains(&Seen::Awaited);
    let place = *standing.places.get(generation.position(id)?)?;
    let there = standing.places.iter().flatten().count();
    place.filter(|_| is_settled).map(|place| (place + 1, there))
}

/// A logged decision that does not follow from the figures that the log has now, in words. On CPUs there is none: the
/// same trial has the same figures in every attempt.
#[must_use]
pub fn contradiction(study: &Study) -> Option<String> {
    let halving = study.halving()?;
    firsts(study).into_iter().find_map(|first| {
        let generation = Generation::of(study, first);
        // Whoever failed once was not compared then, and may be there now.
        if generation.0.iter().flatten().any(|record| record.failure.is_some()) {
            return None;
        }
        let standings = generation.standings(halving);
        generation.0.iter().enumerate().find_map(|(at, own)| {
            own.iter().find_map(|record| {
                let decided = record.rungs.iter().find(|decided| {
                    let standing = standings.get(decided.decision.rung);
                    let verdict = standing.and_then(|standing| standing.verdicts.get(at).copied().flatten());
                    verdict.is_some_and(|verdict| verdict != decided.verdict)
                })?;
                let epoch = decided.decision.epoch;
                let (was, is) = if decided.verdict == Verdict::Out { ("halted", "go on") } else { ("promoted", "be halted") };
                let id = record.trial.id;
                Some(format!(
                    "trial {id} was {was} after epoch {epoch}, and by the figures of its generation it should {is}"
                ))
            })
        })
    })
}

/// The first trial of each generation.
fn firsts(study: &Study) -> Vec<TrialId> {
    let mut firsts: BTreeMap<u32, TrialId> = BTreeMap::new();
    for record in &study.trials {
        if let Some(origin) = &record.trial.origin {
            firsts.entry(origin.generation).or_insert(record.trial.id);
        }
    }
    firsts.into_values().collect()
}

/// The configurations of a generation in the order of the plan, each with its repeats.
struct Generation<'a>(Vec<Vec<&'a TrialRecord>>);

/// How the configurations of a generation stand at a rung.
struct Standing {
    seen: Vec<Seen>,
    /// By configuration: how many are better.
    places: Vec<Option<usize>>,
    verdicts: Vec<Option<Verdict>>,
    /// How many go on.
    quota: usize,
}

impl<'a> Generation<'a> {
    /// That of trial `id`.
    fn of(study: &'a Study, id: TrialId) -> Self {
        let mut configurations: Vec<Vec<&TrialRecord>> = Vec::new();
        for record in study.generation_of(id).into_iter().filter_map(|id| study.trial(id)) {
            let is_alike = |own: &&mut Vec<&TrialRecord>| {
                own.first().is_some_and(|first| first.trial.params == record.trial.params)
            };
            match configurations.iter_mut().find(is_alike) {
                Some(own) => own.push(record),
                None => configurations.push(vec![record]),
            }
        }
        Self(configurations)
    }

    /// The place of the configuration of trial `id`.
    fn position(&self, id: TrialId) -> Option<usize> {
        self.0.iter().position(|own| own.iter().any(|record| record.trial.id == id))
    }

    /// How the configurations stand at each rung.
    fn standings(&self, halving: &Halving) -> Vec<Standing> {
        let mut before: Option<Standing> = None;
        let mut standings = Vec::with_capacity(halving.rungs.len());
        for (rung, &epoch) in halving.rungs.iter().enumerate() {
            let seen = self.0.iter().enumerate().map(|(at, own)| {
                let is_decided = own.iter().any(|record| record.rungs.len() >= rung);
                let before = before.as_ref().filter(|_| !is_decided);
                let before = before.and_then(|before| Some((before.seen.get(at)?, before.verdicts.get(at)?)));
                match before {
                    Some((Seen::Absent, _) | (_, Some(Verdict::Out))) => Seen::Absent,
                    Some((_, None)) => absent_or_awaited(own),
                    Some((_, Some(Verdict::On))) | None => seen(own, rung, epoch),
                }
            });
            let seen: Vec<Seen> = seen.collect();
            let quota = halving.quota(rung, self.0.len());
            let places = search::places(&seen, halving.by);
            let verdicts = search::decide(&seen, quota, halving.by);
            if let Some(before) = before.replace(Standing { seen, places, verdicts, quota }) {
                standings.push(before);
            }
        }
        standings.extend(before);
        standings
    }

    /// What is certain and not yet decided.
    fn decisions(&self, halving: &Halving) -> Vec<(TrialId, Event)> {
        let standings = self.standings(halving);
        let mut decided = Vec::new();
        for ((rung, &epoch), standing) in halving.rungs.iter().enumerate().zip(&standings) {
            for (at, own) in self.0.iter().enumerate() {
                let verdict = standing.verdicts.get(at).copied().flatten();
                let (Some(verdict), Some(Seen::There(figures))) = (verdict, standing.seen.get(at)) else {
                    continue;
                };
                let decision = RungDecision {
                    rung,
                    epoch,
                    by: halving.by,
                    loss: figures.loss,
                    f1: figures.f1,
                    beaten_by: self.better_than(standing, at),
                    quota: standing.quota,
                    configurations: self.0.len(),
                    members: self.0.iter().flatten().map(|record| record.trial.id).collect(),
                };
                let due = own.iter().filter(|record| record.rungs.len() == rung && !record.is_out());
                // A trial that has ended by itself, or was given up, is compared, but nothing is left to be decided.
                let due = due.filter(|record| matches!(record.state, State::Paused | State::Waiting));
                decided.extend(due.map(|record| match verdict {
                    Verdict::On => (record.trial.id, Event::Promoted(decision.clone())),
                    Verdict::Out => (record.trial.id, Event::Halted(decision.clone())),
                }));
            }
        }
        decided
    }

    /// The first trials of the configurations that are better than the one at place `at`.
    fn better_than(&self, standing: &Standing, at: usize) -> Vec<TrialId> {
        let own = standing.places.get(at).copied().flatten();
        let better =
            self.0.iter().zip(&standing.places).filter(|(_, place)| place.is_some() && **place < own);
        better.filter_map(|(configuration, _)| Some(configuration.first()?.trial.id)).collect()
    }
}

/// What is known of a configuration of which it is not known yet whether it comes to a rung.
fn absent_or_awaited(repeats: &[&TrialRecord]) -> Seen {
    let is_given_up = repeats.iter().all(|record| record.state == State::Failed);
    if is_given_up { Seen::Absent } else { Seen::Awaited }
}

/// What is known of a configuration at a rung: the mean over those of its repeats that were not given up. With folds, it is
/// compared as one: if a fold was given up, it stands behind all others, since folds are not equally hard.
fn seen(repeats: &[&TrialRecord], rung: usize, epoch: usize) -> Seen {
    let is_lost = |record: &&TrialRecord| {
        let has_come = record.pauses.iter().any(|(at, _)| *at == epoch);
        record.trial.fold.is_some() && record.state == State::Failed && !has_come
    };
    if repeats.iter().any(is_lost) {
        let are_all = repeats.iter().all(|record| record.state == State::Failed);
        return if are_all { Seen::Absent } else { Seen::There(Figures::UNKNOWN) };
    }
    let mut figures = Vec::with_capacity(repeats.len());
    for record in repeats {
        // Whoever went out at an earlier rung does not come to this one.
        if record.is_out() && record.rungs.len() <= rung {
            continue;
        }
        let paused = record.pauses.iter().find(|(at, _)| *at == epoch).map(|(_, figures)| *figures);
        match (paused, record.state) {
            (Some(paused), _) => figures.push(paused),
            (None, State::Complete) => figures.extend(record.best_until(epoch)),
            (None, State::Failed) => {}
            (None, _) => return Seen::Awaited,
        }
    }
    mean(&figures).map_or(Seen::Absent, Seen::There)
}

fn mean(figures: &[Figures]) -> Option<Figures> {
    let number = count(figures.len());
    let mean = |of: fn(&Figures) -> f64| figures.iter().map(of).sum::<f64>() / number;
    (!figures.is_empty()).then(|| Figures { loss: mean(|own| own.loss), f1: mean(|own| own.f1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::Record,
        plan::Plan,
        samples,
        search::{RungFigure, SearchPlan},
        trial::{ConfigurationSource, Origin},
    };

    /// Trials of one generation that are compared after the second of six epochs; one of three goes on.
    fn plan(trials: u32, repeats: u32) -> Plan {
        let mut plan = samples::plan(trials);
        for trial in &mut plan.trials {
            let index = trial.id.0 - 1;
            trial.repeat = index % repeats;
            trial.params = crate::trial::Params(vec![(
                "dropout".to_owned(),
                crate::settings::Value::Int(i64::from(index / repeats)),
            )]);
            trial.settings.epochs = 6;
            let source = ConfigurationSource::Sobol { draw: index };
            trial.origin = Some(Origin { generation: 0, source });
        }
        let halving = Halving { eta: 3, rungs: vec![2], by: RungFigure::ValLoss };
        plan.search = Some(SearchPlan { generation: 8, halving: Some(halving), growth: None });
        plan
    }

    fn apply(study: &mut Study, id: u32, event: Event) {
        let record = Record { v: 1, seq: 1, at: String::new(), trial: Some(TrialId(id)), event };
        study.apply(&record).unwrap();
    }

    /// Trains a trial until the rung, with this validation loss there.
    fn pause(study: &mut Study, id: u32, loss: f64) {
        start(study, id);
        for evaluation in samples::record(1, &[0.9, loss]).evaluations {
            apply(study, id, Event::Evaluated(evaluation));
        }
        apply(study, id, Event::Paused { epoch: 2 });
    }

    fn start(study: &mut Study, id: u32) {
        let device = crate::system::device::Device::Cpu { slot: 0, threads: 1 };
        let with = Vec::new();
        apply(
            study,
            id,
            Event::Started { attempt: 1, device, micro_batch: None, alone: false, with, worker: None },
        );
    }

    /// Logs what is decided, as the executor does. Returns the trials that go on, and those that are halted.
    fn decide(study: &mut Study) -> (Vec<u32>, Vec<u32>) {
        let (mut on, mut out) = (Vec::new(), Vec::new());
        for (id, event) in all_decisions(study) {
            let list = if matches!(event, Event::Promoted(_)) { &mut on } else { &mut out };
            list.push(id.0);
            apply(study, id.0, event);
        }
        (on, out)
    }

    #[test]
    fn a_trial_is_out_as_soon_as_a_quota_is_better() {
        let mut study = Study::new(&plan(4, 1));
        // Two of four go on.
        pause(&mut study, 1, 0.5);
        pause(&mut study, 2, 0.4);
        assert_eq!(decide(&mut study), (vec![], vec![]));
        pause(&mut study, 3, 0.3);
        assert_eq!(decide(&mut study), (vec![3], vec![1]), "only one can still be better than the third");
        pause(&mut study, 4, 0.6);
        assert_eq!(decide(&mut study), (vec![2], vec![4]));
        assert_eq!(decide(&mut study), (vec![], vec![]), "nothing is decided twice");
        assert_eq!(place(&study, TrialId(1)), Some((3, 4)));
        assert_eq!(place(&study, TrialId(2)), None);
        assert_eq!(study.to_run(), [(TrialId(2), 1), (TrialId(3), 1)]);
        assert_eq!((study.counts().halted, study.epochs_saved()), (2, 8));
        assert_eq!(contradiction(&study), None);
    }

    #[test]
    fn with_many_rungs_the_best_one_comes_to_the_end() {
        let mut plan = plan(4, 1);
        plan.search.as_mut().unwrap().halving =
            Some(Halving { eta: 2, rungs: vec![1, 2, 4], by: RungFigure::ValLoss });
        let mut study = Study::new(&plan);
        let losses = [0.1, 0.2, 0.3, 0.4];
        for (id, loss) in (1..).zip(losses) {
            start(&mut study, id);
            for evaluation in samples::record(1, &[loss, loss, loss, loss]).evaluations {
                apply(&mut study, id, Event::Evaluated(evaluation));
            }
            apply(&mut study, id, Event::Paused { epoch: 1 });
        }
        // Two of four, one of two, and the one that is left.
        let mut gone = Vec::new();
        for epoch in [2, 4, 6] {
            let (on, out) = decide(&mut study);
            gone.extend(out);
            for id in on {
                apply(&mut study, id, Event::Paused { epoch });
            }
        }
        assert_eq!((gone, study.trials[0].rungs.len()), (vec![3, 4, 2], 3));
        assert_eq!(contradiction(&study), None);
    }

    #[test]
    fn a_configuration_that_has_lost_a_fold_stands_behind_those_that_have_all() {
        let mut plan = plan(6, 2);
        for trial in &mut plan.trials {
            trial.fold = Some(trial.repeat + 1);
            trial.repeat = 0;
        }
        let mut study = Study::new(&plan);
        for (id, loss) in [(1, 0.1), (3, 0.3), (4, 0.5), (5, 0.8)] {
            pause(&mut study, id, loss);
        }
        start(&mut study, 2);
        let failure = crate::trial::Failure {
            kind: crate::trial::FailureKind::NonFinite { step: 1 },
            message: String::new(),
        };
        apply(&mut study, 2, Event::Failed { failure, retry: false });
        pause(&mut study, 6, 0.8);
        // By the loss of its one fold the first configuration would be the best.
        assert_eq!(decide(&mut study), (vec![3, 4], vec![1, 5, 6]));
        assert_eq!(contradiction(&study), None);
    }

    #[test]
    fn repeats_go_together_by_their_mean() {
        let mut study = Study::new(&plan(6, 2));
        for (id, loss) in [(1, 0.1), (2, 0.9), (3, 0.3), (4, 0.5), (5, 0.8)] {
            pause(&mut study, id, loss);
        }
        assert_eq!(decide(&mut study), (vec![], vec![1, 2]), "0.5 is above 0.4, and one of three goes on");
        pause(&mut study, 6, 0.8);
        assert_eq!(decide(&mut study), (vec![3, 4], vec![5, 6]));
    }

    #[test]
    fn a_trial_that_was_given_up_makes_room() {
        let mut study = Study::new(&plan(3, 1));
        pause(&mut study, 1, 0.5);
        pause(&mut study, 2, 0.6);
        let failure =
            samples::failed(samples::record(3, &[0.5]), crate::trial::FailureKind::Data).failure.unwrap();
        apply(&mut study, 3, Event::Failed { failure, retry: false });
        assert_eq!(decide(&mut study), (vec![1], vec![2]));
    }

    #[test]
    fn a_trial_that_ended_by_itself_is_compared_with_its_best_figure() {
        let mut study = Study::new(&plan(3, 1));
        study.trials[0] = TrialRecord { trial: study.trials[0].trial.clone(), ..samples::record(1, &[0.2]) };
        pause(&mut study, 2, 0.3);
        pause(&mut study, 3, 0.4);
        assert_eq!(
            decide(&mut study),
            (vec![], vec![2, 3]),
            "the one that goes on is the one that has ended"
        );
    }

    #[test]
    fn with_other_members_a_generation_is_decided_again() {
        let plan = plan(4, 1);
        let mut study = Study::new(&plan);
        for (id, loss) in [(1, 0.5), (2, 0.4), (3, 0.3), (4, 0.6)] {
            pause(&mut study, id, loss);
        }
        let decided = all_decisions(&study);
        let smaller = Plan { trials: plan.trials[..3].to_vec(), ..plan.clone() };
        let mut study = Study::new(&smaller);
        study.removed.insert(TrialId(4));
        for (id, loss) in [(1, 0.5), (2, 0.4), (3, 0.3)] {
            pause(&mut study, id, loss);
        }
        for (id, event) in decided {
            apply(&mut study, id.0, event);
        }
        // One of three goes on, not two of four.
        assert_eq!(decide(&mut study), (vec![3], vec![1, 2]));
    }

    #[test]
    fn a_trial_that_paused_at_a_rung_of_another_spec_waits() {
        let mut other = plan(3, 1);
        other.search.as_mut().unwrap().halving.as_mut().unwrap().rungs = vec![3];
        let mut study = Study::new(&other);
        pause(&mut study, 1, 0.5);
        study.settle();
        assert_eq!(study.trials[0].state, State::Waiting);
        assert_eq!(study.trials[0].next_pause(study.search.as_ref()), Some(3));
        let mut without = Study::new(&Plan { search: None, ..other });
        pause(&mut without, 1, 0.5);
        without.settle();
        assert_eq!(without.trials[0].state, State::Waiting);
    }

    #[test]
    fn a_decision_that_does_not_follow_from_the_figures_is_found() {
        let mut study = Study::new(&plan(3, 1));
        for (id, loss) in [(1, 0.5), (2, 0.4), (3, 0.3)] {
            pause(&mut study, id, loss);
        }
        decide(&mut study);
        study.trials[0].pauses[0].1.loss = 0.1;
        let found = contradiction(&study).unwrap();
        assert_eq!(
            found,
            "trial 0001 was halted after epoch 2, and by the figures of its generation it should go on"
        );
    }
}
