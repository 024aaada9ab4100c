//! Which parameters learn, which of them decay, and how fast each one learns.
//!
//! A parameter is named by its path in [`Classifier`], such as `encoder.layers.0.output.weight`.

use burn::{
    module::{ModuleMapper, Param},
    tensor::Tensor,
};

#[cfg(doc)]
use crate::train::encoder::model::classifier::Classifier;
use crate::{
    settings::{Freeze, Settings},
    train::backend::Compute,
};

/// The path of the word embeddings.
pub(super) const WORDS: &str = "encoder.words.weight";

/// Each parameter's learning rate as a factor on the one that the schedule gives.
//
// Layer decay (Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", section 5.3.3; arXiv 1905.05583): the
// top layer has the rate of the schedule, each layer below it `decay` times the rate of the layer above, and the
// embeddings that of one more layer. Lower layers hold more general features, which need less change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateFactors {
    /// The factor of the head: its own learning rate over that of the encoder.
    head: f64,
    /// The factor from a layer to the one below it.
    decay: f64,
    layers: usize,
}

impl RateFactors {
    /// The factors for an encoder of `layers` layers.
    pub(crate) fn new(settings: &Settings, layers: usize) -> Self {
        let head = match settings.head_learning_rate {
            rate if rate > 0.0 => rate / settings.learning_rate,
            _ => 1.0,
        };
        Self { head, decay: settings.layer_decay, layers }
    }

    /// The factor of the parameter `name`: 1 in the top layer, less below it, least in the embeddings.
    pub(super) fn of(&self, name: &str) -> f64 {
        let Some(inner) = name.strip_prefix("encoder.") else { return self.head };
        let below = layer(inner).map_or(self.layers, |layer| (self.layers - 1).saturating_sub(layer));
        self.decay.powi(i32::try_from(below).unwrap_or(i32::MAX))
    }
}

/// The layer of the encoder's parameter `inner`; `None` for the embeddings.
fn layer(inner: &str) -> Option<usize> {
    inner.strip_prefix("layers.")?.split('.').next()?.parse().ok()
}

/// Whether the parameter `name` learns.
fn learns(name: &str, freeze: Freeze) -> bool {
    let Some(inner) = name.strip_prefix("encoder.") else { return true };
    match freeze {
        Freeze::Encoder => false,
        Freeze::Layers(0) => true,
        Freeze::Layers(layers) => layer(inner).is_some_and(|layer| layer >= layers),
    }
}

/// Whether the parameter `name` decays: all but biases and the parameters of LayerNorm, as in `transformers`
/// (`trainer.py`, `get_decay_parameter_names`).
pub(super) fn decays(name: &str) -> bool {
    let last = name.rsplit('.').next();
    !matches!(last, Some("bias" | "gamma" | "beta"))
}

/// The path to the parameter that a walk over a model has reached.
#[derive(Default)]
pub(super) struct ParameterPath {
    modules: Vec<String>,
}

impl ParameterPath {
    pub(super) fn enter(&mut self, module: &str) {
        self.modules.push(module.to_owned());
    }

    pub(super) fn exit(&mut self) {
        self.modules.pop();
    }

    pub(super) fn name(&self) -> String {
        self.modules.join(".")
    }
}

/// Marks the parameters that do not learn, so that no gradient is computed for them.
pub(crate) struct Freezer {
    path: ParameterPath,
    freeze: Freeze,
}

impl Freezer {
    pub(crate) fn new(freeze: Freeze) -> Self {
        Self { path: ParameterPath::default(), freeze }
    }
}

impl<B: Compute> ModuleMapper<B> for Freezer {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let learns = learns(&self.path.name(), self.freeze);
        param.set_require_grad(learns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_from_the_first_that_is_not_frozen_learn() {
        assert!(learns("encoder.layers.2.output.weight", Freeze::Layers(2)));
    }

    #[test]
    fn frozen_layers_do_not_learn() {
        assert!(!learns("encoder.layers.1.output.weight", Freeze::Layers(2)));
    }

    #[test]
    fn a_frozen_layer_freezes_the_embeddings() {
        assert!(!learns("encoder.words.weight", Freeze::Layers(1)));
    }

    #[test]
    fn without_frozen_layers_the_embeddings_learn() {
        assert!(learns("encoder.words.weight", Freeze::Layers(0)));
    }

    #[test]
    fn in_a_frozen_encoder_no_layer_learns() {
        assert!(!learns("encoder.layers.3.output.weight", Freeze::Encoder));
    }

    #[test]
    fn over_a_frozen_encoder_the_head_learns() {
        assert!(learns("pooler.weight", Freeze::Encoder));
    }

    fn decaying_factors() -> RateFactors {
        let settings = Settings {
            learning_rate: 1e-4,
            head_learning_rate: 1e-3,
            layer_decay: 0.5,
            ..Settings::default()
        };
        RateFactors::new(&settings, 3)
    }

    #[test]
    fn lower_layers_learn_more_slowly() {
        let factors =
            ["encoder.layers.2.output.weight", "encoder.layers.0.output.weight", "encoder.words.weight"]
                .map(|name| decaying_factors().of(name));
        assert_eq!(factors, [1.0, 0.25, 0.125]);
    }

    #[test]
    fn the_head_learns_at_its_own_rate() {
        for name in ["head.weight", "pooler.bias"] {
            assert!((decaying_factors().of(name) - 10.0).abs() < 1e-12, "{name}");
        }
    }

    #[test]
    fn by_default_all_parameters_learn_at_the_same_rate() {
        let plain = RateFactors::new(&Settings::default(), 3);
        assert_eq!(["encoder.words.weight", "head.weight"].map(|name| plain.of(name)), [1.0, 1.0]);
    }

    #[test]
    fn weights_decay() {
        assert!(decays("encoder.layers.0.output.weight") && decays("encoder.words.weight"));
    }

    #[test]
    fn biases_and_layer_norms_do_not_decay() {
        for name in ["classifier.bias", "encoder.embedding_norm.gamma", "encoder.layers.0.output_norm.beta"] {
            assert!(!decays(name), "{name}");
        }
    }
}
