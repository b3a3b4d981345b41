//! Which packets are valid, and what they say: one table for each packet type, each limit at n and n + 1, and the
//! published attacks on parsers.

use bytes::Bytes;
use sockeye_protocol::{
    Limits, Text,
    socket::{DecodeError, Decoder, MAX_ID, Object, Packet, Payload, RESERVED_EVENTS, Value},
};

/// A packet as a line: kind, namespace, id, event and raw arguments.
fn show(packet: &Packet) -> String {
    match packet {
        Packet::Connect { namespace, data } => {
            let data = data.as_ref().map_or("-", |data| data.raw());
            format!("connect {namespace} {data}")
        }
        Packet::Disconnect { namespace } => format!("disconnect {namespace}"),
        Packet::Event { namespace, id, event, args } => {
            let id = id.map_or("-".into(), |id| id.to_string());
            format!("event {namespace} {id} {event} {}", args.raw())
        }
        Packet::Ack { namespace, id, args } => format!("ack {namespace} {id} {}", args.raw()),
        Packet::ConnectError { namespace, data } => format!("error {namespace} {}", data.raw()),
    }
}

fn decode(text: &str) -> Result<Option<Packet>, DecodeError> {
    Decoder::new(&Limits::default()).handle_text(Text::from(text))
}

/// One text, and the attachments `a`, `b`, `c`, ..
fn decode_binary(text: &str, attachments: u8) -> Result<Packet, DecodeError> {
    let mut decoder = Decoder::new(&Limits::default());
    let mut packet = decoder.handle_text(Text::from(text))?;
    for attachment in 0..attachments {
        assert_eq!(packet, None, "{text}");
        packet = decoder.handle_binary(Bytes::from(vec![b'a' + attachment]))?;
    }
    assert!(!decoder.is_pending() && decoder.pending_bytes() == 0);
    Ok(packet.unwrap())
}

fn valid(rows: &[(&str, &str)]) {
    for (text, shown) in rows {
        let packet = decode(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(show(&packet.unwrap()), *shown, "{text}");
    }
}

fn invalid(rows: &[(&str, DecodeError)]) {
    for (text, error) in rows {
        assert_eq!(decode(text).as_ref(), Err(error), "{text}");
    }
}

const fn wrong(expected: &'static str) -> DecodeError {
    DecodeError::WrongPayload { expected }
}

const fn bad_json(line: usize, column: usize) -> DecodeError {
    DecodeError::Json { line, column }
}

#[test]
fn connect() {
    valid(&[
        ("0", "connect / -"),
        ("0{}", "connect / {}"),
        ("0{\"a\":[1]} ", "connect / {\"a\":[1]}"),
        ("0/", "connect / -"),
        ("0/,", "connect / -"),
        ("0/x", "connect /x -"),
        ("0/x,", "connect /x -"),
        ("0/x,{\"token\":\"1\"}", "connect /x {\"token\":\"1\"}"),
        // A query stays in the name.
        ("0/x?a=1,{}", "connect /x?a=1 {}"),
        ("0/ä/b c,{}", "connect /ä/b c {}"),
        // An id means nothing here.
        ("012{\"a\":1}", "connect / {\"a\":1}"),
        ("0{\"__proto__\":{}}", "connect / {\"__proto__\":{}}"),
    ]);
    let object = wrong("an object or none");
    invalid(&[
        ("0[]", object.clone()),
        ("0null", object.clone()),
        ("0\"x\"", object.clone()),
        ("0true", object.clone()),
        ("0/x,y,{}", object.clone()),
        // JavaScript reads the white space as the id 0.
        ("0 {}", object),
        ("0{", bad_json(1, 1)),
        ("0{}x", bad_json(1, 3)),
        ("0{}{}", bad_json(1, 3)),
    ]);
}

#[test]
fn disconnect() {
    valid(&[("1", "disconnect /"), ("1/x", "disconnect /x"), ("1/x,", "disconnect /x"), ("112", "disconnect /")]);
    let none = wrong("none");
    invalid(&[("1{}", none.clone()), ("1/x,\"bye\"", none.clone()), ("1 ", none)]);
}

#[test]
fn event() {
    valid(&[
        ("2[\"a\"]", "event / - a "),
        ("2[\"a\"] \n", "event / - a "),
        ("2[\"a\",1,{\"b\":[]}]", "event / - a 1,{\"b\":[]}"),
        ("2[ \"a\" , 1 ]", "event / - a 1 "),
        ("212[\"a\"]", "event / 12 a "),
        ("2/x,12[\"a\",1]", "event /x 12 a 1"),
        ("2/,[\"a\"]", "event / - a "),
        ("20[\"a\"]", "event / 0 a "),
        // Ids are echoed as numbers.
        ("2007[\"a\"]", "event / 7 a "),
        // A number is a name.
        ("2[1,\"x\"]", "event / - 1 \"x\""),
        ("2[-1.5e2]", "event / - -1.5e2 "),
        ("2[1e999]", "event / - 1e999 "),
        // Names that are special elsewhere (CVE-2024-38355).
        ("2[\"error\"]", "event / - error "),
        ("2[\"__proto__\"]", "event / - __proto__ "),
        ("2[\"\"]", "event / -  "),
        ("2[\"Connect\"]", "event / - Connect "),
        ("2[\"a\\\"\\u00e9\\n\"]", "event / - a\"é\n "),
        // Halves of surrogate pairs, which JavaScript may send.
        ("2[\"\\ud800\",\"\\udc00\"]", "event / - \u{fffd} \"\\udc00\""),
        // A text packet's placeholder is an object as any other.
        ("2[\"a\",{\"_placeholder\":true,\"num\":0}]", "event / - a {\"_placeholder\":true,\"num\":0}"),
    ]);
    let array = wrong("an array");
    invalid(&[
        // JavaScript calls listeners without arguments; the protocol says to close.
        ("2", array.clone()),
        ("2{}", array.clone()),
        ("2\"a\"", array.clone()),
        ("2null", array.clone()),
        ("21", array.clone()),
        // All of it is the namespace.
        ("2/[\"a\"]", array.clone()),
        ("2-1[\"a\"]", array.clone()),
        ("2abc[\"a\"]", array.clone()),
        // JavaScript reads white space as the id 0.
        ("2 [\"a\"]", array.clone()),
        ("2\u{feff}[\"a\"]", array.clone()),
        ("2+1[\"a\"]", array.clone()),
        ("21.0[\"a\"]", array.clone()),
        ("2[]", DecodeError::EventName),
        ("2[ ]", DecodeError::EventName),
        ("2[true]", DecodeError::EventName),
        ("2[null]", DecodeError::EventName),
        ("2[[\"a\"]]", DecodeError::EventName),
        // CVE-2023-32695
        ("2[{\"toString\":\"x\"}]", DecodeError::EventName),
        ("2[\"a\"]x", bad_json(1, 6)),
        ("2[\"a\"", bad_json(1, 4)),
        ("2[\"a\",]", bad_json(1, 6)),
        ("2[007]", bad_json(1, 3)),
        ("2[NaN]", bad_json(1, 2)),
        ("2['a']", bad_json(1, 2)),
        ("2[\"\n\"]", bad_json(1, 2)),
        ("2[\"\\x\"]", bad_json(1, 4)),
    ]);
    for name in RESERVED_EVENTS {
        let error = Err(DecodeError::ReservedEvent(name));
        assert_eq!(decode(&format!("2[\"{name}\",1]")), error);
        let (first, rest) = name.split_at(1);
        let escaped = format!("2[\"\\u{:04x}{rest}\"]", first.as_bytes()[0]);
        assert_eq!(decode(&escaped), error, "{escaped}");
    }
}

#[test]
fn ack() {
    valid(&[
        ("31[]", "ack / 1 "),
        ("31[ ]", "ack / 1 "),
        ("31[1,\"x\"]", "ack / 1 1,\"x\""),
        ("3/x,0[[]]", "ack /x 0 []"),
        ("3007[null]", "ack / 7 null"),
    ]);
    let array = wrong("an array");
    invalid(&[
        // JavaScript ignores these.
        ("3[]", DecodeError::MissingId),
        ("3/x,[1]", DecodeError::MissingId),
        ("3", array.clone()),
        ("31", array.clone()),
        ("31{}", array.clone()),
        ("31 []", array),
    ]);
}

#[test]
fn connect_error() {
    valid(&[
        ("4{\"message\":\"x\"}", "error / {\"message\":\"x\"}"),
        ("4/x,{\"message\":\"x\",\"data\":1}", "error /x {\"message\":\"x\",\"data\":1}"),
        // As in protocol v4.
        ("4\"x\"", "error / \"x\""),
        ("4\"\\ud800\"", "error / \"\\ud800\""),
    ]);
    let object = wrong("an object or a string");
    invalid(&[("4", object.clone()), ("4[]", object.clone()), ("4null", object)]);
    let Some(Packet::ConnectError { data, .. }) = decode("4\"\\ud800\"").unwrap() else { panic!() };
    assert_eq!(data.to_value().unwrap(), Value::from("\u{fffd}"));
}

#[test]
fn types() {
    invalid(&[
        ("", DecodeError::Empty),
        ("7", DecodeError::UnknownType('7')),
        ("9[\"a\"]", DecodeError::UnknownType('9')),
        ("[\"a\"]", DecodeError::UnknownType('[')),
        (" 2[\"a\"]", DecodeError::UnknownType(' ')),
        ("-1", DecodeError::UnknownType('-')),
        // Several bytes: a panic elsewhere once.
        ("€2[\"a\"]", DecodeError::UnknownType('€')),
        ("b4", DecodeError::UnknownType('b')),
    ]);
}

/// JavaScript's `Number()` takes many of these; `50-` left decoders armed (CVE-2026-69185).
#[test]
fn attachment_counts() {
    for count in [
        "",
        "-",
        "0-",
        "1",
        "x-",
        "01-",
        "1.0-",
        "1e0-",
        "1e1-",
        " 1-",
        "1 -",
        "+1-",
        "-1-",
        "0x1-",
        "1_0-",
        "١-",
        "99999999999999999999-",
        "111111111111111111111111111-",
    ] {
        let text = format!("5{count}[\"a\",{{\"_placeholder\":true,\"num\":0}}]");
        assert_eq!(decode(&text), Err(DecodeError::AttachmentCount), "{text}");
        let text = format!("6{count}/x,1[{{\"_placeholder\":true,\"num\":0}}]");
        assert_eq!(decode(&text), Err(DecodeError::AttachmentCount), "{text}");
    }
    // CVE-2026-33151
    for found in [11, 59_999, 999_999_999] {
        let limit = 10;
        let error = DecodeError::TooManyAttachments { limit, found };
        assert_eq!(decode(&format!("5{found}-[\"a\"]")), Err(error));
    }
}

fn placeholders(count: usize) -> String {
    let placeholder = |num| format!(",{{\"_placeholder\":true,\"num\":{num}}}");
    (0..count).map(placeholder).collect()
}

#[test]
fn attachments_at_the_limit() {
    for limit in [0, 1, 3, 10] {
        let limits = Limits { max_attachments: limit, ..Limits::default() };
        for found in 1..=limit + 1 {
            let mut decoder = Decoder::new(&limits);
            let text = format!("5{found}-[\"a\"{}]", placeholders(found));
            let result = decoder.handle_text(Text::from(text));
            if found > limit {
                let error = DecodeError::TooManyAttachments { limit, found };
                assert_eq!(result, Err(error));
                continue;
            }
            assert_eq!(result, Ok(None));
            for _ in 1..found {
                assert_eq!(decoder.handle_binary(Bytes::new()), Ok(None));
            }
            let packet = decoder.handle_binary(Bytes::new()).unwrap().unwrap();
            let Packet::Event { args, .. } = packet else { panic!() };
            assert_eq!((args.attachments().len(), args.len()), (found, found));
        }
    }
}

/// Binary packets as they should be, and in the other forms that JavaScript accepts: (text, shown, values).
#[test]
fn binary() {
    let p = |num| format!("{{\"_placeholder\":true,\"num\":{num}}}");
    let (a, b) = (Value::from(Bytes::from("a")), Value::from(Bytes::from("b")));
    let nested = |value: &Value| Value::Array(vec![value.clone()]);
    let rows: Vec<(String, String, Vec<Value>)> = vec![
        (format!("51-[\"x\",{}]", p(0)), format!("event / - x {}", p(0)), vec![a.clone()]),
        (format!("51-/n,7[\"x\",{}]", p(0)), format!("event /n 7 x {}", p(0)), vec![a.clone()]),
        (format!("61-7[{}]", p(0)), format!("ack / 7 {}", p(0)), vec![a.clone()]),
        (format!("52-[\"x\",{},[{}]]", p(1), p(0)), format!("event / - x {},[{}]", p(1), p(0)), vec![b, nested(&a)]),
        // Any key order, other keys, escapes, white space, `0.0`, `-0`.
        ("51-[\"x\",{\"num\":0,\"_placeholder\":true}]".into(), format!("event / - x {}", p(0)), vec![a.clone()]),
        (
            "51-[1e999, { \"num\" : 0.0, \"x\": [{}], \"\\u005fplaceholder\": true } ]".into(),
            format!("event / - 1e999 {}", p(0)),
            vec![a.clone()],
        ),
        (
            "51-[\"x\",{\"_placeholder\":true,\"num\":-0,\"y\":1}]".into(),
            format!("event / - x {}", p(0)),
            vec![a.clone()],
        ),
        // The last of equal keys counts.
        (
            "51-[\"x\",{\"_placeholder\":false,\"num\":\"splice\",\"num\":0,\"_placeholder\":true}]".into(),
            format!("event / - x {}", p(0)),
            vec![a.clone()],
        ),
        (
            format!("51-[\"x\",{{\"_placeholder\":true,\"num\":5,\"_placeholder\":false}},{}]", p(0)),
            format!("event / - x {{\"num\":5,\"_placeholder\":false}},{}", p(0)),
            vec![Object::from_iter([("num", Value::from(5)), ("_placeholder", false.into())]).into(), a.clone()],
        ),
        // What is inside of a placeholder is gone.
        (
            "51-[\"x\",{\"_placeholder\":true,\"x\":{\"_placeholder\":true,\"num\":1},\"num\":0}]".into(),
            format!("event / - x {}", p(0)),
            vec![a.clone()],
        ),
        // Not exactly `true`: an object as any other.
        (
            format!("51-[\"x\",{{\"_placeholder\":1,\"num\":3}},{}]", p(0)),
            format!("event / - x {{\"num\":3,\"_placeholder\":1}},{}", p(0)),
            vec![Object::from_iter([("num", 3), ("_placeholder", 1)]).into(), a.clone()],
        ),
        (
            format!("51-[\"x\",{{\"_placeholder\":[{}]}}]", p(0)),
            format!("event / - x {{\"_placeholder\":[{}]}}", p(0)),
            vec![Object::from_iter([("_placeholder", nested(&a))]).into()],
        ),
        // Tokens that serde_json refuses.
        (
            format!("51-[\"\\ud800\",\"\\ud800\",-1e999,{}]", p(0)),
            format!("event / - \u{fffd} \"\u{fffd}\",null,{}", p(0)),
            vec![Value::from("\u{fffd}"), Value::Null, a],
        ),
    ];
    for (text, shown, values) in rows {
        let count = text.as_bytes()[1] - b'0';
        let packet = decode_binary(&text, count).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(show(&packet), shown, "{text}");
        let (Packet::Event { args, .. } | Packet::Ack { args, .. }) = packet else { panic!() };
        assert_eq!(args.to_values().unwrap(), values, "{text}");
        // Forwarded, it says the same.
        let again = Payload::ack_from_args(&args).to_args().unwrap();
        assert_eq!(again.to_values().unwrap(), values, "{text}");
    }
}

/// CVE-2022-2421 (`splice`), and an attachment that is multiplied.
#[test]
fn illegal_placeholders() {
    let declared = 2;
    let illegal = DecodeError::Placeholder { declared };
    for num in [
        "-1",
        "0.5",
        "1e30",
        "2",
        "\"splice\"",
        "\"0\"",
        "null",
        "true",
        "[0]",
        "{\"a\":1}",
        "18446744073709551616",
        "1e999",
    ] {
        for text in [
            format!("52-[\"x\",{{\"_placeholder\":true,\"num\":0}},{{\"_placeholder\":true,\"num\":{num}}}]"),
            format!("62-1[{{\"num\":{num},\"_placeholder\":true}},{{\"_placeholder\":true,\"num\":0}}]"),
        ] {
            assert_eq!(decode(&text), Err(illegal.clone()), "{text}");
        }
    }
    let missing = "52-[\"x\",{\"_placeholder\":true}]";
    assert_eq!(decode(missing), Err(illegal.clone()));
    let extra = format!("52-[\"x\"{}]", placeholders(3));
    assert_eq!(decode(&extra), Err(illegal));

    let unused = |used| DecodeError::UnusedAttachment { declared, used };
    assert_eq!(decode("52-[\"x\"]"), Err(unused(0)));
    let one = format!("52-[\"x\"{}]", placeholders(1));
    assert_eq!(decode(&one), Err(unused(1)));

    let twice = DecodeError::RepeatedAttachment { num: 0 };
    let zeros = ",{\"_placeholder\":true,\"num\":0}".repeat(33_000);
    let amplified = format!("51-[\"x\"{zeros}]");
    assert_eq!(decode(&amplified), Err(twice.clone()));
    assert_eq!(decode("62-1[{\"num\":0,\"_placeholder\":true},{\"_placeholder\":true,\"num\":0}]"), Err(twice));
    // A placeholder is no name.
    assert_eq!(decode("51-[{\"_placeholder\":true,\"num\":0}]"), Err(DecodeError::EventName));
}

#[test]
fn messages_in_the_wrong_place() {
    let begin = Text::from(format!("52-[\"x\"{}]", placeholders(2)));
    let mut decoder = Decoder::new(&Limits::default());
    let unexpected = Err(DecodeError::UnexpectedAttachment);
    assert_eq!(decoder.handle_binary(Bytes::new()), unexpected);

    assert_eq!(decoder.handle_text(begin.clone()), Ok(None));
    assert!(decoder.is_pending());
    assert_eq!(decoder.pending_bytes(), begin.len());
    assert_eq!(decoder.handle_binary(Bytes::from("abc")), Ok(None));
    assert_eq!(decoder.pending_bytes(), begin.len() + 3);
    let missing = 1;
    assert_eq!(decoder.handle_text(Text::from("2[\"a\"]")), Err(DecodeError::TextInsteadOfAttachment { missing }));
    // After an error, and after a reset, nothing is left.
    assert!(!decoder.is_pending());
    assert_eq!(decoder.handle_text(begin), Ok(None));
    decoder.reset();
    assert_eq!((decoder.is_pending(), decoder.pending_bytes()), (false, 0));
    assert_eq!(decoder.handle_binary(Bytes::new()), unexpected);
    let next = decoder.handle_text(Text::from("2[\"a\"]"));
    assert!(next.unwrap().is_some());
}

#[test]
fn packet_bytes_at_the_limit() {
    let text = Text::from(format!("52-[\"x\"{}]", placeholders(2)));
    let limit = text.len() + 5;
    let size = limit + 1;
    let mut decoder = Decoder::new(&Limits { max_packet_bytes: limit, ..Limits::default() });
    for (last, fits) in [(2, true), (3, false)] {
        assert_eq!(decoder.handle_text(text.clone()), Ok(None));
        assert_eq!(decoder.handle_binary(Bytes::from(vec![0; 3])), Ok(None));
        let result = decoder.handle_binary(Bytes::from(vec![0; last]));
        if fits {
            assert!(result.unwrap().is_some());
        } else {
            assert_eq!(result, Err(DecodeError::PacketTooLarge { limit, size }));
            assert_eq!(decoder.pending_bytes(), 0);
        }
    }
    let text = |len: usize| Text::from(format!("2[\"{}\"]", "x".repeat(len - 5)));
    assert!(decoder.handle_text(text(limit)).unwrap().is_some());
    assert_eq!(decoder.handle_text(text(size)), Err(DecodeError::PacketTooLarge { limit, size }));
}

#[test]
fn namespace_names_at_the_limit() {
    let limit = Limits::default().namespace_name;
    let name = |len: usize| format!("/{}", "n".repeat(len - 1));
    let texts = |len: usize| {
        [
            format!("0{}", name(len)),
            format!("2{},[\"a\"]", name(len)),
            format!("51-{},[\"a\"{}]", name(len), placeholders(1)),
        ]
    };
    for text in texts(limit) {
        assert!(decode(&text).is_ok());
    }
    let length = limit + 1;
    for text in texts(length) {
        let error = DecodeError::NamespaceTooLong { limit, length };
        assert_eq!(decode(&text), Err(error));
    }
}

#[test]
fn ids_at_the_limit() {
    for (id, fits) in [
        (MAX_ID.to_string(), true),
        ((MAX_ID + 1).to_string(), false),
        (u64::MAX.to_string(), false),
        ("43100000000000000000000".into(), false),
        ("9".repeat(400), false),
        ("0".repeat(400), true),
    ] {
        for text in [format!("2{id}[\"a\"]"), format!("3{id}[]"), format!("2/x,{id}[\"a\"]")] {
            let result = decode(&text);
            if fits {
                assert!(result.unwrap().is_some(), "{text}");
            } else {
                let error = DecodeError::IdTooLarge { limit: MAX_ID };
                assert_eq!(result, Err(error), "{text}");
            }
        }
    }
}

/// Nesting that overflows JavaScript's stack; the array of arguments counts.
#[test]
fn depth_at_the_limit() {
    let nested = |levels: usize, open: &str, close: &str| {
        let inner = levels - 1;
        format!("2[\"a\",{}1{}]", open.repeat(inner), close.repeat(inner))
    };
    for (open, close) in [("[", "]"), ("{\"[\":", "}")] {
        let Some(Packet::Event { args, .. }) = decode(&nested(127, open, close)).unwrap() else { panic!() };
        assert_eq!(args.to_values().unwrap().len(), 1);
        assert!(args.deserialize::<(Value,)>().is_ok() && args.deserialize::<Value>().is_ok());
        assert!(Payload::event("a", &args, 10).is_ok());
        for levels in [128, 129, 5_000, 300_000] {
            let error = Err(DecodeError::TooDeep { limit: 128 });
            assert_eq!(decode(&nested(levels, open, close)), error);
        }
    }
    let error = decode(&nested(128, "[", "]")).unwrap_err();
    assert!(error.to_string().contains("128"));
    let binary = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 2), "]".repeat(levels - 2));
        format!("51-[1,{open}{{\"num\":0,\"_placeholder\":true}}{close}]")
    };
    let Packet::Event { args, .. } = decode_binary(&binary(127), 1).unwrap() else { panic!() };
    assert!(args.deserialize::<Value>().is_ok() && args.to_values().is_ok());
    assert!(decode(&binary(128)).is_err());
}

/// Many small elements stay text until somebody asks.
#[test]
fn many_elements_stay_text() {
    let text = format!("2[\"a\"{}]", ",1".repeat(300_000));
    let Some(Packet::Event { args, .. }) = decode(&text).unwrap() else { panic!() };
    assert_eq!(args.raw().len(), 2 * 300_000 - 1);
    assert_eq!(args.len(), 300_000);
    assert_eq!(args.deserialize::<(u8, u8)>(), Ok((1, 1)));
}

#[test]
fn text_is_shared_with_the_message() {
    let text = Text::from("2/chat,[\"hello\",1]");
    let range = text.as_bytes().as_ptr_range();
    let mut decoder = Decoder::new(&Limits::default());
    let packet = decoder.handle_text(text.clone()).unwrap().unwrap();
    let Packet::Event { namespace, event, args, .. } = &packet else { panic!() };
    for part in [namespace.as_str(), event.as_str(), args.raw()] {
        assert!(range.contains(&part.as_ptr()), "{part}");
    }
    assert!(size_of::<Decoder>() <= 32);
}
