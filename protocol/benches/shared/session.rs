//! A whole server and its clients on WebSockets, without I/O: what a message costs the core.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "each program uses a part of this module, and a failure ends it"
)]

use std::hint::black_box;

include!("../../doc/whole.rs");

/// A server that answers as the benchmark servers do, and clients of which the first one sends.
pub struct Session {
    server: Server,
    sender: (ConnKey, TransportId),
    /// What was read and not looked at: given to the core, which leaves it empty.
    buffer: BytesMut,
}

impl Session {
    /// All clients are in the room `all`.
    pub fn new(clients: usize) -> Self {
        let mut server = server();
        let mut sender = None;
        for _ in 0..clients {
            let (key, transport, socket) = joined_by_websocket(&mut server);
            sender.get_or_insert((key, transport));
            server.join(socket, "all").unwrap();
        }
        let mut session = Self { server, sender: sender.unwrap(), buffer: BytesMut::new() };
        session.run();
        session
    }

    /// The first client sends these bytes. Returns how many are sent to all of them.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        self.buffer.extend_from_slice(bytes);
        let (key, transport) = self.sender;
        self.server.handle_bytes(NOW, key, transport, &mut self.buffer);
        self.run()
    }

    fn run(&mut self) -> usize {
        let Self { server, .. } = self;
        while let Some(output) = server.poll_output() {
            let Output::Event(Event::Packet { socket, event, args, ack }) = output else { continue };
            match &*event {
                "echo" => {
                    let text: String = args.deserialize().unwrap();
                    server.emit(NOW, socket, &Payload::event("echo", &text, 10).unwrap()).unwrap();
                }
                "binary" => {
                    let bytes: Bytes = args.deserialize().unwrap();
                    server.emit(NOW, socket, &Payload::event("binary", &bytes, 10).unwrap()).unwrap();
                }
                "ack" => {
                    let text: String = args.deserialize().unwrap();
                    server.reply(NOW, &ack.unwrap(), &Payload::ack(&text, 10).unwrap()).unwrap();
                }
                "broadcast" => {
                    let text: String = args.deserialize().unwrap();
                    let namespace = server.hub().namespace("/").unwrap();
                    let target = Target { rooms: &[Room::from("all")], ..Target::all(namespace) };
                    server.broadcast(NOW, &target, &Payload::event("broadcast", &text, 10).unwrap()).unwrap();
                }
                other => panic!("nobody sends {other}"),
            }
        }
        let mut sent = 0;
        while let Some((key, transport)) = server.poll_transmit() {
            let queue = server.transmit(key, transport).unwrap();
            while queue.has_remaining() {
                let written = black_box(queue.chunk()).len();
                queue.advance(written);
                sent += written;
            }
        }
        sent
    }
}

/// A client on polling that has its next GET open: what an echo of 16 bytes costs, its POST and the answer to its GET.
pub fn polling() -> Box<dyn FnMut()> {
    let mut server = server();
    let (client, _socket) = Client::joined(&mut server);
    Box::new(move || {
        let get = head("GET", &client.target);
        server.handle_request(NOW, client.key, RequestId(1), &get, Body::EMPTY);
        let told = client.post(&mut server, r#"42["echo","0123456789abcdef"]"#);
        let Some(Event::Packet { socket, args, .. }) = told.into_iter().next() else { panic!("an event arrives") };
        let text: String = args.deserialize().unwrap();
        server.emit(NOW, socket, &Payload::event("echo", &text, 10).unwrap()).unwrap();
        let mut answers = 0;
        while let Some(output) = server.poll_output() {
            answers += usize::from(matches!(output, Output::Respond { .. }));
        }
        assert_eq!(answers, 1);
    })
}

/// Opening, connecting and closing of one client on WebSocket.
pub fn connection() -> Box<dyn FnMut()> {
    let mut server = server();
    Box::new(move || {
        let (key, transport, _) = joined_by_websocket(&mut server);
        server.handle_eof(NOW, key, transport);
        assert!(events(&mut server).iter().any(|event| matches!(event, Event::Close { .. })));
        while server.poll_transmit().is_some() {}
    })
}
