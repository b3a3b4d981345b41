//! Socket.IO packets and arguments.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::{self, Debug};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, SeqAccess, Visitor},
};
use serde_json::Number;

use crate::{
    Limits, Text,
    socket::{Args, Decoder, Head, Object, Packet, PacketType, Payload, Spread, Value, deserialize_resolving},
};

/// Socket.IO messages, separated by the byte 0xff (which no text has). One that begins with `b` is binary, without that
/// letter; others are text.
///
/// What is decoded must come out of the decoder again when it is encoded, and its arguments must be readable.
pub fn sio_json(data: &[u8]) {
    let mut decoder = Decoder::new(&Limits::default());
    for message in data.split(|byte| *byte == 0xff) {
        let result = match message.strip_prefix(b"b") {
            Some(bytes) => decoder.handle_binary(Bytes::copy_from_slice(bytes)),
            None => match Text::try_from(Bytes::copy_from_slice(message)) {
                Ok(text) => {
                    let plain = decoder.plain_event(text.clone());
                    let result = decoder.handle_text(text.clone());
                    match plain {
                        Ok((event, args)) => {
                            let namespace = Text::from("/");
                            assert_eq!(result, Ok(Some(Packet::Event { namespace, id: None, event, args })));
                        }
                        Err(same) => assert_eq!(same, text),
                    }
                    result
                }
                Err(_) => return,
            },
        };
        match result {
            Ok(Some(packet)) => encode_and_decode(&packet),
            Ok(None) => assert!(decoder.is_pending() && decoder.pending_bytes() > 0),
            Err(error) => {
                assert!(!decoder.is_pending(), "{error}");
                assert!(error.to_string().len() < 300);
                return;
            }
        }
    }
}

fn encode_and_decode(packet: &Packet) {
    let mut text = Vec::new();
    let mut attachments: &[Bytes] = &[];
    let (namespace, payload);
    match packet {
        Packet::Connect { data, .. } => {
            namespace = packet.namespace();
            text.extend(
                Head::new(PacketType::Connect, 0, namespace, None).parts().concat().get(1..).unwrap_or_default(),
            );
            if let Some(data) = data {
                let _ = data.to_value();
                text.extend_from_slice(data.raw().as_bytes());
            }
        }
        Packet::ConnectError { namespace, data } => {
            let _ = data.to_value();
            text.extend(
                Head::new(PacketType::ConnectError, 0, namespace, None).parts().concat().get(1..).unwrap_or_default(),
            );
            text.extend_from_slice(data.raw().as_bytes());
        }
        Packet::Disconnect { namespace } => {
            text.extend(
                Head::new(PacketType::Disconnect, 0, namespace, None).parts().concat().get(1..).unwrap_or_default(),
            );
        }
        Packet::Event { args, .. } | Packet::Ack { args, .. } => {
            read_args(args);
            let (kind, id) = match packet {
                Packet::Event { id, event, .. } => {
                    let forwarded = Payload::event_from_args(event, args);
                    payload = forwarded.expect("a decoded name is not reserved");
                    (PacketType::Event, *id)
                }
                Packet::Ack { id, .. } => {
                    payload = Payload::ack_from_args(args);
                    (PacketType::Ack, Some(*id))
                }
                _ => return,
            };
            assert_eq!(payload.to_args().as_ref(), Some(args));
            attachments = payload.attachments();
            text.extend(
                Head::new(kind, attachments.len(), packet.namespace(), id)
                    .parts()
                    .concat()
                    .get(1..)
                    .unwrap_or_default(),
            );
            text.extend_from_slice(payload.json());
        }
    }
    let text = Text::try_from(Bytes::from(text)).expect("text and JSON are text");
    let mut decoder = Decoder::new(&Limits {
        // A name that was a number comes back as a string.
        max_packet_bytes: usize::MAX,
        ..Limits::default()
    });
    let mut again = decoder.handle_text(text);
    for attachment in attachments {
        assert_eq!(again, Ok(None));
        again = decoder.handle_binary(attachment.clone());
    }
    assert_eq!(again, Ok(Some(packet.clone())));
}

/// Values can be read, whatever the peer has sent, and sent again.
fn read_args(args: &Args) {
    let values = args.to_values().expect("peers cannot provoke an error");
    assert_eq!((args.len(), args.is_empty()), (values.len(), values.is_empty()));
    assert_eq!(args.deserialize::<()>(), Ok(()));
    // Placeholder keys of the peer's own are refused beside binary.
    if floats_last(&values)
        && let Ok(payload) = Payload::ack(&Spread(&values), args.attachments().len())
    {
        let again = payload.to_args().map(|args| args.to_values());
        assert_eq!(again, Some(Ok(values)));
    }
}

/// Whether the floats are read as they are written: without its feature `float_roundtrip` serde_json may be wrong in the
/// last digit.
fn floats_last(values: &[Value]) -> bool {
    fn lasts(value: &Value) -> bool {
        match value {
            Value::Number(number) => {
                serde_json::from_str(&number.to_string()).is_ok_and(|again: Number| again == *number)
            }
            Value::Array(elements) => elements.iter().all(lasts),
            Value::Object(object) => object.values().all(lasts),
            _ => true,
        }
    }
    values.iter().all(lasts)
}

/// The JSON of some arguments, and attachments for its placeholders, separated by the byte 0xff.
///
/// Reading them into types never panics, and gives the same with and without the layer that resolves placeholders.
pub fn serde_args(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0xff);
    let Some(Ok(json)) = parts.next().map(core::str::from_utf8) else {
        return;
    };
    let attachments: Vec<&[u8]> = parts.take(10).collect();
    let head = match attachments.len() {
        0 => String::from("30"),
        count => format!("6{count}-0"),
    };
    let mut decoder = Decoder::new(&Limits::default());
    let mut packet = decoder.handle_text(Text::from(format!("{head}[{json}]")));
    for attachment in attachments {
        packet = match packet {
            Ok(None) => decoder.handle_binary(Bytes::copy_from_slice(attachment)),
            _ => return,
        };
    }
    let Ok(Some(Packet::Ack { args, .. })) = packet else {
        return;
    };
    read_as::<(u8, String, Option<bool>)>(&args);
    read_as::<[i64; 2]>(&args);
    read_as::<((f64, Option<()>), Unit)>(&args);
    read_as::<Record>(&args);
    read_as::<Option<Vec<Record>>>(&args);
    read_as::<(Choice, Option<Choice>)>(&args);
    read_as::<Tagged>(&args);
    read_as::<Untagged>(&args);
    read_as::<Vec<u8>>(&args);
    read_as::<(Vec<Vec<u16>>,)>(&args);
    read_as::<BTreeMap<i16, Value>>(&args);
    read_as::<BTreeMap<String, Blob>>(&args);
    read_as::<BTreeMap<bool, char>>(&args);
    read_as::<BTreeMap<Choice, u128>>(&args);
    read_as::<Blob>(&args);
    read_as::<(Blob, Blob, Option<Blob>)>(&args);
    read_as::<Value>(&args);
    read_as::<(Value, Object)>(&args);
}

fn read_as<T: DeserializeOwned + Serialize + PartialEq + Debug>(args: &Args) {
    let read = args.deserialize::<T>();
    if args.attachments().is_empty() && !has_placeholder_key(args) && serde_json_reads(args) {
        match (&read, &deserialize_resolving::<T>(args)) {
            (Ok(plain), Ok(resolved)) => assert_eq!(plain, resolved),
            (plain, resolved) => assert_eq!(plain.is_err(), resolved.is_err(), "{plain:?} {resolved:?}"),
        }
    }
    // What was read can be sent, and is read again as the same. (In a tuple, since some types are tuples.)
    if let Ok(value) = read
        && args.to_values().is_ok_and(|values| floats_last(&values))
        && let Ok(payload) = Payload::ack(&(&value,), 10)
        && let Some(args) = payload.to_args()
    {
        assert_eq!(args.deserialize::<(T,)>(), Ok((value,)));
    }
}

/// Whether there is no half of a surrogate pair, of which serde_json can make bytes but no text.
fn serde_json_reads(args: &Args) -> bool {
    serde_json::from_str::<serde_json::Value>(&format!("[{}]", args.raw())).is_ok()
}

fn has_placeholder_key(args: &Args) -> bool {
    fn within(value: &Value) -> bool {
        match value {
            Value::Array(elements) => elements.iter().any(within),
            Value::Object(object) => object.keys().any(|key| key == "_placeholder") || object.values().any(within),
            _ => false,
        }
    }
    args.to_values().is_ok_and(|values| values.iter().any(within))
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    a: Option<u32>,
    #[serde(default)]
    b: Blob,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Choice {
    A,
    B(Vec<u8>),
    C(i8, Blob),
    D { bytes: Blob },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Tagged {
    A(Blob),
    B { x: Option<Value> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Flag(bool),
    Number(i64),
    Blob(Blob),
    Pair(String, Value),
    Record(BTreeMap<String, Value>),
}

/// Bytes, without the optional serde implementations of `bytes::Bytes`.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BlobVisitor)
    }
}

struct BlobVisitor;

impl<'de> Visitor<'de> for BlobVisitor {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
        Ok(Blob(bytes.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Blob, E> {
        Ok(Blob(text.as_bytes().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Blob, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(Blob(bytes))
    }
}
