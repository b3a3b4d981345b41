//! Handlers that have been called and have not returned.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::{Call, Guarded, HandlerError, HandlerFault, Listener, Listeners, OnAny, Side, error::panic_text};
use crate::{Event, Text};

/// A handler in flight.
pub(crate) struct Flight<T, K> {
    pub(crate) socket: T,
    pub(crate) kind: K,
    pub(crate) event: Option<Text>,
    pub(crate) future: Guarded,
}

/// A handler that has returned.
pub(crate) struct Landed<T, K> {
    pub(crate) socket: T,
    pub(crate) kind: K,
    pub(crate) event: Option<Text>,
    pub(crate) result: Result<(), HandlerFault>,
}

impl<T: Side + Unpin, K: Copy + Unpin> Future for Flight<T, K> {
    type Output = Landed<T, K>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(result) = Pin::new(&mut self.future).poll(cx) else { return Poll::Pending };
        Poll::Ready(Landed { socket: self.socket.clone(), kind: self.kind, event: self.event.take(), result })
    }
}

/// All handlers of one connection that are in flight: none, most of the time.
pub(crate) struct Flights<T: Side + Unpin, K: Copy + Unpin>(Option<Box<FuturesUnordered<Flight<T, K>>>>);

impl<T: Side + Unpin, K: Copy + Unpin> Default for Flights<T, K> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Side + Unpin, K: Copy + Unpin> Flights<T, K> {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |flights| flights.len())
    }

    /// Starts a handler. One that returns at once has never been in flight; without a context it is not polled yet.
    pub(crate) fn start(&mut self, cx: Option<&mut Context<'_>>, mut flight: Flight<T, K>) -> Option<Landed<T, K>> {
        if let Some(cx) = cx
            && let Poll::Ready(landed) = Pin::new(&mut flight).poll(cx)
        {
            return Some(landed);
        }
        self.push(flight);
        None
    }

    /// Takes a handler that waits.
    pub(crate) fn push(&mut self, flight: Flight<T, K>) {
        self.0.get_or_insert_default().push(flight);
    }

    /// The next that has returned.
    pub(crate) fn land(&mut self, cx: &mut Context<'_>) -> Option<Landed<T, K>> {
        match self.0.as_mut()?.poll_next_unpin(cx) {
            Poll::Ready(Some(landed)) => Some(landed),
            Poll::Ready(None) => {
                self.0 = None;
                None
            }
            Poll::Pending => None,
        }
    }
}

/// Calls a listener, and polls what it does once: that, if it is not done then. Without a context, nothing is polled yet.
pub(crate) fn call<C>(
    cx: Option<&mut Context<'_>>,
    call: &Call<C>,
    context: &C,
) -> Result<Option<Guarded>, HandlerFault> {
    let mut future = Guarded(call(context)?);
    match cx.map_or(Poll::Pending, |cx| Pin::new(&mut future).poll(cx)) {
        Poll::Ready(done) => done.map(|()| None),
        Poll::Pending => Ok(Some(future)),
    }
}

/// Calls catch-all listeners. Whether there were any.
pub(crate) fn announce<'a, T: Side>(
    listeners: impl Iterator<Item = &'a Listener<OnAny<T>>>,
    event: &Event<T>,
    mut report: impl FnMut(HandlerFault),
) -> bool {
    let mut any = false;
    for listener in listeners {
        any = true;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (listener.call)(event))) {
            report(HandlerFault::Panicked(panic_text(&*panic)));
        }
    }
    any
}

impl<T: Side> Listeners<T> {
    /// Tells who listens to errors; nobody: standard error and the log.
    pub(crate) fn report(&self, error: &HandlerError<T>) {
        let listeners = self.read(|table| table.error.clone());
        if listeners.is_empty() {
            tracing::error!(%error, "a handler failed");
            #[expect(clippy::print_stderr, reason = "an error that nobody listens to must not go unseen")]
            {
                eprintln!("sockeye: {error}");
            }
        }
        for listener in listeners.iter() {
            // A panic here has nowhere to go.
            let _ = catch_unwind(AssertUnwindSafe(|| (listener.call)(error)));
        }
    }
}
