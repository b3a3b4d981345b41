//! HTTP as plain data: a request's head in, a whole response out.
//!
//! This crate parses no HTTP and opens no sockets. A driver hands over what its HTTP library has parsed as a
//! [`Request`], says with [`Body`] what became of the request's body, and writes the [`Response`] that comes back. The
//! response is complete: a driver adds nothing but what belongs to the connection (`Date`, `Content-Length`, framing).
//! For drivers without an HTTP library there is [`Response::encode_http1`].

pub(crate) mod cors;
mod request;
mod response;
pub(crate) mod upgrade;

pub(crate) use request::{Query, decode, has_token, parameter};
pub(crate) use response::{is_field_value, is_token};

pub use request::{Body, Request};
pub use response::{Header, RefuseCode, Response};
