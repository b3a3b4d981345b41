//! Arguments and types: what a type is sent as, and what a type is read from.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned, ser::SerializeMap};
use serde_json::value::RawValue;
use sockeye_protocol::{
    Limits, Text,
    socket::{Args, ArgsError, Decoder, EncodeError, Object, Packet, Payload, RESERVED_EVENTS, Spread, Value},
};

/// Arguments from their JSON, and attachments for its placeholders.
fn args(json: &str, attachments: &[&'static [u8]]) -> Args {
    let mut decoder = Decoder::new(&Limits::default());
    let text = match attachments.len() {
        0 => format!("2[\"name\"{}{json}]", if json.is_empty() { "" } else { "," }),
        count => format!("5{count}-[\"name\",{json}]"),
    };
    let mut packet = decoder.handle_text(Text::from(text)).unwrap();
    for attachment in attachments {
        packet = decoder.handle_binary(Bytes::from_static(attachment)).unwrap();
    }
    let Some(Packet::Event { args, .. }) = packet else { panic!("{json}") };
    args
}

fn event<T: Serialize>(args: T) -> (String, Vec<Bytes>) {
    let payload = Payload::event("e", &args, 10).unwrap();
    let json = std::str::from_utf8(payload.json()).unwrap().to_owned();
    (json, payload.attachments().to_vec())
}

fn reads<T: DeserializeOwned + PartialEq + std::fmt::Debug>(json: &str, expected: T) {
    assert_eq!(args(json, &[]).deserialize::<T>().as_ref(), Ok(&expected), "{json}");
}

const P0: &str = r#"{"_placeholder":true,"num":0}"#;
const P1: &str = r#"{"_placeholder":true,"num":1}"#;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct New<T>(T);
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Two(u8, Bytes);
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct File {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Bytes>,
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tagged {
    Unit,
    New(Bytes),
    Tuple(u8, Bytes),
    Struct { bytes: Bytes },
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    A { bytes: Bytes },
    B,
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    Bytes(Bytes),
    File { file: Bytes },
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

fn file(content: Option<&'static [u8]>) -> File {
    File { name: "f".into(), content: content.map(Bytes::from_static) }
}

#[test]
fn what_is_one_argument_and_what_is_several() {
    for (found, json) in [
        (event(()), r#"["e"]"#),
        (event((1,)), r#"["e",1]"#),
        (event((1, "two", [3])), r#"["e",1,"two",[3]]"#),
        (event([1, 2]), r#"["e",1,2]"#),
        (event([0_u8; 0]), r#"["e"]"#),
        (event(((1, 2),)), r#"["e",[1,2]]"#),
        (event(((),)), r#"["e",null]"#),
        (event((Vec::<u8>::new(),)), r#"["e",[]]"#),
        (event((1, 2)), r#"["e",1,2]"#),
        (event(Box::new((1, 2))), r#"["e",1,2]"#),
        // Inside of anything else a tuple is an array.
        (event(Some((1, 2))), r#"["e",[1,2]]"#),
        (event(New((1, 2))), r#"["e",[1,2]]"#),
        (event(Some(())), r#"["e",null]"#),
        (event(None::<u8>), r#"["e",null]"#),
        (event(vec![1, 2]), r#"["e",[1,2]]"#),
        (event(&[1, 2][..]), r#"["e",[1,2]]"#),
        (event(Unit), r#"["e",null]"#),
        (event(Value::Null), r#"["e",null]"#),
        (event(Value::Array(vec![])), r#"["e",[]]"#),
        (event("é\"\\\n"), r#"["e","é\"\\\n"]"#),
        (event('c'), r#"["e","c"]"#),
        (event(true), r#"["e",true]"#),
        (event(i128::MAX), r#"["e",170141183460469231731687303715884105727]"#),
        (event((u128::MAX, -1_i8)), r#"["e",340282366920938463463374607431768211455,-1]"#),
        (event((f64::NAN, f32::INFINITY, 1.5)), r#"["e",null,null,1.5]"#),
        (event(BTreeMap::from([(1, 2)])), r#"["e",{"1":2}]"#),
        (event(file(None)), r#"["e",{"name":"f"}]"#),
        (event(Tagged::Unit), r#"["e","Unit"]"#),
        (event(format_args!("{}-{}", 1, 2)), r#"["e","1-2"]"#),
        (event(RawValue::from_string("[1, 2]".into()).unwrap()), r#"["e",[1, 2]]"#),
        (event(Spread(&[Value::from(1), Value::from("x")])), r#"["e",1,"x"]"#),
        (event(Spread::<Value>(&[])), r#"["e"]"#),
        (event(args("1, [2]", &[])), r#"["e",1,[2]]"#),
        (event(Args::default()), r#"["e"]"#),
    ] {
        assert_eq!(found, (json.into(), vec![]));
    }
    for (payload, json) in [
        (Payload::ack(&(), 10), "[]"),
        (Payload::ack(&((), 1), 10), "[null,1]"),
        (Payload::ack(&[(); 0], 10), "[]"),
        (Payload::ack("x", 10), "[\"x\"]"),
        (Payload::ack(&vec![1], 10), "[[1]]"),
        (Payload::data(&(1, 2)), "[1,2]"),
        (Payload::data("x"), "\"x\""),
        (Payload::data(&()), "null"),
        (Payload::data(&file(None)), "{\"name\":\"f\"}"),
        (Payload::event("a\"\\,é", &(1, 2), 10), "[\"a\\\"\\\\,é\",1,2]"),
        (Payload::event("", &(), 10), "[\"\"]"),
        (Payload::event("a\\", &vec![1], 10), "[\"a\\\\\",[1]]"),
    ] {
        assert_eq!(payload.unwrap().json(), json);
    }
}

#[test]
fn bytes_become_attachments_depth_first() {
    let bytes = Bytes::from_static;
    let b = |bytes: &'static [u8]| Bytes::from_static(bytes);
    let name = r#"{"name":"f","content":"#;
    for (found, json, attachments) in [
        (event(bytes(b"a")), format!(r#"["e",{P0}]"#), vec!["a"]),
        (event((bytes(b""), 1)), format!(r#"["e",{P0},1]"#), vec![""]),
        (event([bytes(b"a"), bytes(b"b")]), format!(r#"["e",{P0},{P1}]"#), vec!["a", "b"]),
        (event(vec![bytes(b"a"), bytes(b"a")]), format!(r#"["e",[{P0},{P1}]]"#), vec!["a", "a"]),
        (event((file(Some(b"a")), Some(b(b"b")))), format!(r#"["e",{name}{P0}}},{P1}]"#), vec!["a", "b"]),
        (event(Tagged::New(b(b"a"))), format!(r#"["e",{{"New":{P0}}}]"#), vec!["a"]),
        (event(Tagged::Tuple(1, b(b"a"))), format!(r#"["e",{{"Tuple":[1,{P0}]}}]"#), vec!["a"]),
        (event(Tagged::Struct { bytes: b(b"a") }), format!(r#"["e",{{"Struct":{{"bytes":{P0}}}}}]"#), vec!["a"]),
        (event(Two(1, b(b"a"))), format!(r#"["e",[1,{P0}]]"#), vec!["a"]),
        (event(New(b(b"a"))), format!(r#"["e",{P0}]"#), vec!["a"]),
        (event(BTreeMap::from([("k", b(b"a"))])), format!(r#"["e",{{"k":{P0}}}]"#), vec!["a"]),
        (event(Internal::A { bytes: b(b"a") }), format!(r#"["e",{{"type":"A","bytes":{P0}}}]"#), vec!["a"]),
        (event(Untagged::Bytes(b(b"a"))), format!(r#"["e",{P0}]"#), vec!["a"]),
        (event(args(&format!("1,{P1},{P0}"), &[b"a", b"b"])), format!(r#"["e",1,{P0},{P1}]"#), vec!["b", "a"]),
        // A key is not taken for ours because it ends alike, nor is text.
        (
            event((b(b"a"), BTreeMap::from([("x\"_placeholder", "{\"_placeholder\":true")]))),
            format!(r#"["e",{P0},{{"x\"_placeholder":"{{\"_placeholder\":true"}}]"#),
            vec!["a"],
        ),
    ] {
        assert_eq!(found.0, json);
        assert_eq!(found.1, attachments, "{json}");
    }
}

#[test]
fn what_cannot_be_sent() {
    for name in RESERVED_EVENTS {
        let error = EncodeError::ReservedEvent(name);
        assert_eq!(Payload::event(name, &(), 10), Err(error.clone()));
        assert_eq!(Payload::event_from_args(name, &Args::default()), Err(error));
    }
    for plain in ["error", "__proto__", "Connect", ""] {
        assert!(Payload::event(plain, &(), 10).is_ok());
    }
    let attachments = |count: usize| vec![Bytes::from_static(b"x"); count];
    for limit in [0, 1, 10] {
        let full = Payload::event("e", &attachments(limit), limit).unwrap();
        assert_eq!(full.attachments().len(), limit);
        for found in [limit + 1, limit + 5] {
            let error = Err(EncodeError::TooManyAttachments { limit, found });
            assert_eq!(Payload::event("e", &attachments(found), limit), error);
            assert_eq!(Payload::ack(&attachments(found), limit), error);
        }
    }
    assert_eq!(Payload::data(&attachments(1)), Err(EncodeError::BinaryData));

    struct BytesAsKey;
    impl Serialize for BytesAsKey {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry(&Bytes::from_static(b"key"), &1)?;
            map.end()
        }
    }
    let error = EncodeError::Serialize("key must be a string".into());
    assert_eq!(Payload::event("e", &BytesAsKey, 10), Err(error));

    // It would be taken for the attachment.
    let fake = Object::from_iter([("_placeholder", Value::from(true)), ("num", 0.into())]);
    let alone = Payload::event("e", &fake, 10).unwrap();
    assert_eq!((alone.json(), alone.attachments().len()), (&Bytes::from(format!("[\"e\",{P0}]")), 0));
    for fakes in [(&fake, attachments(1)), (&Object::from_iter([("_placeholder", 0)]), attachments(1))] {
        assert_eq!(Payload::event("e", &fakes, 10), Err(EncodeError::PlaceholderKey));
    }

    // Levels at the limit and above: the list of arguments is one.
    let nested = |levels: usize| (2..levels).fold(Value::Array(vec![]), |v, _| Value::from(vec![v]));
    assert!(Payload::event("e", &nested(127), 10).is_ok());
    let error = Err(EncodeError::TooDeep { limit: 128 });
    assert_eq!(Payload::event("e", &nested(128), 10), error);
    assert_eq!(Payload::ack(&nested(128), 10), error);
    assert_eq!(Payload::data(&nested(129)), error);
}

#[test]
fn a_tuple_takes_arguments_in_turn_and_others_the_first() {
    reads(r#"1,"a""#, (1_u8, "a".to_owned()));
    reads("1,2,3", (1_u8, 2_u8));
    reads("1,2,3", [1_u8, 2]);
    reads("1", (1_u8, None::<u8>, None::<New<u8>>, New(None::<u8>)));
    reads("1,null", (1_u8, None::<u8>));
    reads("", (None::<u8>, None::<u8>));
    reads("", ());
    reads("1,2", ());
    reads("", None::<u8>);
    reads("1,2", Some(1_u8));
    reads("null", None::<u8>);
    reads("1,2", 1_u8);
    reads("1,2", Value::from(1));
    reads(" 1 , 2 ", (1_i64, 2_f32));
    reads("[1,2],3", vec![1_u8, 2]);
    reads("[1,2],3", Some((1_u8, 2_u8)));
    reads("[1,2],3", New((1_u8, 2_u8)));
    reads("[1,2],3", ((1_u8, 2_u8),));
    reads("\"c\"", 'c');
    reads("null", Unit);
    reads("170141183460469231731687303715884105727,-1", (i128::MAX, -1_i128));
    reads("340282366920938463463374607431768211455", u128::MAX);
    reads("{\"1\":true}", BTreeMap::from([(1_u8, true)]));
    reads("{\"name\":\"f\",\"other\":1}", file(None));
    reads("[\"f\",null]", file(None));
    reads("\"Unit\"", Tagged::Unit);
    reads("{\"type\":\"B\"}", Internal::B);
    reads("7", Untagged::Number(7));
    reads("\"text\",[1,2]", (Bytes::from("text"), Bytes::from_static(b"\x01\x02")));
    let ignored: (serde::de::IgnoredAny, u8) = args("{\"a\":[]},2", &[]).deserialize().unwrap();
    assert_eq!(ignored.1, 2);
    let raw: (Box<RawValue>,) = args("[1, 2]", &[]).deserialize().unwrap();
    assert_eq!(raw.0.get(), "[1, 2]");
    assert_eq!(args("1,2", &[]).deserialize_borrowed::<&RawValue>().unwrap().get(), "1");
}

#[test]
fn a_tuple_without_a_length_takes_all_arguments() {
    #[derive(Debug, PartialEq)]
    struct All(Vec<Value>);
    impl<'de> Deserialize<'de> for All {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Each;
            impl<'de> serde::de::Visitor<'de> for Each {
                type Value = All;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("arguments")
                }
                fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<All, A::Error> {
                    assert_eq!(seq.size_hint(), None);
                    let mut values = Vec::new();
                    while let Some(value) = seq.next_element()? {
                        values.push(value);
                    }
                    Ok(All(values))
                }
            }
            deserializer.deserialize_tuple(usize::MAX, Each)
        }
    }
    let check = |json: &str, attachments: &[&'static [u8]], expected: Vec<Value>| {
        assert_eq!(args(json, attachments).deserialize::<All>(), Ok(All(expected)), "{json}");
    };
    check("", &[], vec![]);
    check("null", &[], vec![Value::Null]);
    check("1,null,\"a\",[2],null", &[], vec![1.into(), Value::Null, "a".into(), vec![2].into(), Value::Null]);
    check(&format!("1,{P0}"), &[b"a"], vec![1.into(), Bytes::from_static(b"a").into()]);
    // What only JavaScript takes for a text or a number does not end the list.
    check("1,\"\\ud800\",1e999,2", &[], vec![1.into(), "\u{fffd}".into(), Value::Null, 2.into()]);
}

#[test]
fn attachments_come_back_wherever_they_stand() {
    fn check<T: DeserializeOwned + PartialEq + std::fmt::Debug>(
        json: String,
        attachments: &[&'static [u8]],
        expected: T,
    ) {
        let args = args(&json, attachments);
        assert_eq!(args.deserialize::<T>(), Ok(expected), "{json}");
    }
    let b = Bytes::from_static;
    check(P0.into(), &[b"a"], b(b"a"));
    check(P0.into(), &[b"a"], Some(b(b"a")));
    check(P0.into(), &[b"a"], New(b(b"a")));
    check(P0.into(), &[b"a"], New(Some(New(b(b"a")))));
    check(P0.into(), &[b"a"], vec![b'a']);
    check(P0.into(), &[b"ab"], [b'a', b'b'].map(u16::from).to_vec());
    check(P0.into(), &[b"a"], Value::from(b(b"a")));
    check(P0.into(), &[b"a"], Untagged::Bytes(b(b"a")));
    check(format!("{P1},1,{P0}"), &[b"a", b"b"], (b(b"b"), 1, b(b"a")));
    check(format!("1,{P0}"), &[b"a"], (1, b(b"a"), None::<u8>));
    check(format!("[{P0},{P1}]"), &[b"a", b""], vec![b(b"a"), b(b"")]);
    check(format!("[1,{P0}]"), &[b"a"], Two(1, b(b"a")));
    check(format!(r#"{{"name":"f","content":{P0}}}"#), &[b"a"], file(Some(b"a")));
    check(format!(r#"{{"content":{P0},"name":"f"}}"#), &[b"a"], file(Some(b"a")));
    check(
        format!(r#"{{"a":{P0},"b":{P1}}}"#),
        &[b"a", b"b"],
        BTreeMap::from([("a".to_owned(), b(b"a")), ("b".to_owned(), b(b"b"))]),
    );
    // Keys that are not strings, the first and another.
    check(format!(r#"{{"1":{P0},"-2":{P1}}}"#), &[b"a", b"b"], BTreeMap::from([(1_i8, b(b"a")), (-2, b(b"b"))]));
    check(format!(r#"{{"true":{P0}}}"#), &[b"a"], BTreeMap::from([(true, b(b"a"))]));
    check(format!(r#"{{"1":{P0}}}"#), &[b"a"], BTreeMap::from([(Some(New(1_u8)), b(b"a"))]));
    check(format!(r#"{{"c":{P0}}}"#), &[b"a"], BTreeMap::from([('c', b(b"a"))]));
    check(format!(r#"{{"New":{P0}}}"#), &[b"a"], Tagged::New(b(b"a")));
    check(format!(r#"{{"Tuple":[1,{P0}]}}"#), &[b"a"], Tagged::Tuple(1, b(b"a")));
    check(format!(r#"{{"Struct":{{"bytes":{P0}}}}}"#), &[b"a"], Tagged::Struct { bytes: b(b"a") });
    check(format!(r#"{{"type":"A","bytes":{P0}}}"#), &[b"a"], Internal::A { bytes: b(b"a") });
    check(format!(r#"{{"file":{P0}}}"#), &[b"a"], Untagged::File { file: b(b"a") });
    check(
        format!(r#"{{"x":{P0},"id":1}}"#),
        &[b"a"],
        Flat { id: 1, rest: BTreeMap::from([("x".to_owned(), b(b"a").into())]) },
    );
    check(
        format!(r#"{{}},{{"_placeholder":false}},{P0}"#),
        &[b"a"],
        (Object::new(), BTreeMap::from([("_placeholder".to_owned(), false)])),
    );
    check(format!("\"s\",[1],{P0}"), &[b"a"], (b(b"s"), b(b"\x01"), b(b"a")));

    // Where bytes are not expected they are an error, not an object.
    let one = args(P0, &[b"a"]);
    assert!(one.deserialize::<BTreeMap<String, Value>>().is_err());
    assert!(one.deserialize::<String>().is_err());
    assert!(one.deserialize::<File>().is_err());
    assert!(one.deserialize::<Tagged>().is_err());
    assert!(one.deserialize::<u8>().is_err());

    // Shared, not copied.
    let values = one.to_values().unwrap();
    assert_eq!(values[0].as_bytes().unwrap().as_ptr(), one.attachments()[0].as_ptr());
    let borrowed: &[u8] = one.deserialize_borrowed().unwrap();
    assert_eq!(borrowed.as_ptr(), one.attachments()[0].as_ptr());
    let text = args("\"text\"", &[]);
    let borrowed: &str = text.deserialize_borrowed().unwrap();
    assert_eq!(borrowed.as_ptr(), text.raw()[1..].as_ptr());
}

#[test]
fn a_key_that_is_no_boolean_is_an_error_whatever_it_begins_with() {
    for (json, attachments) in
        [(r#"2["e",{"\u{f031}":"x"}]"#, 0), (r#"51-["e",{"\u{f031}":{"_placeholder":true,"num":0}}]"#, 1)]
    {
        let text = json.replace("\\u{f031}", "\u{f031}");
        let mut decoder = Decoder::new(&Limits::default());
        let mut packet = decoder.handle_text(Text::from(text)).unwrap();
        for _ in 0..attachments {
            packet = decoder.handle_binary(Bytes::from_static(b"x")).unwrap();
        }
        let Some(Packet::Event { args, .. }) = packet else { panic!("an event") };
        let error = args.deserialize::<BTreeMap<bool, Value>>().unwrap_err();
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn errors_say_which_argument() {
    let missing = |index, expected| ArgsError::Missing { index, expected };
    assert_eq!(args("", &[]).deserialize::<u8>(), Err(missing(0, 1)));
    assert_eq!(args("", &[]).deserialize::<Value>(), Err(missing(0, 1)));
    assert_eq!(args("1", &[]).deserialize::<(u8, u8, u8)>(), Err(missing(1, 3)));
    assert_eq!(args("1", &[]).deserialize::<(u8, New<u8>)>(), Err(missing(1, 2)));
    assert_eq!(args("1", &[]).deserialize::<(u8, (u8, u8))>(), Err(missing(1, 2)));
    assert_eq!(args("", &[]).deserialize::<(Option<u8>, u8)>(), Err(missing(1, 2)));
    assert_eq!(args(P0, &[b"a"]).deserialize::<(Bytes, u8)>(), Err(missing(1, 2)));
    assert_eq!(missing(1, 3).to_string(), "argument 1 is missing, 3 expected");

    let invalid = |index, column, reason: &str| ArgsError::Invalid { index, line: 1, column, reason: reason.into() };
    let string = "invalid type: string \"x\", expected u8";
    assert_eq!(args("\"x\"", &[]).deserialize::<u8>(), Err(invalid(0, 3, string)));
    assert_eq!(args("1,\"x\"", &[]).deserialize::<(u8, u8)>(), Err(invalid(1, 5, string)));
    assert_eq!(args("300", &[]).deserialize::<u8>(), Err(invalid(0, 3, "invalid value: integer `300`, expected u8")));
    let bytes = args(&format!("1,{P0}"), &[b"a"]);
    let Err(ArgsError::Invalid { index, reason, .. }) = bytes.deserialize::<(u8, File)>() else { panic!() };
    assert_eq!((index, &*reason), (1, "invalid type: byte array, expected struct File"));
    // A peer's text is quoted up to a bound.
    let long = args(&format!("\"{}\"", "é".repeat(100_000)), &[]);
    assert!(long.deserialize::<u8>().unwrap_err().to_string().len() < 300);
}

/// JavaScript sends these, and a connection must not break over them.
#[test]
fn half_surrogates_and_numbers_out_of_range() {
    let odd = args(r#""\ud800x",1e999,{"\udc00":-1e999},1"#, &[]);
    let key = Object::from_iter([("\u{fffd}", Value::Null)]);
    assert_eq!(odd.to_values().unwrap(), [Value::from("\u{fffd}x"), Value::Null, key.into(), 1.into()]);
    let (text, number, map, one): (String, Option<f64>, BTreeMap<String, Option<u8>>, u8) = odd.deserialize().unwrap();
    assert_eq!((text.as_str(), number, one), ("\u{fffd}x", None, 1));
    assert_eq!(map.into_iter().next(), Some(("\u{fffd}".into(), None)));
    assert_eq!(odd.deserialize::<String>().unwrap(), "\u{fffd}x");
    // A number that is wanted as one is the handler's error.
    assert!(args("1e999", &[]).deserialize::<f64>().is_err());
    assert!(odd.deserialize_borrowed::<String>().is_err());
    // What JavaScript rounds is a number.
    reads("123456789012345678901234567890", 1.234_567_890_123_456_8e29);
    // Forwarded as it came.
    let forwarded = Payload::event_from_args("e", &odd).unwrap();
    assert_eq!(forwarded.json(), r#"["e","\ud800x",1e999,{"\udc00":-1e999},1]"#);
}

#[test]
fn forwarding_keeps_the_text() {
    for (json, attachments) in [("", &[][..]), ("1, [2 ]", &[]), (P0, &[&b"a"[..]])] {
        let args = args(json, attachments);
        let event = Payload::event_from_args("new \"name\"", &args).unwrap();
        let comma = if json.is_empty() { "" } else { "," };
        assert_eq!(event.json(), &format!("[\"new \\\"name\\\"\"{comma}{json}]"));
        assert_eq!(event.attachments(), attachments);
        assert_eq!(event.to_args().unwrap(), args);
        let ack = Payload::ack_from_args(&args);
        assert_eq!(ack.json(), &format!("[{json}]"));
        assert_eq!(ack.to_args().unwrap(), args);
        // Forwarded again, an acknowledgement shares its text.
        let again = Payload::ack_from_args(&ack.to_args().unwrap());
        assert_eq!(again.json().as_ptr(), ack.json().as_ptr());
        let size = ack.json().len() + attachments.iter().map(|a| a.len()).sum::<usize>();
        assert_eq!(ack.size(), size);
    }
    assert_eq!(Payload::data(&1).unwrap().to_args(), None);
    let sent = Payload::event("e", &(1, Bytes::from_static(b"x")), 10).unwrap();
    let args = sent.to_args().unwrap();
    assert_eq!(args.deserialize(), Ok((1, Bytes::from_static(b"x"))));
    assert_eq!(Payload::event("e", &(), 10).unwrap().to_args(), Some(Args::default()));
}

#[test]
fn a_forwarded_event_has_its_name_escaped_as_any_other() {
    let forwarded = args("1,\"x\"", &[]);
    for name in ["", "plain", "\"", "\\", "a\"b\\c", "\u{0}", "\n", "\u{1f}", " ", "/", "\u{7f}", "é🦀\u{2028}"] {
        let payload = Payload::event_from_args(name, &forwarded).unwrap();
        assert_eq!(payload, Payload::event(name, &(1, "x"), 10).unwrap());
        let payload = Payload::event_from_args(name, &Args::default()).unwrap();
        assert_eq!(payload, Payload::event(name, &(), 10).unwrap());
    }
}
