//! Well-known models whose names are often written without their owners.

use crate::nearest::nearest;

/// Owners on the hub, with those of their encoders that people know without the owner.
const OWNERS: &[(&str, &[&str])] = &[
    (
        "google-bert",
        &[
            "bert-base-uncased",
            "bert-base-cased",
            "bert-large-uncased",
            "bert-large-cased",
            "bert-base-chinese",
            "bert-base-german-cased",
            "bert-base-multilingual-cased",
            "bert-base-multilingual-uncased",
            "bert-large-uncased-whole-word-masking",
            "bert-large-cased-whole-word-masking",
        ],
    ),
    ("FacebookAI", &["roberta-base", "roberta-large", "xlm-roberta-base", "xlm-roberta-large"]),
    (
        "distilbert",
        &[
            "distilbert-base-uncased",
            "distilbert-base-cased",
            "distilbert-base-german-cased",
            "distilbert-base-multilingual-cased",
            "distilroberta-base",
        ],
    ),
    ("almanach", &["camembert-base"]),
    ("dbmdz", &["bert-base-german-uncased", "bert-base-italian-uncased", "bert-base-turkish-cased"]),
    (
        "hfl",
        &["chinese-bert-wwm-ext", "chinese-roberta-wwm-ext", "chinese-roberta-wwm-ext-large", "rbt3", "rbt6"],
    ),
    (
        "sentence-transformers",
        &[
            "all-MiniLM-L6-v2",
            "all-MiniLM-L12-v2",
            "paraphrase-MiniLM-L6-v2",
            "paraphrase-multilingual-MiniLM-L12-v2",
        ],
    ),
    ("microsoft", &["MiniLM-L12-H384-uncased"]),
    ("BAAI", &["bge-small-en-v1.5", "bge-base-en-v1.5", "bge-small-zh-v1.5", "bge-base-zh-v1.5"]),
    ("intfloat", &["multilingual-e5-small", "multilingual-e5-base", "e5-small-v2", "e5-base-v2"]),
    ("moka-ai", &["m3e-small", "m3e-base"]),
    ("allenai", &["scibert_scivocab_uncased", "scibert_scivocab_cased"]),
    ("prajjwal1", &["bert-tiny", "bert-mini", "bert-small", "bert-medium"]),
];

/// Characters that a misspelt name may have too many or too few.
const SLIP_MAX: usize = 2;

/// A model that somebody may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant {
    /// `owner/name`.
    pub id: String,
    /// Whether the name is written exactly so, and only the owner was missing or wrong.
    pub is_exact: bool,
}

/// The well-known model that `written` most likely means. `written` may lack its owner, have a slip of the
/// finger, or be the address of the model's page.
#[must_use]
pub fn meant(written: &str) -> Option<Meant> {
    let text = written.trim().trim_end_matches('/');
    let name = text.rsplit('/').next().unwrap_or(text);
    let models = || OWNERS.iter().flat_map(|(owner, names)| names.iter().map(move |name| (*owner, *name)));
    let found = models().find(|(_, known)| known.eq_ignore_ascii_case(name));
    // A slip of the finger changes the length little; `mini` alone is no slip for `bert-mini`.
    let is_as_long = |known: &&str| known.len().abs_diff(name.len()) <= SLIP_MAX;
    let near = || {
        let near = nearest(name, models().map(|(_, known)| known).filter(is_as_long))?;
        models().find(|(_, known)| *known == near)
    };
    let is_exact = found.is_some();
    found.or_else(near).map(|(owner, known)| Meant { id: format!("{owner}/{known}"), is_exact })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::HubId;

    #[test]
    fn a_classic_name_finds_its_owner() {
        for (written, id) in [
            ("bert-base-uncased", "google-bert/bert-base-uncased"),
            ("BERT-base-chinese", "google-bert/bert-base-chinese"),
            ("roberta-base", "FacebookAI/roberta-base"),
            ("xlm-roberta-base", "FacebookAI/xlm-roberta-base"),
            ("distilbert-base-uncased", "distilbert/distilbert-base-uncased"),
            ("models/roberta-base/", "FacebookAI/roberta-base"),
        ] {
            assert_eq!(meant(written), Some(Meant { id: id.to_owned(), is_exact: true }), "{written}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_nearest_name() {
        let near = Meant { id: "google-bert/bert-base-uncased".to_owned(), is_exact: false };
        assert_eq!(meant("bert-base-uncase"), Some(near));
        assert_eq!([meant("my-own-model"), meant("models/mini")], [None, None]);
    }

    #[test]
    fn every_well_known_name_makes_an_id() {
        for (owner, names) in OWNERS {
            for name in *names {
                assert!(HubId::parse(&format!("{owner}/{name}")).is_some(), "{owner}/{name}");
            }
        }
    }
}
