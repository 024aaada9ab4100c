//! The format of TensorBoard: a folder of event files for each trial, with what the HParams tab shows.
//!
//! The folder itself has the description of the table of settings. Trials that have not begun have no folder. Numbers of
//! scalars are in single precision, which is all that the format holds.

mod hparams;
mod protobuf;
mod record_file;
mod tags;

use self::{
    hparams::Table,
    protobuf::Message,
    tags::{BEST_F1, BEST_LOSS, TEST_ACCURACY, TEST_F1, TEST_LOSS},
};
use super::{
    runs::{Run, Runs},
    times::{Milliseconds, seconds},
};
use crate::{event::Evaluation, metrics::Scores, system::files::many::Files};

/// The event files of a sweep, by their paths.
pub(super) fn files(runs: &Runs<'_>) -> Files {
    let mut files = Files::new();
    let table = Table::new(runs);
    let mut file = EventFile::new(runs.begun);
    file.add(runs.begun, 0, &[table.experiment(runs)]);
    files.insert(file.name(), file.bytes);
    for run in &runs.trials {
        let Some(times) = run.times else { continue };
        let mut file = EventFile::new(times.begun);
        file.add(times.begun, 0, &[table.session_start(run, times.begun)]);
        scalars(&mut file, run);
        if let Some(ended) = times.ended {
            file.add(ended, 0, &[hparams::session_end(run, ended)]);
        }
        files.insert(format!("{}/{}", run.id(), file.name()), file.bytes);
    }
    files
}

/// Adds the figures of a trial.
fn scalars(file: &mut EventFile, run: &Run<'_>) {
    for evaluation in &run.record.evaluations {
        let validation = &evaluation.validation;
        let at = run.time_of(evaluation);
        file.scalars(
            (at, evaluation.step),
            &[
                ("loss/train", evaluation.train_loss),
                ("loss/validation", validation.loss),
                ("f1/validation", validation.f1),
                ("accuracy/validation", validation.accuracy),
                ("learning_rate", evaluation.learning_rate),
                ("epoch", evaluation.epoch),
            ],
        );
    }
    let Some(best) = run.best() else { return };
    let place = (run.time_of(best), best.step);
    file.scalars(place, &[(BEST_F1, best.validation.f1), (BEST_LOSS, best.validation.loss)]);
    if let (Some(test), Some(times)) = (run.test(), run.times) {
        measured(file, test, best, times.ended.unwrap_or(place.0));
    }
}

/// Adds the figures on the test set, at the step whose parameters were measured.
fn measured(file: &mut EventFile, test: &Scores, best: &Evaluation, at: Milliseconds) {
    file.scalars(
        (at, best.step),
        &[
            (TEST_F1, test.f1),
            ("test/f1_low", test.f1_low),
            ("test/f1_high", test.f1_high),
            (TEST_ACCURACY, test.accuracy),
            (TEST_LOSS, test.loss),
        ],
    );
}

/// An event file, as far as it is written.
struct EventFile {
    begun: Milliseconds,
    bytes: Vec<u8>,
}

impl EventFile {
    /// The file with its first event, which names the version of the format.
    fn new(begun: Milliseconds) -> Self {
        let mut file = Self { begun, bytes: Vec::new() };
        let version = Message::new().double(1, seconds(begun)).text(3, "brain.Event:2");
        record_file::append(&mut file.bytes, &version.bytes());
        file
    }

    /// The file's name. TensorBoard reads files of a folder in the order of their names, and takes for an event file what has
    /// `tfevents` in it.
    fn name(&self) -> String {
        format!("events.out.tfevents.{:010}.sweep", self.begun / 1_000)
    }

    /// Adds an event with these values of a summary.
    fn add(&mut self, at: Milliseconds, step: u64, values: &[Message]) {
        let summary = values.iter().fold(Message::new(), |summary, value| summary.message(1, value));
        let event = Message::new().double(1, seconds(at)).number(2, step).message(5, &summary);
        record_file::append(&mut self.bytes, &event.bytes());
    }

    /// Adds figures of a time and a step.
    fn scalars(&mut self, (at, step): (Milliseconds, u64), figures: &[(&str, f64)]) {
        let value = |(tag, figure): &(&str, f64)| Message::new().text(1, tag).float(2, *figure);
        self.add(at, step, &figures.iter().map(value).collect::<Vec<_>>());
    }
}

#[cfg(test)]
mod tests;
