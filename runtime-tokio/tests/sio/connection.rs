//! The options of a connection.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sockeye_tokio::rustls::{ServerConfig, pki_types::PrivateKeyDer};

use crate::{
    program::{Live, in_time, sio},
    server::{Peer, on_each, on_each_peer, own_port, runtime},
    sockeye::prelude::*,
};

/// The head of a request.
fn head(stream: &TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
    head
}

/// The first request of a command, which gets a refusal for an answer, and what the command says of it.
fn request(args: &[&str], url: &str) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("{}{url}", listener.local_addr().unwrap());
    let sio = Live::start(&[&["listen", &*url], args].concat());
    let head = in_time("a request", move || {
        let (mut stream, _) = listener.accept().unwrap();
        let head = head(&stream);
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        head
    });
    let done = sio.done();
    assert_eq!((done.code, &*done.out), (1, ""));
    (head, done.err)
}

#[test]
fn requests_are_as_the_options_say() {
    let (plain, why) = request(&[], "");
    assert!(plain.starts_with("GET /socket.io/?EIO=4&transport=polling&t="), "{plain}");
    assert_eq!(why, "error: / is not connected: xhr poll error: status 403\n");
    let (websocket, why) = request(&["-t", "websocket"], "/");
    assert!(websocket.starts_with("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"), "{websocket}");
    assert_eq!(why, "error: / is not connected: websocket error: status 403\n");
    let (first, _) = request(&["-t", "websocket,polling"], "/");
    assert!(first.contains("transport=websocket"), "{first}");
    let (first, _) = request(&["-t", "polling", "-t", "websocket"], "/");
    assert!(first.contains("transport=polling"), "{first}");

    let (other, _) = request(&["--path", "/io", "-q", "a=1 2", "-q", "b=c=d"], "/");
    assert!(other.starts_with("GET /io/?a=1%202&b=c%3Dd&EIO=4&"), "{other}");
    let (of_url, _) = request(&["-q", "a=1"], "/?b=2");
    assert!(of_url.contains("b=2") && !of_url.contains("a=1"), "{of_url}");
    for transport in ["polling", "websocket"] {
        let (headers, _) = request(&["-H", "X-One: 1", "-H", "x-two:a:b", "-t", transport], "/");
        let headers = headers.to_ascii_lowercase();
        assert!(headers.contains("\r\nx-one: 1\r\n") && headers.contains("\r\nx-two: a:b\r\n"), "{headers}");
    }
}

#[test]
fn auth_comes_from_the_command_line_or_a_file() {
    let file = std::env::temp_dir().join(format!("sio-auth-{}", std::process::id()));
    fs::write(&file, "{\"token\": \"file\"}\n").unwrap();
    let from_file = format!("@{}", file.display());
    on_each(|server| {
        let url = server.url("/");
        for (auth, token) in [(r#"{"token":"line"}"#, "line"), (&from_file, "file")] {
            let done = sio(&["listen", &url, "-c", "1", "--auth", auth]);
            assert_eq!((done.code, &*done.out), (0, &*format!("auth {{\"token\":\"{token}\"}}\n")));
        }
    });
    fs::remove_file(file).unwrap();
}

#[test]
fn polling_stays_polling_where_it_is_told_to() {
    on_each(|server| {
        let url = server.url("/");
        let stays = sio(&["listen", &url, "--no-upgrade", "-v", "--for", "0.7"]);
        assert!(stays.out.contains(", polling)\n") && !stays.out.contains("upgraded"), "{}", stays.out);
        let mut moves = Live::start(&["listen", &url, "-v"]);
        while moves.line() != "* upgraded to websocket" {}
        moves.signal("INT");
        assert_eq!(moves.done().code, 130);
    });
}

#[test]
fn a_server_that_is_not_there_is_waited_for_if_it_is_told_to() {
    on_each_peer(|peer| {
        let port = own_port();
        let url = format!("127.0.0.1:{port}");
        assert_eq!(sio(&["listen", &url]).code, 1);
        let mut waits =
            Live::start(&["listen", &url, "--wait", "-v", "-n", "/admin", "-c", "1", "--reconnect-delay", "0.1"]);
        assert!(waits.line().starts_with("* /admin is not connected: xhr poll error: cannot connect: "));
        assert_eq!(waits.line(), "* connecting again, attempt 1");
        let server = peer.start_at(port);
        let done = waits.done();
        assert_eq!((done.code, done.out.lines().last()), (0, Some("auth {}")), "{}", done.err);
        drop(server);

        let gives_up =
            sio(&["emit", &url, "a", "--wait", "--reconnect-attempts", "1", "--reconnect-delay", "0.1", "-v"]);
        assert_eq!(gives_up.code, 1);
        let why = gives_up.err.lines().last().unwrap();
        assert!(
            why.starts_with("error: xhr poll error: cannot connect: ") && why.ends_with(" (no attempt is left)"),
            "{why}"
        );
    });
}

#[test]
fn a_lost_connection_is_the_end_where_it_is_told_to() {
    on_each_peer(|peer| {
        let server = peer.start();
        let mut listen = Live::start(&["listen", &server.url("/"), "--no-reconnect", "-t", "websocket"]);
        let mut connect = Live::start(&["connect", &server.url("/"), "--no-reconnect", "-t", "websocket"]);
        assert_eq!((listen.line(), connect.line()), ("auth {}".into(), "< auth {}".into()));
        let input = connect.input.take();
        drop(server);
        for ended in [listen.done(), connect.done()] {
            assert_eq!((ended.code, &*ended.out), (1, ""));
            let why = ended.err.lines().last().unwrap();
            assert!(why.starts_with("error: / was disconnected: transport "), "{why}");
        }
        drop(input);
    });
}

#[test]
fn a_silent_server_is_told_from_one_that_closes() {
    let server = Peer::Node.start();
    let args = ["listen", &server.url("/"), "-v", "--json", "--no-reconnect", "-t", "websocket"];
    let mut listen = Live::start(&args);
    while !listen.line().contains("auth") {}
    server.freeze();
    let ended = listen.done();
    // The sum of the interval, for which a client takes a second at least, and the time for a ping to come.
    let line = r#"{"type":"disconnect","namespace":"/","reason":"ping timeout","details":"no ping within 3.5s"}"#;
    assert_eq!((ended.code, ended.out.lines().last()), (1, Some(line)));
    assert_eq!(ended.err, "error: / was disconnected: ping timeout (no ping within 3.5s)\n");
}

#[test]
fn a_server_that_does_not_answer_has_a_time_to() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = silent.local_addr().unwrap().to_string();
    let done = sio(&["emit", &url, "a", "--connect-timeout", "0.2"]);
    assert_eq!((done.code, &*done.err), (1, "error: / is not connected: timeout\n"));
    on_each(|server| {
        let endless = sio(&["emit", &server.url("/"), "echo-ack", "--ack", "--connect-timeout", "0"]);
        assert_eq!(endless.code, 0, "{}", endless.err);
    });
    // One that is connected, and says nothing of the namespace.
    thread::spawn(move || {
        let open = r#"0{"sid":"s","upgrades":[],"pingInterval":60000,"pingTimeout":60000,"maxPayload":1000}"#;
        for stream in silent.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                loop {
                    let request = head(&stream);
                    // The body of the one before may stand in front.
                    let (_, what) = request.split_at(request.find("/socket.io/").unwrap_or(request.len()));
                    let body = match () {
                        () if what.is_empty() => return,
                        () if request.contains("POST /") => "ok",
                        () if !what.contains("sid=") => open,
                        // A poll: there is nothing.
                        () => {
                            thread::sleep(Duration::from_millis(20));
                            "6"
                        }
                    };
                    let length = body.len();
                    // Fails when the client has gone.
                    let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                }
            });
        }
    });
    let done = sio(&["emit", &url, "a", "--connect-timeout", "0.2"]);
    let why = "error: / is not connected: the server has not connected the namespace within 200ms\n";
    assert_eq!((done.code, &*done.err), (1, why));
}

#[test]
fn certificates_of_a_file_are_trusted() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = std::env::temp_dir().join(format!("sio-ca-{}.pem", std::process::id()));
    let text = STANDARD.encode(certified.cert.der());
    fs::write(&file, format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")).unwrap();
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let certificates = vec![certified.cert.der().clone()];
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    let io = Server::new(Config::default());
    io.on("add", async |Args((a, b)): Args<(i64, i64)>, ack: Ack| ack.send(&(a + b)));
    let listening = runtime().block_on(io.listen_tls("127.0.0.1:0", Arc::new(config))).unwrap();
    let port = listening.local_addr().port();
    for scheme in ["https", "wss"] {
        for transport in ["polling", "websocket"] {
            let url = format!("{scheme}://localhost:{port}");
            let add = ["emit", &url, "add", "1", "2", "--ack", "-t", transport];
            let trusted = sio(&[&add[..], &["--ca-cert", file.to_str().unwrap()]].concat());
            assert_eq!((trusted.code, &*trusted.out, &*trusted.err), (0, "3\n", ""));
            let refused = sio(&add);
            assert!(refused.code == 1 && refused.err.contains(": TLS: "), "{}", refused.err);
        }
    }
    fs::remove_file(file).unwrap();
}
