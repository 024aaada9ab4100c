//! PyTorch's files, as `tests/fixtures/make_torch_files.py` made them, whole, cut and hostile.

use std::{fs, path::PathBuf};

use proptest::prelude::*;

use crate::{
    error_chain::chain,
    train::checkpoint::{Catalog, CheckpointError},
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(name)
}

fn message(bytes: &[u8]) -> String {
    let file = tempfile::Builder::new().suffix(".bin").tempfile().unwrap();
    fs::write(file.path(), bytes).unwrap();
    match Catalog::of_file(file.path()) {
        Ok(catalog) => format!("read: {:?}", catalog.load_all().map(|weights| weights.iter().count())),
        Err(error) => chain(&error),
    }
}

#[test]
fn the_containers_and_a_larger_dict_hold_the_same_tensors() {
    for name in ["zip.bin", "legacy.bin", "nested.bin"] {
        let weights = Catalog::of_file(&fixture(name)).unwrap().load_all().unwrap();
        let expected: [(&str, &[usize], &[f32]); 8] = [
            ("bf16", &[2], &[3.0, -0.25]),
            ("f16", &[2], &[0.5, 65504.0]),
            ("f32", &[2, 3], &[0.5, 1.5, 2.5, 3.5, 4.5, 5.5]),
            ("f64", &[1, 1], &[1e-3]),
            ("parameter", &[2], &[1.0, -1.0]),
            ("part", &[3], &[3.5, 4.5, 5.5]),
            ("scalar", &[], &[7.0]),
            ("turned", &[3, 2], &[0.5, 3.5, 1.5, 4.5, 2.5, 5.5]),
        ];
        let found: Vec<_> = weights
            .iter()
            .map(|(name, stored)| (name, stored.shape.as_slice(), stored.values.as_slice()))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_call_is_refused_by_name() {
    let error = Catalog::of_file(&fixture("call.bin")).unwrap_err();
    let CheckpointError::Pickle { source, .. } = error else { panic!("{error}") };
    assert_eq!(
        source.to_string(),
        "it asks to call posix.mkdir, which makes no tensor; nothing in it was executed"
    );
}

#[test]
fn a_refused_call_is_not_made() {
    Catalog::of_file(&fixture("call.bin")).unwrap_err();
    assert!(!PathBuf::from("made-by-a-pickle").exists());
}

#[test]
fn a_cut_file_is_an_error_wherever_it_is_cut() {
    for name in ["zip.bin", "legacy.bin"] {
        let bytes = fs::read(fixture(name)).unwrap();
        for length in (0..bytes.len()).step_by(7) {
            let message = message(&bytes[..length]);
            assert!(!message.starts_with("read: "), "{name} cut to {length} bytes: {message}");
        }
    }
}

#[test]
fn what_is_no_pytorch_file_says_so() {
    assert!(message(b"<!DOCTYPE html>").ends_with("it is neither a zip archive nor a row of pickles"));
    assert!(message(b"").ends_with("it is neither a zip archive nor a row of pickles"));
    assert!(message(b"\x80\x02K\x01.").ends_with("it does not begin as torch.save begins"));
}

#[test]
fn nesting_costs_no_stack() {
    let mut bytes = b"\x80\x02)".to_vec();
    bytes.resize(1 << 20, 0x85);
    bytes.push(b'.');
    assert!(message(&bytes).ends_with("it does not begin as torch.save begins"));
}

proptest! {
    #[test]
    fn damage_never_panics(
        name in prop::sample::select(vec!["zip.bin", "legacy.bin"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        message(&bytes);
    }
}
