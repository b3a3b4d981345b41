//! Asking the system for bytes only when it may have some.

use std::{
    io,
    task::{Poll, ready},
};

/// One direction of a socket: whether the system may have something for it. Asking in vain costs a system call, so that is
/// done only when waiting would be useless. (With async-io's sockets, those of most systems, waiting costs one, too: it
/// watches for one event at a time. `source` has the others.)
#[derive(Debug)]
pub(crate) struct Readiness {
    ready: bool,
}

impl Readiness {
    /// A new socket is worth a try: its first request, or room to write, is often there already.
    pub(crate) fn new() -> Self {
        Self { ready: true }
    }

    /// Runs a non-blocking operation once the system is ready for it. `is_last` says of a result that there will not be
    /// another one at once: a read that did not fill its buffer has emptied the socket's. (Should more have arrived since,
    /// or the end, `poll_ready` tells.)
    pub(crate) fn poll<T>(
        &mut self,
        mut poll_ready: impl FnMut() -> Poll<io::Result<()>>,
        mut operation: impl FnMut() -> io::Result<T>,
        is_last: impl FnOnce(&T) -> bool,
    ) -> Poll<io::Result<T>> {
        loop {
            if !self.ready {
                ready!(poll_ready())?;
                self.ready = true;
            }
            match operation() {
                Ok(result) => {
                    self.ready = !is_last(&result);
                    return Poll::Ready(Ok(result));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.ready = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// The same for reading or writing up to so many bytes.
    pub(crate) fn poll_bytes(
        &mut self,
        wanted: usize,
        poll_ready: impl FnMut() -> Poll<io::Result<()>>,
        operation: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        // Nothing at all is the end, which the next read is to see again.
        self.poll(poll_ready, operation, |&count| 0 < count && count < wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that answers from a list, and counts what it is asked.
    struct Script<'a> {
        readiness: Readiness,
        answers: &'a [Result<usize, io::ErrorKind>],
        waits: usize,
    }

    impl Script<'_> {
        /// Reads up to ten bytes. Whoever waits is told at once if there is an answer left.
        fn read(&mut self) -> Poll<io::Result<usize>> {
            let Self { readiness, answers, waits } = self;
            let left = std::cell::Cell::new(*answers);
            let poll_ready = || {
                *waits += 1;
                if left.get().is_empty() { Poll::Pending } else { Poll::Ready(Ok(())) }
            };
            let result = readiness.poll_bytes(10, poll_ready, || {
                let (answer, rest) = left.get().split_first().expect("asked in vain");
                left.set(rest);
                answer.map_err(io::Error::from)
            });
            *answers = left.get();
            result
        }
    }

    fn script(answers: &[Result<usize, io::ErrorKind>]) -> Script<'_> {
        Script { readiness: Readiness::new(), answers, waits: 0 }
    }

    #[test]
    fn a_short_read_is_not_followed_by_another() {
        let mut script = script(&[Ok(10), Ok(3)]);
        assert!(matches!(script.read(), Poll::Ready(Ok(10))));
        assert!(matches!(script.read(), Poll::Ready(Ok(3))));
        assert_eq!(script.waits, 0);
        assert!(script.read().is_pending());
        assert!(script.read().is_pending());
        assert_eq!(script.waits, 2);
    }

    #[test]
    fn waits_when_it_was_refused() {
        let mut script = script(&[Err(io::ErrorKind::WouldBlock), Err(io::ErrorKind::Interrupted), Ok(10)]);
        assert!(matches!(script.read(), Poll::Ready(Ok(10))));
        assert_eq!(script.waits, 1);
    }

    #[test]
    fn the_end_stays() {
        let mut script = script(&[Ok(0), Ok(0)]);
        assert!(matches!(script.read(), Poll::Ready(Ok(0))));
        assert!(matches!(script.read(), Poll::Ready(Ok(0))));
        assert_eq!(script.waits, 0);
    }

    #[test]
    fn an_error_does_not_wait() {
        let mut script = script(&[Err(io::ErrorKind::ConnectionReset)]);
        assert!(matches!(script.read(), Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset));
    }
}
