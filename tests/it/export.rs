//! Models out and in again: every family, both poolings, both precisions.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use serde_json::{Value, json};
use sweep::train::{Catalog, Weights};

use crate::common::{checkpoint, place::Place, program::Written, texts::csv};

const FAMILIES: [(&str, &str); 3] =
    [("tiny-bert", "Bert"), ("tiny-roberta", "Roberta"), ("tiny-distilbert", "DistilBert")];

fn row(index: usize) -> (String, &'static str) {
    let (words, label) = match index % 3 {
        0 => (["很好", "满意"], "good"),
        1 => (["很差", "失望"], "bad"),
        _ => (["房间", "的灯"], "so, so"),
    };
    let filler = "里的".repeat(index % 7);
    (format!("{filler}，{}{}", words[index / 3 % 2], "，".repeat(index / 6)), label)
}

fn with_data(place: Place) -> Place {
    place.write("data.csv", csv((0..90).map(row)));
    place
}

/// A folder with data; [`train`] writes the spec.
fn place() -> Place {
    with_data(Place::new("spec", ""))
}

/// The checkpoint of `tests/fixtures/<fixture>`.
fn checkpoint(place: &Place, fixture: &str) -> PathBuf {
    let folder = place.path(fixture);
    checkpoint::write(fixture, &folder);
    fs::write(folder.join("tokenizer_config.json"), r#"{"do_lower_case": true}"#).unwrap();
    folder
}

/// A sweep of one trial.
struct Recipe<'a> {
    name: &'a str,
    checkpoint: &'a Path,
    pooling: &'a str,
    learning_rate: &'a str,
}

impl<'a> Recipe<'a> {
    fn new(name: &'a str, checkpoint: &'a Path) -> Self {
        Self { name, checkpoint, pooling: "cls", learning_rate: "1e-3" }
    }

    fn train(&self, place: &Place) {
        let Self { name, checkpoint, pooling, learning_rate } = self;
        place.write_spec(&format!(
            "name = {name:?}\nseed = 3\n[data]\npath = \"data.csv\"\n[model]\ncheckpoint = \"{}\"\n\
             pooling = {pooling:?}\n[text]\nchunk_length = 16\nchunk_stride = 4\n[train]\nepochs = 1\n\
             learning_rate = {learning_rate}\n",
            checkpoint.display()
        ));
        place.run(&["--devices", "cpu:1"]).succeeded();
    }

    /// Trains, and exports to `out`.
    fn export(&self, place: &Place, out: &Path) {
        self.train(place);
        place.sweep(&["export-best", self.name, "--trial", "1", "--out", out.to_str().unwrap()]).succeeded();
    }
}

fn weights(folder: &Path) -> Weights {
    Catalog::open(folder).unwrap().load_all().unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A model that was trained from a fixture, and one that was trained from the first without moving.
struct Twice {
    class: &'static str,
    pooling: &'static str,
    first: PathBuf,
    second: PathBuf,
}

/// Both poolings of every family.
static TWICE: LazyLock<(Place, Vec<Twice>)> = LazyLock::new(|| {
    let place = with_data(Place::shared("spec", ""));
    let all = FAMILIES.into_iter().flat_map(|family| ["cls", "mean"].map(|pooling| (family, pooling)));
    let twice = |((fixture, class), pooling)| {
        let [first, second] = [1, 2].map(|round| place.path(format!("{fixture}-{pooling}-{round}")));
        let name = format!("{fixture}-{pooling}");
        let from = checkpoint(&place, fixture);
        Recipe { pooling, ..Recipe::new(&name, &from) }.export(&place, &first);
        // So slow that nothing moves.
        let (name, learning_rate) = (format!("{name}-again"), "1e-30");
        Recipe { pooling, learning_rate, ..Recipe::new(&name, &first) }.export(&place, &second);
        Twice { class, pooling, first, second }
    };
    let twice = all.map(twice).collect();
    (place, twice)
});

#[test]
fn what_was_exported_is_a_checkpoint_that_gives_the_same_model_again() {
    for Twice { first, second, .. } in &TWICE.1 {
        assert_eq!(weights(first), weights(second), "{}", first.display());
    }
}

#[test]
fn what_was_exported_twice_has_the_same_settings_again() {
    for Twice { first, second, .. } in &TWICE.1 {
        for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
            assert_eq!(json(&first.join(name)), json(&second.join(name)), "{} {name}", first.display());
        }
    }
}

#[test]
fn the_architecture_is_named_by_family_with_the_pooling() {
    for Twice { class, pooling, first, .. } in &TWICE.1 {
        let architecture = match *pooling {
            "cls" => format!("{class}ForSequenceClassification"),
            _ => format!("MeanPooling{class}ForSequenceClassification"),
        };
        assert_eq!(json(&first.join("config.json"))["architectures"], json!([architecture]));
    }
}

#[test]
fn the_classes_go_out_with_their_names() {
    for Twice { first, .. } in &TWICE.1 {
        let classes = &json(&first.join("config.json"))["id2label"];
        assert_eq!(*classes, json!({ "0": "bad", "1": "good", "2": "so, so" }));
    }
}

#[test]
fn only_mean_pooling_goes_out_with_code() {
    for Twice { pooling, first, .. } in &TWICE.1 {
        assert_eq!(first.join("modeling_sweep.py").exists(), *pooling == "mean");
    }
}

#[test]
fn the_code_for_mean_pooling_names_the_familys_own_classes() {
    let mean = TWICE.1.iter().filter(|each| each.pooling == "mean");
    let lines = [
        ["self.bert = BertModel(config, add_pooling_layer=False)", "hidden = self.bert("],
        ["self.roberta = RobertaModel(config, add_pooling_layer=False)", "hidden = self.roberta("],
        ["self.distilbert = DistilBertModel(config)", "hidden = self.distilbert("],
    ];
    for (Twice { class, first, .. }, lines) in mean.zip(lines) {
        let code = fs::read_to_string(first.join("modeling_sweep.py")).unwrap();
        assert!(lines.iter().all(|line| code.contains(line)), "{code}");
        assert!(*class == "Bert" || !code.contains("self.bert"), "{code}");
    }
}

#[test]
fn the_tokenizer_gives_the_inputs_that_the_family_takes() {
    for Twice { class, first, .. } in &TWICE.1 {
        let inputs = json(&first.join("tokenizer_config.json"))["model_input_names"].to_string();
        assert_eq!(inputs.contains("token_type_ids"), *class != "DistilBert", "{class}");
    }
}

/// One model in 32 and in 16 bits.
struct Halved {
    place: Place,
    whole: PathBuf,
    half: PathBuf,
}

static HALVED: LazyLock<Halved> = LazyLock::new(|| {
    let place = with_data(Place::shared("spec", ""));
    let (whole, half) = (place.path("whole"), place.path("half"));
    Recipe::new("whole", &checkpoint(&place, "tiny-bert")).export(&place, &whole);
    place
        .sweep(&["export-best", "whole", "--trial", "1", "--out", half.to_str().unwrap(), "--dtype", "f16"])
        .succeeded();
    Halved { place, whole, half }
});

#[test]
fn half_precision_halves_the_file() {
    let size = |folder: &Path| fs::metadata(folder.join("model.safetensors")).unwrap().len();
    assert!(size(&HALVED.half) < size(&HALVED.whole) * 6 / 10);
}

#[test]
fn half_precision_is_named_in_the_configuration() {
    assert_eq!(json(&HALVED.half.join("config.json"))["dtype"], "float16");
}

#[test]
fn half_precision_rounds_each_value() {
    let halves = weights(&HALVED.half);
    for (name, stored) in weights(&HALVED.whole).iter() {
        for (a, b) in stored.values.iter().zip(&halves.get(name).unwrap().values) {
            assert!((a - b).abs() <= a.abs() * 5e-4 + 1e-7, "{name}: {a} {b}");
        }
    }
}

#[test]
fn half_precision_keeps_the_classes() {
    let [whole, half] = [&HALVED.whole, &HALVED.half].map(|model| {
        let texts = ["很好，满意", "失望，很差", "房间的灯"];
        let arguments = ["predict", "--format", "json", "--model", model.to_str().unwrap()];
        let answers = HALVED.place.sweep(&[&arguments[..], &texts[..]].concat()).succeeded().stdout;
        let answers: Vec<Value> = serde_json::from_str(&answers).unwrap();
        answers.into_iter().map(|answer| answer["label"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(whole, half);
}

#[test]
fn lower_casing_that_a_spec_asks_for_goes_out_with_the_model() {
    let place = place();
    let checkpoint = checkpoint(&place, "tiny-bert");
    fs::write(checkpoint.join("tokenizer_config.json"), r#"{"do_lower_case": false}"#).unwrap();
    let out = place.path("out");
    Recipe::new("kept", &checkpoint).export(&place, &out);
    let lowercase = |folder: &Path| json(&folder.join("tokenizer.json"))["normalizer"]["lowercase"].clone();
    assert_eq!(lowercase(&out), false);
    place.run(&["--set", "name=lower", "--set", "text.lowercase=yes"]).succeeded();
    place.sweep(&["export-best", "lower", "--trial", "1", "--out", out.to_str().unwrap()]).succeeded();
    assert_eq!(lowercase(&out), true);
    // `transformers` takes tokenizer.json as it is then.
    assert_eq!(json(&out.join("tokenizer_config.json"))["tokenizer_class"], "PreTrainedTokenizerFast");
}

/// A sweep `one` whose model was exported to `out`.
fn exported() -> Place {
    let place = place();
    Recipe::new("one", &checkpoint(&place, "tiny-bert")).export(&place, &place.path("out"));
    place
}

fn export_again(place: &Place) -> Written {
    place.sweep(&["export-best", "one", "--trial", "1", "--out", "out"])
}

#[test]
fn an_export_replaces_an_earlier_one() {
    export_again(&exported()).succeeded();
}

#[test]
fn an_export_replaces_nothing_of_others() {
    let place = exported();
    place.write("out/notes.txt", "precious");
    let Written { stderr, .. } = export_again(&place).with_code(5);
    assert!(stderr.contains("notes.txt") && stderr.contains("--out"), "{stderr}");
}

/// What an export over an earlier one writes when the trial's parameters are cut off.
fn export_of_damaged_parameters() -> (Place, Vec<u8>, Written) {
    let place = exported();
    let before = fs::read(place.path("out/model.safetensors")).unwrap();
    place.write("results/one/trials/0001/best/model.safetensors", &before[..1000]);
    let written = export_again(&place).with_code(5);
    (place, before, written)
}

#[test]
fn damaged_parameters_are_not_exported() {
    let (_, _, Written { stderr, .. }) = export_of_damaged_parameters();
    assert!(stderr.contains("is damaged: it has 1000 bytes"), "{stderr}");
}

#[test]
fn an_export_that_is_refused_leaves_the_earlier_one() {
    let (place, before, _) = export_of_damaged_parameters();
    assert_eq!(fs::read(place.path("out/model.safetensors")).unwrap(), before);
}
