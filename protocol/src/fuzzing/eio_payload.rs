//! Engine.IO payloads and packets.

/// Any bytes as the body of a POST: what is read is written again as it was (but for the padding of base64), and reading
/// stops at the first bad packet.
pub fn eio_payload(data: &[u8]) {
    use alloc::vec::Vec;

    use bytes::Bytes;

    use crate::engine::{Packet, PayloadReader};

    let body = Bytes::copy_from_slice(data);
    let mut reader = PayloadReader::new(body.clone());
    let mut remaining = usize::MAX;
    for part in body.split(|byte| *byte == 0x1e) {
        assert!(reader.remaining() < remaining, "each packet is read once");
        remaining = reader.remaining();
        match reader.next() {
            Some(Ok(packet)) => {
                let mut encoded = Vec::new();
                packet.encode(&mut encoded);
                if part.first() == Some(&b'b') {
                    assert_eq!(trim_padding(&encoded), trim_padding(part));
                } else {
                    assert_eq!(encoded, part);
                }
                let text = crate::Text::try_from(Bytes::from(encoded)).expect("an encoded packet is text");
                assert_eq!(Packet::decode(crate::ws::Message::Text(text)), Ok(packet));
            }
            Some(Err(_)) => break,
            None => panic!("a part was not read"),
        }
    }
    assert!(reader.next().is_none());
}

fn trim_padding(base64: &[u8]) -> &[u8] {
    let end = base64.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    &base64[..end]
}
