//! Providers, connectors, servers and handlers that do something wrong.

use std::{
    future::{Ready, pending},
    sync::Arc,
};

use futures_util::FutureExt as _;
use sockeye_driver::{
    Args, BoxFuture, EmitError, Stream,
    client::{Address, ClientBuilder, ClientError, Connector, Error, Failure, ManagerEvent, Transport},
};
use tungstenite::Message;

use crate::{
    net::{Net, OPEN, request},
    support::{Counted, Log, note, rig},
};

/// What the last argument of an unanswered question keeps: nothing but the provider.
#[test]
fn a_provider_that_hangs_keeps_no_client() {
    rig(|rig| {
        for drops_future in [false, true] {
            let net = Net::default();
            let asked = Counted::default();
            let asking = asked.clone();
            let builder = net.client(&rig).auth_with(move |_| {
                let asked = asking.make();
                async move {
                    let _asked = asked;
                    pending::<Result<(), EmitError>>().await
                }
            });
            if drops_future {
                let mut connecting = Box::pin(builder.connect());
                assert!((&mut connecting).now_or_never().is_none());
                let mut peer = net.accept(&rig);
                rig.until("the question", || asked.left() == 1);
                drop(connecting);
                assert!(matches!(peer.read(), Message::Close(_)));
                peer.end.end();
            } else {
                let client = builder.start().unwrap();
                let peer = net.accept(&rig);
                rig.until("the question", || asked.left() == 1);
                // Asked anew, the question of before is forgotten.
                peer.end.reset();
                let mut peer = net.accept(&rig);
                rig.run();
                assert_eq!(asked.left(), 1);
                drop(client);
                assert!(matches!(peer.read(), Message::Close(_)));
                peer.end.end();
            }
            rig.until("nothing is left", || (asked.left(), rig.executor.tasks()) == (0, 0));
        }
    });
}

#[test]
fn whatever_a_provider_does_wrong_is_why_there_is_no_connection() {
    rig(|rig| {
        let net = Net::default();
        let text = net.client(&rig).auth(&"token").map(drop);
        assert_eq!(text.unwrap_err().to_string(), "auth is no object");
        assert!(net.client(&rig).auth(&None::<()>).is_ok());

        let once = || net.client(&rig).config(|config| config.reconnection = false);
        let no_object = once().auth_with(async |_| Ok::<_, EmitError>("token"));
        let panics_late = once().auth_with(async |_| -> Result<(), EmitError> { panic!("late") });
        let panics = once().auth_with(|_| -> Ready<Result<(), EmitError>> { panic!("at once") });
        let words = ["auth is no object", "panicked: late", "panicked: at once"];
        for (builder, words) in [no_object, panics_late, panics].into_iter().zip(words) {
            let connecting = rig.start(builder.connect());
            let _peer = net.accept(&rig);
            rig.until("the end", || connecting.is_ready());
            let Some(Err(ClientError::Connect(error))) = connecting.take() else { panic!("{words}") };
            assert_eq!(error, Error::Provider(words.into()));
        }
        let headers = net.client(&rig).config(|config| config.reconnection = false);
        let connecting =
            rig.start(headers.headers_with(|_| -> Ready<Result<_, EmitError>> { panic!("at once") }).connect());
        rig.until("the end", || connecting.is_ready());
        let Some(Err(ClientError::Connect(error))) = connecting.take() else { panic!() };
        assert_eq!(error, Error::Provider("panicked: at once".into()));
        // And a connector that panics.
        let builder = ClientBuilder::new("http://test", Arc::clone(&rig.runtime), Arc::new(Bomb));
        let connecting = rig.start(builder.config(|config| config.reconnection = false).connect());
        rig.until("the end", || connecting.is_ready());
        let Some(Err(ClientError::Connect(error))) = connecting.take() else { panic!() };
        assert_eq!(error.to_string(), "xhr poll error");
    });
}

struct Bomb;

impl Connector for Bomb {
    fn connect(&self, _: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> {
        panic!("it went off")
    }
}

#[test]
fn the_head_of_a_response_has_bounds() {
    // Headers, and bytes of all of it.
    for (headers, bytes, taken) in [(3, 200, true), (4, 200, false), (3, 10_000, true), (3, 10_001, false)] {
        rig(move |rig| {
            let net = Net::default();
            let builder = net.client(&rig).config(|config| {
                config.transports = vec![Transport::Polling];
                (config.limits.header_count, config.limits.header_bytes) = (3, 10_000);
                config.reconnection = false;
            });
            let client = builder.auto_connect(false).start().unwrap();
            let log = Log::default();
            let told = log.clone();
            client.manager().on(move |event| match event {
                ManagerEvent::Open => told.add("open"),
                ManagerEvent::Error(error) => told.add(error.to_string()),
                _ => {}
            });
            client.open();
            let end = net.end(&rig);
            request(&rig, &end);
            let mut head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", OPEN.len());
            for _ in 2..headers {
                head.push_str("a: 1\r\n");
            }
            let padding = bytes - head.len() - "b: \r\n\r\n".len();
            let head = format!("{head}b: {}\r\n\r\n", "x".repeat(padding));
            assert_eq!(head.len(), bytes);
            let mut rest = head + OPEN;
            while !rest.is_empty() {
                let part = rest.split_off(rest.len().min(1_000));
                end.write(std::mem::replace(&mut rest, part).as_bytes());
                rig.run();
            }
            assert_eq!(log.take(), [if taken { "open" } else { "xhr poll error" }], "{headers} in {bytes} bytes");
        });
    }
}

#[test]
fn whatever_a_handler_does_wrong_costs_nothing_but_itself() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let log = Log::default();
        let faults = log.clone();
        client.on_error(move |error| faults.add(format!("{:?}: {}", error.event(), error.fault())));
        client.on("e", async |Args(_): Args<u32>| ());
        client.on("e", async || Err::<(), _>("an error"));
        client.on("e", async || -> () { panic!("a panic") });
        client.on_any(|_| panic!("of a catch-all"));
        client.on("e", note(&log, "the last one"));
        client.emit_then("ask", &(), |_: Result<(), _>| panic!("of a callback")).unwrap();
        let mut peer = net.join(&rig);
        assert_eq!(peer.message(), "420[\"ask\"]");
        peer.send("42[\"e\",\"no number\"]");
        peer.send("430[]");
        rig.run();
        let lines = log.take();
        let expected = [
            "panicked: of a catch-all",
            "arguments: ",
            "an error",
            "panicked: a panic",
            "the last one",
            "panicked: of a callback",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        for (line, part) in lines.iter().zip(expected) {
            assert!(line.contains(part), "{lines:?}");
        }
        assert!(client.is_connected());
    });
}
