//! A whole Engine.IO server for one thread, without Socket.IO on top.

use alloc::{collections::VecDeque, sync::Arc};

use bytes::BytesMut;

use super::{CloseReason, Event, Message, Output as SessionOutput, Registry, Routed, SendError, Session, gone};
use crate::{
    Config, Instant, Seed,
    http::{Body, Request, Response},
    key::{ConnKey, RequestId, TransportId},
    machines::{Machine, Machines, Output, Route, Transmits},
    ws,
};

/// Engine.IO alone: [`Session`]s, their ids, and a heap of deadlines. Pure composition, driven like
/// [`crate::server::Server`].
///
/// ```
/// use sockeye_protocol::{Config, Instant, Output, RequestId, Route, Seed, engine, http};
///
/// let config = Config { path: "/engine.io/".into(), ..Config::default() };
/// let mut server = engine::Server::new(config, &Seed::for_tests(1));
/// let head = http::Request {
///     method: "GET",
///     target: "/engine.io/?EIO=4&transport=polling",
///     headers: &[],
///     peer: None,
///     secure: false,
/// };
/// let now = Instant::ZERO;
/// let Route::Connection { key, .. } = server.route(now, &head) else { panic!("a handshake opens a session") };
/// server.handle_request(now, key, RequestId(1), &head, http::Body::Whole(Default::default()));
/// let answered = core::iter::from_fn(|| server.poll_output())
///     .any(|output| matches!(output, Output::Respond { id: RequestId(1), .. }));
/// assert!(answered);
/// ```
#[derive(Debug)]
pub struct Server {
    registry: Registry,
    sessions: Machines<Session>,
    /// Requests whose session was gone when they came.
    refused: VecDeque<(RequestId, Response)>,
    transmits: Transmits,
}

impl Server {
    /// A server without sessions.
    pub fn new(config: impl Into<Arc<Config>>, seed: &Seed) -> Self {
        Self {
            registry: Registry::new(config, seed),
            sessions: Machines::new(),
            refused: VecDeque::new(),
            transmits: Transmits::default(),
        }
    }

    /// The number of sessions, those that are closing included.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One session.
    pub fn session(&self, key: ConnKey) -> Option<&Session> {
        self.sessions.get(key)
    }

    /// Whether a driver should go on reading from the peer: `false` while more than [`crate::Limits::high_water`]
    /// bytes wait to be sent to it. One that stops calls [`handle_withheld`](Self::handle_withheld).
    pub fn wants_read(&self, key: ConnKey) -> bool {
        self.sessions.get(key).is_none_or(|session| session.wants_read())
    }

    /// See [`crate::server::Server::route`].
    pub fn route(&mut self, now: Instant, head: &Request<'_>) -> Route {
        let key = match self.registry.route(head) {
            Routed::NotFound => return Route::NotFound,
            Routed::Respond(response) => return Route::Response(response),
            Routed::Existing(key) => key,
            Routed::Open => {
                let (key, session) = self.registry.open(now);
                self.sessions.insert(key, session);
                key
            }
        };
        Route::Connection { key, body_limit: self.registry.config().limits.max_payload }
    }

    /// See [`crate::server::Server::handle_request`].
    pub fn handle_request(&mut self, now: Instant, key: ConnKey, id: RequestId, head: &Request<'_>, body: Body) {
        let unread = !matches!(body, Body::Whole(_));
        if !self.sessions.input(key, |session| session.handle_request(now, id, head, body)) {
            self.refused.push_back((id, gone(self.registry.config(), head, unread)));
        }
    }

    /// See [`crate::server::Server::handle_body`].
    pub fn handle_body(&mut self, now: Instant, key: ConnKey, id: RequestId, body: Body) {
        self.sessions.input(key, |session| session.handle_body(now, id, body));
    }

    /// See [`crate::server::Server::handle_abort`].
    pub fn handle_abort(&mut self, now: Instant, key: ConnKey, id: RequestId) {
        self.sessions.input(key, |session| session.handle_abort(now, id));
    }

    /// See [`crate::server::Server::handle_bytes`].
    pub fn handle_bytes(&mut self, now: Instant, key: ConnKey, transport: TransportId, buffer: &mut BytesMut) {
        if !self.sessions.input(key, |session| session.handle_bytes(now, transport, buffer)) {
            buffer.clear();
        }
    }

    /// See [`crate::server::Server::handle_message`].
    pub fn handle_message(&mut self, now: Instant, key: ConnKey, transport: TransportId, message: Message) {
        self.sessions.input(key, |session| session.handle_message(now, transport, message));
    }

    /// See [`crate::server::Server::handle_eof`].
    pub fn handle_eof(&mut self, now: Instant, key: ConnKey, transport: TransportId) {
        self.sessions.input(key, |session| session.handle_eof(now, transport));
    }

    /// See [`Session::handle_withheld`].
    pub fn handle_withheld(&mut self, now: Instant, key: ConnKey, withheld: bool) {
        self.sessions.input(key, |session| session.handle_withheld(now, withheld));
    }

    /// A tick. One that comes early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.sessions.handle_timeout(now);
    }

    /// Sends a message: see [`Session::send`].
    ///
    /// # Errors
    ///
    /// [`SendError`] if the session is closed or its queue is full.
    pub fn send(&mut self, key: ConnKey, message: Message) -> Result<(), SendError> {
        self.sessions.touch(key).ok_or(SendError::Closed)?.send(message)
    }

    /// Closes a session: see [`Session::close`].
    pub fn close(&mut self, now: Instant, key: ConnKey, reason: CloseReason) {
        if let Some(session) = self.sessions.touch(key) {
            session.close(now, reason);
        }
    }

    /// The next thing to do: see [`crate::server::Server::poll_output`].
    pub fn poll_output(&mut self) -> Option<Output<(ConnKey, Event)>> {
        if let Some((id, response)) = self.refused.pop_front() {
            return Some(Output::Respond { id, response });
        }
        loop {
            let (connection, until, session) = self.sessions.current()?;
            let Some(output) = session.poll_output_until(until) else {
                session.unsent().for_each(|transport| self.transmits.push(connection, transport));
                let drained = session.is_drained();
                self.sessions.next();
                if drained {
                    self.registry.remove(connection);
                    self.sessions.remove(connection);
                    self.transmits.remove(connection);
                }
                continue;
            };
            return Some(match output {
                SessionOutput::Respond { id, response } => Output::Respond { id, response },
                SessionOutput::Upgrade { id, response, transport } => {
                    Output::Upgrade { id, response, connection, transport }
                }
                SessionOutput::Shutdown { transport } => Output::Shutdown { connection, transport },
                SessionOutput::Abort { transport } => Output::Abort { connection, transport },
                SessionOutput::Event(event) => Output::Event((connection, event)),
            });
        }
    }

    /// See [`crate::server::Server::poll_transmit`].
    pub fn poll_transmit(&mut self) -> Option<(ConnKey, TransportId)> {
        self.transmits.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, if at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.poll_timeout()
    }

    /// The bytes to write to a WebSocket, as a [`bytes::Buf`].
    pub fn transmit(&mut self, key: ConnKey, transport: TransportId) -> Option<&mut ws::TransmitQueue> {
        self.sessions.get_mut(key)?.transmit(transport)
    }
}

impl Machine for Session {
    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self)
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn stored(&self) -> u64 {
        Self::stored(self)
    }

    fn begun(&self) -> u64 {
        Self::begun(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cors, Origins};

    #[test]
    fn a_request_that_comes_after_its_session_is_refused_like_others() {
        let cors = Some(Cors { origins: Origins::Any, ..Cors::default() });
        let mut server = Server::new(Config { cors, ..Config::default() }, &Seed::for_tests(1));
        let mut head = Request {
            method: "GET",
            target: "/socket.io/?EIO=4&transport=polling",
            headers: &[],
            peer: None,
            secure: false,
        };
        let Route::Connection { key, .. } = server.route(Instant::ZERO, &head) else { panic!() };
        server.handle_timeout(Instant::from_millis(30_000));
        while server.poll_output().is_some() {}
        assert!(server.is_empty(), "its first request has not come");
        for (method, body, closing) in
            [("GET", Body::EMPTY, None), ("POST", Body::Pending, Some("close")), ("HEAD", Body::EMPTY, None)]
        {
            head.method = method;
            server.handle_request(Instant::ZERO, key, RequestId(1), &head, body);
            let Some(Output::Respond { response, .. }) = server.poll_output() else { panic!() };
            assert_eq!((response.status, response.body.is_empty()), (400, method == "HEAD"));
            assert_eq!(response.header("connection"), closing, "{method}");
            assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        }
        assert_eq!(server.poll_timeout(), None);
    }
}
