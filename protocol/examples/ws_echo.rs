//! A bare WebSocket echo server on blocking sockets, one thread per connection: `ws::Stream` without any runtime.
//!
//! `cargo run --release -p sockeye-protocol --example ws_echo -- --port 9001`
#![allow(clippy::disallowed_methods, reason = "a driver is where the clock belongs")]

use std::{
    env,
    error::Error,
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::{self, Duration},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{Buf, BytesMut};
use sockeye_protocol::{
    Instant,
    ws::{Event, Role, Settings, Stream, TransmitQueue, accept_key},
};

const READ_SIZE: usize = 64 * 1024;
const MAX_HEAD: usize = 16 * 1024;
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let port: u16 = match (args.next().as_deref(), args.next()) {
        (Some("--port"), Some(port)) => port.parse()?,
        (None, _) => 0,
        _ => return Err("usage: ws_echo [--port P]".into()),
    };
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?);
    for socket in listener.incoming().flatten() {
        thread::spawn(move || {
            if let Err(error) = serve(&socket)
                && error.kind() != ErrorKind::ConnectionReset
            {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

/// The opening handshake, then the run loop of a stream.
fn serve(mut socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut buffer = BytesMut::new();
    let Some(response) = handshake(socket, &mut buffer)? else {
        return Ok(());
    };
    socket.write_all(response.as_bytes())?;
    if !response.starts_with("HTTP/1.1 101") {
        return Ok(());
    }

    let epoch = time::Instant::now();
    let now = || Instant::ZERO + epoch.elapsed();
    let settings = Settings { max_message: MAX_MESSAGE, ..Settings::new(Role::Server) };
    let mut stream = Stream::new(settings, None);
    // What came with the request is handled like all that follows.
    stream.handle_bytes(&mut buffer);
    loop {
        while let Some(event) = stream.poll_event(now()) {
            if let Event::Message(message) = event {
                stream.send(&message);
                write(socket, stream.transmit())?;
            }
        }
        write(socket, stream.transmit())?;
        if stream.is_finished() {
            break;
        }
        let wait = stream.poll_timeout().map(|deadline| deadline - now());
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        match read(socket, &mut buffer) {
            Ok(true) => stream.handle_bytes(&mut buffer),
            Ok(false) => stream.handle_eof(),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                stream.handle_timeout(now());
            }
            Err(error) => return Err(error),
        }
    }
    // A socket that is dropped with unread input resets the connection, and the peer may lose our close frame.
    socket.shutdown(Shutdown::Write)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut left: usize = 1024;
    while left > 0 && read(socket, &mut buffer).unwrap_or(false) {
        left = left.saturating_sub(1);
        buffer.clear();
    }
    Ok(())
}

/// Reads what has arrived to the end of `buffer`; `false` at the end of the byte stream.
fn read(mut socket: &TcpStream, buffer: &mut BytesMut) -> io::Result<bool> {
    let start = buffer.len();
    buffer.resize(start.saturating_add(READ_SIZE), 0);
    let result = socket.read(buffer.get_mut(start..).unwrap_or_default());
    let count = result.as_ref().map_or(0, |count| *count);
    buffer.truncate(start.saturating_add(count));
    result.map(|count| count > 0)
}

fn write(mut socket: &TcpStream, queue: &mut TransmitQueue) -> io::Result<()> {
    while queue.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = queue.chunks_vectored(&mut slices);
        let written = socket.write_vectored(slices.get(..count).unwrap_or_default())?;
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        queue.advance(written);
    }
    Ok(())
}

/// The response to the request, whose head is removed from `buffer`; `None` if the peer left before its end.
fn handshake(socket: &TcpStream, buffer: &mut BytesMut) -> io::Result<Option<String>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(buffer) {
            Ok(httparse::Status::Complete(len)) => {
                let response = respond(&request);
                buffer.advance(len);
                return Ok(Some(response));
            }
            Ok(httparse::Status::Partial) if buffer.len() < MAX_HEAD => {}
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Ok(Some(refuse("431 Request Header Fields Too Large", "")));
            }
            Err(_) => return Ok(Some(refuse("400 Bad Request", ""))),
        }
        if !read(socket, buffer)? {
            return Ok(None);
        }
    }
}

/// RFC 6455, 4.2.1 and 4.2.2.
fn respond(request: &httparse::Request<'_, '_>) -> String {
    let values = |name: &'static str| {
        request
            .headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .filter_map(|header| str::from_utf8(header.value).ok())
    };
    let lists = |name, token: &str| {
        values(name).flat_map(|list| list.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
    };
    let single = |name| {
        let mut values = values(name);
        values.next().filter(|_| values.next().is_none())
    };
    if request.method != Some("GET")
        || request.version != Some(1)
        || single("Host").is_none()
        || !lists("Upgrade", "websocket")
        || !lists("Connection", "upgrade")
    {
        return refuse("400 Bad Request", "");
    }
    if single("Sec-WebSocket-Version") != Some("13") {
        return refuse("426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n");
    }
    let key =
        single("Sec-WebSocket-Key").filter(|key| BASE64_STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16));
    let Some(key) = key else {
        return refuse("400 Bad Request", "");
    };
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    )
}

fn refuse(status: &str, header: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{header}Content-Length: 0\r\n\r\n")
}
