//! `sweep serve`: the pages of the results folder's sweeps over HTTP, which follow the sweeps that run.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Read as _,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    exit::{Exit, Stop},
    following::Follower,
    list,
    terminal::{eprint_lossy, print},
};
use crate::{
    display,
    report::{self, ListedSweep},
    results::{Results, SweepFolder},
    serve::{self, Guard, Library, Picture, Source},
    system::files::named,
};

/// Letters of a token at least.
const TOKEN_MIN: usize = 16;
/// Rest after a sweep of the list was read, in multiples of the time it took, and the longest one.
const REST: u32 = 99;
const REST_MAX: Duration = Duration::from_secs(10);
/// How long the end waits for a look at a disk that lasts.
const END_MAX: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where it listens: an address and a port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7117")]
    listen: SocketAddr,
    /// What viewers must know, 16 letters, digits, `-` or `_` at least; on other addresses than this machine's, one is
    /// made if none is given
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    token: Option<String>,
}

/// A token that can stand in an address and in a cookie.
fn token(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_plain && text.len() >= TOKEN_MIN {
        Ok(text.to_owned())
    } else {
        Err(format!("a token has {TOKEN_MIN} letters, digits, `-` or `_` at least"))
    }
}

pub(super) fn serve(args: &ServeArgs, results: &Results) -> Result<Exit, Stop> {
    let listener = TcpListener::bind(args.listen).map_err(|error| {
        let help = "another address or port: --listen 127.0.0.1:0";
        Stop::usage(format!("cannot listen on {}: {error}; {help}", args.listen))
    })?;
    let address = listener.local_addr().map_err(|error| Stop::internal(&error))?;
    let is_open = !address.ip().is_loopback();
    let token = match &args.token {
        None if is_open => Some(made_up_token()?),
        given => given.clone(),
    };
    if is_open {
        eprint_lossy(
            "warning: whoever can read the network between this machine and a viewer can read the pages\n",
        );
    }
    let query = token.as_ref().map_or_else(String::new, |token| format!("?token={token}"));
    print(&format!("http://{address}/{query}\n"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build();
    let runtime = runtime.map_err(|error| Stop::internal(&error))?;
    let served = runtime.block_on(async {
        let stop = stop_wish().map_err(|error| Stop::internal(&error))?;
        let served = serve::serve(listener, Guard::new(address, token), library(results), stop).await;
        served.map_err(|error| Stop::internal(&error))
    });
    runtime.shutdown_timeout(END_MAX);
    served.map(|()| Exit::Complete)
}

/// Waits for Ctrl-C, or for the wish that the process ends.
fn stop_wish() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A token that nobody guesses: 128 random bits of the system.
fn made_up_token() -> Result<String, Stop> {
    let mut bytes = [0; 16];
    named::open_stream(Path::new("/dev/urandom"))
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| Stop::internal(&error))?;
    let mut token = String::new();
    for byte in bytes {
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

/// What is shown of a results folder.
fn library(results: &Results) -> Library {
    let (index, sweeps, pictures) = (results.clone(), results.clone(), results.clone());
    Library {
        index: Box::new(move || list_of(index.clone())),
        sweep: Box::new(move |name| {
            let mut follower = Follower::new(find(&sweeps, name)?);
            Some(Box::new(move || follower.look()))
        }),
        picture: Box::new(move |name, trial, picture| {
            let trial = find(&pictures, name)?.trial(trial);
            match picture {
                Picture::Curve => trial.curve(),
                Picture::Confusion => trial.confusion(),
            }
            .read()
            .ok()
        }),
    }
}

/// The sweep called `name`: one of those that the folder lists, so that no name leads elsewhere.
fn find(results: &Results, name: &str) -> Option<SweepFolder> {
    results.list().ok()?.into_iter().find(|sweep| sweep.name() == name)
}

/// A sweep of the list, as it was read last.
struct Known {
    /// What changes with the sweep.
    key: String,
    row: ListedSweep,
    /// It is not read again before: the list of sweeps that run must cost them next to nothing.
    next: Instant,
}

impl Known {
    fn read(key: String, folder: &SweepFolder) -> Self {
        let begun = Instant::now();
        let row = list::listed(folder);
        Self { key, row, next: begun + (begun.elapsed() * REST).min(REST_MAX) }
    }
}

/// The list of the sweeps. A sweep is read again only if its log has grown or its runner is another one.
fn list_of(results: Results) -> Source {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    Box::new(move || {
        let mut now = BTreeMap::new();
        let mut listed = Vec::new();
        for folder in results.folders().unwrap_or_default() {
            let key = format!("{:?} {:?} {:?}", folder.last_change(), folder.plan_stamp(), folder.holder());
            let before = known.remove(&folder.name());
            let is_kept = |before: &Known| before.key == key || Instant::now() < before.next;
            let sweep = before.filter(is_kept).unwrap_or_else(|| Known::read(key, &folder));
            listed.push(sweep.row.clone());
            now.insert(folder.name(), sweep);
        }
        known = now;
        Some(report::index(&display::path(results.root()), &listed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_can_stand_in_an_address() {
        assert!(token("0123456789abcdef").is_ok());
        for wrong in ["", "short", "0123456789abcde;", "0123456789 abcdef", "0123456789abcdé"] {
            assert!(token(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_made_up_token_is_a_token_and_another_one_each_time() {
        let [one, other] = [made_up_token(), made_up_token()].map(|token| token.ok().unwrap());
        assert_eq!(token(&one).as_ref(), Ok(&one));
        assert_ne!(one, other);
    }
}
