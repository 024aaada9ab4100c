//! Why a hub checkpoint is not available, and advice.

use std::{io, path::PathBuf};

/// Why a hub checkpoint is not available.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The hub answers that it does not exist. A hub answers so for a private model too.
    #[error("{endpoint} has no {what} (status 404)")]
    Missing {
        /// The hub.
        endpoint: String,
        /// The model, its revision, or a file of it.
        what: String,
    },
    /// The hub has the model and denies access.
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
    /// The network may not be used, and the cache lacks files.
    #[error("HF_HUB_OFFLINE is set, and the cache {} does not hold {what} of `{id}`", cache.display())]
    Offline {
        /// The model.
        id: String,
        /// The missing files.
        what: &'static str,
        /// The cache.
        cache: PathBuf,
    },
    /// The repository lacks a file that every encoder needs.
    #[error("the repository of `{id}` has {what}")]
    Lacks {
        /// The model.
        id: String,
        /// Such as `no config.json`.
        what: &'static str,
    },
    /// There is no connection, or it broke.
    #[error("could not reach {url}")]
    Unreachable {
        /// The address of the request.
        url: String,
        /// Why not.
        source: Box<ureq::Error>,
    },
    /// The hub answers, but cannot serve the request now.
    #[error("{url} answered with status {status}")]
    Busy {
        /// The address of the request.
        url: String,
        /// 429, or 500 and above.
        status: u16,
    },
    /// The answer is not one that a hub gives.
    #[error("{url} answered {what}, which no hub does")]
    Answer {
        /// The address of the request.
        url: String,
        /// The unexpected part of the answer.
        what: String,
    },
    /// A download that was interrupted too often.
    #[error("the download of {file} of `{id}` was cut {attempts} times; {have} bytes are here{}", of(*size))]
    Cut {
        /// The model.
        id: String,
        /// The file.
        file: String,
        /// The number of interrupted attempts.
        attempts: u32,
        /// Bytes that are kept for the next download.
        have: u64,
        /// Bytes of the whole file, if known.
        size: Option<u64>,
        /// Why the last attempt ended.
        source: io::Error,
    },
    /// The file is not the one that the hub announced.
    #[error("{file} of `{id}` came damaged and was thrown away: {damage}")]
    Damaged {
        /// The model.
        id: String,
        /// The file.
        file: String,
        /// The difference.
        damage: Damage,
    },
    /// The file is larger than any file of its kind.
    #[error("{file} of `{id}` has {}; such a file has at most {} MiB", found(*size, *bytes_max), bytes_max >> 20)]
    TooLarge {
        /// The model.
        id: String,
        /// The file.
        file: String,
        /// Its bytes, if the hub says how many.
        size: Option<u64>,
        /// The largest number of bytes of such a file.
        bytes_max: u64,
    },
    /// The cache could not be read or written.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// The operation.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No folder for the cache is known.
    #[error("there is no folder for the hub's files: neither HF_HOME nor HOME is set")]
    NoCache,
    /// The certificates of trusted authorities could not be read.
    #[error("cannot read the certificates in {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<ureq::Error>,
    },
}

/// How a downloaded file differs from the file that the hub announced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Another number of bytes.
    #[error("it should have {expected} bytes and has {found} or more")]
    Size {
        /// Bytes of the announced file.
        expected: u64,
        /// Bytes that were downloaded; the download stops at one byte too many.
        found: u64,
    },
    /// Other contents.
    #[error("its SHA-256 should be {expected} and is {found}")]
    Digest {
        /// The announced SHA-256.
        expected: String,
        /// The SHA-256 of the downloaded file.
        found: String,
    },
}

/// ` of SIZE`, or nothing if the size is unknown.
fn of(size: Option<u64>) -> String {
    size.map_or_else(String::new, |size| format!(" of {size}"))
}

/// `10737418240 bytes`, or `more than …` if it is not known how many.
fn found(size: Option<u64>, bytes_max: u64) -> String {
    size.map_or_else(|| format!("more than {bytes_max} bytes"), |size| format!("{size} bytes"))
}

/// To whom the hub gives a model, as far as a refusal shows it.
fn to_whom(has_token: bool) -> &'static str {
    if has_token { "to others only, not to this token" } else { "to nobody without a token, or has none" }
}

impl HubError {
    /// A function for `map_err` that adds the operation and the path.
    pub(super) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }

    /// Whether the network is at fault, so that the same request may succeed later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. } | Self::Cut { .. } | Self::Damaged { .. })
    }

    /// Whether this machine is at fault.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// Advice for the user.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Refused { endpoint, model, has_token: false, .. } => format!(
                "check the spelling; if the model is private or gated, accept its licence at \
                 {endpoint}/{model} and put a token into HF_TOKEN"
            ),
            Self::Refused { endpoint, model, .. } => format!(
                "accept the model's licence at {endpoint}/{model}, or put a token with access to it into \
                 HF_TOKEN"
            ),
            other => other.fixed_help().to_owned(),
        }
    }

    /// The help that depends on nothing but the kind of error.
    const fn fixed_help(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::Refused { .. } => {
                "check the spelling of owner/name and of the revision; a private model needs a token in \
                 HF_TOKEN; or give a local folder"
            }
            Self::Offline { .. } => "unset HF_HUB_OFFLINE to download it once, or give a local folder",
            Self::Lacks { .. } => {
                "choose a model with config.json, a tokenizer and weights in one of the formats that the \
                 README lists"
            }
            Self::Unreachable { .. } => {
                "check the network, HF_ENDPOINT, HTTPS_PROXY and SSL_CERT_FILE; running the same command \
                 again goes on where it stopped"
            }
            Self::Busy { .. } | Self::Cut { .. } => {
                "running the same command again, perhaps later, goes on where it stopped"
            }
            Self::TooLarge { .. } => {
                "is HF_ENDPOINT the address of a Hugging Face hub? A model that is really so large can be given as a \
                 local folder"
            }
            Self::Answer { .. } => "is HF_ENDPOINT the address of a Hugging Face hub?",
            Self::Damaged { .. } => {
                "run the same command again; if it stays so, something between here and the hub changes files"
            }
            Self::Io { .. } => "look at the disk and its permissions, or set HF_HOME to another folder",
            Self::NoCache => "set HF_HOME to a folder",
            Self::Certificates { .. } => {
                "REQUESTS_CA_BUNDLE and SSL_CERT_FILE name a PEM file; unset them to use the built-in list"
            }
        }
    }
}
