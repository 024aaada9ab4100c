//! Activations are the same whether they are kept or not, and whatever chunks stand beside a chunk.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use std::path::Path;

use burn::backend::{Autodiff, Flex, flex::FlexDevice};

use super::*;
use crate::{
    checkpoint::Checkpoint,
    data::{DataSpec, Duplicates, Limit, Shares, Source},
    job::Attempt,
    samples,
    settings::{MatmulPrecision, Pooling, Settings},
    train::{
        backend::Engine,
        checkpoint::catalog::Catalog,
        encoder::{config::EncoderConfig, model::classifier::ModelOptions, source::Pretrained},
        graph_lock::graph_lock,
        recipe::{activation_store::MEMORY_MAX, trainer::Trainer},
        tensors::values,
    },
};

fn model(fixture: &str, options: ModelOptions) -> Classifier<Flex> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
    let config = EncoderConfig::read(&folder).unwrap();
    let weights = Catalog::of_file(&folder.join("model.safetensors")).unwrap().load_all().unwrap();
    let family = config.family();
    let source =
        Pretrained { weights: &weights, family, seed: 0, reinitialised: Vec::new(), complete: false };
    Classifier::build(&config, options, 3, &source, &FlexDevice).unwrap()
}

#[test]
fn a_chunks_rows_are_the_same_to_the_bit_alone_and_among_others() {
    let _alone = graph_lock();
    for fixture in ["tiny-bert", "tiny-roberta", "tiny-distilbert"] {
        let bf16 = ModelOptions { pooling: Pooling::Cls, precision: MatmulPrecision::Bf16 };
        for options in [Pooling::Cls.into(), Pooling::Mean.into(), bf16] {
            let model = model(fixture, options);
            let chunks: Vec<Vec<u32>> =
                [9_u32, 2, 1, 12, 7].map(|length| (0..length).map(|place| 2 + place).collect()).to_vec();
            for part in [FrozenPart::Lower(1), FrozenPart::Whole] {
                let all: Vec<&[u32]> = chunks.iter().cycle().take(200).map(Vec::as_slice).collect();
                let together = values(part.run(&model, &all, &FlexDevice));
                let alone: Vec<f32> =
                    all.iter().flat_map(|chunk| values(part.run(&model, &[chunk], &FlexDevice))).collect();
                assert_eq!(together, alone, "{fixture} {options:?} {part:?}");
            }
        }
    }
}

#[test]
fn as_many_frozen_layers_as_there_are_is_the_whole_encoder() {
    assert_eq!(FrozenPart::of(Freeze::Layers(0), 2), FrozenPart::Nothing);
    assert_eq!(FrozenPart::of(Freeze::Layers(1), 2), FrozenPart::Lower(1));
    assert_eq!(FrozenPart::of(Freeze::Layers(2), 2), FrozenPart::Whole);
    assert_eq!(FrozenPart::of(Freeze::Encoder, 2), FrozenPart::Whole);
}

/// Returns the files of a trial by a worker that keeps at most `memory_max` bytes of activations in memory.
fn files(freeze: Freeze, options: ModelOptions, memory_max: usize) -> [Vec<u8>; 3] {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = samples::plan(1);
    plan.data = DataSpec {
        duplicates: Duplicates::Keep,
        limit: Limit { train: Some(40), validation: Some(20), test: Some(20) },
        ..samples::data_spec(Source::Reviews { split: Shares::default() })
    };
    plan.trials[0].seed = 3;
    plan.trials[0].settings = Settings {
        checkpoint: Checkpoint::Mini,
        freeze,
        pooling: options.pooling,
        matmul_precision: options.precision,
        epochs: 2,
        batch_size: 7,
        chunk_length: 24,
        chunk_stride: 4,
        ..Settings::default()
    };
    let job = plan.job(&plan.trials[0]);
    let mut trainer = Trainer::<Autodiff<Flex>>::with_memory(FlexDevice, memory_max);
    trainer
        .run(&job, Attempt::default(), &crate::system::files::Place::named(folder.path()), &mut |_| Ok(()))
        .unwrap();
    ["metrics.csv", "predictions.csv", "last/model.safetensors"]
        .map(|name| std::fs::read(folder.path().join(name)).unwrap())
}

#[test]
fn a_trial_leaves_the_same_bytes_whether_activations_are_kept_or_computed_in_every_step() {
    let _alone = graph_lock();
    for freeze in [Freeze::Layers(1), Freeze::Encoder] {
        let bf16 = ModelOptions { pooling: Pooling::Mean, precision: MatmulPrecision::Bf16 };
        for options in [Pooling::Cls.into(), Pooling::Mean.into(), bf16] {
            let kept = files(freeze, options, MEMORY_MAX);
            assert!(kept == files(freeze, options, 0), "{freeze:?} {options:?}");
        }
    }
}
