//! The client's side: [`Manager`], a client of Socket.IO, and [`Engine`], one session of Engine.IO, usable alone.
//!
//! # A whole client
//!
//! A [`Manager`] has one connection and any number of namespaces on it. It asks its driver for HTTP requests and
//! WebSockets, takes what comes back, and makes the connection anew when it is lost. This program connects, says
//! something, and asks something; the server here is the documentation itself, on polling alone.
//!
//! ```
//! use bytes::Bytes;
//! use sockeye_protocol::{
//!     Instant, RequestId, Seed,
//!     client::{
//!         AckOutcome, Config, DisconnectReason, Endpoint, Event, Flags, Manager, Output, SocketOptions,
//!         http::{Request, Response},
//!     },
//!     socket::Payload,
//! };
//!
//! struct Driver {
//!     client: Manager,
//!     /// Requests that an HTTP library is busy with.
//!     requests: Vec<(RequestId, Request)>,
//!     log: Vec<String>,
//! }
//!
//! impl Driver {
//!     /// After every input, verb and tick: do what there is to do.
//!     fn drain(&mut self, now: Instant) {
//!         while let Some(output) = self.client.poll_output() {
//!             match output {
//!                 // Send it; then `handle_response`, or `handle_failure`.
//!                 Output::Request { id, request } => self.requests.push((id, *request)),
//!                 // Drop it.
//!                 Output::Cancel { id } => self.requests.retain(|(other, _)| *other != id),
//!                 // Connect and send it; then `handle_upgrade`, or `handle_open_failure`. After a 101 what arrives goes to
//!                 // `handle_bytes`.
//!                 Output::Open { .. } => {}
//!                 // Write what is left in `transmit`, close; then `handle_eof`.
//!                 Output::Shutdown { .. } => {}
//!                 // Close now.
//!                 Output::Abort { .. } => {}
//!                 Output::Event(event) => self.on_event(now, event),
//!                 _ => {}
//!             }
//!         }
//!         // Write what `self.client.transmit` holds for each of `self.client.unsent()`, then sleep until
//!         // `self.client.poll_timeout()` at the latest, and call `handle_timeout`.
//!     }
//!
//!     /// The application.
//!     fn on_event(&mut self, now: Instant, event: Event) {
//!         match event {
//!             // As whom? Asked for each namespace on each connection.
//!             Event::NeedAuth(request) => self.client.provide_auth(now, &request, Ok(None)).expect("asked just now"),
//!             Event::Connect { sid, .. } => self.log.push(format!("connected as {sid}")),
//!             Event::Packet { event, args, .. } => self.log.push(format!("{event}: {}", args.raw())),
//!             Event::Ack { outcome: AckOutcome::Reply(args), .. } => self.log.push(format!("answer: {}", args.raw())),
//!             Event::Disconnect { reason, .. } => assert_eq!(reason, DisconnectReason::TransportError),
//!             _ => {}
//!         }
//!     }
//!
//!     /// The server answers the GET that waits, and takes the POST that there is.
//!     fn answer(&mut self, now: Instant, body: &'static str) -> String {
//!         let head = Response { status: 200, headers: &[] };
//!         let mut posted = String::new();
//!         for (id, request) in std::mem::take(&mut self.requests) {
//!             let post = request.method == "POST";
//!             if post {
//!                 posted = String::from_utf8(request.body.to_vec()).expect("text");
//!             }
//!             self.client.handle_response(now, id, &head, Bytes::from(if post { "ok" } else { body }));
//!         }
//!         self.drain(now);
//!         posted
//!     }
//! }
//!
//! // The seed comes from the operating system in a real program.
//! let endpoint = Endpoint::parse("http://localhost:3000").expect("a URL");
//! let config = Config { upgrade: false, ..Config::default() };
//! let client = Manager::new(config, endpoint, &Seed::for_tests(1));
//! let mut driver = Driver { client, requests: Vec::new(), log: Vec::new() };
//! let now = Instant::ZERO;
//!
//! let socket = driver.client.add_socket("/", SocketOptions::default());
//! driver.client.connect(now, socket);
//! // An event may be emitted at any time: it waits for the connection. 10: the attachments that it may have.
//! let hello = Payload::event("hello", &("world", 1), 10).expect("serialisable");
//! driver.client.emit(now, socket, &hello, Flags::default()).expect("there is room");
//! driver.drain(now);
//!
//! driver.answer(now, r#"0{"sid":"secret","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#);
//! assert_eq!(driver.answer(now, r#"40{"sid":"public"}"#), "40");
//! assert_eq!(driver.answer(now, "6"), r#"42["hello","world",1]"#);
//!
//! let question = Payload::event("question", &(), 10).expect("serialisable");
//! driver.client.emit_with_ack(now, socket, &question, None, Flags::default()).expect("connected");
//! driver.drain(now);
//! assert_eq!(driver.answer(now, "430[\"yes\"]\u{1e}42[\"news\",2]"), r#"420["question"]"#);
//! assert_eq!(driver.log, ["connected as public", r#"answer: "yes""#, "news: 2"]);
//!
//! // The server goes away. The next attempt is made in a second or so, and so on until `close`.
//! let head = Response { status: 502, headers: &[] };
//! for (id, _) in std::mem::take(&mut driver.requests) {
//!     driver.client.handle_response(now, id, &head, Bytes::new());
//! }
//! driver.drain(now);
//! let next = driver.client.poll_timeout().expect("it waits for the next attempt");
//! assert_eq!(driver.client.waits_until(), Some(next));
//! driver.client.handle_timeout(next);
//! driver.drain(next);
//! assert_eq!(driver.requests.len(), 1);
//! driver.client.close(next);
//! driver.drain(next);
//! assert!(driver.client.is_drained());
//! ```
//!
//! # Where it differs from JavaScript
//!
//! Names, defaults, texts and the order of events are those of `socket.io-client`, its defects excepted:
//!
//! - A [volatile](Flags::volatile) event is dropped whenever it cannot leave at once, after a lost connection too.
//! - Every acknowledgement ends: that of an event that was sent, with its connection, whether it has a timeout or not.
//! - What waits to be sent is bounded ([`Offline`]).
//! - [`Event::Disconnect`] comes for a namespace that was connected, and for no other: one that was not gets an
//!   [`Event::ConnectError`].
//! - A namespace that is left before the server has answered, and joined again, waits for that answer first: servers close
//!   the connection upon a second CONNECT.
//! - CONNECT has a deadline ([`Config::connect_timeout`]).
//! - All tries of an event that is [sent again](SocketOptions::retries) have one id, so that a late acknowledgement counts,
//!   and a lost connection counts as a try.

mod backoff;
mod config;
mod cookies;
mod endpoint;
pub mod engine;
mod error;
mod event;
pub mod http;
mod manager;
mod socket;
mod stats;

pub use config::{Config, Limits, Overrides, Transport, TransportOptions};
pub use cookies::Cookies;
pub use endpoint::{Endpoint, RedirectError, UrlError};
pub use engine::Engine;
pub use error::{EmitError, Error, ProvideError, Refusal};
pub use event::{AckToken, AuthRequest, DisconnectReason, Event, HeadersRequest, SocketId};
pub use manager::{Flags, Manager, Output};
pub use socket::{Delivery, Offline, SocketOptions};
pub use stats::Stats;

pub use crate::ack::{AckId, AckOutcome};
