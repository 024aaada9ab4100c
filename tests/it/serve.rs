//! `sweep serve` and `sweep status --watch` on results folders: what they show, and that they write nothing.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{
    place::{Place, copy_folder},
    repository,
    results::files_under,
};

/// A server of a results folder.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(place: &Place) -> Self {
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        Self { child, address }
    }

    fn send(&self, path: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).unwrap();
        BufReader::new(stream)
    }

    fn get(&self, path: &str) -> String {
        let mut text = String::new();
        self.send(path).read_to_string(&mut text).unwrap();
        text
    }

    /// Ends it as Ctrl-C does. Returns its exit code.
    fn interrupt(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

/// The data of the next event.
fn event(stream: &mut BufReader<TcpStream>) -> Value {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the events ended");
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str(data).unwrap();
        }
    }
}

/// A copy of the sample run, in which the last trial has not ended yet, and the rest of its log.
fn running_sweep() -> (Place, PathBuf, String) {
    let place = Place::empty();
    copy_folder(&repository().join("results/sample"), &place.path("results/sample"));
    let log = place.path("results/sample/events.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    let cut = ends[ends.len() - 6];
    fs::write(&log, &text[..cut]).unwrap();
    (place, log, text[cut..].to_owned())
}

/// Every file of a folder with its contents.
fn contents(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    files_under(&place.path("results"))
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_record_that_is_appended_reaches_the_page_and_half_a_record_is_waited_for() {
    let (place, log, rest) = running_sweep();
    let server = Server::start(&place);
    let mut events = server.send("/sweeps/sample/events");
    let whole = event(&mut events);
    assert_eq!(whole["whole"], true);
    let mut log = fs::OpenOptions::new().append(true).open(log).unwrap();
    let (first, others) = rest.split_at(rest.find('\n').unwrap() + 1);
    let (half, other_half) = first.split_at(first.len() / 2);
    log.write_all(half.as_bytes()).unwrap();
    log.write_all(other_half.as_bytes()).unwrap();
    let change = event(&mut events);
    assert!(change["trials"].as_object().is_some_and(|trials| !trials.is_empty()), "{change}");
    log.write_all(others.as_bytes()).unwrap();
    let mut summary = String::new();
    while !summary.contains("12 complete") {
        if let Some(found) = event(&mut events)["parts"]["summary"].as_str() {
            found.clone_into(&mut summary);
        }
    }
    assert_eq!(server.interrupt(), Some(0));
}

#[test]
fn a_server_shows_every_sweep_and_writes_nothing() {
    let place = Place::empty();
    copy_folder(&repository().join("tests/fixtures/results-log-1"), &place.path("results"));
    let before = contents(&place);
    let server = Server::start(&place);
    let list = server.get("/");
    for sweep in ["older", "newer"] {
        assert!(list.contains(&format!("sweeps/{sweep}/")), "{list}");
        let page = server.get(&format!("/sweeps/{sweep}/"));
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("id=\"board\""), "{page}");
    }
    assert!(server.get("/sweeps/nothing/").starts_with("HTTP/1.1 404"));
    assert_eq!(server.interrupt(), Some(0));
    assert!(before == contents(&place));
}

#[test]
fn a_sweep_that_cannot_be_read_says_so() {
    let place = Place::empty();
    place.write("results/x/plan.json", "{");
    let server = Server::start(&place);
    assert!(server.get("/sweeps/x/").contains("This sweep cannot be read"));
    assert_eq!(server.interrupt(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_bad_usage() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let written = Place::empty().sweep(&["serve", "--listen", &address]).with_code(2);
    assert!(written.stderr.contains(&format!("cannot listen on {address}")), "{}", written.stderr);
}

#[test]
fn a_short_token_is_bad_usage() {
    let written = Place::empty().sweep(&["serve", "--token", "short"]).with_code(2);
    assert!(written.stderr.contains("16 letters"), "{}", written.stderr);
}

#[test]
fn a_status_that_is_watched_ends_when_every_trial_is_over() {
    let place = Place::empty();
    copy_folder(&repository().join("results/sample"), &place.path("results/sample"));
    let written = place.sweep(&["status", "--watch"]).succeeded();
    assert!(written.stdout.contains("12 complete"), "{}", written.stdout);
}

#[test]
fn a_status_that_is_watched_shows_what_is_appended() {
    let (place, log, rest) = running_sweep();
    let mut command = place.command(&["status", "--watch", "0.2"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("11 complete")));
    fs::OpenOptions::new().append(true).open(log).unwrap().write_all(rest.as_bytes()).unwrap();
    assert!(lines.any(|line| line.contains("12 complete")));
    assert!(child.wait().unwrap().success());
}
