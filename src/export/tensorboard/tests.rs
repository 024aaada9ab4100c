//! Event files, read back record by record.

use super::*;
use crate::{
    event::{Event, Record},
    export::times::Times,
    samples::{failed, record, started, study},
    settings::Value,
    study::Study,
    system::clock,
    trial::{FailureKind, TrialId},
};

/// A field of a message, as it is read back.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Number(u64),
    Double(f64),
    Float(f32),
    Bytes(Vec<u8>),
}

/// The fields of a message with their numbers, in their order.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(count);
        *bytes = rest;
        taken
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Double(f64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                Field::Bytes(take(&mut bytes, length).to_vec())
            }
            5 => Field::Float(f32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap())),
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, field));
    }
    found
}

fn all(message: &[u8], number: u64) -> Vec<Field> {
    fields(message).into_iter().filter(|(found, _)| *found == number).map(|(_, field)| field).collect()
}

fn inner(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    let bytes = |field| match field {
        Field::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    };
    all(message, number).into_iter().map(bytes).collect()
}

fn text(message: &[u8], number: u64) -> String {
    String::from_utf8(inner(message, number).concat()).unwrap()
}

/// The masked checksum of TensorFlow's records, a bit at a time.
fn masked_checksum(bytes: &[u8]) -> u32 {
    let mut value = u32::MAX;
    for byte in bytes {
        value ^= u32::from(*byte);
        for _ in 0..8 {
            value = if value & 1 == 1 { value >> 1 ^ 0x82F6_3B78 } else { value >> 1 };
        }
    }
    (!value).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// The events of a file, whose checksums are checked.
fn events(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    while !file.is_empty() {
        let (length, rest) = file.split_at(8);
        let count = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
        let (of_length, rest) = rest.split_at(4);
        let (event, rest) = rest.split_at(count);
        let (of_event, rest) = rest.split_at(4);
        assert_eq!(of_length, masked_checksum(length).to_le_bytes());
        assert_eq!(of_event, masked_checksum(event).to_le_bytes());
        events.push(event.to_vec());
        file = rest;
    }
    events
}

/// A scalar: its tag, wall time, step and value.
type Scalar = (String, f64, u64, f32);

fn scalars(file: &[u8]) -> Vec<Scalar> {
    let mut found = Vec::new();
    for event in events(file) {
        let [Field::Double(at)] = all(&event, 1)[..] else { panic!() };
        let step = match all(&event, 2)[..] {
            [Field::Number(step)] => step,
            _ => 0,
        };
        let summaries = inner(&event, 5);
        for value in summaries.iter().flat_map(|summary| inner(summary, 1)) {
            if let [Field::Float(figure)] = all(&value, 2)[..] {
                found.push((text(&value, 1), at, step, figure));
            }
        }
    }
    found
}

/// What the HParams tab reads under this tag: the field of `HParamsPluginData` with this number.
fn hparams_data(file: &[u8], tag: &str, number: u64) -> Vec<u8> {
    let values = events(file).into_iter().flat_map(|event| inner(&event, 5)).flat_map(|it| inner(&it, 1));
    let value = values.into_iter().find(|value| text(value, 1) == tag).unwrap();
    let plugin = inner(&inner(&value, 9).concat(), 1).concat();
    assert_eq!(text(&plugin, 1), "hparams");
    inner(&inner(&plugin, 2).concat(), number).concat()
}

/// The files of a sweep whose trials began one after another, a record a second.
fn exported(study: &Study) -> Files {
    let (mut times, mut second) = (Times::default(), 1_700_000_000);
    let mut add = |trial: TrialId, event: Event| {
        second += 1;
        let at = clock::milliseconds(std::time::UNIX_EPOCH + std::time::Duration::from_secs(second));
        times.add(&Record { v: 1, seq: second, at, trial: Some(trial), event });
    };
    for record in study.trials.iter().filter(|record| record.attempts > 0) {
        let id = record.trial.id;
        let device = record.device.unwrap();
        add(id, started(1, device));
        record.evaluations.iter().for_each(|each| add(id, Event::Evaluated(each.clone())));
        if let Some(outcome) = &record.outcome {
            add(id, Event::Finished(outcome.clone()));
        } else if let Some(failure) = &record.failure {
            add(id, Event::Failed { failure: failure.clone(), retry: false });
        }
    }
    files(&Runs::new(study, &times))
}

/// Trials of two settings, the second with the later and worse losses; the third failed, the fourth has not begun.
fn sweep() -> Study {
    let mut waiting = record(4, &[]);
    waiting.attempts = 0;
    let mut trials = vec![
        record(1, &[0.6, 0.5]),
        record(2, &[0.7, 0.4, 0.6]),
        failed(record(3, &[0.6]), FailureKind::Panic),
        waiting,
    ];
    for (at, trial) in trials.iter_mut().enumerate() {
        trial.trial.settings.dropout = [0.0, 0.1, 0.1, 0.2][at];
        trial.trial.settings.epochs = 3;
    }
    study(trials)
}

fn of_trial(files: &Files, id: &str) -> Vec<u8> {
    let found = files.iter().find(|(path, _)| path.starts_with(&format!("{id}/")));
    found.unwrap().1.clone()
}

fn experiment(files: &Files) -> Vec<u8> {
    let (_, file) = files.iter().find(|(path, _)| !path.contains('/')).unwrap();
    hparams_data(file, "_hparams_/experiment", 2)
}

#[test]
fn a_file_begins_with_the_version_of_its_format() {
    let first = events(&of_trial(&exported(&sweep()), "0001")).remove(0);
    assert_eq!(text(&first, 3), "brain.Event:2");
}

#[test]
fn each_trial_that_has_begun_has_a_folder_with_one_event_file() {
    let files = exported(&sweep());
    let paths: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "0001/events.out.tfevents.1700000001.sweep",
            "0002/events.out.tfevents.1700000005.sweep",
            "0003/events.out.tfevents.1700000010.sweep",
            "events.out.tfevents.1700000001.sweep",
        ]
    );
}

#[test]
fn scalars_have_the_step_and_the_time_of_their_evaluation() {
    let found = scalars(&of_trial(&exported(&sweep()), "0002"));
    let losses: Vec<(f64, u64, f32)> = found
        .into_iter()
        .filter(|(tag, ..)| tag == "loss/validation")
        .map(|(_, at, step, figure)| (at, step, figure))
        .collect();
    let begun = 1_700_000_005.0;
    assert_eq!(losses, [(begun + 1.0, 100, 0.7), (begun + 2.0, 200, 0.4), (begun + 3.0, 300, 0.6)]);
}

#[test]
fn the_figures_that_are_kept_stand_at_the_best_step() {
    let study = sweep();
    let found = scalars(&of_trial(&exported(&study), "0002"));
    let at =
        |name: &str| found.iter().find(|(tag, ..)| tag == name).map(|(_, _, step, figure)| (*step, *figure));
    let outcome = study.trials[1].outcome.as_ref().unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "as the format has it")]
    let expected = [outcome.validation.f1 as f32, outcome.test.f1 as f32];
    assert_eq!([at("best/val_f1"), at("test/f1")], expected.map(|figure| Some((200, figure))));
}

#[test]
fn a_trial_that_was_not_measured_has_no_test_figure() {
    let found = scalars(&of_trial(&exported(&sweep()), "0003"));
    assert!(found.iter().any(|(tag, ..)| tag == "best/val_f1"));
    assert!(!found.iter().any(|(tag, ..)| tag.starts_with("test/")), "{found:?}");
}

#[test]
fn the_table_has_the_settings_in_which_trials_differ_and_no_other() {
    let infos = inner(&experiment(&exported(&sweep())), 4);
    let names: Vec<String> = infos.iter().map(|info| text(info, 1)).collect();
    assert_eq!(names, ["dropout", "verdict"]);
    // `DataType`: FLOAT64 and STRING.
    let kinds: Vec<Field> = infos.iter().flat_map(|info| all(info, 4)).collect();
    assert_eq!(kinds, [Field::Number(3), Field::Number(1)]);
}

#[test]
fn the_table_has_validation_and_test_figures() {
    let metrics = inner(&experiment(&exported(&sweep())), 5);
    let tags: Vec<String> = metrics.iter().map(|metric| text(&inner(metric, 1).concat(), 2)).collect();
    assert_eq!(tags, ["best/val_f1", "best/val_loss", "test/f1", "test/accuracy", "test/loss"]);
}

#[test]
fn a_session_has_the_values_of_its_trial() {
    let start = hparams_data(&of_trial(&exported(&sweep()), "0002"), "_hparams_/session_start_info", 3);
    let entries = inner(&start, 1);
    let values: Vec<(String, Vec<(u64, Field)>)> =
        entries.iter().map(|entry| (text(entry, 1), fields(&inner(entry, 2).concat()))).collect();
    // Values of `google.protobuf.Value`: 2 is a number, and 3 a text.
    assert_eq!(values[0], ("dropout".to_owned(), vec![(2, Field::Double(0.1))]));
    assert_eq!(values[1], ("verdict".to_owned(), vec![(3, Field::Bytes(b"overfit".to_vec()))]));
}

#[test]
fn a_session_ends_as_its_trial_did() {
    let files = exported(&sweep());
    let status = |id| all(&hparams_data(&of_trial(&files, id), "_hparams_/session_end_info", 4), 1);
    // `Status`: SUCCESS and FAILURE.
    assert_eq!([status("0001"), status("0003")], [vec![Field::Number(1)], vec![Field::Number(2)]]);
}

#[test]
fn numbers_are_texts_where_another_trial_has_a_text() {
    let mut study = sweep();
    let key = crate::settings::key("freeze").unwrap();
    key.set(&mut study.trials[0].trial.settings, &Value::Text("encoder".to_owned())).unwrap();
    let files = exported(&study);
    let column = inner(&experiment(&files), 4).into_iter().find(|info| text(info, 1) == "freeze").unwrap();
    assert_eq!(all(&column, 4), [Field::Number(1)]);
    let start = hparams_data(&of_trial(&files, "0002"), "_hparams_/session_start_info", 3);
    let entry = inner(&start, 1).into_iter().find(|entry| text(entry, 1) == "freeze").unwrap();
    assert_eq!(text(&inner(&entry, 2).concat(), 3), "0");
}

#[test]
fn the_same_results_give_the_same_bytes() {
    assert_eq!(exported(&sweep()), exported(&sweep()));
}
