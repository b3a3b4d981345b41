//! Properties: what is sent arrives, and what is accepted is what JavaScript's parser would have made of it.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use sockeye_protocol::{
    Limits, Text,
    socket::{Args, Decoder, MAX_ID, Object, Packet, Payload, RESERVED_EVENTS, Spread, Value},
};

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Without a feature, serde_json reads the last digit of a float as it can.
        (-1_000_000..1_000_000_i32).prop_map(|n| Value::from(f64::from(n) / 8.0)),
        any::<String>().prop_map(Value::from),
        "[\"\\\\{}\\[\\],:]{0,4}".prop_map(Value::from),
        vec(any::<u8>(), 0..4).prop_map(|bytes| Value::from(Bytes::from(bytes))),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-c\"\\\\é]{0,3}", inner), 0..4).prop_map(|entries| Value::from(Object::from_iter(entries))),
        ]
    })
}

fn binaries(value: &Value) -> usize {
    match value {
        Value::Binary(_) => 1,
        Value::Array(elements) => elements.iter().map(binaries).sum(),
        Value::Object(object) => object.values().map(binaries).sum(),
        _ => 0,
    }
}

/// The text of a packet, by the protocol's document rather than by the encoder.
fn wire(event: bool, namespace: &str, id: Option<u64>, payload: &Payload) -> String {
    let (plain, binary) = if event { ("2", "5") } else { ("3", "6") };
    let head = match payload.attachments().len() {
        0 => plain.to_owned(),
        count => format!("{binary}{count}-"),
    };
    let namespace = match namespace {
        "/" => String::new(),
        name => format!("{name},"),
    };
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    let json = std::str::from_utf8(payload.json()).unwrap();
    format!("{head}{namespace}{id}{json}")
}

fn decode(text: &str, attachments: &[Bytes]) -> Packet {
    let limits = Limits { max_attachments: 1000, ..Limits::default() };
    let mut decoder = Decoder::new(&limits);
    let mut packet = decoder.handle_text(Text::from(text)).unwrap();
    for attachment in attachments {
        assert_eq!(packet, None);
        packet = decoder.handle_binary(attachment.clone()).unwrap();
    }
    packet.unwrap()
}

proptest! {
    /// Values with binary, as several arguments, there and back.
    #[test]
    fn values_arrive(
        name in any::<String>(),
        sent in vec(values(), 0..4),
        namespace in prop_oneof![Just("/".to_owned()), "/[^,]{0,6}"],
        id in proptest::option::of(0..=MAX_ID),
    ) {
        prop_assume!(!RESERVED_EVENTS.contains(&name.as_str()) && namespace.len() <= 512);
        let payload = Payload::event(&name, &Spread(&sent), usize::MAX).unwrap();
        prop_assert_eq!(payload.attachments().len(), sent.iter().map(binaries).sum::<usize>());
        let text = wire(true, &namespace, id, &payload);
        let packet = decode(&text, payload.attachments());
        let Packet::Event { namespace: to, id: with, event, args } = packet else { panic!() };
        prop_assert_eq!((to.as_str(), with, event.as_str()), (namespace.as_str(), id, name.as_str()));
        prop_assert_eq!(args.len(), sent.len());
        prop_assert_eq!(args.is_empty(), sent.is_empty());
        prop_assert_eq!(&args.to_values().unwrap(), &sent);
        prop_assert_eq!(payload.to_args(), Some(args.clone()));
        if let Some(first) = sent.first() {
            prop_assert_eq!(&args.deserialize::<Value>().unwrap(), first);
            prop_assert_eq!(&args.deserialize::<(Value,)>().unwrap().0, first);
        }
        // Forwarded without parsing, as an acknowledgement.
        let payload = Payload::ack_from_args(&args);
        let id = id.unwrap_or_default();
        let text = wire(false, &namespace, Some(id), &payload);
        let packet = decode(&text, payload.attachments());
        let again = Packet::Ack { namespace: to, id, args };
        prop_assert_eq!(packet, again);
    }

    /// Strings are written as serde_json writes them, whatever is in them, wherever they stand: as values, as keys, and in
    /// what is JSON already.
    #[test]
    fn strings_are_written_as_by_serde_json(
        parts in vec(prop_oneof![
            "[ -~]{0,80}", any::<String>(), Just("x".repeat(300)), Just("\"".to_owned()), Just("\\".to_owned()),
            Just("\u{1f}".to_owned()), Just("\u{7f}é😀".repeat(20)),
        ], 1..6),
        key in "[ -~é]{0,90}",
    ) {
        let text = parts.concat();
        let raw = serde_json::value::RawValue::from_string(serde_json::to_string(&[&text]).unwrap()).unwrap();
        let map = std::collections::BTreeMap::from([(key.as_str(), text.as_str()), (text.as_str(), "x")]);
        let sent = (text.as_str(), &map, raw, Some(text.clone()), "end");
        let expected = serde_json::to_string(&sent).unwrap();
        let payload = Payload::ack(&sent, 0).unwrap();
        prop_assert_eq!(&payload.json()[..], expected.as_bytes());
    }

    /// Placeholders in any form that JavaScript accepts give the same values.
    #[test]
    fn placeholders_in_any_form(sent in vec(values(), 1..4), form in 0..4) {
        let payload = Payload::event("e", &Spread(&sent), usize::MAX).unwrap();
        let mut text = wire(true, "/", None, &payload);
        for num in 0..payload.attachments().len() {
            let canonical = format!("{{\"_placeholder\":true,\"num\":{num}}}");
            let other = match form {
                0 => format!("{{\"num\":{num},\"_placeholder\":true}}"),
                1 => format!("{{\"_placeholder\":true,\"num\":{num},\"x\":[]}}"),
                2 => format!("{{\"x\":\"\\ud800\", \"_placeholder\" :true,\"num\":{num}.0}}"),
                _ => format!("{{\"_placeholder\":true,\"\\u006eum\":{num}}}"),
            };
            text = text.replace(&canonical, &other);
        }
        let Packet::Event { args, .. } = decode(&text, payload.attachments()) else { panic!() };
        prop_assert_eq!(args.to_values().unwrap(), sent);
    }

    /// Typed arguments there and back.
    #[test]
    fn types_arrive(sent: (u8, String, Vec<Option<i32>>, (bool, char), Option<u128>), bytes: Vec<u8>) {
        let payload = Payload::ack(&sent, 0).unwrap();
        prop_assert_eq!(&payload.to_args().unwrap().deserialize(), &Ok(sent.clone()));
        let with_bytes = (sent.0, sent.1, Bytes::from(bytes), Some(sent.2));
        let payload = Payload::ack(&with_bytes, 1).unwrap();
        prop_assert_eq!(payload.to_args().unwrap().deserialize(), Ok(with_bytes));
    }

    /// Whatever is accepted, JavaScript's parser accepts too, and reads the same.
    #[test]
    fn what_is_accepted_javascript_accepts(
        text in "[0-7]([0-2]?[-e]{1,2})?(/[a-c?\\[]{0,2},?)?[0-9]{0,3}[ 1]?([\\[{]\"[a-c]?\"[:,\\]}]?1?[\\]}]?[ x]?)?",
    ) {
        if let Ok(packet) = Decoder::new(&Limits::default()).handle_text(Text::from(text.as_str())) {
            let model = javascript(&text);
            prop_assert!(model.is_some(), "{text}");
            let (kind, namespace, id, payload) = model.unwrap();
            let Some(packet) = packet else { return Ok(()) };
            prop_assert_eq!(packet.namespace(), &namespace.as_str());
            match packet {
                Packet::Connect { data, .. } => {
                    prop_assert_eq!(kind, 0);
                    prop_assert_eq!(data.map(|data| data.deserialize().unwrap()), payload);
                }
                Packet::Disconnect { .. } => prop_assert_eq!((kind, payload), (1, None)),
                Packet::Event { id: with, event, args, .. } => {
                    prop_assert_eq!((kind, with), (2, id));
                    let payload = payload.unwrap();
                    let name = &payload[0];
                    let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
                    prop_assert_eq!(event.as_str(), name);
                    prop_assert_eq!(json(&args), payload.as_array().unwrap()[1..].to_vec());
                }
                Packet::Ack { id: with, args, .. } => {
                    prop_assert_eq!((kind, Some(with)), (3, id));
                    let payload = payload.unwrap();
                    prop_assert_eq!(&json(&args), payload.as_array().unwrap());
                }
                Packet::ConnectError { data, .. } => {
                    prop_assert_eq!(kind, 4);
                    prop_assert_eq!(Some(data.deserialize().unwrap()), payload);
                }
            }
        }
    }

    /// Any text and any bytes: an answer, never a panic, and nothing left after an error.
    #[test]
    fn anything(messages in vec(prop_oneof![any::<String>(), "[0-7]{1,3}-?[\\[\\]{}\",:a1]{0,12}"], 0..4)) {
        let mut decoder = Decoder::new(&Limits::default());
        for message in messages {
            if decoder.handle_text(Text::from(message.as_str())).is_err() {
                prop_assert!(!decoder.is_pending());
            }
            let _ = decoder.handle_binary(Bytes::from(message));
        }
    }
}

fn json(args: &Args) -> Vec<serde_json::Value> {
    let values = args.to_values().unwrap();
    let text = serde_json::to_string(&values).unwrap();
    serde_json::from_str(&text).unwrap()
}

type Read = (u32, String, Option<u64>, Option<serde_json::Value>);

/// A model of how socket.io-parser 4.2.7 reads a text without white space at the wrong places: type, namespace, id,
/// payload. `None`: it throws.
fn javascript(text: &str) -> Option<Read> {
    let until = |text: &str, stop: &dyn Fn(char) -> bool| text.find(stop).unwrap_or(text.len());
    let kind = text.chars().next()?.to_digit(10).filter(|kind| *kind <= 6)?;
    let mut rest = &text[1..];
    if kind >= 5 {
        let (count, tail) = rest.split_once('-')?;
        let count: f64 = count.parse().ok()?;
        (count.fract() == 0.0 && (1.0..=10.0).contains(&count)).then_some(())?;
        rest = tail;
    }
    let mut namespace = "/";
    if rest.starts_with('/') {
        let end = until(rest, &|c| c == ',');
        (namespace, rest) = rest.split_at(end);
        rest = rest.strip_prefix(',').unwrap_or_default();
    }
    let (digits, rest) = rest.split_at(until(rest, &|c| !c.is_ascii_digit()));
    let id = digits.parse().ok();
    let payload = match rest {
        "" => None,
        json => Some(serde_json::from_str::<serde_json::Value>(json).ok()?),
    };
    let valid = match (kind, &payload) {
        (_, None) => true,
        (0, Some(payload)) => payload.is_object(),
        (1, Some(_)) => false,
        (4, Some(payload)) => payload.is_object() || payload.is_string(),
        (2 | 5, Some(payload)) => match payload.get(0) {
            Some(serde_json::Value::String(name)) => !RESERVED_EVENTS.contains(&name.as_str()),
            name => name.is_some_and(|name| name.is_number()),
        },
        (_, Some(payload)) => payload.is_array(),
    };
    let kind = if kind >= 5 { kind - 3 } else { kind };
    valid.then(|| (kind, namespace.to_owned(), id, payload))
}
