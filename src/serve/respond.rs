//! The answer to a request.

use std::{sync::Arc, time::Duration};

use hyper::{
    Method, Request, Response, StatusCode,
    body::Bytes,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
        REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use tokio::{sync::mpsc, task::spawn_blocking, time::timeout};

use super::{
    body::Body,
    feed::{Feeds, States},
    guard::{Admitted, Guard, Refusal},
    library::Picture,
    route::{Route, Subject, route, value},
    snapshot::Snapshot,
};
use crate::{
    report::{Shown, policy},
    trial::TrialId,
};

/// How often a viewer that hears nothing else is told that the server is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What answers requests.
pub(super) struct Server {
    pub(super) guard: Guard,
    pub(super) feeds: Feeds,
}

impl Server {
    /// The answer to a request; its body is not read.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let (uri, headers) = (request.uri(), request.headers());
        let token = value(uri.query(), "token");
        let admitted = match self.guard.admit(request.method(), headers, token.as_deref()) {
            Ok(admitted) => admitted,
            Err(refusal) => return refused(refusal),
        };
        let route = route(uri.path());
        let is_page = matches!(route, Route::Page(_) | Route::Folder(_));
        if admitted == Admitted::ByAddress && is_page {
            return self.with_cookie(uri.path());
        }
        match route {
            Route::Page(subject) => self.page(&subject).await,
            Route::Folder(_) => moved(StatusCode::PERMANENT_REDIRECT, &format!("{}/", uri.path())),
            Route::Events(subject) if request.method() == Method::GET => {
                let known = headers.get("last-event-id").and_then(|value| value.to_str().ok());
                let known = known.map(ToOwned::to_owned).or_else(|| value(uri.query(), "from"));
                self.events(&subject, known.unwrap_or_default()).await
            }
            Route::Events(_) => events_of(Body::Whole(Bytes::new())),
            Route::Picture(sweep, trial, picture) => self.picture(sweep, trial, picture).await,
            Route::Nothing => nothing(),
        }
    }

    async fn page(&self, subject: &Subject) -> Response<Body> {
        let Some((_, newest)) = self.feeds.of(subject).await else { return nothing() };
        let shown = Shown::Live { version: &newest.version() };
        let html = newest.state.document(shown);
        let mut response = answered(StatusCode::OK, "text/html; charset=utf-8", html.into());
        let policy = format!("{}; frame-ancestors 'none'", policy(shown));
        set(&mut response, CONTENT_SECURITY_POLICY, &policy);
        response
    }

    /// The events of a page for a viewer that knows the version `known`.
    async fn events(&self, subject: &Subject, known: String) -> Response<Body> {
        let Some((states, newest)) = self.feeds.of(subject).await else { return nothing() };
        let (events, body) = mpsc::channel(1);
        tokio::spawn(tell(states, newest, known, events));
        events_of(Body::Events(body))
    }

    async fn picture(&self, sweep: String, trial: TrialId, picture: Picture) -> Response<Body> {
        let library = Arc::clone(&self.feeds.shown);
        let found = spawn_blocking(move || (library.picture)(&sweep, trial, picture)).await;
        found.ok().flatten().map_or_else(nothing, |png| answered(StatusCode::OK, "image/png", png.into()))
    }

    /// Sends the viewer to the same address without the token, which a cookie keeps from now on.
    fn with_cookie(&self, path: &str) -> Response<Body> {
        let mut response = moved(StatusCode::SEE_OTHER, path);
        set(&mut response, SET_COOKIE, &self.guard.cookie());
        response
    }
}

/// Sends what changes, as long as the viewer takes it. One that takes it slowly misses states between, not the newest.
async fn tell(mut states: States, newest: Arc<Snapshot>, mut known: String, events: mpsc::Sender<Bytes>) {
    let mut newest = newest;
    // The first bytes say that the events have begun.
    let mut text = ": sweep\n\n".to_owned();
    loop {
        if let Some(change) = newest.change(&known) {
            known = newest.version();
            text = format!("{text}id: {known}\nevent: change\ndata: {change}\n\n");
        }
        if !text.is_empty() && events.send(std::mem::take(&mut text).into()).await.is_err() {
            return;
        }
        tokio::select! {
            () = events.closed() => return,
            changed = timeout(HEARTBEAT, states.changed()) => match changed {
                Ok(Ok(())) => {}
                // The feed has ended: the viewer comes back, and another begins.
                Ok(Err(_)) => return,
                Err(_) => ": still here\n\n".clone_into(&mut text),
            },
        }
        let Some(now) = states.borrow_and_update().clone() else { return };
        newest = now;
    }
}

fn events_of(body: Body) -> Response<Body> {
    let mut response = answered(StatusCode::OK, "text/event-stream", Bytes::new());
    *response.body_mut() = body;
    response
}

/// The answer to a request that is refused.
fn refused(refusal: Refusal) -> Response<Body> {
    let (status, text) = match refusal {
        Refusal::Method => (StatusCode::METHOD_NOT_ALLOWED, "this server only shows: GET and HEAD\n"),
        Refusal::NoHost => (StatusCode::BAD_REQUEST, "the request names no host, or more than one\n"),
        Refusal::OtherHost => {
            (StatusCode::MISDIRECTED_REQUEST, "this server answers to localhost and 127.0.0.1 alone\n")
        }
        Refusal::NoToken => {
            (StatusCode::UNAUTHORIZED, "open the address that `sweep serve` has printed: it holds a token\n")
        }
    };
    let mut response = answered(status, "text/plain; charset=utf-8", text.into());
    match refusal {
        Refusal::Method => set(&mut response, ALLOW, "GET, HEAD"),
        Refusal::NoToken => set(&mut response, WWW_AUTHENTICATE, "Bearer"),
        Refusal::NoHost | Refusal::OtherHost => {}
    }
    response
}

fn nothing() -> Response<Body> {
    answered(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "there is nothing at this address\n".into())
}

fn moved(status: StatusCode, to: &str) -> Response<Body> {
    let mut response = answered(status, "text/plain; charset=utf-8", Bytes::new());
    set(&mut response, LOCATION, to);
    response
}

/// An answer with the headers that all have: it is kept nowhere, is in no frame, and is what it says it is.
fn answered(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::Whole(bytes));
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        set(&mut response, name, value);
    }
    response
}

/// Sets a header, if its value can be one: only names of folders could hold what no header may.
fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
