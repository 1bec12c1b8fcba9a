//! Who may connect: credentials, and how often one may be wrong.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use channel_core::{Secret, SenderId};
use http::HeaderMap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::wire::PROTOCOL;

type Digest = [u8; 32];

/// The right credentials, as digests: the tokens themselves are not kept.
pub(crate) struct Credentials {
    shared: Digest,
    clients: Vec<(SenderId, Digest)>,
}

/// What a connection has proven, and with what, so that it can be closed when that
/// credential goes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    digest: Digest,
    /// The client whose own token it was.
    pub(crate) client: Option<SenderId>,
}

impl Credentials {
    pub(crate) fn new(shared: &Secret, clients: &BTreeMap<String, Secret>) -> Self {
        Self {
            shared: digest(shared.expose().as_bytes()),
            clients: clients
                .iter()
                .map(|(client, token)| (SenderId::new(client), digest(token.expose().as_bytes())))
                .collect(),
        }
    }

    /// Checks a token in constant time: the tokens of clients first, then the shared one.
    pub(crate) fn check(&self, token: &[u8]) -> Option<Grant> {
        let given = digest(token);
        let mut client = None;
        for (id, right) in &self.clients {
            if bool::from(given.ct_eq(right)) {
                client = Some(id.clone());
            }
        }
        let shared: Choice = given.ct_eq(&self.shared);
        (client.is_some() || bool::from(shared)).then_some(Grant {
            digest: given,
            client,
        })
    }

    /// Whether a grant would be given again.
    pub(crate) fn still_grants(&self, grant: &Grant) -> bool {
        match &grant.client {
            Some(client) => self.clients.contains(&(client.clone(), grant.digest)),
            None => grant.digest == self.shared,
        }
    }

    /// Whether a client has a token of its own, so that nobody else can claim its id.
    pub(crate) fn has_own_token(&self, client: &str) -> bool {
        self.clients.iter().any(|(id, _)| id.as_str() == client)
    }

    pub(crate) fn replace_shared(&mut self, token: &Secret) {
        self.shared = digest(token.expose().as_bytes());
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({} clients)", self.clients.len())
    }
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Grant").field(&self.client).finish()
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// What a request carries as its credential.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Presented<'a> {
    Nothing,
    Token(Cow<'a, [u8]>),
    /// Two that differ, or one that cannot be read.
    Bad,
}

/// Collects the credential of a request.
///
/// The first place that holds one decides, and every other place must agree with it: a
/// request that says two things is refused, because a proxy may have judged the other one.
pub(crate) fn presented<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Presented<'a> {
    let mut found: Option<Cow<'a, [u8]>> = None;
    let mut add = |token: Option<Cow<'a, [u8]>>| match (token, &found) {
        (None, _) => false,
        (Some(token), None) => {
            found = Some(token);
            true
        }
        (Some(token), Some(first)) => token == *first,
    };
    for value in headers.get_all(AUTHORIZATION) {
        if !add(bearer(value.as_bytes()).map(Cow::Borrowed)) {
            return Presented::Bad;
        }
    }
    for entry in protocols(headers) {
        if let Some(encoded) = entry.strip_prefix("bearer.")
            && !add(decode_bearer_entry(encoded).map(Cow::Owned))
        {
            return Presented::Bad;
        }
    }
    for value in query.into_iter().flat_map(|query| values(query, "token")) {
        if !add(Some(Cow::Owned(value))) {
            return Presented::Bad;
        }
    }
    found.map_or(Presented::Nothing, Presented::Token)
}

/// Whether the client offers this protocol.
pub(crate) fn offers_protocol(headers: &HeaderMap) -> bool {
    protocols(headers).any(|entry| entry == PROTOCOL)
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

fn decode_bearer_entry(encoded: &str) -> Option<Vec<u8>> {
    let token = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    (!token.is_empty()).then_some(token)
}

/// The decoded values of a query parameter.
pub(crate) fn values<'a>(query: &'a str, name: &str) -> impl Iterator<Item = Vec<u8>> + 'a {
    let name = name.to_owned();
    query.split('&').filter_map(move |pair| {
        let value = pair.strip_prefix(name.as_str())?.strip_prefix('=')?;
        Some(percent_decode_str(value).collect())
    })
}

/// Random bytes as text of the alphabet of ids.
pub(crate) fn random_text(random: &dyn channel_core::Random, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    random.fill(&mut buffer);
    STANDARD_NO_PAD
        .encode(buffer)
        .replace('+', "-")
        .replace('/', "_")
}

/// How many wrong credentials an address may present in a minute.
const FAILURES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// How many addresses are remembered.
const ADDRESSES: usize = 4096;

/// Counts wrong credentials by remote address.
///
/// Connections from this machine are not counted: behind a proxy on the same machine all
/// clients share one address, and one of them could lock out all others.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    by_address: HashMap<IpAddr, (Duration, u32)>,
}

impl Failures {
    /// How long the address has to wait; `None` if it may try.
    pub(crate) fn wait(&self, address: IpAddr, now: Duration) -> Option<Duration> {
        let &(since, count) = self.by_address.get(&address)?;
        let left = (since + WINDOW).checked_sub(now)?;
        (count >= FAILURES && !left.is_zero()).then_some(left)
    }

    pub(crate) fn note(&mut self, address: IpAddr, now: Duration) {
        if address.to_canonical().is_loopback() {
            return;
        }
        if self.by_address.len() >= ADDRESSES && !self.by_address.contains_key(&address) {
            self.by_address
                .retain(|_, &mut (since, _)| since + WINDOW > now);
            if self.by_address.len() >= ADDRESSES {
                // Under an attack from thousands of addresses the count starts over.
                self.by_address.clear();
            }
        }
        let entry = self.by_address.entry(address).or_insert((now, 0));
        if entry.0 + WINDOW <= now {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "tok-standard-0001";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn token(text: &str) -> Presented<'static> {
        Presented::Token(Cow::Owned(text.as_bytes().to_vec()))
    }

    #[test]
    fn reads_the_published_vector() {
        let offer = "channel-kit.v1, bearer.dG9rLXN0YW5kYXJkLTAwMDE";
        let headers = headers(&[("sec-websocket-protocol", offer)]);
        assert_eq!(presented(&headers, None), token(TOKEN));
        assert!(offers_protocol(&headers));
    }

    #[test]
    fn places_must_agree() {
        let entry = "bearer.dG9rLXN0YW5kYXJkLTAwMDE";
        let agreeing = headers(&[
            ("authorization", "Bearer tok-standard-0001"),
            ("sec-websocket-protocol", entry),
        ]);
        assert_eq!(
            presented(&agreeing, Some("a=1&token=tok%2Dstandard-0001")),
            token(TOKEN)
        );
        assert_eq!(presented(&agreeing, Some("token=other")), Presented::Bad);
        for bad in [
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")][..],
            &[
                ("authorization", "Bearer a"),
                ("sec-websocket-protocol", entry),
            ],
            &[("authorization", "Basic dG9r")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer")],
            &[("sec-websocket-protocol", "bearer.")],
            &[("sec-websocket-protocol", "bearer.dG9r=")],
            &[("sec-websocket-protocol", "bearer.dG9r, bearer.dG9s")],
        ] {
            assert_eq!(presented(&headers(bad), None), Presented::Bad, "{bad:?}");
        }
        assert_eq!(presented(&HeaderMap::new(), None), Presented::Nothing);
    }

    #[test]
    fn a_clients_own_token_proves_its_id() {
        let own = BTreeMap::from([("web-1".to_owned(), Secret::new("own"))]);
        let mut credentials = Credentials::new(&Secret::new(TOKEN), &own);
        let grant = credentials.check(b"own").unwrap();
        assert_eq!(grant.client, Some(SenderId::new("web-1")));
        let shared = credentials.check(TOKEN.as_bytes()).unwrap();
        assert_eq!(shared.client, None);
        assert!(credentials.check(b"tok-standard-0002").is_none());
        assert!(credentials.check(b"").is_none());
        credentials.replace_shared(&Secret::new("new"));
        assert!(credentials.still_grants(&grant));
        assert!(!credentials.still_grants(&shared));
    }

    #[test]
    fn the_eleventh_failure_of_a_minute_has_to_wait() {
        let mut failures = Failures::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut now = Duration::from_secs(5);
        for _ in 0..10 {
            assert_eq!(failures.wait(address, now), None);
            failures.note(address, now);
        }
        assert_eq!(failures.wait(address, now), Some(WINDOW));
        now += WINDOW;
        assert_eq!(failures.wait(address, now), None);
        let local = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..20 {
            failures.note(local, now);
        }
        assert_eq!(failures.wait(local, now), None);
    }

    #[test]
    fn the_memory_of_failures_is_bounded() {
        let mut failures = Failures::default();
        for number in 0..100_000u32 {
            let [a, b, c, d] = number.to_be_bytes();
            failures.note(
                IpAddr::from([10, a.max(b), c, d]),
                Duration::from_millis(u64::from(number)),
            );
        }
        assert!(failures.by_address.len() <= ADDRESSES);
    }
}
