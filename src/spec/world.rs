//! What files and checkpoints say of a spec.

use std::{collections::BTreeMap, path::Path};

use super::{
    Inspect,
    document::Node,
    problem::{At, Findings},
    section::{self, Draft},
};
use crate::{
    data::{self, Dataset},
    display::plain,
    settings::Value,
    train::CheckpointFacts,
};

/// What was found outside the spec.
pub(super) struct World {
    pub(super) dataset: Option<Dataset>,
    pub(super) checkpoints: BTreeMap<String, CheckpointFacts>,
}

/// Loads the data, asks the checkpoints, and notes what does not fit.
pub(super) fn look(root: &Node, draft: &Draft, inspect: &Inspect<'_>, findings: &mut Findings) -> World {
    let checkpoints = checkpoints(root, draft, inspect, findings);
    window(root, draft, &checkpoints, findings);
    layers(root, draft, &checkpoints, findings);
    World { dataset: dataset(root, draft, findings), checkpoints }
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
                let (message, help) = (plain(&fault.to_string()), plain(&fault.help()));
                findings.error(root.place(fault.key()), message, help);
            }
            None
        }
    }
}

fn checkpoints(
    root: &Node,
    draft: &Draft,
    inspect: &Inspect<'_>,
    findings: &mut Findings,
) -> BTreeMap<String, CheckpointFacts> {
    let mut facts = BTreeMap::new();
    let swept = draft.space.iter().any(|parameter| parameter.name == "checkpoint");
    for (value, at) in draft.values("checkpoint", root) {
        let Value::Text(written) = value else { continue };
        let checkpoint = if swept {
            section::resolve(&written, &draft.checkpoint_base)
        } else {
            draft.settings.checkpoint.clone()
        };
        if !checkpoint.starts_with("builtin:") && !Path::new(&checkpoint).is_dir() {
            let (message, help) = no_folder(&written, &checkpoint);
            findings.error(at, message, help);
            continue;
        }
        match inspect(&checkpoint) {
            Ok(found) => {
                facts.insert(checkpoint, found);
            }
            Err(message) => {
                let help = "it must be a folder with config.json, model.safetensors and tokenizer.json or \
                            vocab.txt, or \"builtin:mini\"";
                findings.error(at, format!("the checkpoint `{written}` cannot be used: {message}"), help);
            }
        }
    }
    facts
}

fn no_folder(written: &str, checkpoint: &str) -> (String, String) {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match written.split_once('/') {
        Some((owner, name)) if plain(owner) && plain(name) => (
            format!("there is no folder {checkpoint}, and checkpoints cannot be fetched from a hub yet"),
            format!("fetch `{written}` yourself and give its folder: --set model.checkpoint=FOLDER"),
        ),
        _ => (
            format!("there is no folder {checkpoint}"),
            "give a folder with a Hugging Face encoder: --set model.checkpoint=FOLDER".to_owned(),
        ),
    }
}

/// No chunk may be longer than what every encoder takes.
fn window(
    root: &Node,
    draft: &Draft,
    checkpoints: &BTreeMap<String, CheckpointFacts>,
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
    checkpoints: &BTreeMap<String, CheckpointFacts>,
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
