//! What is asked of the hub over HTTP: a model's files, a file's identity, a file's bytes.
//!
//! Redirects are followed here and not by the HTTP library, for two reasons: the answer that
//! points to a large file's storage is the one that says what the file is, and the token goes
//! to the hub's own host and to no other.

use std::time::Duration;

use hf_hub::{Repo, RepoType, api::RepoInfo};
use ureq::{
    Agent, Body, BodyReader, Proxy,
    http::{
        HeaderName, Response, Uri,
        header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LOCATION, RANGE},
    },
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::{
    environment::Environment,
    error::HubError,
    id::{HubId, is_commit},
};

/// From the name to an open connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest silence of a hub that has a connection.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Redirects of one request; a hub makes two.
const REDIRECTS_MAX: usize = 5;
/// The longest listing of a repository, in bytes.
const LISTING_MAX: u64 = 64 << 20;

/// A connection to the hub.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
}

/// What the hub says of a file before it sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Names the contents: a SHA-256 for large files, git's SHA-1 for small ones.
    pub(super) etag: String,
    /// Bytes.
    pub(super) size: Option<u64>,
}

/// The bytes of a file from `start` on.
pub(super) struct Bytes {
    pub(super) start: u64,
    pub(super) reader: BodyReader<'static>,
}

/// Which redirects are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// Those before an answer that says what the file is.
    ToIdentity,
    /// All.
    ToTheEnd,
}

impl Client {
    pub(super) fn new(environment: &Environment) -> Result<Self, HubError> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &environment.certificates {
            tls = tls.root_certs(authorities(path)?);
        }
        // No proxy reaches a hub on this machine.
        let proxy = if is_local(&environment.endpoint) { None } else { Proxy::try_from_env() };
        let config = Agent::config_builder()
            .proxy(proxy)
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(SILENCE_MAX))
            .timeout_recv_response(Some(SILENCE_MAX))
            // Sizes are those of the files as they are.
            .accept_encoding("identity")
            .user_agent(concat!("sweep/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.into(),
            endpoint: environment.endpoint.clone(),
            token: environment.token.clone(),
        })
    }

    /// The commit that `id`'s revision is now, and the names of its files.
    pub(super) fn listing(&self, id: &HubId) -> Result<RepoInfo, HubError> {
        let url = format!("{}/api/{}", self.endpoint, repo(id).api_url());
        let mut response = self.send(&url, id, None, Follow::ToTheEnd)?;
        let strange = |what: String| HubError::Answer { url: url.clone(), what };
        let read = response.body_mut().with_config().limit(LISTING_MAX).read_to_vec();
        let bytes = read.map_err(|source| unreachable(&url, source))?;
        let info: RepoInfo = serde_json::from_slice(&bytes)
            .map_err(|error| strange(format!("no listing of files ({error})")))?;
        if is_commit(&info.sha) { Ok(info) } else { Err(strange(format!("the commit {:?}", info.sha))) }
    }

    /// What `file` of the commit `id` is.
    pub(super) fn identity(&self, id: &HubId, file: &str) -> Result<Identity, HubError> {
        let url = self.url(id, file);
        let response = self.send(&url, id, None, Follow::ToIdentity)?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let etag = header("x-linked-etag").or_else(|| header(ETAG.as_str())).unwrap_or_default();
        let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"').to_owned();
        // It names a file of the cache.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if etag.is_empty() || etag.len() > 128 || !etag.chars().all(is_name) {
            return Err(HubError::Answer { url, what: format!("the etag {etag:?}") });
        }
        let is_final = !response.status().is_redirection();
        let size = header("x-linked-size").or_else(|| header(CONTENT_LENGTH.as_str()).filter(|_| is_final));
        Ok(Identity { etag, size: size.and_then(|size| size.parse().ok()) })
    }

    /// The bytes of `file` of the commit `id`, from `start` on if the server can.
    pub(super) fn bytes(&self, id: &HubId, file: &str, start: u64) -> Result<Bytes, HubError> {
        let url = self.url(id, file);
        let response = self.send(&url, id, Some(start), Follow::ToTheEnd)?;
        let start = match response.status().as_u16() {
            206 => {
                let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
                let first = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
                let first = first.and_then(|first| first.trim().parse().ok());
                // Bytes from elsewhere would be put into the wrong place.
                first.filter(|first| *first == start).ok_or_else(|| HubError::Answer {
                    url,
                    what: format!("the range {range:?} where bytes from {start} were asked for"),
                })?
            }
            _ => 0,
        };
        Ok(Bytes { start, reader: response.into_body().into_reader() })
    }

    fn url(&self, id: &HubId, file: &str) -> String {
        let repo = repo(id);
        format!("{}/{}/resolve/{}/{file}", self.endpoint, repo.url(), repo.url_revision())
    }

    /// Asks for `url`: by HEAD when only the identity is wanted, otherwise by GET, from byte `start`
    /// on if one is given. What comes back is no error, and no redirect that `follow` follows.
    fn send(
        &self,
        url: &str,
        id: &HubId,
        start: Option<u64>,
        follow: Follow,
    ) -> Result<Response<Body>, HubError> {
        let mut at = url.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = match follow {
                Follow::ToIdentity => self.agent.head(&at),
                Follow::ToTheEnd => self.agent.get(&at),
            };
            if let Some(token) = self.token.as_ref().filter(|_| host(&at) == host(&self.endpoint)) {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            if let Some(start @ 1..) = start {
                request = request.header(RANGE, format!("bytes={start}-"));
            }
            let response = request.call().map_err(|source| unreachable(&at, source))?;
            if !response.status().is_redirection() {
                return self.checked(&at, id, response);
            }
            let has = |name: &str| response.headers().contains_key(name);
            if follow == Follow::ToIdentity && has("x-linked-etag") && has("x-linked-size") {
                return Ok(response);
            }
            at = redirected(&at, &response)?;
        }
        Err(HubError::Answer { url: url.to_owned(), what: "redirects without an end".to_owned() })
    }

    fn checked(&self, url: &str, id: &HubId, response: Response<Body>) -> Result<Response<Body>, HubError> {
        let status = response.status().as_u16();
        let code = HeaderName::from_static("x-error-code");
        let code = response.headers().get(code).and_then(|code| code.to_str().ok());
        let (endpoint, model) = (self.endpoint.clone(), id.model().to_owned());
        match status {
            200..300 => Ok(response),
            404 => Err(HubError::Missing { endpoint, what: missing(url, id, code) }),
            401 | 403 => Err(HubError::Refused { endpoint, model, status, has_token: self.token.is_some() }),
            408 | 416 | 429 | 500.. => Err(HubError::Busy { url: url.to_owned(), status }),
            _ => Err(HubError::Answer { url: url.to_owned(), what: format!("with status {status}") }),
        }
    }
}

/// The repository of `id`, as `hf-hub` names it in addresses and in the cache.
pub(super) fn repo(id: &HubId) -> Repo {
    Repo::with_revision(id.model().to_owned(), RepoType::Model, id.revision().to_owned())
}

/// What is not there, by the hub's word for it.
fn missing(url: &str, id: &HubId, code: Option<&str>) -> String {
    let (model, revision) = (id.model(), id.revision());
    match code {
        Some("RepoNotFound") => format!("model `{model}`"),
        Some("RevisionNotFound") => format!("revision `{revision}` of the model `{model}`"),
        Some("EntryNotFound") => format!("file {url}"),
        _ => format!("model `{model}` with a revision `{revision}`"),
    }
}

fn unreachable(url: &str, source: ureq::Error) -> HubError {
    HubError::Unreachable { url: url.to_owned(), source: Box::new(source) }
}

/// Scheme, host and port.
fn host(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_ascii_lowercase()))
}

fn is_local(url: &str) -> bool {
    let uri = url.parse::<Uri>();
    uri.is_ok_and(|uri| matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]")))
}

/// Where the answer to `url` sends us.
fn redirected(url: &str, response: &Response<Body>) -> Result<String, HubError> {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    match (location, host(url)) {
        (Some(location), _) if location.starts_with("https://") || location.starts_with("http://") => {
            Ok(location.to_owned())
        }
        (Some(path), Some((scheme, authority))) if path.starts_with('/') && !path.starts_with("//") => {
            Ok(format!("{scheme}://{authority}{path}"))
        }
        _ => Err(HubError::Answer { url: url.to_owned(), what: format!("a redirect to {location:?}") }),
    }
}

/// The certificates of a PEM file.
fn authorities(path: &std::path::Path) -> Result<RootCerts, HubError> {
    let pem = std::fs::read(path).map_err(HubError::io("read the certificates in", path))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        let failed = |source| HubError::Certificates { path: path.to_owned(), source: Box::new(source) };
        if let PemItem::Certificate(certificate) = item.map_err(failed)? {
            certificates.push(certificate);
        }
    }
    Ok(RootCerts::from(certificates))
}
