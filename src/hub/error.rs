//! Why a hub checkpoint could not be had, and what to do about it.

use std::{io, path::PathBuf};

/// Why a hub checkpoint could not be had.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The hub does not know it, or does not say that it does.
    #[error("{endpoint} has no {what} (status 404)")]
    Missing {
        /// The hub.
        endpoint: String,
        /// The model, its revision, or a file of it.
        what: String,
    },
    /// The hub knows it and does not give it to whoever asks.
    #[error("{endpoint} gives the model `{model}` {} (status {status})", to_whom(*.has_token))]
    Refused {
        /// The hub.
        endpoint: String,
        /// `owner/name`.
        model: String,
        /// 401 or 403.
        status: u16,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The network may not be used, and the cache is not enough.
    #[error("HF_HUB_OFFLINE is set, and the cache {} does not hold {what} of `{id}`", cache.display())]
    Offline {
        /// The model.
        id: String,
        /// What is not there.
        what: &'static str,
        /// Where it is not.
        cache: PathBuf,
    },
    /// The repository lacks what every encoder needs.
    #[error("the repository of `{id}` has {what}")]
    Lacks {
        /// The model.
        id: String,
        /// `no config.json`, or the like.
        what: &'static str,
    },
    /// No connection, or none that lasted.
    #[error("could not reach {url}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why not.
        source: Box<ureq::Error>,
    },
    /// The hub is there and cannot answer now.
    #[error("{url} answered with status {status}")]
    Busy {
        /// What was asked for.
        url: String,
        /// 429, or 500 and above.
        status: u16,
    },
    /// The answer is none that a hub gives.
    #[error("{url} answered {what}, which no hub does")]
    Answer {
        /// What was asked for.
        url: String,
        /// What came.
        what: String,
    },
    /// A download that was cut too often.
    #[error("the download of {file} of `{id}` was cut {attempts} times; {have} bytes are here{of}")]
    Cut {
        /// The model.
        id: String,
        /// The file.
        file: String,
        /// How often.
        attempts: u32,
        /// Bytes that are kept for the next attempt.
        have: u64,
        /// ` of SIZE`, if the size is known.
        of: String,
        /// Why, the last time.
        source: io::Error,
    },
    /// What came is not what the hub said would come.
    #[error("{file} of `{id}` came damaged and was thrown away: {what}")]
    Damaged {
        /// The model.
        id: String,
        /// The file.
        file: String,
        /// What differs.
        what: String,
    },
    /// The cache could not be read or written.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no place for the cache.
    #[error("there is no folder for the hub's files: neither HF_HOME nor HOME is set")]
    NoCache,
    /// The trusted authorities could not be read.
    #[error("cannot read the certificates in {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<ureq::Error>,
    },
}

fn to_whom(has_token: bool) -> &'static str {
    if has_token { "to others only, not to this token" } else { "to nobody without a token, or has none" }
}

impl HubError {
    /// For `map_err`: what was attempted on which path.
    pub(super) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }

    /// Whether the network is at fault, so that the same command may do better later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. } | Self::Cut { .. } | Self::Damaged { .. })
    }

    /// Whether it is this machine that is at fault.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// What to do.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Missing { .. } => "check the spelling of owner/name and of the revision; a private model \
                                     needs a token in HF_TOKEN; or give a local folder"
                .to_owned(),
            Self::Refused { endpoint, model, has_token: false, .. } => format!(
                "check the spelling; if the model is private or gated, accept its licence at \
                 {endpoint}/{model} and put a token into HF_TOKEN"
            ),
            Self::Refused { endpoint, model, .. } => format!(
                "accept the model's licence at {endpoint}/{model}, or put a token with access to it into \
                 HF_TOKEN"
            ),
            Self::Offline { .. } => {
                "unset HF_HUB_OFFLINE to download it once, or give a local folder".to_owned()
            }
            Self::Lacks { .. } => "choose a model with config.json, a tokenizer and weights in one of the \
                                   formats that the README lists"
                .to_owned(),
            Self::Unreachable { .. } => {
                "check the network, HF_ENDPOINT, HTTPS_PROXY and SSL_CERT_FILE; running \
                                         the same command again goes on where it stopped"
                    .to_owned()
            }
            Self::Busy { .. } | Self::Cut { .. } => {
                "running the same command again, perhaps later, goes on where it stopped".to_owned()
            }
            Self::Answer { .. } => "is HF_ENDPOINT the address of a Hugging Face hub?".to_owned(),
            Self::Damaged { .. } => "run the same command again; if it stays so, something between here and \
                                     the hub changes files"
                .to_owned(),
            Self::Io { .. } => {
                "look at the disk and its permissions, or set HF_HOME to another folder".to_owned()
            }
            Self::NoCache => "set HF_HOME to a folder".to_owned(),
            Self::Certificates { .. } => {
                "REQUESTS_CA_BUNDLE and SSL_CERT_FILE name a PEM file; unset them to use the built-in list"
                    .to_owned()
            }
        }
    }
}
