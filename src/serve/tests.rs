//! The server over real sockets.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Mutex,
    thread::{self, JoinHandle},
};

use tokio::sync::oneshot;

use super::*;
use crate::{report::PageState, trial::TrialId};

/// The states that the sweep `a` has in turn; each look takes the newest one.
type States = Arc<Mutex<Option<PageState>>>;

/// A server with a page of the sweep `a`.
struct Running {
    address: SocketAddr,
    newest: States,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A state whose only row says `text`.
fn state(text: &str) -> PageState {
    PageState {
        title: "a".to_owned(),
        head: "<tr></tr>".to_owned(),
        order: vec![1],
        rows: [(1, text.to_owned())].into(),
        parts: vec![("notes", "same".to_owned())],
        ..PageState::default()
    }
}

fn library(newest: &States) -> Library {
    let newest = Arc::clone(newest);
    let list = || PageState { title: "Sweeps".to_owned(), ..PageState::default() };
    Library {
        index: Box::new(move || Box::new(move || Some(list()))),
        sweep: Box::new(move |name| {
            let newest = Arc::clone(&newest);
            (name == "a").then(|| Box::new(move || newest.lock().unwrap().clone()) as Source)
        }),
        picture: Box::new(|name, trial, picture| {
            (name == "a" && trial == TrialId(1) && picture == Picture::Curve).then(|| b"png".to_vec())
        }),
    }
}

impl Running {
    fn new(token: Option<&str>) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), token)
    }

    fn at(address: SocketAddr, token: Option<&str>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let newest: States = Arc::new(Mutex::new(Some(state("first"))));
        let (library, token) = (library(&newest), token.map(ToOwned::to_owned));
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let stop = async { stopped.await.unwrap() };
            runtime.block_on(serve(listener, Guard::new(address, token), library, stop)).unwrap();
        });
        Self { address, newest, stop: Some(stop), thread: Some(thread) }
    }

    fn set(&self, text: &str) {
        *self.newest.lock().unwrap() = Some(state(text));
    }

    /// Sends a request of these lines; a host is added.
    fn send(&self, request: &str, headers: &str) -> BufReader<TcpStream> {
        self.send_raw(&format!("{request} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address))
    }

    fn send_raw(&self, request: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        BufReader::new(stream)
    }

    /// The head of an answer and its body, of a connection that ends with it.
    fn get(&self, path: &str, headers: &str) -> (String, String) {
        let mut text = Vec::new();
        self.send(&format!("GET {path}"), &format!("Connection: close\r\n{headers}"))
            .read_to_end(&mut text)
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn status(&self, path: &str, headers: &str) -> String {
        self.get(path, headers).0.split_whitespace().nth(1).unwrap().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The next event of a stream: its id and its data.
fn event(stream: &mut BufReader<TcpStream>) -> (String, serde_json::Value) {
    let (mut id, mut line) = (String::new(), String::new());
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the events ended");
        if let Some(found) = line.strip_prefix("id: ") {
            found.trim().clone_into(&mut id);
        } else if let Some(data) = line.strip_prefix("data: ") {
            return (id, serde_json::from_str(data).unwrap());
        }
    }
}

#[test]
fn the_list_and_the_page_of_a_sweep_are_shown() {
    let server = Running::new(None);
    assert!(server.get("/", "").1.contains("<h1>Sweeps</h1>"));
    let (head, html) = server.get("/sweeps/a/", "");
    assert!(head.starts_with("HTTP/1.1 200") && html.contains("first"), "{head}\n{html}");
}

#[test]
fn a_page_may_load_nothing_and_listen_to_its_server_alone() {
    let head = Running::new(None).get("/sweeps/a/", "").0.to_ascii_lowercase();
    for wanted in [
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "connect-src 'self'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(head.contains(wanted), "{wanted} in {head}");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let server = Running::new(None);
    for path in
        ["/nothing", "/sweeps/b/", "/sweeps/b/events", "/sweeps/a/plan.json", "/sweeps/a/../../etc/passwd"]
    {
        assert_eq!(server.status(path, ""), "404", "{path}");
    }
}

#[test]
fn an_address_without_its_last_stroke_leads_to_the_page() {
    let (head, _) = Running::new(None).get("/sweeps/a", "");
    assert!(head.contains("308") && head.contains("/sweeps/a/"), "{head}");
}

#[test]
fn pictures_are_those_of_the_library() {
    let server = Running::new(None);
    assert_eq!(server.get("/sweeps/a/trials/0001/curve.png", "").1, "png");
    assert_eq!(server.status("/sweeps/a/trials/0002/curve.png", ""), "404");
}

#[test]
fn only_reading_is_answered() {
    let mut answer = String::new();
    let server = Running::new(None);
    let mut stream = server.send("POST /", "Connection: close\r\nContent-Length: 0\r\n");
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 405") && answer.to_lowercase().contains("allow: get, head"),
        "{answer}"
    );
}

#[test]
fn another_host_is_refused() {
    let server = Running::new(None);
    let mut answer = String::new();
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    server.send_raw(request).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
}

#[test]
fn a_token_opens_the_page_and_a_cookie_keeps_it() {
    let server = Running::new(Some("0123456789abcdef"));
    assert_eq!(server.status("/sweeps/a/", ""), "401");
    assert_eq!(server.status("/sweeps/a/?token=wrong", ""), "401");
    let (head, _) = server.get("/sweeps/a/?token=0123456789abcdef", "");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("303") && head.contains("location: /sweeps/a/\r\n"), "{head}");
    let (_, cookie) = head.split_once("set-cookie: ").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(server.status("/sweeps/a/", &format!("Cookie: {cookie}\r\n")), "200");
}

#[test]
fn a_viewer_is_told_what_changes() {
    let server = Running::new(None);
    let mut events = server.send("GET /sweeps/a/events?from=", "");
    let (first, whole) = event(&mut events);
    assert_eq!((&whole["whole"], &whole["rows"]["1"]), (&true.into(), &"first".into()));
    server.set("second");
    let (second, change) = event(&mut events);
    assert_eq!(change["rows"]["1"], "second");
    assert!(change.get("whole").is_none() && change.get("parts").is_none() && first != second, "{change}");
}

#[test]
fn a_viewer_that_comes_back_gets_only_what_it_missed() {
    let server = Running::new(None);
    let mut events = server.send("GET /sweeps/a/events", "");
    let (first, _) = event(&mut events);
    server.set("second");
    event(&mut events);
    let mut again = server.send("GET /sweeps/a/events", &format!("Last-Event-ID: {first}\r\n"));
    let (_, change) = event(&mut again);
    assert!(change["rows"]["1"] == "second" && change.get("parts").is_none(), "{change}");
}

#[test]
fn a_viewer_of_a_server_that_was_started_again_gets_everything() {
    let before = Running::new(None);
    let (address, (known, _)) = (before.address, event(&mut before.send("GET /sweeps/a/events", "")));
    drop(before);
    let server = Running::at(address, None);
    let mut events = server.send(&format!("GET /sweeps/a/events?from={known}"), "");
    assert_eq!(event(&mut events).1["whole"], true);
}

#[test]
fn a_viewer_that_takes_nothing_holds_up_nobody() {
    let server = Running::new(None);
    // More than the buffers of a connection hold, so that each of these stands still.
    server.set(&"x".repeat(8 << 20));
    let silent: Vec<_> = (0..20).map(|_| server.send("GET /sweeps/a/events", "")).collect();
    let mut events = server.send("GET /sweeps/a/events", "");
    event(&mut events);
    server.set("newest");
    assert_eq!(event(&mut events).1["rows"]["1"], "newest");
    assert_eq!(server.status("/", ""), "200");
    drop(silent);
}

#[test]
fn a_request_that_never_ends_holds_up_nobody() {
    let server = Running::new(None);
    let half: Vec<_> = (0..20).map(|_| server.send_raw("GET / HTTP/1.1\r\nHost: ")).collect();
    assert_eq!(server.status("/", ""), "200");
    drop(half);
}

#[test]
fn more_connections_than_there_is_room_for_are_closed_and_the_server_goes_on() {
    let server = Running::new(None);
    let mut many: Vec<_> = (0..300).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    // The last one finds the server full, and ends without an answer.
    assert_eq!(many.last_mut().unwrap().read(&mut [0]).unwrap_or(0), 0);
    drop(many);
    let mut answer = String::new();
    while !answer.starts_with("HTTP/1.1 200") {
        answer.clear();
        // The server learns one by one that the others have gone.
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
        let _ = server.send_raw(&request).read_to_string(&mut answer);
    }
}

#[test]
fn a_server_that_is_stopped_ends_while_it_has_viewers() {
    let server = Running::new(None);
    let mut events = server.send("GET /sweeps/a/events", "");
    event(&mut events);
    drop(server);
    let mut rest = Vec::new();
    let _ = events.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("event: change"));
}
