//! What files and checkpoints say of a spec.

use std::{collections::BTreeMap, path::Path};

use super::{
    Inspect, Inspected, Refusal, Wanted,
    document::Node,
    problem::{At, Findings},
    section::{self, Draft},
};
use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    data::{self, Dataset},
    display::plain,
    error_chain::with_causes,
    hub::HubId,
    settings::Value,
};

/// What helps with a folder that cannot be used.
const FOLDER_HELP: &str = "it must be a folder with config.json, model.safetensors or pytorch_model.bin, and \
                           tokenizer.json or vocab.txt; or a hub model, owner/name; or \"builtin:mini\"";

/// What was found outside the spec.
pub(super) struct World {
    pub(super) dataset: Option<Dataset>,
    /// What trials call each checkpoint, by how the spec writes it.
    pub(super) names: BTreeMap<String, Checkpoint>,
    /// By what trials call them.
    pub(super) checkpoints: BTreeMap<Checkpoint, CheckpointFacts>,
}

/// Loads the data, asks the checkpoints, and notes what does not fit.
pub(super) fn look(root: &Node, draft: &Draft, inspect: &Inspect<'_>, findings: &mut Findings) -> World {
    let (names, checkpoints) = checkpoints(root, draft, inspect, findings);
    window(root, draft, &checkpoints, findings);
    layers(root, draft, &checkpoints, findings);
    World { dataset: dataset(root, draft, findings), names, checkpoints }
}

fn dataset(root: &Node, draft: &Draft, findings: &mut Findings) -> Option<Dataset> {
    let spec = draft.data.as_ref()?;
    match data::examine(spec) {
        Ok(dataset) => {
            let classes = dataset.labels.len();
            if spec.positive.is_some() && classes > 2 {
                let message =
                    format!("`positive` counts in a binary task only, and there are {classes} classes");
                let help = format!("{} over all classes counts instead", dataset.target.f1_name());
                findings.warn(root.place("data.positive"), message, help);
            }
            Some(dataset)
        }
        Err(faults) => {
            for fault in faults {
                // Both may quote labels, columns and texts of the data.
                let (message, help) = (plain(&with_causes(&fault)), plain(&fault.help()));
                findings.error(root.place(fault.key()), message, help);
            }
            None
        }
    }
}

/// The names and the facts of the checkpoints.
type Checkpoints = (BTreeMap<String, Checkpoint>, BTreeMap<Checkpoint, CheckpointFacts>);

fn checkpoints(root: &Node, draft: &Draft, inspect: &Inspect<'_>, findings: &mut Findings) -> Checkpoints {
    let (mut names, mut facts) = Checkpoints::default();
    let swept = draft.space.iter().any(|parameter| parameter.name == "checkpoint");
    for (value, at) in draft.values("checkpoint", root) {
        let Value::Text(written) = value else { continue };
        if names.contains_key(&written) {
            continue;
        }
        let path = if swept {
            section::resolve(&written, &draft.checkpoint_base)
        } else {
            draft.settings.checkpoint.to_string()
        };
        let is_local = path.starts_with("builtin:") || Path::new(&path).is_dir();
        let wanted = if is_local {
            Some(Checkpoint::parse(&path))
        } else {
            HubId::parse(&written).map(Checkpoint::Hub)
        };
        let Some(checkpoint) = wanted else {
            let help = "give a folder with a Hugging Face encoder, or the id of a hub model, \
                        owner/name or owner/name@revision";
            findings.error(at, format!("there is no folder {path}"), help);
            continue;
        };
        match inspect(Wanted { checkpoint: &checkpoint, written: &written, sweep: draft.name.as_deref() }) {
            Ok(Inspected { checkpoint, facts: found }) => {
                facts.insert(checkpoint.clone(), found);
                names.insert(written, checkpoint);
            }
            Err(Refusal { message, help }) => {
                let whose = if is_local {
                    format!("the checkpoint `{written}` cannot be used")
                } else {
                    format!("there is no folder {path}, and the hub's `{written}` cannot be used")
                };
                let help = help.unwrap_or_else(|| FOLDER_HELP.to_owned());
                findings.error(at, format!("{whose}: {message}"), help);
            }
        }
    }
    (names, facts)
}

/// No chunk may be longer than what every encoder takes.
fn window(
    root: &Node,
    draft: &Draft,
    checkpoints: &BTreeMap<Checkpoint, CheckpointFacts>,
    findings: &mut Findings,
) {
    let Some((checkpoint, facts)) = checkpoints.iter().min_by_key(|(_, facts)| facts.window) else { return };
    let window = facts.window;
    for (value, at) in beyond(draft.values("chunk_length", root), window) {
        let message =
            format!("a `chunk_length` of {value} is over the window of `{checkpoint}`, {window} tokens");
        findings.error(at, message, format!("set it to {window} or less; longer texts are cut into chunks"));
    }
}

/// No more layers can be frozen, or begin anew, than there are.
fn layers(
    root: &Node,
    draft: &Draft,
    checkpoints: &BTreeMap<Checkpoint, CheckpointFacts>,
    findings: &mut Findings,
) {
    let Some((checkpoint, facts)) = checkpoints.iter().min_by_key(|(_, facts)| facts.layers) else { return };
    let layers = facts.layers;
    for (value, at) in beyond(draft.values("freeze", root), layers) {
        let message = format!("`freeze` is {value}, but `{checkpoint}` has {layers} layers");
        findings.error(at, message, "to let only the head learn, write freeze = \"encoder\"");
    }
    for (value, at) in beyond(draft.values("reinit_layers", root), layers) {
        let message = format!("`reinit_layers` is {value}, but `{checkpoint}` has {layers} layers");
        findings.error(at, message, "one or two top layers are usual");
    }
}

/// The whole numbers above `most`, with their places.
fn beyond(values: Vec<(Value, At)>, most: usize) -> impl Iterator<Item = (i64, At)> {
    values.into_iter().filter_map(move |(value, at)| match value {
        Value::Int(int) if usize::try_from(int).is_ok_and(|int| int > most) => Some((int, at)),
        Value::Int(_) | Value::Float(_) | Value::Text(_) => None,
    })
}
