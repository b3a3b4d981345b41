//! Clients over real sockets: IPv6, proxies, redirections, headers, cookies, and ends that come in the middle.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_channel::mpsc;
use futures_util::StreamExt as _;

use super::{
    mode, proxy,
    raw::{self, OPEN, Request, response},
    served, upgraded, url,
};
use crate::sockeye::{
    BoxFuture, Stream, TcpConnector,
    client::{Address, AuthRequest, ClientEvent, Connector, Error, Failure, HeadersRequest, Transport, UpgradeMemory},
    prelude::*,
};

/// A server that tells what a client has brought.
pub(crate) fn mirror() -> Server {
    let io = Server::new(Config::default());
    io.on("header", async |socket: Socket, Args(name): Args<String>, ack: Ack| {
        ack.send(&socket.handshake().header_str(&name))
    });
    io
}

/// The address of a URL may be one of IPv6.
pub(crate) async fn ipv6(index: usize) {
    let io = mirror();
    let listening = io.listen("[::1]:0").await.unwrap();
    let url = format!("http://[::1]:{}", listening.local_addr().port());
    let client = Client::builder(&url).config(mode(index)).connect().await.unwrap();
    upgraded(&client, index).await;
    let host: String = client.emit_with_ack("header", &"host").await.unwrap();
    assert_eq!(host, format!("[::1]:{}", listening.local_addr().port()));
    drop(client);
    listening.shutdown(Duration::from_secs(5)).await;
}

/// A proxy of HTTP, which tells where it was asked to go.
fn http_proxy(asked: mpsc::UnboundedSender<String>) -> SocketAddr {
    raw::listen(move |stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            head.push_str(&line);
            line.clear();
        }
        let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split_once(' ')).unwrap().0;
        let _ = asked.unbounded_send(to.to_owned());
        let Ok(server) = TcpStream::connect(to) else {
            let _ = (&stream).write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
            return;
        };
        (&stream).write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
        raw::join(stream, server);
    })
}

/// A proxy of SOCKS5 (RFC 1928) without authentication.
fn socks_proxy(asked: mpsc::UnboundedSender<String>) -> SocketAddr {
    raw::listen(move |mut stream| {
        let mut greeting = [0; 2];
        stream.read_exact(&mut greeting).unwrap();
        stream.read_exact(&mut vec![0; greeting[1].into()]).unwrap();
        stream.write_all(&[5, 0]).unwrap();
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        let host = match head[3] {
            1 => {
                let mut ip = [0; 4];
                stream.read_exact(&mut ip).unwrap();
                std::net::Ipv4Addr::from(ip).to_string()
            }
            _ => {
                let mut length = [0];
                stream.read_exact(&mut length).unwrap();
                let mut name = vec![0; length[0].into()];
                stream.read_exact(&mut name).unwrap();
                String::from_utf8(name).unwrap()
            }
        };
        let mut port = [0; 2];
        stream.read_exact(&mut port).unwrap();
        let to = format!("{host}:{}", u16::from_be_bytes(port));
        let _ = asked.unbounded_send(to.clone());
        let server = TcpStream::connect(to);
        stream.write_all(&[5, u8::from(server.is_err()), 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        if let Ok(server) = server {
            raw::join(stream, server);
        }
    })
}

/// The connectors of the example `proxy`, with and without TLS behind them.
pub(crate) async fn proxies(index: usize) {
    let (certificate, trusting) = super::certificate::configs();
    let io = mirror();
    let plain = served(&io).await;
    let secured = io.listen_tls("127.0.0.1:0", certificate).await.unwrap();
    let (asked, mut wishes) = mpsc::unbounded();
    let (http, socks) = (http_proxy(asked.clone()), socks_proxy(asked));
    for proxy in [format!("http://{http}"), format!("socks5://{socks}")] {
        for (scheme, port) in [("http", plain.local_addr().port()), ("https", secured.local_addr().port())] {
            let connector = proxy::through(&proxy, TcpConnector::with_tls(Arc::clone(&trusting))).unwrap();
            let builder = Client::builder(&format!("{scheme}://localhost:{port}")).config(mode(index));
            let client = builder.connector(connector).connect().await.unwrap();
            upgraded(&client, index).await;
            while wishes.next().await.unwrap() != format!("localhost:{port}") {}
            let host: String = client.emit_with_ack("header", &"host").await.unwrap();
            assert_eq!(host, format!("localhost:{port}"));
        }
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let connector = proxy::through(&proxy, TcpConnector::default()).unwrap();
        let builder = Client::builder(&format!("http://{nobody}")).config(mode(index)).connector(connector);
        let refused = builder.config(|config| config.reconnection = false).connect().await.unwrap_err();
        assert!(refused.to_string().contains(": cannot connect: "), "{refused}");
        while wishes.next().await.unwrap() != nobody.to_string() {}
    }
    plain.shutdown(Duration::from_secs(5)).await;
    secured.shutdown(Duration::from_secs(5)).await;
}

/// The handshake may be sent elsewhere, with what does not belong to its origin alone; and the session is there then.
pub(crate) async fn redirections() {
    let (io, secrets) = (mirror(), ["authorization", "cookie"]);
    let listening = served(&io).await;
    let (certificate, trusting) = super::certificate::configs();
    let secured = io.listen_tls("127.0.0.1:0", Arc::clone(&certificate)).await.unwrap();
    let builder = |url: &str| {
        Client::builder(url).connector(Arc::new(TcpConnector::with_tls(Arc::clone(&trusting)))).config(|config| {
            config.extra_headers =
                secrets.iter().chain(&["x-more"]).map(|name| (name.to_string(), format!("{name} given"))).collect();
            config.with_credentials = true;
            config.reconnection = false;
        })
    };
    // To another origin, and from HTTP to HTTPS.
    for target in [url(&listening, ""), format!("https://localhost:{}", secured.local_addr().port())] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, to) = (Arc::clone(&seen), target.clone());
        let first = raw::http(move |request| {
            kept.lock().unwrap().push(request.clone());
            let target = request.line.split(' ').nth(1).unwrap();
            let headers = format!("set-cookie: own=1\r\nlocation: {to}{target}\r\n");
            Some(response("307 Temporary Redirect", &headers, ""))
        });
        let client = builder(&format!("http://{first}")).connect().await.unwrap();
        upgraded(&client, 2).await;
        for name in secrets {
            let value: Option<String> = client.emit_with_ack("header", name).await.unwrap();
            assert_eq!(value, None, "{target}");
        }
        let more: Option<String> = client.emit_with_ack("header", "x-more").await.unwrap();
        assert_eq!(more.as_deref(), Some("x-more given"));
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 1, "the handshake alone");
        assert_eq!(seen[0].header("authorization"), Some("authorization given"));
    }
    // Not from HTTPS to HTTP.
    let to = url(&listening, "");
    let first = raw::listen(move |stream| {
        let connection = crate::sockeye::rustls::ServerConnection::new(Arc::clone(&certificate)).unwrap();
        raw::requests(crate::sockeye::rustls::StreamOwned::new(connection, stream), |_| {
            Some(response("302 Found", &format!("location: {to}/socket.io/\r\n"), ""))
        });
    });
    let refused = builder(&format!("https://localhost:{}", first.port())).connect().await.unwrap_err();
    assert!(refused.to_string().starts_with("xhr poll error: ") && refused.to_string().contains("http"), "{refused}");
    // Not without end, and not on WebSocket.
    let count = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&count);
    let again = raw::http(move |_| {
        *counter.lock().unwrap() += 1;
        Some(response("302 Found", "location: ?again=1\r\n", ""))
    });
    let refused = builder(&format!("http://{again}")).connect().await.unwrap_err();
    assert!(refused.to_string().contains('5'), "{refused}");
    assert_eq!(std::mem::take(&mut *count.lock().unwrap()), 6);
    let websocket = builder(&format!("http://{again}")).config(|config| config.transports = vec![Transport::WebSocket]);
    let refused = websocket.connect().await.unwrap_err();
    assert_eq!(refused.to_string(), "websocket error: status 302");
    assert_eq!(*count.lock().unwrap(), 1);
    listening.shutdown(Duration::from_secs(5)).await;
    secured.shutdown(Duration::from_secs(5)).await;
}

/// Headers are asked for before each attempt, with what went wrong in hand, and go with every request of it.
pub(crate) async fn headers() {
    let io = mirror();
    let listening = served(&io).await;
    let (to, seen) = (listening.local_addr(), Arc::new(Mutex::new(Vec::new())));
    // In front of a server, who looks at the token.
    let kept = Arc::clone(&seen);
    let guard = raw::listen(move |stream| {
        let mut peeked = [0; 4_096];
        let head = loop {
            let count = stream.peek(&mut peeked).unwrap_or(0);
            let head = String::from_utf8_lossy(&peeked[..count]).to_lowercase();
            if count == 0 || head.contains("\r\n\r\n") {
                break head;
            }
        };
        if head.is_empty() {
            return;
        }
        kept.lock().unwrap().push(head.clone());
        match head.contains("authorization: bearer 3\r\n") {
            true => raw::join(stream, TcpStream::connect(to).unwrap()),
            false => raw::requests(stream, |_| Some(response("403 Forbidden", "", "\"another token\""))),
        }
    });
    let asked = Arc::new(Mutex::new(Vec::new()));
    let questions = Arc::clone(&asked);
    let builder =
        Client::builder(&format!("http://{guard}")).config(mode(2)).headers_with(move |request: HeadersRequest| {
            let error = request.last_error().map(ToString::to_string);
            let mut asked = questions.lock().unwrap();
            asked.push((request.attempt(), error));
            let token = format!("Bearer {}", asked.len());
            async move {
                if token.ends_with('2') { Err("no token to be had") } else { Ok(vec![("Authorization".into(), token)]) }
            }
        });
    let builder = builder.config(|config| config.extra_headers = vec![("x-more".into(), "more".into())]);
    let client = builder.connect().await.unwrap();
    upgraded(&client, 2).await;
    let expected = [(0, None), (1, Some("xhr poll error".into())), (2, Some("no token to be had".into()))];
    assert_eq!(*asked.lock().unwrap(), expected);
    let more: String = client.emit_with_ack("header", "x-more").await.unwrap();
    assert_eq!(more, "more");
    let seen = seen.lock().unwrap().clone();
    assert!(seen.iter().skip(1).all(|head| head.contains("authorization: bearer 3\r\n")), "{seen:#?}");
    assert!(seen.iter().any(|head| head.contains("upgrade: websocket\r\n")));
    drop(client);
    listening.shutdown(Duration::from_secs(5)).await;
}

/// As whom to connect is asked anew each time, with the refusal in hand.
pub(crate) async fn authentication(index: usize) {
    let io = mirror();
    io.middleware(async |handshake: Handshake| match handshake.auth::<BTreeMap<String, u32>>()?.get("token") {
        Some(2) => Ok::<_, BoxError>(()),
        token => Err(ConnectError::with_data("expired", &token)?.into()),
    });
    let listening = served(&io).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let questions = Arc::clone(&asked);
    let builder = Client::builder(&url(&listening, "/")).config(mode(index)).auth_with(move |request: AuthRequest| {
        let mut asked = questions.lock().unwrap();
        asked.push((request.namespace().to_string(), request.last_error().cloned()));
        let token = asked.len();
        async move { Ok::<_, BoxError>(BTreeMap::from([("token", token)])) }
    });
    let client = builder.start().unwrap();
    let refused = client.connected().await.unwrap_err();
    let Error::Refused(refusal) = &refused else { panic!("{refused}") };
    assert_eq!((&*refusal.message, refusal.data.as_ref().unwrap().raw()), ("expired", "1"));
    // It is final; whoever knows better asks again.
    assert!(!client.is_active());
    client.open();
    client.connected().await.unwrap();
    assert_eq!(*asked.lock().unwrap(), [("/".to_owned(), None), ("/".to_owned(), Some(refused))]);
    drop(client);
    listening.shutdown(Duration::from_secs(5)).await;
}

/// A server's cookies are kept and sent back, if that is wanted.
pub(crate) async fn cookies() {
    for with_credentials in [true, false] {
        let (sender, mut seen) = mpsc::unbounded();
        let server = raw::http(move |request: &Request| {
            let _ = sender.unbounded_send((request.line.clone(), request.header("cookie").map(ToOwned::to_owned)));
            match request {
                _ if request.line.contains("websocket") => Some(response("404 Not Found", "", "")),
                _ if request.line.starts_with("POST") => Some(response("200 OK", "", "ok")),
                _ if request.is_handshake() => {
                    let cookies = "set-cookie: a=1; Path=/; HttpOnly\r\nSet-Cookie: b=\"2\"; Max-Age=60\r\n\
                                   set-cookie: gone=1; Max-Age=0\r\n";
                    Some(response("200 OK", cookies, &OPEN.replace("[]", "[\"websocket\"]")))
                }
                _ => None,
            }
        });
        let builder = Client::builder(&format!("http://{server}"));
        let client = builder.config(|config| config.with_credentials = with_credentials).start().unwrap();
        let (line, cookie) = seen.next().await.unwrap();
        assert_eq!((line.contains("sid="), cookie), (false, None));
        // A GET, the POST of CONNECT, and the request for an upgrade.
        for _ in 0..3 {
            let (line, cookie) = seen.next().await.unwrap();
            assert!(line.contains("sid="), "{line}");
            assert_eq!(cookie.as_deref(), with_credentials.then_some("a=1; b=2"), "{line}");
        }
        drop(client);
    }
}

/// Tells of its attempts when they begin, and when they have led to something, or are dropped.
struct Watched {
    tcp: TcpConnector,
    told: mpsc::UnboundedSender<&'static str>,
}

/// One attempt.
struct Attempt {
    end: &'static str,
    told: mpsc::UnboundedSender<&'static str>,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let _ = self.told.unbounded_send(self.end);
    }
}

impl Connector for Watched {
    fn connect(&self, address: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> {
        let connecting = self.tcp.connect(address);
        let attempt = Attempt { end: "dropped", told: self.told.clone() };
        Box::pin(async move {
            let mut attempt = attempt;
            let _ = attempt.told.unbounded_send("begun");
            let connected = connecting.await;
            attempt.end = "done";
            connected
        })
    }
}

/// Ends what a client does; gives back what is left of it.
type End = fn(Client) -> Option<Client>;

/// A TCP connect, a TLS handshake, a request, and a wait for the next attempt end with whoever wanted them: nothing else
/// would end them.
pub(crate) async fn cancelling() {
    // What is left of the handle keeps nothing alive that was ended before.
    let ways: [(&str, End); 3] = [
        ("close", |client| {
            client.manager().close();
            Some(client)
        }),
        ("disconnect", |client| {
            client.disconnect();
            Some(client)
        }),
        ("drop", |_| None),
    ];
    let never = |config: &mut crate::sockeye::client::Config| {
        config.timeout = None;
        (config.reconnection_delay, config.reconnection_delay_max) = (Duration::from_secs(86_400), Duration::MAX);
    };
    // Accepts connections and says nothing: TLS waits for its answer. Tells when one has come, and when it ends.
    let (told, mut streams) = mpsc::unbounded();
    let silent = raw::listen(move |mut stream| {
        let mut ended = false;
        let mut buffer = [0; 1_024];
        while !ended {
            ended = !stream.read(&mut buffer).is_ok_and(|count| count > 0);
            let _ = told.unbounded_send(ended);
        }
    });
    for scheme in ["https", "http"] {
        for (_, end) in &ways {
            let client = Client::builder(&format!("{scheme}://{silent}")).config(never).start().unwrap();
            assert!(!streams.next().await.unwrap());
            let _kept = end(client);
            while !streams.next().await.unwrap() {}
        }
    }
    // A port whose queue is full: a TCP connect is not answered.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let full: TcpListener = socket.into();
    let address = full.local_addr().unwrap();
    let _queued = TcpStream::connect(address).unwrap();
    for (_, end) in &ways {
        let (told, mut attempts) = mpsc::unbounded();
        let connector = Arc::new(Watched { tcp: TcpConnector::default(), told });
        let client = Client::builder(&format!("http://{address}")).config(never).connector(connector).start().unwrap();
        assert_eq!(attempts.next().await, Some("begun"));
        let _kept = end(client);
        assert_eq!(attempts.next().await, Some("dropped"));
    }
    // Nobody listens: what is waited for is the next attempt, in a day.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (how, end) in &ways {
        let (told, attempts) = mpsc::unbounded();
        let connector = Arc::new(Watched { tcp: TcpConnector::default(), told });
        let builder = Client::builder(&format!("http://{nobody}")).config(never).connector(connector);
        let client = builder.auto_connect(false).start().unwrap();
        let mut events = client.events();
        client.open();
        assert!(matches!(events.next().await, Some(ClientEvent::ConnectError(_))));
        let kept = end(client);
        // `close` tells that it is not connected; then all is over, and with the client's task its connector.
        let told = events.map(|event| format!("{event:?}")).collect::<Vec<_>>().await;
        assert_eq!(told.len(), usize::from(*how == "close"), "{how}: {told:?}");
        drop(kept);
        assert_eq!(attempts.collect::<Vec<_>>().await, ["begun", "done"]);
    }
}

/// What one client learns of WebSocket, others know that share its memory; and no more.
pub(crate) async fn remembered_upgrades() {
    let io = mirror();
    io.on("began", async |socket: Socket, ack: Ack| ack.send(&socket.handshake().query("transport")));
    // Which transport a session began with: it may be another one by the time that its client is looked at.
    let began = async |client: &Client| client.emit_with_ack::<String>("began", &()).await.unwrap();
    let listening = served(&io).await;
    let memory = UpgradeMemory::default();
    let builder = || Client::builder(&url(&listening, "/")).config(mode(2));
    let first = builder().remember_upgrade(&memory).connect().await.unwrap();
    upgraded(&first, 2).await;
    assert!(memory.has_worked());
    let second = builder().remember_upgrade(&memory).connect().await.unwrap();
    assert_eq!(began(&second).await, "websocket");
    let other = builder().config(|config| config.remember_upgrade = true).connect().await.unwrap();
    assert_eq!(began(&other).await, "polling");
    // By itself it knows from the second connection on.
    upgraded(&other, 2).await;
    other.manager().close();
    other.open();
    other.connected().await.unwrap();
    assert_eq!(began(&other).await, "websocket");

    // A network without WebSockets: all learn of it.
    let (to, opened) = (listening.local_addr(), Arc::new(Mutex::new(0)));
    let counter = Arc::clone(&opened);
    let guard = raw::listen(move |stream| {
        let mut peeked = [0; 4_096];
        let count = stream.peek(&mut peeked).unwrap_or(0);
        if String::from_utf8_lossy(&peeked[..count]).contains("transport=websocket") {
            *counter.lock().unwrap() += 1;
            return;
        }
        raw::join(stream, TcpStream::connect(to).unwrap());
    });
    let builder = || Client::builder(&format!("http://{guard}")).config(mode(2)).remember_upgrade(&memory);
    let client = builder().config(|config| config.try_all_transports = true).connect().await.unwrap();
    assert_eq!((client.transport(), memory.has_worked()), (Some("polling"), false));
    assert_eq!(builder().connect().await.unwrap().transport(), Some("polling"));
    assert!(*opened.lock().unwrap() > 0);
    drop((first, second, other, client));
    listening.shutdown(Duration::from_secs(5)).await;
}
