// What the examples of WebSockets have around them, out of their readers' sight: both ends, and a network between them.

#[allow(unused_imports)]
use bytes::{Buf as _, Bytes, BytesMut};
#[allow(unused_imports)]
use sockeye_protocol::{
    Instant, Seed,
    ws::{CloseFrame, Closing, Event, Message, Role, Settings, Stream},
};

#[allow(dead_code)]
const NOW: Instant = Instant::ZERO;

#[allow(dead_code)]
fn pair() -> (Stream, Stream) {
    let client = Stream::new(Settings::new(Role::Client), Some(&Seed::for_tests(1)));
    (client, Stream::new(Settings::new(Role::Server), None))
}

/// Carries what one has to say to the other.
#[allow(dead_code)]
fn carry(from: &mut Stream, to: &mut Stream) {
    let mut bytes = BytesMut::new();
    let queue = from.transmit();
    while queue.has_remaining() {
        bytes.extend_from_slice(queue.chunk());
        queue.advance(queue.chunk().len());
    }
    to.handle_bytes(&mut bytes);
}
