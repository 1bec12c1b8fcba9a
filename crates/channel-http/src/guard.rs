//! The guard between addresses from outside and the networks we are in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::Scheme;

/// What guarded requests may connect to.
///
/// By default only `https` on port 443 of hosts all of whose addresses are public. Checked
/// are the address as it is written, and all addresses that its name resolves to; the
/// connection then goes to one of exactly these, and each redirect is checked anew.
///
/// ```
/// use channel_http::guard::Guard;
///
/// let guard = Guard::new().allow("files.internal", 8080);
/// assert!(guard.check(&"https://example.com/a.png".parse().unwrap()).is_ok());
/// assert!(guard.check(&"http://files.internal:8080/a.png".parse().unwrap()).is_ok());
/// assert!(guard.check(&"https://127.1/a.png".parse().unwrap()).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct Guard {
    ports: Vec<u16>,
    allowed: Vec<(String, u16)>,
}

impl Default for Guard {
    fn default() -> Self {
        Self::new()
    }
}

/// Why the guard does not let an address pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Not `https`.
    Scheme,
    /// No host, or one that is written in a way that hides where it leads.
    Host,
    /// A user name or password before the host.
    UserInfo,
    /// A port that is not on the list.
    Port,
    /// An address that is not public.
    Address,
    /// A redirect that leads nowhere, or too many of them.
    Redirect,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the scheme is not https",
            Self::Host => "the host is not a plain public name or address",
            Self::UserInfo => "the address holds a user name",
            Self::Port => "the port is not allowed",
            Self::Address => "the host has an address that is not public",
            Self::Redirect => "the redirect cannot be followed",
        })
    }
}

impl std::error::Error for Refusal {}

impl Guard {
    /// Public hosts, `https`, port 443.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ports: Vec::new(),
            allowed: Vec::new(),
        }
    }

    /// Lets `https` to one more port of public hosts pass.
    #[must_use]
    pub fn allow_port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// Lets a host pass on a port whatever its addresses are, by `http` too.
    ///
    /// For those who host a platform's server themselves. `host` is a name or an address
    /// as it is written in URLs, without brackets.
    #[must_use]
    pub fn allow(mut self, host: impl Into<String>, port: u16) -> Self {
        self.allowed.push((host.into(), port));
        self
    }

    /// Checks an address as it is written, before any name is looked up.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] that says which rule it breaks.
    pub fn check(&self, uri: &Uri) -> Result<(), Refusal> {
        let authority = uri.authority().ok_or(Refusal::Host)?.as_str();
        if authority.contains('@') {
            return Err(Refusal::UserInfo);
        }
        let scheme = uri.scheme().ok_or(Refusal::Scheme)?;
        let default_port = if *scheme == Scheme::HTTPS {
            443
        } else if *scheme == Scheme::HTTP {
            80
        } else {
            return Err(Refusal::Scheme);
        };
        let (host, port) = split_port(authority).ok_or(Refusal::Port)?;
        let port = port.unwrap_or(default_port);
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if self.is_allowed(bare.unwrap_or(host), port) {
            return Ok(());
        }
        if *scheme != Scheme::HTTPS {
            return Err(Refusal::Scheme);
        }
        if port != 443 && !self.ports.contains(&port) {
            return Err(Refusal::Port);
        }
        match bare {
            // A zone id does not parse as an address.
            Some(v6) => match v6.parse::<Ipv6Addr>() {
                Ok(ip) if is_public(ip.into()) => Ok(()),
                Ok(_) => Err(Refusal::Address),
                Err(_) => Err(Refusal::Host),
            },
            None => check_name(host),
        }
    }

    /// Checks all addresses of a host; one that is not public spoils them all.
    pub(crate) fn check_addresses(
        &self,
        host: &str,
        port: u16,
        addresses: &[IpAddr],
    ) -> Result<(), Refusal> {
        if self.is_allowed(host, port) || addresses.iter().all(|ip| is_public(*ip)) {
            Ok(())
        } else {
            Err(Refusal::Address)
        }
    }

    fn is_allowed(&self, host: &str, port: u16) -> bool {
        self.allowed
            .iter()
            .any(|(name, open)| *open == port && name.eq_ignore_ascii_case(host))
    }
}

/// Host and port; `None` if there is a colon without a valid port behind it.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at_checked(host_end)?;
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((host, None)),
        None => None,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .map(|port| (host, Some(port))),
    }
}

/// Lets plain DNS names and dotted-decimal public addresses pass.
fn check_name(host: &str) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
        return Err(Refusal::Host);
    }
    let mut last = "";
    for label in host.split('.') {
        // An empty label is a doubled or a trailing dot, as in `localhost.`.
        if label.is_empty() || label.len() > 63 {
            return Err(Refusal::Host);
        }
        last = label;
    }
    // What ends in a number is an address to resolvers, in decimal, octal or hex, with one
    // to four parts (https://url.spec.whatwg.org/#concept-ipv4-parser).
    let digits = last.bytes().all(|byte| byte.is_ascii_digit());
    let hex = last
        .get(..2)
        .is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    if digits || hex {
        return match host.parse::<Ipv4Addr>() {
            Ok(ip) if is_public(ip.into()) => Ok(()),
            Ok(_) => Err(Refusal::Address),
            Err(_) => Err(Refusal::Host),
        };
    }
    let local = ["localhost", "local", "localdomain", "internal"];
    if local.iter().any(|name| last.eq_ignore_ascii_case(name)) {
        return Err(Refusal::Host);
    }
    Ok(())
}

/// Whether an address is reachable from everywhere and belongs to nobody's inner network.
///
/// Everything that the IANA registries of special-purpose addresses list is not
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>,
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>), nor are IPv6 addresses
/// that carry an IPv4 one: mapped, compatible, 6to4, Teredo, NAT64.
#[must_use]
pub const fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

const fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 31, 196)
            | (192, 52, 193)
            | (192, 88, 99)
            | (192, 168, _)
            | (192, 175, 48)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

const fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, ..] = ip.segments();
    // Global unicast is 2000::/3; what lies outside is loopback, mapped, NAT64, local,
    // multicast or not assigned.
    if a & 0xe000 != 0x2000 {
        return false;
    }
    !matches!(
        (a, b, c),
        // 2001::/23 holds protocol assignments, Teredo (2001::/32) among them.
        (0x2001, 0..=0x01ff | 0x0db8, _)
            | (0x2002, _, _)
            | (0x2620, 0x004f, 0x8000)
            | (0x3fff, 0..=0x0fff, _)
    )
}
