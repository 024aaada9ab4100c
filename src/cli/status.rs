//! `sweep status`: which trials run and wait, and how long they will take.

use std::{thread, time::Duration};

use clap::Args;
use serde::Serialize;

use super::{
    args::{ListingFormat, SweepArgs},
    exit::{Exit, Stop},
    open::{OpenedSweep, open},
    terminal::{print, print_again, print_json, table},
};
use crate::{
    display::{plain, shorten},
    executor::ClusterStatus,
    mailbox::Mailbox,
    progress::duration,
    results::{self, Holder, Results, SweepFolder},
    study::{Counts, TrialRecord},
    trial::{Params, State, TrialId},
};

/// Largest width of a trial's parameters, and of the reason why it failed, in terminal columns.
const TEXT_COLUMNS_MAX: usize = 200;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    sweep: SweepArgs,
    /// How it is written
    #[arg(long, value_enum, default_value_t = ListingFormat::Table)]
    format: ListingFormat,
    /// Shows it again every so many seconds, until every trial is over; 2 if none are named
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = seconds,
        conflicts_with = "format")]
    watch: Option<Duration>,
}

/// The shortest and the longest time between two looks, in seconds.
const WATCH: std::ops::RangeInclusive<f64> = 0.2..=3600.0;

/// A number of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    let seconds = seconds.filter(|seconds| WATCH.contains(seconds)).map(Duration::from_secs_f64);
    seconds.ok_or_else(|| format!("a number of seconds from {} to {}", WATCH.start(), WATCH.end()))
}

/// The output with `--format json`.
#[derive(Serialize)]
struct Status {
    sweep: String,
    /// The process that runs the sweep now.
    running_in: Option<Holder>,
    /// Seconds since that process, on another machine, gave a sign of life, if that is too long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_seconds: Option<f64>,
    counts: Counts,
    /// The workers and jobs of a cluster, as last seen by the run that looks after them.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<ClusterStatus>,
    /// Trials that are still to be planned to confirm the best; before the search is over, so many at most.
    confirmations_to_come: usize,
    /// Estimated seconds to the end, from the trials that are complete.
    seconds_left: Option<f64>,
    trials: Vec<TrialRow>,
}

/// A trial in the output with `--format json`.
#[derive(Serialize)]
struct TrialRow {
    trial: TrialId,
    state: State,
    params: Params,
    attempts: u32,
    device: Option<String>,
    epoch: Option<f64>,
    train_loss: Option<f64>,
    val_loss: Option<f64>,
    val_f1: Option<f64>,
    failure: Option<String>,
    /// The last lines of a failed trial's `worker.log`.
    log: Vec<String>,
}

pub(super) fn status(args: &StatusArgs, results: &Results) -> Result<Exit, Stop> {
    if let Some(every) = args.watch {
        return watch(every, results, args.sweep.sweep.as_deref());
    }
    let (status, _) = read(results, args.sweep.sweep.as_deref())?;
    match args.format {
        ListingFormat::Json => print_json(&status)?,
        ListingFormat::Table => print(&describe(&status))?,
    }
    Ok(Exit::Complete)
}

/// Shows the status again and again, in the place of the one before on a terminal, until every trial is over.
fn watch(every: Duration, results: &Results, name: Option<&str>) -> Result<Exit, Stop> {
    // The same sweep, even if another one is begun meanwhile.
    let name = results.find(name)?.name();
    loop {
        let (mut status, is_over) = read(results, Some(&name))?;
        // What moves comes first: a terminal may have no room for all.
        status.trials.sort_by_key(|row| place(row.state));
        print_again(&describe(&status))?;
        if is_over {
            return Ok(Exit::Complete);
        }
        thread::sleep(every);
    }
}

/// The place of a state in a status that is watched.
const fn place(state: State) -> u8 {
    match state {
        State::Running => 0,
        State::Paused => 1,
        State::Failed => 2,
        State::Complete => 3,
        State::Halted => 4,
        State::Waiting => 5,
    }
}

/// The status of a sweep, and whether every trial is over.
fn read(results: &Results, name: Option<&str>) -> Result<(Status, bool), Stop> {
    let mut opened = open(results, name)?;
    let running_in = opened.folder.holder();
    if running_in.is_none() {
        opened.study.settle();
    }
    let silent = running_in.as_ref().and_then(|holder| opened.folder.silence_of(holder));
    let status = Status {
        sweep: opened.study.sweep.clone(),
        running_in,
        silent_seconds: silent.map(|time| time.as_secs_f64()),
        counts: opened.study.counts(),
        cluster: cluster(&opened.folder),
        confirmations_to_come: opened.study.confirmations_to_come(),
        seconds_left: seconds_left(&opened),
        trials: opened.study.trials.iter().map(|record| row(&opened.folder, record)).collect(),
    };
    Ok((status, opened.study.is_over()))
}

/// The row of a trial.
fn row(folder: &SweepFolder, record: &TrialRecord) -> TrialRow {
    let is_failed = record.state == State::Failed;
    let log = is_failed.then(|| results::last_lines(&folder.trial(record.trial.id).worker_log()));
    let last = record.evaluations.last();
    TrialRow {
        trial: record.trial.id,
        state: record.state,
        params: record.trial.params.clone(),
        attempts: record.attempts,
        device: record.device.map(|device| device.to_string()),
        epoch: last.map(|last| last.epoch),
        train_loss: last.map(|last| last.train_loss),
        val_loss: last.map(|last| last.validation.loss),
        val_f1: last.map(|last| last.validation.f1),
        failure: record.failure.as_ref().map(|failure| failure.message.clone()),
        log: log.unwrap_or_default(),
    }
}

/// Estimated seconds until all trials have ended, on the devices of the latest run.
///
/// Each waiting trial counts with the mean time of the complete ones, each running trial with half of it. Those that may
/// come to confirm the best count as waiting.
/// `None` without a complete trial, or if no trial waits or runs.
fn seconds_left(opened: &OpenedSweep) -> Option<f64> {
    let seconds: Vec<f64> =
        opened.study.trials.iter().filter_map(|trial| Some(trial.outcome.as_ref()?.seconds)).collect();
    let slots = opened.slots?;
    let counts = opened.study.counts();
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let waiting = counts.waiting + opened.study.confirmations_to_come();
    let left = number(waiting) + 0.5 * number(counts.running + counts.paused);
    let mean = seconds.iter().sum::<f64>() / number(seconds.len());
    (left > 0.0 && !seconds.is_empty())
        .then(|| mean * left / number(slots.clamp(1, opened.study.trials.len())))
}

/// The status as a line and a table of the trials.
fn describe(status: &Status) -> String {
    let Counts { waiting, running, complete, failed, paused, halted } = status.counts;
    let runner = status
        .running_in
        .as_ref()
        .map_or_else(|| "not running".to_owned(), |holder| plain(&holder.to_string()));
    let silent = status.silent_seconds.map_or_else(String::new, |seconds| {
        format!(
            ", no sign of life for {}",
            duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
        )
    });
    let left = status.seconds_left.map_or_else(String::new, |seconds| {
        format!(", about {} left", duration(Duration::try_from_secs_f64(seconds).unwrap_or_default()))
    });
    let halted = if halted > 0 { format!(", {halted} halted") } else { String::new() };
    let paused = if paused > 0 { format!(", {paused} paused") } else { String::new() };
    let to_come = match status.confirmations_to_come {
        0 => String::new(),
        most => format!(", at most {most} to come that confirm the best"),
    };
    let head = format!(
        "{} ({runner}{silent}): {complete} complete{halted}, {failed} failed, {running} running{paused}, {waiting} \
         waiting{to_come}{left}\n\n",
        plain(&status.sweep)
    );
    let names = ["trial", "state", "device", "epoch", "train loss", "val loss", "val F1", "parameters"];
    let mut rows = vec![names.map(ToOwned::to_owned).to_vec()];
    rows.extend(status.trials.iter().map(cells));
    let jobs = status.cluster.as_ref().map_or_else(String::new, jobs);
    head + &table(&rows) + &jobs + &logs(&status.trials)
}

/// The workers and jobs of a cluster, if the sweep has any.
fn cluster(folder: &SweepFolder) -> Option<ClusterStatus> {
    let mailbox = Mailbox::new(folder, "status");
    mailbox.read(&mailbox.status()).ok()
}

/// The jobs of a cluster, below the table.
fn jobs(cluster: &ClusterStatus) -> String {
    let names = ["job", "state", "node", "reason", "name"];
    let mut rows = vec![names.map(ToOwned::to_owned).to_vec()];
    rows.extend(cluster.jobs.iter().map(|job| {
        let id = job.id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        vec![id, plain(&job.state), plain(&job.node), plain(&job.reason), plain(&job.name)]
    }));
    format!("\n{} as of {}\n\n{}", plain(&cluster.line()), plain(&cluster.at), table(&rows))
}

/// The last lines of the logs of failed trials, below the table.
fn logs(rows: &[TrialRow]) -> String {
    let failed = rows.iter().filter(|row| !row.log.is_empty());
    let block = |row: &TrialRow| format!("\ntrial {} said last:\n  {}\n", row.trial, row.log.join("\n  "));
    failed.map(block).collect()
}

/// The cells of a trial's row.
fn cells(row: &TrialRow) -> Vec<String> {
    let figure = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.4}"));
    let mut last = shorten(&plain(&row.params.to_string()), TEXT_COLUMNS_MAX);
    if let (State::Failed, Some(failure)) = (row.state, &row.failure) {
        last = format!("{last} ({})", shorten(&plain(failure), TEXT_COLUMNS_MAX));
    }
    vec![
        row.trial.to_string(),
        row.state.as_str().to_owned(),
        row.device.clone().unwrap_or_default(),
        row.epoch.map_or_else(String::new, |epoch| format!("{epoch:.2}")),
        figure(row.train_loss),
        figure(row.val_loss),
        figure(row.val_f1),
        last,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_between_two_looks_has_bounds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
