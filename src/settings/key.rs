//! One setting: its name, table, values and description.

use super::{fields::Settings, value::Value};

/// The table of a spec in which a setting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[model]`
    Model,
    /// `[text]`
    Text,
    /// `[train]`
    Train,
    /// `[early_stopping]`
    EarlyStopping,
}

impl Section {
    /// The table's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Text => "text",
            Self::Train => "train",
            Self::EarlyStopping => "early_stopping",
        }
    }
}

/// The values that a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueKind {
    /// A whole number, both bounds included.
    Int {
        /// Lowest.
        min: i64,
        /// Highest.
        max: i64,
    },
    /// A number between two bounds. An infinite upper bound stands for no upper bound.
    Float {
        /// Lower bound.
        min: f64,
        /// Whether the lower bound itself is allowed.
        min_included: bool,
        /// Upper bound.
        max: f64,
        /// Whether the upper bound itself is allowed.
        max_included: bool,
    },
    /// One of these names.
    Choice(&'static [&'static str]),
    /// Any text but the empty one.
    Text,
    /// A number of layers, or `"encoder"`.
    Freeze,
}

/// One setting: its name, its table, the values that it takes, and its field in [`Settings`].
pub struct SettingKey {
    /// Its name in a spec.
    pub name: &'static str,
    /// Its table.
    pub section: Section,
    /// The values that it takes.
    pub kind: ValueKind,
    /// What it does, on one line.
    pub about: &'static str,
    /// Reads the field.
    pub(super) get: fn(&Settings) -> Value,
    /// Writes the field; `None` when the value has the wrong type.
    pub(super) set: fn(&mut Settings, &Value) -> Option<()>,
}

/// Why a value cannot be given to a setting.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}` must be {expected}, not {found}")]
pub struct ValueError {
    /// The setting.
    pub key: &'static str,
    /// The values that it takes, in words.
    pub expected: String,
    /// The value that was given.
    pub found: String,
}

impl ValueKind {
    /// The values that the setting takes, in words, for messages and the reference.
    #[must_use]
    pub fn describe(&self) -> String {
        match *self {
            Self::Int { min, max: i64::MAX } => format!("a whole number of at least {min}"),
            Self::Int { min, max } => format!("a whole number from {min} to {max}"),
            Self::Float { min, min_included, max, .. } if max.is_infinite() => {
                if min_included {
                    format!("a number of at least {min}")
                } else {
                    format!("a number above {min}")
                }
            }
            Self::Float { min, min_included, max, max_included } => format!(
                "a number in {}{min}, {max}{}",
                if min_included { '[' } else { '(' },
                if max_included { ']' } else { ')' },
            ),
            Self::Choice(names) => {
                let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Text => "a text that is not empty".to_owned(),
            Self::Freeze => "a number of layers, or \"encoder\"".to_owned(),
        }
    }

    /// Whether the setting takes `value`. A whole number is accepted for [`ValueKind::Float`].
    #[must_use]
    pub fn admits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Int { min, max }, Value::Int(int)) => (min..=max).contains(&int),
            (Self::Float { min, min_included, max, max_included }, Value::Int(_) | Value::Float(_)) => {
                value.as_f64().is_some_and(|float| {
                    float.is_finite()
                        && (float > *min || (*min_included && float >= *min))
                        && (float < *max || (*max_included && float <= *max))
                })
            }
            (Self::Choice(names), Value::Text(text)) => names.contains(&text.as_str()),
            (Self::Text, Value::Text(text)) => !text.trim().is_empty(),
            (Self::Freeze, Value::Int(int)) => (0..=1024).contains(int),
            (Self::Freeze, Value::Text(text)) => text == "encoder",
            _ => false,
        }
    }

    /// Whether values of this kind are numbers, so that a range makes sense.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Int { .. } | Self::Float { .. })
    }
}

impl SettingKey {
    /// This setting's value in `settings`.
    #[must_use]
    pub fn get(&self, settings: &Settings) -> Value {
        (self.get)(settings)
    }

    /// Gives this setting `value`.
    ///
    /// # Errors
    /// When the value is of another kind or out of bounds; `settings` is unchanged then.
    pub fn set(&self, settings: &mut Settings, value: &Value) -> Result<(), ValueError> {
        let error = || ValueError { key: self.name, expected: self.kind.describe(), found: quoted(value) };
        if !self.kind.admits(value) {
            return Err(error());
        }
        (self.set)(settings, value).ok_or_else(error)
    }
}

#[cfg(test)]
impl SettingKey {
    /// `base` with another value of this setting.
    pub(super) fn another(&self, base: &Settings) -> Settings {
        let words = self.kind.describe();
        let texts = words.split('"').map(|word| Value::Text(word.to_owned()));
        let values = texts.chain([Value::Int(9), Value::Float(0.5), Value::Text("other".to_owned())]);
        let set = |value| {
            let mut other = base.clone();
            self.set(&mut other, &value).ok().map(|()| other)
        };
        values.filter_map(set).find(|other| self.get(other) != self.get(base)).unwrap()
    }
}

/// `value` for a message: texts in quotes.
fn quoted(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Int(_) | Value::Float(_) => value.to_string(),
    }
}
