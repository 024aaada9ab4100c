//! A rung: who goes on and who is out, as soon as that is certain.

use super::rules::RungFigure;
use crate::numbers::count;

/// A configuration's best figures on validation until a rung.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// The lowest loss.
    pub loss: f64,
    /// The highest F1.
    pub f1: f64,
}

impl Figures {
    /// Those of a trial that was not evaluated before a rung: worse than all others.
    pub const UNKNOWN: Self = Self { loss: 1e100, f1: 0.0 };
}

/// What is known of a configuration at a rung.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seen {
    /// It has come so far, or has ended by itself before.
    There(Figures),
    /// It is still on its way.
    Awaited,
    /// It will never come: it was given up.
    Absent,
}

/// What becomes of a configuration at a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    On,
    /// It is out.
    Out,
}

/// What becomes of each of the configurations `seen`, in the order of their numbers, of which `quota` go on; `None` as
/// long as it depends on those that are still awaited.
///
/// Equal figures go by number. Whoever is awaited counts as better and as worse than everybody else, so that no later
/// figure changes what was said: the answers are the same in whatever order configurations come. By both figures
/// places add up, and nothing is certain before all are there.
#[must_use]
pub fn decide(seen: &[Seen], quota: usize, by: RungFigure) -> Vec<Option<Verdict>> {
    let awaited = seen.iter().filter(|seen| **seen == Seen::Awaited).count();
    if by == RungFigure::Both && awaited > 0 {
        return vec![None; seen.len()];
    }
    let places = places(seen, by);
    let verdict = |place: &Option<usize>| {
        let better = (*place)?;
        if better >= quota { Some(Verdict::Out) } else { (better + awaited < quota).then_some(Verdict::On) }
    };
    places.iter().map(verdict).collect()
}

/// The place of each configuration that is there, from 0: how many of them are better.
#[must_use]
pub fn places(seen: &[Seen], by: RungFigure) -> Vec<Option<usize>> {
    let mut places = vec![None; seen.len()];
    for (place, (_, at)) in ordered(&keys(seen, by)).into_iter().enumerate() {
        places[at] = Some(place);
    }
    places
}

/// The keys in order, each with its number; equal ones by number.
fn ordered(keys: &[Option<f64>]) -> Vec<(f64, usize)> {
    // Zero is zero, whatever its sign.
    let mut ordered: Vec<(f64, usize)> =
        keys.iter().enumerate().filter_map(|(at, key)| Some(((*key)? + 0.0, at))).collect();
    ordered.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    ordered
}

/// What is compared, the lowest best.
fn keys(seen: &[Seen], by: RungFigure) -> Vec<Option<f64>> {
    let of = |key: fn(Figures) -> f64| -> Vec<Option<f64>> {
        let key = |seen: &Seen| match seen {
            Seen::There(figures) => Some(key(*figures)),
            Seen::Awaited | Seen::Absent => None,
        };
        seen.iter().map(key).collect()
    };
    match by {
        RungFigure::ValLoss => of(|figures| figures.loss),
        RungFigure::ValF1 => of(|figures| -figures.f1),
        RungFigure::Both => {
            let (losses, f1s) = (of(|figures| figures.loss), of(|figures| -figures.f1));
            let places = shared_places(&losses).into_iter().zip(shared_places(&f1s));
            places.map(|(by_loss, by_f1)| Some(by_loss? + by_f1?)).collect()
        }
    }
}

/// The place of each key among the others; equal keys share the mean of their places.
fn shared_places(keys: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut places = vec![None; keys.len()];
    let mut better = 0;
    for equal in ordered(keys).chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let shared = count(better) + (count(equal.len()) - 1.0) / 2.0;
        for (_, at) in equal {
            places[*at] = Some(shared);
        }
        better += equal.len();
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        Seen::{Absent, Awaited, There},
        Verdict::{On, Out},
        *,
    };

    fn loss(loss: f64) -> Seen {
        There(Figures { loss, f1: 0.5 })
    }

    #[test]
    fn the_best_go_on_and_equal_ones_go_by_number() {
        let seen = [loss(0.4), loss(0.3), loss(0.4), loss(0.5)];
        assert_eq!(decide(&seen, 2, RungFigure::ValLoss), [Some(On), Some(On), Some(Out), Some(Out)]);
    }

    #[test]
    fn whoever_is_beaten_by_a_quota_is_out_before_the_others_come() {
        let seen = [loss(0.4), loss(0.3), Awaited, loss(0.5), Awaited];
        assert_eq!(decide(&seen, 2, RungFigure::ValLoss), [None, None, None, Some(Out), None]);
    }

    #[test]
    fn whoever_cannot_be_beaten_any_more_goes_on_at_once() {
        let seen = [loss(0.4), loss(0.3), Awaited, Absent];
        assert_eq!(decide(&seen, 3, RungFigure::ValLoss), [Some(On), Some(On), None, None]);
    }

    #[test]
    fn by_both_the_places_add_up() {
        let at = |loss, f1| There(Figures { loss, f1 });
        // Places by loss 0, 1, 2; by F1 2, 0, 1.
        let seen = [at(0.1, 0.5), at(0.2, 0.9), at(0.3, 0.7)];
        assert_eq!(places(&seen, RungFigure::Both), [Some(1), Some(0), Some(2)]);
        assert_eq!(decide(&[seen[0], Awaited], 1, RungFigure::Both), [None, None]);
    }

    proptest! {
        #[test]
        fn a_place_is_the_number_of_those_that_are_better(
            figures in prop::collection::vec(prop::option::of((0_u8..4, 0_u8..4)), 0..10),
            by in prop::sample::select(vec![RungFigure::ValLoss, RungFigure::ValF1, RungFigure::Both]),
        ) {
            let seen: Vec<Seen> = figures.iter().map(|own| own.map_or(Absent, |(loss, f1)| {
                There(Figures { loss: f64::from(loss), f1: f64::from(f1) })
            })).collect();
            let there: Vec<(u8, u8)> = figures.iter().flatten().copied().collect();
            // Twice the place that equal figures share.
            let shared = |is_better: &dyn Fn(&(u8, u8)) -> bool, is_equal: &dyn Fn(&(u8, u8)) -> bool| {
                let number = |is: &dyn Fn(&(u8, u8)) -> bool| there.iter().filter(|other| is(other)).count();
                2 * number(is_better) + number(is_equal) - 1
            };
            let key = |&(loss, f1): &(u8, u8)| match by {
                RungFigure::ValLoss => usize::from(loss),
                RungFigure::ValF1 => usize::from(4 - f1),
                RungFigure::Both => shared(&|it| it.0 < loss, &|it| it.0 == loss) + shared(&|it| it.1 > f1, &|it| it.1 == f1),
            };
            let keys: Vec<Option<usize>> = figures.iter().map(|own| own.as_ref().map(key)).collect();
            let better = |at: usize, own: usize| {
                keys.iter().enumerate().filter(|(other, key)| key.is_some_and(|key| (key, *other) < (own, at))).count()
            };
            let expected: Vec<Option<usize>> = keys.iter().enumerate().map(|(at, key)| Some(better(at, (*key)?))).collect();
            prop_assert_eq!(places(&seen, by), expected);
        }

        #[test]
        fn what_is_decided_early_is_what_is_decided_in_the_end(
            keys in prop::collection::vec((0_u8..6, 0_u8..6, 0_u8..8), 1..12),
            quota in 1_usize..6,
            hidden in prop::collection::vec(any::<bool>(), 12),
            by in prop::sample::select(vec![RungFigure::ValLoss, RungFigure::ValF1, RungFigure::Both]),
        ) {
            let all: Vec<Seen> = keys.iter().map(|&(loss, f1, kind)| match kind {
                0 => Absent,
                _ => There(Figures { loss: f64::from(loss), f1: f64::from(f1) }),
            }).collect();
            let early: Vec<Seen> =
                all.iter().zip(&hidden).map(|(seen, hidden)| if *hidden { Awaited } else { *seen }).collect();
            let last = decide(&all, quota, by);
            for ((early, last), seen) in decide(&early, quota, by).iter().zip(&last).zip(&all) {
                prop_assert!(early.is_none() || early == last, "{early:?} {last:?}");
                prop_assert_eq!(last.is_none(), *seen == Absent);
            }
            let there = all.iter().filter(|seen| matches!(seen, There(_))).count();
            prop_assert_eq!(last.iter().filter(|last| **last == Some(On)).count(), quota.min(there));
        }
    }
}
