//! How much disk space the parameters of a sweep take, as far as it can be told before it runs.

use std::{collections::BTreeMap, num::NonZeroUsize, path::Path};

use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    display::plain,
    policy::Keep,
    settings::Freeze,
    trial::Trial,
};

/// Bytes of a parameter.
const F32: u64 = 4;
/// What a trial that is complete keeps of each parameter: the best and the last.
const COMPLETE: u64 = 2 * F32;
/// Checkpoints of a running trial: the newest, the one before it, and the next one while it is written.
const CHECKPOINTS: u64 = 3;
/// Sets of parameters in a checkpoint: those of now, and the best.
const SETS: u64 = 2;
/// Moments that the optimiser keeps of each parameter that learns.
const MOMENTS: u64 = 2;

/// Bytes that trials will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Once all are complete.
    pub lasting: u64,
    /// At most, while they run.
    pub peak: u64,
    keep: Keep,
    /// `peak`, if only the best trial were kept.
    least: u64,
}

/// What one trial takes.
struct Sizes {
    complete: u64,
    running: u64,
}

impl Forecast {
    /// The forecast for `trials`, all of them still to be run, `slots` at a time; `None` unless every
    /// checkpoint is known.
    #[must_use]
    pub fn new<'a>(
        trials: impl IntoIterator<Item = &'a Trial>,
        checkpoints: &BTreeMap<Checkpoint, CheckpointFacts>,
        slots: usize,
        keep: Keep,
    ) -> Option<Self> {
        let sizes = trials.into_iter().map(|trial| {
            let facts = checkpoints.get(&trial.settings.checkpoint)?;
            Some(Sizes::of(facts.parameters, trial.settings.freeze))
        });
        let sizes: Vec<Sizes> = sizes.collect::<Option<_>>()?;
        let mut complete: Vec<u64> = sizes.iter().map(|sizes| sizes.complete).collect();
        let mut running: Vec<u64> = sizes.iter().map(|sizes| sizes.running).collect();
        complete.sort_unstable_by(|a, b| b.cmp(a));
        running.sort_unstable_by(|a, b| b.cmp(a));
        let total = |sizes: &[u64], count: usize| sizes.iter().take(count).sum::<u64>();
        let slots = slots.min(sizes.len());
        let peak = |kept: usize| {
            let beside = total(&complete, kept.min(sizes.len() - slots));
            (beside.saturating_add(total(&running, slots))).max(total(&complete, kept))
        };
        let kept = kept(keep);
        Some(Self { lasting: total(&complete, kept), peak: peak(kept), keep, least: peak(1) })
    }

    /// In words, beside the bytes that are free, where that is known.
    #[must_use]
    pub fn describe(&self, free: Option<u64>) -> String {
        if self.peak == 0 {
            return "no trial is left to run".to_owned();
        }
        let whose = match kept(self.keep) {
            usize::MAX => "each trial".to_owned(),
            1 => "the best trial".to_owned(),
            kept => format!("the best {kept} trials"),
        };
        let free = free.map_or_else(String::new, |free| format!("; {} free", size(free)));
        format!(
            "about {} of parameters (best and last of {whose}), up to {} while it runs{free}",
            size(self.lasting),
            size(self.peak)
        )
    }

    /// What to say when `free` bytes in `folder` are too few.
    #[must_use]
    pub fn warning(&self, free: u64, folder: &Path) -> Option<String> {
        if self.peak <= free {
            return None;
        }
        let fewer = match self.least {
            least if self.keep == Keep::All && least < self.peak => {
                format!(", or set keep = \"best-of-sweep\" in [run], which needs up to {}", size(least))
            }
            _ => String::new(),
        };
        Some(format!(
            "this may take up to {} of disk space, and {} free in {}; free some, choose another disk with --results\
             {fewer}",
            size(self.peak),
            match size(free) {
                free if free.starts_with("1 ") => format!("{free} is"),
                free => format!("{free} are"),
            },
            plain(&folder.display().to_string()),
        ))
    }
}

impl Sizes {
    /// Of a trial with so many parameters. Lower layers that are frozen count as if they learnt.
    fn of(parameters: u64, freeze: Freeze) -> Self {
        let learning = if freeze == Freeze::Encoder { 0 } else { parameters };
        let checkpoint = F32 * (SETS * parameters + MOMENTS * learning);
        // `best/` is another name of what the newest one holds.
        Self { complete: COMPLETE * parameters, running: CHECKPOINTS * checkpoint }
    }
}

/// How many complete trials keep their parameters; ties aside.
fn kept(keep: Keep) -> usize {
    match keep {
        Keep::All => usize::MAX,
        Keep::BestOfSweep => 1,
        Keep::Best(count) => NonZeroUsize::get(count),
    }
}

/// Bytes as people read them: `12 MB`, `1.8 GB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let bytes = bytes as f64;
    match bytes {
        0.0..1e6 => format!("{:.0} kB", bytes / 1e3),
        1e6..1e9 => format!("{:.0} MB", (bytes / 1e6).ceil()),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    const MODEL: u64 = 100_000_000;

    /// Trials over a model of 100 million parameters: 0.8 GB each, and 4.8 GB while one runs.
    fn forecast(trials: u32, slots: usize, keep: Keep) -> Forecast {
        let plan = samples::plan(trials);
        let facts = CheckpointFacts { window: 1, layers: 1, parameters: MODEL, unused: Vec::new() };
        let checkpoints = [(Checkpoint::Mini, facts)].into();
        Forecast::new(&plan.trials, &checkpoints, slots, keep).unwrap()
    }

    fn best(count: usize) -> Keep {
        Keep::Best(NonZeroUsize::new(count).unwrap())
    }

    #[test]
    fn running_trials_take_their_checkpoints_beside_what_complete_ones_keep() {
        let bytes = |forecast: Forecast| (forecast.lasting / MODEL, forecast.peak / MODEL);
        assert_eq!(bytes(forecast(10, 2, Keep::All)), (80, 8 * 8 + 2 * 48));
        assert_eq!(bytes(forecast(10, 2, best(3))), (24, 24 + 96));
        assert_eq!(bytes(forecast(10, 2, Keep::BestOfSweep)), (8, 8 + 96));
        assert_eq!(bytes(forecast(1, 4, Keep::All)), (8, 48), "no more run than there are");
        assert_eq!(bytes(forecast(0, 4, Keep::All)), (0, 0));
        assert_eq!(bytes(forecast(100, 1, best(200))), (800, 99 * 8 + 48), "no more stay than there are");
    }

    #[test]
    fn a_frozen_encoder_has_no_moments() {
        let sizes = Sizes::of(1, Freeze::Encoder);
        assert_eq!((sizes.complete, sizes.running), (8, 3 * 2 * 4));
    }

    #[test]
    fn a_checkpoint_without_facts_leaves_everything_open() {
        let plan = samples::plan(1);
        assert_eq!(Forecast::new(&plan.trials, &BTreeMap::new(), 1, Keep::All), None);
    }

    #[test]
    fn the_forecast_says_what_stays_what_is_needed_and_what_is_free() {
        let text = forecast(10, 2, Keep::All).describe(Some(63_210_000_000));
        let expected = "about 8.0 GB of parameters (best and last of each trial), up to 16.0 GB while it runs; \
                        63.2 GB free";
        assert_eq!(text, expected);
        let text = forecast(10, 2, best(3)).describe(None);
        assert!(
            text.ends_with("(best and last of the best 3 trials), up to 12.0 GB while it runs"),
            "{text}"
        );
    }

    #[test]
    fn where_all_is_done_nothing_is_needed() {
        assert_eq!(forecast(0, 2, Keep::All).describe(Some(1)), "no trial is left to run");
    }

    #[test]
    fn too_little_space_is_warned_of_with_the_ways_out() {
        let all = forecast(10, 2, Keep::All);
        assert_eq!(all.warning(16_000_000_000, Path::new("results")), None);
        assert_eq!(
            all.warning(1_000_000, Path::new("results")).unwrap(),
            "this may take up to 16.0 GB of disk space, and 1 MB is free in results; free some, choose another \
             disk with --results, or set keep = \"best-of-sweep\" in [run], which needs up to 10.4 GB"
        );
        let text = forecast(10, 2, Keep::BestOfSweep).warning(0, Path::new("r")).unwrap();
        assert!(
            text.ends_with("and 0 kB are free in r; free some, choose another disk with --results"),
            "{text}"
        );
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!([0, 1_200, 1_200_000, 1_840_000_000].map(size), ["0 kB", "1 kB", "2 MB", "1.8 GB"]);
    }
}
