//! What the options of a client make of its requests.

use std::{
    collections::BTreeSet,
    error::Error as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use serde_json::json;
use sockeye_driver::{
    BoxError,
    client::{Client, ClientError, Config, Error, ManagerEvent, Overrides, Transport, engine},
};

use crate::{
    counterpart::World,
    runtimes::{Runtime, connect, connects, disconnects, events, everywhere, mode, on, settled, within},
};

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Waits until an event and its answer have come, so that both methods of polling were used.
async fn talk(client: &Client) {
    let binary = Bytes::from_static(b"\x00\xff");
    let answer = client.emit_with_ack::<Bytes>("answer", &binary);
    assert_eq!(within("an answer", answer).await, Ok(binary));
}

#[test]
fn path_query_headers_and_stamps_are_on_each() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({ "path": "/chat/io" })).await;
        let change = |config: &mut Config| {
            config.path = "/chat/io".into();
            config.query = pairs(&[("who", "a b"), ("what", "é&="), ("EIO", "3")]);
            config.extra_headers = pairs(&[("X-Token", "abc"), ("Authorization", "Bearer x")]);
            (config.timestamp_requests, config.timestamp_param) = (Some(true), "stamp".into());
        };
        let client = connect(runtime.client(&world.url("/")).config(change), index).await;
        talk(&client).await;
        let requests = world.requests().await;
        let mut stamps = BTreeSet::new();
        for (place, request) in requests.iter().enumerate() {
            let given = ["who", "what", "EIO"].map(|name| request.get(name).unwrap());
            assert_eq!((&*request.path, given), ("/chat/io/", ["a%20b", "%C3%A9%26%3D", "4"]), "{request:?}");
            assert_eq!(["x-token", "authorization"].map(|name| request.header(name).unwrap()), ["abc", "Bearer x"]);
            assert_eq!(request.get("sid").is_some(), place > 0, "{request:?}");
            let transport = if request.is_websocket() { "websocket" } else { "polling" };
            assert_eq!(request.get("transport"), Some(transport));
            assert!(stamps.insert(request.get("stamp").unwrap()), "{request:?}");
        }
        let methods: BTreeSet<_> = requests.iter().map(|request| (&*request.method, request.is_websocket())).collect();
        let expected: &[_] = match index {
            0 => &[("GET", false), ("POST", false)],
            1 => &[("GET", true)],
            _ => &[("GET", false), ("GET", true), ("POST", false)],
        };
        assert!(methods.into_iter().eq(expected.iter().copied()));
    });
}

#[test]
fn a_query_of_the_url_a_path_without_slash_and_no_stamps() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({ "addTrailingSlash": false })).await;
        let change = |config: &mut Config| {
            config.add_trailing_slash = false;
            config.query = pairs(&[("replaced", "1")]);
            config.timestamp_requests = Some(false);
        };
        let client = connect(runtime.client(&world.url("/?a=1&b=x%2Fy")).config(change), index).await;
        talk(&client).await;
        for request in world.requests().await {
            let expected = format!("a=1&b=x%2Fy&EIO=4&transport={}", request.get("transport").unwrap());
            assert_eq!((&*request.path, request.query.starts_with(&expected)), ("/socket.io", true), "{request:?}");
            assert_eq!((request.get("t"), request.get("replaced")), (None, None));
        }
    });
}

#[test]
fn cookies_come_back_if_they_are_wanted() {
    everywhere(async |runtime: Runtime, index: usize| {
        for wanted in [true, false] {
            let world = World::new(json!({ "cookie": true })).await;
            let change = |config: &mut Config| {
                config.with_credentials = wanted;
                config.extra_headers = pairs(&[("Cookie", "mine=1")]);
            };
            let client = connect(runtime.client(&world.url("/")).config(change), index).await;
            talk(&client).await;
            for (place, request) in world.requests().await.iter().enumerate() {
                // The server sets one on polling only.
                let sid = request.get("sid").filter(|_| wanted && place > 0);
                let expected = sid.map_or_else(|| "mine=1".to_owned(), |sid| format!("mine=1; io={sid}"));
                assert_eq!(request.header("cookie"), Some(&*expected));
            }
        }
    });
}

#[test]
fn options_of_one_transport_and_base64_on_both() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let change = |config: &mut Config| {
            config.force_base64 = true;
            config.protocols = vec!["first".into(), "second".into()];
            config.extra_headers = pairs(&[("X-From", "both")]);
            let own = |name: &str| Some(pairs(&[("X-From", name)]));
            let websocket =
                Overrides { extra_headers: own("websocket"), timestamp_requests: Some(true), ..Overrides::default() };
            config.transport_options.websocket = websocket;
            config.transport_options.polling.extra_headers = own("polling");
        };
        let client = connect(runtime.client(&world.url("/")).config(change), index).await;
        talk(&client).await;
        let requests = world.requests().await;
        for (place, request) in requests.iter().enumerate() {
            let websocket = request.is_websocket();
            assert_eq!(request.header("x-from"), request.get("transport"));
            assert_eq!(request.get("b64").is_some(), websocket || place == 0, "{request:?}");
            assert_eq!(request.header("sec-websocket-protocol"), websocket.then_some("first, second"));
            assert!(request.get("t").is_some());
        }
        assert_eq!(requests.iter().any(|request| request.is_websocket()), index > 0);
    });
}

#[test]
fn transports_are_tried_in_turn_if_that_is_wanted() {
    on(&[2], async |runtime: Runtime, index: usize| {
        for (served, first, second) in [
            ("websocket", Transport::Polling, Transport::WebSocket),
            ("polling", Transport::WebSocket, Transport::Polling),
        ] {
            let world = World::new(json!({ "transports": [served] })).await;
            let builder = |all: bool| {
                runtime.client(&world.url("/")).config(mode(index)).config(move |config| {
                    config.transports = vec![first, second];
                    (config.try_all_transports, config.reconnection) = (all, false);
                })
            };
            let refused = within("a refusal", builder(false).connect()).await.unwrap_err();
            let ClientError::Connect(Error::Engine(error)) = &refused else { panic!("{refused:?}") };
            let text = if first == Transport::Polling { "xhr poll error" } else { "websocket error" };
            let cause = error.source().map(ToString::to_string);
            assert_eq!((error.to_string().as_str(), cause.as_deref()), (text, Some("status 400: Transport unknown")));
            let client = within("a connection", builder(true).connect()).await.unwrap();
            assert_eq!(client.transport(), Some(served));
            talk(&client).await;
        }
    });
}

#[test]
fn an_upgrade_is_remembered_or_not_even_tried() {
    on(&[2], async |runtime: Runtime, index: usize| {
        let mut world = World::new(json!({})).await;
        world.proxy().await;
        for remember in [true, false] {
            let change = |config: &mut Config| config.remember_upgrade = remember;
            let client = connect(runtime.client(&world.url("/")).config(change), index).await;
            world.requests().await;
            let again = connects(&client);
            world.tell("cut", json!({})).await;
            again.next().await;
            settled(&client, index).await;
            let requests = world.requests().await;
            assert_eq!((requests[0].get("sid"), requests[0].is_websocket()), (None, remember));
        }
        let builder = runtime.client(&world.url("/")).config(mode(index)).config(|config| config.upgrade = false);
        let client = builder.connect().await.unwrap();
        for _ in 0..10 {
            talk(&client).await;
        }
        assert_eq!(client.transport(), Some("polling"));
        assert!(world.requests().await.iter().all(|request| !request.is_websocket()));
    });
}

#[test]
fn payloads_are_as_large_as_the_server_takes_them() {
    on(&[0], async |runtime: Runtime, index: usize| {
        let world = World::new(json!({ "maxHttpBufferSize": 2_000 })).await;
        let builder = runtime.client(&world.url("/")).config(|config| config.reconnection = false);
        let client = connect(builder, index).await;
        let back = events(&client, "echo");
        let text = "ü".repeat(50);
        for number in 0..200 {
            client.emit("echo", &(number, &text, Bytes::from_static(b"binary"))).unwrap();
        }
        let expected = |number: u64| json!([number, text, { "binary": "62696e617279" }]);
        assert_eq!(back.take(200).await, (0..200).map(expected).collect::<Vec<_>>());
        let requests = world.requests().await;
        let sizes = requests.iter().filter_map(|request| request.header("content-length")?.parse::<usize>().ok());
        let sizes: Vec<usize> = sizes.collect();
        assert!(sizes.iter().all(|size| *size <= 2_000) && sizes.iter().any(|size| *size > 1_000), "{sizes:?}");
        // One packet cannot be cut.
        let (lost, errors) = (disconnects(&client), errors(&client));
        client.emit("echo", &"x".repeat(2_000)).unwrap();
        assert_eq!(lost.next().await, "transport error");
        assert_eq!(*errors.lock().unwrap(), [("xhr post error".to_owned(), Some("status 413".to_owned()))]);
    });
}

#[test]
fn a_request_has_a_time_if_that_is_wanted() {
    on(&[0], async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let change = |config: &mut Config| {
            (config.request_timeout, config.reconnection) = (Some(Duration::from_secs(2)), false);
        };
        let client = runtime.client(&world.url("/")).config(mode(index)).config(change).connect().await.unwrap();
        let (lost, errors) = (disconnects(&client), errors(&client));
        assert_eq!(lost.next().await, "transport error");
        assert_eq!(errors.lock().unwrap()[0].0, "xhr poll error");
    });
}

#[test]
fn the_handshake_is_redirected_on_polling_alone() {
    everywhere(async |runtime: Runtime, index: usize| {
        let world = World::new(json!({})).await;
        let mut away = World::empty();
        let to = world.url("");
        away.listen(json!({ "redirect": { "status": 307, "to": to } })).await;
        let builder = runtime.client(&away.url("/")).config(|config| {
            config.extra_headers = pairs(&[("Authorization", "Bearer x"), ("X-Token", "abc")]);
            config.reconnection = false;
        });
        if index == 1 {
            let refused = builder.config(mode(index)).connect().await.unwrap_err();
            let ClientError::Connect(Error::Engine(error)) = &refused else { panic!("{refused:?}") };
            let cause = error.source().unwrap().to_string();
            assert_eq!((error.to_string(), &*cause), ("websocket error".to_owned(), "status 307"));
            return;
        }
        let client = connect(builder, index).await;
        talk(&client).await;
        assert_eq!(away.requests().await.len(), 1);
        for request in world.requests().await {
            // Another port is another origin.
            assert_eq!((request.header("authorization"), request.header("x-token")), (None, Some("abc")));
        }
    });
}

#[test]
fn each_attempt_asks_for_its_headers() {
    everywhere(async |runtime: Runtime, index: usize| {
        let mut world = World::new(json!({})).await;
        world.proxy().await;
        world.tell("cut", json!({ "refused": 2 })).await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let builder = runtime.client(&world.url("/")).headers_with(move |request| {
            let mut asked = log.lock().unwrap();
            asked.push((request.attempt(), request.last_error().is_some()));
            let header = ("X-Attempt".to_owned(), request.attempt().to_string());
            let answer = if asked.len() == 3 { Err(BoxError::from("no headers")) } else { Ok(vec![header]) };
            std::future::ready(answer)
        });
        let client = connect(builder, index).await;
        talk(&client).await;
        assert_eq!(*asked.lock().unwrap(), [(0, false), (1, true), (2, true), (3, true)]);
        assert!(world.requests().await.iter().all(|request| request.header("x-attempt") == Some("3")));
    });
}

#[test]
fn a_server_of_socket_io_2_is_named() {
    everywhere(async |runtime: Runtime, index: usize| {
        let mut world = World::empty();
        world.listen(json!({ "old": true })).await;
        let builder = runtime.client(&world.url("/")).config(mode(index)).config(|config| config.reconnection = false);
        let refused = within("a refusal", builder.connect()).await.unwrap_err();
        let ClientError::Connect(error) = refused else { panic!("{refused:?}") };
        // On WebSocket its handshake looks like one of today, and its packets only half.
        match index {
            1 => assert_eq!(error, Error::OldServer),
            _ => assert_eq!(error, Error::Engine(engine::Error::OldProtocol)),
        }
    });
}

/// Errors and what is behind them.
type Errors = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// The errors of the connection from here on.
fn errors(client: &Client) -> Errors {
    let errors = Errors::default();
    let log = Arc::clone(&errors);
    client.manager().on(move |event| {
        if let ManagerEvent::Error(error) = event {
            log.lock().unwrap().push((error.to_string(), error.source().map(ToString::to_string)));
        }
    });
    errors
}
