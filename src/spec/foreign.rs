//! What other programs (transformers, Optuna, Ray, W&B) write, as the line that says the same here.
//!
//! Every line that is suggested can be read: a value is quoted only if its key takes it.

use serde_json::{Map, Value as Json};

use super::words::{
    Meaning::{Key, Note, Setting},
    meaning,
};
use crate::{
    hub,
    nearest::nearest,
    settings::{self, SettingKey, Value, ValueKind},
};

/// Keys of `[model]` in other programs that name the encoder.
const MODEL_NAMES: [&str; 4] = ["name", "id", "path", "pretrained"];

/// Advice for the key `word` with this value in the table `section` (`None` at the top of the spec), whose keys
/// are `known`.
pub(super) fn advice(word: &str, value: &Json, section: Option<&str>, known: &[&str]) -> Option<String> {
    let place =
        |table: &str| if section == Some(table) { " instead".to_owned() } else { format!(" in [{table}]") };
    let is_model = section == Some("model") && MODEL_NAMES.contains(&word);
    match if is_model { Setting("checkpoint") } else { meaning(word)? } {
        Note(note) => Some(note.to_owned()),
        Key(key, _) if known.contains(&key) => {
            Some(toml(value).map_or_else(
                || format!("it is `{key}` here"),
                |value| format!("write {key} = {value} instead"),
            ))
        }
        Key(key, table) => Some(match toml(value) {
            Some(value) => format!("write {key} = {value}{}", place(table)),
            None => format!("it is `{key}` in [{table}]"),
        }),
        Setting(name) => {
            let key = settings::key(name)?;
            Some(fixed(key, value).map_or_else(
                || format!("it is `{name}` in [{}]: {}", key.section.name(), key.kind.describe()),
                |value| format!("write {name} = {}{}", quoted(&value), place(key.section.name())),
            ))
        }
    }
}

/// Advice for the entry `word` of `[search.space]`.
pub(super) fn swept_advice(word: &str, described: &Json) -> Option<String> {
    match meaning(word)? {
        Note(note) => Some(note.to_owned()),
        Key(key, table) => Some(format!("`{key}` in [{table}] is not swept")),
        Setting(name) => {
            let key = settings::key(name)?;
            Some(domain(key, described).map_or_else(
                || format!("it is called {name} here: {name} = {{ grid = […] }}, or a range"),
                |domain| format!("write {name} = {domain}"),
            ))
        }
    }
}

/// The value that a setting takes and that `value` most likely means.
pub(super) fn fixed(key: &SettingKey, value: &Json) -> Option<Value> {
    let value = match value {
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64()?),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => return None,
    };
    let is_taken = |value: &Value| key.kind.admits(value);
    let meant = match (&key.kind, &value) {
        _ if is_taken(&value) => Some(value),
        // YAML takes `1e-5` for a text.
        (ValueKind::Float { .. }, Value::Text(text)) => text.trim().parse().ok().map(Value::Float),
        (ValueKind::Int { .. }, Value::Text(text)) => text.trim().parse().ok().map(Value::Int),
        (ValueKind::Int { .. }, Value::Float(float)) => float.to_string().parse().ok().map(Value::Int),
        (ValueKind::Choice(names), Value::Text(text)) => choice(names, text).map(Value::Text),
        (
            ValueKind::Int { .. }
            | ValueKind::Float { .. }
            | ValueKind::Choice(_)
            | ValueKind::Text
            | ValueKind::Freeze,
            _,
        ) => None,
    };
    meant.filter(is_taken).map(|value| with_owner(key, value))
}

/// The value of a checkpoint's key with the owner of a classic name; any other value as it is.
fn with_owner(key: &SettingKey, value: Value) -> Value {
    match &value {
        Value::Text(text) if key.name == "checkpoint" && !text.contains('/') => {
            hub::meant(text).filter(|meant| meant.is_exact).map_or(value, |meant| Value::Text(meant.id))
        }
        _ => value,
    }
}

/// The name that another program's `text` most likely means: `linear` for `linear_with_warmup`, `val_f1` for
/// `eval_f1` or `f1`.
pub(super) fn choice(names: &[&str], text: &str) -> Option<String> {
    let text = text.to_lowercase();
    if text == "none" && names.contains(&"constant") {
        return Some("constant".to_owned());
    }
    let begins = |name: &&&str| text.starts_with(&format!("{name}_")) || name.ends_with(&format!("_{text}"));
    names
        .iter()
        .find(begins)
        .copied()
        .or_else(|| nearest(&text, names.iter().copied()))
        .map(ToOwned::to_owned)
}

/// The domain of a setting that another program describes so, as TOML: `{ grid = [64, 128] }`.
///
/// `None` where nothing certain can be said.
pub(super) fn domain(key: &SettingKey, described: &Json) -> Option<String> {
    let described = match described {
        Json::Array(values) => return grid(key, values),
        Json::Object(described) => described,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => return None,
    };
    let first = |names: &[&str]| names.iter().find_map(|name| described.get(*name));
    if let Some(Json::Array(values)) =
        first(&["grid", "values", "choice", "choices", "categories", "options"])
    {
        return grid(key, values);
    }
    let pair = |form: &str| match described.get(form) {
        Some(Json::Array(bounds)) => <&[Json; 2]>::try_from(bounds.as_slice()).ok(),
        _ => None,
    };
    if let Some([low, high]) = pair("log_uniform").or_else(|| pair("loguniform")).or_else(|| pair("log")) {
        return range(key, low, high, true);
    }
    if let Some([low, high]) =
        pair("uniform").or_else(|| pair("range")).or_else(|| pair("int")).or_else(|| pair("randint"))
    {
        return range(key, low, high, false);
    }
    let (low, high) = (first(&["min", "low", "lower"])?, first(&["max", "high", "upper"])?);
    let is_log = matches!(described.get("log"), Some(Json::Bool(true)));
    bounded(key, low, high, described, is_log)
}

/// The domain between two bounds, whose distribution may be named.
fn bounded(
    key: &SettingKey,
    low: &Json,
    high: &Json,
    described: &Map<String, Json>,
    is_log: bool,
) -> Option<String> {
    match described.get("distribution").map(|name| name.as_str().unwrap_or_default()) {
        None => range(key, low, high, is_log),
        Some("uniform" | "int_uniform" | "q_uniform") => range(key, low, high, false),
        Some("log_uniform_values" | "loguniform" | "q_log_uniform_values") => range(key, low, high, true),
        // W&B gives the exponents of e.
        Some("log_uniform") => match (number(low)?, number(high)?) {
            (low, high) if low < 0.0 => {
                let rounded =
                    |exponent: f64| Some(Json::from(format!("{:.1e}", exponent.exp()).parse::<f64>().ok()?));
                range(key, &rounded(low)?, &rounded(high)?, true)
            }
            _ => range(key, low, high, true),
        },
        Some(_) => None,
    }
}

fn number(value: &Json) -> Option<f64> {
    match value {
        Json::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    }
}

/// A list of values that `key` takes.
fn grid(key: &SettingKey, values: &[Json]) -> Option<String> {
    let values: Option<Vec<String>> =
        values.iter().map(|value| fixed(key, value).map(|it| quoted(&it))).collect();
    let values = values.filter(|values| !values.is_empty())?;
    Some(format!("{{ grid = [{}] }}", values.join(", ")))
}

/// A range between two bounds that `key` takes.
fn range(key: &SettingKey, low: &Json, high: &Json, is_log: bool) -> Option<String> {
    let (low, high) = (fixed(key, low)?, fixed(key, high)?);
    let is_range = low.as_f64()? < high.as_f64()?;
    let form = match (&key.kind, is_log) {
        (ValueKind::Int { .. }, _) => "int",
        (ValueKind::Float { .. }, true) if low.as_f64()? > 0.0 => "log_uniform",
        (ValueKind::Float { .. }, false) => "uniform",
        (ValueKind::Float { .. } | ValueKind::Choice(_) | ValueKind::Text | ValueKind::Freeze, _) => {
            return None;
        }
    };
    is_range.then(|| format!("{{ {form} = [{}, {}] }}", quoted(&low), quoted(&high)))
}

/// A value as TOML.
pub(super) fn quoted(value: &Value) -> String {
    match value {
        Value::Text(text) => toml::Value::String(text.clone()).to_string(),
        Value::Int(_) | Value::Float(_) => value.to_string(),
    }
}

/// The characters of the longest value that advice quotes.
const QUOTED_MAX: usize = 120;

/// A value as TOML on one line; `None` if it is long, or not to be written in TOML.
pub(super) fn toml(value: &Json) -> Option<String> {
    let all = |values: Vec<Option<String>>| values.into_iter().collect::<Option<Vec<String>>>();
    let text = match value {
        Json::Null => return None,
        Json::Bool(truth) => truth.to_string(),
        Json::String(text) => quoted(&Value::Text(text.clone())),
        Json::Number(number) => match number.as_i64() {
            Some(int) => int.to_string(),
            None => Value::Float(number.as_f64()?).to_string(),
        },
        Json::Array(values) => format!("[{}]", all(values.iter().map(toml).collect())?.join(", ")),
        Json::Object(entries) => {
            let entry = |(key, value): (&String, &Json)| Some(format!("{} = {}", bare(key)?, toml(value)?));
            format!("{{ {} }}", all(entries.iter().map(entry).collect())?.join(", "))
        }
    };
    (text.len() <= QUOTED_MAX && !text.contains('\n')).then_some(text)
}

/// `key`, if TOML needs no quotes for it.
pub(super) fn bare(key: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!key.is_empty() && key.chars().all(is_plain)).then_some(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    fn said(word: &str, value: &Json) -> String {
        advice(word, value, Some("train"), &["epochs"]).unwrap()
    }

    #[test]
    fn a_word_of_transformers_becomes_a_line_of_ours() {
        assert_eq!(said("per_device_train_batch_size", &json!(16)), "write batch_size = 16 instead");
        assert_eq!(said("num_train_epochs", &json!(3.0)), "write epochs = 3 instead");
        assert_eq!(
            said("lr_scheduler_type", &json!("cosine_with_restarts")),
            "write schedule = \"cosine\" instead"
        );
        assert_eq!(said("max_seq_length", &json!(128)), "write chunk_length = 128 in [text]");
        assert_eq!(
            said("metric_for_best_model", &json!("f1")),
            "write monitor = \"val_f1\" in [early_stopping]"
        );
        assert_eq!(said("model_name_or_path", &json!("a/b")), "write checkpoint = \"a/b\" in [model]");
        assert_eq!(said("train_file", &json!("a.csv")), "write train = \"a.csv\" in [data]");
        assert_eq!(said("run_cap", &json!(20)), "write samples = 20 in [search]");
        assert!(said("fp16", &json!(true)).contains("matmul_precision = \"bf16\" in [train]"));
        assert!(said("warmup_steps", &json!(500)).contains("warmup_ratio = 0.1"));
    }

    #[test]
    fn a_word_is_advised_in_the_table_that_has_its_key() {
        let said = advice("val", &json!(0.1), Some("data.split"), &["train", "validation", "test"]);
        assert_eq!(said.as_deref(), Some("write validation = 0.1 instead"));
        let said = advice("name", &json!("a/b"), Some("model"), &["checkpoint"]);
        assert_eq!(said.as_deref(), Some("write checkpoint = \"a/b\" instead"));
    }

    #[test]
    fn a_value_that_our_key_does_not_take_is_not_suggested() {
        let said = said("lr_scheduler_type", &json!("polynomial"));
        assert_eq!(said, "it is `schedule` in [train]: one of \"linear\", \"cosine\", \"constant\"");
    }

    fn searched(name: &str, described: &Json) -> Option<String> {
        domain(settings::key(name).unwrap(), described)
    }

    #[test]
    fn searches_of_other_programs_become_ours_where_they_are_certain() {
        for (name, described, ours) in [
            ("batch_size", json!({ "values": [8, 16] }), Some("{ grid = [8, 16] }")),
            ("batch_size", json!({ "min": 8, "max": 64 }), Some("{ int = [8, 64] }")),
            ("learning_rate", json!({ "choice": ["1e-5", 3e-5] }), Some("{ grid = [1e-5, 3e-5] }")),
            (
                "learning_rate",
                json!({ "low": 1e-5, "high": 1e-3, "log": true }),
                Some("{ log_uniform = [1e-5, 0.001] }"),
            ),
            ("learning_rate", json!({ "loguniform": [1e-5, 1e-3] }), Some("{ log_uniform = [1e-5, 0.001] }")),
            (
                "learning_rate",
                json!({ "distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3 }),
                Some("{ log_uniform = [1e-5, 0.001] }"),
            ),
            (
                "learning_rate",
                json!({ "distribution": "log_uniform", "min": -11.513, "max": -6.908 }),
                Some("{ log_uniform = [1e-5, 0.001] }"),
            ),
            ("dropout", json!({ "min": 0.0, "max": 0.5 }), Some("{ uniform = [0, 0.5] }")),
            ("dropout", json!({ "distribution": "normal", "mu": 0.1, "sigma": 0.1 }), None),
            ("dropout", json!({ "min": 0.0, "max": 1.5 }), None),
            ("dropout", json!({ "min": 0.5, "max": 0.1 }), None),
            ("pooling", json!({ "values": ["cls", "first"] }), None),
        ] {
            assert_eq!(searched(name, &described).as_deref(), ours, "{name} {described}");
        }
    }
}
