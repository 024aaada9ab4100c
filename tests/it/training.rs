//! A trial from its job to its files, on the built-in encoder.

use std::{fs, path::Path, sync::LazyLock};

use sweep::{
    event::Outcome,
    leaderboard::read_predictions,
    metrics::{Confusion, Scores, Target},
    settings::{
        Aggregate, BestEpoch, ClassWeights, Freeze, MatmulPrecision, Pooling, Settings, StopRule, TrainOn,
    },
    train::{Catalog, Ending, Report, Stopped, Weights},
    trial::FailureKind,
};

use crate::common::{
    checkpoint::checkpoint,
    results::trial_files,
    trial_bench::{TrialBench, complete, settings, settings_from},
};

fn weights(file: &Path) -> Weights {
    Catalog::of_file(file).unwrap().load_all().unwrap()
}

#[test]
fn plain_texts_are_learnt() {
    let (outcome, _folder) = TrialBench::new().run(&settings());
    assert!(outcome.test.f1 > 0.95, "{outcome:?}");
    assert!(outcome.train_loss < 0.3);
}

#[test]
fn the_same_trial_leaves_the_same_bytes_whatever_ran_before() {
    let mut bench = TrialBench::new();
    let (_, first) = bench.run(&settings());
    bench.run(&Settings { dropout: 0.4, chunk_length: 12, ..settings() });
    let (_, again) = bench.run(&settings());
    let mut other = TrialBench::new();
    let (_, elsewhere) = other.run(&settings());
    assert_eq!(trial_files(&first), trial_files(&again));
    assert_eq!(
        fs::read(first.join("metrics.csv")).unwrap(),
        fs::read(elsewhere.join("metrics.csv")).unwrap()
    );
}

#[test]
fn the_test_figures_follow_from_the_predictions_file() {
    let mut bench = TrialBench::new();
    let (outcome, folder) = bench.run(&Settings { epochs: 2, ..settings() });
    let labels = ["bad".to_owned(), "good".to_owned()];
    let predictions =
        read_predictions(&sweep::system::files::Place::of(folder.join("predictions.csv")), &labels).unwrap();
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
fn the_best_parameters_are_those_of_the_best_evaluation() {
    let mut bench = TrialBench::new();
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
    let files = trial_files(&folder);
    assert_ne!(files["best/model.safetensors"], files["last/model.safetensors"]);
    let best_step = outcome.best_step;
    let (stopped, until_best) = bench.run_observed(&wild, &mut |report| match report {
        Report::Evaluated(evaluation) if evaluation.step == best_step => Err(Stopped),
        _ => Ok(()),
    });
    assert_eq!(stopped.unwrap(), Ending::Stopped);
    assert_eq!(files["best/model.safetensors"], fs::read(until_best.join("last/model.safetensors")).unwrap());
}

#[test]
fn patience_ends_a_trial_that_does_not_improve() {
    let hopeless =
        Settings { min_delta: 100.0, patience: 2, epochs: 9, best_epoch: BestEpoch::Monitor, ..settings() };
    let (outcome, _) = TrialBench::new().run(&hopeless);
    assert!(outcome.stopped_early);
    assert!((outcome.epochs_run - 3.0).abs() < 1e-9);
    assert!((outcome.best_epoch - 1.0).abs() < 1e-9);
}

#[test]
fn a_rule_of_prechelts_takes_the_place_of_patience() {
    let rule = |rule, alpha| Settings { rule, alpha, strip: 1, s: 1, epochs: 4, patience: 1, ..settings() };
    let (patient, _) = TrialBench::new().run(&rule(StopRule::Gl, 1e9));
    assert!(!patient.stopped_early && (patient.epochs_run - 4.0).abs() < 1e-9, "{patient:?}");
    let wild = Settings { learning_rate: 0.5, ..rule(StopRule::Up, 0.0) };
    let (stopped, _) = TrialBench::new().run(&wild);
    assert!(stopped.stopped_early && stopped.epochs_run < 4.0, "{stopped:?}");
}

/// The steps of a trial of 12 steps after which it is evaluated, and the epochs that they end.
fn evaluated(eval_every: usize) -> Vec<(u64, f64)> {
    let mut steps = Vec::new();
    let often = Settings { eval_every, epochs: 2, ..settings() };
    let (ending, _) = TrialBench::new().run_observed(&often, &mut |report| {
        if let Report::Evaluated(evaluation) = report {
            steps.push((evaluation.step, evaluation.epoch));
        }
        Ok(())
    });
    ending.unwrap();
    steps
}

#[test]
fn evaluations_are_as_many_steps_apart_as_the_settings_say() {
    assert_eq!(evaluated(4), [(4, 4.0 / 6.0), (8, 8.0 / 6.0), (12, 2.0)]);
}

#[test]
fn the_last_step_is_evaluated_wherever_it_falls() {
    assert_eq!(evaluated(5), [(5, 5.0 / 6.0), (10, 10.0 / 6.0), (12, 2.0)]);
}

#[test]
fn a_loss_that_is_not_finite_fails_the_trial_at_its_step() {
    let broken = Settings { learning_rate: 1e30, warmup_ratio: 0.0, gradient_clip: 0.0, ..settings() };
    let (ending, _) = TrialBench::new().run_observed(&broken, &mut |_| Ok(()));
    let error = ending.unwrap_err();
    assert!(matches!(error.kind(), FailureKind::NonFinite { step: 2.. }), "{error}");
}

#[test]
fn over_a_frozen_encoder_only_the_head_learns() {
    let mut bench = TrialBench::new();
    let frozen = |learning_rate| Settings { freeze: Freeze::Encoder, epochs: 1, learning_rate, ..settings() };
    let mut last = |rate| weights(&bench.run(&frozen(rate)).1.join("last/model.safetensors"));
    let (slow, fast) = (last(1e-4), last(1e-2));
    let mut heads = 0;
    for (name, weight) in slow.iter() {
        let head = name.starts_with("classifier.") || name.starts_with("bert.pooler.");
        assert_eq!(fast.get(name) == Some(weight), !head, "{name}");
        heads += usize::from(head);
    }
    assert_eq!(heads, 4);
}

#[test]
fn what_trials_over_one_frozen_encoder_share_changes_no_figure() {
    let checkpoint = checkpoint("tiny-roberta");
    let frozen = Settings { freeze: Freeze::Encoder, ..settings_from(checkpoint.path()) };
    let mut warm = TrialBench::new();
    for other in [Pooling::Mean, Pooling::Cls] {
        warm.run(&Settings { pooling: other, learning_rate: 1e-4, ..frozen.clone() });
        let matmul_precision = MatmulPrecision::Bf16;
        warm.run(&Settings { pooling: other, matmul_precision, ..frozen.clone() });
    }
    let (_, warm_folder) = warm.run(&frozen);
    let mut cold = TrialBench::new();
    let (_, cold_folder) = cold.run(&frozen);
    assert_eq!(trial_files(&warm_folder), trial_files(&cold_folder));
}

#[test]
fn as_many_frozen_layers_as_there_are_make_a_frozen_encoder() {
    let checkpoint = checkpoint("tiny-roberta");
    let mut bench = TrialBench::new();
    let [encoder, layers] = [Freeze::Encoder, Freeze::Layers(2)].map(|freeze| {
        let (_, folder) = bench.run(&Settings { freeze, ..settings_from(checkpoint.path()) });
        trial_files(&folder)
    });
    assert_eq!(layers, encoder);
}

#[test]
fn long_texts_are_learnt_by_either_aggregation() {
    let mut bench = TrialBench::new();
    for aggregate in [Aggregate::Mean, Aggregate::Max] {
        let mut chunks = 0;
        let short = Settings { chunk_length: 10, chunk_stride: 2, aggregate, ..settings() };
        let (ending, _) = bench.run_observed(&short, &mut |report| {
            if let Report::Prepared(prepared) = report {
                chunks = prepared.train_chunks;
            }
            Ok(())
        });
        let outcome = complete(ending);
        assert!(chunks > 48);
        assert!(outcome.test.f1 > 0.9, "{aggregate:?} {outcome:?}");
    }
}

#[test]
fn accumulating_gradients_changes_nothing_but_the_memory() {
    let mut bench = TrialBench::new();
    let whole = Settings { dropout: 0.0, epochs: 3, ..settings() };
    let parts = Settings { gradient_accumulation: 3, ..whole.clone() };
    let (whole, parts) = (bench.run(&whole).0, bench.run(&parts).0);
    assert!((whole.validation.loss - parts.validation.loss).abs() < 1e-4, "{whole:?} {parts:?}");
    assert!((whole.train_loss - parts.train_loss).abs() < 1e-4);
}

#[test]
fn a_bound_on_the_tokens_of_a_pass_changes_nothing_but_the_memory() {
    let mut bench = TrialBench::new();
    let whole = Settings { dropout: 0.0, epochs: 3, ..settings() };
    let parts = Settings { batch_tokens: 40, ..whole.clone() };
    let (whole, parts) = (bench.run(&whole).0, bench.run(&parts).0);
    assert_ne!(whole.validation.loss, parts.validation.loss, "sums were made in another order");
    assert!((whole.validation.loss - parts.validation.loss).abs() < 1e-4, "{whole:?} {parts:?}");
}

#[test]
fn chunks_can_be_examples_of_their_own() {
    let mut bench = TrialBench::new();
    let short = Settings { chunk_length: 10, chunk_stride: 2, ..settings() };
    let mut prepared = |train_on| {
        let mut prepared = None;
        let settings = Settings { train_on, ..short.clone() };
        let (ending, _) = bench.run_observed(&settings, &mut |report| {
            if let Report::Prepared(found) = report {
                prepared = Some(found);
            }
            Ok(())
        });
        let outcome = complete(ending);
        assert!(outcome.test.f1 > 0.9, "{outcome:?}");
        let (training, prepared) = (outcome.training.unwrap(), prepared.unwrap());
        let documents = prepared.train_documents.min(prepared.validation_documents) as u64;
        assert_eq!((training.documents, training.scores.confusion.total()), (documents, documents));
        assert!(training.scores.f1 > 0.9, "documents, not chunks, are classified: {training:?}");
        prepared
    };
    let (documents, chunks) = (prepared(TrainOn::Documents), prepared(TrainOn::Chunks));
    assert_eq!(documents.train_documents, chunks.train_documents);
    assert_eq!(documents.train_chunks, chunks.train_chunks);
    assert_eq!(documents.steps, 8 * documents.train_documents.div_ceil(8) as u64);
    assert_eq!(chunks.steps, 8 * chunks.train_chunks.div_ceil(8) as u64);
    assert!(chunks.steps > documents.steps);
}

/// The outcomes of a plain trial, of one with smoothed labels, and of one with class weights too.
static LOSSES: LazyLock<[Outcome; 3]> = LazyLock::new(|| {
    let mut bench = TrialBench::new();
    let smoothed = Settings { label_smoothing: 0.3, ..settings() };
    let weighted = Settings { class_weights: ClassWeights::Balanced, label_smoothing: 0.1, ..settings() };
    [settings(), smoothed, weighted].map(|settings| bench.run(&settings).0)
});

#[test]
fn smoothed_labels_change_the_training() {
    let [plain, smoothed, _] = &*LOSSES;
    assert!(smoothed.validation.loss != plain.validation.loss);
}

#[test]
fn class_weights_change_the_training() {
    let [plain, _, weighted] = &*LOSSES;
    assert!(weighted.validation.loss != plain.validation.loss);
}

#[test]
fn the_training_loss_is_measured_on_plain_labels() {
    let [_, smoothed, weighted] = &*LOSSES;
    // A smoothed loss of two classes could not fall below 0.42 at 0.3.
    assert!(smoothed.train_loss < 0.4, "{}", smoothed.train_loss);
    assert!(weighted.train_loss < 0.4, "{}", weighted.train_loss);
}

#[test]
fn every_family_is_fine_tuned() {
    for fixture in ["tiny-bert", "tiny-roberta", "tiny-distilbert"] {
        let checkpoint = checkpoint(fixture);
        for pooling in [Pooling::Cls, Pooling::Mean] {
            let plain = settings_from(checkpoint.path());
            let settings = Settings { pooling, dropout: 0.0, epochs: 20, patience: 20, ..plain };
            let (outcome, _) = TrialBench::new().run(&settings);
            assert!(outcome.train_loss < 0.3, "{fixture} {pooling:?}: {outcome:?}");
        }
    }
}

/// The parameters of a checkpoint, and of a trial that gives it a new top layer and then moves nothing.
fn before_and_after_a_new_layer() -> [Weights; 2] {
    let checkpoint = checkpoint("tiny-bert");
    // So slow that nothing moves.
    let settings =
        Settings { reinit_layers: 1, learning_rate: 1e-30, epochs: 1, ..settings_from(checkpoint.path()) };
    let mut bench = TrialBench::new();
    let (_, folder) = bench.run(&settings);
    [checkpoint.path().join("model.safetensors"), folder.join("last/model.safetensors")]
        .map(|file| weights(&file))
}

#[test]
fn a_layer_below_the_new_ones_begins_as_it_was() {
    let [before, after] = before_and_after_a_new_layer();
    let name = "bert.encoder.layer.0.output.dense.weight";
    assert_eq!(before.get(name), after.get(name));
}

#[test]
fn new_layers_begin_anew_as_does_the_pooler() {
    let [before, after] = before_and_after_a_new_layer();
    for anew in ["bert.encoder.layer.1.output.dense.weight", "bert.pooler.dense.weight"] {
        assert_ne!(before.get(anew), after.get(anew), "{anew}");
    }
}

#[test]
fn the_norms_of_a_new_layer_begin_at_one() {
    let [_, after] = before_and_after_a_new_layer();
    let norm = after.get("bert.encoder.layer.1.output.LayerNorm.weight").unwrap();
    assert!(norm.values.iter().all(|value| (value - 1.0).abs() < 1e-6));
}

#[test]
fn micro_batches_of_any_size_make_the_same_step() {
    let mut bench = TrialBench::new();
    let plain = Settings { dropout: 0.0, epochs: 3, ..settings() };
    let (whole, _) = bench.run(&plain);
    for most in [1, 3, 5] {
        bench.attempt.micro_batch = Some(most);
        let (outcome, _) = bench.run(&plain);
        assert!((whole.validation.loss - outcome.validation.loss).abs() < 1e-4, "{most}");
        assert!((whole.train_loss - outcome.train_loss).abs() < 1e-4, "{most}");
    }
}
