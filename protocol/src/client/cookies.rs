//! The cookies of one server (RFC 6265), as much of them as `engine.io-client` keeps.
//!
//! A jar serves one origin and one path, so `Domain`, `Path` and `Secure` say nothing: a cookie never goes anywhere but
//! back. There is no clock here that knows the date, so `Expires` is read against the `Date` of its response.

use alloc::{string::String, vec::Vec};
use core::{fmt, str, time::Duration};

use super::{Limits, http::Response};
use crate::{Instant, Text, http::is_field_value};

/// The cookies that a server has set: [`Config::with_credentials`](super::Config::with_credentials). They live longer
/// than an engine, so they go in at its start and are there to be taken back at its end.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
/// # fn main() {
/// let (mut engine, id) = opening(|config| config.with_credentials = true);
/// let head = Response { status: 200, headers: &[("set-cookie", b"node=7; Path=/; HttpOnly")] };
/// engine.handle_response(NOW, id, &head, Bytes::from(OPEN));
/// while engine.poll_output().is_some() {}
///
/// // The next session goes to the same node.
/// let cookies: Cookies = engine.cookies().clone();
/// let config = Arc::new(Config { with_credentials: true, ..Config::default() });
/// let mut engine = Engine::new(NOW, config, &endpoint(), cookies, false, &Seed::for_tests(2));
/// let Some(engine::Output::Request { request, .. }) = engine.poll_output() else { panic!() };
/// assert_eq!(request.header("cookie"), Some("node=7"));
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cookies(Vec<Cookie>);

#[derive(Clone, PartialEq, Eq)]
struct Cookie {
    name: Text,
    value: Text,
    expires: Option<Instant>,
}

impl Cookies {
    /// A jar without cookies.
    ///
    /// ```
    /// assert!(sockeye_protocol::client::Cookies::EMPTY.is_empty());
    /// ```
    pub const EMPTY: Self = Self(Vec::new());

    /// The number of cookies, expired ones included.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (mut engine, id) = opening(|config| config.with_credentials = true);
    /// let head = Response { status: 200, headers: &[("set-cookie", b"a=1"), ("set-cookie", b"b=2")] };
    /// engine.handle_response(NOW, id, &head, Bytes::from(OPEN));
    /// while engine.poll_output().is_some() {}
    /// assert_eq!(engine.cookies().len(), 2);
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no cookie.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.rs"));
    /// # fn main() {
    /// let (engine, _) = opening(|_| {});
    /// assert!(engine.cookies().is_empty());
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the cookies that a response sets.
    pub(crate) fn store(&mut self, now: Instant, limits: &Limits, head: &Response<'_>) {
        let date = head.header("date").and_then(parse_date);
        for line in head.header_lines("set-cookie") {
            if let Some((cookie, lifetime)) = Cookie::parse(line, date) {
                self.set(now, limits, cookie, lifetime);
            }
        }
    }

    fn set(&mut self, now: Instant, limits: &Limits, mut cookie: Cookie, lifetime: Lifetime) {
        let known = self.0.iter().position(|other| other.name == cookie.name);
        cookie.expires = match lifetime {
            Lifetime::Session => None,
            Lifetime::Left(time) => Some(super::engine::after(now, time)),
            Lifetime::Over => {
                if let Some(index) = known {
                    self.0.remove(index);
                }
                return;
            }
        };
        if cookie.name.len().saturating_add(cookie.value.len()) > limits.cookie_bytes {
            return;
        }
        if let Some(slot) = known.and_then(|index| self.0.get_mut(index)) {
            *slot = cookie;
            return;
        }
        self.0.retain(|cookie| cookie.is_alive(now));
        if limits.cookies == 0 {
            return;
        }
        // RFC 6265, 5.3: the oldest give way.
        let surplus = self.0.len().saturating_add(1).saturating_sub(limits.cookies);
        self.0.drain(..surplus.min(self.0.len()));
        self.0.push(cookie);
    }

    /// The value of `Cookie`, if there is anything to send.
    pub(crate) fn header(&self, now: Instant) -> Option<String> {
        let mut value = String::new();
        for cookie in self.0.iter().filter(|cookie| cookie.is_alive(now)) {
            if !value.is_empty() {
                value.push_str("; ");
            }
            value.push_str(&cookie.name);
            value.push('=');
            value.push_str(&cookie.value);
        }
        (!value.is_empty()).then_some(value)
    }
}

/// The names only: the values may be secrets.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|cookie| &cookie.name)).finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifetime {
    Session,
    Left(Duration),
    Over,
}

impl Cookie {
    fn is_alive(&self, now: Instant) -> bool {
        self.expires.is_none_or(|at| now < at)
    }

    /// Reads one `Set-Cookie` (RFC 6265, 5.2). `date` is that of its response.
    fn parse(line: &[u8], date: Option<i64>) -> Option<(Self, Lifetime)> {
        let line = str::from_utf8(line).ok().filter(|line| is_field_value(line.as_bytes()))?;
        let mut parts = line.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return None;
        }
        // Quotes are taken off, as in JavaScript.
        let value = value.strip_prefix('"').map_or(value, |value| value.strip_suffix('"').unwrap_or(value));
        let (mut expires, mut max_age) = (None, None);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            // RFC 6265, 5.2: attribute names are case-insensitive, the last one counts.
            let (key, value) = (key.trim(), value.trim());
            if key.eq_ignore_ascii_case("expires") {
                expires = Some(until(value, date));
            } else if key.eq_ignore_ascii_case("max-age") {
                max_age = Some(seconds(value));
            }
        }
        // RFC 6265, 5.3: Max-Age is stronger.
        let lifetime = max_age.or(expires).unwrap_or(Lifetime::Session);
        Some((Self { name: name.into(), value: value.into(), expires: None }, lifetime))
    }
}

/// What `Max-Age` says; one that is not a number ends the cookie, as in JavaScript.
fn seconds(value: &str) -> Lifetime {
    match value.parse::<u64>() {
        Ok(0) => Lifetime::Over,
        Ok(seconds) => Lifetime::Left(Duration::from_secs(seconds)),
        // More than a number can say is long enough for any client.
        Err(_) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => Lifetime::Session,
        Err(_) => Lifetime::Over,
    }
}

/// What `Expires` says at that date; what is not a date ends the cookie, as in JavaScript.
fn until(value: &str, date: Option<i64>) -> Lifetime {
    let Some(end) = parse_date(value.as_bytes()) else { return Lifetime::Over };
    let left = match date {
        Some(date) => u64::try_from(end.saturating_sub(date)).unwrap_or(0),
        // Who removes a cookie writes a date that is long past.
        None if end > YEAR_2020 => return Lifetime::Session,
        None => 0,
    };
    if left == 0 { Lifetime::Over } else { Lifetime::Left(Duration::from_secs(left)) }
}

const YEAR_2020: i64 = 1_577_836_800;

/// Seconds since 1970 of a date as cookies write it (RFC 6265, 5.1.1), which all forms of HTTP are of too.
fn parse_date(value: &[u8]) -> Option<i64> {
    let value = str::from_utf8(value).ok()?;
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let delimiter = |char: char| !(char.is_ascii_alphanumeric() || char == ':');
    for token in value.split(delimiter).filter(|token| !token.is_empty()) {
        let number = token.parse::<i64>().ok().filter(|number| *number >= 0);
        if time.is_none() && token.contains(':') {
            time = Some(parse_time(token)?);
        } else if let (None, Some(number)) = (day, number.filter(|_| token.len() <= 2)) {
            day = Some(number);
        } else if let (None, Some(index)) = (month, parse_month(token)) {
            month = Some(index);
        } else if let (None, Some(number)) = (year, number.filter(|_| matches!(token.len(), 2 | 4))) {
            year = Some(match number {
                70..=99 => number.saturating_add(1900),
                0..=69 => number.saturating_add(2000),
                _ => number,
            });
        }
    }
    let (time, day, month, year) = (time?, day?, month?, year?);
    if !(1..=31).contains(&day) || !(1601..=9999).contains(&year) {
        return None;
    }
    days_since_1970(year, month, day).checked_mul(86_400)?.checked_add(time)
}

fn parse_time(token: &str) -> Option<i64> {
    let mut parts = token.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let valid = (0..24).contains(&hours) && (0..60).contains(&minutes) && (0..60).contains(&seconds);
    if !valid || parts.next().is_some() {
        return None;
    }
    hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60)?.checked_add(seconds)
}

/// 1 for January.
fn parse_month(token: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let start = token.get(..3)?;
    let index = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(start))?;
    i64::try_from(index).ok()?.checked_add(1)
}

/// The number of a day in the Gregorian calendar: years are counted from March, so that the leap day is their last.
#[allow(clippy::arithmetic_side_effects, reason = "the year has four digits")]
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_month = (month * 153 + 2) / 5;
    year * 365 + year / 4 - year / 100 + year / 400 + before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    fn set(jar: &mut Cookies, now: u64, headers: &[(&str, &str)]) {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        jar.store(at(now), &Limits::default(), &Response { status: 200, headers: &headers });
    }

    #[test]
    fn dates_in_every_form_of_http() {
        for (date, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29-Feb-2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Wed, 01 Jan 1601 00:00:00 GMT", Some(-11_644_473_600)),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 Nov 1600 08:49:37 GMT", None),
            ("06 1994 08:49:37", None),
            ("", None),
            ("99999999999999999999:1:1", None),
        ] {
            assert_eq!(parse_date(date.as_bytes()), expected, "{date}");
        }
    }

    #[test]
    fn set_replaced_and_removed() {
        let date = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (line, sent) in [
            ("a=1", Some("a=1")),
            ("a = 1 ;Path=/", Some("a=1")),
            ("a=", Some("a=")),
            ("a=b=c", Some("a=b=c")),
            ("a=\"x y\"", Some("a=x y")),
            ("a", None),
            ("=1", None),
            ("a=\u{1}", None),
            ("a=1; Max-Age=1", Some("a=1")),
            ("a=1; max-age=0", None),
            ("a=1; max-age=-1", None),
            ("a=1; max-age=x", None),
            ("a=1; max-age=99999999999999999999999", Some("a=1")),
            ("a=1; expires=Sun, 06 Nov 1994 08:49:38 GMT", Some("a=1")),
            ("a=1; EXPIRES=Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("a=1; expires=nonsense", None),
            ("a=1; expires=nonsense; max-age=5", Some("a=1")),
        ] {
            let mut jar = Cookies::EMPTY;
            set(&mut jar, 5, &[date, ("set-cookie", line)]);
            assert_eq!(jar.header(at(5)).as_deref(), sent, "{line}");
        }
        let mut jar = Cookies::EMPTY;
        set(&mut jar, 0, &[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("set-cookie", "a=3")]);
        assert_eq!(jar.header(at(0)).as_deref(), Some("a=3; b=2"));
        set(&mut jar, 0, &[("set-cookie", "a=; expires=Thu, 01 Jan 1970 00:00:00 GMT")]);
        assert_eq!(jar.header(at(0)).as_deref(), Some("b=2"));
        // Without a date to read it against, a date to come is as good as none.
        set(&mut jar, 0, &[("set-cookie", "c=4; expires=Fri, 01 Mar 2024 00:00:00 GMT")]);
        assert_eq!(jar.header(at(0)).as_deref(), Some("b=2; c=4"));
    }

    #[test]
    fn cookies_expire() {
        let mut jar = Cookies::EMPTY;
        set(&mut jar, 10, &[("set-cookie", "a=1; max-age=5"), ("set-cookie", "b=2")]);
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        set(&mut jar, 10, &[date, ("set-cookie", "c=3; expires=Sun, 06 Nov 1994 08:49:47 GMT")]);
        for (now, sent) in [(10, "a=1; b=2; c=3"), (14, "a=1; b=2; c=3"), (15, "b=2; c=3"), (20, "b=2")] {
            assert_eq!(jar.header(at(now)).as_deref(), Some(sent));
        }
    }

    #[test]
    fn a_jar_is_bounded() {
        let mut jar = Cookies::EMPTY;
        for index in 0..60 {
            set(&mut jar, 0, &[("set-cookie", &alloc::format!("c{index}=x"))]);
        }
        assert_eq!(jar.len(), 50);
        assert!(jar.header(at(0)).unwrap().starts_with("c10=x"));
        for (length, kept) in [(4_095, 1), (4_096, 0)] {
            let mut jar = Cookies::EMPTY;
            set(&mut jar, 0, &[("set-cookie", &["a=", &"x".repeat(length)].concat())]);
            assert_eq!(jar.len(), kept);
            assert_eq!(jar.is_empty(), kept == 0);
        }
    }
}
