//! Socket.IO (protocol v5 on Engine.IO v4) as pure state machines.
//!
//! Bytes, HTTP requests and the time go in; bytes, responses, packets, acknowledgements, room operations and deadlines
//! come out. Nothing here opens a socket, reads a clock, draws entropy, spawns a thread or awaits. So a server runs in
//! any event loop, and the same inputs with the same [`Seed`] give the same outputs, to the byte.
//!
//! # A whole server
//!
//! [`server::Server`] is everything at once, for one thread (or behind one lock). This program lets one client in,
//! greets it, and sends back what it says; the client here is the documentation itself.
//!
//! ```
//! use core::time::Duration;
//!
//! use bytes::Buf;
//! use sockeye_protocol::{
//!     Config, Instant, Output, RequestId, Route, Seed,
//!     http::{Body, Request, Response},
//!     server::{Event, Server},
//!     socket::Payload,
//! };
//!
//! struct Driver {
//!     server: Server,
//!     requests: u64,
//!     responses: Vec<(RequestId, Response)>,
//! }
//!
//! impl Driver {
//!     /// An HTTP request has arrived, its body whole.
//!     fn on_request(&mut self, now: Instant, method: &str, target: &str, body: &str) -> RequestId {
//!         let head = Request { method, target, headers: &[], peer: None, secure: false };
//!         self.requests += 1;
//!         let id = RequestId(self.requests);
//!         match self.server.route(now, &head) {
//!             Route::Connection { key, body_limit } => {
//!                 let body = if body.len() > body_limit { Body::TooLarge } else { Body::Whole(body.to_owned().into()) };
//!                 self.server.handle_request(now, key, id, &head, body);
//!             }
//!             Route::Response(response) => self.responses.push((id, response)),
//!             Route::NotFound => self.responses.push((id, Response::status(404))),
//!         }
//!         self.drain(now);
//!         id
//!     }
//!
//!     /// After every input and tick: do what there is to do.
//!     fn drain(&mut self, now: Instant) {
//!         while let Some(output) = self.server.poll_output() {
//!             match output {
//!                 // Write the response: `Response::encode_http1`, or field by field to an HTTP library.
//!                 Output::Respond { id, response } => self.responses.push((id, response)),
//!                 // Write the response (101); what the peer sends from here on goes to `handle_bytes`.
//!                 Output::Upgrade { id, response, .. } => self.responses.push((id, response)),
//!                 // Write what is left in `transmit`, close; then `handle_eof`.
//!                 Output::Shutdown { .. } => {}
//!                 // Close now; then `handle_eof`.
//!                 Output::Abort { .. } => {}
//!                 Output::Event(event) => self.on_event(now, event),
//!                 _ => {}
//!             }
//!         }
//!         // Each WebSocket that has something to write: a `bytes::Buf` with vectored chunks.
//!         while let Some((key, transport)) = self.server.poll_transmit() {
//!             let Some(queue) = self.server.transmit(key, transport) else { continue };
//!             while queue.has_remaining() {
//!                 let written = queue.chunk().len(); // As much as the socket takes of `queue.chunk()`.
//!                 queue.advance(written);
//!             }
//!         }
//!         // Then sleep until `self.server.poll_timeout()` at the latest, and call `handle_timeout`.
//!     }
//!
//!     /// The application.
//!     fn on_event(&mut self, now: Instant, event: Event) {
//!         match event {
//!             Event::Connect(request) => {
//!                 let socket = self.server.accept(now, request).expect("the client has not gone yet");
//!                 // 10: the attachments that it may have, `Limits::max_attachments`.
//!                 let hello = Payload::event("hello", "world", 10).expect("a text is serialisable");
//!                 self.server.emit(now, socket, &hello).expect("the socket is connected");
//!             }
//!             Event::Packet { socket, args, .. } => {
//!                 let (text, number): (String, Option<u32>) = args.deserialize().expect("our client sends these");
//!                 let back = Payload::event("back", &(text, number), 10).expect("serialisable");
//!                 self.server.emit(now, socket, &back).expect("the socket is connected");
//!             }
//!             Event::Disconnect { reason, .. } => assert_eq!(reason.as_str(), "ping timeout"),
//!             _ => {}
//!         }
//!     }
//!
//!     fn body_of(&mut self, id: RequestId) -> String {
//!         let at = self.responses.iter().position(|(other, _)| *other == id).expect("answered");
//!         String::from_utf8(self.responses.swap_remove(at).1.body.to_vec()).expect("UTF-8")
//!     }
//! }
//!
//! // The seed comes from the operating system in a real program.
//! let server = Server::new(Config::default(), &Seed::for_tests(1));
//! let mut driver = Driver { server, requests: 0, responses: Vec::new() };
//! let mut now = Instant::ZERO;
//!
//! // Engine.IO: the handshake gives a session id.
//! let id = driver.on_request(now, "GET", "/socket.io/?EIO=4&transport=polling", "");
//! let open = driver.body_of(id);
//! let sid = open.split('"').nth(3).expect("0{\"sid\":\"..\",..}");
//! let target = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
//!
//! // Socket.IO: CONNECT to the namespace `/`, and an event.
//! let id = driver.on_request(now, "POST", &target, "40\u{1e}42[\"say\",\"hi\"]");
//! assert_eq!(driver.body_of(id), "ok");
//! let id = driver.on_request(now, "GET", &target, "");
//! let polled = driver.body_of(id);
//! assert!(polled.starts_with("40{\"sid\":") && polled.ends_with("42[\"hello\",\"world\"]\u{1e}42[\"back\",\"hi\",null]"));
//!
//! // Time passes: a ping, and no answer to it.
//! for _ in 0..2 {
//!     now = driver.server.poll_timeout().expect("a deadline");
//!     driver.server.handle_timeout(now);
//!     driver.drain(now);
//! }
//! assert_eq!(now, Instant::ZERO + Duration::from_secs(25 + 20));
//! assert_eq!(driver.server.stats().sockets, 0);
//! ```
//!
//! The example `blocking` does the same with real sockets and plain threads.
//!
//! # What there is to call
//!
//! All are methods of [`server::Server`].
//!
//! | when | call |
//! | --- | --- |
//! | a request's head has arrived | `route`; with a key from it `handle_request`, its body whole, too large, or [`http::Body::Pending`] |
//! | a pending body has arrived; the peer left before the answer | `handle_body`; `handle_abort` |
//! | bytes of a WebSocket have arrived, those behind the request's head first | `handle_bytes`, with the connection and transport that `Output::Upgrade` named |
//! | a framework owns the WebSocket | `handle_message` instead, and [`ws::TransmitQueue::pop_message`] for what is to be written |
//! | a WebSocket has ended, by whichever side | `handle_eof` |
//! | reading from a peer stops for a while, or goes on | `handle_withheld`, so that a pong which lies unread is not missed |
//! | the time of `poll_timeout` has come | `handle_timeout` |
//! | before the first client | `add_namespace`, for all but `/` |
//! | on `Event::Connect` | `accept` or `reject` |
//! | to send to one socket | `emit`; `emit_with_ack`, which `Event::Ack` answers |
//! | on `Event::Packet` with an `ack` | `reply` with it, once, and a [`socket::Payload::ack`] |
//! | rooms | `join`, `leave`, `rooms` |
//! | to reach many sockets | `broadcast`, `sockets_join`, `sockets_leave`, `disconnect_sockets`, with a [`server::Target`]: a namespace, rooms, exceptions |
//! | to end | `disconnect` a socket or its connection; `shutdown` all, then drive on until `stats().connections` is 0 |
//!
//! In [`socket::Payload::event`] a tuple is several arguments, `()` none, anything else one; bytes (`bytes::Bytes`, or
//! what else serialises as bytes) become binary attachments. `args.deserialize()` takes them in turn into a tuple, or the
//! first into anything else; [`socket::Value`] holds whatever a peer sends, binary included.
//!
//! # The rules of driving
//!
//! - **Any order.** Call `handle_*` (inputs) and verbs (`emit`, `join`, ..) as often and in whichever order you like; then
//!   poll outputs until there is none. There is no wrong order, and outputs do not depend on how inputs were batched or
//!   bytes were cut. Inputs are only stored; one packet is parsed per `poll_output`, so not polling holds a peer back
//!   ([`server::Server::wants_read`] says when to stop reading, too).
//! - **One answer.** Each request gets exactly one `Respond` or `Upgrade`, unless you reported that the peer dropped it.
//! - **Time.** `handle_timeout` may come early or twice. After `handle_timeout(t)`, `poll_timeout` is later than `t` or
//!   `None`.
//! - **Ends.** `Shutdown` and `Abort` are to be confirmed by `handle_eof`, as is a stream that ended by itself.
//! - **Misuse is not misbehaviour.** What a peer does wrong ends its connection, with an [`server::Error`] that names the
//!   limit and the value; what the caller does wrong is a `Result` of the verb ([`server::EmitError`], ..). A key of
//!   something that is gone reaches nothing.
//!
//! # The layers
//!
//! | module | what | who drives it alone |
//! | --- | --- | --- |
//! | [`ws`] | WebSocket framing, both roles | a WebSocket server or client |
//! | [`http`] | requests and responses as data | |
//! | [`engine`] | [`engine::Session`]: Engine.IO over polling and WebSocket; [`engine::Server`]: many of them | who wants Engine.IO without Socket.IO |
//! | [`socket`] | packets, arguments, acknowledgement payloads | tools that decode or make packets |
//! | [`client`] | [`client::Engine`], one session; [`client::Manager`], a client with its namespaces, buffers and reconnection | whoever calls a server |
//! | [`server`] | [`server::Connection`] and [`server::Hub`]; [`server::Server`] composes them | async drivers: a task per connection, the hub behind a lock |
//!
//! # Features
//!
//! `std` (default) adds vectored chunks to the transmit queue and CPU detection for UTF-8 checks. Without it the crate is
//! `no_std` with `alloc`.
// Tests have the standard library, also those of the crate without it.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// Tests index and add freely; only code that peers can reach is held to the strict lints.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;
// What the fuzz targets share with the tests outside of this crate names it as those do.
#[cfg(any(test, fuzzing))]
extern crate self as sockeye_protocol;

mod ack;
pub mod client;
pub mod config;
pub mod encoded;
pub mod engine;
mod fifo;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
pub mod http;
pub mod key;
mod machines;
pub mod rng;
pub mod server;
mod small;
pub mod socket;
pub mod text;
pub mod time;
pub mod ws;

pub use config::{Config, Cors, Limits, Origins, QueuePolicy, Recovery, Transports};
pub use key::{ConnKey, NspId, RequestId, Sid, SocketKey, TransportId};
pub use machines::{Output, Route};
pub use rng::Seed;
pub use text::Text;
pub use time::Instant;
