//! The names and shapes of a model's parameters, and whether a checkpoint's tensors fit them.

mod hint;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    config::EncoderConfig,
    family::{Family, MEAN_OUTPUT},
};
use crate::settings::Pooling;

/// The largest number of names of a list that a message shows.
const SHOWN_MAX: usize = 6;

/// A parameter of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelParameter {
    /// Hugging Face's name.
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

/// A tensor whose shape is not that of the model's parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// The parameter's name.
    pub name: String,
    /// Its shape in the file.
    pub found: Vec<usize>,
    /// Its shape by the config.
    pub expected: Vec<usize>,
}

/// A checkpoint that does not hold the encoder of its `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", describe(missing, misshapen, hint))]
pub struct Misfit {
    /// Names of tensors that are not there.
    pub missing: Vec<String>,
    /// Tensors of another shape.
    pub misshapen: Vec<Misshapen>,
    /// The probable cause, and what to do; empty if it is not known.
    pub hint: String,
}

fn describe(missing: &[String], misshapen: &[Misshapen], hint: &str) -> String {
    let mut parts = Vec::new();
    if !hint.is_empty() {
        parts.push(hint.to_owned());
    }
    if !missing.is_empty() {
        parts.push(format!("missing: {}", listed(missing)));
    }
    if !misshapen.is_empty() {
        let shapes: Vec<String> = misshapen
            .iter()
            .map(|Misshapen { name, found, expected }| format!("{name} is {found:?}, not {expected:?}"))
            .collect();
        parts.push(format!("of another shape: {}", listed(&shapes)));
    }
    parts.join("; ")
}

/// Joins the first names of a list, and tells how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Returns every parameter of a classifier with `classes` classes.
pub(crate) fn parameters(config: &EncoderConfig, pooling: Pooling, classes: usize) -> Vec<ModelParameter> {
    let family = config.family();
    let width = config.hidden_size;
    let mut list = ParameterList::default();
    let embeddings = [
        ("word", config.vocab_size),
        ("position", config.max_position_embeddings),
        ("token_type", config.type_vocab_size),
    ];
    for (kind, rows) in embeddings.into_iter().filter(|(_, rows)| *rows > 0) {
        list.add(family.encoder(&format!("embeddings.{kind}_embeddings.weight")), &[rows, width]);
    }
    list.add_norm(&family.encoder("embeddings.LayerNorm"), width);
    for layer in 0..config.num_hidden_layers {
        list.add_layer(config, layer);
    }
    match pooling {
        Pooling::Cls => {
            list.add_linear(family.head.dense, width, width);
            list.add_linear(family.head.output, classes, width);
        }
        Pooling::Mean => list.add_linear(MEAN_OUTPUT, classes, width),
    }
    list.parameters
}

/// A growing list of parameters.
#[derive(Default)]
struct ParameterList {
    parameters: Vec<ModelParameter>,
}

impl ParameterList {
    fn add(&mut self, name: String, shape: &[usize]) {
        self.parameters.push(ModelParameter { name, shape: shape.to_vec() });
    }

    fn add_linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.add(format!("{name}.weight"), &[outputs, inputs]);
        self.add(format!("{name}.bias"), &[outputs]);
    }

    fn add_norm(&mut self, name: &str, width: usize) {
        self.add(format!("{name}.weight"), &[width]);
        self.add(format!("{name}.bias"), &[width]);
    }

    fn add_layer(&mut self, config: &EncoderConfig, index: usize) {
        let family = config.family();
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let of = |part: &str| family.of_layer(index, part);
        let names = &family.layer;
        for projection in names.projections {
            self.add_linear(&of(projection), width, width);
        }
        self.add_linear(&of(names.attention_output), width, width);
        self.add_norm(&of(names.attention_norm), width);
        self.add_linear(&of(names.intermediate), inner, width);
        self.add_linear(&of(names.output), width, inner);
        self.add_norm(&of(names.output_norm), width);
    }
}

/// Returns the prefixes of the names of the parameters in the top `layers` layers and in the head's dense layer
/// (Zhang et al. 2021, arXiv 2006.05987). For 0 layers there are none.
pub(crate) fn top_prefixes(config: &EncoderConfig, layers: usize) -> Vec<String> {
    let family = config.family();
    let first = config.num_hidden_layers.saturating_sub(layers);
    let mut names: Vec<String> =
        (first..config.num_hidden_layers).map(|layer| family.of_layer(layer, "")).collect();
    if layers > 0 {
        names.push(format!("{}.", family.head.dense));
    }
    names
}

/// Returns the names under which a checkpoint may hold the parameter `name`: with and without the family's prefix,
/// which a bare encoder lacks, and with the old names of LayerNorm's parameters, gamma and beta.
pub(crate) fn spellings(family: &Family, name: &str) -> [String; 4] {
    let bare = name.strip_prefix(family.prefix).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
    let old = |name: &str| {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    };
    [name.to_owned(), bare.to_owned(), old(name), old(bare)]
}

/// The names of a checkpoint's tensors, as the checkpoint spells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fit {
    /// Tensors that the model takes. They have the shapes of its parameters.
    pub(crate) used: BTreeSet<String>,
    /// Tensors that the model does not take.
    pub(crate) unused: Vec<String>,
}

/// Compares a checkpoint's tensors with the model's parameters.
///
/// `complete`: whether the checkpoint must have the head too.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub(crate) fn fit<'a>(
    parameters: &[ModelParameter],
    family: &Family,
    complete: bool,
    shapes: impl Iterator<Item = (&'a str, &'a [usize])>,
) -> Result<Fit, Misfit> {
    let found: BTreeMap<&str, &[usize]> = shapes.collect();
    let mut unused: BTreeSet<&str> = found.keys().copied().collect();
    let mut used = BTreeSet::new();
    let mut misfit = Misfit::default();
    for ModelParameter { name, shape } in parameters {
        let optional = !complete && family.is_head(name);
        let spelling = spellings(family, name).into_iter().find(|name| found.contains_key(name.as_str()));
        match spelling.and_then(|spelling| found.get_key_value(spelling.as_str())) {
            Some((spelling, found)) => {
                unused.remove(spelling);
                if *found == shape.as_slice() {
                    used.insert((*spelling).to_owned());
                } else if !optional {
                    let (name, found, expected) = (name.clone(), found.to_vec(), shape.clone());
                    misfit.misshapen.push(Misshapen { name, found, expected });
                }
            }
            None if optional => {}
            None => misfit.missing.push(name.clone()),
        }
    }
    if misfit != Misfit::default() {
        let names: Vec<&str> = found.keys().copied().collect();
        misfit.hint = hint::hint(parameters.len(), family, &misfit.missing, &names);
        if misfit.hint.is_empty() {
            misfit.hint = hint::sizes(family, |name| {
                let tensor = misfit.misshapen.iter().find(|tensor| tensor.name == name)?;
                Some((&tensor.found, &tensor.expected))
            });
        }
        return Err(misfit);
    }
    Ok(Fit { used, unused: unused.into_iter().map(ToOwned::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::encoder::mini;

    fn shapes(parameters: &[ModelParameter]) -> Vec<(String, Vec<usize>)> {
        parameters.iter().map(|parameter| (parameter.name.clone(), parameter.shape.clone())).collect()
    }

    /// Fits `shapes` to the classifier over `builtin:mini`, and returns the names of the unused tensors.
    fn judge(shapes: &[(String, Vec<usize>)], complete: bool) -> Result<Vec<String>, Misfit> {
        let config = mini::config();
        let parameters = parameters(&config, Pooling::Cls, 3);
        let shapes = shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()));
        fit(&parameters, config.family(), complete, shapes).map(|fit| fit.unused)
    }

    /// The shapes of a checkpoint that has every tensor of the classifier.
    fn complete_shapes() -> Vec<(String, Vec<usize>)> {
        shapes(&parameters(&mini::config(), Pooling::Cls, 3))
    }

    #[test]
    fn a_complete_checkpoint_fits() {
        assert_eq!(judge(&complete_shapes(), true), Ok(vec![]));
    }

    #[test]
    fn every_missing_tensor_is_named() {
        let mut shapes = complete_shapes();
        shapes.retain(|(name, _)| !name.ends_with("layer.1.output.dense.weight") && !name.contains(".key."));
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
    }

    #[test]
    fn the_message_names_missing_and_misshapen_tensors() {
        let mut shapes = complete_shapes();
        shapes.retain(|(name, _)| !name.contains(".key."));
        shapes.push(("cls.predictions.bias".to_owned(), vec![7]));
        shapes[0].1 = vec![5, 64];
        let message = judge(&shapes, true).unwrap_err().to_string();
        assert!(message.contains("missing: bert.encoder.layer.0.attention.self.key.weight, "), "{message}");
        assert!(message.contains("bert.embeddings.word_embeddings.weight is [5, 64], not ["), "{message}");
    }

    /// The hint for the tensors of a classifier with another `config.json`.
    fn hint_for(change: impl Fn(&mut EncoderConfig)) -> String {
        let mut config = mini::config();
        change(&mut config);
        let other = parameters(&config, Pooling::Cls, 3);
        judge(&shapes(&other), true).unwrap_err().hint
    }

    #[test]
    fn sizes_that_are_not_those_of_the_file_are_named_by_their_keys() {
        let hint = hint_for(|config| (config.vocab_size, config.max_position_embeddings) = (7, 9));
        assert!(hint.starts_with("config.json says vocab_size "), "{hint}");
        assert!(hint.contains(" and max_position_embeddings 512, the file has 7 and 9; correct"), "{hint}");
        assert!(
            hint_for(|config| config.intermediate_size = 5).contains("intermediate_size 64, the file has 5;")
        );
        assert!(hint_for(|config| config.hidden_size = 32).contains("hidden_size 64, the file has 32;"));
        assert!(hint_for(|config| config.type_vocab_size = 1).contains("type_vocab_size 2, the file has 1;"));
    }

    /// The shapes of an old checkpoint of the bare encoder, with the head of another task.
    fn old_bare_shapes() -> Vec<(String, Vec<usize>)> {
        let mut shapes = complete_shapes();
        shapes.retain(|(name, _)| !name.starts_with("classifier") && !name.starts_with("bert.pooler"));
        for (name, _) in &mut shapes {
            *name = name.trim_start_matches("bert.").replace("LayerNorm.weight", "LayerNorm.gamma");
        }
        shapes.push(("cls.predictions.bias".to_owned(), vec![7]));
        shapes
    }

    #[test]
    fn a_bare_encoder_with_old_names_fits_and_its_other_head_is_unused() {
        assert_eq!(judge(&old_bare_shapes(), false), Ok(vec!["cls.predictions.bias".to_owned()]));
    }

    #[test]
    fn a_bare_encoder_is_no_complete_classifier() {
        assert_eq!(judge(&old_bare_shapes(), true).unwrap_err().missing.len(), 4);
    }

    /// The hint for the tensors of the classifier under other names.
    fn hint(rename: impl Fn(&str) -> Vec<String>) -> String {
        let shapes = complete_shapes();
        let renamed = |(name, shape): &(String, Vec<usize>)| {
            rename(name).into_iter().map(|name| (name, shape.clone())).collect::<Vec<_>>()
        };
        judge(&shapes.iter().flat_map(renamed).collect::<Vec<_>>(), false).unwrap_err().hint
    }

    #[test]
    fn names_of_another_family_are_named_with_the_line_to_write() {
        let hint = hint(|name| vec![name.replace("bert.", "roberta.")]);
        assert!(
            hint.contains("begin with \"roberta.\"") && hint.contains("\"model_type\": \"roberta\""),
            "{hint}"
        );
    }

    #[test]
    fn two_encoders_in_one_file_are_named() {
        let hint = hint(|name| vec![format!("query.{name}"), format!("text.{name}")]);
        assert!(hint.contains("beginning with \"query.bert.\" and \"text.bert.\""), "{hint}");
    }

    #[test]
    fn fewer_layers_than_the_config_says_are_counted() {
        let hint = hint(|name| if name.contains("layer.1.") { Vec::new() } else { vec![name.to_owned()] });
        assert!(hint.contains("the file has, which is 1; correct num_hidden_layers"), "{hint}");
    }

    #[test]
    fn names_that_are_none_of_an_encoder_are_shown() {
        let hint = hint(|name| vec![format!("x{}", name.len())]);
        assert!(hint.starts_with("the file has other names: x"), "{hint}");
    }

    #[test]
    fn the_top_is_its_layers_and_the_pooler() {
        let config = mini::config();
        assert_eq!(top_prefixes(&config, 1), ["bert.encoder.layer.1.", "bert.pooler.dense."]);
        assert_eq!(top_prefixes(&config, 0), Vec::<String>::new());
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..9).map(|index| format!("t{index}")).collect();
        assert_eq!(listed(&names), "t0, t1, t2, t3, t4, t5 and 3 more");
    }
}
