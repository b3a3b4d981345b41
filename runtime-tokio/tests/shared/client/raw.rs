//! Servers that answer what a test says, by threads.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Method, target and version.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    /// How many there were before it on its connection.
    pub(crate) before: usize,
}

impl Request {
    /// The value of a header, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether it is a handshake.
    pub(crate) fn is_handshake(&self) -> bool {
        !self.line.contains("sid=")
    }
}

/// The open packet of a session that stays on polling.
pub(crate) const OPEN: &str =
    r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

/// An answer with a body, and more headers, each with its line end.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// Listens, and has each connection served by a thread of its own.
pub(crate) fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (serve, stream) = (Arc::clone(&serve), stream.unwrap());
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A server of HTTP. Where there is no answer, the connection stays open and silent.
pub(crate) fn http(answer: impl Fn(&Request) -> Option<String> + Send + Sync + 'static) -> SocketAddr {
    listen(move |stream| requests(stream, &answer))
}

/// Answers the requests of a connection.
pub(crate) fn requests(stream: impl Read + Write, answer: impl Fn(&Request) -> Option<String>) {
    let mut stream = BufReader::new(stream);
    for before in 0.. {
        let (mut lines, mut line) = (Vec::new(), String::new());
        while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
            lines.push(line.trim_end().to_owned());
            line.clear();
        }
        let mut lines = lines.into_iter();
        let Some(first) = lines.next() else { return };
        let headers: Vec<(String, String)> =
            lines.filter_map(|line| line.split_once(": ").map(|(name, value)| (name.into(), value.into()))).collect();
        let request = Request { line: first, headers, before };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        if stream.read_exact(&mut vec![0; length]).is_err() {
            return;
        }
        let Some(answer) = answer(&request) else {
            // Until the client goes.
            let _ = stream.read(&mut [0; 1]);
            return;
        };
        if stream.get_mut().write_all(answer.as_bytes()).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

/// Carries bytes both ways until one side has enough.
pub(crate) fn join(one: TcpStream, other: TcpStream) {
    let carry = |mut from: TcpStream, mut to: TcpStream| {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    };
    let (from, to) = (one.try_clone().unwrap(), other.try_clone().unwrap());
    thread::spawn(move || carry(from, to));
    carry(other, one);
}
