//! The parameters that a model has: names and shapes, and how a checkpoint's fit them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    config::EncoderConfig,
    family::{Family, MEAN_OUTPUT},
};
use crate::settings::Pooling;

/// Names shown of a list that may be long.
const SHOWN: usize = 6;

/// A parameter of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Hugging Face's name.
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

/// A checkpoint that does not hold the encoder of its `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", describe(missing, misshapen))]
pub struct Misfit {
    /// Names of tensors that are not there.
    pub missing: Vec<String>,
    /// Tensors of another shape: name, shape in the file, shape by the config.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

fn describe(missing: &[String], misshapen: &[(String, Vec<usize>, Vec<usize>)]) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("missing: {}", listed(missing)));
    }
    if !misshapen.is_empty() {
        let shapes: Vec<String> = misshapen
            .iter()
            .map(|(name, found, expected)| format!("{name} is {found:?}, not {expected:?}"))
            .collect();
        parts.push(format!("of another shape: {}", listed(&shapes)));
    }
    parts.join("; ")
}

/// The first names of a list, and how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Every parameter of a classifier with `classes` classes.
pub(crate) fn parameters(config: &EncoderConfig, pooling: Pooling, classes: usize) -> Vec<Parameter> {
    let family = config.family();
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize]| all.push(Parameter { name, shape: shape.to_vec() });
    let embeddings = [
        ("word", config.vocab_size),
        ("position", config.max_position_embeddings),
        ("token_type", config.type_vocab_size),
    ];
    for (kind, rows) in embeddings.into_iter().filter(|(_, rows)| *rows > 0) {
        add(family.encoder(&format!("embeddings.{kind}_embeddings.weight")), &[rows, width]);
    }
    let mut linear = |name: &str, outputs: usize, inputs: usize, norm: bool| {
        if norm {
            add(format!("{name}.weight"), &[outputs]);
        } else {
            add(format!("{name}.weight"), &[outputs, inputs]);
        }
        add(format!("{name}.bias"), &[outputs]);
    };
    linear(&family.encoder("embeddings.LayerNorm"), width, 0, true);
    let names = &family.layer;
    for layer in 0..config.num_hidden_layers {
        let [query, key, value] = names.projections;
        for (part, outputs, inputs, norm) in [
            (query, width, width, false),
            (key, width, width, false),
            (value, width, width, false),
            (names.attention_output, width, width, false),
            (names.attention_norm, width, 0, true),
            (names.intermediate, inner, width, false),
            (names.output, width, inner, false),
            (names.output_norm, width, 0, true),
        ] {
            linear(&family.of_layer(layer, part), outputs, inputs, norm);
        }
    }
    match pooling {
        Pooling::Cls => {
            linear(family.head.dense, width, width, false);
            linear(family.head.output, classes, width, false);
        }
        Pooling::Mean => linear(MEAN_OUTPUT, classes, width, false),
    }
    all
}

/// Beginnings of the names of the top `layers` layers, and of the head's dense layer with them (Zhang et al.
/// 2021, arXiv 2006.05987); none for 0 layers.
pub(crate) fn top(config: &EncoderConfig, layers: usize) -> Vec<String> {
    let family = config.family();
    let first = config.num_hidden_layers.saturating_sub(layers);
    let mut names: Vec<String> =
        (first..config.num_hidden_layers).map(|layer| family.of_layer(layer, "")).collect();
    if layers > 0 {
        names.push(format!("{}.", family.head.dense));
    }
    names
}

/// The names under which a checkpoint may hold `name`: those of a bare encoder have no prefix, and old
/// ones call LayerNorm's parameters gamma and beta.
pub(crate) fn spellings(family: &Family, name: &str) -> [String; 4] {
    let bare = name.strip_prefix(family.prefix).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
    let old = |name: &str| {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    };
    [name.to_owned(), bare.to_owned(), old(name), old(bare)]
}

/// A checkpoint's tensors, by their own names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fit {
    /// Those that the model takes; they have its shapes.
    pub(crate) used: BTreeSet<String>,
    /// The others.
    pub(crate) unused: Vec<String>,
}

/// Compares a checkpoint's tensors with the model's.
///
/// `complete`: the head must be there too.
///
/// # Errors
/// When one is missing or has another shape.
pub(crate) fn fit<'a>(
    parameters: &[Parameter],
    family: &Family,
    complete: bool,
    shapes: impl Iterator<Item = (&'a str, &'a [usize])>,
) -> Result<Fit, Misfit> {
    let found: BTreeMap<&str, &[usize]> = shapes.collect();
    let mut unused: BTreeSet<&str> = found.keys().copied().collect();
    let mut used = BTreeSet::new();
    let mut misfit = Misfit::default();
    for Parameter { name, shape } in parameters {
        let optional = !complete && family.is_head(name);
        let spelling = spellings(family, name).into_iter().find(|name| found.contains_key(name.as_str()));
        match spelling.and_then(|spelling| found.get_key_value(spelling.as_str())) {
            Some((spelling, found)) => {
                unused.remove(spelling);
                if *found == shape.as_slice() {
                    used.insert((*spelling).to_owned());
                } else if !optional {
                    misfit.misshapen.push((name.clone(), found.to_vec(), shape.clone()));
                }
            }
            None if optional => {}
            None => misfit.missing.push(name.clone()),
        }
    }
    if misfit != Misfit::default() {
        return Err(misfit);
    }
    Ok(Fit { used, unused: unused.into_iter().map(ToOwned::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(parameters: &[Parameter]) -> Vec<(String, Vec<usize>)> {
        parameters.iter().map(|parameter| (parameter.name.clone(), parameter.shape.clone())).collect()
    }

    fn judge(shapes: &[(String, Vec<usize>)], complete: bool) -> Result<Vec<String>, Misfit> {
        let config = super::super::mini::config();
        let parameters = parameters(&config, Pooling::Cls, 3);
        let shapes = shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()));
        fit(&parameters, config.family(), complete, shapes).map(|fit| fit.unused)
    }

    #[test]
    fn everything_missing_misshapen_and_unused_is_named() {
        let mut shapes = shapes(&parameters(&super::super::mini::config(), Pooling::Cls, 3));
        assert_eq!(judge(&shapes, true), Ok(vec![]));
        shapes.retain(|(name, _)| !name.ends_with("layer.1.output.dense.weight") && !name.contains(".key."));
        shapes.push(("cls.predictions.bias".to_owned(), vec![7]));
        shapes[0].1 = vec![5, 64];
        let misfit = judge(&shapes, true).unwrap_err();
        let key = |layer: usize| format!("bert.encoder.layer.{layer}.attention.self.key");
        assert_eq!(
            misfit.missing,
            [
                key(0) + ".weight",
                key(0) + ".bias",
                key(1) + ".weight",
                key(1) + ".bias",
                "bert.encoder.layer.1.output.dense.weight".to_owned()
            ]
        );
        let message = misfit.to_string();
        assert!(message.contains("missing: bert.encoder.layer.0.attention.self.key.weight, "), "{message}");
        assert!(message.contains("bert.embeddings.word_embeddings.weight is [5, 64], not ["), "{message}");
    }

    #[test]
    fn a_bare_encoder_with_old_names_fits_and_its_other_heads_are_unused() {
        let mut shapes = shapes(&parameters(&super::super::mini::config(), Pooling::Cls, 3));
        shapes.retain(|(name, _)| !name.starts_with("classifier") && !name.starts_with("bert.pooler"));
        for (name, _) in &mut shapes {
            *name = name.trim_start_matches("bert.").replace("LayerNorm.weight", "LayerNorm.gamma");
        }
        shapes.push(("cls.predictions.bias".to_owned(), vec![7]));
        assert_eq!(judge(&shapes, false), Ok(vec!["cls.predictions.bias".to_owned()]));
        assert_eq!(judge(&shapes, true).unwrap_err().missing.len(), 4);
    }

    #[test]
    fn the_top_is_its_layers_and_the_pooler() {
        let config = super::super::mini::config();
        assert_eq!(top(&config, 1), ["bert.encoder.layer.1.", "bert.pooler.dense."]);
        assert_eq!(top(&config, 0), Vec::<String>::new());
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..9).map(|index| format!("t{index}")).collect();
        assert_eq!(listed(&names), "t0, t1, t2, t3, t4, t5 and 3 more");
    }
}
