//! Every answer of the HTTP side: request in; status, headers and body out.

use sockeye_protocol::{Config, Cors, Origins, Transports, http::Body};

use crate::engine_support::{Client, Headers, UPGRADE, answer, request, sid};

/// The state of the session that the request meets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum On {
    Polling,
    /// A GET is open.
    Waiting,
    /// A POST is being received.
    Posting,
    Upgrading,
    WebSocket,
    Closed,
}

struct Row {
    name: &'static str,
    on: On,
    method: &'static str,
    target: &'static str,
    headers: Vec<(&'static str, &'static [u8])>,
    body: Body,
    status: u16,
    sent: Vec<(&'static str, &'static str)>,
    text: &'static str,
    /// Whether the session is closed by it.
    closes: bool,
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const CLOSE: (&str, &str) = ("Connection", "close");
const CODE_0: &str = r#"{"code":0,"message":"Transport unknown"}"#;
const CODE_1: &str = r#"{"code":1,"message":"Session ID unknown"}"#;
const CODE_2: &str = r#"{"code":2,"message":"Bad handshake method"}"#;
const CODE_3: &str = r#"{"code":3,"message":"Bad request"}"#;
const CODE_4: &str = r#"{"code":4,"message":"Forbidden"}"#;
const CODE_5: &str = r#"{"code":5,"message":"Unsupported protocol version"}"#;

fn row(name: &'static str, method: &'static str, target: &'static str) -> Row {
    Row {
        name,
        on: On::Polling,
        method,
        target,
        headers: Vec::new(),
        body: Body::EMPTY,
        status: 200,
        sent: Vec::new(),
        text: "",
        closes: false,
    }
}

impl Row {
    fn on(self, on: On) -> Self {
        Self { on, ..self }
    }
    fn with(mut self, headers: Headers<'static>) -> Self {
        self.headers.extend(headers);
        self
    }
    fn body(self, body: &'static str) -> Self {
        Self { body: Body::Whole(body.into()), ..self }
    }
    fn too_large(self) -> Self {
        Self { body: Body::TooLarge, ..self }
    }
    fn pending(self) -> Self {
        Self { body: Body::Pending, ..self }
    }
    fn refuse(mut self, status: u16, text: &'static str) -> Self {
        self.sent.insert(0, JSON);
        Self { status, text, ..self }
    }
    fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }
    fn sent(mut self, name: &'static str, value: &'static str) -> Self {
        self.sent.push((name, value));
        self
    }
    fn closes(self) -> Self {
        Self { closes: true, ..self }
    }

    fn run(self, config: &Config) {
        let name = self.name;
        let mut client = match self.on {
            On::Polling | On::Waiting | On::Posting | On::Closed => Client::polling(Config { ..config.clone() }),
            On::Upgrading => Client::probed(config.clone()),
            On::WebSocket => Client::upgraded(config.clone()),
        };
        match self.on {
            On::Waiting => drop(client.get()),
            On::Posting => drop(client.post_pending()),
            On::Closed => {
                client.post("1");
            }
            On::Polling | On::Upgrading | On::WebSocket => {}
        }
        client.drain();
        let target = self.target.replace("SID", &sid().to_string());
        let head = request(self.method, &target, &self.headers);
        let Some(response) = answer(config, &mut client, &head, self.body) else {
            assert_eq!((self.status, self.text), (0, "not ours"), "{name}");
            return;
        };
        assert_eq!(response.status, self.status, "{name}");
        let text = String::from_utf8(response.body.to_vec()).unwrap().replace('\x1e', "|");
        let expected = self.text.replace("SID", &sid().to_string());
        assert_eq!(text, expected, "{name}");
        let mut sent: Vec<_> = response.headers.iter().map(|(name, value)| (*name, &**value)).collect();
        let mut expected = self.sent;
        sent.sort_unstable();
        expected.sort_unstable();
        assert_eq!(sent, expected, "{name}");
        assert_eq!(client.session.is_closed(), self.closes || self.on == On::Closed, "{name}");
    }
}

const P: &str = "/socket.io/?EIO=4&transport=polling&sid=SID";
const W: &str = "/socket.io/?EIO=4&transport=websocket&sid=SID";
const PAYLOAD: (&str, &str) = ("Content-Type", "text/plain; charset=UTF-8");
const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");
const OCTETS: Headers<'static> = &[("content-type", b"application/octet-stream; x=y")];

fn ok(row: Row) -> Row {
    Row { text: "ok", ..row }.sent("Content-Type", "text/html").sent(NO_STORE.0, NO_STORE.1)
}

fn payload(row: Row, text: &'static str) -> Row {
    Row { text, ..row }.sent(PAYLOAD.0, PAYLOAD.1).sent(NO_STORE.0, NO_STORE.1)
}

fn without(name: &str) -> Vec<(&'static str, &'static [u8])> {
    UPGRADE.iter().copied().filter(|(key, _)| *key != name).collect()
}

fn switched(row: Row) -> Row {
    row.status(101)
        .sent("Upgrade", "websocket")
        .sent("Connection", "Upgrade")
        .sent("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
}

#[test]
fn handshakes() {
    let open =
        r#"0{"sid":"SID","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    let hand = "/socket.io/?EIO=4&transport=polling";
    let rows = vec![
        payload(row("polling", "GET", hand), open),
        payload(row("polling, another parameter", "GET", "/socket.io/?EIO=4&transport=polling&t=abc&b64=1"), open),
        payload(row("an empty sid is none", "GET", "/socket.io/?EIO=4&transport=polling&sid="), open),
        payload(row("below the path", "GET", "/socket.io/more?EIO=4&transport=polling"), open),
        payload(row("the target is a URL", "GET", "http://h/socket.io/?EIO=4&transport=polling"), open),
        payload(
            row("another upgrade is not ours", "GET", hand).with(&[("connection", b"upgrade"), ("upgrade", b"h2c")]),
            open,
        ),
        switched(row("websocket", "GET", "/socket.io/?EIO=4&transport=websocket").with(UPGRADE)),
        switched(
            row("websocket with a protocol", "GET", "/socket.io/?EIO=4&transport=websocket")
                .with(UPGRADE)
                .with(&[("sec-websocket-protocol", b"a, b")]),
        )
        .sent("Sec-WebSocket-Protocol", "a"),
        // E1
        row("no transport", "GET", "/socket.io/?EIO=4").refuse(400, CODE_0),
        row("unknown transport", "GET", "/socket.io/?EIO=4&transport=tobi").refuse(400, CODE_0),
        row("the last transport counts", "GET", "/socket.io/?EIO=4&transport=polling&transport=x").refuse(400, CODE_0),
        row("transport of JavaScript", "GET", "/socket.io/?EIO=4&transport=__proto__").refuse(400, CODE_0),
        row("webtransport", "GET", "/socket.io/?EIO=4&transport=webtransport").refuse(400, CODE_0),
        // E2, items 14 and 16
        row("unknown sid", "GET", "/socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAAAA").refuse(400, CODE_1),
        row("sid of JavaScript", "GET", "/socket.io/?EIO=4&transport=polling&sid=__proto__").refuse(400, CODE_1),
        row("malformed sid", "GET", "/socket.io/?EIO=4&transport=polling&sid=%00").refuse(400, CODE_1),
        row("unknown sid on POST", "POST", "/socket.io/?EIO=4&transport=polling&sid=x").refuse(400, CODE_1),
        row("unknown sid of websocket", "GET", "/socket.io/?EIO=4&transport=websocket&sid=x").refuse(400, CODE_1),
        row("transport goes before sid", "GET", "/socket.io/?transport=x&sid=x").refuse(400, CODE_0),
        // E3
        row("POST without sid", "POST", hand).refuse(400, CODE_2),
        row("PUT without sid", "PUT", hand).refuse(400, CODE_2),
        row("DELETE without sid", "DELETE", hand).refuse(400, CODE_2),
        row("OPTIONS without cors", "OPTIONS", hand).refuse(400, CODE_2),
        row("HEAD without sid", "HEAD", hand).refuse(400, ""),
        row("the method is case-sensitive", "get", hand).refuse(400, CODE_2),
        row("the method goes before the version", "POST", "/socket.io/?transport=polling").refuse(400, CODE_2),
        // E4
        row("websocket without upgrade", "GET", "/socket.io/?EIO=4&transport=websocket").refuse(400, CODE_3),
        row("polling with upgrade", "GET", hand).with(UPGRADE).refuse(400, CODE_3).sent(CLOSE.0, CLOSE.1),
        row("bad characters in the origin", "GET", hand).with(&[("origin", b"a\x01")]).refuse(400, CODE_3),
        // E5, item 15
        row("no EIO", "GET", "/socket.io/?transport=polling").refuse(400, CODE_5),
        row("EIO 3", "GET", "/socket.io/?EIO=3&transport=polling").refuse(400, CODE_5),
        row("EIO 5", "GET", "/socket.io/?EIO=5&transport=polling").refuse(400, CODE_5),
        row("EIO 04", "GET", "/socket.io/?EIO=04&transport=polling").refuse(400, CODE_5),
        // item 17: before any 101
        row("websocket with EIO 3", "GET", "/socket.io/?EIO=3&transport=websocket")
            .with(UPGRADE)
            .refuse(400, CODE_5)
            .sent(CLOSE.0, CLOSE.1),
        row("unknown transport with upgrade", "GET", "/socket.io/?EIO=4&transport=x")
            .with(UPGRADE)
            .refuse(400, CODE_0)
            .sent(CLOSE.0, CLOSE.1),
        row("unknown sid with upgrade", "GET", "/socket.io/?EIO=4&transport=websocket&sid=x")
            .with(UPGRADE)
            .refuse(400, CODE_1)
            .sent(CLOSE.0, CLOSE.1),
        // W15
        Row { headers: without("Sec-WebSocket-Key"), ..row("no key", "GET", "/socket.io/?EIO=4&transport=websocket") }
            .refuse(400, CODE_3)
            .sent(CLOSE.0, CLOSE.1),
        Row {
            headers: without("Sec-WebSocket-Version"),
            ..row("no version", "GET", "/socket.io/?EIO=4&transport=websocket")
        }
        .refuse(426, CODE_3)
        .sent(CLOSE.0, CLOSE.1)
        .sent("Sec-WebSocket-Version", "13"),
        // E24
        row("another path", "GET", "/socket.iox?EIO=4&transport=polling").status(0).not_ours(),
        row("path without its slash", "GET", "/socket.io?EIO=4&transport=polling").status(0).not_ours(),
        row("two slashes", "GET", "//socket.io/?EIO=4&transport=polling").status(0).not_ours(),
        row("a path above", "GET", "/../socket.io/?EIO=4&transport=polling").status(0).not_ours(),
    ];
    for row in rows {
        row.run(&Config::default());
    }
}

impl Row {
    fn not_ours(self) -> Self {
        Self { text: "not ours", ..self }
    }
}

#[test]
fn requests_of_a_session() {
    let rows = vec![
        ok(row("POST", "POST", P).body("4hello")),
        ok(row("POST while a GET waits", "POST", P).body("4hello").on(On::Waiting)),
        ok(row("POST while upgrading (item 22)", "POST", P).body("4hello").on(On::Upgrading)),
        // E7, item 13: the session lives
        row("PUT", "PUT", P).status(405).sent("Allow", "GET, POST"),
        row("DELETE", "DELETE", P).status(405).sent("Allow", "GET, POST"),
        row("HEAD", "HEAD", P).status(405).sent("Allow", "GET, POST"),
        row("OPTIONS", "OPTIONS", P).status(405).sent("Allow", "GET, POST"),
        row("PUT with a body to come", "PUT", P)
            .pending()
            .status(405)
            .sent("Allow", "GET, POST")
            .sent(CLOSE.0, CLOSE.1),
        // E8
        row("declared too large", "POST", P).too_large().status(413).sent(CLOSE.0, CLOSE.1).closes(),
        row("content-length too large", "POST", P)
            .pending()
            .with(&[("content-length", b"1000001")])
            .status(413)
            .sent(CLOSE.0, CLOSE.1)
            .closes(),
        // E9, item 7
        row("octets", "POST", P).body("4a").with(OCTETS).status(400).closes(),
        row("octets to come", "POST", P).pending().with(OCTETS).status(400).sent(CLOSE.0, CLOSE.1).closes(),
        row("compressed", "POST", P).body("4a").with(&[("Content-Encoding", b"gzip")]).status(415).closes(),
        ok(row("identity is no compression", "POST", P).body("4a").with(&[("Content-Encoding", b"identity")])),
        ok(row("any other type", "POST", P).body("4a").with(&[("Content-Type", b"application/json")])),
        // E10, item 5
        row("empty body", "POST", P).refuse(400, CODE_3).closes(),
        row("a separator only", "POST", P).body("\x1e").refuse(400, CODE_3).closes(),
        row("unknown type", "POST", P).body("8").refuse(400, CODE_3).closes(),
        row("bad base64", "POST", P).body("bA").refuse(400, CODE_3).closes(),
        // E14 on polling
        row("ping", "POST", P).body("2").refuse(400, CODE_3).closes(),
        row("open", "POST", P).body("0").refuse(400, CODE_3).closes(),
        row("upgrade", "POST", P).body("5").refuse(400, CODE_3).closes(),
        // item 10
        ok(row("close", "POST", P).body("1").closes()),
        // E12, E13, items 1 and 2
        row("second GET", "GET", P).on(On::Waiting).status(400).closes(),
        row("second POST", "POST", P).body("4a").on(On::Posting).status(400).closes(),
        row("second POST to come", "POST", P).pending().on(On::Posting).status(400).sent(CLOSE.0, CLOSE.1).closes(),
        // E6
        row("GET with EIO 3", "GET", "/socket.io/?EIO=3&transport=polling&sid=SID").refuse(400, CODE_3),
        row("POST without EIO", "POST", "/socket.io/?transport=polling&sid=SID").body("4a").refuse(400, CODE_3),
        row("HEAD with EIO 3", "HEAD", "/socket.io/?EIO=3&transport=polling&sid=SID").refuse(400, ""),
        row("upgrade with EIO 3", "GET", "/socket.io/?EIO=3&transport=websocket&sid=SID")
            .with(UPGRADE)
            .refuse(400, CODE_3)
            .sent(CLOSE.0, CLOSE.1),
        // E4
        row("websocket without upgrade", "GET", W).refuse(400, CODE_3),
        row("polling with upgrade", "GET", P).with(UPGRADE).refuse(400, CODE_3).sent(CLOSE.0, CLOSE.1),
        // E19, item 25
        switched(row("upgrade", "GET", W).with(UPGRADE)),
        switched(row("upgrade while a GET waits", "GET", W).with(UPGRADE).on(On::Waiting)),
        row("two upgrades", "GET", W).with(UPGRADE).on(On::Upgrading).refuse(400, CODE_3).sent(CLOSE.0, CLOSE.1),
        row("upgrade after upgrade", "GET", W)
            .with(UPGRADE)
            .on(On::WebSocket)
            .refuse(400, CODE_3)
            .sent(CLOSE.0, CLOSE.1),
        Row { headers: without("Sec-WebSocket-Key"), ..row("upgrade without key", "GET", W) }
            .refuse(400, CODE_3)
            .sent(CLOSE.0, CLOSE.1),
        Row { headers: without("Sec-WebSocket-Version"), ..row("upgrade without version", "GET", W) }
            .refuse(426, CODE_3)
            .sent(CLOSE.0, CLOSE.1)
            .sent("Sec-WebSocket-Version", "13"),
        row("upgrade by POST", "POST", W).with(UPGRADE).refuse(400, CODE_3).sent(CLOSE.0, CLOSE.1),
        // E20, item 26
        row("GET after upgrade", "GET", P).on(On::WebSocket).refuse(400, CODE_3),
        row("POST after upgrade", "POST", P).body("4a").on(On::WebSocket).refuse(400, CODE_3),
        row("PUT after upgrade", "PUT", P).on(On::WebSocket).refuse(400, CODE_3),
        row("websocket without upgrade after upgrade", "GET", W).on(On::WebSocket).refuse(400, CODE_3),
        // once closed
        row("GET after close", "GET", P).on(On::Closed).refuse(400, CODE_1),
        row("POST after close", "POST", P).body("4a").on(On::Closed).refuse(400, CODE_1),
        row("POST to come after close", "POST", P).pending().on(On::Closed).refuse(400, CODE_1).sent(CLOSE.0, CLOSE.1),
        row("upgrade after close", "GET", W).with(UPGRADE).on(On::Closed).refuse(400, CODE_1).sent(CLOSE.0, CLOSE.1),
    ];
    for row in rows {
        row.run(&Config::default());
    }
}

#[test]
fn answers_to_a_waiting_get() {
    let mut client = Client::polling(Config::default());
    client.session.send(crate::engine_support::text("a")).unwrap();
    let head_target = format!("/socket.io/?EIO=4&transport=polling&sid={}", sid());
    let config = Config::default();
    let response = answer(&config, &mut client, &request("GET", &head_target, &[]), Body::EMPTY).unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &b"4a"[..]));
    assert_eq!(response.header("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

#[test]
fn e8_the_body_limit_at_n_and_above() {
    for (size, status) in [(10, 200), (11, 413)] {
        for whole in [true, false] {
            let mut config = Config::default();
            config.limits.max_payload = 10;
            let mut client = Client::polling(config);
            let body = Body::Whole(format!("4{}", "a".repeat(size - 1)).into());
            let id = if whole {
                let Body::Whole(bytes) = body else { unreachable!() };
                client.post(bytes)
            } else {
                let id = client.post_pending();
                assert_eq!(client.drain(), [""; 0]);
                client.body(id, body);
                id
            };
            let lines = client.drain();
            assert!(lines.iter().any(|line| line.starts_with(&format!("{id}: {status}"))), "{size} {lines:?}");
            let error = "transport error: a request body of 11 bytes is over max_payload of 10";
            assert_eq!(lines.contains(&error.to_owned()), size == 11, "{lines:?}");
        }
    }
}

#[test]
fn options_of_the_server() {
    let polling = "/socket.io/?EIO=4&transport=polling";
    let websocket = "/socket.io/?EIO=4&transport=websocket";
    let mut config = Config { allow_upgrades: false, ..Config::default() };
    payload(
        row("nothing to upgrade to", "GET", polling),
        r#"0{"sid":"SID","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#,
    )
    .run(&config);
    row("upgrades switched off", "GET", W).with(UPGRADE).refuse(400, CODE_3).sent(CLOSE.0, CLOSE.1).run(&config);
    switched(row("websocket from the start all the same", "GET", websocket).with(UPGRADE)).run(&config);

    config = Config { transports: Transports { polling: true, websocket: false }, ..Config::default() };
    row("websocket switched off", "GET", websocket)
        .with(UPGRADE)
        .refuse(400, CODE_0)
        .sent(CLOSE.0, CLOSE.1)
        .run(&config);
    row("upgrade switched off", "GET", W).with(UPGRADE).refuse(400, CODE_0).sent(CLOSE.0, CLOSE.1).run(&config);

    config = Config { transports: Transports { polling: false, websocket: true }, ..Config::default() };
    row("polling switched off", "GET", polling).refuse(400, CODE_0).run(&config);

    config = Config { path: "/engine.io/".into(), ..Config::default() };
    row("another path is set", "GET", polling).status(0).not_ours().run(&config);
    row("the path that is set", "GET", "/engine.io/?EIO=4").refuse(400, CODE_0).run(&config);
}

/// E23 and item 18: the rules hold on both transports.
#[test]
fn cross_origin_rules() {
    const A: Headers<'static> = &[("Origin", b"https://a.example")];
    const X: Headers<'static> = &[("Origin", b"https://x.example")];
    const ALLOW: (&str, &str) = ("Access-Control-Allow-Origin", "https://a.example");
    const VARY: (&str, &str) = ("Vary", "Origin");
    let websocket = "/socket.io/?EIO=4&transport=websocket";
    let cors = Cors { origins: Origins::List(vec!["https://a.example".into()]), ..Cors::default() };
    let config = Config { cors: Some(cors), ..Config::default() };
    let rows = vec![
        ok(row("allowed", "POST", P).body("4a").with(A)).sent(ALLOW.0, ALLOW.1).sent(VARY.0, VARY.1),
        ok(row("no origin", "POST", P).body("4a")).sent(VARY.0, VARY.1),
        row("not allowed", "POST", P).body("4a").with(X).refuse(403, CODE_4).sent(VARY.0, VARY.1),
        row("not allowed, handshake", "GET", "/socket.io/?EIO=4&transport=polling")
            .with(X)
            .refuse(403, CODE_4)
            .sent(VARY.0, VARY.1),
        row("not allowed, HEAD", "HEAD", P).with(X).refuse(403, "").sent(VARY.0, VARY.1),
        row("a refusal", "GET", "/socket.io/?EIO=4")
            .with(A)
            .refuse(400, CODE_0)
            .sent(ALLOW.0, ALLOW.1)
            .sent(VARY.0, VARY.1),
        row("a refusal of the session", "PUT", P)
            .with(A)
            .status(405)
            .sent("Allow", "GET, POST")
            .sent(ALLOW.0, ALLOW.1)
            .sent(VARY.0, VARY.1),
        row("too large", "POST", P)
            .too_large()
            .with(A)
            .status(413)
            .sent(CLOSE.0, CLOSE.1)
            .sent(ALLOW.0, ALLOW.1)
            .sent(VARY.0, VARY.1)
            .closes(),
        switched(row("websocket allowed", "GET", websocket).with(UPGRADE).with(A)),
        switched(row("websocket of a native client", "GET", websocket).with(UPGRADE)),
        row("websocket not allowed", "GET", websocket)
            .with(UPGRADE)
            .with(X)
            .refuse(403, CODE_4)
            .sent(CLOSE.0, CLOSE.1)
            .sent(VARY.0, VARY.1),
        row("upgrade not allowed", "GET", W)
            .with(UPGRADE)
            .with(X)
            .refuse(403, CODE_4)
            .sent(CLOSE.0, CLOSE.1)
            .sent(VARY.0, VARY.1),
        row("preflight", "OPTIONS", P)
            .with(A)
            .with(&[("Access-Control-Request-Headers", b"x-a")])
            .status(204)
            .sent(ALLOW.0, ALLOW.1)
            .sent("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")
            .sent("Access-Control-Allow-Headers", "x-a")
            .sent("Vary", "Origin, Access-Control-Request-Headers"),
        row("preflight goes before all checks", "OPTIONS", "/socket.io/")
            .with(X)
            .status(204)
            .sent("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")
            .sent("Vary", "Origin, Access-Control-Request-Headers"),
    ];
    for row in rows {
        row.run(&config);
    }
    let any = Config { cors: Some(Cors { origins: Origins::Any, ..Cors::default() }), ..Config::default() };
    ok(row("any", "POST", P).body("4a").with(X)).sent("Access-Control-Allow-Origin", "*").run(&any);
    switched(row("any, websocket", "GET", websocket).with(UPGRADE).with(X)).run(&any);
    switched(row("no rules, websocket", "GET", websocket).with(UPGRADE).with(X)).run(&Config::default());
}

/// A GET waits with its own origin, not with that of a later request.
#[test]
fn a_late_answer_has_the_headers_of_its_request() {
    let cors = Cors { origins: Origins::Any, credentials: true, ..Cors::default() };
    let config = Config { cors: Some(cors), ..Config::default() };
    let mut client = Client::polling(config);
    let target = format!("/socket.io/?EIO=4&transport=polling&sid={}", sid());
    client.send("GET", &target, &[("origin", b"https://a")], Body::EMPTY);
    client.send("POST", &target, &[("origin", b"https://b")], Body::Whole("4x".into()));
    client.outputs();
    client.session.send(crate::engine_support::text("y")).unwrap();
    let outputs = client.outputs();
    let [sockeye_protocol::engine::Output::Respond { response, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(response.header("access-control-allow-origin"), Some("https://a"));
    assert_eq!(response.header("access-control-allow-credentials"), Some("true"));
}
