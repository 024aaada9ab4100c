//! `sweep explain`: from what a trial came, and from what it was decided whether it goes on.

use clap::Args;
use serde::Serialize;

use super::{
    args::ListingFormat,
    exit::{Exit, Stop},
    open::open,
    terminal::{print, print_json},
};
use crate::{
    display::plain,
    event::RungDecision,
    halving,
    leaderboard::{Evidence, verdict},
    progress::{at_rung, chosen},
    results::Results,
    search::Verdict,
    study::{Study, TrialRecord},
    trial::{ConfigurationSource, Confirmation, Origin, Params, State, TrialId},
};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Number of the trial
    trial: u32,
    /// Name of the sweep; the newest by default
    sweep: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = ListingFormat::Table)]
    format: ListingFormat,
}

/// The output with `--format json`.
#[derive(Serialize)]
struct Explanation<'a> {
    sweep: &'a str,
    trial: TrialId,
    params: &'a Params,
    repeat: u32,
    /// The fold that it validates on, from 1; null without folds.
    fold: Option<u32>,
    state: State,
    /// Where its configuration comes from; null where the spec lists or crosses values.
    origin: Option<&'a Origin>,
    /// Why its configuration was run again with its seed; null for trials of the search.
    confirms: Option<&'a Confirmation>,
    /// The trials that confirm its configuration.
    confirmed_by: Vec<TrialId>,
    /// The trials of its generation, in the order of the plan.
    generation: Vec<TrialId>,
    rungs: Vec<Rung<'a>>,
    /// The epoch after which it was halted, if the user let it go on all the same.
    continued_from: Option<usize>,
    /// Its place at the rung at which it went out, from 1, and how many were compared.
    place: Option<(usize, usize)>,
    /// How its training went; null as long as it is not over.
    verdict: Option<verdict::Verdict>,
    /// What the verdict rests on.
    evidence: Option<Evidence>,
}

/// What was decided at a rung.
#[derive(Serialize)]
struct Rung<'a> {
    goes_on: bool,
    #[serde(flatten)]
    decision: &'a RungDecision,
}

pub(super) fn explain(args: &ExplainArgs, results: &Results) -> Result<Exit, Stop> {
    let opened = open(results, args.sweep.as_deref())?;
    let study = &opened.study;
    let id = TrialId(args.trial);
    let Some(record) = study.trial(id) else {
        let total = study.trials.len();
        return Err(Stop::usage(format!("{} has no trial {id}; it has {total}", plain(&study.sweep))));
    };
    let explanation = explanation(study, record);
    match args.format {
        ListingFormat::Json => print_json(&explanation)?,
        ListingFormat::Table => print(&describe(&explanation))?,
    }
    Ok(Exit::Complete)
}

fn explanation<'a>(study: &'a Study, record: &'a TrialRecord) -> Explanation<'a> {
    let rung = |decided: &'a crate::study::Decided| Rung {
        goes_on: decided.verdict == Verdict::On,
        decision: &decided.decision,
    };
    // Whatever confirms a configuration has it from the search.
    let first = record.trial.confirms.as_ref().and_then(|why| study.trial(why.trial)).unwrap_or(record);
    Explanation {
        sweep: &study.sweep,
        trial: record.trial.id,
        params: &record.trial.params,
        repeat: record.trial.repeat,
        fold: record.trial.fold,
        state: record.state,
        origin: first.trial.origin.as_ref(),
        confirms: record.trial.confirms.as_ref(),
        confirmed_by: confirmed_by(study, record),
        generation: study.generation_of(record.trial.id),
        rungs: record.rungs.iter().map(rung).collect(),
        continued_from: record.continued_from,
        place: halving::place(study, record.trial.id),
        verdict: verdict::judge(record),
        evidence: Evidence::of(record),
    }
}

/// The trials that confirm the configuration of `record`, a trial of the search.
fn confirmed_by(study: &Study, record: &TrialRecord) -> Vec<TrialId> {
    let confirms = |other: &&TrialRecord| {
        record.trial.confirms.is_none()
            && other.trial.confirms.is_some()
            && other.trial.params == record.trial.params
    };
    study.trials.iter().filter(confirms).map(|other| other.trial.id).collect()
}

/// Whose seed it is if it confirms a configuration, and which fold it has, if any.
fn seed_and_fold(explanation: &Explanation<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(why) = explanation.confirms {
        let seed = explanation.repeat + 1;
        lines.push(format!("confirms    the configuration of trial {}, with seed {seed} of it", why.trial));
        lines.push(format!("            {}", chosen(why)));
    }
    if let Some(fold) = explanation.fold {
        lines.push(format!(
            "fold        {fold}: it validates on this part of the documents, and trains on the others"
        ));
    }
    lines
}

/// The explanation as lines.
fn describe(explanation: &Explanation<'_>) -> String {
    let Explanation { trial, params, state, origin, generation, rungs, continued_from, place, .. } =
        explanation;
    let mut lines = vec![format!("trial {trial} of {}, {}: {params}", explanation.sweep, state.as_str())];
    lines.push(format!("source      {}", source(*origin)));
    lines.extend(seed_and_fold(explanation));
    if let Some(origin) = origin.filter(|_| explanation.confirms.is_none()) {
        let members: Vec<String> = generation.iter().map(ToString::to_string).collect();
        lines.push(format!("generation  {}: trials {}", origin.generation + 1, members.join(", ")));
    }
    for Rung { goes_on, decision } in rungs {
        let verdict = if *goes_on { "goes on" } else { "halted" };
        let better: Vec<String> = decision.beaten_by.iter().map(ToString::to_string).collect();
        let better = if better.is_empty() {
            String::new()
        } else {
            format!(" (known to be better: {})", better.join(", "))
        };
        lines.push(format!("rung {}      {verdict} {}{better}", decision.rung + 1, at_rung(decision)));
    }
    if !explanation.confirmed_by.is_empty() {
        let by: Vec<String> = explanation.confirmed_by.iter().map(ToString::to_string).collect();
        lines.push(format!("confirmed   with further seeds by {}", by.join(", ")));
    }
    if let Some(epoch) = continued_from {
        lines.push(format!("continued   from epoch {epoch} to its end, as --continue-halted said"));
    }
    if let Some((place, of)) = place {
        lines.push(format!("place       {place} of {of}, with all that were compared at that rung"));
    }
    if let Some((verdict, evidence)) = explanation.verdict.zip(explanation.evidence.as_ref()) {
        lines.push(format!("verdict     {verdict}: {}", evidence.text));
    }
    lines.iter().map(|line| plain(line) + "\n").collect()
}

/// Where the values of a configuration come from.
fn source(origin: Option<&Origin>) -> String {
    match origin.map(|origin| &origin.source) {
        None => "the spec: its grids crossed, its ranges drawn for each cell".to_owned(),
        Some(ConfigurationSource::Grid) => "a cell of the spec's grids".to_owned(),
        Some(ConfigurationSource::Enqueued) => "[[search.enqueue]] of the spec".to_owned(),
        Some(ConfigurationSource::Random { draw }) => format!("draw {} at random", draw + 1),
        Some(ConfigurationSource::Sobol { draw }) => {
            format!("point {} of a scrambled Sobol sequence", draw + 1)
        }
        Some(ConfigurationSource::Tpe { draw, generations, good, others }) => {
            let basis = match generations {
                0 => "other sweeps".to_owned(),
                1 => "generation 1".to_owned(),
                last => format!("generations 1 to {last}"),
            };
            format!(
                "proposal {} of a tree-structured Parzen estimator, from the results of {basis}: {good} good \
                 configurations and {others} others",
                draw + 1
            )
        }
    }
}
