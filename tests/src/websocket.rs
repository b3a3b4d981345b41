//! WebSocket frames, right and wrong ones.

use std::time::{Duration, Instant};

use crate::wire::{End, Wire};

/// A continuation frame's opcode.
pub const CONTINUATION: u8 = 0x0;
/// A text frame's opcode.
pub const TEXT: u8 = 0x1;
/// A binary frame's opcode.
pub const BINARY: u8 = 0x2;
/// A close frame's opcode.
pub const CLOSE: u8 = 0x8;
/// A ping frame's opcode.
pub const PING: u8 = 0x9;
/// A pong frame's opcode.
pub const PONG: u8 = 0xa;

/// The bit that marks the last frame of a message.
pub const FIN: u8 = 0x80;

const MASK: [u8; 4] = [0x5a, 0x00, 0xff, 0x21];

/// How the length of a frame is written.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// 7 bits.
    Short,
    /// 126 and 16 bits.
    Medium,
    /// 127 and 64 bits.
    Long,
}

/// The header of a masked frame that declares `length`.
pub fn header(first: u8, form: Form, length: u64) -> Vec<u8> {
    let mut out = vec![first];
    match form {
        Form::Short => out.push(0x80 | u8::try_from(length).unwrap()),
        Form::Medium => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        Form::Long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out
}

/// Payload as it follows a header of [`header`], from its beginning.
pub fn masked(payload: &[u8]) -> Vec<u8> {
    payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

/// A masked frame with this first byte (FIN, RSV and opcode), its length in the shortest form.
pub fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let form = match payload.len() {
        ..126 => Form::Short,
        126..65_536 => Form::Medium,
        _ => Form::Long,
    };
    let mut out = header(first, form, payload.len() as u64);
    out.extend_from_slice(&masked(payload));
    out
}

/// A whole message, or a control frame.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    raw(FIN | opcode, payload)
}

/// A whole text message.
pub fn text(payload: &str) -> Vec<u8> {
    frame(TEXT, payload.as_bytes())
}

/// A close frame.
pub fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// A frame that is not masked, as a client must not send it.
pub fn unmasked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![FIN | opcode, u8::try_from(payload.len()).unwrap()];
    out.extend_from_slice(payload);
    out
}

/// What a server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A close frame: its code, if it has a body, and its text.
    Close(Option<u16>, String),
    /// No more comes, and why.
    End(End),
}

impl Wire {
    /// The next message or control frame. A server's frame that breaks RFC 6455 panics.
    pub fn event(&mut self, wait: Duration) -> Event {
        let deadline = Instant::now() + wait;
        loop {
            if let Some((first, payload)) = self.server_frame() {
                assert_eq!(first & 0x70, 0, "no extension was agreed on");
                assert_eq!(first & FIN, FIN, "this server never fragments");
                return match first & 0x0f {
                    TEXT => Event::Text(String::from_utf8(payload).expect("UTF-8")),
                    BINARY => Event::Binary(payload),
                    PING => Event::Ping(payload),
                    PONG => Event::Pong(payload),
                    CLOSE => close_event(&payload),
                    opcode => panic!("opcode {opcode} from the server"),
                };
            }
            if let Err(end) = self.read(deadline) {
                return Event::End(end);
            }
        }
    }

    fn server_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let buffer = self.buffered();
        let (&first, &second) = (buffer.first()?, buffer.get(1)?);
        assert_eq!(second & 0x80, 0, "a server's frame is not masked");
        let (start, length) = match second {
            126 => (4, u16::from_be_bytes(buffer.get(2..4)?.try_into().unwrap()).into()),
            127 => (10, u64::from_be_bytes(buffer.get(2..10)?.try_into().unwrap())),
            length => (2, length.into()),
        };
        let shortest = match start {
            4 => length > 125,
            10 => length > 65_535,
            _ => true,
        };
        assert!(shortest, "the length {length} in {start} bytes");
        let end = start + usize::try_from(length).unwrap();
        buffer.get(start..end)?;
        let frame = self.take(end);
        Some((first, frame[start..].to_vec()))
    }
}

fn close_event(payload: &[u8]) -> Event {
    let Some((code, reason)) = payload.split_at_checked(2) else {
        assert!(payload.is_empty(), "a close frame of one byte");
        return Event::Close(None, String::new());
    };
    let code = u16::from_be_bytes(code.try_into().unwrap());
    Event::Close(Some(code), String::from_utf8(reason.to_vec()).expect("UTF-8"))
}
