//! Connections of HTTP between two requests: which are kept, for whom, and for how long.

use std::time::Duration;

use http::HeaderMap;
use hyper::client::conn::http1::SendRequest;
use sockeye_protocol::Instant;

use super::Address;

/// Idle connections that are kept for a session: one for GETs, one for POSTs.
const KEPT: usize = 2;

/// For how long one is good for another request. A server closes it some time, 5 s is Node's default, and a request that is
/// written at that moment is lost; nobody knows then whether it was handled, so it cannot be written again.
const LIFETIME: Duration = Duration::from_secs(4);

/// How long before the server's own time is over a connection is not used any more.
const MARGIN: Duration = Duration::from_secs(1);

/// What requests are sent over.
pub(super) trait Sends {
    /// Whether the connection has ended.
    fn is_closed(&self) -> bool;
}

impl<B> Sends for SendRequest<B> {
    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }
}

/// The connections without a request. Those of one session serve no other: they may be as dead as that is, without an end that
/// would tell, or about to end.
#[derive(Debug)]
pub(super) struct Idle<S> {
    kept: Vec<Kept<S>>,
    /// The session that began last.
    latest: Option<u32>,
    /// The same, until it ends.
    in_use: Option<u32>,
    /// Those that keep connections: the one in use, and those that say goodbye.
    keeping: Vec<u32>,
}

#[derive(Debug)]
struct Kept<S> {
    session: u32,
    address: Address,
    sender: S,
    /// When it is too old.
    until: Instant,
}

impl<S> Default for Idle<S> {
    fn default() -> Self {
        Self { kept: Vec::new(), latest: None, in_use: None, keeping: Vec::new() }
    }
}

impl<S: Sends> Idle<S> {
    /// A session does a request. With its first one it begins; they begin in the order of their numbers. Whether it did.
    pub(super) fn begin(&mut self, session: u32) -> bool {
        let is_new = self.latest.is_none_or(|latest| (1..u32::MAX / 2).contains(&session.wrapping_sub(latest)));
        if is_new {
            (self.latest, self.in_use) = (Some(session), Some(session));
            self.keeping.push(session);
        }
        is_new
    }

    /// One for the next request of a session.
    pub(super) fn take(&mut self, session: u32, address: &Address, now: Instant) -> Option<S> {
        self.drop_useless(now);
        let at = self.kept.iter().position(|kept| kept.session == session && kept.address == *address)?;
        Some(self.kept.swap_remove(at).sender)
    }

    /// One has answered; `headers` are those of the answer.
    pub(super) fn put(&mut self, session: u32, address: Address, sender: S, headers: &HeaderMap, now: Instant) {
        self.drop_useless(now);
        let until = now + lifetime(headers);
        let others = self.kept.iter().filter(|kept| kept.session == session).count();
        if until > now && others < KEPT && self.keeping.contains(&session) && !sender.is_closed() {
            self.kept.push(Kept { session, address, sender, until });
        }
    }

    /// The session in use was lost, or does no more requests: nothing of it is kept.
    pub(super) fn forget_in_use(&mut self) {
        if let Some(over) = self.in_use.take() {
            self.forget(|session| session == over);
        }
    }

    /// The session in use says goodbye, for which it may need what was kept.
    pub(super) fn retire(&mut self) {
        self.in_use = None;
    }

    /// Forgets those that have said goodbye. Whether others still do.
    pub(super) fn settle(&mut self, is_busy: impl Fn(u32) -> bool) -> bool {
        let in_use = self.in_use;
        self.forget(|session| Some(session) != in_use && !is_busy(session));
        self.keeping.iter().any(|session| Some(*session) != in_use)
    }

    fn forget(&mut self, is_over: impl Fn(u32) -> bool) {
        self.keeping.retain(|session| !is_over(*session));
        self.kept.retain(|kept| !is_over(kept.session));
        if self.kept.is_empty() {
            self.kept = Vec::new();
        }
    }

    fn drop_useless(&mut self, now: Instant) {
        self.kept.retain(|kept| now < kept.until && !kept.sender.is_closed());
    }
}

/// For how long a connection is kept after an answer with these headers (`Keep-Alive: timeout=5`, RFC 2068, 19.7.1.1).
fn lifetime(headers: &HeaderMap) -> Duration {
    let values = headers.get_all("keep-alive").iter().filter_map(|value| value.to_str().ok());
    let parameters = values.flat_map(|value| value.split(',')).filter_map(|parameter| parameter.split_once('='));
    let seconds = parameters
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))
        .filter_map(|(_, seconds)| seconds.trim().parse().ok())
        .min();
    seconds.map_or(LIFETIME, |seconds| Duration::from_secs(seconds).saturating_sub(MARGIN).min(LIFETIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection with a name, and whether it has ended.
    #[derive(Debug, PartialEq)]
    struct Connection(&'static str, bool);

    impl Sends for Connection {
        fn is_closed(&self) -> bool {
            self.1
        }
    }

    fn address(host: &str) -> Address {
        Address { host: host.into(), port: 80, secure: false }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// The connections of a session that began, and those that are put into it.
    struct Pool(Idle<Connection>);

    impl Pool {
        fn new(sessions: &[u32]) -> Self {
            let mut idle = Idle::default();
            for session in sessions {
                assert!(idle.begin(*session) && !idle.begin(*session));
            }
            Self(idle)
        }

        fn put(&mut self, session: u32, name: &'static str, now: u64) {
            self.0.put(session, address("a"), Connection(name, false), &HeaderMap::new(), at(now));
        }

        fn take(&mut self, session: u32, now: u64) -> Option<&'static str> {
            self.0.take(session, &address("a"), at(now)).map(|connection| connection.0)
        }

        fn left(&self) -> Vec<&'static str> {
            self.0.kept.iter().map(|kept| kept.sender.0).collect()
        }
    }

    #[test]
    fn how_long_one_is_kept_is_what_the_server_says_less_a_second_and_no_more_than_four() {
        for (values, millis) in [
            (&[][..], 4_000),
            (&["timeout=5"], 4_000),
            (&["timeout=600, max=100"], 4_000),
            (&["max=100,Timeout = 3"], 2_000),
            (&["timeout=2"], 1_000),
            (&["timeout=1"], 0),
            (&["timeout=0"], 0),
            (&["timeout=4", "timeout=3"], 2_000),
            // Nobody knows what is meant.
            (&["timeout=-1"], 4_000),
            (&["timeout"], 4_000),
            (&["5"], 4_000),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("keep-alive", value.parse().unwrap());
            }
            assert_eq!(lifetime(&headers), Duration::from_millis(millis), "{values:?}");
        }
    }

    #[test]
    fn one_is_used_again_before_it_is_too_old() {
        let mut pool = Pool::new(&[0]);
        pool.put(0, "young", 1_000);
        assert_eq!(pool.take(0, 4_999), Some("young"));
        pool.put(0, "old", 5_000);
        assert_eq!((pool.take(0, 9_000), pool.left()), (None, vec![]));
        let mut headers = HeaderMap::new();
        headers.insert("keep-alive", "timeout=1".parse().unwrap());
        pool.0.put(0, address("a"), Connection("brief", false), &headers, at(9_000));
        assert_eq!(pool.left(), [""; 0]);
    }

    #[test]
    fn two_are_kept_and_only_those_that_are_open() {
        let mut pool = Pool::new(&[0]);
        for name in ["one", "two", "three"] {
            pool.put(0, name, 0);
        }
        pool.0.put(0, address("a"), Connection("ended", true), &HeaderMap::new(), at(0));
        assert_eq!(pool.left(), ["one", "two"]);
        assert_eq!(pool.0.take(0, &address("b"), at(0)), None);
        // Those that are too old take no place.
        pool.put(0, "four", 4_000);
        assert_eq!(pool.left(), ["four"]);
    }

    #[test]
    fn no_session_has_anothers() {
        let mut pool = Pool::new(&[7, 8]);
        pool.put(7, "of 7", 0);
        pool.put(8, "of 8", 0);
        assert_eq!((pool.take(8, 0), pool.take(8, 0), pool.take(7, 0)), (Some("of 8"), None, Some("of 7")));
        // A late request of the one before begins nothing.
        assert!(!pool.0.begin(7) && pool.0.begin(9));
        // Numbers begin anew.
        let mut pool = Pool::new(&[u32::MAX, 0]);
        assert!(!pool.0.begin(u32::MAX) && pool.0.begin(1));
    }

    #[test]
    fn one_that_is_lost_keeps_nothing_any_more() {
        let mut pool = Pool::new(&[0]);
        pool.put(0, "before", 0);
        pool.0.forget_in_use();
        pool.put(0, "after", 0);
        assert_eq!(pool.left(), [""; 0]);
        assert!(pool.0.begin(1));
        pool.put(1, "next", 0);
        assert_eq!(pool.left(), ["next"]);
    }

    #[test]
    fn one_that_says_goodbye_keeps_what_it_needs_until_then() {
        let mut pool = Pool::new(&[0]);
        pool.put(0, "for the farewell", 0);
        pool.0.retire();
        // Lost is the one in use, which is none.
        pool.0.forget_in_use();
        assert!(pool.0.settle(|session| session == 0));
        assert!(pool.0.begin(1));
        pool.put(1, "next", 0);
        assert_eq!(pool.take(0, 0), Some("for the farewell"));
        pool.put(0, "for the farewell", 0);
        assert!(!pool.0.settle(|_| false));
        pool.put(0, "late", 0);
        assert_eq!(pool.left(), ["next"]);
    }
}
