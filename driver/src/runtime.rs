//! What the driver asks of an async runtime.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// A future on the heap that any thread may poll.
pub type BoxFuture<T = ()> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An async runtime: the two things that the driver cannot do itself. A runtime crate implements it in about ten lines:
/// the [crate documentation](crate#a-runtime) has an example.
///
/// Byte streams come in as [`Stream`]s, connections from a [`Listener`](crate::Listener).
pub trait Runtime: Send + Sync + 'static {
    /// Runs a task to its end, however often the caller is polled meanwhile.
    fn spawn(&self, task: BoxFuture);

    /// Completes once this time has passed. The driver calls and polls it in tasks that [`spawn`](Self::spawn) runs,
    /// and in the one that awaits [`Server::shutdown`](crate::Server::shutdown).
    fn sleep(&self, duration: Duration) -> BoxFuture;
}

/// A byte stream in both directions: TCP, TLS, or an in-memory pipe of a test. Implemented for whatever implements
/// hyper's traits, which there are adapters for in every runtime.
pub trait Stream: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static {}

impl<T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static> Stream for T {}

/// What [`Runtime::sleep`] gives.
pub(crate) type Sleep = BoxFuture;

/// The wall clock as the core counts time: microseconds since the server was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "a driver has the clock that the core must not have")]
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> sockeye_protocol::Instant {
        let micros = u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX);
        sockeye_protocol::Instant::from_micros(micros)
    }
}

/// A lock that a panic elsewhere does not close: no user code runs while it is held, and the core's state is whole
/// after each of its calls.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives each future what is ready first.
pub(crate) async fn either<A: Future + Unpin, B: Future + Unpin>(mut a: A, mut b: B) -> Either<A::Output, B::Output> {
    std::future::poll_fn(move |cx: &mut Context<'_>| {
        if let Poll::Ready(output) = Pin::new(&mut a).poll(cx) {
            return Poll::Ready(Either::Left(output));
        }
        Pin::new(&mut b).poll(cx).map(Either::Right)
    })
    .await
}

/// Which of two futures was ready first.
pub(crate) enum Either<A, B> {
    Left(A),
    Right(B),
}
