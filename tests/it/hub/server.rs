//! A small hub on this machine: one model, and what may go wrong on the way to it.
//!
//! Large files are sent from a storage of their own, on another port, as the hub does.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use sha2::{Digest, Sha256};

pub(crate) const MODEL: &str = "tiny/bert";

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the port, so that hub and storage are told apart.
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) token: Option<String>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// Everything is answered with this status.
    Status(u16),
    /// So many connections to the storage end before this byte of the file.
    Cut {
        at: usize,
        times: usize,
    },
    /// The storage sends whole files whatever range is asked for.
    NoRanges,
    /// The storage sends other bytes, as many as there should be.
    OtherBytes,
    /// The hub says that large files have one byte more than they have.
    WrongSize,
    /// The hub does not say how large its small files are, and sends zeros behind them without an end.
    Endless,
    /// The hub says that its small files have so many bytes.
    Size(u64),
    /// Every answer that has a body is a byte now and then, without an end.
    Drip,
    /// The same, of the storage alone.
    DripWeights,
    /// Every answer is a redirect to itself.
    Circle,
}

struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// Branches and tags.
    revisions: BTreeMap<String, String>,
    fault: Fault,
    requests: Vec<Request>,
    hub: String,
    storage: String,
}

/// The hub; it ends with the test's process.
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A file larger than this has a SHA-256 and stands in the storage.
const LARGE: usize = 10_000;

fn etag(bytes: &[u8]) -> String {
    let digest = sha256(bytes);
    // Small files have a hash of git's, which is 40 digits long.
    if bytes.len() > LARGE { digest } else { digest[..40].to_owned() }
}

impl Server {
    /// A hub with a model of these files; `main` is the commit `1111…`.
    pub(crate) fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [hub, storage] = [0, 1].map(|at| listeners[at].local_addr().unwrap().to_string());
        let revisions = BTreeMap::from([("main".to_owned(), "1".repeat(40))]);
        let (fault, requests) = (Fault::Nothing, Vec::new());
        let state = Arc::new(Mutex::new(State { files, revisions, fault, requests, hub, storage }));
        for listener in listeners {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let state = Arc::clone(&state);
                    thread::spawn(move || answer(&stream.unwrap(), &state));
                }
            });
        }
        Self { state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.state().hub)
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.state().fault = fault;
    }

    /// Lets a branch or tag be a commit.
    pub(crate) fn set(&self, revision: &str, commit: &str) {
        self.state().revisions.insert(revision.to_owned(), commit.to_owned());
    }

    /// What was asked for since the last call.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().requests)
    }

    /// As [`Self::requests`], those to the storage only.
    pub(crate) fn downloads(&self) -> Vec<Request> {
        let storage = self.state().storage.clone();
        self.requests().into_iter().filter(|request| request.host == storage).collect()
    }
}

fn answer(stream: &TcpStream, state: &Mutex<State>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let headers: BTreeMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let mut words = first.split(' ').map(ToOwned::to_owned);
    let request = Request {
        method: words.next().unwrap(),
        host: headers["host"].clone(),
        path: words.next().unwrap(),
        range: headers.get("range").cloned(),
        token: headers.get("authorization").cloned(),
    };
    let mut state = state.lock().unwrap();
    state.requests.push(request.clone());
    let response = state.respond(&request);
    let fault = state.fault;
    drop(state);
    // A client that has seen enough may be gone.
    let mut is_open = (&*stream).write_all(&response).is_ok() && request.method == "GET";
    while is_open {
        let more: &[u8] = match fault {
            Fault::Endless if request.path.ends_with("vocab.txt") => &[0; 1 << 14],
            Fault::DripWeights if request.path.starts_with("/storage/") => b" ",
            Fault::Drip => b" ",
            _ => return,
        };
        is_open = (&*stream).write_all(more).is_ok();
        if more.len() == 1 {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn response(status: u16, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} -\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    [(text + "\r\n").as_bytes(), body].concat()
}

fn length(body: &[u8]) -> (&'static str, String) {
    ("content-length", body.len().to_string())
}

impl State {
    fn respond(&mut self, request: &Request) -> Vec<u8> {
        if let Fault::Status(status) = self.fault {
            return response(status, &[length(b"")], b"");
        }
        let path = request.path.clone();
        match self.fault {
            Fault::Circle => return response(302, &[("location", path), length(b"")], b""),
            Fault::DripWeights if path.starts_with("/storage/") => {
                return response(200, &[], b" ");
            }
            Fault::Drip if request.method == "GET" => return response(200, &[], b" "),
            _ => {}
        }
        if let Some(etag) = path.strip_prefix("/storage/") {
            return self.store(etag, request);
        }
        let nothing = || response(404, &[("x-error-code", "RepoNotFound".to_owned()), length(b"")], b"");
        if let Some(revision) = path.strip_prefix(&format!("/api/models/{MODEL}/revision/")) {
            return self.listing(revision);
        }
        if let Some(rest) = path.strip_prefix(&format!("/{MODEL}/resolve/")) {
            let (revision, file) = rest.split_once('/').unwrap();
            return self.resolve(revision, file, request.method == "HEAD");
        }
        // As the hub does with small files: a relative redirect that does not tell what the file is.
        match path.strip_prefix("/cache/").and_then(|file| self.files.get(file)) {
            Some(bytes) => {
                let headers = [("etag", format!("\"{}\"", etag(bytes))), length(bytes)];
                response(200, &headers, if request.method == "HEAD" { b"" } else { bytes })
            }
            None => nothing(),
        }
    }

    fn commit(&self, revision: &str) -> Option<String> {
        let is_commit = self.revisions.values().any(|commit| commit == revision);
        let revision = revision.replace("%2F", "/");
        if is_commit { Some(revision) } else { self.revisions.get(&revision).cloned() }
    }

    fn listing(&self, revision: &str) -> Vec<u8> {
        let Some(commit) = self.commit(revision) else {
            let headers = [("x-error-code", "RevisionNotFound".to_owned()), length(b"")];
            return response(404, &headers, b"");
        };
        let names: Vec<String> =
            self.files.keys().map(|name| format!("{{\"rfilename\": \"{name}\"}}")).collect();
        let body =
            format!("{{\"sha\": \"{commit}\", \"id\": \"{MODEL}\", \"siblings\": [{}]}}", names.join(","));
        response(200, &[length(body.as_bytes())], body.as_bytes())
    }

    fn resolve(&self, revision: &str, file: &str, is_head: bool) -> Vec<u8> {
        let (Some(commit), Some(bytes)) = (self.commit(revision), self.files.get(file)) else {
            return response(404, &[("x-error-code", "EntryNotFound".to_owned()), length(b"")], b"");
        };
        let etag = etag(bytes);
        let commit = ("x-repo-commit", commit);
        if file == "config.json" {
            return response(307, &[commit, ("location", format!("/cache/{file}")), length(b"")], b"");
        }
        if bytes.len() <= LARGE {
            let body = if is_head { b"" } else { bytes.as_slice() };
            let size = match self.fault {
                Fault::Size(size) if is_head => ("content-length", size.to_string()),
                _ => length(bytes),
            };
            let headers = [commit, ("etag", format!("W/\"{etag}\"")), size];
            let headers = if self.fault == Fault::Endless { &headers[..2] } else { &headers };
            return response(200, headers, body);
        }
        let size = bytes.len() + usize::from(self.fault == Fault::WrongSize);
        let location = format!("http://{}/storage/{etag}", self.storage);
        let linked = [("x-linked-etag", format!("\"{etag}\"")), ("x-linked-size", size.to_string())];
        let [one, two] = linked;
        response(302, &[commit, one, two, ("location", location), length(b"")], b"")
    }

    fn store(&mut self, wanted: &str, request: &Request) -> Vec<u8> {
        let bytes = self.files.values().find(|bytes| etag(bytes) == wanted).unwrap().clone();
        let range = request.range.as_ref().filter(|_| self.fault != Fault::NoRanges);
        let start = range.map_or(0, |range| {
            range.strip_prefix("bytes=").unwrap().trim_end_matches('-').parse::<usize>().unwrap()
        });
        if start >= bytes.len() {
            return response(416, &[length(b"")], b"");
        }
        let mut body = bytes[start..].to_vec();
        if self.fault == Fault::OtherBytes {
            body[0] ^= 1;
        }
        let of = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
        let headers = [("content-range", of), length(&body)];
        if let Fault::Cut { at, times: times @ 1.. } = self.fault {
            self.fault = Fault::Cut { at, times: times - 1 };
            body.truncate(at.saturating_sub(start));
        }
        match range {
            Some(_) => response(206, &headers, &body),
            None => response(200, &headers[1..], &body),
        }
    }
}
