//! A packet that is encoded once for any number of recipients.

use alloc::{sync::Arc, vec::Vec};

use bytes::Bytes;

/// A Socket.IO packet, encoded once for any number of recipients. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Encoded(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: Bytes,
    text_frame: Bytes,
    attachments: Vec<Bytes>,
}

impl Encoded {
    /// The packet's Engine.IO text form, `4` and the Socket.IO text.
    pub(crate) fn text(&self) -> Bytes {
        self.0.text.clone()
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
        &self.0.attachments
    }

    /// The attachments as `b` and base64, made on first use.
    pub(crate) fn attachment_texts(&self) -> &[Bytes] {
        &self.0.attachments
    }

    /// Bytes of the text and of the attachments.
    pub fn size(&self) -> usize {
        self.0.attachments.iter().map(Bytes::len).fold(self.0.text.len(), usize::saturating_add)
    }
}
