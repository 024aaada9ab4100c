//! Sweeps that nothing was trained for, for the benches of what is done about results.

use std::env;

use sweep::{
    checkpoint::CheckpointFacts,
    plan::Plan,
    spec::{self, Inspected, Spec, SpecText},
};

/// How many trials a made-up sweep has, and how they are chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size<'a> {
    pub(crate) trials: u32,
    /// The sampler of a search that grows, with halving; `None`: independent draws, all of which are trained.
    pub(crate) sampler: Option<&'a str>,
}

/// A spec that draws so many trials over three settings.
pub(crate) fn spec_text(size: Size<'_>) -> String {
    let trials = size.trials;
    let (search, halving) = match size.sampler {
        None => (format!("samples = {trials}"), ""),
        Some(sampler) => (format!("trials = {trials}\nsampler = \"{sampler}\""), "[search.halving]\n"),
    };
    format!(
        "name = \"scale\"\n[data]\npath = \"builtin:reviews\"\nsplit = {{ train = 0.7, validation = 0.15, test = 0.15 }}\n\
         [train]\nepochs = 3\n[search]\n{search}\n{halving}[search.space]\n\
         learning_rate = {{ log_uniform = [1e-5, 1e-2] }}\nweight_decay = {{ uniform = [0.0, 0.1] }}\n\
         dropout = {{ uniform = [0.0, 0.5] }}\n"
    )
}

/// Its plan, with classes as the fake worker calls them, and what it was made from.
pub(crate) fn plan(size: Size<'_>) -> (Plan, Spec) {
    let text = spec_text(size);
    let here = env::current_dir().unwrap();
    let written = SpecText { name: "scale.toml", text: &text, overrides: &[], base: &here, working: &here };
    let facts =
        CheckpointFacts { window: 512, layers: 2, parameters: 1, unused: Vec::new(), notes: Vec::new() };
    let inspect = |wanted: spec::Wanted<'_>| {
        Ok(Inspected { checkpoint: wanted.checkpoint.clone(), facts: facts.clone() })
    };
    let reading = spec::check(&written, &inspect).unwrap_or_else(|error| panic!("{error}"));
    let mut plan = Plan::new(&reading.spec, &reading.dataset);
    plan.labels = vec!["0".to_owned(), "1".to_owned()];
    assert!(size.sampler.is_some() || plan.trials.len() == usize::try_from(size.trials).unwrap());
    (plan, reading.spec)
}
