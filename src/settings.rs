//! The settings of a trial: names, sections, kinds, bounds and defaults.
//!
//! [`KEYS`] is the one table that the spec reader, the search space, the plan and
//! the reference of specs share. A new setting is one field of [`Settings`] and one row of [`KEYS`].

mod choices;
mod fields;
mod fusing;
mod key;
mod keys;
mod prefix;
mod value;

pub use choices::{
    Aggregate, BestEpoch, ClassWeights, LongText, Lowercase, MatmulPrecision, Monitor, Pooling, Schedule,
    StopRule, TrainOn,
};
pub use fields::{Freeze, Settings};
pub use key::{Section, SettingKey, ValueError, ValueKind};
pub use keys::{KEYS, key};
pub use prefix::ENDS;
pub use value::Value;

/// Settings that seeds and draws do not depend on: how long a training lasts, which of its epochs is kept, and how exactly
/// it computes.
/// Trials that differ in these settings alone have the same seed, so that chance does not favour one.
pub const UNSEEDED: [&str; 8] =
    ["epochs", "patience", "best_epoch", "rule", "alpha", "strip", "s", "matmul_precision"];
