//! The encoder: its shape, its parameters, and the model that is built from both.

pub(super) mod config;
pub(super) mod family;
pub(super) mod layout;
pub(super) mod mini;
pub(super) mod model;
pub(super) mod source;
pub(super) mod weights;

pub use self::{
    config::{ConfigError, EncoderConfig, FIELDS as CONFIG_FIELDS, Field as ConfigField},
    family::Family,
    layout::Misfit,
    weights::{Precision, Weights, WeightsError},
};
