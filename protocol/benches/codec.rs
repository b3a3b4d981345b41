//! Events with one string as text and back, beside `serde_json` alone on the same text: without a look at the packet's
//! head, at names that are reserved, at placeholders of attachments.
//!
//! ```text
//! cargo bench -p sockeye-protocol --bench codec
//! ```

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure ends the program")]

use divan::{Bencher, black_box, counter::BytesCount};
use sockeye_protocol::{
    Limits, Text,
    socket::{Decoder, Encoder, Packet},
};

fn main() {
    divan::main();
}

/// Bytes of the string.
const SIZES: [usize; 3] = [16, 1024, 65_536];

#[divan::bench(args = SIZES)]
fn decode(bencher: Bencher<'_, '_>, size: usize) {
    let mut decoder = Decoder::new(&Limits::default());
    let text = Text::from(format!(r#"2["echo","{}"]"#, string(size)));
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let Ok(Some(Packet::Event { event, args, .. })) = decoder.handle_text(black_box(&text).clone()) else {
            panic!("an event");
        };
        let text: &str = args.deserialize_borrowed().unwrap();
        black_box((&event, text));
    });
}

#[divan::bench(args = SIZES)]
fn decode_by_serde_json(bencher: Bencher<'_, '_>, size: usize) {
    let text = format!(r#"["echo","{}"]"#, string(size));
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let (event, text): (&str, &str) = serde_json::from_str(black_box(&text)).unwrap();
        black_box((event, text));
    });
}

#[divan::bench(args = SIZES)]
fn encode(bencher: Bencher<'_, '_>, size: usize) {
    let (mut encoder, text) = (Encoder::default(), string(size));
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        black_box(encoder.event("echo", black_box(&text), 10).unwrap().json());
    });
}

#[divan::bench(args = SIZES)]
fn encode_by_serde_json(bencher: Bencher<'_, '_>, size: usize) {
    let (mut memory, text) = (Vec::new(), string(size));
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        memory.clear();
        serde_json::to_writer(&mut memory, &("echo", black_box(&text))).unwrap();
        black_box(&memory);
    });
}

fn string(size: usize) -> String {
    "abcdefghijklmnop".chars().cycle().take(size).collect()
}
