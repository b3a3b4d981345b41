//! A buffer per thread to read into.

use std::{cell::Cell, io, task::Poll};

use hyper::rt::ReadBufCursor;

/// As much as one read takes: the driver's own buffer has this size too.
const SIZE: usize = 256 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads into a buffer of hyper's. Its memory may be uninitialised, and in safe code only a copy can fill it, so the
/// bytes come by way of a buffer that all streams of this thread share.
pub(crate) fn poll_read(
    mut target: ReadBufCursor<'_>,
    read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<()>> {
    // Taken, not borrowed: a stream may read from another one.
    let mut scratch = SCRATCH.take();
    if scratch.is_empty() {
        scratch = vec![0; SIZE];
    }
    let (lent, _) = scratch.split_at_mut(target.remaining().min(SIZE));
    let result = read(lent);
    if let Poll::Ready(Ok(count)) = result
        && let Some(bytes) = lent.get(..count)
    {
        target.put_slice(bytes);
    }
    SCRATCH.set(scratch);
    result.map_ok(drop)
}

#[cfg(test)]
mod tests {
    use hyper::rt::ReadBuf;

    use super::*;

    #[test]
    fn fills_what_there_is_room_for() {
        let mut memory = [0; 5];
        let mut target = ReadBuf::new(&mut memory);
        let mut read = |bytes: &'static [u8]| {
            poll_read(target.unfilled(), |buffer| {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                Poll::Ready(Ok(count))
            })
        };
        assert!(matches!(read(b"abc"), Poll::Ready(Ok(()))));
        assert!(matches!(read(b"defg"), Poll::Ready(Ok(()))));
        assert!(matches!(read(b"h"), Poll::Ready(Ok(()))));
        assert_eq!(target.filled(), b"abcde");
    }

    #[test]
    fn passes_on_what_is_not_a_read() {
        let mut memory = [0; 5];
        let mut target = ReadBuf::new(&mut memory);
        assert!(poll_read(target.unfilled(), |_| Poll::Pending).is_pending());
        let failed = poll_read(target.unfilled(), |_| Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())));
        assert!(matches!(failed, Poll::Ready(Err(_))));
        assert!(target.filled().is_empty());
    }

    #[test]
    fn a_stream_may_read_from_another() {
        let (mut outer, mut inner) = ([0; 2], [0; 2]);
        let (mut outer, mut inner) = (ReadBuf::new(&mut outer), ReadBuf::new(&mut inner));
        let read = poll_read(outer.unfilled(), |buffer| {
            let read = poll_read(inner.unfilled(), |buffer| {
                buffer.copy_from_slice(b"in");
                Poll::Ready(Ok(2))
            });
            assert!(matches!(read, Poll::Ready(Ok(()))));
            buffer.copy_from_slice(b"ou");
            Poll::Ready(Ok(2))
        });
        assert!(matches!(read, Poll::Ready(Ok(()))));
        assert_eq!((outer.filled(), inner.filled()), (&b"ou"[..], &b"in"[..]));
    }
}
