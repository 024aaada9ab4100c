//! Who may see a page.
//!
//! A server that only this machine can reach answers requests that name this machine: a page of another server, whose name
//! was made to lead here (DNS rebinding), names that server. Any other server asks for a token, which the first address
//! has and a cookie keeps.

use std::net::{IpAddr, SocketAddr};

use hyper::{
    HeaderMap, Method,
    header::{AUTHORIZATION, COOKIE, HOST, HeaderName},
};

/// What a request must have.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Where the server listens.
    address: SocketAddr,
    token: Option<String>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Something else than reading.
    Method,
    /// It names no host, or more than one.
    NoHost,
    /// It names another machine.
    OtherHost,
    /// It has no token, or a wrong one.
    NoToken,
}

/// How a request is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It may be answered.
    Yes,
    /// The token stands in its address: a cookie is to keep it.
    ByAddress,
}

impl Guard {
    /// The guard of a server at `address`, which asks for `token` if there is one.
    #[must_use]
    pub const fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self { address, token }
    }

    /// Whether a request is to be answered. `token` is that of its address.
    pub(super) fn admit(
        &self,
        method: &Method,
        headers: &HeaderMap,
        token: Option<&str>,
    ) -> Result<Admitted, Refusal> {
        if method != Method::GET && method != Method::HEAD {
            return Err(Refusal::Method);
        }
        let host = only(headers, HOST).ok_or(Refusal::NoHost)?;
        let Some(wanted) = &self.token else {
            return if is_this_machine(host) { Ok(Admitted::Yes) } else { Err(Refusal::OtherHost) };
        };
        let is_wanted = |found: &str| is_equal(found.as_bytes(), wanted.as_bytes());
        let bearer = only(headers, AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_some_and(is_wanted) || self.cookies(headers).any(is_wanted) {
            Ok(Admitted::Yes)
        } else if token.is_some_and(is_wanted) {
            Ok(Admitted::ByAddress)
        } else {
            Err(Refusal::NoToken)
        }
    }

    /// The cookie that keeps the token. Cookies do not distinguish ports, so that its name does.
    pub(super) fn cookie(&self) -> String {
        let token = self.token.as_deref().unwrap_or_default();
        format!("sweep-{}={token}; Path=/; HttpOnly; SameSite=Strict", self.address.port())
    }

    fn cookies<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let name = format!("sweep-{}", self.address.port());
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// The value of a header that stands once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}

/// Whether a host, with or without a port, is a name of the machine that a request comes from.
fn is_this_machine(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, port),
        _ => (host, "0"),
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_address = bare.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    port.parse::<u16>().is_ok() && (is_address || bare.eq_ignore_ascii_case("localhost"))
}

/// Whether two texts are equal, in a time that does not tell how far they are.
fn is_equal(found: &[u8], wanted: &[u8]) -> bool {
    let mut difference = u8::from(found.len() != wanted.len());
    for (at, byte) in wanted.iter().enumerate() {
        difference |= byte ^ found.get(at).copied().unwrap_or(0);
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn guard(token: Option<&str>) -> Guard {
        Guard::new("127.0.0.1:7117".parse().unwrap(), token.map(ToOwned::to_owned))
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn admit(
        token: Option<&str>,
        pairs: &[(HeaderName, &str)],
        in_address: Option<&str>,
    ) -> Result<Admitted, Refusal> {
        guard(token).admit(&Method::GET, &headers(pairs), in_address)
    }

    #[test]
    fn without_a_token_the_host_must_be_this_machine() {
        for host in ["localhost:7117", "LOCALHOST", "127.0.0.1:80", "127.9.9.9", "[::1]:7117", "[::1]"] {
            assert_eq!(admit(None, &[(HOST, host)], None), Ok(Admitted::Yes), "{host}");
        }
        for host in [
            "a.example",
            "localhost.a.example",
            "127.0.0.1.a.example",
            "10.0.0.1:7117",
            "",
            "localhost:x",
            "::1x",
        ] {
            assert_eq!(admit(None, &[(HOST, host)], None), Err(Refusal::OtherHost), "{host}");
        }
    }

    #[test]
    fn a_request_names_its_host_once() {
        assert_eq!(admit(None, &[], None), Err(Refusal::NoHost));
        let twice = [(HOST, "localhost"), (HOST, "a.example")];
        assert_eq!(admit(None, &twice, None), Err(Refusal::NoHost));
    }

    #[test]
    fn a_token_opens_by_address_by_cookie_and_as_a_bearer() {
        let host = (HOST, "a.example");
        assert_eq!(admit(Some(TOKEN), std::slice::from_ref(&host), Some(TOKEN)), Ok(Admitted::ByAddress));
        let cookie = format!("other=1; sweep-7117={TOKEN}");
        assert_eq!(admit(Some(TOKEN), &[host.clone(), (COOKIE, &cookie)], None), Ok(Admitted::Yes));
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(admit(Some(TOKEN), &[host, (AUTHORIZATION, &bearer)], None), Ok(Admitted::Yes));
    }

    #[test]
    fn a_wrong_token_opens_nothing() {
        for wrong in
            [None, Some(""), Some("0123456789abcdeF"), Some("0123456789abcdef0"), Some("0123456789abcde")]
        {
            assert_eq!(admit(Some(TOKEN), &[(HOST, "localhost")], wrong), Err(Refusal::NoToken), "{wrong:?}");
        }
        let of_other_port = format!("sweep-80={TOKEN}");
        let found = admit(Some(TOKEN), &[(HOST, "localhost"), (COOKIE, &of_other_port)], None);
        assert_eq!(found, Err(Refusal::NoToken));
    }

    #[test]
    fn nothing_but_reading_is_allowed() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let found = guard(None).admit(&method, &headers(&[(HOST, "localhost")]), None);
            assert_eq!(found, Err(Refusal::Method), "{method}");
        }
    }
}
