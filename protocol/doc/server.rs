// What the examples of a server's parts have around them, out of their readers' sight: a hub with recovery, and clients on
// polling.

#[allow(unused_imports)]
use bytes::Bytes;
#[allow(unused_imports)]
use sockeye_protocol::{
    Config, Instant, Recovery, RequestId, Seed, Sid, SocketKey,
    http::{Body, Request},
    server::{Connection, ConnectRequest, ConnectionOutput, Event, Hub, HubOutput, HubRoute, Room, Target},
    socket::Payload,
};

#[allow(dead_code)]
const NOW: Instant = Instant::ZERO;

#[allow(dead_code)]
fn hub() -> Hub {
    Hub::new(Config { recovery: Some(Recovery::default()), room_events: false, ..Config::default() }, &Seed::for_tests(1))
}

#[allow(dead_code)]
fn event(name: &str, args: &str) -> Payload {
    Payload::event(name, args, 10).unwrap()
}

/// A client, and the server's part of its connection.
#[allow(dead_code)]
struct Peer {
    connection: Connection,
    target: String,
    requests: u64,
    asked: Option<ConnectRequest>,
}

#[allow(dead_code)]
impl Peer {
    /// A client that asks for `/` with this packet.
    fn new(hub: &mut Hub, connect: &str) -> Self {
        let target = String::from("/socket.io/?EIO=4&transport=polling");
        let head = Request { method: "GET", target: &target, headers: &[], peer: None, secure: false };
        let connection = hub.open(NOW, &head);
        let mut peer = Self { connection, target, requests: 0, asked: None };
        let open = peer.exchange(hub, "GET", "");
        peer.target = format!("{}&sid={}", peer.target, open.split('"').nth(3).unwrap());
        peer.exchange(hub, "POST", connect);
        peer
    }

    /// A client that is connected to `/`, and its private id.
    fn joined(hub: &mut Hub) -> (Self, SocketKey, String) {
        let mut peer = Self::new(hub, "40");
        let request = peer.asked.take().unwrap();
        let socket = peer.connection.accept(NOW, request).unwrap();
        let answer = peer.poll(hub);
        let pid = answer.split(r#""pid":""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        (peer, socket, pid.into())
    }

    /// What a GET brings.
    fn poll(&mut self, hub: &mut Hub) -> String {
        self.exchange(hub, "GET", "")
    }

    /// The client closes its connection, as one does whose page is left.
    fn go(mut self, hub: &mut Hub) {
        self.exchange(hub, "POST", "1");
    }

    fn exchange(&mut self, hub: &mut Hub, method: &str, body: &str) -> String {
        self.requests += 1;
        let head = Request { method, target: &self.target, headers: &[], peer: None, secure: false };
        let body = Body::Whole(Bytes::copy_from_slice(body.as_bytes()));
        self.connection.handle_request(NOW, RequestId(self.requests), &head, body);
        let mut answer = String::new();
        while let Some(output) = self.connection.poll_output() {
            match output {
                ConnectionOutput::Respond { response, .. } => answer = String::from_utf8(response.body.to_vec()).unwrap(),
                ConnectionOutput::Event(Event::Connect(request)) => self.asked = Some(request),
                ConnectionOutput::Hub(event) => {
                    let mut back = Vec::new();
                    hub.handle_event(NOW, self.connection.key(), event, &mut |_, event| back.push(event));
                    back.into_iter().for_each(|event| self.connection.handle_hub_event(NOW, event));
                }
                _ => {}
            }
        }
        answer
    }
}
