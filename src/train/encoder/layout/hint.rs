//! The probable cause of tensors that a checkpoint lacks, from the names that it has.

use crate::train::encoder::family::{FAMILIES, Family, WORD_EMBEDDINGS};

/// The largest number of names that a hint shows.
const SHOWN_MAX: usize = 3;

/// Returns why the tensors `missing` of a model of `family` are not among `names`, and what to do; empty if the cause is
/// not known. `count`: the number of the model's parameters.
pub(super) fn hint(count: usize, family: &Family, missing: &[String], names: &[&str]) -> String {
    let encoders: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(WORD_EMBEDDINGS)).collect();
    if let [one, two, ..] = encoders.as_slice() {
        return format!(
            "the names of more than one encoder are there, beginning with \"{one}\" and \"{two}\"; store the encoder that \
             is meant by itself"
        );
    }
    if let Some(other) = other_family(family, names) {
        return format!(
            "the names of the tensors begin with \"{0}.\", as those of model_type \"{0}\" do, but config.json says \"{1}\"; \
             if the model is one of {0} (its tokenizer is that of {0}, and its positions begin at 0), write \
             \"model_type\": \"{0}\" into config.json",
            other.model_type, family.model_type
        );
    }
    if let Some(layers) = layers_in_file(family, missing, names) {
        return format!(
            "config.json asks for more layers than the file has, which is {layers}; correct {} in config.json, or get the \
             whole file",
            family.own_key("num_hidden_layers")
        );
    }
    // With most tensors missing, the names that are there say more than those that are not.
    if missing.len() * 2 > count && !names.is_empty() {
        let shown: Vec<&str> = names.iter().take(SHOWN_MAX).copied().collect();
        let more = names.len().saturating_sub(SHOWN_MAX);
        return format!("the file has other names: {} and {more} more", shown.join(", "));
    }
    String::new()
}

/// Another family whose prefix all encoder's tensors have.
fn other_family(family: &Family, names: &[&str]) -> Option<&'static Family> {
    let has = |prefix: &str| names.iter().any(|name| *name == format!("{prefix}.{WORD_EMBEDDINGS}"));
    FAMILIES.iter().find(|other| other.prefix != family.prefix && has(other.prefix))
}

/// The number of layers in the file, if tensors of further layers alone are missing.
fn layers_in_file(family: &Family, missing: &[String], names: &[&str]) -> Option<usize> {
    let layers = names.iter().filter_map(|name| family.layer_of(name)).max()? + 1;
    let is_beyond = |name: &String| family.layer_of(name).is_some_and(|layer| layer >= layers);
    (!missing.is_empty() && missing.iter().all(is_beyond)).then_some(layers)
}

/// The shape of a tensor in the file, and that by `config.json`.
type Shapes<'a> = (&'a [usize], &'a [usize]);

/// Returns which sizes of `config.json` are not those of the file, and what to do; empty if no size explains the tensors
/// whose shapes differ. `differing`: the shapes of such a tensor, by name.
pub(super) fn sizes<'a>(family: &Family, differing: impl Fn(&str) -> Option<Shapes<'a>>) -> String {
    let embeddings = |kind: &str| family.encoder(&format!("embeddings.{kind}_embeddings.weight"));
    let first = family.of_layer(0, family.layer.intermediate) + ".weight";
    // By key: the tensor that has the size, and the dimension that it is.
    let places = [
        ("vocab_size", embeddings("word"), 0),
        ("hidden_size", embeddings("word"), 1),
        ("max_position_embeddings", embeddings("position"), 0),
        ("type_vocab_size", embeddings("token_type"), 0),
        ("intermediate_size", first, 0),
    ];
    let wrong: Vec<(&str, usize, usize)> = places
        .iter()
        .filter_map(|(key, name, dimension)| {
            let (found, expected) = differing(name)?;
            let (found, expected) = (*found.get(*dimension)?, *expected.get(*dimension)?);
            (found != expected).then_some((family.own_key(key), expected, found))
        })
        .collect();
    if wrong.is_empty() {
        return String::new();
    }
    let said: Vec<String> = wrong.iter().map(|(key, said, _)| format!("{key} {said}")).collect();
    let found: Vec<String> = wrong.iter().map(|(_, _, found)| found.to_string()).collect();
    format!(
        "config.json says {}, the file has {}; correct config.json, or get the files that belong together",
        said.join(" and "),
        found.join(" and ")
    )
}
