//! HTTP requests to the hub: the list of a model's files, a file's identity, a file's bytes.
//!
//! Redirects are followed here and not by the HTTP library, for two reasons. The hub answers a request for a
//! large file with a redirect to its storage, and only that redirect has the headers with the file's
//! identity. And the token is sent to the hub's own host and to no other.

use std::{io::Read as _, time::Duration};

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
    flow::Flowing,
    id::{HubId, is_commit},
};
use crate::system::files::named;

use crate::system::files::named;

/// The time for a connection, name resolution included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest time without a byte on an open connection.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Redirects of one request; the hub uses two.
const REDIRECTS_MAX: usize = 5;
/// Bytes of the list of a model's files.
const LISTING_MAX: u64 = 64 << 20;

/// An HTTP client of one hub.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
}

/// The identity of a file, from the headers of the hub's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    /// A digest of the contents: SHA-256 for large files, git's SHA-1 for small files.
    pub(super) etag: String,
    /// The number of bytes, if the hub sends it.
    pub(super) size: Option<u64>,
}

/// The bytes of a file, beginning with byte `start`.
pub(super) struct Bytes {
    pub(super) start: u64,
    pub(super) reader: BodyReader<'static>,
}

/// The answer at which redirects end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// The first answer with the headers of a file's identity.
    ToIdentity,
    /// The first answer that is not a redirect.
    ToContents,
}

impl Client {
    pub(super) fn new(environment: &Environment) -> Result<Self, HubError> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &environment.certificates {
            tls = tls.root_certs(authorities(path)?);
        }
        // A proxy cannot reach a hub on this machine.
        let proxy = if is_local(&environment.endpoint) { None } else { Proxy::try_from_env() };
        let config = Agent::config_builder()
            .proxy(proxy)
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(SILENCE_MAX))
            .timeout_recv_response(Some(SILENCE_MAX))
            // Without compression, so that the size in the header is the size of the file.
            .accept_encoding("identity")
            .user_agent(concat!("sweep/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.into(),
            endpoint: environment.endpoint.clone(),
            token: environment.token.clone(),
        })
    }

    /// The current commit of `id`'s revision, and the names of its files. In each `window` of time, some of it must come.
    pub(super) fn listing(&self, id: &HubId, window: Duration) -> Result<RepoInfo, HubError> {
        let url = format!("{}/api/{}", self.endpoint, repo(id).api_url());
        let response = self.send(&url, id, None, Follow::ToContents)?;
        let unexpected = |what: String| HubError::Answer { url: url.clone(), what };
        let mut bytes = Vec::new();
        let body = Flowing::new(response.into_body().into_reader(), window);
        let read = body.take(LISTING_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|source| unreachable(&url, source.into()))?;
        if bytes.len() as u64 > LISTING_MAX {
            return Err(unexpected(format!("a listing of files of more than {} MB", LISTING_MAX >> 20)));
        }
        let info: RepoInfo = serde_json::from_slice(&bytes)
            .map_err(|error| unexpected(format!("no listing of files ({error})")))?;
        if is_commit(&info.sha) { Ok(info) } else { Err(unexpected(format!("the commit {:?}", info.sha))) }
    }

    /// The identity of `file` of the commit `id`.
    pub(super) fn identity(&self, id: &HubId, file: &str) -> Result<FileIdentity, HubError> {
        let url = self.url(id, file);
        let response = self.send(&url, id, None, Follow::ToIdentity)?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let etag = header("x-linked-etag").or_else(|| header(ETAG.as_str())).unwrap_or_default();
        let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"').to_owned();
        // The etag becomes the name of a file of the cache.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if etag.is_empty() || etag.len() > 128 || !etag.chars().all(is_name) {
            return Err(HubError::Answer { url, what: format!("the etag {etag:?}") });
        }
        let is_final = !response.status().is_redirection();
        let size = header("x-linked-size").or_else(|| header(CONTENT_LENGTH.as_str()).filter(|_| is_final));
        Ok(FileIdentity { etag, size: size.and_then(|size| size.parse().ok()) })
    }

    /// The bytes of `file` of the commit `id`, from byte `start` if the server supports ranges, else from
    /// byte 0.
    pub(super) fn bytes(&self, id: &HubId, file: &str, start: u64) -> Result<Bytes, HubError> {
        let url = self.url(id, file);
        let response = self.send(&url, id, Some(start), Follow::ToContents)?;
        let start = match response.status().as_u16() {
            206 => {
                let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
                let first = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
                let first = first.and_then(|first| first.trim().parse().ok());
                // Bytes of another range would be written to the wrong place of the file.
                first.filter(|first| *first == start).ok_or_else(|| HubError::Answer {
                    url,
                    what: format!("the range {range:?} where bytes from {start} were asked for"),
                })?
            }
            _ => 0,
        };
        Ok(Bytes { start, reader: response.into_body().into_reader() })
    }

    /// The address of `file` of the commit `id`.
    fn url(&self, id: &HubId, file: &str) -> String {
        let repo = repo(id);
        format!("{}/{}/resolve/{}/{file}", self.endpoint, repo.url(), repo.url_revision())
    }

    /// Requests `url`: with HEAD for a file's identity, otherwise with GET, from byte `start` if it is given.
    /// The answer has no error status, and is not a redirect that `follow` follows.
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
                Follow::ToContents => self.agent.get(&at),
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

    /// The response, or the error that its status stands for.
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

/// The part of the request that does not exist, by the hub's error code.
fn missing(url: &str, id: &HubId, code: Option<&str>) -> String {
    let (model, revision) = (id.model(), id.revision());
    match code {
        Some("RepoNotFound") => format!("model `{model}`"),
        Some("RevisionNotFound") => format!("revision `{revision}` of the model `{model}`"),
        Some("EntryNotFound") => format!("file {url}"),
        _ => format!("model `{model}` with a revision `{revision}`"),
    }
}

/// The error for a request that got no answer.
fn unreachable(url: &str, source: ureq::Error) -> HubError {
    HubError::Unreachable { url: url.to_owned(), source: Box::new(source) }
}

/// The scheme, host and port of `url`.
fn host(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_ascii_lowercase()))
}

/// Whether `url` is on this machine.
fn is_local(url: &str) -> bool {
    let uri = url.parse::<Uri>();
    uri.is_ok_and(|uri| matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]")))
}

/// The address that the answer to `url` redirects to.
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
    let pem = named::read(path).map_err(HubError::io("read the certificates in", path))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        let failed = |source| HubError::Certificates { path: path.to_owned(), source: Box::new(source) };
        if let PemItem::Certificate(certificate) = item.map_err(failed)? {
            certificates.push(certificate);
        }
    }
    Ok(RootCerts::from(certificates))
}
