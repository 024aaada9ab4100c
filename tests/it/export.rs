//! Models out and in again: every family, both poolings, both precisions.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use sweep::train::{Catalog, Weights};
use tempfile::TempDir;

const FAMILIES: [(&str, &str); 3] =
    [("tiny-bert", "Bert"), ("tiny-roberta", "Roberta"), ("tiny-distilbert", "DistilBert")];

/// Tokens of the texts below, after those that are special to the family.
const TOKENS: &str = "很 好 满 意 喜 欢 推 荐 差 失 望 讨 厌 后 悔 房 间 里 的 灯 ，";

/// A folder with data, and a place for checkpoints and results.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut csv = String::from("text,label\n");
        for index in 0..90 {
            let (words, label) = match index % 3 {
                0 => (["很好", "满意"], "good"),
                1 => (["很差", "失望"], "bad"),
                _ => (["房间", "的灯"], "so, so"),
            };
            let filler = "里的".repeat(index % 7);
            writeln!(csv, "{filler}，{}{}，\"{label}\"", words[index / 3 % 2], "，".repeat(index / 6))
                .unwrap();
        }
        fs::write(root.path().join("data.csv"), csv.replace("，\"", ",\"")).unwrap();
        Self(root)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The random encoder of `tests/fixtures/<fixture>` with a tokenizer.
    fn checkpoint(&self, fixture: &str) -> PathBuf {
        let folder = self.path(fixture);
        fs::create_dir_all(&folder).unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
        for name in ["config.json", "model.safetensors"] {
            fs::copy(from.join(name), folder.join(name)).unwrap();
        }
        let special = "[PAD] [UNK] [CLS] [SEP] [MASK] ";
        fs::write(folder.join("vocab.txt"), (special.to_owned() + TOKENS).replace(' ', "\n")).unwrap();
        fs::write(folder.join("tokenizer_config.json"), r#"{"do_lower_case": true}"#).unwrap();
        folder
    }

    fn sweep(&self, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_sweep"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Trains one trial from `checkpoint` and exports it to `out`.
    fn train(&self, name: &str, checkpoint: &Path, pooling: &str, rate: &str, out: &Path) {
        let spec = format!(
            "name = {name:?}\nseed = 3\n[data]\npath = \"data.csv\"\n[model]\ncheckpoint = \"{}\"\n\
             pooling = {pooling:?}\n[text]\nchunk_length = 16\nchunk_stride = 4\n[train]\nepochs = 1\n\
             learning_rate = {rate}\n",
            checkpoint.display()
        );
        fs::write(self.path("spec.toml"), spec).unwrap();
        self.sweep(&["run", "spec.toml", "--devices", "cpu:1"]);
        self.sweep(&["export-best", name, "--out", out.to_str().unwrap()]);
    }
}

fn weights(folder: &Path) -> Weights {
    Catalog::open(folder).unwrap().load_all().unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn what_was_exported_is_a_checkpoint_that_gives_the_same_model_again() {
    let place = Place::new();
    for (fixture, class) in FAMILIES {
        for pooling in ["cls", "mean"] {
            let [first, second] = [1, 2].map(|round| place.path(&format!("{fixture}-{pooling}-{round}")));
            place.train(&format!("{fixture}-{pooling}"), &place.checkpoint(fixture), pooling, "1e-3", &first);
            // So slow that nothing moves.
            place.train(&format!("{fixture}-{pooling}-again"), &first, pooling, "1e-30", &second);
            assert_eq!(weights(&first), weights(&second), "{fixture} {pooling}");
            for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
                assert_eq!(json(&first.join(name)), json(&second.join(name)), "{fixture} {pooling} {name}");
            }
            let architecture = match pooling {
                "cls" => format!("{class}ForSequenceClassification"),
                _ => format!("MeanPooling{class}ForSequenceClassification"),
            };
            let config = json(&first.join("config.json"));
            assert_eq!(config["architectures"], serde_json::json!([architecture]));
            assert_eq!(config["id2label"], serde_json::json!({ "0": "bad", "1": "good", "2": "so, so" }));
            assert_eq!(first.join("modeling_sweep.py").exists(), pooling == "mean");
        }
    }
}

#[test]
fn the_code_for_mean_pooling_names_the_familys_own_classes() {
    let place = Place::new();
    for (fixture, lines) in [
        ("tiny-bert", ["self.bert = BertModel(config, add_pooling_layer=False)", "hidden = self.bert("]),
        (
            "tiny-roberta",
            ["self.roberta = RobertaModel(config, add_pooling_layer=False)", "hidden = self.roberta("],
        ),
        ("tiny-distilbert", ["self.distilbert = DistilBertModel(config)", "hidden = self.distilbert("]),
    ] {
        let out = place.path("out");
        place.train(fixture, &place.checkpoint(fixture), "mean", "1e-3", &out);
        let code = fs::read_to_string(out.join("modeling_sweep.py")).unwrap();
        assert!(lines.iter().all(|line| code.contains(line)), "{code}");
        assert!(fixture == "tiny-bert" || !code.contains("self.bert"), "{code}");
        let types = json(&out.join("tokenizer_config.json"))["model_input_names"].to_string();
        assert_eq!(types.contains("token_type_ids"), fixture != "tiny-distilbert");
    }
}

#[test]
fn half_precision_halves_the_file_and_keeps_the_classes() {
    let place = Place::new();
    let (whole, half) = (place.path("whole"), place.path("half"));
    place.train("whole", &place.checkpoint("tiny-bert"), "cls", "1e-3", &whole);
    place.sweep(&["export-best", "whole", "--out", half.to_str().unwrap(), "--dtype", "f16"]);
    let size = |folder: &Path| fs::metadata(folder.join("model.safetensors")).unwrap().len();
    assert!(size(&half) < size(&whole) * 6 / 10);
    assert_eq!(json(&half.join("config.json"))["dtype"], "float16");
    for (name, stored) in weights(&whole).iter() {
        let half = weights(&half).get(name).unwrap().values.clone();
        for (a, b) in stored.values.iter().zip(half) {
            assert!((a - b).abs() <= a.abs() * 5e-4 + 1e-7, "{name}: {a} {b}");
        }
    }
    let classes = |model: &Path| {
        let texts = ["很好，满意", "失望，很差", "房间的灯"];
        let arguments = ["predict", "--format", "json", "--model", model.to_str().unwrap()];
        let output = place.sweep(&[&arguments[..], &texts[..]].concat());
        let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        answers.into_iter().map(|answer| answer["label"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(classes(&whole), classes(&half));
}

#[test]
fn lower_casing_that_a_spec_asks_for_goes_out_with_the_model() {
    let place = Place::new();
    let checkpoint = place.checkpoint("tiny-bert");
    fs::write(checkpoint.join("tokenizer_config.json"), r#"{"do_lower_case": false}"#).unwrap();
    let out = place.path("out");
    place.train("kept", &checkpoint, "cls", "1e-3", &out);
    let lowercase = |folder: &Path| json(&folder.join("tokenizer.json"))["normalizer"]["lowercase"].clone();
    assert_eq!(lowercase(&out), false);
    place.sweep(&["run", "spec.toml", "--set", "name=lower", "--set", "text.lowercase=yes"]);
    place.sweep(&["export-best", "lower", "--out", out.to_str().unwrap()]);
    assert_eq!(lowercase(&out), true);
    // `transformers` takes tokenizer.json as it is then.
    assert_eq!(json(&out.join("tokenizer_config.json"))["tokenizer_class"], "PreTrainedTokenizerFast");
}

#[test]
fn nothing_of_others_is_replaced_and_nothing_damaged_goes_out() {
    let place = Place::new();
    let out = place.path("out");
    place.train("one", &place.checkpoint("tiny-bert"), "cls", "1e-3", &out);
    let export = || {
        let arguments = ["export-best", "one", "--out", "out"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        let output = command.args(arguments).current_dir(place.0.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(export().0, Some(0));
    fs::write(out.join("notes.txt"), "precious").unwrap();
    let (code, message) = export();
    assert_eq!(code, Some(5));
    assert!(message.contains("notes.txt") && message.contains("--out"), "{message}");
    fs::remove_file(out.join("notes.txt")).unwrap();

    let before = fs::read(out.join("model.safetensors")).unwrap();
    let parameters = place.path("results/one/trials/0001/best/model.safetensors");
    fs::write(&parameters, &before[..1000]).unwrap();
    let (code, message) = export();
    assert_eq!(code, Some(5));
    assert!(message.contains("not a whole safetensors file"), "{message}");
    assert_eq!(fs::read(out.join("model.safetensors")).unwrap(), before);
}
