//! What came of the configurations that were run again with further seeds, and what a reader must know of it.
//!
//! They were chosen by validation, so that their test figures are no reason for their being here. The seed of the search
//! counts among the others, although the choice flatters it: a sweep with as many `repeats` has the same means.

use std::collections::BTreeMap;

use super::{
    board::{Leaderboard, LeaderboardRow, NOTE_TRIALS_MAX},
    configurations::{ConfigurationRow, classes},
    confirmed::Confirmed,
    figures,
    predictions::Prediction,
};
use crate::{
    metrics::Target,
    search::{self, Figures, Seen},
    trial::{State, TrialId},
};

/// The configurations of `rows` that were confirmed, in the order in which they were chosen.
pub(super) fn confirmed(
    rows: &[LeaderboardRow],
    target: Target,
    predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
) -> Vec<Confirmed> {
    let mut groups: BTreeMap<String, Vec<&LeaderboardRow>> = BTreeMap::new();
    if rows.iter().any(|row| row.confirms.is_some()) {
        for row in rows {
            groups.entry(row.params.to_string()).or_default().push(row);
        }
    }
    let of = (target, classes(rows));
    let found = groups.into_values().filter_map(|rows| one(&rows, of, predictions));
    let mut found: Vec<(Confirmed, Seen)> = found.collect();
    found.sort_by_key(|(own, _)| (own.why.place, own.why.trial));
    let seen: Vec<Seen> = found.iter().map(|(_, seen)| *seen).collect();
    let by = found.first().map(|(first, _)| first.why.by);
    let places = by.map_or_else(Vec::new, |by| search::places(&seen, by));
    let with_places = found.into_iter().zip(places);
    with_places.map(|((own, _), place)| Confirmed { place: place.map(|place| place + 1), ..own }).collect()
}

/// What came of a configuration, and its mean figures on validation; `None` if it was not confirmed.
fn one(
    rows: &[&LeaderboardRow],
    of: (Target, usize),
    predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
) -> Option<(Confirmed, Seen)> {
    // The latest reason, if it was chosen more than once.
    let latest = rows.iter().filter(|row| row.confirms.is_some()).max_by_key(|row| row.trial)?;
    let is_open = |row: &&&LeaderboardRow| {
        row.confirms.is_some() && matches!(row.state, State::Waiting | State::Running | State::Paused)
    };
    let ConfigurationRow { trials, seeds, test_f1, val_f1, val_loss, .. } =
        ConfigurationRow::new(rows, of, predictions, None);
    let figures = val_loss.zip(val_f1).map(|(loss, f1)| Seen::There(Figures { loss, f1 }));
    let open = rows.iter().filter(is_open).count();
    let why = latest.confirms.clone()?;
    Some((Confirmed { why, trials, seeds, open, test_f1, place: None }, figures.unwrap_or(Seen::Absent)))
}

impl Leaderboard {
    /// Says which configurations were confirmed, and what came of it: whole sentences.
    pub(super) fn confirmed_notes(&self) -> Vec<String> {
        let Some(first) = self.confirmed.first() else { return Vec::new() };
        let mut listed: Vec<String> =
            self.confirmed.iter().take(NOTE_TRIALS_MAX).map(Confirmed::describe).collect();
        if let Some(more @ 1..) = self.confirmed.len().checked_sub(NOTE_TRIALS_MAX) {
            listed.push(format!("and {more} more, which `sweep leaderboard --by configuration` shows"));
        }
        let by = first.why.by.describe();
        let of = self.confirmed.iter().map(|own| own.why.of).max().unwrap_or(1);
        let plural = if of == 1 { "" } else { "s" };
        let which = match self.confirmed.len() {
            1 => format!("The best of {of} configuration{plural} by {by} was"),
            // More have become complete since the first were chosen.
            count if count as u64 > u64::from(of) => {
                format!("{count} configurations, each among the best by {by} when it was chosen, were")
            }
            count => format!("The best {count} of {of} configuration{plural} by {by} were"),
        };
        let mut notes = vec![format!(
            "{which} run again with further seeds. Test F1 over all seeds: {}.",
            listed.join(", ")
        )];
        let open: usize = self.confirmed.iter().map(|own| own.open).sum();
        notes.extend(if open > 0 {
            Some(format!("{open} of these trials are not over."))
        } else {
            self.still_first()
        });
        notes
    }

    /// Says whether the configuration that was the best in the search is so over all seeds.
    fn still_first(&self) -> Option<String> {
        let [before, _, ..] = self.confirmed.as_slice() else { return None };
        let now = self.confirmed.iter().find(|own| own.place == Some(1))?;
        let by = before.why.by.describe();
        let (was, is) = (before.why.trial, now.why.trial);
        Some(match before.place {
            _ if was == is => {
                format!("By {by} over all seeds, that of trial {was} is still the first of them.")
            }
            Some(place) => format!(
                "By {by} over all seeds, that of trial {is} is the first of them; that of trial {was}, which was, is \
                 number {place}."
            ),
            None => format!("By {by} over all seeds, that of trial {is} is the first of them."),
        })
    }

    /// Takes over from `earlier` what it knows of the same seeds of confirmed configurations.
    pub(super) fn take_confirmed(&mut self, earlier: &Self) {
        for own in &mut self.confirmed {
            let is_same = |other: &&Confirmed| (&other.trials, other.seeds) == (&own.trials, own.seeds);
            if let Some(known) = earlier.confirmed.iter().find(is_same) {
                own.test_f1 = known.test_f1;
            }
        }
    }
}

impl Confirmed {
    /// `that of trial 0003 .912 ± .004 [.899, .925] (5 seeds)`.
    fn describe(&self) -> String {
        let whose = format!("that of trial {}", self.why.trial);
        let Some(f1) = self.test_f1 else { return format!("{whose} has none") };
        let sd = f1.sd.map_or_else(String::new, |sd| format!(" ± {}", figures::share(sd)));
        let (mean, interval) = (figures::share(f1.mean), figures::interval(f1.low, f1.high));
        let plural = if self.seeds == 1 { "" } else { "s" };
        format!("{whose} {mean}{sd} {interval} ({} seed{plural})", self.seeds)
    }
}

#[cfg(test)]
mod tests;
