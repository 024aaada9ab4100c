//! The environment variables about the hub, with the names and meanings of `huggingface_hub`.

use std::path::{Path, PathBuf};

use crate::system::files::named;

/// The hub, when `HF_ENDPOINT` names no other.
const ENDPOINT: &str = "https://huggingface.co";

/// The variables that are read; the documentation lists them.
pub const VARIABLES: [&str; 9] = [
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
];

/// The address of the hub, the folder of its files, and the credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Environment {
    /// The folder of all `models--owner--name` folders; `None` when no home folder is known.
    pub cache: Option<PathBuf>,
    /// The hub's address, without a slash at its end.
    pub endpoint: String,
    /// The access token; never shown, and sent to the endpoint's host alone.
    pub token: Option<String>,
    /// Whether the network may not be used.
    pub is_offline: bool,
    /// A PEM file with the trusted authorities, instead of the built-in list.
    pub certificates: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::read(&|name| std::env::var(name).ok())
    }

    /// The environment in which `variable` gives the value of a variable.
    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let home = home(&given);
        let endpoint = given("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let file = given("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join("token")));
        let stored = || named::read_to_string(file?.as_ref()).ok();
        let token = given("HF_TOKEN").or_else(stored).map(|token| token.trim().to_owned());
        let is_set = |name: &str| {
            given(name).is_some_and(|value| {
                ["1", "ON", "YES", "TRUE"].contains(&value.trim().to_ascii_uppercase().as_str())
            })
        };
        Self {
            cache: given("HF_HUB_CACHE")
                .map(|path| expanded(&path, &given))
                .or_else(|| Some(home?.join("hub"))),
            endpoint: endpoint.trim().trim_end_matches('/').to_owned(),
            token: token.filter(|token| !token.is_empty()),
            is_offline: is_set("HF_HUB_OFFLINE") || is_set("TRANSFORMERS_OFFLINE"),
            certificates: given("REQUESTS_CA_BUNDLE").or_else(|| given("SSL_CERT_FILE")).map(PathBuf::from),
        }
    }
}

/// `HF_HOME`, or its default.
fn home(given: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(home) = given("HF_HOME") {
        return Some(expanded(&home, given));
    }
    let cache = given("XDG_CACHE_HOME").map(|path| expanded(&path, given));
    let cache = cache.or_else(|| Some(Path::new(&given("HOME")?).join(".cache")));
    Some(cache?.join("huggingface"))
}

/// `path`, with a `~` at its beginning replaced by the home folder.
fn expanded(path: &str, given: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    match (path.strip_prefix("~/"), given("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The environment in which `variable` gives the value of a variable.
    fn read(variables: &[(&str, &str)]) -> Environment {
        Environment::read(&|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_cache_is_below_the_home_folder_unless_a_variable_says_otherwise() {
        let cache = |variables: &[(&str, &str)]| read(variables).cache.map(|path| path.display().to_string());
        assert_eq!(cache(&[]), None);
        assert_eq!(cache(&[("HOME", "/h")]).unwrap(), "/h/.cache/huggingface/hub");
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).unwrap(), "/x/huggingface/hub");
        assert_eq!(cache(&[("HOME", "/h"), ("HF_HOME", "~/hf")]).unwrap(), "/h/hf/hub");
        assert_eq!(cache(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")]).unwrap(), "/c");
        assert_eq!(cache(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "")]).unwrap(), "/hf/hub");
    }

    #[test]
    fn every_variable_that_is_read_is_documented() {
        let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
        Environment::read(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            None
        });
        let known = VARIABLES.into_iter().chain(["HOME", "XDG_CACHE_HOME"]);
        assert_eq!(asked.into_inner(), known.map(ToOwned::to_owned).collect());
    }

    #[test]
    fn a_slash_at_the_end_of_the_endpoint_is_dropped() {
        assert_eq!(read(&[]).endpoint, "https://huggingface.co");
        assert_eq!(read(&[("HF_ENDPOINT", "http://mirror:80/hf/")]).endpoint, "http://mirror:80/hf");
    }

    #[test]
    fn the_token_is_the_variable_or_else_the_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().display().to_string();
        assert_eq!(read(&[("HF_HOME", &path)]).token, None);
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        assert_eq!(read(&[("HF_HOME", &path)]).token.unwrap(), "hf_file");
        assert_eq!(read(&[("HF_HOME", &path), ("HF_TOKEN", "hf_given ")]).token.unwrap(), "hf_given");
    }

    #[test]
    fn offline_has_the_truth_values_of_huggingface_hub() {
        for (value, is_offline) in [("1", true), ("true", true), ("On", true), ("0", false), ("", false)] {
            assert_eq!(read(&[("HF_HUB_OFFLINE", value)]).is_offline, is_offline, "{value}");
        }
    }
}
