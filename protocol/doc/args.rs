// What the examples of arguments have around them, out of their readers' sight: packets that have arrived.

#[allow(unused_imports)]
use std::collections::BTreeMap;

#[allow(unused_imports)]
use sockeye_protocol::{
    Limits, Text,
    socket::{Args, ArgsError, Data, Decoder, Packet, Value},
};

/// The arguments of an event's packet, and its attachments.
#[allow(dead_code)]
fn event(packet: &str, attachments: &[&'static [u8]]) -> Args {
    let mut decoder = Decoder::new(&Limits::default());
    let mut decoded = decoder.handle_text(Text::from(packet)).unwrap();
    for bytes in attachments {
        decoded = decoder.handle_binary(bytes::Bytes::from_static(bytes)).unwrap();
    }
    match decoded {
        Some(Packet::Event { args, .. }) => args,
        other => panic!("{other:?}"),
    }
}

/// The data of a CONNECT packet.
#[allow(dead_code)]
fn connect(packet: &str) -> Data {
    match Decoder::new(&Limits::default()).handle_text(Text::from(packet)).unwrap() {
        Some(Packet::Connect { data: Some(data), .. }) => data,
        other => panic!("{other:?}"),
    }
}
