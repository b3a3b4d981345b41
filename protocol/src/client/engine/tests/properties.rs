//! Outputs depend on neither the cutting of bytes nor the batching of inputs.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::{Message, OPEN, plain};
use crate::{
    client::{Config, Transport},
    fuzzing::{Op, check},
};

const BODIES: [&str; 14] = [
    OPEN,
    "0{}",
    "6",
    "2",
    "4a\x1e4b\x1e2\x1ebAQID",
    "1",
    "4a\x1e1\x1e4b",
    "3probe",
    "5",
    "",
    "ok",
    "9",
    "4a\x1e9",
    "97:0{\"sid\"",
];

fn op() -> impl Strategy<Value = Op> {
    let body = || prop::sample::select(&BODIES[..]).prop_map(|body| body.as_bytes().to_vec());
    let status = |usual: u16| prop::sample::select([usual, usual, usual, usual, usual, usual, 302, 400].to_vec());
    let headers = || Vec::from([("location".into(), b"/x/".to_vec())]);
    prop_oneof![
        8 => (0..3_u8, status(200), body())
            .prop_map(move |(id, status, body)| Op::Answer(id, status, headers(), body)),
        1 => (0..3_u8).prop_map(Op::Fail),
        4 => (0..3_u8, status(101)).prop_map(|(id, status)| Op::Upgrade(id, status, Vec::new(), Vec::new())),
        1 => (0..3_u8).prop_map(Op::OpenFail),
        6 => (0..3_u8, body()).prop_map(|(id, packet)| Op::Say(id, packet)),
        1 => (0..3_u8, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(id, bytes)| Op::Raw(id, bytes)),
        1 => (0..3_u8).prop_map(Op::Eof),
        3 => (0..20_000_u64).prop_map(Op::Tick),
        3 => prop::sample::select(&["x", "y"][..]).prop_map(|text| Op::Send(Message::Text(text.into()))),
        1 => Just(Op::Close),
    ]
}

/// A session that goes well, so that what comes next finds every state.
fn opened() -> impl Strategy<Value = Vec<Vec<Op>>> {
    let good = Vec::from([
        Op::Answer(0, 200, Vec::new(), OPEN.into()),
        Op::Upgrade(0, 101, Vec::new(), Vec::new()),
        Op::Say(0, b"3probe".to_vec()),
        Op::Answer(0, 200, Vec::new(), b"6".to_vec()),
        Op::Say(0, b"4hello".to_vec()),
    ]);
    (0..=good.len()).prop_map(move |steps| good[..steps].iter().map(|op| Vec::from([op.clone()])).collect())
}

fn config(choice: u8) -> Config {
    let transports = match choice % 4 {
        0 => [Transport::Polling].into(),
        1 => [Transport::WebSocket].into(),
        2 => [Transport::WebSocket, Transport::Polling].into(),
        _ => [Transport::Polling, Transport::WebSocket].into(),
    };
    Config { transports, try_all_transports: choice >= 4, ..plain() }
}

proptest! {
    #[test]
    fn any_batching_gives_the_same(
        choice in 0..8_u8,
        start in opened(),
        batches in prop::collection::vec(prop::collection::vec(op(), 1..5), 1..14),
    ) {
        check(&config(choice), &[start, batches].concat());
    }
}
