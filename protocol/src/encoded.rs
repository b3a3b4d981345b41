//! A packet that is encoded once for any number of recipients.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use once_cell::race::OnceBox;

use crate::{
    socket::{Head, PacketType, PayloadRef},
    ws,
};

/// A Socket.IO packet, encoded once for any number of recipients. Cloning shares it.
///
/// The text's WebSocket frame is made at once, since an unmasked frame is the same for every recipient, and its
/// payload is what polling recipients get too. The forms of the attachments are made on first use and kept.
#[derive(Clone, Debug)]
pub struct Encoded(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text_frame: Bytes,
    /// Where the payload starts in `text_frame`.
    text_start: usize,
    attachments: Vec<Bytes>,
    attachment_frames: OnceBox<Vec<Bytes>>,
    attachment_texts: OnceBox<Vec<Bytes>>,
}

impl Encoded {
    /// Encodes an event for one namespace, with the id that its acknowledgements shall carry, if any.
    pub(crate) fn event(namespace: &str, id: Option<u64>, payload: PayloadRef<'_>) -> Self {
        Self::new(namespace, id, payload, [payload.json(), b""])
    }

    /// Encodes an event with one more argument: its offset, a text without anything to escape.
    pub(crate) fn event_at(namespace: &str, payload: PayloadRef<'_>, offset: &str) -> Self {
        let open = payload.json().split_last().map_or(&b""[..], |(_, open)| open);
        // An event has a name at least, so there is something in front of the comma.
        let tail = [b",\"", offset.as_bytes(), b"\"]"].concat();
        Self::new(namespace, None, payload, [open, &tail])
    }

    fn new(namespace: &str, id: Option<u64>, payload: PayloadRef<'_>, json: [&[u8]; 2]) -> Self {
        let head = Head::new(PacketType::Event, payload.attachments().len(), namespace, id);
        let [before, namespace, after] = head.parts();
        let [json, tail] = json;
        let parts = [before, namespace, after, json, tail];
        let text_frame = ws::encode_frame(ws::Opcode::Text, &parts);
        let text_len = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
        Self(Arc::new(Inner {
            text_start: text_frame.len().saturating_sub(text_len),
            text_frame,
            attachments: payload.attachments().to_vec(),
            attachment_frames: OnceBox::new(),
            attachment_texts: OnceBox::new(),
        }))
    }

    /// The packet's Engine.IO text form, `4` and the Socket.IO text.
    pub(crate) fn text(&self) -> Bytes {
        self.0.text_frame.slice(self.0.text_start..)
    }

    /// The same as a whole, unmasked WebSocket frame.
    pub(crate) fn text_frame(&self) -> &Bytes {
        &self.0.text_frame
    }

    /// The attachments as they are.
    pub(crate) fn attachments(&self) -> &[Bytes] {
        &self.0.attachments
    }

    /// The attachments as whole, unmasked WebSocket frames.
    pub(crate) fn attachment_frames(&self) -> &[Bytes] {
        self.0.attachment_frames.get_or_init(|| {
            let frame = |bytes: &Bytes| ws::encode_frame(ws::Opcode::Binary, &[bytes]);
            Box::new(self.0.attachments.iter().map(frame).collect())
        })
    }

    /// The attachments as `b` and base64 (Engine.IO protocol v4, "HTTP long-polling", "Packet encoding").
    pub(crate) fn attachment_texts(&self) -> &[Bytes] {
        self.0.attachment_texts.get_or_init(|| {
            let text = |bytes: &Bytes| {
                let mut text = String::from("b");
                STANDARD.encode_string(bytes, &mut text);
                Bytes::from(text)
            };
            Box::new(self.0.attachments.iter().map(text).collect())
        })
    }

    /// Bytes of the text and of the attachments.
    pub fn size(&self) -> usize {
        let text = self.0.text_frame.len().saturating_sub(self.0.text_start);
        self.0.attachments.iter().map(Bytes::len).fold(text, usize::saturating_add)
    }
}

impl Encoded {
    /// Bytes that it takes beside its text and attachments: its own, two counters, and those of shared buffers.
    pub(crate) fn overhead(&self) -> usize {
        let attachments = self.0.attachments.len().saturating_mul(size_of::<Bytes>());
        size_of::<Inner>().saturating_add(size_of::<[usize; 4]>()).saturating_add(attachments)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::socket::Payload;

    #[test]
    fn every_form_shares_one_encoding() {
        let payload = Payload::event("news", &json!({"a": 1}), 10).unwrap();
        let encoded = Encoded::event("/admin", Some(3), (&payload).into());
        assert_eq!(encoded.text(), r#"42/admin,3["news",{"a":1}]"#);
        assert_eq!(encoded.text().as_ptr(), encoded.text_frame()[2..].as_ptr());
        assert_eq!(encoded.text_frame()[0], 0x81);
        assert_eq!(encoded.size(), 26);
        assert!(encoded.attachment_frames().is_empty());
    }

    #[test]
    fn an_offset_is_one_more_argument() {
        for (args, text) in [(json!(1), r#"42["news",1,"o.1"]"#), (json!([]), r#"42["news",[],"o.1"]"#)] {
            let payload = Payload::event("news", &args, 10).unwrap();
            assert_eq!(Encoded::event_at("/", (&payload).into(), "o.1").text(), text);
        }
        let payload = Payload::event("news", &(), 10).unwrap();
        assert_eq!(Encoded::event_at("/a", (&payload).into(), "o.1").text(), r#"42/a,["news","o.1"]"#);
    }

    #[test]
    fn attachments_have_a_frame_and_a_text() {
        let payload = Payload::event("news", &Bytes::from_static(b"\x01\x02"), 10).unwrap();
        let encoded = Encoded::event("/", None, (&payload).into());
        assert_eq!(encoded.text(), r#"451-["news",{"_placeholder":true,"num":0}]"#);
        assert_eq!(encoded.attachments(), [Bytes::from_static(b"\x01\x02")]);
        assert_eq!(encoded.attachment_frames(), [Bytes::from_static(b"\x82\x02\x01\x02")]);
        assert_eq!(encoded.attachment_texts(), [Bytes::from_static(b"bAQI=")]);
        assert_eq!(encoded.attachment_texts().as_ptr(), encoded.attachment_texts().as_ptr());
    }
}
