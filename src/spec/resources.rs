//! The data and the checkpoints that a spec names, and whether they fit it.

use std::{collections::BTreeMap, path::Path};

use super::{
    document::Node,
    draft::SpecDraft,
    inspect::{Inspect, Inspected, Refusal, Wanted},
    paths::resolve,
    problem::{At, Findings},
};
use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    data::{self, Dataset},
    display::plain,
    error_chain::with_causes,
    hub::{self, HubId, Meant},
    settings::Value,
    system::files::named,
};

/// Advice for a folder that cannot be used.
const FOLDER_HELP: &str = "it must be a folder with config.json, model.safetensors or pytorch_model.bin, and \
                           tokenizer.json or vocab.txt; or a hub model, owner/name; or \"builtin:mini\"";

/// Advice for a name that is neither a folder's nor one of the hub.
const NO_ID_HELP: &str = "a hub model is written as at the head of its page, owner/name or owner/name@revision; or \
                          give a folder with a Hugging Face encoder, relative to the spec's file";

/// The data and the checkpoints of a spec.
pub(super) struct Resources {
    /// `None` when the data cannot be used, which is reported.
    pub(super) dataset: Option<Dataset>,
    /// The checkpoint of trials' settings, by how the spec writes it.
    pub(super) names: BTreeMap<String, Checkpoint>,
    /// The facts of each checkpoint of `names`.
    pub(super) checkpoints: BTreeMap<Checkpoint, CheckpointFacts>,
}

/// Loads the data, inspects the checkpoints, and reports what does not fit the spec.
pub(super) fn find(
    root: &Node,
    draft: &SpecDraft,
    inspect: &Inspect<'_>,
    findings: &mut Findings,
) -> Resources {
    let NamedCheckpoints { names, facts: checkpoints } = checkpoints(root, draft, inspect, findings);
    check_window(root, draft, &checkpoints, findings);
    check_layers(root, draft, &checkpoints, findings);
    Resources { dataset: dataset(root, draft, findings), names, checkpoints }
}

/// Loads the data.
fn dataset(root: &Node, draft: &SpecDraft, findings: &mut Findings) -> Option<Dataset> {
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
                // Message and help may quote labels, columns and texts of the data.
                let (message, help) = (plain(&with_causes(&fault)), plain(&fault.help()));
                findings.error(root.place(fault.key()), message, help);
            }
            None
        }
    }
}

/// The checkpoints that can be used.
struct NamedCheckpoints {
    /// By how the spec writes them.
    names: BTreeMap<String, Checkpoint>,
    facts: BTreeMap<Checkpoint, CheckpointFacts>,
}

/// Inspects every checkpoint that the spec names, each once.
fn checkpoints(
    root: &Node,
    draft: &SpecDraft,
    inspect: &Inspect<'_>,
    findings: &mut Findings,
) -> NamedCheckpoints {
    let (mut names, mut facts) = (BTreeMap::new(), BTreeMap::new());
    let swept = draft.space.iter().any(|parameter| parameter.name == "checkpoint");
    for (value, at) in draft.values("checkpoint", root) {
        let Value::Text(written) = value else { continue };
        if names.contains_key(&written) {
            continue;
        }
        let path = if swept {
            resolve(&written, &draft.checkpoint_base)
        } else {
            draft.settings.checkpoint.to_string()
        };
        let is_local = path.starts_with("builtin:") || named::is_folder(Path::new(&path));
        let local = is_local.then(|| Checkpoint::parse(&path));
        let Some(checkpoint) = local.or_else(|| HubId::parse(&written).map(Checkpoint::Hub)) else {
            findings.error(at, format!("there is no folder {path}"), no_id_help(&written));
            continue;
        };
        match inspect(Wanted { checkpoint: &checkpoint, written: &written, sweep: draft.name.as_deref() }) {
            Ok(Inspected { checkpoint, facts: found }) => {
                facts.insert(checkpoint.clone(), found);
                names.insert(written, checkpoint);
            }
            Err(mut refusal) => {
                if !is_local {
                    name_owner(&written, &mut refusal);
                }
                let subject = if is_local {
                    format!("the checkpoint `{written}`")
                } else {
                    format!("there is no folder {path}, and the hub's `{written}`")
                };
                refuse(at, &subject, refusal, findings);
            }
        }
    }
    NamedCheckpoints { names, facts }
}

/// Advice for a name that is neither a folder's nor an id.
fn no_id_help(written: &str) -> String {
    match hub::meant(written) {
        Some(Meant { id, is_exact: true }) => format!("on the hub, the model of this name is \"{id}\""),
        Some(Meant { id, is_exact: false }) => format!("did you mean \"{id}\", a model of the hub?"),
        None => NO_ID_HELP.to_owned(),
    }
}

/// Adds to a refusal how a folder is named, and the well-known owner of a model of the same name.
fn name_owner(written: &str, refusal: &mut Refusal) {
    let owner = match hub::meant(written) {
        Some(Meant { id, is_exact: true }) if id != written => {
            format!("on the hub, the model of this name is \"{id}\"; ")
        }
        Some(_) | None => String::new(),
    };
    let help = refusal.help.as_deref().unwrap_or(FOLDER_HELP);
    refusal.help = Some(format!("{owner}{help}; a folder is given relative to the spec's file"));
}

/// Reports that a checkpoint cannot be used.
fn refuse(at: At, subject: &str, Refusal { message, help }: Refusal, findings: &mut Findings) {
    let help = help.unwrap_or_else(|| FOLDER_HELP.to_owned());
    findings.error(at, format!("{subject} cannot be used: {message}"), help);
}

/// Reports chunk lengths above the window of an encoder.
fn check_window(
    root: &Node,
    draft: &SpecDraft,
    checkpoints: &BTreeMap<Checkpoint, CheckpointFacts>,
    findings: &mut Findings,
) {
    let Some((checkpoint, facts)) = checkpoints.iter().min_by_key(|(_, facts)| facts.window) else { return };
    let window = facts.window;
    for (value, at) in above(draft.values("chunk_length", root), window) {
        let message =
            format!("a `chunk_length` of {value} is over the window of `{checkpoint}`, {window} tokens");
        findings.error(at, message, format!("set it to {window} or less; longer texts are cut into chunks"));
    }
}

/// Reports numbers of frozen and of reinitialised layers that are above the layers of an encoder.
fn check_layers(
    root: &Node,
    draft: &SpecDraft,
    checkpoints: &BTreeMap<Checkpoint, CheckpointFacts>,
    findings: &mut Findings,
) {
    let Some((checkpoint, facts)) = checkpoints.iter().min_by_key(|(_, facts)| facts.layers) else { return };
    let layers = facts.layers;
    for (value, at) in above(draft.values("freeze", root), layers) {
        let message = format!("`freeze` is {value}, but `{checkpoint}` has {layers} layers");
        findings.error(at, message, "to let only the head learn, write freeze = \"encoder\"");
    }
    for (value, at) in above(draft.values("reinit_layers", root), layers) {
        let message = format!("`reinit_layers` is {value}, but `{checkpoint}` has {layers} layers");
        findings.error(at, message, "one or two top layers are usual");
    }
}

/// The whole numbers above `max`, with their places.
fn above(values: Vec<(Value, At)>, max: usize) -> impl Iterator<Item = (i64, At)> {
    values.into_iter().filter_map(move |(value, at)| match value {
        Value::Int(int) if usize::try_from(int).is_ok_and(|int| int > max) => Some((int, at)),
        Value::Int(_) | Value::Float(_) | Value::Text(_) => None,
    })
}
