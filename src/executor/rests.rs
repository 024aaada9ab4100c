//! Slots in which no worker can be started for a while: when they are tried again, what the user hears of
//! it, and when a run without any worker is given up. Pure bookkeeping, which the clock is passed to.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::{
    policy::spell_time,
    scheduler::Slot,
    system::{device::Device, shortage::Shortage},
};

/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(30);
/// A rest that begins within this time of the last one is twice as long.
const SOON: Duration = Duration::from_mins(1);
/// Between two messages about the same state.
const REPEAT: Duration = Duration::from_mins(10);
/// How much shorter a trouble is waited out that others are unlikely to end.
const LASTING: u32 = 60;

/// How long slots rest, and how long a run goes on in which no worker can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLimits {
    /// The first rest.
    pub rest: Duration,
    /// The time without any worker after which the run is given up.
    pub give_up: Duration,
}

impl Default for StartLimits {
    fn default() -> Self {
        Self { rest: Duration::from_millis(500), give_up: Duration::from_hours(1) }
    }
}

/// The rests of a slot.
#[derive(Debug)]
struct Rest {
    length: Duration,
    until: Instant,
    is_over: bool,
}

/// Which slots rest.
#[derive(Debug)]
pub(super) struct Rests {
    limits: StartLimits,
    slots: BTreeMap<Slot, Rest>,
    /// Since when no worker has got on with a trial.
    since: Option<Instant>,
    announced: Option<Instant>,
    /// What the latest worker of each slot said last on its standard error, once it has ended.
    pub(super) last_words: BTreeMap<Slot, String>,
    /// Why the run was given up.
    pub(super) given_up: Option<String>,
}

/// What follows from a rest that begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// The user hears this.
    Warning(String),
    /// The user has heard of it.
    Nothing,
    /// The run is given up.
    GiveUp,
}

/// Why a slot rests.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) slot: Slot,
    pub(super) device: Device,
    pub(super) why: String,
    /// Whether a worker of another slot lives.
    pub(super) has_company: bool,
}

impl Rests {
    pub(super) fn new(limits: StartLimits) -> Self {
        let (slots, last_words) = (BTreeMap::new(), BTreeMap::new());
        Self { limits, slots, since: None, announced: None, last_words, given_up: None }
    }

    /// Lets a slot rest.
    pub(super) fn begin(&mut self, trouble: &Trouble, now: Instant) -> Follows {
        let first = self.limits.rest;
        let last = self.slots.get(&trouble.slot).filter(|rest| now.duration_since(rest.until) < SOON);
        let length = last.map_or(first, |rest| (2 * rest.length).min(REST_MAX.max(first)));
        let until = if last.is_some() { self.after_others(trouble.slot, now + length) } else { now + length };
        self.slots.insert(trouble.slot, Rest { length, until, is_over: false });
        let since = *self.since.get_or_insert(now);
        let shortage = Shortage::in_last_words(&trouble.why);
        let give_up = match shortage {
            Some(shortage) if shortage.is_of_others() => self.limits.give_up,
            Some(_) | None => self.limits.give_up / LASTING,
        };
        let lasted = now.duration_since(since);
        if !trouble.has_company && lasted >= give_up {
            self.given_up = Some(trouble.why.clone() + &advice(shortage, &trouble.why));
            return Follows::GiveUp;
        }
        if self.announced.is_some_and(|at| now.duration_since(at) < REPEAT) {
            return Follows::Nothing;
        }
        self.announced = Some(now);
        Follows::Warning(warning(trouble, lasted, length, shortage))
    }

    /// The first moment from `until` on in which no other slot comes back. Slots that come back together again and again
    /// take from each other what there is too little of.
    fn after_others(&self, slot: Slot, mut until: Instant) -> Instant {
        let apart = self.limits.rest;
        let near = |until: Instant| {
            let others = self.slots.iter().filter(|(other, rest)| **other != slot && !rest.is_over);
            let others = others.map(|(_, rest)| rest.until);
            others.filter(|other| *other < until + apart && until < *other + apart).max()
        };
        while let Some(other) = near(until) {
            until = other + apart;
        }
        until
    }

    /// When the next slot has rested.
    pub(super) fn next(&self) -> Option<Instant> {
        self.slots.values().filter(|rest| !rest.is_over).map(|rest| rest.until).min()
    }

    /// Takes the slots that have rested.
    pub(super) fn take_rested(&mut self, now: Instant) -> Vec<Slot> {
        let due = self.slots.iter_mut().filter(|(_, rest)| !rest.is_over && rest.until <= now);
        due.map(|(slot, rest)| {
            rest.is_over = true;
            *slot
        })
        .collect()
    }

    /// Notes that a worker gets on with its trial. Returns what the user hears if all slots do again.
    pub(super) fn on_work(&mut self) -> Option<&'static str> {
        self.since = None;
        let is_over = self.slots.values().all(|rest| rest.is_over);
        let was_announced = is_over && self.announced.take().is_some();
        was_announced.then_some("workers can run again: the sweep goes on")
    }
}

/// What a person can do, unless the reason says it.
fn advice(shortage: Option<Shortage>, why: &str) -> String {
    let remedy = shortage.map(Shortage::remedy).filter(|remedy| !why.contains(remedy));
    remedy.map_or_else(String::new, |remedy| format!("; {remedy}"))
}

fn warning(trouble: &Trouble, lasted: Duration, length: Duration, shortage: Option<Shortage>) -> String {
    let Trouble { device, why, .. } = trouble;
    let still = if lasted < REPEAT { "no" } else { "still no" };
    format!(
        "{still} worker can run on {device}: {why}. No trial fails for that: {device} is tried again in {}, \
         then less and less often{}. Ctrl-C ends the run",
        spell_time(length),
        advice(shortage, why)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: StartLimits = StartLimits { rest: SECOND, give_up: Duration::from_hours(1) };

    fn trouble(slot: usize, why: &str, has_company: bool) -> Trouble {
        let device = Device::Cpu { slot, threads: 1 };
        Trouble { slot: Slot(slot), device, why: why.to_owned(), has_company }
    }

    fn full_table(slot: usize) -> Trouble {
        trouble(slot, "Resource temporarily unavailable (os error 11)", true)
    }

    #[test]
    fn a_slot_rests_longer_each_time_up_to_a_bound() {
        let mut rests = Rests::new(LIMITS);
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            rests.begin(&full_table(0), now);
            assert_eq!(rests.take_rested(now), []);
            let next = rests.next().unwrap();
            assert_eq!(next - now, Duration::from_secs(seconds));
            now = next;
            assert_eq!(rests.take_rested(now), [Slot(0)]);
            assert_eq!((rests.next(), rests.take_rested(now)), (None, Vec::new()));
        }
        now += 2 * SOON;
        rests.begin(&full_table(0), now);
        assert_eq!(rests.next(), Some(now + SECOND), "that was another trouble");
    }

    #[test]
    fn each_slot_rests_by_itself() {
        let mut rests = Rests::new(LIMITS);
        let now = Instant::now();
        rests.begin(&full_table(0), now);
        rests.take_rested(now + SECOND);
        rests.begin(&full_table(0), now + SECOND);
        rests.begin(&full_table(1), now + SECOND);
        assert_eq!(rests.take_rested(now + 2 * SECOND), [Slot(1)]);
        assert_eq!(rests.take_rested(now + 3 * SECOND), [Slot(0)]);
    }

    #[test]
    fn slots_that_rest_again_at_the_same_time_come_back_one_after_another() {
        let mut rests = Rests::new(LIMITS);
        let now = Instant::now();
        (0..3).for_each(|slot| _ = rests.begin(&full_table(slot), now));
        let again = now + SECOND;
        assert_eq!(rests.take_rested(again), [0, 1, 2].map(Slot));
        (0..3).for_each(|slot| _ = rests.begin(&full_table(slot), again));
        for (seconds, slot) in (2..).zip(0..3) {
            assert_eq!(rests.next(), Some(again + seconds * SECOND));
            assert_eq!(rests.take_rested(again + seconds * SECOND), [Slot(slot)]);
        }
    }

    #[test]
    fn the_user_hears_of_it_once_with_a_way_out_and_of_its_end() {
        let mut rests = Rests::new(LIMITS);
        let now = Instant::now();
        let Follows::Warning(text) = rests.begin(&full_table(0), now) else { panic!("no warning") };
        let begin = "no worker can run on cpu:0: Resource temporarily unavailable (os error 11). No trial \
                     fails for that: cpu:0 is tried again in 1s";
        assert!(text.starts_with(begin) && text.contains("ulimit -u") && text.contains("Ctrl-C"), "{text}");
        assert_eq!(rests.begin(&full_table(1), now), Follows::Nothing);
        assert_eq!(rests.on_work(), None, "slots rest still");
        rests.take_rested(now + SECOND);
        assert!(rests.on_work().is_some());
        assert_eq!(rests.on_work(), None);
    }

    #[test]
    fn a_state_that_lasts_is_told_again() {
        let mut rests = Rests::new(LIMITS);
        let now = Instant::now();
        rests.begin(&full_table(0), now);
        assert_eq!(rests.begin(&full_table(0), now + REPEAT - SECOND), Follows::Nothing);
        let Follows::Warning(text) = rests.begin(&full_table(0), now + REPEAT) else { panic!("no warning") };
        assert!(text.starts_with("still no worker"), "{text}");
    }

    #[test]
    fn a_run_without_any_worker_is_given_up_sooner_if_nobody_else_can_end_the_trouble() {
        for (why, limits) in [
            ("Resource temporarily unavailable (os error 11)", LIMITS.give_up),
            ("Too many open files (os error 24)", LIMITS.give_up / LASTING),
            ("No such file or directory (os error 2)", LIMITS.give_up / LASTING),
        ] {
            let mut rests = Rests::new(LIMITS);
            let now = Instant::now();
            rests.begin(&trouble(0, why, false), now);
            assert_ne!(rests.begin(&trouble(0, why, false), now + limits - SECOND), Follows::GiveUp);
            assert_ne!(rests.begin(&trouble(0, why, true), now + limits), Follows::GiveUp, "it has company");
            assert_eq!(rests.begin(&trouble(0, why, false), now + limits), Follows::GiveUp);
            assert!(rests.given_up.unwrap().starts_with(why));
        }
    }

    #[test]
    fn work_begins_the_patience_anew() {
        let mut rests = Rests::new(LIMITS);
        let now = Instant::now();
        rests.begin(&trouble(0, "no", false), now);
        rests.on_work();
        let later = now + LIMITS.give_up;
        assert!(matches!(rests.begin(&trouble(0, "no", false), later), Follows::Warning(_)));
    }
}
