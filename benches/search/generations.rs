//! A search in generations with halving, on any number of slots: what `sweep run` does, with time played.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use sweep::search::{self, Figures, GENERATION, Halving, Seen, Verdict};

use crate::{
    replay::Ended,
    samplers::{Points, Sampler, Tried},
    table::{Pool, Table},
};

/// How a search is run.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) sampler: Sampler,
    /// Which trials are halted; `None`: none is.
    pub(crate) halving: Option<&'a Halving>,
    pub(crate) slots: usize,
}

/// What came of a search.
pub(crate) struct Run {
    pub(crate) trials: Vec<Ended>,
    /// Slots times the time that it took, over the time in which slots had work.
    pub(crate) overhead: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Paused,
    Complete,
    Halted,
}

struct Member {
    tried: Tried,
    state: State,
    /// Rungs at which it went on.
    rungs: usize,
    /// Whether it was beaten at the next one.
    is_out: bool,
}

struct Search<'a> {
    table: &'a Table,
    way: Way<'a>,
    pool: Pool<'a>,
    points: Points<'a>,
    /// Trials in all.
    count: usize,
    members: Vec<Member>,
    queue: VecDeque<usize>,
}

/// Runs a search of `count` trials.
pub(crate) fn run(table: &Table, way: Way<'_>, count: usize, repetition: u64) -> Run {
    let mut search = Search {
        table,
        way,
        pool: Pool::new(table, repetition),
        points: Points::new(table, way.sampler, count, repetition),
        count,
        members: Vec::new(),
        queue: VecDeque::new(),
    };
    let overhead = search.play(repetition);
    assert_eq!(search.members.len(), count);
    let ended = |member: &Member| Ended {
        trial: member.tried.trial,
        epochs: member.tried.epochs,
        is_complete: member.state == State::Complete,
    };
    Run { trials: search.members.iter().map(ended).collect(), overhead }
}

impl Search<'_> {
    /// Plays the search on its slots; its overhead.
    fn play(&mut self, repetition: u64) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(repetition);
        // The end of an epoch: when, in which order epochs began, and whose.
        let mut ends: BinaryHeap<Reverse<(u64, usize, usize)>> = BinaryHeap::new();
        let (mut now, mut work, mut begun, mut idle) = (0.0_f64, 0.0, 0, self.way.slots);
        loop {
            while idle > 0 {
                let Some(at) = self.next() else { break };
                idle -= 1;
                let seconds = self.seconds(at, &mut random);
                (begun, work) = (begun + 1, work + seconds);
                ends.push(Reverse(((now + seconds).to_bits(), begun, at)));
            }
            let Some(Reverse((end, _, at))) = ends.pop() else { break };
            now = f64::from_bits(end);
            if self.end_epoch(at) {
                let seconds = self.seconds(at, &mut random);
                (begun, work) = (begun + 1, work + seconds);
                ends.push(Reverse(((now + seconds).to_bits(), begun, at)));
            } else {
                idle += 1;
            }
        }
        now * crate::statistics::count(self.way.slots) / work
    }

    /// How long the next epoch of a trial takes: as long as epochs of its chunk length, give or take a tenth.
    fn seconds(&self, at: usize, random: &mut ChaCha8Rng) -> f64 {
        let mut unit = || (f64::from(random.next_u32()) + 1.0) / 4_294_967_297.0;
        let normal = (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos();
        self.table.trials[self.members[at].tried.trial].cost * (0.1 * normal).exp()
    }

    /// The trial that a free slot takes.
    fn next(&mut self) -> Option<usize> {
        if self.queue.is_empty() {
            self.plan();
        }
        let at = self.queue.pop_front()?;
        self.members[at].state = State::Running;
        Some(at)
    }

    /// Plans the next generation, if all that it rests on is over.
    fn plan(&mut self) {
        let first = self.members.len();
        let rests_on = self.way.sampler.known(first);
        let is_over = |member: &Member| matches!(member.state, State::Complete | State::Halted);
        if first == self.count || !self.members[..rests_on].iter().all(is_over) {
            return;
        }
        for at in first..self.count.min(first + size()) {
            let tried: Vec<Tried> = self.members.iter().map(|member| member.tried.clone()).collect();
            let point = self.points.next(&tried);
            let trial = self.pool.take(&self.table.space.place(point.params));
            let tried = Tried { point, trial, epochs: 0, is_halted: false };
            self.members.push(Member { tried, state: State::Waiting, rungs: 0, is_out: false });
            self.queue.push_back(at);
        }
    }

    /// Takes note of the end of an epoch; whether the trial goes on at once.
    fn end_epoch(&mut self, at: usize) -> bool {
        let rungs: &[usize] = self.way.halving.map_or(&[], |halving| &halving.rungs);
        let member = &mut self.members[at];
        member.tried.epochs += 1;
        member.state = if member.tried.epochs == self.table.trials[member.tried.trial].epochs {
            State::Complete
        } else if rungs.get(member.rungs) == Some(&member.tried.epochs) {
            State::Paused
        } else {
            return true;
        };
        self.decide(at / size());
        false
    }

    /// Decides at the rungs of a generation what is certain.
    fn decide(&mut self, generation: usize) {
        let Some(halving) = self.way.halving else { return };
        let first = generation * size();
        let last = self.members.len().min(first + size());
        for (rung, epoch) in halving.rungs.iter().enumerate() {
            let seen: Vec<Seen> = (first..last).map(|at| self.seen(at, rung, *epoch)).collect();
            let verdicts = search::decide(&seen, halving.quota(rung, seen.len()), halving.by);
            for (at, verdict) in (first..last).zip(verdicts).rev() {
                if let Some(verdict) = verdict
                    && !self.members[at].is_out
                    && self.members[at].rungs == rung
                {
                    self.obey(at, verdict);
                }
            }
        }
    }

    fn obey(&mut self, at: usize, verdict: Verdict) {
        let member = &mut self.members[at];
        match (verdict, member.state) {
            (Verdict::On, State::Paused) => {
                member.state = State::Waiting;
                self.queue.push_front(at);
            }
            (Verdict::Out, State::Paused) => {
                member.state = State::Halted;
                member.tried.is_halted = true;
            }
            (_, State::Waiting | State::Running | State::Complete | State::Halted) => {}
        }
        match verdict {
            Verdict::On => member.rungs += 1,
            Verdict::Out => member.is_out = true,
        }
    }

    /// What is known of a member at a rung.
    fn seen(&self, at: usize, rung: usize, epoch: usize) -> Seen {
        let member = &self.members[at];
        let trial = &self.table.trials[member.tried.trial];
        if member.is_out && member.rungs < rung {
            Seen::Absent
        } else if member.tried.epochs >= epoch || member.state == State::Complete {
            let until = epoch.min(trial.epochs);
            let loss = trial.val_loss[..until].iter().copied().fold(f64::INFINITY, f64::min);
            let f1 = trial.val_f1[..until].iter().copied().fold(0.0, f64::max);
            Seen::There(Figures { loss, f1 })
        } else {
            Seen::Awaited
        }
    }
}

/// Trials of a generation.
fn size() -> usize {
    usize::try_from(GENERATION).unwrap()
}
