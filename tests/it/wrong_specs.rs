//! Wrong specs and wrong data, each with the whole message that its user sees.
//!
//! A snapshot is good when it says what is wrong, where, and what to do about it.

use std::{fs, path::Path, time::Duration};

use sweep::{
    byte_size::ByteSize,
    checkpoint::CheckpointFacts,
    hub::HubError,
    slurm::{Mode, SlurmOptions},
    spec::{self, ExecutorSpec, Inspected, Refusal, SpecError, Wanted},
};

use crate::common::place::Place;

/// A good spec over `good()`'s files, to which each test does one wrong thing.
const SPEC: &str = r#"name = "first"
seed = 42

[data]
train = "train.csv"
validation = "dev.csv"
test = "test.csv"

[train]
epochs = 2

[search.space]
learning_rate = { grid = [1e-4, 3e-4] }
"#;

/// Twenty texts of two classes.
const TWENTY: &str = "text,label\na,0\nb,1\nc,0\nd,1\ne,0\nf,1\ng,0\nh,1\ni,0\nj,1\nk,0\nl,1\nm,0\nn,1\no,0\np,1\nq,0\n\
                      r,1\ns,0\nt,1\n";

/// A folder with good data.
fn good() -> Place {
    let place = Place::empty();
    place.write("train.csv", "text,label\n房间很大,1\n早餐难吃,0\n屏幕清晰,1\n服务冷淡,0\n");
    place.write("dev.csv", "text,label\n位置方便,1\n隔音太差,0\n");
    place.write("test.csv", "text,label\n值得一读,1\n浪费时间,0\n");
    place
}

fn inspect(wanted: Wanted<'_>) -> Result<Inspected, Refusal> {
    match wanted.checkpoint.to_string().as_str() {
        "owner/unknown" => {
            let endpoint = "https://huggingface.co".to_owned();
            let model = "owner/unknown".to_owned();
            let error = HubError::Refused { endpoint, model, status: 401, has_token: false };
            Err(Refusal { message: error.to_string(), help: Some(error.help()) })
        }
        broken if broken.ends_with("broken") => {
            Err(Refusal { message: "config.json has no hidden_size".to_owned(), help: None })
        }
        _ => {
            let facts = CheckpointFacts {
                window: 128,
                layers: 2,
                parameters: 1_000,
                unused: Vec::new(),
                notes: Vec::new(),
            };
            Ok(Inspected { checkpoint: wanted.checkpoint.clone(), facts })
        }
    }
}

fn read(place: &Place, spec: &str, overrides: &[&str]) -> Result<spec::Reading, SpecError> {
    place.write("spec.toml", spec);
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    spec::read(&place.path("spec.toml"), &overrides, &inspect)
}

fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `text` without the place's path.
fn anywhere(place: &Place, text: &str) -> String {
    text.replace(place.path("").to_str().unwrap().trim_end_matches('/'), "<dir>")
}

/// The message for `spec` beside good data and `files`, having made sure that nothing was created.
fn message(spec: &str, files: &[(&str, &[u8])], overrides: &[&str]) -> String {
    let place = good();
    for (name, content) in files {
        place.write(name, content);
    }
    place.write("spec.toml", spec);
    let before = listing(&place.path(""));
    let error = read(&place, spec, overrides).expect_err("this spec should be wrong");
    assert_eq!(listing(&place.path("")), before, "reading a spec creates nothing");
    let working = std::env::current_dir().unwrap().display().to_string();
    anywhere(&place, &error.to_string()).replace(&working, "<working>")
}

/// The good spec with `old` replaced by `new`.
fn with(old: &str, new: &str) -> String {
    assert!(SPEC.contains(old), "the good spec has no {old:?}");
    SPEC.replace(old, new)
}

/// The good spec with `line` at the end of `[train]`.
fn train(line: &str) -> String {
    with("epochs = 2", &format!("epochs = 2\n{line}"))
}

/// The good spec with `line` at the end of `[data]`.
fn data(line: &str) -> String {
    with("test = \"test.csv\"", &format!("test = \"test.csv\"\n{line}"))
}

/// The good spec with `line` instead of its search space.
fn space(line: &str) -> String {
    with("learning_rate = { grid = [1e-4, 3e-4] }", line)
}

/// The good spec with these lines in `[run]`.
fn run(lines: &str) -> String {
    with("[search.space]", &format!("[run]\n{lines}\n\n[search.space]"))
}

/// The good spec with these lines in `[executor]`.
fn executor(lines: &str) -> String {
    with("[search.space]", &format!("[executor]\n{lines}\n\n[search.space]"))
}

/// The good spec with these lines in `[executor]` of a cluster.
fn slurm(lines: &str) -> String {
    executor(&format!("kind = \"slurm\"\n{lines}"))
}

/// The good spec with one file instead of three.
fn single(lines: &str) -> String {
    with("train = \"train.csv\"\nvalidation = \"dev.csv\"\ntest = \"test.csv\"", lines)
}

macro_rules! wrong {
    ($($name:ident: $spec:expr $(, files: [$($file:expr),+])? $(, set: [$($set:expr),+])?;)+) => {
        $(
            #[test]
            fn $name() {
                let files: &[(&str, &[u8])] = &[$($($file),+)?];
                insta::assert_snapshot!(message(&$spec, files, &[$($($set),+)?]));
            }
        )+
    };
}

#[test]
fn the_good_spec_is_good() {
    let reading = read(&good(), SPEC, &["epochs=3"]).unwrap();
    assert_eq!(reading.spec.settings.epochs, 3);
    assert_eq!(reading.dataset.train.len(), 4);
    assert!(reading.warnings.is_empty());
}

#[test]
fn labels_that_are_measurements() {
    let rows: Vec<String> = (0..60).map(|row| format!("text {row},0.{row:02}\n")).collect();
    let text = format!("text,label\n{}", rows.concat());
    insta::assert_snapshot!(message(&single("path = \"one.csv\""), &[("one.csv", text.as_bytes())], &[]));
}

#[test]
fn a_spec_that_is_not_there() {
    let error = spec::read(Path::new("nowhere/spec.toml"), &[], &inspect).unwrap_err();
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let place = good();
    let spec =
        with("[search.space]", "[search]\nsamples = 12\n[search.space]\ndropout = { grid = [0.1, 0.10] }");
    let reading = read(&place, &spec, &[]).unwrap();
    let text: String = reading.warnings.iter().map(|warning| warning.render(false)).collect();
    insta::assert_snapshot!(anywhere(&place, &text));
}

// The text of the spec.
wrong! {
    toml_that_cannot_be_read: with("epochs = 2", "epochs = two\nbatch_size 8");
    a_table_that_stands_twice: format!("{SPEC}\n[train]\nbatch_size = 8\n");
    an_empty_spec: "";
    a_spec_without_name_and_data: "seed = 1\n";
    a_name_that_leaves_its_folder: with("\"first\"", "\"../first\"");
    a_name_with_a_control_character: with("\"first\"", "\"fir\\u0007st\"");
    a_name_that_is_too_long: with("first", &"long".repeat(20));
    a_negative_seed: with("seed = 42", "seed = -1");
    a_misspelt_key: train("batchsize = 8");
    a_key_in_the_wrong_section: train("dropout = 0.1");
    a_setting_at_the_top: with("seed = 42", "seed = 42\nlearning_rate = 1e-4");
    an_unknown_section: format!("{SPEC}\n[optimizer]\nlr = 1\n");
    a_section_that_is_no_table: with("[train]\nepochs = 2\n", "").replace("seed = 42", "seed = 42\ntrain = 3");
    a_number_in_quotes: train("batch_size = \"8\"");
    a_fraction_for_a_whole_number: with("epochs = 2", "epochs = 2.5");
    a_misspelt_choice: train("schedule = \"liner\"");
    a_dropout_of_one: with("[train]", "[model]\ndropout = 1.0\n\n[train]");
    a_list_where_one_value_belongs: with("epochs = 2", "epochs = [2, 3]");
    a_learning_rate_that_is_no_number: train("learning_rate = nan");
}

// Words of other programs, and advice that must work when it is followed.
wrong! {
    words_of_transformers: train("per_device_train_batch_size = 16\nnum_train_epochs = 3.0\nwarmup_steps = 500\nfp16 = true");
    words_of_optuna_in_the_space: space("lr = { low = 1e-5, high = 1e-3, log = true }\nmax_length = { choice = [64, 128] }\noptimizer = { grid = [\"adam\"] }");
    words_of_wandb_in_a_form: space("dropout = { distribution = \"uniform\", min = 0.0, max = 0.4 }\nbatch_size = { value = 16 }");
    a_split_in_a_table_of_its_own: single("path = \"all.csv\"") + "\n[split]\ntrain = 0.8\nvalidation = 0.1\ntest = 0.1\n", files: [("all.csv", TWENTY.as_bytes())];
    a_split_in_a_list: single("path = \"all.csv\"\nsplit = [0.8, 0.1, 0.1]"), files: [("all.csv", TWENTY.as_bytes())];
    a_limit_that_is_a_number: data("limit = 100");
    a_space_of_its_own: SPEC.replace("[search.space]", "[space]");
    a_model_that_is_a_text: with("seed = 42", "seed = 42\nmodel = \"bert-base-uncased\"");
    a_table_of_hyperparameters: format!("{SPEC}\n[hyperparameters]\nlr = 1e-5\n");
    a_model_under_another_word: with("[train]", "[model]\nname = \"google-bert/bert-base-uncased\"\n\n[train]");
    several_seeds: with("seed = 42", "seed = [1, 2]");
    shares_in_percent: single("path = \"all.csv\"\nsplit = { train = 80, validation = 10, test = 10 }"), files: [("all.csv", TWENTY.as_bytes())];
    a_share_under_another_word: single("path = \"all.csv\"\nsplit = { train = 0.8, val = 0.1, test = 0.1 }"), files: [("all.csv", TWENTY.as_bytes())];
    truth_values_for_choices: with("[train]", "[model]\nfreeze = true\n\n[text]\nlowercase = true\n\n[train]\nclass_weights = false");
    words_of_python: train("weight_decay = None");
    a_rule_that_is_none: format!("{SPEC}\n[early_stopping]\nrule = \"plateau\"\n");
    strips_without_an_evaluation: format!("{SPEC}\n[early_stopping]\nrule = \"up\"\nstrip = 0\ns = 2.5\n");
    a_bound_below_zero: format!("{SPEC}\n[early_stopping]\nrule = \"gl\"\nalpha = -1\n");
    early_stopping_that_is_switched_on: with("seed = 42", "seed = 42\nearly_stopping = true");
    several_values_at_the_top: with("seed = 42", "seed = 42\nbatch_size = [8, 16]");
    a_name_with_a_space: with("\"first\"", "\"my first sweep\"");
    a_checkpoint_without_its_owner: with("[train]", "[model]\ncheckpoint = \"bert-base-uncased\"\n\n[train]");
    a_spec_in_json: "{\"name\": \"x\", \"data\": {\"path\": \"all.csv\"}}";
    a_sweep_of_wandb: "method: random\nparameters:\n  lr:\n    min: 0.00001\n    max: 0.001\n    distribution: log_uniform_values\n  batch_size:\n    values: [8, 16]\n";
}

// Overrides.
wrong! {
    an_override_without_value: SPEC, set: ["train.epochs"];
    an_override_out_of_bounds: SPEC, set: ["epochs=0"];
    an_override_of_an_unknown_key: SPEC, set: ["train.epoch=3"];
    an_override_that_is_half_a_table: SPEC, set: ["search.space.dropout={ grid=[0.1"];
    an_override_below_a_value: SPEC, set: ["train.epochs.max=3"];
    an_override_with_a_missing_file: SPEC, set: ["data.train=nowhere/train.csv"];
    an_override_of_what_is_swept: SPEC, set: ["learning_rate=1e-4"];
}

// The search space.
wrong! {
    a_reversed_range: space("learning_rate = { uniform = [3e-4, 1e-5] }");
    a_range_of_one_value: space("weight_decay = { uniform = [0.1, 0.1] }");
    a_log_range_that_touches_zero: space("weight_decay = { log_uniform = [0.0, 0.1] }");
    a_range_with_three_bounds: space("weight_decay = { uniform = [0.0, 0.05, 0.1] }");
    a_bound_out_of_bounds: space("dropout = { uniform = [0.0, 1.0] }");
    a_range_for_a_choice: space("schedule = { uniform = [0.0, 1.0] }");
    an_even_range_for_a_whole_number: space("batch_size = { log_uniform = [8, 64] }");
    a_fraction_in_a_whole_range: space("batch_size = { int = [8, 64.5] }");
    a_sampler_that_is_unknown: with("[search.space]", "[search]\nsamples = 8\nsampler = \"bayes\"\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_number_of_trials_and_draws_of_cells: with("[search.space]", "[search]\ntrials = 8\nsamples = 4\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    no_trials_at_all: with("[search.space]", "[search]\ntrials = 0\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_search_that_learns_without_a_number: with("[search.space]", "[search]\nsamples = 4\nsampler = \"tpe\"\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_number_of_trials_of_one_configuration: with("[search.space]\nlearning_rate = { grid = [1e-4, 3e-4] }", "[search]\ntrials = 8");
    a_generation_of_one: with("[search.space]", "[search]\ntrials = 8\ngeneration = 1\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_budget_of_nothing: with("[search.space]", "[search]\nbudget = {}\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_budget_that_is_a_number: with("[search.space]", "[search]\nbudget = 300\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_budget_of_epochs_and_of_time: with("[search.space]", "[search]\nbudget = { epochs = 300, time = \"2h\" }\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_budget_of_no_epochs: with("[search.space]", "[search]\nbudget = { epochs = 0 }\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_budget_of_a_time_without_a_unit: with("[search.space]", "[search]\nbudget = { time = \"120\" }\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_budget_of_trials: with("[search.space]", "[search]\nbudget = { trials = 300 }\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    an_eta_of_one: with("[search.space]", "[search]\ntrials = 8\n[search.halving]\neta = 1\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_first_rung_after_the_last_epoch: with("[search.space]", "[search]\ntrials = 8\n[search.halving]\nfirst = 9\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_first_rung_that_is_a_word: with("[search.space]", "[search]\ntrials = 8\n[search.halving]\nfirst = \"half\"\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_first_rung_before_the_end_of_warm_up: with("epochs = 2\n\n[search.space]", "epochs = 9\nwarmup_ratio = 0.5\n\n[search]\ntrials = 8\n[search.halving]\nfirst = 2\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    halving_of_a_single_epoch: with("epochs = 2\n\n[search.space]", "epochs = 1\n\n[search]\ntrials = 8\n[search.halving]\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    halving_by_a_figure_that_is_unknown: with("[search.space]", "[search]\ntrials = 8\n[search.halving]\nby = \"val_acc\"\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    halving_by_what_is_swept: with("[search.space]", "[search]\ntrials = 8\n[search.halving]\neta = 2\n[search.space]\nmonitor = { grid = [\"val_loss\", \"val_f1\"] }");
    halving_over_epochs_that_are_swept: with("epochs = 2\n\n[search.space]", "\n[search]\ntrials = 8\n[search.halving]\n[search.space]\nepochs = { int = [2, 9] }");
    a_key_of_halving_that_is_unknown: with("[search.space]", "[search]\ntrials = 8\n[search.halving]\nfactor = 3\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    an_enqueued_setting_that_is_not_swept: with("[search.space]", "[search]\ntrials = 8\n[[search.enqueue]]\ndropout = 0.1\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    an_enqueued_value_out_of_the_range: with("[search.space]", "[search]\ntrials = 8\n[[search.enqueue]]\nweight_decay = 0.5\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_configuration_that_is_enqueued_twice: with("[search.space]", "[search]\ntrials = 8\n[[search.enqueue]]\nweight_decay = 0.05\n[[search.enqueue]]\nweight_decay = 0.05\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    an_enqueued_configuration_that_is_no_table: with("[search.space]", "[search]\ntrials = 8\nenqueue = [0.05]\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    more_enqueued_configurations_than_trials: with("[search.space]", "[search]\ntrials = 1\n[[search.enqueue]]\nweight_decay = 0.05\n[[search.enqueue]]\nweight_decay = 0.06\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    an_enqueued_configuration_without_a_number: with("[search.space]", "[search]\nsamples = 4\n[[search.enqueue]]\nweight_decay = 0.05\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_swept_checkpoint_of_a_search_that_learns: with("[search.space]", "[search]\ntrials = 32\nsampler = \"tpe\"\n[search.space]\ncheckpoint = { grid = [\"builtin:mini\", \"owner/other\"] }");
    a_history_of_a_search_that_learns_nothing: with("[search.space]", "[search]\ntrials = 8\nhistory = [\"first\"]\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_history_that_is_no_list: with("[search.space]", "[search]\ntrials = 8\nsampler = \"tpe\"\nhistory = \"first\"\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_confirm_that_is_a_number: with("[search.space]", "[search]\nconfirm = 5\n[search.space]");
    a_confirm_of_a_hundred_and_one: with("[search.space]", "[search]\nconfirm = { top = 101 }\n[search.space]");
    a_confirm_without_a_further_seed: with("[search.space]", "[search]\nconfirm = { repeats = 0 }\n[search.space]");
    a_key_of_confirm_that_is_unknown: with("[search.space]", "[search]\nconfirm = { best = 5, seeds = 4 }\n[search.space]");
    a_confirm_by_a_figure_that_is_unknown: with("[search.space]", "[search]\nconfirm = { by = \"val_los\" }\n[search.space]");
    a_confirm_by_the_test_set: with("[search.space]", "[search]\nconfirm = { by = \"test_f1\" }\n[search.space]");
    a_confirm_by_what_is_swept: with("[search.space]", "[search]\nconfirm = { top = 3 }\n[search.space]\nbest_epoch = { grid = [\"val_loss\", \"val_f1\"] }");
    a_confirm_of_one_configuration: with("[search.space]\nlearning_rate = { grid = [1e-4, 3e-4] }", "[search]\nconfirm = { top = 3 }");
    a_confirm_with_folds: data("folds = 2").replace("[search.space]", "[search]\nconfirm = { top = 1 }\n[search.space]");
    a_confirm_of_too_many_trials: with("[search.space]", "[search]\ntrials = 9000\n[search.confirm]\ntop = 100\nrepeats = 11\n[search.space]\nweight_decay = { uniform = [0.0, 0.1] }");
    a_range_without_samples: space("weight_decay = { uniform = [0.0, 0.1] }");
    an_empty_grid: space("dropout = { grid = [] }");
    a_grid_value_out_of_bounds: space("dropout = { grid = [0.1, 1.5, -0.5] }");
    a_form_that_is_unknown: space("learning_rate = { loguniform = [1e-5, 1e-4] }");
    two_forms_at_once: space("dropout = { grid = [0.1], uniform = [0.0, 0.5] }");
    a_list_without_a_form: space("dropout = [0.1, 0.3]");
    a_swept_setting_that_is_unknown: space("lr = { grid = [1e-4] }");
    a_seed_that_is_swept: space("seed = { grid = [1, 2] }");
    a_setting_that_is_fixed_and_swept: space("epochs = { grid = [1, 2] }");
    more_trials_than_anybody_means: with("[search.space]", "[search]\nrepeats = 1000\n[search.space]\nbatch_size = { grid = [1, 2, 3, 4, 5, 6] }");
}

// Chunks and checkpoints.
wrong! {
    a_chunk_over_the_window: with("[train]", "[text]\nchunk_length = 256\n\n[train]");
    a_swept_chunk_over_the_window_or_too_short: space("chunk_length = { grid = [4, 64, 256] }");
    a_swept_chunk_over_the_window: space("chunk_length = { grid = [64, 256, 512] }");
    a_stride_as_long_as_a_chunk: with("[train]", "[text]\nchunk_length = 64\nchunk_stride = 62\n\n[train]");
    a_swept_chunk_shorter_than_the_default_stride: space("chunk_length = { grid = [16, 64] }");
    a_hub_checkpoint_that_nobody_gives: with("[train]", "[model]\ncheckpoint = \"owner/unknown\"\n\n[train]");
    a_checkpoint_that_is_not_there: with("[train]", "[model]\ncheckpoint = \"models/../mini\"\n\n[train]");
    a_built_in_checkpoint_that_cannot_be_used: with("[train]", "[model]\ncheckpoint = \"builtin:broken\"\n\n[train]");
    more_frozen_layers_than_there_are: with("[train]", "[model]\nfreeze = 12\n\n[train]");
}

// Where trials run.
wrong! {
    an_executor_that_is_unknown: executor("kind = \"slrum\"");
    an_executor_that_is_a_text: with("seed = 42", "seed = 42\nexecutor = \"slurm\"");
    a_key_of_a_cluster_without_its_kind: executor("partition = \"gpu\"\nworkers = 4");
    a_key_of_a_cluster_on_this_machine: executor("kind = \"local\"\ngpus = 1");
    a_number_of_workers_for_this_machine: SPEC, set: ["executor.workers=4"];
    a_misspelt_key_of_the_executor: slurm("partion = \"gpu\"");
    a_key_of_the_executor_in_the_wrong_section: run("partition = \"gpu\"");
    a_mode_that_is_unknown: slurm("mode = \"job_per_trial\"");
    no_workers: slurm("workers = 0");
    workers_in_quotes: slurm("workers = \"8\"");
    a_partition_of_two_words: slurm("partition = \"gpu long\"");
    partitions_in_a_list: slurm("partition = [\"gpu\", \"long\"]");
    an_account_with_a_line_break: slurm("account = \"nlp\\n#SBATCH --uid=0\"");
    an_empty_quality_of_service: slurm("qos = \"\"");
    a_time_as_slurm_writes_it: slurm("time = \"02:00:00\"");
    a_time_without_a_unit: slurm("time = 120");
    a_time_below_a_minute: slurm("time = \"30s\"");
    gpus_as_slurm_writes_them: slurm("gpus = \"gpu:a100:2\"");
    a_kind_of_gpu_without_a_number: slurm("gpus = \"a100\"");
    no_gpus: slurm("gpus = 0");
    a_fraction_of_a_gpu: slurm("gpus = 0.5");
    no_processors: slurm("cpus = 0");
    memory_as_slurm_writes_it: slurm("memory = \"16G\"");
    memory_without_a_unit: slurm("memory = 16");
    an_extra_that_is_a_text: slurm("extra = \"--exclude=n7\"");
    an_extra_without_dashes: slurm("extra = [\"partition=x\"]");
    an_extra_of_two_words: slurm("extra = [\"--reservation course\"]");
    an_extra_that_the_script_sets: slurm("extra = [\"--exclude=n7\", \"--job-name=x\", \"--array=1-9\", \"--wrap=ls\", \"--no-requeue\"]");
    an_extra_that_has_a_key: slurm("extra = [\"--partition=gpu\", \"--mem=4G\"]");
    an_extra_of_two_lines: slurm("extra = [\"--comment=a\\n#SBATCH --uid=0\"]");
    an_extra_beside_the_key_that_it_replaces: slurm("gpus = 1\nextra = [\"--gres=shard:1\"]");
    an_extra_that_is_no_text: slurm("extra = [7]");
    a_setup_that_is_a_text: slurm("setup = \"module load cuda\"");
    a_setup_with_a_line_for_sbatch: slurm("setup = [\"#SBATCH --mem=4G\"]");
    a_look_at_the_queue_without_a_pause: slurm("poll = \"500ms\"");
    a_worker_that_is_lost_at_once: slurm("lost_after = \"1s\"");
    no_job_that_may_wait: slurm("pending = 0");
}

#[test]
fn a_spec_for_a_cluster_runs_here_too_if_an_option_says_so() {
    let spec = slurm("partition = \"gpu\"\nworkers = 4");
    let reading = read(&good(), &spec, &["executor.kind=local"]).unwrap();
    assert_eq!(reading.spec.executor, ExecutorSpec::Local);
    let message = message(&spec, &[], &["executor.kind=local", "executor.workers=2"]);
    assert!(message.contains("`workers` says how a cluster is used"), "{message}");
}

#[test]
fn everything_that_a_cluster_is_asked_for_can_be_written() {
    let spec = slurm(
        "mode = \"job-per-trial\"\nworkers = 8\npartition = \"gpu,long\"\naccount = \"nlp\"\nqos = \"high\"\ntime = \"1h 30min\"\n\
         gpus = \"a100:2\"\ncpus = 4\nmemory = \"16GB\"\nconstraint = \"avx512&ib\"\nextra = [\"--exclude=n7\"]\n\
         setup = [\"module load cuda\"]\npoll = \"30s\"\nlost_after = \"5min\"\npending = 9",
    );
    let text = |text: &str| Some(text.to_owned());
    let options = SlurmOptions {
        mode: Mode::JobPerTrial,
        workers: Some(8),
        partition: text("gpu,long"),
        account: text("nlp"),
        qos: text("high"),
        time: Some(Duration::from_mins(90)),
        gpus: text("a100:2"),
        cpus: 4,
        memory: Some(ByteSize(16_000_000_000)),
        constraint: text("avx512&ib"),
        extra: vec!["--exclude=n7".to_owned()],
        setup: vec!["module load cuda".to_owned()],
        poll: Duration::from_secs(30),
        lost_after: Duration::from_mins(5),
        pending_max: 9,
    };
    assert_eq!(read(&good(), &spec, &[]).unwrap().spec.executor, ExecutorSpec::Slurm(Box::new(options)));
    let reading =
        read(&good(), SPEC, &["executor.kind=slurm", "executor.workers=4", "executor.gpus=1"]).unwrap();
    let options = SlurmOptions { workers: Some(4), gpus: text("1"), ..SlurmOptions::default() };
    assert_eq!(reading.spec.executor, ExecutorSpec::Slurm(Box::new(options)));
}

// The data section.
wrong! {
    data_without_files: single("");
    one_file_and_three: data("path = \"all.csv\"");
    a_validation_set_that_is_missing: with("validation = \"dev.csv\"\n", "");
    a_split_of_three_files: data("split = { train = 0.7, validation = 0.15, test = 0.15 }");
    shares_that_do_not_sum_to_one: single("path = \"train.csv\"\nsplit = { train = 0.7, validation = 0.2, test = 0.2 }");
    shares_that_are_negative_or_nothing: single("path = \"train.csv\"\nsplit = { train = 1.1, validation = -0.1, test = 0 }");
    a_share_that_is_missing: single("path = \"train.csv\"\nsplit = { train = 0.7, validation = 0.3 }");
    a_built_in_data_set_that_is_unknown: single("path = \"builtin:review\"");
    text_and_label_in_one_column: data("text = \"label\"");
    a_policy_for_duplicates_that_is_unknown: data("duplicates = \"dropp\"");
    a_table_of_duplicates_with_wrong_words: with("[train]", "[data.duplicates]\nexact = \"off\"\nnormalized = \"drop\"\nnear = true\n\n[train]");
    a_threshold_of_near_duplicates_in_percent: with("[train]", "[data.duplicates]\nnear_threshold = 70\n\n[train]");
    a_threshold_outside_of_its_table: data("near_threshold = 0.8");
    one_fold: data("folds = 1");
    folds_that_are_a_word: data("folds = \"five\"");
    folds_by_another_name: data("n_splits = 5");
    folds_among_the_keys_of_a_search: with("[search.space]", "[search]\nfolds = 5\n[search.space]");
    a_limit_of_a_validation_set_that_is_not_there: with("validation = \"dev.csv\"\n", "").replace("[train]", "folds = 2\nlimit = { validation = 2 }\n\n[train]");
    more_folds_than_documents: data("folds = 7");
    a_class_in_one_fold_only: data("folds = 2"), files: [("dev.csv", "text,label\n位置方便,1\n隔音太差,0\n一般,2\n".as_bytes())];
    folds_that_make_too_many_trials: data("folds = 6").replace("grid = [1e-4, 3e-4]", "log_uniform = [1e-4, 3e-4]").replace("[search.space]", "[search]\nsamples = 2000\n[search.space]");
    a_group_that_is_a_number: data("group = 3");
    a_group_of_generated_reviews: single("path = \"builtin:reviews\"\ngroup = \"product\"");
    a_group_without_its_column: data("group = \"product\"");
    a_group_that_is_one_for_all: single("path = \"all.csv\"\ngroup = \"label\""), files: [("all.csv", TWENTY.as_bytes())];
    an_average_that_is_unknown: data("average = \"wieghted\"");
    a_limit_of_nothing: data("limit = { train = 0 }");
    a_limit_below_the_number_of_classes: data("limit = { train = 1 }");
}

// Data files.
wrong! {
    two_files_that_are_missing: with("train.csv", "trian.csv").replace("dev.csv", "val.csv");
    a_file_with_an_unknown_ending: with("train.csv", "train.txt"), files: [("train.txt", b"a")];
    a_column_that_is_missing: data("text = \"texts\"");
    a_column_in_a_file_with_other_separators: SPEC, files: [("train.csv", "text:label\n好:1\n".as_bytes())];
    a_column_that_stands_twice: SPEC, files: [("train.csv", "text,label,text\n好,1,坏\n".as_bytes())];
    a_file_that_is_empty: SPEC, files: [("train.csv", b"")];
    a_file_with_nothing_but_a_header: SPEC, files: [("train.csv", b"text,label\n")];
    a_label_that_is_empty: SPEC, files: [("train.csv", "text,label\n好,1\n坏,\n".as_bytes())];
    a_text_that_is_empty: SPEC, files: [("train.csv", "text,label\n好,1\n  ,0\n".as_bytes())];
    a_row_with_a_field_too_many: SPEC, files: [("train.csv", "text,label\n好,1\n坏,很坏,0\n".as_bytes())];
    a_quote_that_is_never_closed: SPEC, files: [("train.csv", "text,label\n好,1\n\"坏,0\n差,0\n".as_bytes())];
    text_behind_a_closing_quote: SPEC, files: [("train.csv", "text,label\n\"15\" disk\",1\n坏,0\n\"a\"b,1\n".as_bytes())];
    rows_that_a_quote_has_swallowed: SPEC, files: [("train.csv", "text,label\n好,1\n\"坏,0\n差,0\n好,1\ntv 5\",0\n很好,1\n".as_bytes())];
    a_file_in_another_encoding: SPEC, files: [("train.csv", b"text,label\n\xb7\xbf\xbc\xe4\xba\xdc\xb8\xc9\xbe\xbb\xb7\xfe\xce\xf1\xba\xdc\xba\xc3,1\n")];
    an_encoding_that_is_unknown: data("encoding = \"gbk18030\"");
    an_old_workbook: SPEC, files: [("train.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on")];
    columns_with_other_names: SPEC, files: [("train.csv", "id,review_text,sentiment\n1,好,1\n".as_bytes())];
    faults_in_two_files_and_a_wrong_class: data("positive = \"yes\""), files: [
        ("train.csv", "text,label\n房间很大,1\n早餐难吃,0\n屏幕清晰,\n服务冷淡,0\n真好,1\n".as_bytes()),
        ("dev.csv", "text,label\n位置方便,1\n,0\n隔音太差,0\n".as_bytes())
    ];
    json_that_cannot_be_read: with("train.csv", "train.jsonl"), files: [("train.jsonl", b"{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \n")];
    json_that_is_no_object: with("train.csv", "train.jsonl"), files: [("train.jsonl", b"[\"a\", 1]\n")];
    an_object_without_label: with("train.csv", "train.jsonl"), files: [("train.jsonl", b"{\"text\": \"a\", \"class\": 1}\n")];
    a_text_that_is_a_number: with("train.csv", "train.jsonl"), files: [("train.jsonl", b"{\"text\": 5, \"label\": 1}\n")];
    one_class_only: SPEC, files: [
        ("train.csv", "text,label\n好,1\n".as_bytes()),
        ("dev.csv", "text,label\n很好,1\n".as_bytes()),
        ("test.csv", "text,label\n真好,1\n".as_bytes())
    ];
    a_class_that_training_never_shows: SPEC, files: [("test.csv", "text,label\n好,1\n一般,2\n".as_bytes())];
    a_positive_label_that_is_none: data("positive = \"yes\"");
    an_average_of_two_classes: data("average = \"weighted\"");
    a_label_that_would_speak_to_the_terminal: SPEC, files: [("test.csv", "text,label\n好,1\n坏,\"\u{1b}[31m, 0\"\n".as_bytes())];
    leaks_where_none_are_allowed: data("duplicates = \"error\""), files: [("test.csv", "text,label\n 房间很大,1\n隔音太差,0\n".as_bytes())];
    near_duplicates_where_none_are_allowed: with("[train]", "[data.duplicates]\nnear = \"error\"\n\n[train]"), files: [
        ("train.csv", "text,label\n房间很大，服务也好，就是离地铁站太远了一点，下次还会再来,1\n早餐难吃,0\n".as_bytes()),
        ("test.csv", "text,label\n房间很大，服务也好，就是离地铁站太远了一点，下次还会来,1\n隔音太差,0\n".as_bytes())
    ];
    a_test_set_that_is_the_training_set: with("test.csv", "train.csv");
    a_class_too_small_to_be_split: single("path = \"one.csv\""), files: [("one.csv", "text,label\n好,1\n坏,0\n".as_bytes())];
}

// The run section.
wrong! {
    a_key_of_the_run_in_another_section: train("keep = 3\nsignal = 2\ntime_limit = \"1h\"");
    a_setting_in_the_run_section: run("epochs = 3\nstall = \"1h\"");
    a_key_of_the_run_that_is_swept: space("stall_limit = { grid = [\"1h\"] }");
    a_time_without_its_unit: run("stall_limit = 600\ncheckpoint_every = \"600\"");
    times_that_are_none: run("start_up_limit = \"soon\"\nstall_limit = \"0s\"\ntime_limit = true\ncheckpoint_every = 0");
    a_word_for_keep_that_is_misspelt: run("keep = \"best_of_sweeps\"");
    sizes_that_are_none: run("cache = 4");
    a_size_in_a_unit_that_is_unknown: run("cache = \"4GiB\"");
    parameters_of_no_trial: run("keep = 0");
    a_word_for_fuse_that_is_misspelt: run("fuse = \"of\"");
    no_trials_to_fuse: run("fuse = 0");
    trials_of_a_gpu_that_are_none: run("trials_per_gpu = 0");
    trials_of_a_gpu_in_quotes: run("trials_per_gpu = \"4\"");
    a_wish_that_is_neither_true_nor_false: run("reuse = \"yes\"");
    retries_that_are_none: run("[run.retries]\nsignal = -1\nexit = \"twice\"\noom = 1\ndisk_full = 1");
    retries_that_are_no_table: run("retries = 3");
}

// Everything at once.
wrong! {
    many_problems_at_once: with("epochs = 2", "epochs = 0\nlerning_rate = 1e-4")
        .replace("learning_rate = { grid", "dropout = { gird")
        .replace("dev.csv", "none.csv"), set: ["batch_size=many"];
}

fn parsed(text: &str, overrides: &[String]) -> Result<spec::Spec, SpecError> {
    let base = Path::new("/sweeps");
    spec::parse(&spec::SpecText { name: "spec.toml", text, overrides, base, working: base })
}

#[test]
fn a_spec_cut_anywhere_is_read_or_refused_with_a_message() {
    let text = with("train.csv", "训练.csv").replace("\"first\"", "\"第一\"");
    for (end, _) in text.char_indices() {
        if let Err(error) = parsed(&text[..end], &[]) {
            assert!(error.to_string().contains("spec.toml:"), "cut at {end}: {error}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn an_override_of_any_kind_is_read_or_refused_with_a_message(
        key in "(train\\.epochs|search\\.space\\.[a-z_]{0,8}|data\\.(split|limit|positive)|[a-z.]{0,12})",
        value in "([0-9.e-]{0,6}|\\{ ?(grid|int|uniform|log_uniform) ?= ?\\[[0-9., -]{0,9}\\]? ?\\}|\\PC{0,12})",
    ) {
        if let Err(error) = parsed(SPEC, &[format!("{key}={value}")]) {
            proptest::prop_assert!(error.to_string().contains(":1:") || error.to_string().contains("spec.toml:"));
        }
    }
}
