//! The spec of a sweep: TOML and overrides into a checked [`Spec`], or every problem at once.
//!
//! [`parse`] looks at nothing but its arguments; [`read`] also looks at the files that the
//! spec names, so that what it returns can run. Nothing here writes anything.
//!
//! ```text
//! document  text → tree with places       section   [model] [text] [train] [early_stopping]
//! data      [data]                        space     [search] and [search.space]
//! run       [run]
//! checks    what settings say together    world     what files and checkpoints say
//! ```

mod checks;
mod data;
mod document;
mod problem;
mod run;
mod section;
mod space;
mod world;

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

pub use problem::{Problem, SpecError};

use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    data::{DataSpec, Dataset},
    policy::Policy,
    settings::{Settings, Value},
};
use problem::Findings;
use section::resolve;

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
    /// How the sweep is run.
    pub policy: Policy,
    /// The folder that swept checkpoints are relative to. They stay as written in
    /// [`Self::space`], so that a plan's parameters and seeds do not depend on the machine.
    pub checkpoint_base: PathBuf,
    /// What trials call each checkpoint, by how the spec writes it; empty if nobody has looked.
    pub checkpoints: BTreeMap<String, Checkpoint>,
}

impl Spec {
    /// What a trial's settings call the checkpoint that the search space writes so.
    #[must_use]
    pub fn checkpoint(&self, written: &str) -> Checkpoint {
        let resolved = || Checkpoint::parse(&resolve(written, &self.checkpoint_base));
        self.checkpoints.get(written).cloned().unwrap_or_else(resolved)
    }

    /// Takes over what was found out about the checkpoints.
    fn name_checkpoints(&mut self, names: BTreeMap<String, Checkpoint>) {
        let is_swept = self.space.iter().any(|parameter| parameter.name == "checkpoint");
        if let (false, Some(name)) = (is_swept, names.values().next()) {
            self.settings.checkpoint.clone_from(name);
        }
        self.checkpoints = names;
    }
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

impl Domain {
    /// Whether values are drawn rather than listed.
    #[must_use]
    pub const fn is_range(&self) -> bool {
        !matches!(self, Self::Grid(_))
    }
}

/// Bytes of a spec; far more than anybody writes.
const LONGEST: u64 = 1 << 20;

/// What a spec is read from.
#[derive(Clone, Copy, Debug)]
pub struct SpecText<'a> {
    /// The file's name as messages show it.
    pub name: &'a str,
    /// The TOML.
    pub text: &'a str,
    /// `key=value`, each of which replaces what the text says.
    pub overrides: &'a [String],
    /// What paths in the text are relative to; absolute.
    pub base: &'a Path,
    /// What paths in overrides are relative to; absolute.
    pub working: &'a Path,
}

/// A checkpoint of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Built in, a folder that is there, or a hub model that need not be pinned to a commit.
    pub checkpoint: &'a Checkpoint,
    /// How the spec writes it.
    pub written: &'a str,
    /// The name of the sweep, if it has a good one.
    pub sweep: Option<&'a str>,
}

/// A checkpoint that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// What trials call it; of a hub model: the id with its commit.
    pub checkpoint: Checkpoint,
    /// What the spec is checked against.
    pub facts: CheckpointFacts,
}

/// Why a checkpoint cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong with it.
    pub message: String,
    /// What to do; `None`: what helps with any folder.
    pub help: Option<String>,
}

/// Looks at a checkpoint.
pub type Inspect<'a> = dyn Fn(Wanted<'_>) -> Result<Inspected, Refusal> + 'a;

/// A spec together with what was learnt while checking it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The spec.
    pub spec: Spec,
    /// Its data, loaded.
    pub dataset: Dataset,
    /// Facts of each checkpoint, by the name that [`Settings::checkpoint`] has in a trial.
    pub checkpoints: BTreeMap<Checkpoint, CheckpointFacts>,
    /// What is probably not meant.
    pub warnings: Vec<Problem>,
}

/// Reads the spec at `path`, and checks it with its data and checkpoints.
///
/// # Errors
/// Every problem of the spec, the data and the checkpoints that can be told apart.
pub fn read(path: &Path, overrides: &[String], inspect: &Inspect<'_>) -> Result<Reading, SpecError> {
    let name = path.display().to_string();
    let failed =
        |message: String, help: &str| SpecError { problems: vec![Problem::without_place(&message, help)] };
    let working = std::env::current_dir()
        .map_err(|error| failed(format!("could not find the working folder: {error}"), "change into one"))?;
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
    let help = "name the TOML file of a sweep, for example sweeps/lr_dropout.toml";
    opened.map_err(|error| failed(format!("could not read the spec {name}: {error}"), help))?;
    if bytes.len() as u64 > LONGEST {
        return Err(failed(format!("the spec {name} is longer than {LONGEST} bytes"), help));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| failed(format!("the spec {name} is not UTF-8"), "save it as UTF-8"))?;
    let file = working.join(path);
    let base = file.parent().unwrap_or(&working);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    check(&SpecText { name: &name, text, overrides, base, working: &working }, inspect)
}

/// As [`read`], from a text.
///
/// # Errors
/// As [`read`].
pub fn check(spec: &SpecText<'_>, inspect: &Inspect<'_>) -> Result<Reading, SpecError> {
    let mut findings = Findings::default();
    let read = section::read(spec, &mut findings);
    let world = read.as_ref().map(|(root, draft)| world::look(root, draft, inspect, &mut findings));
    let warnings = findings.finish()?;
    match (read.and_then(|(_, draft)| draft.complete()), world) {
        (Some(mut spec), Some(world::World { dataset: Some(dataset), names, checkpoints })) => {
            spec.name_checkpoints(names);
            Ok(Reading { spec, dataset, checkpoints, warnings })
        }
        _ => Err(incomplete()),
    }
}

/// Reads a spec from a text alone: neither data nor checkpoints are looked at.
///
/// # Errors
/// Every problem of the text.
pub fn parse(spec: &SpecText<'_>) -> Result<Spec, SpecError> {
    let mut findings = Findings::default();
    let read = section::read(spec, &mut findings);
    findings.finish()?;
    read.and_then(|(_, draft)| draft.complete()).ok_or_else(incomplete)
}

/// Each part that is missing from a draft has been reported, so this is a bug of ours.
fn incomplete() -> SpecError {
    let message = "the spec is incomplete, and this version cannot say where";
    SpecError { problems: vec![Problem::without_place(message, "please report this spec")] }
}
