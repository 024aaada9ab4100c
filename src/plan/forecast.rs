//! The disk space that the parameters of a sweep will take, estimated before it runs.

use std::{collections::BTreeMap, num::NonZeroUsize, path::Path};

use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    display::plain,
    numbers::count_u64,
    policy::Keep,
    settings::Freeze,
    trial::Trial,
};

/// Bytes of a parameter.
const F32: u64 = 4;
/// Bytes that a complete trial keeps for each parameter: in `best` and in `last`.
const COMPLETE: u64 = 2 * F32;
/// Checkpoints of a running trial: the newest, the one before it, and the next one while it is written.
const CHECKPOINTS: u64 = 3;
/// Sets of parameters in a checkpoint: the current parameters and the best.
const SETS: u64 = 2;
/// Moments of AdamW for each parameter that is trained: the mean of its gradients and of their squares.
const MOMENTS: u64 = 2;

/// Disk space that trials will take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskForecast {
    /// When all trials are complete.
    pub lasting: u64,
    /// The most while trials run.
    pub peak: u64,
    keep: Keep,
    /// The value of `peak` if only the best trial were kept.
    peak_of_best: u64,
}

/// Bytes that one trial takes.
struct TrialBytes {
    /// When it is complete.
    complete: u64,
    /// While it runs.
    running: u64,
}

impl DiskForecast {
    /// The forecast for `trials`, which are all still to be run, `slots` at a time; `None` unless the facts of
    /// every checkpoint are known.
    #[must_use]
    pub fn new<'a>(
        trials: impl IntoIterator<Item = &'a Trial>,
        checkpoints: &BTreeMap<Checkpoint, CheckpointFacts>,
        slots: usize,
        keep: Keep,
    ) -> Option<Self> {
        let sizes = trials.into_iter().map(|trial| {
            let facts = checkpoints.get(&trial.settings.checkpoint)?;
            Some(TrialBytes::of(facts.parameters, trial.settings.freeze))
        });
        let sizes: Vec<TrialBytes> = sizes.collect::<Option<_>>()?;
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
        Some(Self { lasting: total(&complete, kept), peak: peak(kept), keep, peak_of_best: peak(1) })
    }

    /// The forecast as text, with the bytes that are free if they are known.
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

    /// A warning if `free` bytes in `folder` are too few.
    #[must_use]
    pub fn warning(&self, free: u64, folder: &Path) -> Option<String> {
        if self.peak <= free {
            return None;
        }
        let fewer = match self.peak_of_best {
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

impl TrialBytes {
    /// The bytes of a trial of a model with `parameters` parameters. Frozen lower layers count as trained:
    /// the estimate is an upper bound for them.
    fn of(parameters: u64, freeze: Freeze) -> Self {
        let learning = if freeze == Freeze::Encoder { 0 } else { parameters };
        let checkpoint = F32 * (SETS * parameters + MOMENTS * learning);
        // `best/` takes no space of its own: it is a hard link to the newest checkpoint's parameters.
        Self { complete: COMPLETE * parameters, running: CHECKPOINTS * checkpoint }
    }
}

/// The number of complete trials that keep their parameters; equal results may keep more.
fn kept(keep: Keep) -> usize {
    match keep {
        Keep::All => usize::MAX,
        Keep::BestOfSweep => 1,
        Keep::Best(count) => NonZeroUsize::get(count),
    }
}

/// `bytes` with a unit: `12 MB`, `1.8 GB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let bytes = count_u64(bytes);
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
    fn forecast(trials: u32, slots: usize, keep: Keep) -> DiskForecast {
        let plan = samples::plan(trials);
        let facts = CheckpointFacts {
            window: 1,
            layers: 1,
            parameters: MODEL,
            unused: Vec::new(),
            notes: Vec::new(),
        };
        let checkpoints = [(Checkpoint::Mini, facts)].into();
        DiskForecast::new(&plan.trials, &checkpoints, slots, keep).unwrap()
    }

    fn best(count: usize) -> Keep {
        Keep::Best(NonZeroUsize::new(count).unwrap())
    }

    #[test]
    fn running_trials_take_their_checkpoints_beside_the_parameters_of_complete_ones() {
        let bytes = |forecast: DiskForecast| (forecast.lasting / MODEL, forecast.peak / MODEL);
        assert_eq!(bytes(forecast(10, 2, Keep::All)), (80, 8 * 8 + 2 * 48));
        assert_eq!(bytes(forecast(10, 2, best(3))), (24, 24 + 96));
        assert_eq!(bytes(forecast(10, 2, Keep::BestOfSweep)), (8, 8 + 96));
        assert_eq!(bytes(forecast(1, 4, Keep::All)), (8, 48), "no more run than there are");
        assert_eq!(bytes(forecast(0, 4, Keep::All)), (0, 0));
        assert_eq!(bytes(forecast(100, 1, best(200))), (800, 99 * 8 + 48), "no more stay than there are");
    }

    #[test]
    fn a_frozen_encoder_has_no_moments() {
        let sizes = TrialBytes::of(1, Freeze::Encoder);
        assert_eq!((sizes.complete, sizes.running), (8, 3 * 2 * 4));
    }

    #[test]
    fn without_the_facts_of_a_checkpoint_there_is_no_forecast() {
        let plan = samples::plan(1);
        assert_eq!(DiskForecast::new(&plan.trials, &BTreeMap::new(), 1, Keep::All), None);
    }

    #[test]
    fn the_text_has_the_lasting_bytes_the_peak_and_the_free_bytes() {
        let text = forecast(10, 2, Keep::All).describe(Some(63_210_000_000));
        let expected = "about 8.0 GB of parameters (best and last of each trial), up to 16.0 GB while it runs; \
                        63.2 GB free";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_text_names_the_number_of_trials_that_are_kept() {
        let text = forecast(10, 2, best(3)).describe(None);
        assert!(
            text.ends_with("(best and last of the best 3 trials), up to 12.0 GB while it runs"),
            "{text}"
        );
    }

    #[test]
    fn without_a_trial_to_run_no_space_is_needed() {
        assert_eq!(forecast(0, 2, Keep::All).describe(Some(1)), "no trial is left to run");
    }

    #[test]
    fn enough_space_causes_no_warning() {
        let all = forecast(10, 2, Keep::All);
        assert_eq!(all.warning(16_000_000_000, Path::new("results")), None);
    }

    #[test]
    fn too_little_space_causes_a_warning_with_advice() {
        let all = forecast(10, 2, Keep::All);
        assert_eq!(
            all.warning(1_000_000, Path::new("results")).unwrap(),
            "this may take up to 16.0 GB of disk space, and 1 MB is free in results; free some, choose another \
             disk with --results, or set keep = \"best-of-sweep\" in [run], which needs up to 10.4 GB"
        );
    }

    #[test]
    fn a_sweep_that_keeps_only_the_best_trial_is_not_advised_to_keep_fewer() {
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
