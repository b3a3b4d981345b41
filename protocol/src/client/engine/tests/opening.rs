//! From the first request to the handshake, and all that can go wrong there.

use alloc::{boxed::Box, string::ToString as _, vec, vec::Vec};
use core::{error::Error as _, time::Duration};

use super::*;
use crate::client::{
    Limits, Overrides, RedirectError, TransportOptions,
    engine::{Cause, HandshakeError, Refusal, UpgradeError},
};

type Headers<'a> = &'a [(&'a str, &'a [u8])];

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.header(name)
}

#[test]
fn the_first_request_of_each_transport() {
    let mut script = Script::new(plain());
    let (_, request) = script.request("GET");
    assert_eq!((request.host.as_str(), request.port, request.secure), ("host", 3000, false));
    assert_eq!(request.target, "/e/?EIO=4&transport=polling");
    assert_eq!(request.headers, [("Host".into(), "host:3000".into()), ("Accept".into(), "*/*".into())]);
    assert_eq!((request.body_limit, request.upgrade), (100 * 1024 * 1024, false));
    script.nothing();
    assert_eq!(script.engine.poll_timeout(), Some(at(20_000)));

    let mut script = Script::at(
        "wss://[::1]/",
        Config { protocols: vec!["a".into(), "b c".into(), "d".into()], ..websocket_only() },
    );
    let (_, request) = script.open();
    assert_eq!((request.method, request.host.as_str(), request.port), ("GET", "::1", 443));
    assert!(request.secure && request.upgrade);
    assert_eq!(request.target, "/e/?EIO=4&transport=websocket");
    assert_eq!(header(&request, "host"), Some("[::1]"));
    assert_eq!(header(&request, "connection"), Some("Upgrade"));
    assert_eq!(header(&request, "upgrade"), Some("websocket"));
    assert_eq!(header(&request, "sec-websocket-version"), Some("13"));
    assert_eq!(header(&request, "sec-websocket-key").unwrap().len(), 24);
    assert_eq!(header(&request, "sec-websocket-protocol"), Some("a, d"));
}

#[test]
fn paths_and_queries() {
    let query = |pairs: &[(&str, &str)]| -> Vec<_> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    for (url, config, expected) in [
        ("http://h", Config { path: "/a".into(), ..plain() }, "/a/?EIO=4&transport=polling"),
        (
            "http://h",
            Config { path: "a/b/".into(), add_trailing_slash: false, ..plain() },
            "/a/b?EIO=4&transport=polling",
        ),
        ("http://h", Config { path: "/".into(), ..plain() }, "/?EIO=4&transport=polling"),
        (
            "http://h",
            Config { path: "/a b%20\r\n?é".into(), ..plain() },
            "/a%20b%20%0D%0A%3F%C3%A9/?EIO=4&transport=polling",
        ),
        (
            "http://h",
            Config { query: query(&[("a", "1 2"), ("é", "&="), ("a", "3"), ("EIO", "3"), ("sid", "x")]), ..plain() },
            "/e/?a=3&%C3%A9=%26%3D&EIO=4&transport=polling",
        ),
        // A query in the URL replaces the option.
        (
            "http://h/n?b=1+2&c&&b=%41&transport=x&é=1",
            Config { query: query(&[("a", "1")]), ..plain() },
            "/e/?b=%41&c=&%C3%A9=1&EIO=4&transport=polling",
        ),
        ("http://h?b=1+2", plain(), "/e/?b=1%2B2&EIO=4&transport=polling"),
        ("http://h", Config { force_base64: true, ..plain() }, "/e/?EIO=4&transport=polling&b64=1"),
    ] {
        let mut script = Script::at(url, config);
        assert_eq!(script.request("GET").1.target, expected, "{url}");
    }
}

#[test]
fn every_request_has_its_own_stamp() {
    let config = Config { timestamp_requests: None, timestamp_param: "p".into(), ..plain() };
    let (mut script, first) = Script::polling(Config { upgrade: false, ..config.clone() });
    let stamp = |request: &Request| request.target.split_once("&p=").map(|(_, rest)| Text::from(rest));
    script.ok(first.0, "6");
    let second = script.request("GET");
    assert_eq!(stamp(&first.1).unwrap().len(), 8);
    assert_ne!(stamp(&first.1), stamp(&second.1));
    let websocket = Config { transports: vec![Transport::WebSocket], ..config };
    assert_eq!(stamp(&Script::new(websocket.clone()).open().1), None);
    let websocket = Config { timestamp_requests: Some(true), ..websocket };
    assert!(stamp(&Script::new(websocket).open().1).is_some());
}

#[test]
fn headers_are_the_users_but_none_that_would_break_a_request() {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<_> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    let extra = pairs(&[
        ("X-A", "1"),
        ("bad name", "1"),
        ("X-B", "a\r\nX-C: b"),
        ("Connection", "close"),
        ("content-length", "7"),
        ("Sec-WebSocket-Key", "x"),
        ("Cookie", "a=1"),
        ("HOST", "other"),
        ("accept", "text/plain"),
    ]);
    let mut script = Script::new(Config { extra_headers: extra.clone(), ..plain() });
    let names = |request: &Request| request.headers.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    let request = script.request("GET").1;
    assert_eq!(names(&request), ["Host", "X-A", "Sec-WebSocket-Key", "accept", "Cookie"]);
    assert_eq!(header(&request, "host"), Some("other"));
    let websocket =
        Overrides { extra_headers: Some(pairs(&[("Sec-WebSocket-Key", "x"), ("X-W", "2")])), ..Default::default() };
    let options = TransportOptions { websocket, ..Default::default() };
    let config = Config { extra_headers: extra, transport_options: options, ..websocket_only() };
    let request = Script::new(config).open().1;
    assert_eq!((header(&request, "x-w"), header(&request, "x-a")), (Some("2"), None));
    assert_ne!(header(&request, "sec-websocket-key"), Some("x"));
}

#[test]
fn c1_bad_and_huge_handshakes() {
    let huge = alloc::format!(r#"0{{"sid":"{}","pingInterval":1,"pingTimeout":1}}"#, "x".repeat(70_000));
    for (body, expected) in [
        ("0", None),
        ("0{}", None),
        (r#"0{"sid":"a","pingInterval":25000}"#, None),
        (r#"0{"sid":1,"pingInterval":25000,"pingTimeout":1}"#, None),
        (r#"0{"sid":"a","pingInterval":1e999,"pingTimeout":1}"#, None),
        (r#"0{"sid":"","pingInterval":1,"pingTimeout":1}"#, Some(HandshakeError::Sid)),
        (&huge, Some(HandshakeError::TooLarge { limit: 65_536, size: huge.len() - 1 })),
        ("4hello", Some(HandshakeError::Expected)),
        ("6", Some(HandshakeError::Expected)),
        ("1", Some(HandshakeError::Closed)),
    ] {
        let mut scripts = [Script::new(plain()), Script::new(websocket_only())];
        let get = scripts[0].request("GET");
        scripts[0].ok(get.0, body);
        let transport = scripts[1].accept();
        scripts[1].says(transport, body);
        for mut script in scripts {
            let Event::Close { reason: CloseReason::TransportError, error: Some(Error::Handshake(error)) } =
                script.event()
            else {
                panic!("{body}");
            };
            match expected.clone() {
                Some(expected) => assert_eq!(error, expected, "{body}"),
                None => assert!(matches!(error, HandshakeError::Json(_)), "{body}: {error:?}"),
            }
            script.nothing();
            assert_eq!(script.engine.is_drained(), script.streams.is_empty());
        }
    }
}

#[test]
fn c1_a_second_handshake_changes_nothing() {
    let second = r#"0{"sid":"other","upgrades":[],"pingInterval":1,"pingTimeout":1,"maxPayload":1}"#;
    let config = || Config { upgrade: false, ..plain() };
    let (mut script, get) = Script::polling(config());
    script.ok(get.0, &[second, "\x1e4a"].concat());
    assert_eq!(script.event(), Event::Message(text("a")));
    assert!(script.request("GET").1.target.ends_with("&sid=abc"));
    let (mut other, transport) = Script::websocket(websocket_only());
    other.says(transport, second);
    other.says(transport, "4a");
    assert_eq!(other.event(), Event::Message(text("a")));
    for mut script in [script, other] {
        script.nothing();
        assert_eq!((script.engine.sid(), script.engine.poll_timeout()), (Some("abc"), Some(at(45_000))));
        assert_eq!(script.engine.handshake().unwrap().max_payload, Some(1_000_000));
    }
}

#[test]
fn c2_and_c3_times_are_clamped_and_sizes_are_sane() {
    for (interval, timeout, payload, expected) in [
        ("25000", "20000", "1000000", (25_000, 20_000, Some(1_000_000))),
        ("0", "-5", "0", (1_000, 1_000, None)),
        ("18446744073709551616", "1e300", "1e300", (86_400_000, 86_400_000, Some(usize::MAX))),
        ("2.5e4", "20000.7", "-1", (25_000, 20_000, None)),
        ("25000", "20000", "null", (25_000, 20_000, None)),
    ] {
        let mut script = Script::new(plain());
        let get = script.request("GET");
        let open = alloc::format!(
            r#"0{{"sid":"s/é","pingInterval":{interval},"pingTimeout":{timeout},"maxPayload":{payload}}}"#
        );
        script.ok(get.0, &open);
        let handshake = script.event_open();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
        let read = (millis(handshake.ping_interval), millis(handshake.ping_timeout), handshake.max_payload);
        assert_eq!(read, expected);
        assert_eq!(script.engine.poll_timeout(), Some(at(expected.0 + expected.1)));
        assert_eq!(script.request("GET").1.target, "/e/?EIO=4&transport=polling&sid=s%2F%C3%A9");
    }
}

#[test]
fn a_server_of_protocol_version_3_is_named() {
    for body in [&b"97:0{\"sid\":\"x\"}2:40"[..], b"\x00\x09\x07\xff0{\"sid\""] {
        let mut script = Script::new(plain());
        let get = script.request("GET");
        let head = Response { status: 200, headers: &[] };
        script.engine.handle_response(at(0), get.0, &head, Bytes::copy_from_slice(body));
        script.closes(CloseReason::TransportError, Some(Error::OldProtocol));
        script.drained();
    }
    assert!(Error::OldProtocol.to_string().contains("Socket.IO 2"));
}

#[test]
fn a_refusal_is_told_with_the_servers_words() {
    let refusal = |code, message: &str| Some(Refusal { code, message: message.into() });
    for (status, body, expected) in [
        (400, r#"{"code":0,"message":"Transport unknown"}"#, refusal(Some(0), "Transport unknown")),
        (403, r#"{"code":"4","message":"go away"}"#, refusal(Some(4), "go away")),
        (400, "Bad request", refusal(None, "Bad request")),
        (502, "<html>", None),
        (503, "", None),
        (204, "", None),
        (302, "", None),
    ] {
        let cause = Cause::Status { status, refusal: expected };
        let mut script = Script::new(websocket_only());
        let (transport, _) = script.open();
        let head = Response { status, headers: &[] };
        script.engine.handle_upgrade(at(0), transport, &head, Bytes::copy_from_slice(body.as_bytes()));
        script.closes(CloseReason::TransportError, Some(Error::WebSocket(Box::new(cause.clone()))));
        script.drained();

        if status != 302 {
            let mut script = Script::new(plain());
            let get = script.request("GET");
            script.answer(get.0, status, &[], body);
            script.closes(CloseReason::TransportError, Some(Error::Poll(Box::new(cause))));
            script.drained();
        }
    }
    let error = Error::Poll(Box::new(Cause::Status { status: 403, refusal: refusal(Some(4), "go away") }));
    assert_eq!(error.to_string(), "xhr poll error");
    assert_eq!(error.source().unwrap().to_string(), "status 403: go away");
}

#[test]
fn an_answer_that_opens_no_websocket() {
    let rows: [(Headers<'_>, UpgradeError); 4] = [
        (&[("connection", b"upgrade")], UpgradeError::Upgrade),
        (&[("upgrade", b"websocket")], UpgradeError::Connection),
        (&[("upgrade", b"websocket"), ("connection", b"upgrade")], UpgradeError::Accept),
        (
            &[("upgrade", b"websocket"), ("connection", b"upgrade"), ("sec-websocket-accept", b"x")],
            UpgradeError::Accept,
        ),
    ];
    for (headers, error) in rows {
        let mut script = Script::new(websocket_only());
        let (transport, _) = script.open();
        script.engine.handle_upgrade(at(0), transport, &Response { status: 101, headers }, Bytes::new());
        assert_eq!(script.next(), Output::Abort { transport });
        let error = Error::WebSocket(Box::new(Cause::Upgrade(error)));
        script.closes(CloseReason::TransportError, Some(error));
        script.drained();
    }
    let rows: [(&str, &[u8], Option<UpgradeError>); 4] = [
        ("sec-websocket-extensions", b"permessage-deflate", Some(UpgradeError::Extension)),
        ("sec-websocket-extensions", b" ", None),
        ("sec-websocket-protocol", b"b", Some(UpgradeError::Protocol)),
        ("sec-websocket-protocol", b"a", None),
    ];
    for (name, value, expected) in rows {
        let mut script = Script::new(Config { protocols: vec!["a".into()], ..websocket_only() });
        let (transport, request) = script.open();
        script.accept_as(transport, &request, &[(name, value)]);
        match expected {
            None => script.nothing(),
            Some(_) => assert_eq!(script.next(), Output::Abort { transport }),
        }
    }
}

#[test]
fn nothing_opens_in_time() {
    for (config, aborts) in [(plain(), false), (websocket_only(), true)] {
        let mut script = Script::with("http://host", config, Cookies::EMPTY, true);
        let first = script.next();
        script.tick(19_999);
        script.nothing();
        script.tick(20_000);
        let limit = Duration::from_secs(20);
        script.closes(CloseReason::TransportError, Some(Error::Timeout { limit }));
        match first {
            Output::Request { id, .. } => assert_eq!(script.next(), Output::Cancel { id }),
            Output::Open { transport, .. } => {
                assert!(aborts);
                assert_eq!(script.next(), Output::Abort { transport });
            }
            other => panic!("{other:?}"),
        }
        assert!(!script.engine.prior_websocket_success());
        script.drained();
    }
    let mut script = Script::new(Config { timeout: None, ..plain() });
    script.request("GET");
    assert_eq!(script.engine.poll_timeout(), None);
}

#[test]
fn without_transports_there_is_an_error() {
    let mut script = Script::new(Config { transports: vec![], ..plain() });
    script.closes(CloseReason::TransportError, Some(Error::NoTransports));
    script.drained();
}

#[test]
fn all_transports_are_tried_if_wanted() {
    let config = Config {
        transports: vec![Transport::WebSocket, Transport::WebSocket, Transport::Polling],
        try_all_transports: true,
        ..plain()
    };
    let reset = || Failure::Reset("gone".into());
    let mut script = Script::new(config.clone());
    let (transport, _) = script.open();
    script.engine.send(text("early")).unwrap();
    script.engine.handle_open_failure(at(0), transport, Failure::Connect("refused".into()));
    let get = script.request("GET");
    assert_eq!(script.engine.transport_name(), "polling");
    script.ok(get.0, OPEN);
    script.event_open();
    let (candidate, _) = script.open();
    assert_ne!(candidate, transport);
    assert_eq!(&script.request("POST").1.body[..], b"4early");

    // One that was opened and says nonsense, or closes, counts as failed too; the last error is the one that is told.
    for nonsense in [Some("x"), None] {
        let mut script = Script::new(config.clone());
        let transport = script.accept();
        match nonsense {
            Some(nonsense) => script.says(transport, nonsense),
            None => script.engine.handle_eof(at(0), transport),
        }
        let get = script.request("GET");
        script.engine.handle_failure(at(0), get.0, reset());
        let error = Error::Poll(Box::new(Cause::Failure(reset())));
        script.closes(CloseReason::TransportError, Some(error));
    }

    let mut script = Script::new(Config { try_all_transports: false, ..config });
    let (transport, _) = script.open();
    script.engine.handle_open_failure(at(0), transport, reset());
    let error = Error::WebSocket(Box::new(Cause::Failure(reset())));
    script.closes(CloseReason::TransportError, Some(error));
    script.drained();
}

#[test]
fn an_upgrade_is_remembered_if_wanted() {
    for (remember, remembered, transports, websocket) in [
        (true, true, vec![Transport::Polling, Transport::WebSocket], true),
        (true, false, vec![Transport::Polling, Transport::WebSocket], false),
        (false, true, vec![Transport::Polling, Transport::WebSocket], false),
        (true, true, vec![Transport::Polling], false),
    ] {
        let config = Config { remember_upgrade: remember, transports, try_all_transports: true, ..plain() };
        let mut script = Script::with("http://host", config, Cookies::EMPTY, remembered);
        assert_eq!(script.engine.transport() == Transport::WebSocket, websocket);
        if websocket {
            // The one that failed is not tried again, as it would be in JavaScript.
            let (transport, _) = script.open();
            script.engine.handle_open_failure(at(0), transport, Failure::Timeout);
            script.request("GET");
            assert!(!script.engine.prior_websocket_success());
        }
    }
    let (script, _) = Script::websocket(websocket_only());
    assert!(script.engine.prior_websocket_success());
}

#[test]
fn redirections_of_the_handshake() {
    let secret = |name: &str| (name.into(), "secret".into());
    let config = Config {
        extra_headers: vec![secret("Authorization"), secret("cookie"), secret("Host"), secret("X-A")],
        with_credentials: true,
        ..plain()
    };
    for (from, location, expected) in [
        ("http://a/", "/f/?x=1", Ok(("a", 80, false, "/f/?x=1&EIO=4&transport=polling", false))),
        ("http://a/", "?EIO=3&t=1", Ok(("a", 80, false, "/e/?t=1&EIO=4&transport=polling", false))),
        ("http://a:81/", "//a:81/../é", Ok(("a", 81, false, "/%C3%A9?EIO=4&transport=polling", false))),
        ("http://a/", "https://a/e/", Ok(("a", 443, true, "/e/?EIO=4&transport=polling", true))),
        ("http://a/", "http://b", Ok(("b", 80, false, "/?EIO=4&transport=polling", true))),
        ("https://a/", "https://a:444/#x", Ok(("a", 444, true, "/?EIO=4&transport=polling", true))),
        ("https://a/", "http://a/", Err(RedirectError::Scheme("http".into()))),
        ("http://a/", "ftp://a/", Err(RedirectError::Scheme("ftp".into()))),
        ("http://a/", "ws://a/", Err(RedirectError::Scheme("ws".into()))),
        ("http://a/", "http://b:99999/", Err(RedirectError::Url(crate::client::UrlError::Port("99999".into())))),
        ("http://a/", "http://u:p@b/", Err(RedirectError::Url(crate::client::UrlError::UserInfo))),
        ("http://a/", "http://b /", Err(RedirectError::Location)),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let mut script = Script::at(from, config.clone());
            let get = script.request("GET");
            assert_eq!(header(&get.1, "authorization"), Some("secret"));
            script.answer(get.0, status, &[("Location", location.as_bytes()), ("set-cookie", b"c=1")], "");
            match expected.clone() {
                Ok((host, port, secure, target, away)) => {
                    let (id, next) = script.request("GET");
                    assert_eq!((next.host.as_str(), next.port, next.secure), (host, port, secure), "{location}");
                    assert_eq!(next.target, target);
                    assert_eq!(header(&next, "x-a"), Some("secret"));
                    let own = (!away).then_some("secret");
                    assert_eq!(header(&next, "authorization"), own, "{location}");
                    assert_eq!(header(&next, "cookie"), own.map(|_| "secret; c=1"));
                    // The session stays where it was opened, cookies of there included, its WebSocket too.
                    script.answer(id, 200, &[("set-cookie", b"d=2")], OPEN);
                    script.event_open();
                    let (_, open) = script.open();
                    assert_eq!((open.host.as_str(), open.port, open.secure), (host, port, secure));
                    assert_eq!(header(&open, "cookie"), Some(if away { "d=2" } else { "secret; c=1; d=2" }));
                    assert_eq!(script.engine.cookies().len(), if away { 1 } else { 2 });
                }
                Err(error) => {
                    let error = Error::Poll(Box::new(Cause::Redirect(error)));
                    script.closes(CloseReason::TransportError, Some(error));
                    script.drained();
                }
            }
        }
    }
}

#[test]
fn redirections_end() {
    let (limit, there) = (5, ("location", &b"/again"[..]));
    let mut script = Script::new(plain());
    for _ in 0..limit {
        let get = script.request("GET");
        script.answer(get.0, 302, &[there], "");
    }
    let get = script.request("GET");
    script.answer(get.0, 302, &[there], "");
    let error = Error::Poll(Box::new(Cause::Redirect(RedirectError::TooMany { limit })));
    script.closes(CloseReason::TransportError, Some(error));

    let mut script = Script::new(Config { limits: Limits { redirects: 0, ..Limits::default() }, ..plain() });
    let get = script.request("GET");
    script.answer(get.0, 302, &[there], "");
    let error = Error::Poll(Box::new(Cause::Redirect(RedirectError::TooMany { limit: 0 })));
    script.closes(CloseReason::TransportError, Some(error));

    let mut script = Script::new(plain());
    let get = script.request("GET");
    script.answer(get.0, 302, &[], "");
    let error = Error::Poll(Box::new(Cause::Redirect(RedirectError::NoLocation)));
    script.closes(CloseReason::TransportError, Some(error));

    // No other request follows any.
    let (mut script, get) = Script::polling(Config { upgrade: false, ..plain() });
    script.answer(get.0, 302, &[there], "");
    let error = Error::Poll(Box::new(Cause::Status { status: 302, refusal: None }));
    script.closes(CloseReason::TransportError, Some(error));
}

#[test]
fn away_and_home_again() {
    let config = Config { extra_headers: vec![("Authorization".into(), "secret".into())], ..plain() };
    let mut script = Script::at("http://a/", config);
    for (location, own) in [(&b"http://b/"[..], false), (b"http://a/", true)] {
        let get = script.request("GET");
        script.answer(get.0, 302, &[("location", location)], "");
        let (id, next) = script.request("GET");
        assert_eq!(header(&next, "authorization").is_some(), own);
        script.answer(id, 302, &[("location", location)], "");
    }
}

/// The options' query may be a secret, and goes to another origin no more than a header of that kind.
#[test]
fn the_query_of_the_options_stays_at_home() {
    let query = || vec![("token".into(), "secret".into())];
    let polling = || Overrides { query: Some(query()), ..Overrides::default() };
    let own = TransportOptions { polling: polling(), websocket: polling() };
    for (url, config) in [
        ("http://a/", Config { query: query(), ..plain() }),
        ("http://a/?token=secret", plain()),
        ("http://a/", Config { transport_options: own, ..plain() }),
    ] {
        let mut script = Script::at(url, config);
        for (location, expected) in [
            ("http://b/e/", "/e/?token=secret&EIO=4&transport=polling"),
            ("http://b/f/", "/e/?EIO=4&transport=polling"),
            ("/g/", "/f/?EIO=4&transport=polling"),
            ("http://c/?v=1", "/g/?EIO=4&transport=polling"),
        ] {
            let get = script.request("GET");
            assert_eq!(get.1.target, expected, "{url} to {location}");
            script.answer(get.0, 302, &[("location", location.as_bytes())], "");
        }
        let get = script.request("GET");
        assert_eq!(get.1.target, "/?v=1&EIO=4&transport=polling", "{url}");
        script.ok(get.0, OPEN);
        script.event_open();
        assert_eq!(script.open().1.target, "/?v=1&EIO=4&transport=websocket&sid=abc", "{url}");
    }
}

#[test]
fn each_transport_has_options_of_its_own() {
    let pairs = |key: &str, value: &str| vec![(key.into(), value.into())];
    let polling = Overrides {
        query: Some(pairs("p", "1")),
        timestamp_requests: Some(true),
        timestamp_param: Some("ts".into()),
        with_credentials: Some(true),
        request_timeout: Some(Duration::from_secs(3)),
        protocols: Some(vec!["none".into()]),
        ..Overrides::default()
    };
    let websocket = Overrides {
        query: Some(pairs("w", "2")),
        request_timeout: Some(Duration::from_secs(1)),
        protocols: Some(vec!["chat".into()]),
        ..Overrides::default()
    };
    let config = Config {
        query: pairs("q", "0"),
        protocols: vec!["common".into()],
        request_timeout: Some(Duration::ZERO),
        transport_options: TransportOptions { polling, websocket },
        ..plain()
    };
    // As in JavaScript they win against the URL, too.
    let mut script = Script::at("http://a/?u=3", config.clone());
    let get = script.request("GET");
    let (target, stamp) = get.1.target.rsplit_once('=').unwrap();
    assert_eq!((target, stamp.len()), ("/e/?p=1&EIO=4&transport=polling&ts", 8));
    script.answer(get.0, 200, &[("set-cookie", b"c=1")], OPEN);
    script.event_open();
    let open = script.open().1;
    assert_eq!(open.target, "/e/?w=2&EIO=4&transport=websocket&sid=abc");
    assert_eq!((header(&open, "sec-websocket-protocol"), header(&open, "cookie")), (Some("chat"), None));
    let get = script.request("GET");
    assert_eq!(header(&get.1, "cookie"), Some("c=1"));
    assert_eq!(script.engine.poll_timeout(), Some(at(3_000)));

    // What is not offered must not be chosen.
    for (name, accepted) in [("chat", true), ("common", false)] {
        let transports = vec![Transport::WebSocket];
        let mut script = Script::new(Config { transports, ..config.clone() });
        let (transport, open) = script.open();
        let accept = ws::accept_key(header(&open, "sec-websocket-key").unwrap());
        let headers: &[(&str, &[u8])] = &[
            ("upgrade", b"websocket"),
            ("connection", b"upgrade"),
            ("sec-websocket-accept", accept.as_bytes()),
            ("sec-websocket-protocol", name.as_bytes()),
            ("set-cookie", b"c=1"),
        ];
        script.engine.handle_upgrade(at(0), transport, &Response { status: 101, headers }, Bytes::new());
        assert_eq!(script.engine.poll_output().is_none(), accepted, "{name}");
        assert!(script.engine.cookies().is_empty());
    }
}

#[test]
fn cookies_are_kept_only_if_wanted_and_outlive_the_engine() {
    let config = Config { with_credentials: true, upgrade: true, ..plain() };
    let mut script = Script::new(config.clone());
    let get = script.request("GET");
    let set: Headers<'_> = &[
        ("Set-Cookie", b"a=1; Path=/; HttpOnly"),
        ("set-cookie", b"b=\"2\"; max-age=10"),
        ("set-cookie", b"nonsense"),
    ];
    script.answer(get.0, 200, set, OPEN);
    script.event_open();
    assert_eq!(header(&script.open().1, "cookie"), Some("a=1; b=2"));
    assert_eq!(header(&script.request("GET").1, "cookie"), Some("a=1; b=2"));
    script.now = at(10_000);
    script.engine.send(text("x")).unwrap();
    script.engine.handle_timeout(at(10_000));
    let cookies = script.engine.cookies().clone();
    assert_eq!(alloc::format!("{cookies:?}"), r#"{"a", "b"}"#);
    let mut next = Script::with("http://host", config, cookies, false);
    assert_eq!(header(&next.request("GET").1, "cookie"), Some("a=1; b=2"));

    let mut script = Script::new(plain());
    let get = script.request("GET");
    script.answer(get.0, 200, set, OPEN);
    script.event_open();
    assert_eq!(header(&script.open().1, "cookie"), None);
    assert!(script.engine.cookies().is_empty());
}
