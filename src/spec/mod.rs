//! The spec of a sweep, read and checked.

use crate::{
    data::DataSpec,
    settings::{Settings, Value},
};

/// A spec that was read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The sweep's name: letters, digits, `-`, `_` and `.`; names its results folder.
    pub name: String,
    /// Seeds splits, plan and trials.
    pub seed: u64,
    /// The data.
    pub data: DataSpec,
    /// The settings of every trial where the search space says nothing.
    pub settings: Settings,
    /// What is swept, in the order of the spec.
    pub space: Vec<Parameter>,
    /// Draws for each grid cell, when a parameter has a range.
    pub samples: u32,
    /// Seeds for each configuration.
    pub repeats: u32,
}

/// A swept setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in [`crate::settings::KEYS`].
    pub name: String,
    /// Its values.
    pub domain: Domain,
}

/// The values of a swept setting. Bounds are included.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// Each of these.
    Grid(Vec<Value>),
    /// A number, evenly.
    Uniform(f64, f64),
    /// A positive number, evenly by its logarithm.
    LogUniform(f64, f64),
    /// A whole number, evenly.
    Int(i64, i64),
}
