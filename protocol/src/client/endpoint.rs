//! Where a client connects to: what a URL says, and where a redirection leads.

use alloc::format;
use core::{fmt, str};

use iri_string::{
    format::ToDedicatedString as _,
    types::{IriReferenceStr, IriStr, UriAbsoluteStr, UriReferenceStr},
};

use crate::Text;

/// What a URL says to a client: the server, the namespace, and a query.
///
/// ```
/// use sockeye_protocol::client::Endpoint;
///
/// let endpoint = Endpoint::parse("https://example.com/admin?token=abc").unwrap();
/// assert!(endpoint.secure());
/// assert_eq!((endpoint.host(), endpoint.port()), ("example.com", 443));
/// // The path of a URL is a namespace, that of the requests is an option.
/// assert_eq!(endpoint.namespace(), "/admin");
/// assert_eq!(endpoint.query(), Some("token=abc"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    origin: Origin,
    namespace: Text,
    query: Option<Text>,
}

/// Why a text is not the URL of a server.
///
/// ```
/// use sockeye_protocol::client::{Endpoint, UrlError};
///
/// assert_eq!(Endpoint::parse("ftp://localhost"), Err(UrlError::Scheme("ftp".into())));
/// assert_eq!(Endpoint::parse("http://me:secret@localhost"), Err(UrlError::UserInfo));
/// assert_eq!(Endpoint::parse("localhost:3000").unwrap_err().to_string(), r#"http, https, ws or wss expected, not "localhost""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no URL (RFC 3987).
    #[error("not a URL: scheme, host and, at will, port, path and query expected")]
    Syntax,
    /// It is not `http`, `https`, `ws` or `wss`.
    #[error("http, https, ws or wss expected, not {0:?}")]
    Scheme(Text),
    /// A user or a password, which JavaScript's client silently ignores: they belong into
    /// [`Config::extra_headers`](super::Config::extra_headers).
    #[error("a URL with a user name (send an Authorization header instead)")]
    UserInfo,
    /// There is no host, or one that is not ASCII: an internationalised name is to be given as `xn--..` (RFC 5891).
    #[error("a URL without a host that can be looked up")]
    Host,
    /// The port is not between 1 and 65,535.
    #[error("{0:?} is not a port")]
    Port(Text),
}

impl Endpoint {
    /// Reads a URL: `http://localhost:3000`, `wss://example.com/namespace?query`, .. `ws` means the same as `http`, and
    /// `wss` as `https`.
    ///
    /// ```
    /// use sockeye_protocol::client::Endpoint;
    ///
    /// assert_eq!(Endpoint::parse("ws://localhost:3000/chat").unwrap().namespace(), "/chat");
    /// assert!(Endpoint::parse("/chat").is_err()); // There is no page that it could be relative to.
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let parsed = IriStr::new(url).map_err(|_| UrlError::Syntax)?;
        // What is not ASCII goes percent-encoded into a request (RFC 3987, 3.1).
        let encoded = parsed.encode_to_uri().to_dedicated_string();
        let scheme = encoded.scheme_str();
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("ws") => false,
            _ if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss") => true,
            _ => return Err(UrlError::Scheme(scheme.into())),
        };
        Ok(Self {
            origin: Origin::of(encoded.as_slice().as_ref(), secure)?,
            namespace: if parsed.path_str().is_empty() { "/".into() } else { parsed.path_str().into() },
            query: encoded.query_str().filter(|query| !query.is_empty()).map(Text::from),
        })
    }

    /// Whether the connection is to use TLS.
    ///
    /// ```
    /// # use sockeye_protocol::client::Endpoint;
    /// assert!(Endpoint::parse("wss://example.com").unwrap().secure());
    /// assert!(!Endpoint::parse("http://example.com").unwrap().secure());
    /// ```
    pub fn secure(&self) -> bool {
        self.origin.secure
    }

    /// The name or address to connect to, in lower case; an IPv6 address without brackets.
    ///
    /// ```
    /// # use sockeye_protocol::client::Endpoint;
    /// assert_eq!(Endpoint::parse("http://Example.com").unwrap().host(), "example.com");
    /// assert_eq!(Endpoint::parse("http://[::1]:3000").unwrap().host(), "::1");
    /// ```
    pub fn host(&self) -> &str {
        &self.origin.host
    }

    /// The TCP port to connect to.
    ///
    /// ```
    /// # use sockeye_protocol::client::Endpoint;
    /// assert_eq!(Endpoint::parse("http://[::1]:3000").unwrap().port(), 3000);
    /// assert_eq!(Endpoint::parse("wss://example.com").unwrap().port(), 443);
    /// ```
    pub fn port(&self) -> u16 {
        self.origin.port
    }

    /// The path of the URL: a namespace, `/` if there is none.
    ///
    /// ```
    /// # use sockeye_protocol::client::Endpoint;
    /// assert_eq!(Endpoint::parse("http://localhost:3000/admin").unwrap().namespace(), "/admin");
    /// assert_eq!(Endpoint::parse("http://localhost:3000").unwrap().namespace(), "/");
    /// ```
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The query of the URL, as it stands there.
    ///
    /// ```
    /// # use sockeye_protocol::client::Endpoint;
    /// assert_eq!(Endpoint::parse("http://localhost:3000/?token=abc&v=2").unwrap().query(), Some("token=abc&v=2"));
    /// assert_eq!(Endpoint::parse("http://localhost:3000").unwrap().query(), None);
    /// ```
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// Scheme, host and port (RFC 6454): what cookies and credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) secure: bool,
    pub(crate) host: Text,
    pub(crate) port: u16,
}

impl Origin {
    fn of(url: &UriReferenceStr, secure: bool) -> Result<Self, UrlError> {
        let authority = url.authority_components().ok_or(UrlError::Host)?;
        if authority.userinfo().is_some() {
            return Err(UrlError::UserInfo);
        }
        let host = authority.host();
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) if address.parse::<core::net::Ipv6Addr>().is_ok() => address,
            None if !host.is_empty() && !host.contains(['%', '[', ']']) => host,
            _ => return Err(UrlError::Host),
        };
        let port = match authority.port().unwrap_or_default() {
            "" => default_port(secure),
            port => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| UrlError::Port(port.into()))?,
        };
        Ok(Self { secure, host: host.to_ascii_lowercase().into(), port })
    }
}

/// The value of `Host` (RFC 9110, 7.2): without the port if the scheme says it already.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}", self.host)?;
        if self.port == default_port(self.secure) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// Where requests go: at first what the endpoint and the options say, later where a redirection led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) origin: Origin,
    /// In place of the option's path, for both transports.
    pub(crate) path: Option<Text>,
    /// In place of the options' query.
    pub(crate) query: Option<Text>,
}

impl Place {
    /// Whether a redirection has led here.
    pub(crate) const fn is_redirected(&self) -> bool {
        self.path.is_some()
    }

    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self { origin: endpoint.origin.clone(), path: None, query: endpoint.query.clone() }
    }

    /// Where a `Location` leads from `target` here (RFC 9110, 10.2.2): to the same scheme, or from `http` to `https`.
    pub(crate) fn redirect(&self, target: &str, location: Option<&[u8]>) -> Result<Self, RedirectError> {
        let location = str::from_utf8(location.ok_or(RedirectError::NoLocation)?);
        let location = location.map_err(|_| RedirectError::Location)?.trim();
        let scheme = if self.origin.secure { "https" } else { "http" };
        let base = format!("{scheme}://{}{target}", self.origin);
        let base = UriAbsoluteStr::new(&base).map_err(|_| RedirectError::Location)?;
        let reference = IriReferenceStr::new(location).map_err(|_| RedirectError::Location)?;
        let reference = reference.encode_to_uri().to_dedicated_string();
        let url = reference.resolve_against(base);
        url.ensure_rfc3986_normalizable().map_err(|_| RedirectError::Location)?;
        let url = url.to_dedicated_string();
        let secure = match url.scheme_str() {
            "https" => true,
            "http" if !self.origin.secure => false,
            scheme => return Err(RedirectError::Scheme(scheme.into())),
        };
        let origin = Origin::of(url.as_slice().as_ref(), secure).map_err(RedirectError::Url)?;
        let path = Some(url.path_str()).filter(|path| !path.is_empty()).unwrap_or("/");
        Ok(Self { origin, path: Some(path.into()), query: url.query_str().map(Text::from) })
    }
}

/// Why a redirection is not followed.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// use sockeye_protocol::client::{RedirectError, engine::{Cause, Error}};
///
/// let (mut engine, id) = opening(|config| config.limits.redirects = 0);
/// engine.handle_response(NOW, id, &Response { status: 302, headers: &[("location", b"/other/")] }, Bytes::new());
/// let Some(engine::Output::Event(engine::Event::Close { error: Some(Error::Poll(cause)), .. })) = engine.poll_output() else {
///     panic!()
/// };
/// assert_eq!(*cause, Cause::Redirect(RedirectError::TooMany { limit: 0 }));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// There is no `Location`.
    #[error("a redirection without a Location")]
    NoLocation,
    /// The `Location` is not the URL of anything.
    #[error("a redirection to what is not a URL")]
    Location,
    /// It leads to the URL of nothing that can be connected to.
    #[error("a redirection to a bad URL: {0}")]
    Url(UrlError),
    /// It leads to a scheme that is not `https`, nor `http` from there.
    #[error("a redirection to the scheme {0:?}")]
    Scheme(Text),
    /// There were more in a row than the limit.
    #[error("more redirections than the limit of {limit}")]
    TooMany {
        /// [`Limits::redirects`](super::Limits::redirects).
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, secure, host, port, namespace, query) in [
            ("http://localhost", false, "localhost", 80, "/", None),
            ("http://localhost:", false, "localhost", 80, "/", None),
            ("WS://LOCALHOST:3000/", false, "localhost", 3000, "/", None),
            ("https://h/a/b?c=d#e", true, "h", 443, "/a/b", Some("c=d")),
            ("wss://[::1]:81?", true, "::1", 81, "/", None),
            ("http://127.0.0.1/é%20?é", false, "127.0.0.1", 80, "/é%20", Some("%C3%A9")),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            let read = (endpoint.secure(), endpoint.host(), endpoint.port(), endpoint.namespace(), endpoint.query());
            assert_eq!(read, (secure, host, port, namespace, query), "{url}");
        }
    }

    #[test]
    fn no_urls() {
        for (url, error) in [
            ("", UrlError::Syntax),
            ("host", UrlError::Syntax),
            ("/path", UrlError::Syntax),
            ("//host", UrlError::Syntax),
            ("http://a b", UrlError::Syntax),
            ("http://h/\r\nX: y", UrlError::Syntax),
            ("localhost:3000", UrlError::Scheme("localhost".into())),
            ("ftp://h", UrlError::Scheme("ftp".into())),
            ("http:h", UrlError::Host),
            ("http://", UrlError::Host),
            ("http://:80", UrlError::Host),
            ("http://é.example", UrlError::Host),
            ("http://%41", UrlError::Host),
            ("http://[v1.x]", UrlError::Host),
            ("http://u@h", UrlError::UserInfo),
            ("http://u:p@h", UrlError::UserInfo),
            ("http://h:0", UrlError::Port("0".into())),
            ("http://h:65536", UrlError::Port("65536".into())),
        ] {
            assert_eq!(Endpoint::parse(url), Err(error), "{url}");
        }
    }
}
