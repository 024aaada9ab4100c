//! The spec of a sweep: TOML and overrides into a checked [`Spec`], or every problem at once.
//!
//! [`parse`] looks at nothing but its arguments. [`read`] also looks at the files that the spec names, so
//! that the spec that it returns can run. Nothing here writes a file.
//!
//! ```text
//! text      the text and its folders         document  text → tree with places
//! draft     a spec that is being read        reader    typed access to the tree
//! section   name, seed, [model] [text] [train] [early_stopping]
//! data      [data]                           space     [search.space]
//! duplicates   its table of that name
//! search    the rest of [search]                halving   [search.halving]
//! confirm      its table of that name
//! run       [run]                            executor  [executor]
//! keys      which key belongs in which table
//! checks    settings that contradict         resources data and checkpoints that a spec names
//! problem   a finding with its place         sweep     the checked spec
//! words     what other programs call it      foreign   their words as lines of a spec
//! translate specs in YAML and JSON
//! ```

mod checks;
mod confirm;
mod data;
mod document;
mod draft;
mod duplicates;
mod executor;
mod folds;
mod foreign;
mod halving;
mod inspect;
mod keys;
mod paths;
mod problem;
mod reader;
mod resources;
mod run;
mod search;
mod section;
mod space;
mod sweep;
mod text;
mod translate;
mod words;

use std::{collections::BTreeMap, io::Read as _, path::Path};

pub use inspect::{Inspect, Inspected, Refusal, Wanted};
pub use problem::{Problem, SpecError};
pub use sweep::{Domain, ExecutorSpec, RangeSampler, SearchSpec, Spec, SweptSetting};
pub use text::SpecText;

use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    data::Dataset,
    settings::{Section, Settings},
    system::files::named,
};
use document::Node;
use draft::SpecDraft;
use problem::Findings;
use reader::Reader;
use resources::Resources;

/// Bytes of a spec: far more than anybody writes, so that a wrong file is not read whole.
const SPEC_BYTES_MAX: u64 = 1 << 20;

/// A spec, and what was found while it was checked.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The spec.
    pub spec: Spec,
    /// Its data, loaded.
    pub dataset: Dataset,
    /// Facts of each checkpoint that a trial's [`Settings::checkpoint`] may be.
    pub checkpoints: BTreeMap<Checkpoint, CheckpointFacts>,
    /// Parts of the spec that are probably not meant.
    pub warnings: Vec<Problem>,
}

/// Reads the spec at `path`, and checks it with its data and checkpoints.
///
/// # Errors
/// Every independent problem of the spec, the data and the checkpoints.
pub fn read(path: &Path, overrides: &[String], inspect: &Inspect<'_>) -> Result<Reading, SpecError> {
    let name = path.display().to_string();
    let failed =
        |message: String, help: &str| SpecError { problems: vec![Problem::without_place(&message, help)] };
    let working = std::env::current_dir()
        .map_err(|error| failed(format!("could not find the working folder: {error}"), "change into one"))?;
    let mut bytes = Vec::new();
    let opened =
        named::open_stream(path).and_then(|file| file.take(SPEC_BYTES_MAX + 1).read_to_end(&mut bytes));
    let help = "name the TOML file of a sweep, for example sweeps/lr_dropout.toml";
    opened.map_err(|error| failed(format!("could not read the spec {name}: {error}"), help))?;
    if bytes.len() as u64 > SPEC_BYTES_MAX {
        return Err(failed(format!("the spec {name} is longer than {SPEC_BYTES_MAX} bytes"), help));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| failed(format!("the spec {name} is not UTF-8"), "save it as UTF-8"))?;
    let file = working.join(path);
    let base = file.parent().unwrap_or(&working);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    check(&SpecText { name: &name, text, overrides, base, working: &working }, inspect)
}

/// Reads the spec `spec`, and checks it with its data and checkpoints.
///
/// # Errors
/// Every independent problem of the spec, the data and the checkpoints.
pub fn check(spec: &SpecText<'_>, inspect: &Inspect<'_>) -> Result<Reading, SpecError> {
    let mut findings = Findings::default();
    let read = draft(spec, &mut findings);
    let resources = read.as_ref().map(|(root, draft)| resources::find(root, draft, inspect, &mut findings));
    let warnings = findings.finish()?;
    match (read.and_then(|(_, draft)| draft.complete()), resources) {
        (Some(mut spec), Some(Resources { dataset: Some(dataset), names, checkpoints })) => {
            spec.name_checkpoints(names);
            Ok(Reading { spec, dataset, checkpoints, warnings })
        }
        _ => Err(incomplete()),
    }
}

/// Reads the spec `spec` without looking at its data and checkpoints.
///
/// # Errors
/// Every problem of the text.
pub fn parse(spec: &SpecText<'_>) -> Result<Spec, SpecError> {
    let mut findings = Findings::default();
    let read = draft(spec, &mut findings);
    findings.finish()?;
    read.and_then(|(_, draft)| draft.complete()).ok_or_else(incomplete)
}

/// Reads all of a spec that can be read without looking at files; `None` when it is not TOML.
fn draft(spec: &SpecText<'_>, findings: &mut Findings) -> Option<(Node, SpecDraft)> {
    let root = document::parse(spec.name, spec.text, spec.overrides, findings)?;
    let mut reader = Reader { root: &root, spec, findings };
    reader.refuse_unknown(&root, None, &keys::TOP);
    let name = section::name(&mut reader);
    let seed = section::seed(&mut reader);
    let mut draft = SpecDraft {
        name,
        seed,
        data: data::read(&mut reader, seed.unwrap_or(0)),
        settings: Settings::default(),
        chosen: Vec::new(),
        space: Vec::new(),
        samples: 1,
        sampler: RangeSampler::default(),
        repeats: 1,
        search: SearchSpec::default(),
        policy: run::read(&mut reader),
        executor: executor::read(&mut reader),
        checkpoint_base: reader.base(root.place("search.space.checkpoint")).to_owned(),
    };
    for section in [Section::Model, Section::Text, Section::Train, Section::EarlyStopping] {
        section::read(&mut reader, section, &mut draft);
    }
    search::read(&mut reader, &mut draft);
    checks::check(&mut reader, &draft);
    Some((root, draft))
}

/// The error for an incomplete draft without a reported problem, which is a bug of this program.
fn incomplete() -> SpecError {
    let message = "the spec is incomplete, and this version cannot say where";
    SpecError { problems: vec![Problem::without_place(message, "please report this spec")] }
}
