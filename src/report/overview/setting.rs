//! The swept settings and their values.

use std::collections::BTreeMap;

use crate::{
    leaderboard::{Leaderboard, LeaderboardRow},
    plan::Scale,
    settings::Value,
    study::Study,
    trial::TrialId,
};

/// A setting and its value in each ranked trial.
pub(super) struct Setting {
    pub(super) name: String,
    /// Scale of the setting's range in the spec, if it has a range.
    pub(super) scale: Option<Scale>,
    pub(super) values: BTreeMap<TrialId, Value>,
}

/// The swept settings. Without any, the number of the trial takes their place.
pub(super) fn settings(study: &Study, board: &Leaderboard) -> Vec<Setting> {
    let ranked = || board.rows.iter().filter(|row| row.rank.is_some());
    if study.swept.is_empty() {
        let values = ranked().map(|row| (row.trial, Value::Int(i64::from(row.trial.0)))).collect();
        return vec![Setting { name: "trial".to_owned(), scale: Some(Scale::Linear), values }];
    }
    let value = |row: &LeaderboardRow, name: &String| {
        let found = row.params.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| (row.trial, value.clone()))
    };
    let setting = |name: &String| Setting {
        name: name.clone(),
        scale: study.scales.get(name).copied(),
        values: ranked().filter_map(|row| value(row, name)).collect(),
    };
    study.swept.iter().map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        leaderboard::{RankBy, build},
        samples::{record, study},
    };

    #[test]
    fn a_sweep_without_a_swept_setting_shows_its_trials() {
        let mut study = study(vec![record(1, &[0.5]), record(2, &[0.4])]);
        study.swept.clear();
        let settings = settings(&study, &build(&study, RankBy::TestF1, &|_| None));
        assert_eq!(settings.len(), 1);
        assert_eq!((settings[0].name.as_str(), settings[0].values.len()), ("trial", 2));
    }
}
