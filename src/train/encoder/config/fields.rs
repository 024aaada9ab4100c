//! What each key of a `config.json` means here: the one table of what is followed, and what is refused.
//!
//! The keys are those that `transformers` 5 reads for the families that are built in
//! (`configuration_utils.py`, `models/{bert,roberta,xlm_roberta,camembert,distilbert}/`), those that earlier versions
//! read, and those of related models that would make another function of the encoder. Other keys mean nothing to
//! `transformers` either.

use serde_json::Value;

use self::Meaning::{Followed, NoEffect, Only, Refused, Same};
use super::error::BadValue;

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Its value is used.
    Followed(&'static str),
    /// Its value changes no probability and no training here, for this reason.
    NoEffect(&'static str),
    /// Another value than these is refused. Values are written as JSON.
    Only(&'static [&'static str]),
    /// The encoder with this key is not built in.
    Refused(&'static str),
    /// Another value than that of another key is refused.
    Same(&'static str),
}

/// A key, or several with one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The keys. Keys of one line mean the same, to one family or to another.
    pub keys: &'static [&'static str],
    /// What they mean.
    pub meaning: Meaning,
}

const fn field(keys: &'static [&'static str], meaning: Meaning) -> Field {
    Field { keys, meaning }
}

/// The reason for the keys of dropout.
const OWN_DROPOUT: &str = "`[model] dropout` takes its place";
/// The reason for the keys of other parts of a model.
const OTHER_PART: &str = "it belongs to a part that a classifier does not have";
/// The reason for the keys that say how a model is computed.
const HOW: &str = "it changes how the model is computed, not what";
/// The reason for keys that only describe.
const ABOUT: &str = "it describes the file";

/// Every known key.
pub static FIELDS: [Field; 31] = [
    field(
        &["model_type"],
        Followed("the family; without it, `architectures` or the names of the weights tell it"),
    ),
    field(&["vocab_size"], Followed("rows of the word embeddings")),
    field(&["hidden_size", "dim"], Followed("width")),
    field(&["num_hidden_layers", "n_layers"], Followed("layers; further layers of the file are not used")),
    field(&["num_attention_heads", "n_heads"], Followed("heads of a layer")),
    field(&["intermediate_size", "hidden_dim"], Followed("width of the feed-forward block")),
    field(&["max_position_embeddings"], Followed("rows of the position embeddings")),
    field(&["type_vocab_size"], Followed("rows of the token-type embeddings; DistilBERT has none")),
    field(&["layer_norm_eps"], Followed("LayerNorm; DistilBERT always has 1e-12")),
    field(&["pad_token_id"], Followed("where positions begin, in the families of RoBERTa")),
    field(&["initializer_range"], Followed("standard deviation of a fresh head")),
    field(&["tokenizer_class"], Followed("the tokenizer, unless tokenizer_config.json names it")),
    field(
        &["id2label", "num_labels"],
        Followed("names of the classes, in `predict`; training writes its own"),
    ),
    field(
        &["problem_type"],
        Followed("`predict` refuses all but single_label_classification; training writes its own"),
    ),
    field(&["hidden_act", "activation"], Only(&["\"gelu\""])),
    field(&["position_embedding_type"], Only(&["\"absolute\""])),
    field(&["is_decoder", "add_cross_attention", "is_encoder_decoder"], Only(&["false"])),
    field(&["feed_forward_type"], Only(&["\"original\""])),
    field(&["pruned_heads", "per_layer_config"], Only(&["{}"])),
    field(
        &["quantization_config"],
        Refused("quantised weights; take the model from before its quantisation"),
    ),
    field(&["embedding_size"], Same("the width")),
    field(
        &["auto_map"],
        Refused("code of a model is never run, except that of an export, which is built in"),
    ),
    field(
        &["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"],
        NoEffect(OWN_DROPOUT),
    ),
    field(&["dropout", "attention_dropout", "seq_classif_dropout"], NoEffect(OWN_DROPOUT)),
    field(&["qa_dropout", "tie_word_embeddings", "tie_weights_", "use_cache"], NoEffect(OTHER_PART)),
    field(
        &[
            "pooler_fc_size",
            "pooler_num_attention_heads",
            "pooler_num_fc_layers",
            "pooler_size_per_head",
            "pooler_type",
            "directionality",
        ],
        NoEffect("nothing reads it"),
    ),
    field(&["bos_token_id", "eos_token_id"], NoEffect(OTHER_PART)),
    field(
        &["sinusoidal_pos_embds"],
        NoEffect("the file holds the position embeddings, and they are trained"),
    ),
    field(&["chunk_size_feed_forward", "attn_implementation", "gradient_checkpointing"], NoEffect(HOW)),
    field(
        &["dtype", "torch_dtype", "output_hidden_states", "output_attentions", "return_dict"],
        NoEffect(HOW),
    ),
    field(
        &["architectures", "label2id", "transformers_version", "_name_or_path", "finetuning_task"],
        NoEffect(ABOUT),
    ),
];

impl Field {
    /// What the documentation says about the keys.
    #[must_use]
    pub fn described(&self) -> String {
        match self.meaning {
            Followed(what) => format!("followed: {what}"),
            NoEffect(why) => format!("no effect: {why}"),
            Only(values) => {
                let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
                format!("refused unless {}", values.join(" or "))
            }
            Refused(why) => format!("refused: {why}"),
            Same(what) => format!("refused unless it is {what}"),
        }
    }
}

/// Refuses a `config.json` with a value that would make another function of the encoder.
///
/// # Errors
/// The first such value.
pub(super) fn check(config: &Value) -> Result<(), BadValue> {
    for Field { keys, meaning } in &FIELDS {
        let supported = match meaning {
            Only(values) => values.join(", "),
            Refused(why) => format!("none ({why})"),
            Followed(_) | NoEffect(_) | Same(_) => continue,
        };
        for key in *keys {
            let Some(found) = config.get(key).filter(|found| !found.is_null()) else { continue };
            // An export carries code for a head that is built in.
            if *key == "auto_map" && config.get("sweep").is_some() {
                continue;
            }
            let written = found.to_string();
            let fits = |values: &[&str]| values.contains(&written.as_str());
            if !matches!(meaning, Only(values) if fits(values)) {
                return Err(unsupported(key, found, supported));
            }
        }
    }
    let width = ["hidden_size", "dim"].iter().find_map(|key| config.get(key));
    match (config.get("embedding_size").filter(|size| !size.is_null()), width) {
        (Some(size), Some(width)) if size != width => {
            Err(unsupported("embedding_size", size, format!("hidden_size, which is {width}")))
        }
        _ => Ok(()),
    }
}

/// The error for a value that is not built in.
fn unsupported(key: &str, found: &Value, supported: String) -> BadValue {
    let (key, found) = (key.to_owned(), found.to_string().chars().take(60).collect());
    BadValue::Unsupported { key, found, supported }
}
