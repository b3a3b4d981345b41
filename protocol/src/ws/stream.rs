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
    pub fn handle_bytes(&mut self, buffer: &mut BytesMut) {
        let backing = buffer.capacity();
        self.take_bytes(buffer.split(), backing);
    }

    /// The byte stream ended or failed. What arrived before is still parsed.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// The next event, `None` if more bytes are needed. Parses at most one message per call.
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
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.expired = true;
            self.queue.clear();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called: the end of [`Settings::close_timeout`], when a
    /// peer that has not answered our close frame, or not taken what is queued, is given up and the queue is dropped.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.is_finished() || !self.queue.is_empty())
    }

    /// Queues a message. Ignored once the connection is closing.
    pub fn send(&mut self, message: &Message) {
        match message {
            Message::Text(text) => self.push(Opcode::Text, &[], Some(text.as_shared())),
            Message::Binary(bytes) => self.push(Opcode::Binary, &[], Some(bytes)),
        }
    }

    /// Queues a ping with at most 125 bytes of payload (RFC 6455, 5.5.2); more are cut off. It counts as a packet.
    pub fn ping(&mut self, payload: &[u8]) {
        let payload = payload.get(..MAX_CONTROL).unwrap_or(payload);
        self.push(Opcode::Ping, &[payload], None);
    }

    /// Queues a close frame, once: later calls and later sends are ignored. Without a code its body is empty; a code that
    /// may not be on the wire (RFC 6455, 7.4) becomes 1000; a reason is cut to 123 bytes. The peer's messages are
    /// discarded from here on, and [`Settings::close_timeout`] begins.
    pub fn close(&mut self, now: Instant, code: Option<u16>, reason: &str) {
        if !self.is_closing() {
            self.queue_close(now, code, reason);
        }
    }

    /// What is to be written to the peer.
    pub fn transmit(&mut self) -> &mut TransmitQueue {
        &mut self.queue
    }

    /// What is to be written to the peer, to look at.
    pub fn queue(&self) -> &TransmitQueue {
        &self.queue
    }

    /// Whether a close frame was sent or received, or the byte stream ended.
    pub fn is_closing(&self) -> bool {
        self.close_sent || self.closed || self.eof
    }

    /// Whether the connection is over: both close frames are exchanged, the peer broke the protocol (RFC 6455, 7.1.7),
    /// [`Settings::close_timeout`] is over, or the byte stream ended. Write what is queued, then drop the byte stream.
    pub fn is_finished(&self) -> bool {
        self.closed || self.eof || self.expired
    }

    /// Bytes from the peer that are held: unparsed ones and an unfinished message. When
    /// [`poll_event`](Self::poll_event) has returned `None` these are at most [`Settings::max_message`] and a header.
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
mod tests {
    use core::time::Duration;

    use bytes::Buf as _;

    use super::*;
    use crate::ws::frame::put_header;

    const NOW: Instant = Instant::from_millis(1_000);

    fn server(max_message: usize) -> Stream {
        let settings = Settings { max_message, max_empty_fragments: 3, ..Settings::new(Role::Server) };
        Stream::new(settings, None)
    }

    /// A masked frame; `first` is its first byte.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_header(&mut out, Opcode::Text, payload.len(), Some([1, 2, 3, 4]));
        out[0] = first;
        let body = out.len();
        out.extend_from_slice(payload);
        mask::apply([1, 2, 3, 4], 0, &mut out[body..]);
        out
    }

    fn feed(stream: &mut Stream, bytes: &[u8]) -> Vec<Event> {
        stream.handle_bytes(&mut BytesMut::from(bytes));
        core::iter::from_fn(|| stream.poll_event(NOW)).collect()
    }

    fn sent(stream: &mut Stream) -> Vec<u8> {
        let queue = stream.transmit();
        queue.copy_to_bytes(queue.remaining()).into()
    }

    fn text(text: &str) -> Event {
        Event::Message(Message::Text(text.into()))
    }

    fn violation(error: Error) -> Event {
        Event::Closing(Closing::Violation(error))
    }

    #[test]
    fn every_violation_is_answered_with_its_code() {
        let too_big = |found| Error::MessageTooBig { limit: 100, found };
        let huge = |len: u64| [&b"\x82\xff"[..], &len.to_be_bytes(), &[0; 4]].concat();
        let after = |first: u8, then: u8| [frame(first, b"a"), frame(then, b"b")].concat();
        let cases = [
            (b"\x81\x01a".to_vec(), Error::NotMasked, 1002),
            (frame(0xc1, b""), Error::ReservedBits, 1002),
            (frame(0x83, b""), Error::ReservedOpcode(3), 1002),
            (frame(0x09, b""), Error::FragmentedControl, 1002),
            (frame(0x89, &[0; 126]), Error::ControlTooLong, 1002),
            (b"\x82\xfe\0\x7d\0\0\0\0".to_vec(), Error::LengthNotMinimal(125), 1002),
            (frame(0x80, b"a"), Error::UnexpectedContinuation, 1002),
            (after(0x01, 0x81), Error::ExpectedContinuation, 1002),
            (after(0x02, 0x02), Error::ExpectedContinuation, 1002),
            (frame(0x88, b"\x03"), Error::CloseBody, 1002),
            (frame(0x88, b"\x03\xed"), Error::CloseCode(1005), 1002),
            (frame(0x88, b"\x03\xe8\xff"), Error::InvalidUtf8, 1007),
            (frame(0x81, b"a\xffb"), Error::InvalidUtf8, 1007),
            (frame(0x81, b"\xc3"), Error::InvalidUtf8, 1007),
            (frame(0x01, b"\xff"), Error::InvalidUtf8, 1007),
            (frame(0x82, &[0; 101]), too_big(101), 1009),
            (huge(1 << 62), too_big(1 << 62), 1009),
            (huge(1 << 63), too_big(1 << 63), 1009),
            ([frame(0x02, b"a"), [b"\x80", &huge(u64::MAX)[1..]].concat()].concat(), too_big(u64::MAX), 1009),
            ([frame(0x02, b""), frame(0x00, b"").repeat(3)].concat(), Error::TooManyEmptyFragments { limit: 3 }, 1008),
        ];
        for (wire, error, code) in cases {
            let mut stream = server(100);
            assert_eq!(feed(&mut stream, &wire), [violation(error)], "{wire:x?}");
            assert_eq!(error.close_code(), code);
            let [high, low] = code.to_be_bytes();
            assert_eq!(sent(&mut stream), [0x88, 2, high, low]);
            assert!(stream.is_closing() && stream.is_finished());
            // What follows is discarded.
            assert_eq!(feed(&mut stream, &frame(0x81, b"late")), []);
            assert_eq!(stream.buffered(), 0);
        }
        let mut client = Stream::new(Settings::new(Role::Client), Some(&Seed::for_tests(1)));
        assert_eq!(feed(&mut client, &frame(0x81, b"a")), [violation(Error::Masked)]);
    }

    #[test]
    fn a_message_may_have_exactly_its_limit() {
        let whole = frame(0x82, &[0; 100]);
        assert_eq!(feed(&mut server(100), &whole).len(), 1);
        let parts = [frame(0x02, &[0; 60]), frame(0x80, &[0; 40])].concat();
        let message = Message::Binary(Bytes::from(vec![0; 100]));
        assert_eq!(feed(&mut server(100), &parts), [Event::Message(message)]);
        let parts = [frame(0x02, &[0; 60]), frame(0x80, &[0; 41])].concat();
        let error = Error::MessageTooBig { limit: 100, found: 101 };
        assert_eq!(feed(&mut server(100), &parts), [violation(error)]);
        // The limit is known from the header alone, and nothing is stored for it.
        assert_eq!(feed(&mut server(100), &frame(0x82, &[0; 101])[..6]).len(), 1);
    }

    #[test]
    fn empty_fragments_up_to_the_limit_pass() {
        let wire = [frame(0x01, b""), frame(0x00, b"").repeat(2), frame(0x80, b"")].concat();
        assert_eq!(feed(&mut server(100), &wire), [text("")]);
    }

    #[test]
    fn control_frames_pass_between_fragments() {
        let mut stream = server(100);
        let wire =
            [frame(0x01, b"\xc3"), frame(0x89, b"ping"), frame(0x8a, b"pong"), frame(0x00, b""), frame(0x80, b"\xa9!")];
        assert_eq!(feed(&mut stream, &wire.concat()), [Event::Pong(Bytes::from_static(b"pong")), text("é!")]);
        assert_eq!(sent(&mut stream), b"\x8a\x04ping");
    }

    #[test]
    fn bad_text_fails_at_its_first_bad_byte() {
        // "κόσμε", then a byte that cannot follow, then text that never arrives.
        let payload = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited";
        for first in [0x81, 0x01] {
            let wire = frame(first, payload);
            let mut stream = server(100);
            for (index, byte) in wire.iter().enumerate() {
                let events = feed(&mut stream, &[*byte]);
                if index == 6 + 12 {
                    assert_eq!(events, [violation(Error::InvalidUtf8)]);
                    break;
                }
                assert_eq!(events, [], "{index}");
            }
        }
    }

    #[test]
    fn a_close_frame_is_answered_with_its_code() {
        for (body, answer) in
            [(&b""[..], &b"\x88\x00"[..]), (b"\x03\xe9going", b"\x88\x02\x03\xe9"), (b"\x0f\xa0", b"\x88\x02\x0f\xa0")]
        {
            let mut stream = server(100);
            let wire = [frame(0x88, body), frame(0x81, b"late")].concat();
            let [Event::Closing(Closing::Peer(close))] = &feed(&mut stream, &wire)[..] else {
                panic!("{body:x?}");
            };
            assert_eq!(close.is_some(), !body.is_empty());
            stream.send(&Message::Text("late".into()));
            stream.close(NOW, Some(1000), "");
            assert_eq!(sent(&mut stream), answer);
            assert!(stream.is_finished());
            assert_eq!(stream.poll_timeout(), None);
        }
    }

    #[test]
    fn our_close_discards_messages_until_it_is_answered() {
        let mut stream = server(100);
        stream.send(&Message::Text("a".into()));
        stream.close(NOW, Some(1001), "bye");
        stream.close(NOW, None, "");
        stream.send(&Message::Text("b".into()));
        assert_eq!(sent(&mut stream), b"\x81\x01a\x88\x05\x03\xe9bye");
        assert!(stream.is_closing() && !stream.is_finished());
        let wire = [frame(0x81, b"crossed"), frame(0x89, b"ping")].concat();
        assert_eq!(feed(&mut stream, &wire), []);
        let close = CloseFrame { code: 1001, reason: "".into() };
        let events = feed(&mut stream, &frame(0x88, b"\x03\xe9"));
        assert_eq!(events, [Event::Closing(Closing::Peer(Some(close)))]);
        assert!(stream.is_finished() && stream.queue().is_empty());
    }

    #[test]
    fn a_peer_that_does_not_answer_is_given_up() {
        let mut stream = server(100);
        stream.close(NOW, None, "");
        let deadline = NOW + Duration::from_secs(5);
        assert_eq!(stream.poll_timeout(), Some(deadline));
        stream.handle_timeout(Instant::from_micros(deadline.as_micros() - 1));
        assert!(!stream.is_finished());
        assert_eq!(stream.poll_timeout(), Some(deadline));
        stream.handle_timeout(deadline);
        assert!(stream.is_finished() && stream.queue().is_empty());
        assert_eq!(stream.poll_timeout(), None);
    }

    #[test]
    fn a_peer_that_does_not_read_is_given_up() {
        let mut stream = server(100);
        stream.send(&Message::Text("unread".into()));
        assert_eq!(feed(&mut stream, &frame(0x88, b"")).len(), 1);
        assert!(stream.is_finished() && !stream.queue().is_empty());
        let deadline = stream.poll_timeout().unwrap();
        stream.handle_timeout(deadline);
        assert!(stream.queue().is_empty());
        assert_eq!(stream.poll_timeout(), None);
    }

    #[test]
    fn the_end_of_the_bytes_comes_after_what_arrived_before() {
        let mut stream = server(100);
        stream.handle_bytes(&mut BytesMut::from(&frame(0x81, b"a")[..]));
        stream.handle_bytes(&mut BytesMut::from(&frame(0x81, b"cut")[..8]));
        stream.handle_eof();
        assert!(stream.is_finished());
        assert_eq!(stream.poll_event(NOW), Some(text("a")));
        assert_eq!(stream.poll_event(NOW), Some(Event::Closing(Closing::Eof)));
        assert_eq!(stream.poll_event(NOW), None);
        assert_eq!(stream.buffered(), 0);

        let mut closed = server(100);
        closed.handle_bytes(&mut BytesMut::from(&frame(0x88, b"")[..]));
        closed.handle_eof();
        assert_eq!(closed.poll_event(NOW), Some(Event::Closing(Closing::Peer(None))));
        assert_eq!(closed.poll_event(NOW), None);
    }

    #[test]
    fn a_flood_of_pings_makes_no_event_and_bounded_output() {
        let mut stream = server(100);
        assert_eq!(feed(&mut stream, &frame(0x89, b"0123456789").repeat(100_000)), []);
        assert!(stream.queue().remaining() < 2_200);
        assert_eq!(stream.queue().packets(), 0);
    }

    #[test]
    fn an_idle_stream_is_small_and_holds_no_buffer() {
        assert!(size_of::<Stream>() <= 352, "{}", size_of::<Stream>());
        let mut stream = server(1_000_000);
        let wire = [frame(0x01, &[b'a'; 5_000]), frame(0x80, &[b'b'; 50_000])].concat();
        let mut lent = BytesMut::with_capacity(65_536);
        lent.extend_from_slice(&wire);
        stream.handle_bytes(&mut lent);
        let Some(Event::Message(message)) = stream.poll_event(NOW) else {
            panic!();
        };
        assert_eq!(stream.poll_event(NOW), None);
        stream.send(&message);
        sent(&mut stream);
        assert_eq!(stream.buffered(), 0);
        assert!(stream.inbound.holds_no_memory());
        assert!(stream.assembly.is_none() && stream.rng.is_none() && stream.queue.is_empty());
        // The lent buffer is whole again.
        assert!(lent.try_reclaim(65_536));
    }

    #[test]
    fn a_large_payload_keeps_the_buffer_that_it_arrived_in() {
        let mut stream = server(100_000);
        let mut lent = BytesMut::with_capacity(65_536);
        lent.extend_from_slice(&frame(0x82, &[7; 60_000]));
        let memory = lent[8..].as_ptr();
        stream.handle_bytes(&mut lent);
        let Some(Event::Message(Message::Binary(payload))) = stream.poll_event(NOW) else {
            panic!();
        };
        assert_eq!(payload.as_ptr(), memory);
        assert_eq!(payload, vec![7; 60_000]);
    }

    #[test]
    fn a_client_masks_encoded_frames_too() {
        let mut client = Stream::new(Settings::new(Role::Client), Some(&Seed::for_tests(1)));
        client.begin_packet();
        client.send_text_parts(&[b"4", b"2"], Some(&Bytes::from_static(b"[]")));
        client.send_binary(&Bytes::from_static(b"bin"));
        client.end_packet();
        client.send_frame(&crate::ws::encode_frame(Opcode::Text, &[b"shared"]));
        client.ping(&[0; 126]);
        assert_eq!(client.queue().packets(), 3);
        let wire = sent(&mut client);
        let mut server = server(100);
        assert_eq!(
            feed(&mut server, &wire),
            [text("42[]"), Event::Message(Message::Binary(Bytes::from_static(b"bin"))), text("shared"),]
        );
        assert_eq!(sent(&mut server).len(), 2 + 125);
    }
}
