//! The words of other programs (transformers, Optuna, Ray, W&B) for what a spec says.

/// What another program's word means here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meaning {
    /// The setting of this name, with the same values.
    Setting(&'static str),
    /// The key of this name in this table, with the same values.
    Key(&'static str, &'static str),
    /// Something else, which this text explains.
    Note(&'static str),
}

use Meaning::{Key, Note, Setting};

const NO_STEPS: &str =
    "warm-up is a share of all steps here: write warmup_ratio = 0.1, or the like, in [train]";
const ACCUMULATION: &str = "a batch is computed in parts with gradient_accumulation = 2, or the like, in [train]; \
                            `batch_size` counts all parts of it, so multiply it by the same number";
const ROUNDED: &str = "nothing is rounded by default; matmul_precision = \"bf16\" in [train] rounds the factors \
                       of matrix products on the CPU";
const ADAMW: &str = "the optimiser is always AdamW with its usual constants: remove it";
const EVALUATION: &str = "there is an evaluation after each epoch, or every N steps with eval_every = N in [train]: \
                          remove it";
const BEST_EPOCH: &str =
    "the best epoch's parameters are always the ones that are kept and measured: remove it";
const CLASSES: &str = "the classes are those of the label column: remove it";
const FOLDER: &str = "results go to a folder named after the sweep, below --results DIR: remove it";
const DEVICES: &str = "`sweep run` takes devices as an option, for example --devices cuda:0: remove it";
const SEARCHED: &str = "lists (`grid`) are tried in full, and ranges are drawn at random: remove it";
const PRUNER: &str =
    "a trial is stopped by its own validation curve, see `patience` in [early_stopping]: remove it";
const RANKED: &str = "`sweep leaderboard --rank` says what decides, and `monitor` in [early_stopping] what stops a \
                      trial: remove it";
const TEXTS: &str = "the files are read by `path`, or `train`, `validation` and `test`, in [data]";
const SECTIONS: &str = "settings stand in [model], [text], [train] and [early_stopping], and what is searched in \
                        [search.space]";
const OUTSIDE: &str = "there is no such setting here: remove it";

/// Words of other programs, and what they mean here.
const WORDS: &[(&str, Meaning)] = &[
    ("per_device_train_batch_size", Setting("batch_size")),
    ("per_gpu_train_batch_size", Setting("batch_size")),
    ("train_batch_size", Setting("batch_size")),
    ("bs", Setting("batch_size")),
    ("per_device_eval_batch_size", Note("evaluations need no batch size: remove it")),
    ("eval_batch_size", Note("evaluations need no batch size: remove it")),
    ("num_train_epochs", Setting("epochs")),
    ("num_epochs", Setting("epochs")),
    ("n_epochs", Setting("epochs")),
    ("max_epochs", Setting("epochs")),
    ("max_steps", Note("a training is measured in epochs here: write epochs = 3, or the like, in [train]")),
    ("lr", Setting("learning_rate")),
    ("head_lr", Setting("head_learning_rate")),
    ("classifier_lr", Setting("head_learning_rate")),
    ("classifier_learning_rate", Setting("head_learning_rate")),
    ("layerwise_lr_decay", Setting("layer_decay")),
    ("layer_lr_decay", Setting("layer_decay")),
    ("llrd", Setting("layer_decay")),
    ("timeout", Key("time_limit", "run")),
    ("max_time", Key("time_limit", "run")),
    ("wd", Setting("weight_decay")),
    ("l2", Setting("weight_decay")),
    ("warmup_steps", Note(NO_STEPS)),
    ("num_warmup_steps", Note(NO_STEPS)),
    ("warmup_proportion", Setting("warmup_ratio")),
    ("lr_scheduler_type", Setting("schedule")),
    ("lr_scheduler", Setting("schedule")),
    ("lr_schedule", Setting("schedule")),
    ("scheduler", Setting("schedule")),
    ("max_length", Setting("chunk_length")),
    ("max_seq_length", Setting("chunk_length")),
    ("max_seq_len", Setting("chunk_length")),
    ("max_len", Setting("chunk_length")),
    ("seq_len", Setting("chunk_length")),
    ("sequence_length", Setting("chunk_length")),
    ("model_max_length", Setting("chunk_length")),
    ("doc_stride", Setting("chunk_stride")),
    ("model_name_or_path", Setting("checkpoint")),
    ("pretrained_model_name_or_path", Setting("checkpoint")),
    ("model_name", Setting("checkpoint")),
    ("model_id", Setting("checkpoint")),
    ("model", Setting("checkpoint")),
    ("base_model", Setting("checkpoint")),
    ("pretrained_model", Setting("checkpoint")),
    ("encoder", Setting("checkpoint")),
    ("backbone", Setting("checkpoint")),
    ("metric_for_best_model", Setting("monitor")),
    ("early_stopping_patience", Setting("patience")),
    ("early_stopping_threshold", Setting("min_delta")),
    ("max_grad_norm", Setting("gradient_clip")),
    ("clip_grad_norm", Setting("gradient_clip")),
    ("grad_clip", Setting("gradient_clip")),
    ("gradient_clipping", Setting("gradient_clip")),
    ("gradient_clip_val", Setting("gradient_clip")),
    ("gradient_accumulation_steps", Note(ACCUMULATION)),
    ("accumulate_grad_batches", Note(ACCUMULATION)),
    ("grad_accum", Note(ACCUMULATION)),
    ("fp16", Note(ROUNDED)),
    ("bf16", Note(ROUNDED)),
    ("tf32", Note(ROUNDED)),
    ("precision", Note(ROUNDED)),
    ("mixed_precision", Note(ROUNDED)),
    ("dropout_rate", Setting("dropout")),
    ("dropout_prob", Setting("dropout")),
    ("hidden_dropout", Setting("dropout")),
    ("hidden_dropout_prob", Setting("dropout")),
    ("attention_dropout", Setting("dropout")),
    ("attention_probs_dropout_prob", Setting("dropout")),
    ("classifier_dropout", Setting("dropout")),
    ("label_smoothing_factor", Setting("label_smoothing")),
    ("optimizer", Note(ADAMW)),
    ("optimiser", Note(ADAMW)),
    ("optim", Note(ADAMW)),
    ("adam_beta1", Note(ADAMW)),
    ("adam_beta2", Note(ADAMW)),
    ("adam_epsilon", Note(ADAMW)),
    ("momentum", Note(ADAMW)),
    ("eval_steps", Setting("eval_every")),
    ("eval_strategy", Note(EVALUATION)),
    ("evaluation_strategy", Note(EVALUATION)),
    ("load_best_model_at_end", Note(BEST_EPOCH)),
    ("greater_is_better", Note(BEST_EPOCH)),
    ("save_steps", Key("checkpoint_every", "run")),
    ("save_total_limit", Key("keep", "run")),
    ("save_strategy", Note(BEST_EPOCH)),
    ("freeze_layers", Setting("freeze")),
    ("num_frozen_layers", Setting("freeze")),
    ("freeze_encoder", Note("to let only the head learn, write freeze = \"encoder\" in [model]")),
    ("do_lower_case", Note("lower-casing is lowercase = \"yes\" or lowercase = \"no\" in [text]")),
    ("num_labels", Note(CLASSES)),
    ("num_classes", Note(CLASSES)),
    ("n_classes", Note(CLASSES)),
    ("train_file", Key("train", "data")),
    ("validation_file", Key("validation", "data")),
    ("eval_file", Key("validation", "data")),
    ("dev_file", Key("validation", "data")),
    ("test_file", Key("test", "data")),
    ("dev", Key("validation", "data")),
    ("valid", Key("validation", "data")),
    ("val", Key("validation", "data")),
    ("data_file", Key("path", "data")),
    ("file", Key("path", "data")),
    ("csv", Key("path", "data")),
    ("dataset", Note(TEXTS)),
    ("dataset_name", Note(TEXTS)),
    ("text_column", Key("text", "data")),
    ("text_column_name", Key("text", "data")),
    ("label_column", Key("label", "data")),
    ("label_column_name", Key("label", "data")),
    ("target", Key("label", "data")),
    ("pos_label", Key("positive", "data")),
    ("positive_label", Key("positive", "data")),
    (
        "max_train_samples",
        Note("a part of the data is taken with limit = { train = 1000 }, or the like, in [data]"),
    ),
    ("trials", Key("trials", "search")),
    ("n_trials", Key("trials", "search")),
    ("num_trials", Key("trials", "search")),
    ("max_trials", Key("trials", "search")),
    ("num_samples", Key("samples", "search")),
    ("run_cap", Key("samples", "search")),
    ("n_folds", Key("folds", "data")),
    ("num_folds", Key("folds", "data")),
    ("k_folds", Key("folds", "data")),
    ("kfold", Key("folds", "data")),
    ("k_fold", Key("folds", "data")),
    ("n_splits", Key("folds", "data")),
    ("cv", Key("folds", "data")),
    ("cross_validation", Key("folds", "data")),
    ("seeds", Key("repeats", "search")),
    ("n_seeds", Key("repeats", "search")),
    ("num_seeds", Key("repeats", "search")),
    (
        "parameters",
        Note(
            "the settings to be searched stand in [search.space], for example \
                         learning_rate = { log_uniform = [1e-5, 1e-3] }",
        ),
    ),
    ("method", Note(SEARCHED)),
    ("strategy", Note(SEARCHED)),
    ("sampler", Note(SEARCHED)),
    ("algorithm", Note(SEARCHED)),
    ("direction", Note(RANKED)),
    ("goal", Note(RANKED)),
    ("metric", Note(RANKED)),
    ("early_terminate", Note(PRUNER)),
    ("pruner", Note(PRUNER)),
    ("hyperparameters", Note(SECTIONS)),
    ("params", Note(SECTIONS)),
    ("config", Note(SECTIONS)),
    ("training", Note(SECTIONS)),
    ("trainer", Note(SECTIONS)),
    ("training_args", Note(SECTIONS)),
    ("training_arguments", Note(SECTIONS)),
    (
        "enabled",
        Note(
            "a trial always stops by its validation curve; a large patience, such as patience = 1000, lets it run",
        ),
    ),
    ("max_parallel", Note(DEVICES)),
    ("max_concurrent_trials", Note(DEVICES)),
    ("n_jobs", Note(DEVICES)),
    ("output_dir", Note(FOLDER)),
    ("results_dir", Note(FOLDER)),
    ("device", Note(DEVICES)),
    ("devices", Note(DEVICES)),
    ("gpu", Note(DEVICES)),
    ("gpus", Note(DEVICES)),
    ("n_gpu", Note(DEVICES)),
    ("do_train", Note(OUTSIDE)),
    ("do_eval", Note(OUTSIDE)),
    ("num_workers", Note(OUTSIDE)),
    ("dataloader_num_workers", Note(OUTSIDE)),
    ("logging_steps", Note(OUTSIDE)),
    ("report_to", Note(OUTSIDE)),
    ("project", Note(OUTSIDE)),
    ("program", Note(OUTSIDE)),
    ("command", Note(OUTSIDE)),
];

/// What `word` means here, if another program uses it.
pub(super) fn meaning(word: &str) -> Option<Meaning> {
    let same = |known: &str| known.eq_ignore_ascii_case(&word.replace('-', "_"));
    WORDS.iter().find(|(known, _)| same(known)).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policy, settings, spec::keys};

    #[test]
    fn every_word_means_a_key_that_exists_and_is_no_key_itself() {
        for (word, meaning) in WORDS {
            assert!(settings::key(word).is_none(), "{word}");
            match meaning {
                Setting(name) => assert!(settings::key(name).is_some(), "{name}"),
                Key(name, "data") => assert!(keys::DATA.contains(name), "{name}"),
                Key(name, "search") => assert!(keys::SEARCH.contains(name), "{name}"),
                Key(name, "run") => assert!(policy::KEYS.contains(name), "{name}"),
                Key(_, table) => panic!("{table}"),
                Note(note) => assert!(!note.is_empty()),
            }
        }
    }
}
