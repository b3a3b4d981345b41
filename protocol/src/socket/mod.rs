//! Socket.IO packets and their arguments: the default parser of Socket.IO protocol v5, in both directions.
//!
//! A packet is a text (type, attachment count, namespace, acknowledgement id, JSON payload) that binary attachments may
//! follow. [`Decoder`] turns messages into [`Packet`]s; [`Payload`] is what is sent.
//!
//! **Receiving is lazy.** A decoded packet's [`Args`] are a validated slice of the text that arrived. They become a type
//! of the application, or [`Value`]s, when somebody asks, and can be forwarded without being parsed.
//!
//! **Arguments and types.** A tuple stands for several arguments, `()` for none, and anything else for one:
//!
//! | type | sent as | received from |
//! | --- | --- | --- |
//! | `(A, B)`, `[A; 2]` | two arguments | the first two arguments; further ones are ignored, a missing one is an error unless it is an `Option` |
//! | `()` | no argument | any number of arguments |
//! | `Option<A>` | one argument, maybe `null` | the first argument; `None` without arguments |
//! | struct, enum, `Vec<A>`, `String`, newtype, .. | one argument | the first argument |
//!
//! A tuple inside something else (a field, an `Option`, a newtype) is a JSON array; a tuple variant of an untagged enum
//! is a tuple. A type that asks serde for a tuple of `usize::MAX` elements gets all arguments, however many they are.
//! Bytes (`serialize_bytes`, as of `bytes::Bytes` or `serde_bytes`) become binary attachments wherever they stand, and come back from them.
//!
//! ```
//! use bytes::Bytes;
//! use serde::{Deserialize, Serialize};
//! use sockeye_protocol::{
//!     Limits, Text,
//!     socket::{Decoder, Packet, Payload},
//! };
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Upload {
//!     name: String,
//!     content: Bytes,
//! }
//!
//! let upload = Upload { name: "a.txt".into(), content: Bytes::from_static(b"hello") };
//! let payload = Payload::event("upload", &(1, upload), 10)?;
//! assert_eq!(
//!     payload.json(),
//!     r#"["upload",1,{"name":"a.txt","content":{"_placeholder":true,"num":0}}]"#
//! );
//!
//! let mut decoder = Decoder::new(&Limits::default());
//! let text = format!("51-{}", core::str::from_utf8(payload.json())?);
//! assert_eq!(decoder.handle_text(Text::from(text))?, None);
//! let Some(Packet::Event { event, args, .. }) = decoder.handle_binary(payload.attachments()[0].clone())? else {
//!     panic!("the only attachment has arrived");
//! };
//! assert_eq!(event, "upload");
//! let (number, upload): (u32, Upload) = args.deserialize()?;
//! assert_eq!((number, upload.content.as_ref()), (1, &b"hello"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod args;
mod de;
mod decode;
mod encode;
mod json;
mod packet;
mod payload;
mod placeholder;
mod resolve;
mod scan;
mod ser;
mod value;

pub use args::{Args, ArgsError, Data};
pub use decode::{DecodeError, Decoder};
pub use encode::{EncodeError, Encoder};
pub use packet::{MAX_ID, Packet, PacketType, RESERVED_EVENTS};
pub use payload::{Payload, PayloadKind, PayloadRef, Spread, WrongPayload};
pub use value::{Object, Value};

pub(crate) use packet::Head;

#[cfg(any(test, fuzzing))]
pub(crate) use de::deserialize_resolving;
