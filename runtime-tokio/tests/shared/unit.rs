//! What the unit tests of both runtimes need.

use std::{future::poll_fn, pin::Pin};

use hyper::rt::{Read, ReadBuf};

#[cfg(feature = "tls")]
use crate as sockeye;

#[cfg(feature = "tls")]
#[path = "certificate.rs"]
pub(crate) mod certificate;

/// The few bytes that come until the peer says no more.
pub(crate) async fn read_to_end(stream: &mut (impl Read + Unpin)) -> Vec<u8> {
    let mut memory = [0; 64];
    let mut read = ReadBuf::new(&mut memory);
    loop {
        let before = read.filled().len();
        poll_fn(|context| Pin::new(&mut *stream).poll_read(context, read.unfilled())).await.unwrap();
        if read.filled().len() == before {
            return read.filled().to_vec();
        }
    }
}
