//! `sweep verify`: whether every file of a sweep's results is the one that was written.

use std::fmt::Write as _;

use clap::Args;
use rayon::prelude::*;
use serde::Serialize;

use super::{
    args::{ListingFormat, SweepArgs},
    exit::{Exit, Stop},
    open::{OpenedSweep, open, replay},
    terminal::{print, print_json, table},
};
use crate::{
    data,
    display::{self, plain},
    export,
    fingerprint::{self, DataDigests},
    halving,
    integrity::{self, Checked, Damage, Depth, Fault, ResultFile},
    journal,
    plan::{Plan, size},
    results::{Results, SweepFolder},
    study::{Study, TrialRecord},
    system::device::Device,
    trial::{State, TrialId},
};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    sweep: SweepArgs,
    /// How it is written
    #[arg(long, value_enum, default_value_t = ListingFormat::Table)]
    format: ListingFormat,
}

/// The output with `--format json`.
#[derive(Serialize)]
struct Verified {
    sweep: String,
    /// Complete trials: those whose files were checked.
    trials: usize,
    files: usize,
    bytes: u64,
    damaged: Vec<DamagedFile>,
    /// Trials of which the log has no digests, so that only the form of their files was checked.
    without_digests: Vec<TrialId>,
    /// What is no damage of the results, but worth knowing.
    notes: Vec<String>,
}

/// A file with a fault.
#[derive(Serialize)]
struct DamagedFile {
    /// Its trial, unless it is the exported model's.
    trial: Option<TrialId>,
    /// Its name in the trial's folder or in the sweep's.
    file: String,
    fault: String,
    remedy: &'static str,
}

pub(super) fn verify(args: &VerifyArgs, results: &Results) -> Result<Exit, Stop> {
    let OpenedSweep { folder, plan, study, .. } = open(results, args.sweep.sweep.as_deref())?;
    let complete = |record: &&TrialRecord| record.state == State::Complete;
    let records: Vec<&TrialRecord> = study.trials.iter().filter(complete).collect();
    let check = |record: &&TrialRecord| {
        integrity::check(&folder.trial(record.trial.id), record, &study.labels, Depth::Contents)
    };
    let checked: Vec<Checked> = records.par_iter().map(check).collect();
    let damage: Vec<&Damage> = checked.iter().flat_map(|checked| &checked.damage).collect();
    let damage = still_complete(&folder, &plan, damage)?;
    let mut verified = Verified {
        sweep: study.sweep.clone(),
        trials: records.len(),
        files: checked.iter().map(|checked| checked.files).sum(),
        bytes: checked.iter().map(|checked| checked.bytes).sum(),
        damaged: damage.into_iter().map(|damage| damaged_file(damage, &study)).collect(),
        without_digests: records
            .into_iter()
            .filter(|record| has_no_digests(record))
            .map(|record| record.trial.id)
            .collect(),
        notes: notes(&folder, &plan)?,
    };
    check_export(&folder, &mut verified);
    check_decisions(&study, &mut verified);
    match args.format {
        ListingFormat::Json => print_json(&verified)?,
        ListingFormat::Table => print(&describe(&verified))?,
    }
    Ok(if verified.damaged.is_empty() { Exit::Complete } else { Exit::Results })
}

fn has_no_digests(record: &TrialRecord) -> bool {
    record.outcome.as_ref().is_none_or(|outcome| outcome.files.is_none())
}

/// The damage of trials that are still complete with their files: a run beside this command may have begun a trial
/// again, or have removed parameters that it need not keep.
fn still_complete<'a>(
    folder: &SweepFolder,
    plan: &Plan,
    damage: Vec<&'a Damage>,
) -> Result<Vec<&'a Damage>, Stop> {
    if damage.is_empty() {
        return Ok(damage);
    }
    let now = replay(folder, plan)?.study;
    let is_so = |damage: &&Damage| {
        now.trial(damage.trial).is_some_and(|record| {
            let is_parameters = matches!(damage.file, ResultFile::Best | ResultFile::Last);
            record.state == State::Complete && !(is_parameters && record.parameters_removed)
        })
    };
    Ok(damage.into_iter().filter(is_so).collect())
}

fn damaged_file(damage: &Damage, study: &Study) -> DamagedFile {
    let can_be_rebuilt = || study.trial(damage.trial).and_then(integrity::rebuilt_metrics).is_some();
    let remedy = match (damage.file, &damage.fault) {
        (_, Fault::Unreadable(_)) => "make it readable",
        (ResultFile::Last, _) => "delete it: only `reuse` reads it",
        (ResultFile::Metrics, _) if can_be_rebuilt() => "`sweep run` writes it again",
        (ResultFile::Best | ResultFile::Metrics | ResultFile::Predictions | ResultFile::Validation, _) => {
            "`sweep run` trains the trial again"
        }
    };
    let file = damage.file.name().to_owned();
    DamagedFile { trial: Some(damage.trial), file, fault: damage.fault.to_string(), remedy }
}

/// Checks that what was decided about trials follows from the figures in the log. On a GPU the last digits of these may
/// differ from those that were decided by.
fn check_decisions(study: &Study, verified: &mut Verified) {
    let is_gpu =
        |record: &TrialRecord| record.device.is_some_and(|device| matches!(device, Device::Gpu { .. }));
    if study.trials.iter().any(is_gpu) {
        return;
    }
    verified.damaged.extend(halving::contradiction(study).map(|fault| DamagedFile {
        trial: None,
        file: "events.jsonl".to_owned(),
        fault,
        remedy: "put a copy in its place, or `sweep run SPEC --fresh`",
    }));
}

/// Checks the exported model in its default place, if there is one.
fn check_export(folder: &SweepFolder, verified: &mut Verified) {
    let Some((place, digest)) = export::exported_parameters(&folder.best_model()) else { return };
    let Some(digest) = digest else {
        verified.notes.push("best-model is of an earlier version, and has no digest".to_owned());
        return;
    };
    verified.files += 1;
    verified.bytes += digest.bytes;
    let fault = integrity::fault(&place, &digest, Depth::Contents);
    verified.damaged.extend(fault.map(|fault| DamagedFile {
        trial: None,
        file: "best-model/model.safetensors".to_owned(),
        fault: fault.to_string(),
        remedy: "`sweep export-best` writes it again",
    }));
}

/// What is worth knowing of the log, the data and the checkpoints.
fn notes(folder: &SweepFolder, plan: &Plan) -> Result<Vec<String>, Stop> {
    let mut notes = Vec::new();
    let torn = journal::scan(&folder.log(), &mut |_| {})?.torn_bytes;
    if torn > 0 && folder.holder().is_none() {
        notes.push(format!("the last line of the log is torn ({torn} bytes); the next run drops it"));
    }
    if let Some(planned) = &plan.fingerprints.data {
        match data::load(&plan.data).map(|dataset| planned.changed(&DataDigests::of(&dataset), &plan.data)) {
            Ok(changed) if changed.is_empty() => {}
            Ok(changed) => notes.push(format!(
                "{} changed since the trials were planned; the results are those of the old data",
                changed.join(", ")
            )),
            Err(_) => {
                notes.push("the data cannot be read any more; the results are whole without".to_owned());
            }
        }
    }
    for (checkpoint, planned) in &plan.fingerprints.checkpoints {
        match fingerprint::checkpoints([checkpoint]).map(|now| now.get(checkpoint) == Some(planned)) {
            Ok(true) => {}
            Ok(false) => notes.push(format!(
                "the checkpoint {checkpoint} changed since the trials were planned; the results are those of the old one"
            )),
            Err(_) => notes.push(format!("the checkpoint {checkpoint} cannot be read any more")),
        }
    }
    Ok(notes)
}

/// The damaged files as a table, and what was checked.
fn describe(verified: &Verified) -> String {
    let Verified { sweep, trials, files, bytes, damaged, without_digests, notes } = verified;
    let mut text = String::new();
    if !damaged.is_empty() {
        let mut rows = vec![["trial", "file", "what is wrong", "what to do"].map(ToOwned::to_owned).to_vec()];
        rows.extend(damaged.iter().map(|damaged| {
            let trial = damaged.trial.map_or_else(String::new, |trial| trial.to_string());
            vec![trial, damaged.file.clone(), plain(&damaged.fault), damaged.remedy.to_owned()]
        }));
        text = table(&rows) + "\n";
    }
    let found = match damaged.len() {
        0 => "all whole".to_owned(),
        count => format!("{count} damaged"),
    };
    let trials =
        if *trials == 1 { "1 complete trial".to_owned() } else { format!("{trials} complete trials") };
    let _ = writeln!(text, "{}: {trials}, {files} files, {} read: {found}", plain(sweep), size(*bytes));
    if let [first, others @ ..] = without_digests.as_slice() {
        let which = if others.is_empty() {
            format!("trial {first}")
        } else {
            format!("{} trials, the first of them {first},", without_digests.len())
        };
        let _ =
            writeln!(text, "{which} ended under an earlier version: only the form of the files was checked");
    }
    for note in notes {
        let _ = writeln!(text, "note: {}", display::message(note));
    }
    text
}
