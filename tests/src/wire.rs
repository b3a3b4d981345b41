//! A TCP connection of which every byte is ours.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// How long anything may take that has no deadline in the protocol.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Why no more bytes can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed the connection.
    Eof,
    /// The peer reset the connection.
    Reset,
    /// The peer did nothing in time.
    Timeout,
}

/// A TCP connection and what was read from it but not used yet.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects to a port of this machine.
    pub fn open(port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, buffer: Vec::new() }
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// The peer has closed the connection, or takes nothing for [`PATIENCE`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), End> {
        match self.send_some(bytes, PATIENCE)? {
            sent if sent == bytes.len() => Ok(()),
            _ => Err(End::Timeout),
        }
    }

    /// Writes until the peer has taken nothing for `wait`; the number of bytes that were taken.
    ///
    /// # Errors
    ///
    /// The peer has closed the connection.
    pub fn send_some(&mut self, bytes: &[u8], wait: Duration) -> Result<usize, End> {
        self.stream.set_write_timeout(Some(wait)).unwrap();
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(written) => sent += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(error.kind()) => break,
                Err(_) => return Err(End::Reset),
            }
        }
        Ok(sent)
    }

    /// Waits until the peer has read all that was sent: what is sent on another connection from now on comes later.
    pub fn settle(&self) {
        let read = eventually(PATIENCE, || self.peer_field(4)?.ends_with(":00000000").then_some(()));
        read.expect("the server reads what was sent");
    }

    /// Whether the peer's process still has its end of the connection, which it may have half closed.
    pub fn is_held(&self) -> bool {
        self.peer_field(9).is_some_and(|inode| inode != "0")
    }

    /// What the kernel knows of the peer's end (proc_net_tcp(5)).
    fn peer_field(&self, index: usize) -> Option<String> {
        let [peer, own] = [self.stream.peer_addr(), self.stream.local_addr()].map(|address| address.map(|a| a.port()));
        let ends = format!("0100007F:{:04X} 0100007F:{:04X} ", peer.ok()?, own.ok()?);
        let table = fs::read_to_string("/proc/net/tcp").expect("the table of connections");
        let line = table.lines().find(|line| line.contains(&ends))?;
        line.split_whitespace().nth(index).map(str::to_owned)
    }

    /// Ends our direction; the peer's stays open.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// What was read and not used.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes the first bytes of what was read.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        self.buffer.drain(..count).collect()
    }

    /// Reads at least one byte more.
    ///
    /// # Errors
    ///
    /// The connection ended, or nothing came until `deadline`.
    pub fn read(&mut self, deadline: Instant) -> Result<(), End> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(End::Eof),
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(error.kind()) => {
                    if Instant::now() >= deadline {
                        return Err(End::Timeout);
                    }
                }
                Err(_) => return Err(End::Reset),
            }
        }
    }

    /// Reads and forgets until the connection ends; how it did.
    pub fn end(&mut self, wait: Duration) -> End {
        let deadline = Instant::now() + wait;
        loop {
            self.buffer.clear();
            if let Err(end) = self.read(deadline) {
                return end;
            }
        }
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Tries until `attempt` gives something, or `wait` is over.
pub fn eventually<T>(wait: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + wait;
    loop {
        if let Some(result) = attempt() {
            return Some(result);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
