//! The families of encoders, as data. There is one encoder; this file holds the differences between BERT,
//! RoBERTa and DistilBERT.
//!
//! Names of tensors are those of `transformers` (`models/{bert,roberta,xlm_roberta,distilbert}/modeling_*.py`).

/// The differences between one family of encoders and another.
#[derive(Debug)]
pub struct Family {
    /// `model_type` in `config.json`.
    pub model_type: &'static str,
    /// The family's part of class names such as `BertForSequenceClassification`.
    pub class: &'static str,
    /// The class of the tokenizer where no file of the checkpoint names one.
    pub tokenizer_class: &'static str,
    /// The prefix of the encoder's tensors in a classifier's checkpoint. A bare encoder's checkpoint has none.
    pub prefix: &'static str,
    /// Keys of `config.json` that the family names otherwise: its own name, and BERT's.
    pub keys: &'static [(&'static str, &'static str)],
    /// The family's keys for dropout: on hidden states, on attention probabilities, before the classifier.
    pub dropout_keys: &'static [&'static str],
    /// Rows of the word embeddings where `config.json` lacks the key.
    pub vocab_size: usize,
    /// Layers where `config.json` lacks the key.
    pub layers: usize,
    /// Rows of the token-type embeddings where `config.json` lacks the key; 0 for a family without them.
    pub token_types: usize,
    /// The padding id where `config.json` lacks the key.
    pub pad_token_id: u32,
    /// Whether positions are counted from the padding id plus one.
    pub positions_after_padding: bool,
    /// Whether there is dropout on the attention output.
    pub attention_output_dropout: bool,
    /// The names inside a layer.
    pub layer: LayerNames,
    /// The head over the first token.
    pub head: HeadShape,
}

/// The names of a layer's tensors, without the ending `.weight` or `.bias`.
#[derive(Debug)]
pub struct LayerNames {
    /// The part of a name before the layer's number.
    pub layers: &'static str,
    /// Query, key and value.
    pub projections: [&'static str; 3],
    /// The dense layer after attention.
    pub attention_output: &'static str,
    /// The LayerNorm after that dense layer.
    pub attention_norm: &'static str,
    /// The first, widening dense layer of the feed-forward block.
    pub intermediate: &'static str,
    /// The second, narrowing dense layer of the feed-forward block.
    pub output: &'static str,
    /// The LayerNorm after the feed-forward block.
    pub output_norm: &'static str,
}

/// The layers between the first token's hidden state and the logits.
#[derive(Debug)]
pub struct HeadShape {
    /// The whole name of the dense layer.
    pub dense: &'static str,
    /// The activation after the dense layer.
    pub activation: HeadActivation,
    /// Whether there is dropout before the dense layer too.
    pub dropout_first: bool,
    /// The whole name of the layer that gives logits.
    pub output: &'static str,
}

/// The activation inside the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadActivation {
    /// tanh
    Tanh,
    /// max(x, 0)
    Relu,
}

const BERT_LAYER: LayerNames = LayerNames {
    layers: "encoder.layer",
    projections: ["attention.self.query", "attention.self.key", "attention.self.value"],
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
};

const ROBERTA_HEAD: HeadShape = HeadShape {
    dense: "classifier.dense",
    activation: HeadActivation::Tanh,
    dropout_first: true,
    output: "classifier.out_proj",
};

/// The name of the layer that gives logits over mean-pooled chunks, for every family.
pub(crate) const MEAN_OUTPUT: &str = "classifier";

const BERT: Family = Family {
    model_type: "bert",
    class: "Bert",
    tokenizer_class: "BertTokenizer",
    prefix: "bert",
    keys: &[],
    dropout_keys: &["hidden_dropout_prob", "attention_probs_dropout_prob"],
    vocab_size: 30_522,
    layers: 12,
    token_types: 2,
    pad_token_id: 0,
    positions_after_padding: false,
    attention_output_dropout: true,
    layer: BERT_LAYER,
    head: HeadShape {
        dense: "bert.pooler.dense",
        activation: HeadActivation::Tanh,
        dropout_first: false,
        output: "classifier",
    },
};

const ROBERTA: Family = Family {
    model_type: "roberta",
    class: "Roberta",
    tokenizer_class: "RobertaTokenizer",
    prefix: "roberta",
    vocab_size: 50_265,
    pad_token_id: 1,
    positions_after_padding: true,
    head: ROBERTA_HEAD,
    ..BERT
};

/// The end of the name of an encoder's word embeddings, the same in every family.
pub(crate) const WORD_EMBEDDINGS: &str = "embeddings.word_embeddings.weight";
/// The beginnings of the names of an encoder's tensors in a classifier's checkpoint, of all families.
pub(crate) const PREFIXES: [&str; 3] = ["bert.", "roberta.", "distilbert."];

/// Every family, by `model_type`.
pub(crate) static FAMILIES: [Family; 5] = [
    BERT,
    ROBERTA,
    Family {
        model_type: "xlm-roberta",
        class: "XLMRoberta",
        tokenizer_class: "XLMRobertaTokenizer",
        vocab_size: 30_522,
        ..ROBERTA
    },
    Family {
        model_type: "camembert",
        class: "Camembert",
        tokenizer_class: "CamembertTokenizer",
        vocab_size: 30_522,
        ..ROBERTA
    },
    Family {
        model_type: "distilbert",
        class: "DistilBert",
        prefix: "distilbert",
        keys: &[
            ("dim", "hidden_size"),
            ("n_layers", "num_hidden_layers"),
            ("n_heads", "num_attention_heads"),
            ("hidden_dim", "intermediate_size"),
        ],
        dropout_keys: &["dropout", "attention_dropout", "seq_classif_dropout"],
        layers: 6,
        token_types: 0,
        attention_output_dropout: false,
        layer: LayerNames {
            layers: "transformer.layer",
            projections: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
            attention_output: "attention.out_lin",
            attention_norm: "sa_layer_norm",
            intermediate: "ffn.lin1",
            output: "ffn.lin2",
            output_norm: "output_layer_norm",
        },
        head: HeadShape {
            dense: "pre_classifier",
            activation: HeadActivation::Relu,
            dropout_first: false,
            output: "classifier",
        },
        ..BERT
    },
];

impl Family {
    /// The family of this `model_type`.
    #[must_use]
    pub fn of(model_type: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.model_type == model_type)
    }

    /// Every `model_type`, for messages.
    #[must_use]
    pub fn names() -> String {
        FAMILIES.each_ref().map(|family| family.model_type).join(", ")
    }

    /// The family's own name of the key of `config.json` that BERT calls `key`.
    pub(crate) fn own_key<'k>(&self, key: &'k str) -> &'k str {
        self.keys.iter().find(|(_, berts)| *berts == key).map_or(key, |(own, _)| own)
    }

    /// The name of the encoder's tensor `part` in a classifier's checkpoint.
    pub(crate) fn encoder(&self, part: &str) -> String {
        format!("{}.{part}", self.prefix)
    }

    /// The name of the tensor `part` of the layer with this index.
    pub(crate) fn of_layer(&self, index: usize, part: &str) -> String {
        format!("{}.{}.{index}.{part}", self.prefix, self.layer.layers)
    }

    /// The index of the layer that the tensor `name` belongs to, with or without the family's prefix.
    pub(crate) fn layer_of(&self, name: &str) -> Option<usize> {
        let bare = name.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
        let rest = bare.strip_prefix(self.layer.layers)?.strip_prefix('.')?;
        rest.split('.').next()?.parse().ok()
    }

    /// Whether a checkpoint of the bare encoder may lack `name`, a parameter of the head.
    pub(crate) fn is_head(&self, name: &str) -> bool {
        [self.head.dense, self.head.output, MEAN_OUTPUT]
            .iter()
            .any(|part| name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')))
    }
}
