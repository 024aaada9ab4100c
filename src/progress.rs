//! What people see while a sweep runs: bars on a terminal, plain lines elsewhere.
//!
//! Everything goes to standard error, and nothing that happens there (a closed
//! terminal, a full disk behind a redirection) is allowed to disturb the sweep.

mod terminal;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::terminal::HiddenControls;
use crate::{
    display::{self, plain},
    event::{Evaluation, Event, Outcome, Prepared, Progress, Record},
    results::SweepFolder,
    study::{Study, TrialRecord},
    system::device::Device,
    trial::{Failure, State, TrialId, TrialRef},
};

/// Bar positions of one trial, so that the bar moves within trials too.
const TRIAL_TICKS: f64 = 1000.0;

/// Share of unknown tokens above which a tokenizer probably does not fit the texts.
pub(crate) const UNKNOWN_SHARE_MAX: f64 = 0.02;

/// The display of one run.
pub struct Display {
    bars: Option<Bars>,
    out: Box<dyn Write>,
}

impl Display {
    /// A display of `study` on standard error; bars if that is a terminal.
    #[must_use]
    pub fn new(study: &Study, is_terminal: bool) -> Self {
        Self { bars: is_terminal.then(|| Bars::new(study)), out: Box::new(io::stderr()) }
    }

    /// Shows what a record says.
    pub fn logged(&mut self, record: &Record, study: &Study) {
        match &mut self.bars {
            Some(bars) => bars.logged(record, study),
            None => {
                if let Some(line) = line(record, study) {
                    self.print(&line);
                }
            }
        }
    }

    /// Shows how far a trial is; on a terminal only.
    pub fn moved(&mut self, trial: TrialId, progress: &Progress) {
        if let Some(bars) = &mut self.bars {
            bars.moved(trial, progress);
        }
    }

    /// Tells what the user's wish to stop, uttered for the `times`-th time, leads to.
    pub fn stopping(&mut self, times: u32) {
        self.print(match times {
            1 => "stopping: running trials end at their next step (again: end the workers)",
            2 => "stopping: workers are told to end (again: kill them)",
            _ => "stopping: workers are killed",
        });
    }

    /// Prints a line that people should see.
    pub fn print(&mut self, text: &str) {
        let text = plain(text);
        match &self.bars {
            Some(bars) => _ = bars.all.println(text),
            None => _ = writeln!(self.out, "{text}"),
        }
    }

    /// Takes the bars away.
    pub fn close(&mut self) {
        if let Some(bars) = self.bars.take() {
            _ = bars.all.clear();
        }
    }
}

/// The bars of a terminal: one for the sweep, one line for each running trial.
struct Bars {
    all: MultiProgress,
    sweep: ProgressBar,
    trials: BTreeMap<TrialId, Running>,
    forecast: Forecast,
    /// Until the bars are gone.
    #[expect(dead_code, reason = "its end does the work")]
    controls: HiddenControls,
}

struct Running {
    bar: ProgressBar,
    share: f64,
    evaluation: Option<Evaluation>,
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("━╸─"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "few trials, each a positive share"
)]
fn ticks(trials: f64) -> u64 {
    (trials * TRIAL_TICKS) as u64
}

fn ended(study: &Study) -> usize {
    let counts = study.counts();
    counts.complete + counts.failed
}

impl Bars {
    fn new(study: &Study) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let forecast = Forecast::new(Instant::now(), study);
        let sweep = all.add(ProgressBar::new(ticks(forecast.total)));
        sweep.set_style(style("{prefix} {bar:30.cyan} {msg} · {elapsed} so far"));
        sweep.set_prefix(plain(&study.sweep));
        let (trials, controls) = (BTreeMap::new(), HiddenControls::begin());
        let mut bars = Self { all, sweep, trials, forecast, controls };
        bars.update(ended(study));
        bars.sweep.enable_steady_tick(Duration::from_secs(1));
        bars
    }

    fn update(&mut self, ended: usize) {
        self.forecast.ended = count(ended);
        let running: f64 = self.trials.values().map(|trial| trial.share).sum();
        self.sweep.set_position(ticks(self.forecast.ended + running));
        let left = self.forecast.left(Instant::now(), running);
        let left = left.map_or_else(String::new, |left| format!(" · about {} left", duration(left)));
        let plural = if self.forecast.total > 1.0 { "s" } else { "" };
        self.sweep.set_message(format!("{ended}/{} trial{plural}{left}", self.forecast.total));
    }

    fn logged(&mut self, record: &Record, study: &Study) {
        if let (Event::SweepEnded { .. }, Some(line)) = (&record.event, line(record, study)) {
            _ = self.all.println(plain(&line));
        }
        if let Some(id) = record.trial {
            match &record.event {
                Event::Started { .. } => self.open(id, study),
                Event::Evaluated(evaluation) => {
                    if let Some(trial) = self.trials.get_mut(&id) {
                        trial.evaluation = Some(evaluation.clone());
                    }
                }
                Event::Finished(_) | Event::Failed { .. } | Event::Interrupted => {
                    if let Some(trial) = self.trials.remove(&id) {
                        trial.bar.finish_and_clear();
                        self.all.remove(&trial.bar);
                    }
                    if let (Event::Failed { .. }, Some(line)) = (&record.event, line(record, study)) {
                        _ = self.all.println(plain(&line));
                    }
                }
                Event::Prepared(_) | Event::Resumed { .. } | Event::CheckpointDamaged { .. } => {
                    if let Some(line) = line(record, study) {
                        _ = self.all.println(plain(&line));
                    }
                }
                Event::TrialPlanned(_) => {
                    self.forecast.total = count(study.trials.len());
                    self.sweep.set_length(ticks(self.forecast.total));
                }
                Event::SweepStarted { .. } | Event::SweepEnded { .. } | Event::ParametersRemoved => {}
            }
        }
        if let Event::SweepStarted { .. } = record.event {
            // What was taken over before says nothing about how long trials take.
            self.forecast = Forecast::new(Instant::now(), study);
        }
        self.update(ended(study));
    }

    fn open(&mut self, id: TrialId, study: &Study) {
        let bar = self.all.add(ProgressBar::new(1));
        bar.set_style(style("  {prefix} {bar:12.green} {wide_msg}"));
        let record = study.trial(id);
        let device = record.and_then(|record| record.device).map_or_else(String::new, |d| d.to_string());
        let params = record.map_or_else(String::new, |record| record.trial.params.to_string());
        bar.set_prefix(plain(format!("{id} {device} {params}").trim_end()));
        bar.set_message("starts");
        self.trials.insert(id, Running { bar, share: 0.0, evaluation: None });
    }

    fn moved(&mut self, id: TrialId, progress: &Progress) {
        let Some(trial) = self.trials.get_mut(&id) else { return };
        trial.share = share(progress);
        trial.bar.set_length(progress.steps);
        trial.bar.set_position(progress.step);
        trial.bar.set_message(message(progress, trial.evaluation.as_ref()));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of trials")]
        let ended = self.forecast.ended as usize;
        self.update(ended);
    }
}

fn message(progress: &Progress, evaluation: Option<&Evaluation>) -> String {
    let Progress { epoch, epochs, step, steps, train_loss } = progress;
    let last = evaluation.map_or_else(String::new, |evaluation| {
        let scores = &evaluation.validation;
        format!(" · validation loss {:.3}, F1 {:.3}", scores.loss, scores.f1)
    });
    format!("epoch {epoch}/{epochs} · step {step}/{steps} · loss {train_loss:.3}{last}")
}

fn count(trials: usize) -> f64 {
    f64::from(u32::try_from(trials).unwrap_or(u32::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "steps are far below 2^53")]
fn share(progress: &Progress) -> f64 {
    if progress.steps == 0 { 0.0 } else { (progress.step as f64 / progress.steps as f64).min(1.0) }
}

/// How long a run will take, from how long it took so far.
struct Forecast {
    since: Instant,
    before: f64,
    total: f64,
    ended: f64,
}

impl Forecast {
    fn new(since: Instant, study: &Study) -> Self {
        let before = count(ended(study));
        Self { since, before, total: count(study.trials.len()), ended: before }
    }

    /// The time left, when `running` trials' worth of work is done on those that run. Trials that
    /// stop early make it shorter. Without any progress there is nothing to tell.
    fn left(&self, now: Instant, running: f64) -> Option<Duration> {
        let done = self.ended + running - self.before;
        let rest = self.total - self.ended - running;
        let elapsed = now.duration_since(self.since).as_secs_f64();
        let seconds = elapsed * rest / done;
        (done > 0.01).then(|| Duration::try_from_secs_f64(seconds.max(0.0)).ok()).flatten()
    }
}

/// A span of time as people say it: `45 s`, `2 min 10 s`, `1 h 5 min`.
#[must_use]
pub fn duration(span: Duration) -> String {
    let seconds = span.as_secs() + u64::from(span.subsec_millis() >= 500);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A warning of a tokenizer that does not know the texts; only from the first trial that has it.
fn unknown(id: TrialId, prepared: &Prepared, study: &Study) -> Option<String> {
    let warns = |prepared: &Prepared| prepared.unknown_share > UNKNOWN_SHARE_MAX;
    let before =
        study.trials.iter().any(|other| other.trial.id != id && other.prepared.as_ref().is_some_and(warns));
    (warns(prepared) && !before).then(|| {
        format!(
            "warning: {:.1} % of the training texts' tokens are unknown to the tokenizer (trial {id}); does it \
             fit the language and the case of the texts? (`lowercase` in [text] may help)",
            prepared.unknown_share * 100.0
        )
    })
}

/// A record as one line, if it is worth one.
fn line(record: &Record, study: &Study) -> Option<String> {
    let counts = study.counts();
    let total = study.trials.len();
    match (record.trial, &record.event) {
        (_, Event::SweepStarted { devices, .. }) => Some(begun(study, devices)),
        (_, Event::SweepEnded { interrupted: true }) => {
            let left = total - counts.complete - counts.failed;
            let (wait, them) = if left == 1 { ("waits", "it") } else { ("wait", "them") };
            let all = counted(total, "trial");
            Some(format!("interrupted: {left} of {all} {wait}; the same command goes on with {them}"))
        }
        (Some(id), Event::Started { attempt, device, micro_batch, alone }) => {
            let params = study.trial(id).map_or_else(String::new, |trial| trial.trial.params.to_string());
            let alone = if *alone { " alone" } else { "" };
            let small = micro_batch.map_or_else(String::new, |size| format!(" in micro-batches of {size}"));
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            let params = if params.is_empty() { params } else { format!(": {params}") };
            Some(format!("trial {id} starts{alone} on {device}{small}{again}{params}"))
        }
        (Some(id), Event::Resumed { from: Some(origin @ TrialRef { sweep: Some(_), .. }), .. }) => {
            Some(format!("trial {id} is that of {origin}, and taken over"))
        }
        (Some(id), Event::Resumed { step, epoch, from }) => {
            let begun = from.as_ref().map_or_else(String::new, |origin| format!(", begun by trial {origin}"));
            Some(format!("trial {id} goes on from step {step} (epoch {epoch:.1}){begun}"))
        }
        (Some(id), Event::CheckpointDamaged { message }) => Some(format!("warning: trial {id}: {message}")),
        (Some(id), Event::Evaluated(evaluation)) => Some(evaluated(id, evaluation)),
        (Some(id), Event::Finished(outcome)) => {
            Some(format!("{} ({}/{total})", finished(id, outcome), counts.complete + counts.failed))
        }
        (Some(id), Event::Failed { failure, retry }) => Some(failed(id, failure, *retry)),
        (Some(id), Event::Interrupted) => Some(format!("trial {id} stopped; it waits for the next run")),
        (Some(id), Event::Prepared(prepared)) => unknown(id, prepared, study),
        (Some(id), Event::TrialPlanned(trial)) => Some(format!("trial {id} is planned: {}", trial.params)),
        (_, Event::SweepEnded { interrupted: false } | Event::ParametersRemoved) | (None, _) => None,
    }
}

fn begun(study: &Study, devices: &[Device]) -> String {
    let complete = study.counts().complete;
    let done = if complete > 0 { format!(", {complete} of them complete") } else { String::new() };
    let devices: Vec<String> = devices.iter().map(ToString::to_string).collect();
    format!(
        "sweep {}: {}{done}, on {}",
        study.sweep,
        counted(study.trials.len(), "trial"),
        devices.join(", ")
    )
}

/// `1 trial`, `2 trials`
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn evaluated(id: TrialId, evaluation: &Evaluation) -> String {
    let Evaluation { epoch, train_loss, validation, best, .. } = evaluation;
    let best = if *best { ", the best so far" } else { "" };
    format!(
        "trial {id} epoch {epoch:.4}: train loss {train_loss:.4}, validation loss {:.4}, F1 {:.4}{best}",
        validation.loss, validation.f1
    )
    .replace(".0000:", ":")
}

fn finished(id: TrialId, outcome: &Outcome) -> String {
    let span = duration(Duration::try_from_secs_f64(outcome.seconds).unwrap_or_default());
    let early = if outcome.stopped_early { ", stopped early" } else { "" };
    format!("trial {id} is complete after {span}{early}: test F1 {:.4}", outcome.test.f1)
}

fn failed(id: TrialId, failure: &Failure, retry: bool) -> String {
    let then = if retry { "; it is tried again" } else { "" };
    format!("trial {id} failed: {}{then}", failure.message)
}

/// Writes what came of a run: counts, failures, the top of the leaderboard (as `leaderboard`
/// gives it), and where to look.
///
/// # Errors
/// When `out` cannot be written.
pub fn summary(
    out: &mut dyn Write,
    study: &Study,
    leaderboard: &str,
    folder: &SweepFolder,
) -> io::Result<()> {
    let counts = study.counts();
    let mut parts = vec![format!("{} of {} complete", counts.complete, counted(study.trials.len(), "trial"))];
    if counts.failed > 0 {
        parts.push(format!("{} failed", counts.failed));
    }
    if counts.waiting + counts.running > 0 {
        let waiting = counts.waiting + counts.running;
        parts.push(format!("{waiting} wait{}", if waiting == 1 { "s" } else { "" }));
    }
    writeln!(out, "{}: {}", plain(&study.sweep), parts.join(", "))?;
    let is_failed = |record: &&TrialRecord| record.state == State::Failed;
    for record in study.trials.iter().filter(is_failed) {
        let message = record.failure.as_ref().map_or("", |failure| &failure.message);
        let params = record.trial.params.to_string();
        let params = if params.is_empty() { params } else { format!(" ({params})") };
        writeln!(out, "  {}", plain(&format!("trial {}{params} failed: {message}", record.trial.id)))?;
    }
    if counts.failed > 0 {
        let (trials, them) = if counts.failed == 1 { ("trial stays", "it") } else { ("trials stay", "them") };
        writeln!(out, "  failed {trials} failed; to try {them} again: sweep run SPEC --retry-failed")?;
    }
    if !leaderboard.is_empty() {
        writeln!(out, "\n{}\n", leaderboard.trim_end())?;
    }
    let mut place = |what: &str, path: &Path| -> io::Result<()> {
        if path.exists() { writeln!(out, "{what:<9} {}", display::path(path)) } else { Ok(()) }
    };
    place("overview", &folder.overview())?;
    place("report", &folder.report())?;
    place("results", folder.path())
}

#[cfg(test)]
mod tests;
