//! What the page's script knows of the trials: their curves and figures, as JSON.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::thinned::thinned;
use crate::{
    event::Evaluation,
    leaderboard::{Leaderboard, LeaderboardRow, figures},
    study::Study,
    trial::TrialId,
};

/// Points of all curves at most, so that the page of 400 trials stays below 3 MB.
const POINTS_MAX: usize = 32_000;
/// Points of a curve at most.
const CURVE_POINTS_MAX: usize = 400;
/// Points of a curve that there is always room for.
const CURVE_POINTS_MIN: usize = 20;

/// What holds for all trials.
pub(super) fn meta(study: &Study, board: &Leaderboard) -> String {
    let meta = json!({ "f1": board.target.f1_name(), "trials": study.trials.len() });
    figures::json(&meta.to_string())
}

/// The JSON of each trial, by its number.
pub(super) fn trials(
    study: &Study,
    board: &Leaderboard,
    shades: &BTreeMap<TrialId, &'static str>,
) -> BTreeMap<u32, String> {
    let with_curve = study.trials.iter().filter(|record| !record.evaluations.is_empty()).count();
    let most = (POINTS_MAX / with_curve.max(1)).clamp(CURVE_POINTS_MIN, CURVE_POINTS_MAX);
    let trial = |row: &LeaderboardRow| {
        let evaluations = study.trial(row.trial).map_or(&[][..], |record| &record.evaluations);
        let class = shades.get(&row.trial).copied().unwrap_or("unranked");
        (row.trial.0, figures::json(&of(row, evaluations, class, most).to_string()))
    };
    board.rows.iter().map(trial).collect()
}

/// The JSON of a trial, with at most about `most` points of its curve.
fn of(row: &LeaderboardRow, evaluations: &[Evaluation], class: &str, most: usize) -> Json {
    let point = |each: &Evaluation| {
        json!([
            short(each.epoch),
            short(each.validation.loss),
            short(each.validation.f1),
            short(each.train_loss)
        ])
    };
    let params =
        row.params.0.iter().map(|(name, value)| (figures::plain(name), Json::from(figures::value(value))));
    let params: serde_json::Map<String, Json> = params.collect();
    let best = row.best_epoch.map(short);
    json!({
        "name": row.trial.to_string(),
        "class": class,
        "params": params,
        "best": best,
        "curve": thinned(evaluations, most).map(point).collect::<Vec<Json>>(),
    })
}

/// A figure with four digits; nothing unless it is finite.
fn short(figure: f64) -> Json {
    format!("{figure:.3e}")
        .parse::<f64>()
        .ok()
        .filter(|figure| figure.is_finite())
        .map_or(Json::Null, Json::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        leaderboard::{RankBy, build},
        report::page::shade,
        samples::{record, study},
    };

    #[test]
    fn a_trial_has_its_curve_with_null_where_a_figure_is_not_finite() {
        let mut study = study(vec![record(1, &[0.5, 0.4])]);
        study.trials[0].evaluations[1].validation.loss = f64::NAN;
        let board = build(&study, RankBy::TestF1, &|_| None);
        let json: Json = serde_json::from_str(&trials(&study, &board, &shade::classes(&board))[&1]).unwrap();
        assert_eq!(json["curve"][0][1], 0.5);
        assert_eq!(json["curve"][1][1], Json::Null);
        assert_eq!(json["params"]["dropout"], "0.1");
    }
}
