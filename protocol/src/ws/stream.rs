//! One side of a WebSocket connection as a state machine.

use alloc::boxed::Box;

use bytes::{Bytes, BytesMut};

use super::{
    CloseFrame, Closing, Error, Event, Message, Role, Settings, TransmitQueue,
    assemble::{Assembly, Kind},
    close::encode_body,
    frame::{Header, MAX_CONTROL, Opcode},
    inbound::Inbound,
    mask,
    utf8::Utf8,
};
use crate::{Instant, Seed, rng::Rng};

/// One side of a WebSocket connection, from the end of the opening handshake on.
///
/// Its methods are of four classes, and any of them may be called at any time:
///
/// - inputs: [`handle_bytes`](Self::handle_bytes), [`handle_eof`](Self::handle_eof),
///   [`handle_timeout`](Self::handle_timeout). They store; nothing is parsed before it is asked for, so a caller that
///   does not poll pushes back.
/// - verbs: [`send`](Self::send), [`ping`](Self::ping), [`close`](Self::close).
/// - outputs: [`poll_event`](Self::poll_event), [`poll_timeout`](Self::poll_timeout) and
///   [`transmit`](Self::transmit). After any call there may be something to transmit.
/// - getters: [`queue`](Self::queue), [`is_closing`](Self::is_closing), [`is_finished`](Self::is_finished),
///   [`buffered`](Self::buffered).
///
/// The events and the transmitted bytes do not depend on how the peer's bytes are cut into pieces. An idle stream holds
/// no memory but its own.
#[derive(Debug)]
pub struct Stream {
    settings: Settings,
    /// Draws the masks of a client.
    rng: Option<Box<Rng>>,
    inbound: Inbound,
    /// The frame whose header is read and whose payload is not complete.
    frame: Option<Frame>,
    /// The fragmented message that is not complete.
    assembly: Option<Box<Assembly>>,
    /// How far the text of the unfinished message is checked.
    utf8: Utf8,
    queue: TransmitQueue,
    deadline: Option<Instant>,
    close_sent: bool,
    /// The closing event has been given out: input is discarded.
    closed: bool,
    eof: bool,
    expired: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    opcode: Opcode,
    mask: Option<[u8; 4]>,
    len: usize,
    /// How much of the payload is unmasked, and checked if it is text.
    scanned: usize,
}

impl Stream {
    /// A stream whose opening handshake is done. A client draws its masks from `seed` (RFC 6455, 5.3 wants them
    /// unpredictable, so every connection needs a seed of its own); without one they are fixed, which is for tests. A
    /// server needs none.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let drawn = [7; 32];
    /// let server = Stream::new(Settings::new(Role::Server), None);
    /// let client = Stream::new(Settings::new(Role::Client), Some(&Seed(drawn)));
    /// # }
    /// ```
    pub fn new(settings: Settings, seed: Option<&Seed>) -> Self {
        let rng = match settings.role {
            Role::Server => None,
            Role::Client => Some(Box::new(Rng::new(seed.unwrap_or(&Seed([0; 32]))))),
        };
        // No buffer is larger, and so the sums below cannot overflow.
        let max_message = settings.max_message.min(isize::MAX.unsigned_abs());
        Self {
            settings: Settings { max_message, ..settings },
            rng,
            inbound: Inbound::default(),
            frame: None,
            assembly: None,
            utf8: Utf8::default(),
            queue: TransmitQueue::default(),
            deadline: None,
            close_sent: false,
            closed: false,
            eof: false,
            expired: false,
        }
    }

    /// Takes all bytes of `buffer`, without a copy when none are stored. They are parsed by
    /// [`poll_event`](Self::poll_event), which also lets go of the memory of `buffer` unless a large payload keeps it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (_, mut server) = pair();
    /// // A frame with the text `hi`; its mask is zero.
    /// let mut read = BytesMut::from(&b"\x81\x82\0\0\0\0hi"[..]);
    /// server.handle_bytes(&mut read);
    /// assert!(read.is_empty());
    /// assert_eq!(server.poll_event(NOW), Some(Event::Message(Message::Text("hi".into()))));
    /// # }
    /// ```
    pub fn handle_bytes(&mut self, buffer: &mut BytesMut) {
        let backing = buffer.capacity();
        self.take_bytes(buffer.split(), backing);
    }

    /// The byte stream ended or failed. What arrived before is still parsed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (_, mut server) = pair();
    /// server.handle_eof();
    /// assert_eq!(server.poll_event(NOW), Some(Event::Closing(Closing::Eof)));
    /// # }
    /// ```
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// The next event, `None` if more bytes are needed. Parses at most one message per call.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (mut client, mut server) = pair();
    /// client.send(&Message::Text("one".into()));
    /// client.send(&Message::Binary(Bytes::from_static(b"two")));
    /// carry(&mut client, &mut server);
    /// assert_eq!(server.poll_event(NOW), Some(Event::Message(Message::Text("one".into()))));
    /// assert_eq!(server.poll_event(NOW), Some(Event::Message(Message::Binary(Bytes::from_static(b"two")))));
    /// assert_eq!(server.poll_event(NOW), None);
    /// # }
    /// ```
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        while !self.closed {
            match self.step() {
                Ok(Step::Event(Event::Closing(closing))) => return Some(self.end(now, closing)),
                // A message that crossed our close frame has no receiver any more.
                Ok(Step::Event(_)) if self.close_sent => {}
                Ok(Step::Event(event)) => return Some(event),
                Ok(Step::Again) => {}
                Ok(Step::Wait) => {
                    self.inbound.settle();
                    if !self.eof {
                        return None;
                    }
                    return Some(self.end(now, Closing::Eof));
                }
                Err(error) => return Some(self.end(now, Closing::Violation(error))),
            }
        }
        None
    }

    /// Tells that it is `now`. A call before [`poll_timeout`](Self::poll_timeout) is due does nothing.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (_, mut server) = pair();
    /// server.close(NOW, Some(1001), "");
    /// let deadline = server.poll_timeout().unwrap();
    /// server.handle_timeout(deadline); // The client has not answered.
    /// assert!(server.is_finished());
    /// # }
    /// ```
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.expired = true;
            self.queue.clear();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called: the end of [`Settings::close_timeout`], when a
    /// peer that has not answered our close frame, or not taken what is queued, is given up and the queue is dropped.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (_, mut server) = pair();
    /// assert_eq!(server.poll_timeout(), None);
    /// server.close(NOW, Some(1001), "");
    /// assert_eq!(server.poll_timeout(), Some(NOW + Settings::new(Role::Server).close_timeout));
    /// # }
    /// ```
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.is_finished() || !self.queue.is_empty())
    }

    /// Queues a message. Ignored once the connection is closing.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (_, mut server) = pair();
    /// server.send(&Message::Text("hi".into()));
    /// assert_eq!(server.transmit().chunk(), b"\x81\x02hi");
    /// # }
    /// ```
    pub fn send(&mut self, message: &Message) {
        match message {
            Message::Text(text) => self.push(Opcode::Text, &[], Some(text.as_shared())),
            Message::Binary(bytes) => self.push(Opcode::Binary, &[], Some(bytes)),
        }
    }

    /// Queues a ping with at most 125 bytes of payload (RFC 6455, 5.5.2); more are cut off. It counts as a packet.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (mut client, mut server) = pair();
    /// server.ping(b"42");
    /// carry(&mut server, &mut client);
    /// assert_eq!(client.poll_event(NOW), None); // It answers by itself.
    /// carry(&mut client, &mut server);
    /// assert_eq!(server.poll_event(NOW), Some(Event::Pong(Bytes::from_static(b"42"))));
    /// # }
    /// ```
    pub fn ping(&mut self, payload: &[u8]) {
        let payload = payload.get(..MAX_CONTROL).unwrap_or(payload);
        self.push(Opcode::Ping, &[payload], None);
    }

    /// Queues a close frame, once: later calls and later sends are ignored. Without a code its body is empty; a code that
    /// may not be on the wire (RFC 6455, 7.4) becomes 1000; a reason is cut to 123 bytes. The peer's messages are
    /// discarded from here on, and [`Settings::close_timeout`] begins.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (mut client, mut server) = pair();
    /// server.close(NOW, Some(1001), "going away");
    /// carry(&mut server, &mut client);
    /// let Some(Event::Closing(Closing::Peer(Some(CloseFrame { code, reason })))) = client.poll_event(NOW) else { panic!() };
    /// assert_eq!((code, &*reason), (1001, "going away"));
    /// # }
    /// ```
    pub fn close(&mut self, now: Instant, code: Option<u16>, reason: &str) {
        if !self.is_closing() {
            self.queue_close(now, code, reason);
        }
    }

    /// What is to be written to the peer.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (_, mut server) = pair();
    /// server.send(&Message::Text("hi".into()));
    /// let written = server.transmit().chunk().len(); // By the operating system.
    /// server.transmit().advance(written);
    /// assert!(!server.transmit().has_remaining());
    /// # }
    /// ```
    pub fn transmit(&mut self) -> &mut TransmitQueue {
        &mut self.queue
    }

    /// What is to be written to the peer, to look at.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (_, mut server) = pair();
    /// server.send(&Message::Text("hi".into()));
    /// assert_eq!(server.queue().remaining(), 4);
    /// # }
    /// ```
    pub fn queue(&self) -> &TransmitQueue {
        &self.queue
    }

    /// Whether a close frame was sent or received, or the byte stream ended.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (_, mut server) = pair();
    /// assert!(!server.is_closing());
    /// server.close(NOW, None, "");
    /// assert!(server.is_closing() && !server.is_finished());
    /// # }
    /// ```
    pub fn is_closing(&self) -> bool {
        self.close_sent || self.closed || self.eof
    }

    /// Whether the connection is over: both close frames are exchanged, the peer broke the protocol (RFC 6455, 7.1.7),
    /// [`Settings::close_timeout`] is over, or the byte stream ended. Write what is queued, then drop the byte stream.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (mut client, mut server) = pair();
    /// server.close(NOW, None, "");
    /// carry(&mut server, &mut client);
    /// client.poll_event(NOW); // It answers by itself.
    /// carry(&mut client, &mut server);
    /// server.poll_event(NOW);
    /// assert!(client.is_finished() && server.is_finished());
    /// # }
    /// ```
    pub fn is_finished(&self) -> bool {
        self.closed || self.eof || self.expired
    }

    /// Bytes from the peer that are held: unparsed ones and an unfinished message. When
    /// [`poll_event`](Self::poll_event) has returned `None` these are at most [`Settings::max_message`] and a header.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/ws.rs"));
    /// # fn main() {
    /// # let (_, mut server) = pair();
    /// server.handle_bytes(&mut BytesMut::from(&b"\x81\x82\0\0"[..]));
    /// assert_eq!(server.poll_event(NOW), None);
    /// assert_eq!(server.buffered(), 4);
    /// # }
    /// ```
    pub fn buffered(&self) -> usize {
        self.inbound.len().saturating_add(self.assembled())
    }
}

/// For Engine.IO, which counts in packets of several frames and encodes once for many recipients.
impl Stream {
    /// Takes bytes that were split off a buffer with a capacity of `backing`, and so keep all of it alive.
    pub(crate) fn take_bytes(&mut self, bytes: BytesMut, backing: usize) {
        if !self.closed && !self.eof {
            self.inbound.push(bytes, backing);
        }
    }

    /// Whether all that was read is parsed, so that there is no event before more comes: the usual case behind a message. Lets
    /// go of the caller's buffer then, as [`poll_event`](Self::poll_event) would.
    pub(crate) fn settle(&mut self) -> bool {
        let is_all = self.inbound.len() == 0 && !self.eof;
        if is_all {
            self.inbound.settle();
        }
        is_all
    }

    /// From here to [`Self::end_packet`] all that is sent is one packet.
    pub(crate) fn begin_packet(&mut self) {
        if !self.is_closing() {
            self.queue.begin_packet();
        }
    }

    pub(crate) fn end_packet(&mut self) {
        self.queue.end_packet();
    }

    /// Queues a text message: `parts` are copied, `tail` follows them and is shared if it is large. Together they must be
    /// UTF-8.
    pub(crate) fn send_text_parts(&mut self, parts: &[&[u8]], tail: Option<&Bytes>) {
        self.push(Opcode::Text, parts, tail);
    }

    pub(crate) fn send_binary(&mut self, payload: &Bytes) {
        self.push(Opcode::Binary, &[], Some(payload));
    }

    /// Queues a frame that `encode_frame` made: as it is for a server, and masked, since it must be, for a client.
    pub(crate) fn send_frame(&mut self, frame: &Bytes) {
        if self.is_closing() {
            return;
        }
        if self.rng.is_none() {
            self.queue.push_encoded(frame);
        } else if let Ok(Some((header, len))) = Header::decode(frame, Role::Client) {
            let payload = frame.get(len..).unwrap_or_default();
            self.push(header.opcode, &[payload], None);
        }
    }
}

enum Step {
    Event(Event),
    /// A frame was taken that makes no event.
    Again,
    /// More bytes are needed.
    Wait,
}

impl Stream {
    /// Takes at most one frame.
    fn step(&mut self) -> Result<Step, Error> {
        let Some(mut frame) = self.next_frame()? else {
            return Ok(Step::Wait);
        };
        let available = self.inbound.len().min(frame.len);
        let whole = available == frame.len;
        // A message is checked as a whole when it is whole; until then, since 8.1 and 7.1.7 want a bad byte found as soon
        // as it arrives, what is new is.
        let unfinished = !whole || !frame.fin;
        let check = unfinished && !frame.opcode.is_control() && self.kind(frame.opcode) == Kind::Text;
        let fresh = self.inbound.range_mut(frame.scanned, available);
        if let Some(mask) = frame.mask {
            mask::apply(mask, frame.scanned, fresh);
        }
        if check {
            self.utf8.feed(fresh)?;
        }
        frame.scanned = available;
        if !whole {
            self.frame = Some(frame);
            return Ok(Step::Wait);
        }
        if frame.opcode.is_control() { self.control(frame) } else { self.data(frame) }
    }

    /// The frame that is being read, else a new one.
    fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        match self.frame.take() {
            Some(frame) => Ok(Some(frame)),
            None => self.header(),
        }
    }

    /// Reads a frame header and checks it against what came before.
    fn header(&mut self) -> Result<Option<Frame>, Error> {
        let Some((header, header_len)) = Header::decode(self.inbound.bytes(), self.settings.role)? else {
            return Ok(None);
        };
        if !header.opcode.is_control() {
            // 5.4: fragments of one message must not be interleaved with another's.
            match (header.opcode, &self.assembly) {
                (Opcode::Continuation, None) => return Err(Error::UnexpectedContinuation),
                (Opcode::Text | Opcode::Binary, Some(_)) => {
                    return Err(Error::ExpectedContinuation);
                }
                _ => {}
            }
            let limit = self.settings.max_message;
            let found = header.len.saturating_add(self.assembled() as u64);
            if found > limit as u64 {
                return Err(Error::MessageTooBig { limit, found });
            }
        }
        self.inbound.skip(header_len);
        Ok(Some(Frame {
            fin: header.fin,
            opcode: header.opcode,
            mask: header.mask,
            len: usize::try_from(header.len).unwrap_or(usize::MAX),
            scanned: 0,
        }))
    }

    fn control(&mut self, frame: Frame) -> Result<Step, Error> {
        let payload = self.inbound.take(frame.len);
        Ok(match frame.opcode {
            Opcode::Close => Step::Event(Event::Closing(Closing::Peer(CloseFrame::decode(&payload)?))),
            Opcode::Pong => Step::Event(Event::Pong(payload)),
            // 5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response". Behind our close
            // frame there is no place for one.
            _ if self.close_sent => Step::Again,
            _ => {
                let mask = self.mask();
                self.queue.push_pong(mask, &payload);
                Step::Again
            }
        })
    }

    fn data(&mut self, frame: Frame) -> Result<Step, Error> {
        let message = match (self.assembly.take(), frame.fin) {
            (None, true) => {
                let payload = self.inbound.take(frame.len);
                self.kind(frame.opcode).message(payload)?
            }
            (assembly, fin) => {
                let kind = self.kind(frame.opcode);
                let mut assembly = assembly.unwrap_or_else(|| Box::new(Assembly::new(kind)));
                let fragment = self.inbound.range_mut(0, frame.len);
                if fin {
                    let message = assembly.finish(fragment)?;
                    self.inbound.skip(frame.len);
                    message
                } else {
                    assembly.push(fragment, self.settings.max_empty_fragments)?;
                    self.inbound.skip(frame.len);
                    self.assembly = Some(assembly);
                    return Ok(Step::Again);
                }
            }
        };
        self.utf8 = Utf8::default();
        Ok(Step::Event(Event::Message(message)))
    }

    fn kind(&self, opcode: Opcode) -> Kind {
        match (&self.assembly, opcode) {
            (Some(assembly), _) => assembly.kind,
            (None, Opcode::Text) => Kind::Text,
            (None, _) => Kind::Binary,
        }
    }

    fn assembled(&self) -> usize {
        self.assembly.as_ref().map_or(0, |assembly| assembly.len())
    }

    /// Answers the end of the connection and frees what was stored for it.
    fn end(&mut self, now: Instant, closing: Closing) -> Event {
        match &closing {
            // 5.5.1: "When sending a Close frame in response, the endpoint typically echos the status code it received."
            Closing::Peer(frame) => {
                self.queue_close(now, frame.as_ref().map(|frame| frame.code), "");
            }
            Closing::Violation(error) => self.queue_close(now, Some(error.close_code()), ""),
            Closing::Eof => self.start_deadline(now),
        }
        self.closed = true;
        self.inbound.clear();
        self.frame = None;
        self.assembly = None;
        self.utf8 = Utf8::default();
        Event::Closing(closing)
    }

    fn queue_close(&mut self, now: Instant, code: Option<u16>, reason: &str) {
        if !self.close_sent {
            self.close_sent = true;
            let mask = self.mask();
            self.queue.push_close(mask, &encode_body(code, reason));
            self.start_deadline(now);
        }
    }

    #[allow(clippy::arithmetic_side_effects, reason = "instants saturate")]
    fn start_deadline(&mut self, now: Instant) {
        if !self.expired {
            self.deadline.get_or_insert(now + self.settings.close_timeout);
        }
    }

    fn push(&mut self, opcode: Opcode, parts: &[&[u8]], payload: Option<&Bytes>) {
        if !self.is_closing() {
            let mask = self.mask();
            self.queue.push(opcode, mask, parts, payload);
        }
    }

    /// 5.3: "The masking key is a 32-bit value chosen at random by the client", anew for each frame.
    fn mask(&mut self) -> Option<[u8; 4]> {
        self.rng.as_mut().map(|rng| rng.word())
    }
}

#[cfg(test)]
mod tests;
