//! How a trial is trained, measured, saved and resumed.

mod activation_store;
mod evaluate;
mod frozen;
mod learner;
mod persist;
mod predictor;
mod running_trial;
mod saving;
mod step;
pub(super) mod trainer;
mod trial;
mod trial_tables;
mod verify_inputs;
mod warm_state;
