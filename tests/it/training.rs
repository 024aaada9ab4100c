//! A trial from its job to its files, on the built-in encoder.

use std::{fs, path::Path};

use crate::common::trial_bench::{Bench, checkpoint, files, settings};
use sweep::{
    leaderboard::read_predictions,
    metrics::{Confusion, Scores, Target},
    settings::{Aggregate, ClassWeights, Freeze, MatmulPrecision, Monitor, Pooling, Settings, TrainOn},
    train::{Catalog, Control, Ending, Report},
    trial::FailureKind,
};

#[test]
fn plain_texts_are_learnt() {
    let (outcome, _folder) = Bench::new().run(&settings());
    assert!(outcome.test.f1 > 0.95, "{outcome:?}");
    assert!(outcome.train_loss < 0.3);
}

#[test]
fn the_same_trial_leaves_the_same_bytes_whatever_ran_before() {
    let mut bench = Bench::new();
    let (_, first) = bench.run(&settings());
    bench.run(&Settings { dropout: 0.4, chunk_length: 12, ..settings() });
    let (_, again) = bench.run(&settings());
    let mut other = Bench::new();
    let (_, elsewhere) = other.run(&settings());
    assert_eq!(files(&first), files(&again));
    assert_eq!(
        fs::read(first.join("metrics.csv")).unwrap(),
        fs::read(elsewhere.join("metrics.csv")).unwrap()
    );
}

#[test]
fn the_test_figures_follow_from_the_predictions_file() {
    let mut bench = Bench::new();
    let (outcome, folder) = bench.run(&Settings { epochs: 2, ..settings() });
    let labels = ["bad".to_owned(), "good".to_owned()];
    let predictions = read_predictions(&folder.join("predictions.csv"), &labels).unwrap();
    let mut confusion = Confusion::new(2);
    for prediction in &predictions {
        confusion.add(prediction.label, prediction.predicted);
    }
    let mut reader = csv::Reader::from_path(folder.join("predictions.csv")).unwrap();
    let losses: Vec<f64> = reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            let column = if &record[1] == "bad" { 3 } else { 4 };
            -record[column].parse::<f64>().unwrap().ln()
        })
        .collect();
    let loss = losses.iter().sum::<f64>() / 24.0;
    assert_eq!(
        outcome.test,
        Scores { loss: outcome.test.loss, ..Scores::new(confusion, loss, Target::Class(1)) }
    );
    assert!((outcome.test.loss - loss).abs() < 1e-12);
}

#[test]
fn best_parameters_are_those_of_the_best_evaluation_and_not_of_the_last() {
    let mut bench = Bench::new();
    // So high a rate that the figures jump about; where they jump depends on the last bits of sums.
    let run = |learning_rate: f64| {
        let wild = Settings { learning_rate, epochs: 10, patience: 10, dropout: 0.0, ..settings() };
        let (outcome, folder) = bench.run(&wild);
        (outcome.best_epoch < outcome.epochs_run).then_some((wild, outcome, folder))
    };
    let (wild, outcome, folder) = [2e-2, 3e-2, 4e-2, 6e-2].into_iter().find_map(run).unwrap();
    assert!((outcome.epochs_run - 10.0).abs() < 1e-9 && !outcome.stopped_early);
    // The same trial stopped at its best epoch has the same parameters there: the schedule depends on
    // the planned epochs only.
    let files = files(&folder);
    assert_ne!(files["best/model.safetensors"], files["last/model.safetensors"]);
    let best_step = outcome.best_step;
    let (stopped, until_best) = bench.run_observed(&wild, &mut |report| match report {
        Report::Evaluated(evaluation) if evaluation.step == best_step => Control::Stop,
        _ => Control::Continue,
    });
    assert_eq!(stopped.unwrap(), Ending::Stopped);
    assert_eq!(files["best/model.safetensors"], fs::read(until_best.join("last/model.safetensors")).unwrap());
}

#[test]
fn patience_ends_a_trial_that_does_not_improve() {
    let hopeless =
        Settings { min_delta: 100.0, patience: 2, epochs: 9, monitor: Monitor::ValLoss, ..settings() };
    let (outcome, _) = Bench::new().run(&hopeless);
    assert!(outcome.stopped_early);
    assert!((outcome.epochs_run - 3.0).abs() < 1e-9);
    assert!((outcome.best_epoch - 1.0).abs() < 1e-9);
}

#[test]
fn evaluations_come_every_so_many_steps_and_after_the_last() {
    let mut steps = Vec::new();
    let often = Settings { eval_every: 4, epochs: 2, ..settings() };
    let (ending, _) = Bench::new().run_observed(&often, &mut |report| {
        if let Report::Evaluated(evaluation) = report {
            steps.push((evaluation.step, evaluation.epoch));
        }
        Control::Continue
    });
    ending.unwrap();
    assert_eq!(steps, [(4, 4.0 / 6.0), (8, 8.0 / 6.0), (12, 2.0)]);
}

#[test]
fn a_loss_that_is_not_finite_fails_the_trial_at_its_step() {
    let broken = Settings { learning_rate: 1e30, warmup_ratio: 0.0, gradient_clip: 0.0, ..settings() };
    let (ending, _) = Bench::new().run_observed(&broken, &mut |_| Control::Continue);
    let error = ending.unwrap_err();
    assert!(matches!(error.kind(), FailureKind::NonFinite { step: 2.. }), "{error}");
}

#[test]
fn a_frozen_encoder_stays_as_it_began_and_the_head_learns() {
    let mut bench = Bench::new();
    let frozen = |learning_rate| Settings { freeze: Freeze::Encoder, epochs: 1, learning_rate, ..settings() };
    let read =
        |folder: &Path| Catalog::of_file(&folder.join("last/model.safetensors")).unwrap().load_all().unwrap();
    let slow = read(&bench.run(&frozen(1e-4)).1);
    let fast = read(&bench.run(&frozen(1e-2)).1);
    let mut heads = 0;
    for (name, weight) in slow.iter() {
        let head = name.starts_with("classifier.") || name.starts_with("bert.pooler.");
        assert_eq!(fast.get(name) == Some(weight), !head, "{name}");
        heads += usize::from(head);
    }
    assert_eq!(heads, 4);
}

#[test]
fn trials_over_one_frozen_encoder_share_its_work_and_no_figure() {
    let checkpoint = checkpoint("tiny-roberta");
    let path = checkpoint.path().to_str().unwrap().to_owned();
    let frozen = Settings { checkpoint: path, freeze: Freeze::Encoder, ..settings() };
    let mut warm = Bench::new();
    for other in [Pooling::Mean, Pooling::Cls] {
        warm.run(&Settings { pooling: other, learning_rate: 1e-4, ..frozen.clone() });
        let matmul_precision = MatmulPrecision::Bf16;
        warm.run(&Settings { pooling: other, matmul_precision, ..frozen.clone() });
    }
    let (_, warm_folder) = warm.run(&frozen);
    let mut cold = Bench::new();
    let (_, cold_folder) = cold.run(&frozen);
    assert_eq!(files(&warm_folder), files(&cold_folder));
    // As many frozen layers as there are is the whole encoder.
    let (_, layers) = cold.run(&Settings { freeze: Freeze::Layers(2), ..frozen });
    assert_eq!(files(&layers), files(&cold_folder));
}

#[test]
fn long_texts_are_learnt_by_either_aggregation() {
    let mut bench = Bench::new();
    for aggregate in [Aggregate::Mean, Aggregate::Max] {
        let mut chunks = 0;
        let short = Settings { chunk_length: 10, chunk_stride: 2, aggregate, ..settings() };
        let (ending, _) = bench.run_observed(&short, &mut |report| {
            if let Report::Prepared(prepared) = report {
                chunks = prepared.train_chunks;
            }
            Control::Continue
        });
        let Ending::Complete(outcome) = ending.unwrap() else { panic!("stopped") };
        assert!(chunks > 48);
        assert!(outcome.test.f1 > 0.9, "{aggregate:?} {outcome:?}");
    }
}

#[test]
fn accumulating_gradients_changes_nothing_but_the_memory() {
    let mut bench = Bench::new();
    let whole = Settings { dropout: 0.0, epochs: 3, ..settings() };
    let parts = Settings { gradient_accumulation: 3, ..whole.clone() };
    let (whole, parts) = (bench.run(&whole).0, bench.run(&parts).0);
    assert!((whole.validation.loss - parts.validation.loss).abs() < 1e-4, "{whole:?} {parts:?}");
    assert!((whole.train_loss - parts.train_loss).abs() < 1e-4);
}

#[test]
fn chunks_can_be_examples_of_their_own() {
    let mut bench = Bench::new();
    let short = Settings { chunk_length: 10, chunk_stride: 2, ..settings() };
    let mut prepared = |train_on| {
        let mut prepared = None;
        let settings = Settings { train_on, ..short.clone() };
        let (ending, _) = bench.run_observed(&settings, &mut |report| match report {
            Report::Prepared(found) => {
                prepared = Some(found);
                Control::Continue
            }
            _ => Control::Continue,
        });
        let Ending::Complete(outcome) = ending.unwrap() else { panic!("stopped without being asked") };
        assert!(outcome.test.f1 > 0.9, "{outcome:?}");
        prepared.unwrap()
    };
    let (documents, chunks) = (prepared(TrainOn::Documents), prepared(TrainOn::Chunks));
    assert_eq!(documents.train_documents, chunks.train_documents);
    assert_eq!(documents.train_chunks, chunks.train_chunks);
    assert_eq!(documents.steps, 8 * documents.train_documents.div_ceil(8) as u64);
    assert_eq!(chunks.steps, 8 * chunks.train_chunks.div_ceil(8) as u64);
    assert!(chunks.steps > documents.steps);
}

#[test]
fn smoothed_labels_and_class_weights_change_the_training_and_not_the_scale_of_its_loss() {
    let mut bench = Bench::new();
    let plain = bench.run(&settings()).0;
    for other in [
        Settings { label_smoothing: 0.3, ..settings() },
        Settings { class_weights: ClassWeights::Balanced, label_smoothing: 0.1, ..settings() },
    ] {
        let outcome = bench.run(&other).0;
        assert!(outcome.validation.loss != plain.validation.loss);
        // A smoothed loss of two classes could not fall below 0.42 at 0.3.
        assert!(outcome.train_loss < 0.4, "{}", outcome.train_loss);
    }
}

#[test]
fn every_family_is_fine_tuned() {
    for fixture in ["tiny-bert", "tiny-roberta", "tiny-distilbert"] {
        let checkpoint = checkpoint(fixture);
        for pooling in [Pooling::Cls, Pooling::Mean] {
            let path = checkpoint.path().to_str().unwrap().to_owned();
            let settings =
                Settings { checkpoint: path, pooling, dropout: 0.0, epochs: 20, patience: 20, ..settings() };
            let (outcome, _) = Bench::new().run(&settings);
            assert!(outcome.train_loss < 0.3, "{fixture} {pooling:?}: {outcome:?}");
        }
    }
}

#[test]
fn top_layers_begin_anew_and_lower_ones_as_they_were() {
    let checkpoint = checkpoint("tiny-bert");
    let path = checkpoint.path().to_str().unwrap().to_owned();
    // So slow that nothing moves.
    let settings =
        Settings { checkpoint: path, reinit_layers: 1, learning_rate: 1e-30, epochs: 1, ..settings() };
    let mut bench = Bench::new();
    let (_, folder) = bench.run(&settings);
    let read = |path: &Path| Catalog::of_file(path).unwrap().load_all().unwrap();
    let before = read(&checkpoint.path().join("model.safetensors"));
    let after = read(&folder.join("last/model.safetensors"));
    let name = |layer: u32| format!("bert.encoder.layer.{layer}.output.dense.weight");
    assert_eq!(before.get(&name(0)), after.get(&name(0)));
    for anew in [name(1), "bert.pooler.dense.weight".to_owned()] {
        assert_ne!(before.get(&anew), after.get(&anew), "{anew}");
    }
    let norm = after.get("bert.encoder.layer.1.output.LayerNorm.weight").unwrap();
    assert!(norm.values.iter().all(|value| (value - 1.0).abs() < 1e-6));
}

#[test]
fn micro_batches_of_any_size_make_the_same_step() {
    let mut bench = Bench::new();
    let plain = Settings { dropout: 0.0, epochs: 3, ..settings() };
    let (whole, _) = bench.run(&plain);
    for most in [1, 3, 5] {
        bench.micro_batch = Some(most);
        let (outcome, _) = bench.run(&plain);
        assert!((whole.validation.loss - outcome.validation.loss).abs() < 1e-4, "{most}");
        assert!((whole.train_loss - outcome.train_loss).abs() < 1e-4, "{most}");
    }
}
