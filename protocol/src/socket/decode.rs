//! From messages to packets.

use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;

use bytes::Bytes;

use super::{Args, Data, MAX_ID, Packet, PacketType, args::Attachments, json, packet::reserved, placeholder, scan};
use crate::{Limits, Text};

/// Turns the messages of one connection into packets.
///
/// After an error the decoder is empty again, but the peer has broken the protocol: Socket.IO closes the connection.
///
/// ```
/// use sockeye_protocol::{Limits, Text, socket::{DecodeError, Decoder, Packet}};
///
/// let mut decoder = Decoder::new(&Limits::default());
/// let packet = decoder.handle_text(Text::from(r#"2/chat,7["hello","world"]"#))?;
/// let Some(Packet::Event { namespace, id, event, args }) = packet else { panic!() };
/// assert_eq!((namespace.as_str(), id, event.as_str()), ("/chat", Some(7), "hello"));
/// assert_eq!(args.raw(), r#""world""#);
///
/// let error = decoder.handle_text(Text::from("511-[]")).unwrap_err();
/// assert_eq!(error, DecodeError::TooManyAttachments { limit: 10, found: 11 });
/// # Ok::<(), DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    max_attachments: usize,
    max_packet_bytes: usize,
    namespace_name: usize,
    pending: Option<Box<Pending>>,
}

/// A binary packet that waits for attachments.
#[derive(Debug)]
struct Pending {
    packet: Packet,
    declared: usize,
    attachments: Vec<Bytes>,
    bytes: usize,
}

impl Decoder {
    /// A decoder with the limits `max_attachments`, `max_packet_bytes` and `namespace_name`.
    pub fn new(limits: &Limits) -> Self {
        Self::with_limits(limits.max_attachments, limits.max_packet_bytes, limits.namespace_name)
    }

    pub(crate) const fn with_limits(max_attachments: usize, max_packet_bytes: usize, namespace_name: usize) -> Self {
        Self { max_attachments, max_packet_bytes, namespace_name, pending: None }
    }

    /// Takes a text message: a whole packet, or (`None`) the beginning of one whose attachments follow.
    ///
    /// # Errors
    ///
    /// The peer has broken the protocol or exceeded a limit.
    pub fn handle_text(&mut self, text: Text) -> Result<Option<Packet>, DecodeError> {
        if let Some(pending) = self.pending.take() {
            let missing = pending.declared.saturating_sub(pending.attachments.len());
            return Err(DecodeError::TextInsteadOfAttachment { missing });
        }
        let bytes = text.len();
        self.check_size(bytes)?;
        let (packet, declared) = self.decode(text)?;
        if declared == 0 {
            return Ok(Some(packet));
        }
        self.pending = Some(Box::new(Pending {
            packet,
            declared,
            // Grows as attachments arrive: what a peer declares allocates nothing.
            attachments: Vec::new(),
            bytes,
        }));
        Ok(None)
    }

    /// The name and the arguments of a text that is an event of the main namespace, asks for no acknowledgement, and has no
    /// attachments: most messages are such, and their packet is not moved about. Any other text comes back for
    /// [`handle_text`](Self::handle_text), also one with which something is wrong.
    #[inline]
    pub(crate) fn plain_event(&self, text: Text) -> Result<(Text, Args), Text> {
        if self.pending.is_some() || self.check_size(text.len()).is_err() {
            return Err(text);
        }
        let array = text.strip_prefix('2').unwrap_or_default();
        match scan::event(array) {
            Some((name, start)) if reserved(name).is_none() => {
                let (event, array) = (text.slice_ref(name), place(&text, array));
                Ok((event, Args::of_event(text, array, start)))
            }
            _ => Err(text),
        }
    }

    /// Takes a binary message: an attachment of the packet that has begun. Gives the packet with its last one.
    ///
    /// # Errors
    ///
    /// No packet waits for an attachment, or the packet has become too large.
    pub fn handle_binary(&mut self, bytes: Bytes) -> Result<Option<Packet>, DecodeError> {
        let mut pending = self.pending.take().ok_or(DecodeError::UnexpectedAttachment)?;
        pending.bytes = pending.bytes.saturating_add(bytes.len());
        self.check_size(pending.bytes)?;
        if pending.attachments.is_empty() {
            // They are kept in the memory that they are gathered in, and most often there is one.
            pending.attachments.reserve_exact(1);
        }
        pending.attachments.push(bytes);
        if pending.attachments.len() < pending.declared {
            self.pending = Some(pending);
            return Ok(None);
        }
        let Pending { mut packet, attachments, .. } = *pending;
        if let Packet::Event { args, .. } | Packet::Ack { args, .. } = &mut packet {
            args.attach(Attachments::from(attachments));
        }
        Ok(Some(packet))
    }

    /// Bytes that are held for a packet whose attachments have not all arrived.
    pub fn pending_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.bytes)
    }

    /// Whether a packet waits for attachments.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// The packet that waits for attachments, without them.
    pub const fn pending(&self) -> Option<&Packet> {
        match &self.pending {
            Some(pending) => Some(&pending.packet),
            None => None,
        }
    }

    /// Drops a packet that waits for attachments.
    pub fn reset(&mut self) {
        self.pending = None;
    }

    fn check_size(&self, size: usize) -> Result<(), DecodeError> {
        // Places in a text are 32 bits.
        let limit = self.max_packet_bytes.min(u32::MAX as usize);
        if size > limit {
            return Err(DecodeError::PacketTooLarge { limit, size });
        }
        Ok(())
    }

    /// A packet, and how many attachments it declares.
    fn decode(&self, text: Text) -> Result<(Packet, usize), DecodeError> {
        let mut rest = text.as_str();
        let first = rest.chars().next().ok_or(DecodeError::Empty)?;
        let kind = PacketType::from_digit(first).ok_or(DecodeError::UnknownType(first))?;
        rest = rest.get(1..).unwrap_or_default();
        let attachments = if kind.has_attachments() { self.attachments(&mut rest)? } else { 0 };
        let namespace = self.namespace(&text, &mut rest)?;
        // JavaScript reads an id on any packet; elsewhere than on these it means nothing.
        let id = id(&mut rest)?;
        let packet = match kind {
            PacketType::Connect => Packet::Connect {
                namespace,
                data: match rest {
                    "" => None,
                    _ => Some(data(&text, rest, &['{'])?),
                },
            },
            PacketType::Disconnect if rest.is_empty() => Packet::Disconnect { namespace },
            PacketType::Disconnect => return Err(DecodeError::WrongPayload { expected: "none" }),
            PacketType::Event | PacketType::BinaryEvent => {
                let (event, start) = event(&text, rest)?;
                if let Some(name) = reserved(&event) {
                    return Err(DecodeError::ReservedEvent(name));
                }
                let array = place(&text, rest);
                let args = Args::of_event(text, array, start);
                Packet::Event { namespace, id, event, args: arguments(args, attachments)? }
            }
            PacketType::Ack | PacketType::BinaryAck => {
                payload(rest, &['['])?;
                let array = place(&text, rest);
                // A JavaScript peer would ignore it; an answer that nothing can belong to is no answer.
                let id = id.ok_or(DecodeError::MissingId)?;
                Packet::Ack { namespace, id, args: arguments(Args::of_ack(text, array), attachments)? }
            }
            PacketType::ConnectError => Packet::ConnectError { namespace, data: data(&text, rest, &['{', '"'])? },
        };
        Ok((packet, attachments))
    }

    /// `<n>-`: digits only, no leading zero, at least 1. (JavaScript's `Number()` also takes `1e0`, `1.0` and ` 1`.)
    fn attachments(&self, rest: &mut &str) -> Result<usize, DecodeError> {
        let digits = leading_digits(rest);
        let found = match digits.parse::<usize>() {
            Ok(found) if !digits.starts_with('0') => found,
            _ => return Err(DecodeError::AttachmentCount),
        };
        let tail = rest.get(digits.len()..).unwrap_or_default();
        *rest = tail.strip_prefix('-').ok_or(DecodeError::AttachmentCount)?;
        let limit = self.max_attachments;
        if found > limit {
            return Err(DecodeError::TooManyAttachments { limit, found });
        }
        Ok(found)
    }

    /// `/name,`: to the comma or the end of the text. Without a slash: the main namespace.
    fn namespace(&self, text: &Text, rest: &mut &str) -> Result<Text, DecodeError> {
        if !rest.starts_with('/') {
            return Ok(Text::MAIN);
        }
        let (name, tail) = rest.split_once(',').unwrap_or((rest, ""));
        let (limit, length) = (self.namespace_name, name.len());
        if length > limit {
            return Err(DecodeError::NamespaceTooLong { limit, length });
        }
        *rest = tail;
        Ok(if name == "/" { Text::MAIN } else { text.slice_ref(name) })
    }
}

fn leading_digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit());
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

fn id(rest: &mut &str) -> Result<Option<u64>, DecodeError> {
    let digits = leading_digits(rest);
    if digits.is_empty() {
        return Ok(None);
    }
    *rest = rest.get(digits.len()..).unwrap_or_default();
    match digits.parse() {
        Ok(id) if id <= MAX_ID => Ok(Some(id)),
        // Overflow is the only other way for digits to fail.
        _ => Err(DecodeError::IdTooLarge { limit: MAX_ID }),
    }
}

/// An event's name, and where in its array the arguments begin. The array is the end of `text`.
fn event(text: &Text, array: &str) -> Result<(Text, usize), DecodeError> {
    // In one go, as nearly all of them are.
    if let Some((name, start)) = scan::event(array) {
        return Ok((text.slice_ref(name), start));
    }
    json::event_name(text, payload(array, &['['])?).ok_or(DecodeError::EventName)
}

/// Checks that a payload begins as it should, and is JSON. It comes back without white space behind it.
fn payload<'a>(rest: &'a str, begins: &[char]) -> Result<&'a str, DecodeError> {
    if !rest.starts_with(begins) {
        return Err(DecodeError::WrongPayload {
            expected: match begins {
                ['['] => "an array",
                ['{'] => "an object or none",
                _ => "an object or a string",
            },
        });
    }
    json::validate(rest)?;
    Ok(trim(rest))
}

fn trim(payload: &str) -> &str {
    payload.trim_end_matches(json::is_space)
}

/// Where the end of a text is in it, but for white space.
fn place(text: &str, end: &str) -> Range<usize> {
    let start = text.len().saturating_sub(end.len());
    start..start.saturating_add(trim(end).len())
}

fn data(text: &Text, rest: &str, begins: &[char]) -> Result<Data, DecodeError> {
    payload(rest, begins).map(|json| Data::from_valid(text.slice_ref(json)))
}

fn arguments(args: Args, attachments: usize) -> Result<Args, DecodeError> {
    match attachments {
        0 => Ok(args),
        _ => placeholder::check(args, attachments),
    }
}

/// What a peer has done wrong. Every one of these closes the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A message without a packet type.
    #[error("empty packet")]
    Empty,
    /// The first character is not a packet type.
    #[error("unknown packet type {0:?}")]
    UnknownType(char),
    /// A binary packet does not say how many attachments follow: digits, at least 1, and a dash.
    #[error("illegal attachment count")]
    AttachmentCount,
    /// More attachments than [`Limits::max_attachments`].
    #[error("{found} attachments, the limit is {limit}")]
    TooManyAttachments {
        /// The limit.
        limit: usize,
        /// What the peer declared.
        found: usize,
    },
    /// More bytes, attachments included, than [`Limits::max_packet_bytes`].
    #[error("a packet of {size} bytes, the limit is {limit}")]
    PacketTooLarge {
        /// The limit in bytes.
        limit: usize,
        /// Bytes that have arrived.
        size: usize,
    },
    /// A longer name than [`Limits::namespace_name`].
    #[error("a namespace name of {length} bytes, the limit is {limit}")]
    NamespaceTooLong {
        /// The limit in bytes.
        limit: usize,
        /// The name's length in bytes.
        length: usize,
    },
    /// An acknowledgement id above [`MAX_ID`].
    #[error("an acknowledgement id above {limit}")]
    IdTooLarge {
        /// The largest id.
        limit: u64,
    },
    /// An acknowledgement without id.
    #[error("an acknowledgement without id")]
    MissingId,
    /// The payload is missing, superfluous, or of another JSON type.
    #[error("illegal payload, expected {expected}")]
    WrongPayload {
        /// What the packet type asks for.
        expected: &'static str,
    },
    /// The payload is not JSON.
    #[error("invalid JSON in line {line}, column {column} of the payload")]
    Json {
        /// The line in the payload, from 1.
        line: usize,
        /// The column in bytes, from 1.
        column: usize,
    },
    /// JSON with too many levels of arrays and objects.
    #[error("JSON nested {limit} levels deep or deeper")]
    TooDeep {
        /// The first depth that is refused.
        limit: usize,
    },
    /// An event's name is missing, or neither a string nor a number.
    #[error("illegal event name")]
    EventName,
    /// An event with one of the [`RESERVED_EVENTS`](super::RESERVED_EVENTS).
    #[error("reserved event name {0:?}")]
    ReservedEvent(&'static str),
    /// A placeholder's `num` is missing or not the number of an attachment.
    #[error("a placeholder without one of the {declared} attachments")]
    Placeholder {
        /// Attachments of the packet.
        declared: usize,
    },
    /// Two placeholders for one attachment. JavaScript accepts that, and so multiplies it.
    #[error("attachment {num} is used twice")]
    RepeatedAttachment {
        /// The attachment, from 0.
        num: usize,
    },
    /// An attachment that has no placeholder.
    #[error("{used} of {declared} attachments have a placeholder")]
    UnusedAttachment {
        /// Attachments of the packet.
        declared: usize,
        /// Attachments with a placeholder.
        used: usize,
    },
    /// A text message while attachments are missing.
    #[error("a text message while {missing} attachments are missing")]
    TextInsteadOfAttachment {
        /// Attachments that have not arrived.
        missing: usize,
    },
    /// A binary message that belongs to no packet.
    #[error("a binary message without a packet")]
    UnexpectedAttachment,
}

impl DecodeError {
    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::Json { line: error.line(), column: error.column() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_event_is_the_packet_that_it_would_be() {
        // Of no attachment.
        let placeholder = r#"2["a",{"_placeholder":true,"num":0}]"#;
        for text in [r#"2["a"]"#, r#"2["news", {"b":[1,"c"]} ] "#, r#"2["",null]"#, r#"2["connec",1]"#, placeholder] {
            let mut decoder = Decoder::new(&Limits::default());
            let Ok((event, args)) = decoder.plain_event(Text::from(text)) else { panic!("{text}") };
            let Ok(Some(Packet::Event { namespace, id: None, event: name, args: same })) =
                decoder.handle_text(Text::from(text))
            else {
                panic!("{text}");
            };
            assert_eq!((namespace, name, &same), (Text::MAIN, event, &args));
            assert_eq!((same.array(), same.to_values()), (args.array(), args.to_values()));
        }
    }

    #[test]
    fn what_is_no_plain_event_comes_back() {
        let mut decoder = Decoder::new(&Limits { max_packet_bytes: 60, ..Limits::default() });
        let sized = |len: usize| alloc::format!(r#"2["a","{}"]"#, "x".repeat(len - 9));
        assert!(decoder.plain_event(Text::from(sized(60))).is_ok());
        let long = sized(61);
        let pending = r#"51-["a",{"_placeholder":true,"num":0}]"#;
        for text in [
            "",
            "2",
            "0",
            r#"27["asks",1]"#,
            r#"2/b,["a",1]"#,
            r#"2["connect",1]"#,
            r#"2["a",]"#,
            r#"2["a"]]"#,
            r"2[7]",
            r#"2["\u0061"]"#,
            r#"3["a"]"#,
            pending,
            &long,
        ] {
            assert_eq!(decoder.plain_event(Text::from(text)), Err(Text::from(text)));
        }
        // Whatever comes while attachments are missing.
        assert_eq!(decoder.handle_text(Text::from(pending)), Ok(None));
        assert_eq!(decoder.plain_event(Text::from(r#"2["a"]"#)), Err(Text::from(r#"2["a"]"#)));
    }
}
