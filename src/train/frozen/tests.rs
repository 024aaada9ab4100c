//! What a frozen part makes is the same kept or not, and whatever stands beside it.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use std::path::Path;

use burn::backend::{Autodiff, Flex, flex::FlexDevice};

use super::*;
use crate::{
    checkpoint::Checkpoint,
    data::{DataSpec, Duplicates, Limit, Shares, Source},
    job::{Attempt, Job},
    settings::{MatmulPrecision, Pooling, Settings},
    train::{
        Control, Ending, Engine, checkpoint::Catalog, config::EncoderConfig, exclusive::exclusive,
        model::Form, recipe::Trainer, weights::Pretrained,
    },
    trial::{Params, Trial, TrialId},
};

fn model(fixture: &str, form: Form) -> Classifier<Flex> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
    let config = EncoderConfig::read(&folder).unwrap();
    let weights = Catalog::of_file(&folder.join("model.safetensors")).unwrap().load_all().unwrap();
    let family = config.family();
    let source = Pretrained { weights: &weights, family, seed: 0, anew: Vec::new(), complete: false };
    Classifier::build(&config, form, 3, &source, &FlexDevice).unwrap()
}

#[test]
fn a_chunks_rows_are_the_same_to_the_bit_alone_and_among_others() {
    let _alone = exclusive();
    for fixture in ["tiny-bert", "tiny-roberta", "tiny-distilbert"] {
        let bf16 = Form { pooling: Pooling::Cls, precision: MatmulPrecision::Bf16 };
        for form in [Pooling::Cls.into(), Pooling::Mean.into(), bf16] {
            let model = model(fixture, form);
            let chunks: Vec<Vec<u32>> =
                [9_u32, 2, 1, 12, 7].map(|length| (0..length).map(|place| 2 + place).collect()).to_vec();
            for part in [Part::Lower(1), Part::Whole] {
                let all: Vec<&[u32]> = chunks.iter().cycle().take(200).map(Vec::as_slice).collect();
                let together = model::values(part.run(&model, &all, &FlexDevice));
                let alone: Vec<f32> = all
                    .iter()
                    .flat_map(|chunk| model::values(part.run(&model, &[chunk], &FlexDevice)))
                    .collect();
                assert_eq!(together, alone, "{fixture} {form:?} {part:?}");
            }
        }
    }
}

#[test]
fn as_many_frozen_layers_as_there_are_is_the_whole_encoder() {
    assert_eq!(Part::of(Freeze::Layers(0), 2), Part::Nothing);
    assert_eq!(Part::of(Freeze::Layers(1), 2), Part::Lower(1));
    assert_eq!(Part::of(Freeze::Layers(2), 2), Part::Whole);
    assert_eq!(Part::of(Freeze::Encoder, 2), Part::Whole);
}

/// What a trial leaves that keeps so many bytes in memory.
fn files(freeze: Freeze, form: Form, most: usize) -> [Vec<u8>; 3] {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        checkpoint: Checkpoint::Mini,
        freeze,
        pooling: form.pooling,
        matmul_precision: form.precision,
        epochs: 2,
        batch_size: 7,
        chunk_length: 24,
        chunk_stride: 4,
        ..Settings::default()
    };
    let data = DataSpec {
        source: Source::Reviews { split: Shares::default() },
        text: "text".to_owned(),
        label: "label".to_owned(),
        positive: None,
        average: None,
        duplicates: Duplicates::Keep,
        limit: Limit { train: Some(40), validation: Some(20), test: Some(20) },
        seed: 1,
    };
    let trial = Trial { id: TrialId(1), params: Params::default(), repeat: 0, seed: 3, settings };
    let job = Job {
        sweep: "s".to_owned(),
        trial,
        data,
        checkpoint_every: crate::policy::CheckpointEvery::default(),
        cache: None,
        data_digest: None,
        checkpoint_digest: None,
    };
    let mut trainer = Trainer::<Autodiff<Flex>>::with_memory(FlexDevice, most);
    let ending = trainer.run(&job, Attempt::default(), folder.path(), &mut |_| Control::Continue).unwrap();
    assert!(matches!(ending, Ending::Complete(_)));
    ["metrics.csv", "predictions.csv", "last/model.safetensors"]
        .map(|name| std::fs::read(folder.path().join(name)).unwrap())
}

#[test]
fn a_trial_leaves_the_same_bytes_whether_activations_are_kept_or_computed_in_every_step() {
    let _alone = exclusive();
    for freeze in [Freeze::Layers(1), Freeze::Encoder] {
        let bf16 = Form { pooling: Pooling::Mean, precision: MatmulPrecision::Bf16 };
        for form in [Pooling::Cls.into(), Pooling::Mean.into(), bf16] {
            let kept = files(freeze, form, MOST_BYTES);
            assert!(kept == files(freeze, form, 0), "{freeze:?} {form:?}");
        }
    }
}
