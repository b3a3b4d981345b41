//! Which connections of HTTP requests go over, and which are kept.

use std::time::Duration;

use sockeye_driver::client::{Client, Transport};
use tungstenite::Message;

use crate::{
    net::{Net, OPEN, answer, answer_with, request},
    support::{ClientEnd, Rig, rig},
};

/// The server of a client on polling: its connections, in the order in which they were made.
struct Server {
    rig: Rig,
    net: Net,
    ends: Vec<ClientEnd>,
    /// Headers of each answer.
    headers: &'static str,
}

impl Server {
    fn new(rig: &Rig, headers: &'static str) -> Self {
        Self { rig: rig.clone(), net: Net::default(), ends: Vec::new(), headers }
    }

    fn client(&self, transports: &[Transport]) -> Client {
        let transports = transports.to_vec();
        self.net.client(&self.rig).config(|config| config.transports = transports).start().unwrap()
    }

    /// The next request: on which connection, and its body, or its method if it has none.
    #[track_caller]
    fn next(&mut self) -> (usize, String) {
        let mut at = None;
        self.rig.until("a request", || {
            self.ends.extend(self.net.ends.lock().unwrap().drain(..));
            at = self.ends.iter().position(|end| end.arrived() > 0);
            at.is_some()
        });
        let at = at.unwrap();
        let (head, body) = request(&self.rig, &self.ends[at]);
        let method = head.split(' ').next().unwrap().to_owned();
        (at, if body.is_empty() { method } else { body })
    }

    fn answer(&self, at: usize, body: &str) {
        answer_with(&self.ends[at], self.headers, body);
    }

    /// Connects `/`: the connection of the GET that is open, and that of the POST before.
    #[track_caller]
    fn join(&mut self, open: &str) -> [usize; 2] {
        let (handshake, get) = self.next();
        assert_eq!(get, "GET");
        self.answer(handshake, open);
        let (mut get, mut post) = (None, None);
        for _ in 0..2 {
            match self.next() {
                (at, body) if body == "GET" => get = Some(at),
                (at, body) => {
                    assert_eq!(body, "40");
                    post = Some(at);
                }
            }
        }
        self.answer(post.unwrap(), "ok");
        self.answer(get.unwrap(), "40{\"sid\":\"s\"}");
        let (get, body) = self.next();
        assert_eq!(body, "GET");
        [get, post.unwrap()]
    }

    /// Which connections the client has not let go of.
    fn open(&mut self) -> Vec<usize> {
        self.rig.run();
        self.ends.extend(self.net.ends.lock().unwrap().drain(..));
        (0..self.ends.len()).filter(|at| !self.ends[*at].is_dropped()).collect()
    }
}

#[test]
fn polling_needs_two_connections() {
    rig(|rig| {
        let mut server = Server::new(&rig, "keep-alive: timeout=5\r\n");
        let client = server.client(&[Transport::Polling]);
        server.join(OPEN);
        for n in 0..5 {
            client.emit("n", &n).unwrap();
            let (at, body) = server.next();
            assert_eq!(body, format!("42[\"n\",{n}]"));
            server.answer(at, "ok");
            assert_eq!(server.open(), [0, 1]);
        }
    });
}

/// A server closes what idles, and what is written at that moment is lost. So nothing is, from a second before on.
#[test]
fn a_connection_that_the_server_may_be_about_to_close_carries_no_request() {
    rig(|rig| {
        // A second less is no time at all.
        let mut server = Server::new(&rig, "keep-alive: timeout=1\r\n");
        let client = server.client(&[Transport::Polling]);
        let [get, post] = server.join(OPEN);
        assert_eq!((get, post), (3, 2), "each has one of its own");
        assert_eq!(server.open(), [get]);
        client.emit("n", &1).unwrap();
        assert_eq!(server.next(), (4, "42[\"n\",1]".into()));
    });
    rig(|rig| {
        let mut server = Server::new(&rig, "keep-alive: timeout=2\r\n");
        let client = server.client(&[Transport::Polling]);
        let [_, post] = server.join(OPEN);
        rig.wait("a second", rig.runtime.sleep(Duration::from_millis(1_100)));
        client.emit("n", &1).unwrap();
        let (at, body) = server.next();
        assert_eq!((at, &*body), (2, "42[\"n\",1]"));
        assert!(server.ends[post].is_dropped());
        assert!(client.is_connected());
    });
}

#[test]
fn nothing_of_polling_is_kept_behind_an_upgrade() {
    rig(|rig| {
        let mut server = Server::new(&rig, "");
        let client = server.client(&[Transport::Polling, Transport::WebSocket]);
        let open = OPEN.replace("\"upgrades\":[]", "\"upgrades\":[\"websocket\"]");
        // The candidate may come before or behind the first GET: it is taken out of the way.
        let (handshake, _) = server.next();
        server.answer(handshake, &open);
        let mut requests = Vec::new();
        for _ in 0..3 {
            let mut at = None;
            rig.until("a request", || {
                server.ends.extend(server.net.ends.lock().unwrap().drain(..));
                at = server.ends.iter().position(|end| end.arrived() > 0);
                at.is_some()
            });
            let at = at.unwrap();
            let (head, body) = request(&rig, &server.ends[at]);
            requests.push((at, head, body));
        }
        let find = |what: &str| {
            let (at, head, _) = requests.iter().find(|(_, head, body)| head.contains(what) || body == what).unwrap();
            (*at, head.clone())
        };
        let (post, websocket) = (find("40").0, find("transport=websocket"));
        let get = requests.iter().map(|(at, ..)| *at).find(|at| ![post, websocket.0].contains(at)).unwrap();
        server.answer(post, "ok");
        server.answer(get, "40{\"sid\":\"s\"}");
        let (get, body) = server.next();
        assert_eq!(body, "GET");
        let mut peer = server.net.upgrade(&rig, server.ends[websocket.0].clone(), &websocket.1);
        assert_eq!(peer.message(), "2probe");
        peer.send("3probe");
        rig.run();
        server.answer(get, "6");
        assert_eq!(peer.message(), "5");
        assert_eq!(server.open(), [websocket.0]);
        client.emit("n", &1).unwrap();
        assert_eq!(peer.message(), "42[\"n\",1]");
        drop(client);
        assert!(matches!(peer.read(), Message::Close(_)));
    });
}

#[test]
fn a_goodbye_needs_no_third_connection_and_leaves_none() {
    rig(|rig| {
        for how in ["close", "disconnect", "drop"] {
            let mut server = Server::new(&rig, "");
            let client = server.client(&[Transport::Polling]);
            let [get, post] = server.join(OPEN);
            match how {
                "close" => client.manager().close(),
                "disconnect" => client.disconnect(),
                _ => {}
            }
            let kept = (how != "drop").then_some(client);
            if how == "disconnect" {
                assert_eq!(server.next(), (post, "41".to_owned()));
                server.answer(post, "ok");
            }
            assert_eq!(server.next(), (post, "1".to_owned()), "{how}");
            server.answer(get, "6");
            assert_eq!(server.open().len(), 2, "{how}");
            server.answer(post, "ok");
            assert_eq!(server.open(), [0; 0], "{how}");
            drop(kept);
        }
    });
}

#[test]
fn a_session_that_begins_while_another_says_goodbye_begins_on_connections_of_its_own() {
    rig(|rig| {
        let mut server = Server::new(&rig, "");
        let client = server.client(&[Transport::Polling]);
        let [get, post] = server.join(OPEN);
        client.manager().close();
        client.manager().open();
        let mut next = [server.next(), server.next()];
        next.sort();
        assert_eq!(next, [(post, "1".to_owned()), (2, "GET".to_owned())]);
        server.answer(post, "ok");
        server.answer(get, "6");
        assert_eq!(server.open(), [2]);
        answer(&server.ends[2], OPEN);
        let mut next = [server.next(), server.next()];
        next.sort();
        assert_eq!(next.map(|(at, _)| at), [2, 3]);
    });
}

/// It may be as dead as the session, or about to end.
#[test]
fn nothing_is_kept_of_a_session_that_was_lost() {
    rig(|rig| {
        let mut server = Server::new(&rig, "");
        let _client = server.client(&[Transport::Polling]);
        let [get, _] = server.join(OPEN);
        server.ends[get].write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(server.next(), (2, "GET".to_owned()));
        assert_eq!(server.open(), [2]);
    });
}
