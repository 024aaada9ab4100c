//! The rules of a search: generations, the rungs at which trials are compared, and budgets. Plain numbers, without
//! input or output.
//!
//! A search of generations is the same on one device and on eight: a configuration's generation follows from its place
//! in the plan, and a rung compares the configurations of one generation alone, whichever of them is there first.

mod ranking;
mod rules;

pub use self::{
    ranking::{Figures, Seen, Verdict, decide, places},
    rules::{
        Budget, Confirm, Finding, GENERATION, Growth, Halving, RungFigure, SearchPlan, end_of_warmup,
        first_rung, quota, rungs,
    },
};
