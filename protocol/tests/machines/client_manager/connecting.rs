//! Connecting and leaving: namespaces, what is told of it, auth and headers.

use sockeye_protocol::{
    Config as ServerConfig, Instant, Seed,
    client::{
        AuthRequest, Config, Delivery, DisconnectReason, Endpoint, Error, Event, Flags, Limits, Manager, Output,
        Overrides, SocketId, SocketOptions, Transport, TransportOptions, engine,
    },
    server::{ConnectError, Event as ServerEvent},
    socket::Payload,
};

use crate::{
    client_manager::support::{connect_request, connected, event, pair, received, short},
    pair::{Fate, Pair, millis, secs},
};

#[test]
fn it_connects_and_talks_both_ways() {
    let mut pair = pair();
    let socket = pair.client.add_socket("/", SocketOptions::default());
    assert_eq!(pair.client.add_socket("", SocketOptions::default()), socket);
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["open", "connect"]);
    let (server, sid, _) = pair.accepted.pop_front().unwrap();
    assert_eq!(pair.client.sid(socket).map(ToString::to_string), Some(sid.to_string()));

    assert_eq!(pair.client.emit(pair.now, socket, &event("up", 1), Flags::default()), Ok(Delivery::Sent));
    pair.server.emit(pair.now, server, &event("down", 2)).unwrap();
    pair.advance(secs(1));
    assert_eq!(received(&mut pair), [("up".into(), 1)]);
    assert_eq!(short(&pair.take_events()), ["packet down 2"]);

    // Acknowledgements, both ways.
    let (id, _) = pair.client.emit_with_ack(pair.now, socket, &event("ask", 3), None, Flags::default()).unwrap();
    pair.server.emit_with_ack(pair.now, server, &event("ask", 4), secs(5)).unwrap();
    pair.advance(secs(1));
    assert_eq!(pair.client.stats().acks, 1);
    let answer = Payload::ack(&("yes", 5), 10).unwrap();
    let Some(ServerEvent::Packet { ack: Some(token), .. }) = pair.server_events.pop_front() else { panic!() };
    pair.server.reply(pair.now, &token, &answer).unwrap();
    let Some(Event::Packet { ack: Some(token), .. }) = pair.take_events().pop() else { panic!() };
    pair.client.reply(pair.now, &token, &answer).unwrap();
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), [format!("ack {id} \"yes\",5")]);
    assert!(matches!(pair.server_events.pop_front(), Some(ServerEvent::Ack { .. })));
}

#[test]
fn namespaces_share_one_connection() {
    let mut pair = pair();
    pair.add_namespace("/a");
    let sockets = ["/", "a", "/a", "/missing"].map(|name| pair.client.add_socket(name, SocketOptions::default()));
    assert_eq!(sockets[1], sockets[2]);
    for socket in sockets {
        pair.client.connect(pair.now, socket);
    }
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["open", "connect", "connect", "connect_error Invalid namespace"]);
    assert_eq!(sockets.map(|socket| pair.client.is_active(socket)), [true, true, true, false]);
    assert_eq!((pair.client.stats().engines, pair.server.stats().connections), (1, 1));
    // The first to leave closes nothing, the last one does.
    pair.client.disconnect(pair.now, sockets[0]);
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["disconnect io client disconnect"]);
    pair.client.disconnect(pair.now, sockets[1]);
    pair.advance(secs(40));
    assert_eq!(short(&pair.take_events()), ["disconnect io client disconnect", "close forced close"]);
    assert!(pair.client.is_drained());
    assert_eq!(pair.server.stats().connections, 0);
}

#[test]
fn i38_a_socket_may_leave_and_come_back_in_one_tick() {
    let mut pair = pair();
    pair.add_namespace("/b");
    let sockets = ["/", "/b"].map(|name| pair.client.add_socket(name, SocketOptions::default()));
    for socket in sockets {
        pair.client.connect(pair.now, socket);
    }
    pair.advance(secs(1));
    pair.take_events();
    pair.accepted.clear();
    pair.client.disconnect(pair.now, sockets[1]);
    pair.client.connect(pair.now, sockets[1]);
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["disconnect io client disconnect", "connect"]);
    assert_eq!(pair.accepted.len(), 1);
    // The same for the only one: the connection goes with it.
    pair.client.remove(pair.now, sockets[1]);
    pair.client.disconnect(pair.now, sockets[0]);
    pair.client.connect(pair.now, sockets[0]);
    pair.advance(secs(10));
    assert_eq!(
        short(&pair.take_events()),
        ["disconnect io client disconnect", "disconnect io client disconnect", "close forced close", "open", "connect"]
    );
    assert_eq!((pair.client.stats().engines, pair.server.stats().connections), (1, 1));
}

/// A CONNECT that is on its way is answered before the next one is sent: two would end the connection.
#[test]
fn a_socket_may_leave_and_come_back_before_it_is_connected() {
    let mut pair = pair();
    pair.add_namespace("/b");
    pair.auto_accept = false;
    let sockets = ["/", "/b"].map(|name| pair.client.add_socket(name, SocketOptions::default()));
    for socket in sockets {
        pair.client.connect(pair.now, socket);
    }
    pair.advance(secs(1));
    let answer = |pair: &mut Pair, accept: &[bool]| {
        pair.advance(secs(1));
        for accept in accept {
            let request = connect_request(pair);
            if *accept {
                pair.server.accept(pair.now, request).unwrap();
            } else {
                pair.server.reject(pair.now, request, &ConnectError::new("no").unwrap()).unwrap();
            }
        }
        pair.advance(secs(1));
        short(&pair.take_events())
    };
    pair.client.disconnect(pair.now, sockets[1]);
    pair.client.connect(pair.now, sockets[1]);
    assert_eq!(answer(&mut pair, &[true, true]), ["open", "connect"]);
    // The first was left at once, and the second is asked for.
    let left = pair.server_events.iter().find(|event| !matches!(event, ServerEvent::Upgrade(_) | ServerEvent::Room(_)));
    assert!(matches!(left, Some(ServerEvent::Disconnecting { .. })), "{left:?}");
    pair.server_events.retain(|event| matches!(event, ServerEvent::Connect(_)));
    // Another namespace takes the place of the one that was given up, and it is refused.
    pair.client.remove(pair.now, sockets[1]);
    let again = pair.client.add_socket("/b", SocketOptions::default());
    pair.client.connect(pair.now, again);
    assert_eq!(pair.client.stats().left_namespaces, 0);
    assert_eq!(answer(&mut pair, &[false]), [""; 0]);
    assert_eq!(answer(&mut pair, &[true]), ["connect"]);
    assert_eq!(pair.server.stats().connections, 1);
}

#[test]
fn the_server_disconnects_one_or_all() {
    let (mut pair, socket, server) = connected();
    let (id, _) = pair.client.emit_with_ack(pair.now, socket, &event("ask", 1), None, Flags::default()).unwrap();
    pair.server.disconnect(pair.now, server, false);
    pair.advance(secs(1));
    assert_eq!(
        short(&pair.take_events()),
        ["disconnect io server disconnect".into(), format!("ack {id} Disconnected"), "close forced close".into()]
    );
    assert!(!pair.client.is_active(socket) && pair.client.is_closed());
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["open", "connect"]);
}

/// What JavaScript gives a `disconnect` listener beside the reason; where a connection fails, the reason is the message.
#[test]
fn a_disconnect_has_details() {
    let (mut pair, socket, _) = connected();
    let other = pair.client.add_socket("/b", SocketOptions::default());
    pair.add_namespace("/b");
    pair.auto_accept = false;
    pair.client.connect(pair.now, other);
    pair.advance(secs(1));
    pair.server.shutdown(pair.now);
    pair.advance(secs(1));
    let events = pair.take_events();
    let details = events.iter().find_map(|event| match event {
        Event::Disconnect { reason, error, .. } => Some((*reason, error.clone())),
        _ => None,
    });
    let frame = engine::CloseFrame { code: 1001, reason: "server shutting down".into() };
    let error = engine::Error::Closed(engine::ClosedBy::Frame(Some(frame)));
    assert_eq!(error.to_string(), "websocket connection closed");
    assert_eq!(details, Some((DisconnectReason::TransportClose, Some(Error::Engine(error)))));
    let closed = Error::Closed(DisconnectReason::TransportClose);
    assert!(
        events.iter().any(
            |event| matches!(event, Event::ConnectError { socket, error } if *socket == other && *error == closed)
        )
    );
    assert_eq!(pair.client.last_error(socket), Some(&closed));
}

/// As in JavaScript: a namespace that has left and come back is the last.
#[test]
fn namespaces_come_and_go_in_the_order_in_which_they_were_connected() {
    let mut pair = pair();
    let names = ["/", "/a", "/b"];
    let sockets = names.map(|name| {
        pair.add_namespace(name);
        pair.client.add_socket(name, SocketOptions::default())
    });
    for index in [2, 0, 1] {
        pair.client.connect(pair.now, sockets[index]);
    }
    pair.advance(secs(1));
    pair.client.disconnect(pair.now, sockets[0]);
    pair.client.connect(pair.now, sockets[0]);
    // It is connected, or about to be, already.
    pair.client.connect(pair.now, sockets[2]);
    pair.advance(secs(1));
    pair.take_events();
    let order = [sockets[2], sockets[1], sockets[0]];
    pair.restart();
    pair.faults.outage = Some(Fate::Refused);
    pair.advance(secs(10));
    pair.faults.outage = None;
    pair.advance(secs(10));
    let told: Vec<_> = pair
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Disconnect { socket, .. } => Some(("lost", socket)),
            Event::ConnectError { socket, .. } => Some(("refused", socket)),
            Event::Connect { socket, .. } => Some(("connected", socket)),
            _ => None,
        })
        .collect();
    assert!(told.len() >= 9, "{told:?}");
    for round in told.chunks(3) {
        assert_eq!(round, order.map(|socket| (round[0].0, socket)));
    }
}

#[test]
fn auth_is_asked_for_each_connection_with_the_last_error() {
    let mut pair = pair();
    pair.auto_auth = false;
    pair.auto_accept = false;
    let socket = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    let auth = |pair: &mut Pair| {
        let found = pair.take_events().into_iter().find_map(|event| match event {
            Event::NeedAuth(request) => Some(request),
            _ => None,
        });
        found.expect("asked")
    };
    let first = auth(&mut pair);
    assert_eq!((first.socket(), &**first.namespace(), first.last_error()), (socket, "/", None));
    let wrong = Payload::data(&[1]).unwrap();
    assert!(pair.client.provide_auth(pair.now, &first, Ok(Some(&wrong))).is_err());
    let token = Payload::data(&std::collections::BTreeMap::from([("token", "old")])).unwrap();
    pair.client.provide_auth(pair.now, &first, Ok(Some(&token))).unwrap();
    assert!(pair.client.provide_auth(pair.now, &first, Ok(None)).is_err(), "it was answered");
    pair.advance(secs(1));
    let request = connect_request(&mut pair);
    assert_eq!(request.auth().map(|auth| auth.raw()), Some(r#"{"token":"old"}"#));
    let refusal = ConnectError::with_data("expired", &1).unwrap();
    pair.server.reject(pair.now, request, &refusal).unwrap();
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["connect_error expired", "close forced close"]);
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    let second = auth(&mut pair);
    assert!(matches!(second.last_error(), Some(Error::Refused(refusal)) if &*refusal.message == "expired"));
    // A connection that is gone waits for no answer.
    pair.restart();
    pair.advance(secs(10));
    assert!(pair.client.provide_auth(pair.now, &second, Ok(None)).is_err());
    let third = auth(&mut pair);
    pair.client.provide_auth(pair.now, &third, Err("no token".into())).unwrap();
    assert_eq!(short(&pair.take_events()), ["connect_error no token"]);
    assert!(pair.client.is_active(socket) && pair.client.is_open());
    // It is asked again, and told why.
    pair.advance(secs(2));
    let fourth = auth(&mut pair);
    assert_eq!(fourth.last_error(), Some(&Error::Provider("no token".into())));
    pair.auto_accept = true;
    pair.client.provide_auth(pair.now, &fourth, Ok(None)).unwrap();
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["connect"]);
}

#[test]
fn headers_are_asked_for_each_attempt() {
    let config = Config { ask_headers: true, ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig::default(), 1);
    let socket = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    let Some(Event::NeedHeaders(first)) = pair.take_events().pop() else { panic!() };
    assert_eq!((first.attempt(), first.last_error()), (0, None));
    pair.client.provide_headers(pair.now, &first, Err("no token".into())).unwrap();
    assert_eq!(short(&pair.take_events()), ["connect_error no token", "error no token"]);
    pair.advance(secs(2));
    let mut events = pair.take_events();
    let Some(Event::NeedHeaders(second)) = events.pop() else { panic!() };
    assert!(pair.client.provide_headers(pair.now, &first, Ok(Vec::new())).is_err());
    assert_eq!((second.attempt(), second.last_error()), (1, Some(&Error::Provider("no token".into()))));
    let headers = vec![("Authorization".into(), "Bearer 1".into())];
    pair.client.provide_headers(pair.now, &second, Ok(headers)).unwrap();
    pair.advance(secs(1));
    assert_eq!(short(&pair.take_events()), ["open", "reconnect 1", "connect"]);
}

/// A client whose namespace of this name does not know as whom; `/other` is connected.
fn without_token(name: &str, config: Config) -> (Pair, SocketId) {
    let mut pair = Pair::new(Config { randomization_factor: 0.0, ..config }, ServerConfig::default(), 1);
    let other = (name != "/").then(|| pair.client.add_socket("/", SocketOptions::default()));
    if let Some(other) = other {
        pair.client.connect(pair.now, other);
        pair.advance(secs(1));
        assert_eq!(short(&pair.take_events()), ["open", "connect"]);
    }
    pair.auto_auth = false;
    let socket = pair.client.add_socket(name, SocketOptions::default());
    pair.client.connect(pair.now, socket);
    pair.advance(secs(1));
    (pair, socket)
}

fn question(pair: &mut Pair) -> Option<AuthRequest> {
    pair.take_events().into_iter().find_map(|event| match event {
        Event::NeedAuth(request) => Some(request),
        _ => None,
    })
}

/// The delays are those between attempts to connect; the connection stays, also for the others.
#[test]
fn who_cannot_say_as_whom_is_asked_again() {
    for name in ["/", "/admin"] {
        let (mut pair, socket) = without_token(name, Config::default());
        for delay in [1, 2, 4, 5, 5] {
            let request = question(&mut pair).expect("asked");
            pair.client.provide_auth(pair.now, &request, Err("no token".into())).unwrap();
            assert_eq!(short(&pair.take_events()), ["connect_error no token"]);
            assert!(pair.client.is_active(socket) && pair.client.is_open());
            pair.advance(secs(delay) - millis(1));
            assert!(question(&mut pair).is_none());
            pair.advance(millis(1));
        }
        let request = question(&mut pair).expect("asked");
        pair.client.provide_auth(pair.now, &request, Ok(None)).unwrap();
        pair.advance(secs(1));
        assert_eq!(pair.client.is_connected(socket), name == "/", "the server has no other");
    }
}

#[test]
fn who_cannot_say_as_whom_is_asked_as_often_as_connections_are_tried() {
    for (reconnection, attempts, questions) in [(false, None, 1), (true, Some(2), 3), (false, Some(2), 1)] {
        for name in ["/", "/admin"] {
            let config = Config { reconnection, reconnection_attempts: attempts, ..Config::default() };
            let (mut pair, socket) = without_token(name, config);
            for left in (0..questions).rev() {
                let request = question(&mut pair).expect("asked");
                pair.client.provide_auth(pair.now, &request, Err("no token".into())).unwrap();
                assert_eq!(pair.client.is_active(socket), left > 0);
                if left > 0 {
                    pair.advance(secs(5));
                }
            }
            let told = ["connect_error no token", "close forced close"];
            assert_eq!(short(&pair.take_events()), told[..if name == "/" { 2 } else { 1 }]);
            assert_eq!(pair.client.is_open(), name != "/");
            pair.advance(secs(10));
            assert!(question(&mut pair).is_none());
            // Told to connect, it is tried as often again.
            pair.client.connect(pair.now, socket);
            pair.advance(secs(1));
            let request = question(&mut pair).expect("asked");
            pair.client.provide_auth(pair.now, &request, Err("no token".into())).unwrap();
            assert_eq!(pair.client.is_active(socket), questions > 1);
        }
    }
}

/// The application does not want to wait, or not any more; or the connection is gone.
#[test]
fn a_wait_for_the_next_question_ends() {
    let (mut pair, socket) = without_token("/", Config::default());
    let fail = |pair: &mut Pair| {
        let request = question(pair).expect("asked");
        pair.client.provide_auth(pair.now, &request, Err("no token".into())).unwrap();
        assert!(question(pair).is_none());
    };
    fail(&mut pair);
    pair.client.connect(pair.now, socket);
    fail(&mut pair);
    // The new connection asks anew.
    pair.restart();
    pair.advance(secs(10));
    fail(&mut pair);
    pair.client.disconnect(pair.now, socket);
    assert!(!pair.client.is_active(socket) && pair.client.is_closed());
    assert_eq!(short(&pair.take_events()), ["close forced close"]);
    pair.advance(secs(60));
    assert!(question(&mut pair).is_none() && pair.client.poll_timeout().is_none());
}

/// Each transport's requests have them, whether it has headers of its own or not.
#[test]
fn headers_that_are_asked_for_go_to_a_transport_with_its_own() {
    let list =
        |headers: &[(&str, &str)]| headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let own = |name: &str| Overrides {
        extra_headers: Some(list(&[("authorization", "Bearer 0"), ("X-Own", name)])),
        ..Overrides::default()
    };
    for (polling, websocket) in [(true, true), (true, false), (false, true), (false, false)] {
        let transport_options = TransportOptions {
            polling: if polling { own("polling") } else { Overrides::default() },
            websocket: if websocket { own("websocket") } else { Overrides::default() },
        };
        let extra_headers = list(&[("Authorization", "Bearer 0"), ("X-Own", "none")]);
        let config = Config { ask_headers: true, transport_options, extra_headers, ..Config::default() };
        for (transport, name, is_own) in
            [(Transport::Polling, "polling", polling), (Transport::WebSocket, "websocket", websocket)]
        {
            let config = Config { transports: vec![transport], ..config.clone() };
            let mut client = Manager::new(config, Endpoint::parse("http://host/").unwrap(), &Seed::for_tests(1));
            let socket = client.add_socket("/", SocketOptions::default());
            client.connect(Instant::ZERO, socket);
            let Some(Output::Event(Event::NeedHeaders(question))) = client.poll_output() else { panic!() };
            client.provide_headers(Instant::ZERO, &question, Ok(list(&[("Authorization", "Bearer 1")]))).unwrap();
            let request = match client.poll_output() {
                Some(Output::Request { request, .. } | Output::Open { request, .. }) => request,
                other => panic!("{other:?}"),
            };
            let named =
                |name: &str| request.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count();
            assert_eq!((request.header("authorization"), named("authorization")), (Some("Bearer 1"), 1), "{name}");
            assert_eq!(request.header("x-own"), Some(if is_own { name } else { "none" }));
        }
    }
}

/// A server that never answers CONNECT holds nobody for ever, and one namespace that waits disturbs no other.
/// Namespaces that were removed are remembered up to a number: whether the server has answered for them or not.
#[test]
fn left_namespaces_are_bounded() {
    for answers in [true, false] {
        let limits = Limits { left_namespaces: 3, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let mut pair = Pair::new(config, ServerConfig::default(), 1);
        let (main, kept) =
            (pair.client.add_socket("/", SocketOptions::default()), |pair: &Pair| pair.client.stats().left_namespaces);
        pair.client.connect(pair.now, main);
        pair.advance(secs(1));
        pair.auto_accept = answers;
        for number in 1..=4 {
            let name = format!("/{number}");
            pair.add_namespace(&name);
            let socket = pair.client.add_socket(&name, SocketOptions::default());
            pair.client.connect(pair.now, socket);
            pair.advance(secs(1));
            assert_eq!(pair.client.is_connected(socket), answers);
            pair.client.remove(pair.now, socket);
            assert_eq!(kept(&pair), number.min(3));
        }
        // The first is not known any more, the last one is.
        for (name, left) in [("/1", 3), ("/4", 2)] {
            pair.client.add_socket(name, SocketOptions::default());
            assert_eq!(kept(&pair), left, "{name}");
        }
        pair.client.close(pair.now);
        assert_eq!(kept(&pair), 0);
    }
}

#[test]
fn a_connect_without_answer_is_told_and_given_up() {
    let config = Config { connect_timeout: Some(secs(10)), ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig { connect_timeout: secs(3_600), ..ServerConfig::default() }, 1);
    pair.add_namespace("/slow");
    pair.auto_accept = false;
    let socket = pair.client.add_socket("/slow", SocketOptions::default());
    pair.client.connect(pair.now, socket);
    pair.advance(millis(10_500));
    let events = short(&pair.take_events());
    assert!(events[1].starts_with("error the server has not connected the namespace within 10s"), "{events:?}");
    assert!(events[2].starts_with("connect_error"), "{events:?}");
    assert_eq!(events[3], "close transport error");
    assert!(pair.client.waits_until().is_some());
    // Now another namespace is connected.
    let root = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, root);
    pair.server_events.clear();
    pair.advance(secs(2));
    for event in std::mem::take(&mut pair.server_events) {
        if let ServerEvent::Connect(request) = event
            && *request.namespace() == "/"
        {
            pair.server.accept(pair.now, request).unwrap();
        }
    }
    pair.advance(secs(1));
    pair.take_events();
    pair.advance(secs(25));
    let events = short(&pair.take_events());
    let told = events.iter().filter(|line| line.starts_with("connect_error the server")).count();
    assert_eq!(told, 2, "{events:?}");
    assert!(pair.client.is_connected(root) && pair.client.is_active(socket));
    assert_eq!(pair.now.saturating_duration_since(Instant::ZERO), millis(38_500));
}

/// Who left before the server answered, and comes back, waits for that answer from then on.
#[test]
fn a_namespace_that_is_asked_for_again_has_its_time_anew() {
    let config = Config { connect_timeout: Some(secs(10)), ..Config::default() };
    let mut pair = Pair::new(config, ServerConfig::default(), 1);
    pair.add_namespace("/slow");
    let root = pair.client.add_socket("/", SocketOptions::default());
    pair.client.connect(pair.now, root);
    pair.advance(secs(1));
    pair.auto_accept = false;
    for removed in [false, true] {
        let slow = pair.client.add_socket("/slow", SocketOptions::default());
        pair.client.connect(pair.now, slow);
        pair.advance(secs(1));
        if removed {
            pair.client.remove(pair.now, slow)
        } else {
            pair.client.disconnect(pair.now, slow)
        }
        pair.advance(secs(100));
        let slow = pair.client.add_socket("/slow", SocketOptions::default());
        pair.client.connect(pair.now, slow);
        pair.take_events();
        pair.advance(millis(9_999));
        assert_eq!(short(&pair.take_events()), [""; 0], "removed: {removed}");
        pair.advance(millis(1));
        assert_eq!(short(&pair.take_events()), ["connect_error the server has not connected the namespace within 10s"]);
        pair.server_events.clear();
        pair.client.remove(pair.now, slow);
    }
}

#[test]
fn reasons_have_the_texts_of_javascript() {
    use DisconnectReason::*;
    let reasons = [
        (ServerDisconnect, "io server disconnect", false),
        (ClientDisconnect, "io client disconnect", false),
        (PingTimeout, "ping timeout", true),
        (TransportClose, "transport close", true),
        (TransportError, "transport error", true),
        (ParseError, "parse error", true),
        (ForcedClose, "forced close", false),
    ];
    for (reason, text, reconnects) in reasons {
        assert_eq!((reason.to_string().as_str(), reason.reconnects()), (text, reconnects));
    }
}
