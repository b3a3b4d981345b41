//! A client against our own server, without faults: connecting, events, acknowledgements, buffers, disconnecting.

mod connecting;
mod reconnection;
mod sending;
mod support;
