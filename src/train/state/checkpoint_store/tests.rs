//! Checkpoints that are whole, damaged, half-written, or of another training.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use super::*;
use crate::{
    event::Evaluation,
    settings::Settings,
    train::{checkpoint::Catalog, learning::early_stopping::EarlyStopping},
};

fn weights(value: f32) -> Weights {
    let mut weights = Weights::default();
    weights.insert("a", vec![2, 3], vec![value; 6]);
    weights.insert("b", vec![1], vec![-value]);
    weights
}

fn identity(seed: u64) -> TrainingIdentity {
    TrainingIdentity { settings: Settings::default(), seed, classes: 2, corpus: "digest".to_owned() }
}

fn position(step: u64, evaluations: Vec<Evaluation>) -> Position {
    let stopping = EarlyStopping::new(&Settings::default()).standing();
    Position {
        step,
        epoch: step / 4,
        batch: step % 4,
        over: false,
        updates: i32::try_from(step).unwrap(),
        stopping,
        loss: (f64::NAN.to_bits(), 3),
        evaluations,
        seconds: 0.1,
        prefix: None,
        is_cut: false,
    }
}

fn evaluation(step: u64) -> Evaluation {
    let confusion = crate::metrics::Confusion::new(2);
    Evaluation {
        epoch: 1.0,
        step,
        train_loss: 0.1 + 0.2,
        learning_rate: 1e-300,
        validation: crate::metrics::Scores::new(confusion, 1.0 / 3.0, crate::metrics::Target::Class(1)),
        best: true,
        seconds: 0.1,
    }
}

fn moments(value: f32) -> Moments<'static> {
    let pair = [vec![value, f32::MIN_POSITIVE / 4.0].into(), vec![0.0, -0.0].into()];
    [("encoder.a.weight".into(), pair)].into()
}

/// Writes the checkpoint after `step` steps: the first one is the best.
fn write(store: &CheckpointStore, step: u64, best: BestParameters<'_>) -> Option<String> {
    let evaluations = if matches!(best, BestParameters::None) { vec![] } else { vec![evaluation(step)] };
    #[expect(clippy::cast_precision_loss, reason = "a few steps")]
    let value = step as f32;
    let draft = CheckpointDraft {
        identity: &identity(1),
        position: &position(step, evaluations),
        moments: &moments(value),
        model: &weights(value),
        best,
    };
    store.write(&draft).unwrap().best
}

/// A store with the checkpoints of steps 1 (the best), 2 and 3.
fn store() -> (tempfile::TempDir, CheckpointStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::new(&Place::named(folder.path()));
    let best = write(&store, 1, BestParameters::Current).unwrap();
    write(&store, 2, BestParameters::Earlier(&best));
    write(&store, 3, BestParameters::Earlier(&best));
    (folder, store)
}

fn step(found: &FoundCheckpoint) -> Option<u64> {
    found.saved.as_ref().map(|saved| saved.position.step)
}

#[test]
fn a_checkpoint_reads_back_to_the_bit() {
    let (folder, store) = store();
    let found = store.read(&identity(1), &|_, _| None).unwrap();
    assert!(found.damaged.is_empty());
    let saved = found.saved.unwrap();
    assert_eq!(saved.position, position(3, vec![evaluation(3)]));
    assert_eq!((&saved.model.0, &saved.best.unwrap().0), (&weights(3.0), &weights(1.0)));
    let bits = |moments: &Moments<'_>| -> Vec<u32> {
        moments.values().flatten().flat_map(|values| values.iter().map(|value| value.to_bits())).collect()
    };
    assert_eq!(bits(&saved.moments), bits(&moments(3.0)));
    let published = Catalog::of_file(&folder.path().join("best/model.safetensors")).unwrap();
    assert_eq!(published.load_all().unwrap(), weights(1.0));
}

#[test]
fn before_the_first_evaluation_there_are_no_best_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::new(&Place::named(folder.path()));
    assert_eq!(write(&store, 1, BestParameters::None), None);
    assert_eq!(store.read(&identity(1), &|_, _| None).unwrap().saved.unwrap().best, None);
    assert!(!folder.path().join("best").exists());
}

/// Flips a bit of a file of `last/`, which gets another inode: other names may share the old one.
fn damage(folder: &Path, name: &str, at: u64) -> PathBuf {
    let path = folder.join("last").join(name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 0x20;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

/// Every byte of a file's lengths, and a spread over its other bytes.
fn places(name: &str) -> impl Iterator<Item = u64> {
    let length = fs::metadata(store().0.path().join("last").join(name)).unwrap().len();
    (0..16).chain((16..length).step_by(37)).chain([length - 1])
}

#[test]
fn one_byte_wrong_anywhere_falls_back_to_the_checkpoint_before() {
    for name in [WEIGHTS, STATE, BEST] {
        for at in places(name) {
            let (folder, store) = store();
            damage(folder.path(), name, at);
            assert_eq!(step(&store.read(&identity(1), &|_, _| None).unwrap()), Some(2), "{name} byte {at}");
            // The older checkpoint is the newest one from now on.
            assert_eq!(step(&store.read(&identity(1), &|_, _| None).unwrap()), Some(2));
        }
    }
}

#[test]
fn one_byte_wrong_anywhere_names_the_damaged_file() {
    for name in [WEIGHTS, STATE, BEST] {
        for at in places(name) {
            let (folder, store) = store();
            let path = damage(folder.path(), name, at);
            let message = store.read(&identity(1), &|_, _| None).unwrap().damaged[0].to_string();
            assert!(message.contains(path.to_str().unwrap()), "{message}");
        }
    }
}

#[test]
fn a_file_that_is_cut_or_gone_falls_back_too() {
    for name in [WEIGHTS, STATE, BEST] {
        for cut in [0, 7, 100] {
            let (folder, store) = store();
            let path = folder.path().join("last").join(name);
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            if cut != 7 {
                fs::write(&path, &bytes[..cut]).unwrap();
            }
            assert_eq!(step(&store.read(&identity(1), &|_, _| None).unwrap()), Some(2), "{name} {cut}");
        }
    }
}

#[test]
fn with_both_damaged_there_is_no_checkpoint_and_both_are_named() {
    let (folder, store) = store();
    for name in ["last", "last.before"] {
        let file = File::options().write(true).open(folder.path().join(name).join(STATE)).unwrap();
        file.write_all_at(b"?", 40).unwrap();
    }
    let found = store.read(&identity(1), &|_, _| None).unwrap();
    assert_eq!((step(&found), found.damaged.len()), (None, 2));
}

#[test]
fn the_older_checkpoint_is_read_after_a_crash_between_two_renames() {
    let (folder, store) = store();
    fs::rename(folder.path().join("last"), folder.path().join("last.new")).unwrap();
    assert_eq!(step(&store.read(&identity(1), &|_, _| None).unwrap()), Some(2));
}

#[test]
fn the_remains_of_a_crash_between_two_renames_do_not_hinder_the_next_checkpoint() {
    let (folder, store) = store();
    fs::rename(folder.path().join("last"), folder.path().join("last.new")).unwrap();
    write(&store, 4, BestParameters::None);
    assert_eq!(step(&store.read(&identity(1), &|_, _| None).unwrap()), Some(4));
}

#[test]
fn a_checkpoint_of_another_training_is_not_used_and_not_damaged() {
    let (_folder, store) = store();
    let found = store.read(&identity(2), &|_, _| None).unwrap();
    assert!(found.saved.is_none() && found.damaged.is_empty());
}

#[test]
fn a_checkpoint_of_another_version_is_not_used_and_not_damaged() {
    let (folder, store) = store();
    let path = folder.path().join("last").join(STATE);
    let header = StateHeader {
        version: STATE_VERSION + 1,
        identity: identity(1),
        position: position(1, vec![]),
        model: String::new(),
        best: None,
    };
    write_state(&mut File::create(&path).unwrap(), &header, &moments(1.0)).unwrap();
    let found = store.read(&identity(1), &|_, _| None).unwrap();
    assert_eq!((step(&found), found.damaged.len()), (Some(2), 0));
}

#[test]
fn a_training_starts_only_from_the_final_checkpoint_of_one_that_begins_it() {
    let (_folder, store) = store();
    let end = |change: &dyn Fn(&mut TrainingIdentity)| {
        let mut longer = identity(1);
        change(&mut longer);
        store.read_final(&longer, &|_, _| None).unwrap().map(|saved| saved.position.step)
    };
    assert_eq!(end(&|longer| longer.settings.patience += 1), Some(3));
    assert_eq!(end(&|longer| longer.settings.patience -= 1), None);
    assert_eq!(end(&|longer| longer.settings.epochs += 1), None, "the schedule falls to another end");
    assert_eq!(end(&|longer| longer.settings.dropout += 0.1), None);
    assert_eq!(end(&|longer| longer.seed += 1), None);
    assert_eq!(end(&|longer| longer.classes += 1), None);
    assert_eq!(end(&|longer| longer.corpus.push('!')), None);
}

#[test]
fn no_other_training_starts_from_steps_that_were_cut_for_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::new(&Place::named(folder.path()));
    let position = Position { is_cut: true, ..position(1, vec![]) };
    let (identity, model) = (identity(1), weights(1.0));
    let (moments, best) = (moments(1.0), BestParameters::None);
    let draft =
        CheckpointDraft { identity: &identity, position: &position, moments: &moments, model: &model, best };
    store.write(&draft).unwrap();
    assert!(store.read_final(&identity, &|_, _| None).unwrap().is_none());
    // The same training resumes from them.
    assert_eq!(store.read(&identity, &|_, _| None).unwrap().saved.unwrap().position, position);
}

/// The fault of a state file at `position` with these best parameters.
fn fault(position: Position, best: Option<String>) -> Option<StateFault> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(STATE);
    let header =
        StateHeader { version: STATE_VERSION, identity: identity(1), position, model: String::new(), best };
    write_state(&mut File::create(&path).unwrap(), &header, &moments(1.0)).unwrap();
    parse_state(&fs::read(path).unwrap()).err()
}

#[test]
fn a_checkpoint_with_a_best_evaluation_and_without_its_parameters_is_damaged() {
    assert!(matches!(fault(position(4, vec![evaluation(4)]), None), Some(StateFault::Best)));
}

#[test]
fn a_checkpoint_none_of_whose_evaluations_was_the_best_is_damaged() {
    let never = Evaluation { best: false, ..evaluation(4) };
    assert!(matches!(fault(position(4, vec![never]), None), Some(StateFault::Best)));
}

#[test]
fn a_checkpoint_before_the_first_evaluation_has_no_best_parameters() {
    assert!(fault(position(4, vec![]), None).is_none());
}

#[test]
fn a_checkpoint_whose_position_contradicts_its_training_is_passed_over() {
    let (_folder, store) = store();
    let found = store.read(&identity(1), &|_, position| (position.step == 3).then_some("the step")).unwrap();
    assert_eq!(step(&found), Some(2));
    assert!(found.damaged[0].to_string().ends_with("state.safetensors is damaged"), "{:?}", found.damaged);
}
