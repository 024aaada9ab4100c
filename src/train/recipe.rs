//! How a trial is trained, measured, saved and resumed.

mod activation_store;
#[cfg(all(test, feature = "flex"))]
mod changed_entries;
mod clock;
mod device_step;
mod evaluate;
mod frozen;
mod fusion;
mod learner;
mod measured;
mod persist;
mod predictor;
mod running_trial;
mod saving;
mod side_by_side;
mod step;
pub(super) mod trainer;
mod trial;
mod trial_tables;
mod verify_inputs;
mod warm_state;

pub use self::trial_tables::metrics_csv;
