//! The name of a hub checkpoint: `owner/name` or `owner/name@revision`.

use std::fmt;

/// The revision of an id without a revision.
const DEFAULT_REVISION: &str = "main";

/// A model of the hub at a revision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubId {
    model: String,
    revision: Option<String>,
}

impl HubId {
    /// The id written as `text`; `None` if `text` does not have the form of an id. The model may not exist.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (model, revision) = match text.split_once('@') {
            Some((model, revision)) => (model, Some(revision)),
            None => (text, None),
        };
        let (owner, name) = model.split_once('/')?;
        if !is_part(owner) || !is_part(name) || revision.is_some_and(|revision| !is_revision(revision)) {
            return None;
        }
        let revision = revision.map(|revision| {
            if is_commit(revision) { revision.to_ascii_lowercase() } else { revision.to_owned() }
        });
        Some(Self { model: model.to_owned(), revision })
    }

    /// `owner/name`.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The branch, tag or commit; `main` when the id has no revision.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// The revision, if it is a whole commit: 40 hexadecimal digits. Its files never change.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        self.revision.as_deref().filter(|revision| is_commit(revision))
    }

    /// The same model at `revision`.
    #[must_use]
    pub(super) fn at(&self, revision: &str) -> Self {
        Self { model: self.model.clone(), revision: Some(revision.to_owned()) }
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.revision {
            Some(revision) => write!(f, "{}@{revision}", self.model),
            None => f.write_str(&self.model),
        }
    }
}

/// Whether `text` is a whole commit.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// Whether `part` is an owner or a name by the rule of `huggingface_hub`.
fn is_part(part: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=96).contains(&part.len())
        && part.chars().all(|c| is_edge(c) || matches!(c, '-' | '.'))
        && part.starts_with(is_edge)
        && part.ends_with(is_edge)
        && !part.contains("--")
        && !part.contains("..")
}

/// Whether `revision` needs no quoting in an address and, as a path, stays below `refs/`.
fn is_revision(revision: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+');
    revision.len() <= 200
        && revision.chars().all(is_good)
        && !revision.contains("..")
        && revision.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "8f23c25b06e129b6c986331a13d8d025a92cf0ea";

    #[test]
    fn an_id_without_a_revision_means_main() {
        let id = HubId::parse("google-bert/bert-base-chinese").unwrap();
        assert_eq!((id.model(), id.revision(), id.commit()), ("google-bert/bert-base-chinese", "main", None));
        assert_eq!(id.to_string(), "google-bert/bert-base-chinese");
    }

    #[test]
    fn a_revision_is_a_branch_a_tag_or_a_commit() {
        let revision = |text: &str| HubId::parse(&format!("a/b@{text}")).unwrap().revision().to_owned();
        for text in ["v1.0", "refs/pr/5", "feature/x_y+z", "8f23c25"] {
            assert_eq!(revision(text), text);
        }
    }

    #[test]
    fn a_commit_is_written_in_lower_case() {
        let id = HubId::parse(&format!("a/b@{}", COMMIT.to_uppercase())).unwrap();
        assert_eq!(id.commit(), Some(COMMIT));
        assert_eq!(id.to_string(), format!("a/b@{COMMIT}"));
    }

    #[test]
    fn the_beginning_of_a_commit_is_no_commit() {
        assert_eq!(HubId::parse("a/b@8f23c25").unwrap().commit(), None);
    }

    #[test]
    fn a_text_of_another_form_is_no_id() {
        for text in [
            "",
            "bert-base-chinese",
            "builtin:mini",
            "/models/bert",
            "./bert",
            "../models/bert",
            "models/../mini",
            "models/bert/",
            "a/b/c",
            "a//b",
            "a/.b",
            "a/b-",
            "a/b--c",
            "a/b..c",
            "a b/c",
            "模型/bert",
            "a/b@",
            "a/b@../../x",
            "a/b@/x",
            "a/b@x/",
            "a/b@.x",
            "a/b@x y",
            "a/b@x@y",
            "a@x/b",
        ] {
            assert_eq!(HubId::parse(text), None, "{text}");
        }
        assert_eq!(HubId::parse(&format!("a/{}", "b".repeat(97))), None);
    }
}
