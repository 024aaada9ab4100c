//! A trial as far as the log tells.

use crate::{
    event::{Evaluation, Outcome, Prepared, RemotePlace, RungDecision},
    numbers::count,
    search::{Figures, SearchPlan, Verdict},
    system::device::Device,
    trial::{Failure, State, Trial, TrialRef},
};

/// A trial as far as the log tells.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialRecord {
    /// What was planned.
    pub trial: Trial,
    /// Where it stands.
    pub state: State,
    /// Attempts begun.
    pub attempts: u32,
    /// Where the latest attempt ran.
    pub device: Option<Device>,
    /// What decides the last bits of the latest attempt's numbers, where a worker of a cluster made it.
    pub arithmetic: Option<String>,
    /// Examples of one pass of the latest attempt at most, if memory had run out before.
    pub micro_batch: Option<usize>,
    /// Whether the latest attempt had its device for itself.
    pub alone: bool,
    /// Whether some of its steps may have been made in micro-batches, or on devices of several kinds.
    pub mixed: bool,
    /// Of the latest attempt.
    pub prepared: Option<Prepared>,
    /// Of the latest attempt, in order.
    pub evaluations: Vec<Evaluation>,
    /// When complete.
    pub outcome: Option<Outcome>,
    /// The latest failure, also when a retry followed.
    pub failure: Option<Failure>,
    /// Whether its parameters were removed after it was complete.
    pub parameters_removed: bool,
    /// The trial whose steps the latest attempt started from, or whose whole result was taken over.
    pub inherited_from: Option<TrialRef>,
    /// The rungs at which it has paused: their epochs, and its best figures until then.
    pub pauses: Vec<(usize, Figures)>,
    /// What was decided about it at each rung to which it came, in order.
    pub rungs: Vec<Decided>,
    /// The epoch after which it was halted, if the user let it go on all the same.
    pub continued_from: Option<usize>,
}

/// A decision about a trial at a rung.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// What was decided.
    pub verdict: Verdict,
    /// From what.
    pub decision: RungDecision,
}

impl TrialRecord {
    /// `trial`, waiting.
    #[must_use]
    pub fn new(trial: Trial) -> Self {
        Self {
            trial,
            state: State::Waiting,
            attempts: 0,
            device: None,
            arithmetic: None,
            micro_batch: None,
            alone: false,
            mixed: false,
            prepared: None,
            evaluations: Vec::new(),
            outcome: None,
            failure: None,
            parameters_removed: false,
            inherited_from: None,
            pauses: Vec::new(),
            rungs: Vec::new(),
            continued_from: None,
        }
    }

    /// Whether it was decided that it is out. It stays so if the user lets it go on all the same.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.rungs.last().is_some_and(|last| last.verdict == Verdict::Out)
    }

    /// Whether its last loss, in training or on validation, is infinite or not a number.
    #[must_use]
    pub fn has_diverged(&self) -> bool {
        let is_finite = |last: &Evaluation| last.train_loss.is_finite() && last.validation.loss.is_finite();
        self.evaluations.last().is_some_and(|last| !is_finite(last))
    }

    /// Whether it is complete, and its best parameters' predictions on validation say no more about the class than
    /// chance.
    #[must_use]
    pub fn has_collapsed(&self) -> bool {
        let outcome = self.outcome.as_ref();
        outcome.is_some_and(|outcome| outcome.validation.confusion.is_informative() == Some(false))
    }

    /// The epochs after which it pauses next, if it does.
    #[must_use]
    pub fn next_pause(&self, search: Option<&SearchPlan>) -> Option<usize> {
        let halving = search.and_then(|search| search.halving.as_ref())?;
        let is_compared = self.trial.origin.is_some() && !self.is_out();
        halving.rungs.get(self.rungs.len()).copied().filter(|_| is_compared)
    }

    /// Whether it pauses, but not at the rung that it is to be compared at: its spec had other rungs then.
    pub(super) fn pauses_nowhere(&self, search: Option<&SearchPlan>) -> bool {
        let next = self.next_pause(search);
        self.state == State::Paused && !self.pauses.iter().any(|(epoch, _)| Some(*epoch) == next)
    }

    pub(super) fn pause(&mut self, epoch: usize) {
        self.state = State::Paused;
        self.pauses.retain(|(other, _)| *other != epoch);
        self.pauses.push((epoch, self.best_until(epoch).unwrap_or(Figures::UNKNOWN)));
    }

    /// Its best figures on validation in its first `epochs` epochs; `None` before its first evaluation.
    #[must_use]
    pub fn best_until(&self, epochs: usize) -> Option<Figures> {
        let until = self.evaluations.iter().filter(|evaluation| evaluation.epoch <= count(epochs));
        until.map(|evaluation| &evaluation.validation).fold(None, |best: Option<Figures>, scores| {
            let best = best.unwrap_or(Figures { loss: f64::INFINITY, f1: f64::NEG_INFINITY });
            Some(Figures { loss: best.loss.min(scores.loss), f1: best.f1.max(scores.f1) })
        })
    }

    /// The user lets it go on although it is out.
    pub(super) fn go_on(&mut self) {
        self.state = State::Waiting;
        self.continued_from = self.rungs.last().map(|last| last.decision.epoch);
    }

    pub(super) fn evaluate(&mut self, mut evaluation: Evaluation) {
        evaluation.validation = evaluation.validation.with_interval_of_today();
        self.evaluations.push(evaluation);
    }

    pub(super) fn resume(&mut self, from: Option<&TrialRef>) {
        self.inherited_from = from.cloned();
        if from.is_some_and(|origin| origin.sweep.is_some()) {
            // The whole result is the other sweep's: attempts in this one do not count.
            (self.device, self.micro_batch, self.alone) = (None, None, false);
            (self.prepared, self.mixed) = (None, false);
        }
        // The attempt reports the earlier evaluations again.
        self.evaluations.clear();
    }

    /// Notes where an attempt that starts computes: on a processor of another kind it makes steps with other last digits
    /// than those before.
    pub(super) fn computing_at(&mut self, place: Option<&RemotePlace>) -> &mut Self {
        let arithmetic = place.map(|place| place.arithmetic.clone());
        self.mixed |= self.attempts > 0 && self.arithmetic.is_some() && self.arithmetic != arithmetic;
        self.arithmetic = arithmetic;
        self
    }

    pub(super) fn complete(&mut self, mut outcome: Outcome) {
        outcome.validation = outcome.validation.with_interval_of_today();
        outcome.test = outcome.test.with_interval_of_today();
        self.state = State::Complete;
        self.outcome = Some(outcome);
    }

    pub(super) fn start(&mut self, attempt: u32, device: Device, micro_batch: Option<usize>, alone: bool) {
        self.state = State::Running;
        self.attempts = attempt;
        self.mixed |= self.device.is_some_and(|before| !before.is_of_kind(device));
        self.device = Some(device);
        (self.micro_batch, self.alone) = (micro_batch, alone);
        self.mixed |= micro_batch.is_some();
        self.prepared = None;
        self.evaluations.clear();
        self.outcome = None;
        self.parameters_removed = false;
        self.inherited_from = None;
    }
}
