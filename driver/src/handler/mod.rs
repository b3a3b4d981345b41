//! Handlers: async functions whose parameters say what they want.

mod context;
mod error;
mod extract;
mod flights;
mod listeners;
mod room;

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

pub use self::{
    context::{ConnectContext, DisconnectContext, EventContext, Side},
    error::{BoxError, ExtractError, HandlerError, HandlerFault},
    extract::{Args, EventName, Extract, RawArgs, State, Values},
    listeners::ListenerId,
};
pub(crate) use self::{
    context::{Subject, sealed},
    error::{Guarded, panic_text},
    flights::{Flight, Flights, Landed, announce, call},
    listeners::{List, Listener, Listeners, OnAny, OnError, Table},
    room::{Room, size},
};
use crate::{BoxFuture, TypedEvent};

/// An async function that handles something: an event, a connection, a disconnection.
///
/// Implemented for functions and closures of up to eight parameters, each of which is an [extractor](Extract), that
/// return `()` or a `Result<(), E>` whose error is an [`Error`](std::error::Error) or a text. `C` is what there is to
/// extract from ([`EventContext`] and its like), `S` the state of the namespace ([`State`](struct@State)), `M` tells
/// the implementations apart.
///
/// Closures without captures may be `async |socket: Socket| { .. }`; what captures something clones it for each call:
///
/// ```
/// # use std::sync::Arc;
/// # use sockeye_driver::{Args, Config, Server, Socket};
/// # let io = Server::new(Config::default());
/// let counter = Arc::new(std::sync::atomic::AtomicU64::new(0));
/// io.on("tick", async |socket: Socket, Args(n): Args<u64>| socket.emit("tock", &n));
/// io.on("count", move |socket: Socket| {
///     let counter = counter.clone();
///     async move { socket.emit("count", &counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) }
/// });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler here",
    label = "not an async function of extractors",
    note = "the parameters must be extractors for what is handled (`Socket`, `Args<T>`, `Ack`, `State<S>`, ..), the \
            future must be `Send`, and its output `()` or `Result<(), E>`; a closure that captures something must be \
            `move |..| {{ let x = x.clone(); async move {{ .. }} }}`"
)]
pub trait Handler<C, S, M>: Send + Sync + 'static {
    /// Extracts the parameters, and calls the function.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// use sockeye_driver::{BoxFuture, ExtractError, Handler};
    ///
    /// /// A handler that says when it has succeeded.
    /// struct Told<H>(H);
    ///
    /// impl<C, S, M, H: Handler<C, S, M>> Handler<C, S, M> for Told<H> {
    ///     fn call(&self, context: &C, state: &S) -> Result<BoxFuture<Result<(), BoxError>>, ExtractError> {
    ///         let handled = self.0.call(context, state)?;
    ///         Ok(Box::pin(async { handled.await.inspect(|()| println!("done")) }))
    ///     }
    /// }
    ///
    /// io.on("import", Told(async |Args(rows): Args<Vec<u64>>| println!("{} rows", rows.len())));
    /// ```
    ///
    /// # Errors
    ///
    /// A parameter could not be extracted.
    fn call(&self, context: &C, state: &S) -> Result<BoxFuture<Result<(), BoxError>>, ExtractError>;
}

/// What a handler may return.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// io.on("a", async || ());
/// io.on("b", async || Err::<(), _>("a text"));
/// io.on("c", async |socket: Socket| socket.emit("d", &()));
/// io.on("e", async |Args(number): Args<String>| -> Result<(), BoxError> {
///     println!("{}", number.parse::<u8>()?);
///     Ok(())
/// });
/// ```
pub trait IntoOutcome {
    /// Nothing, or what went wrong.
    ///
    /// ```
    /// use sockeye_driver::IntoOutcome;
    ///
    /// assert!(().into_outcome().is_ok());
    /// assert_eq!(Err("no such room").into_outcome().unwrap_err().to_string(), "no such room");
    /// ```
    ///
    /// # Errors
    ///
    /// What the handler returned as an error.
    fn into_outcome(self) -> Result<(), BoxError>;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> IntoOutcome for Result<(), E> {
    fn into_outcome(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

macro_rules! handlers {
    ($($parameter:ident)*) => {
        impl<F, Fut, C, S, $($parameter),*> Handler<C, S, ($($parameter,)*)> for F
        where
            F: Fn($($parameter),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoOutcome> + Send + 'static,
            $($parameter: Extract<C, S>,)*
        {
            #[allow(unused_variables, non_snake_case, reason = "there may be no parameter")]
            fn call(&self, context: &C, state: &S) -> Result<BoxFuture<Result<(), BoxError>>, ExtractError> {
                $(let $parameter = $parameter::extract(context, state)?;)*
                let future = self($($parameter),*);
                Ok(Box::pin(async move { future.await.into_outcome() }))
            }
        }
    };
}

handlers! {}
handlers! { T1 }
handlers! { T1 T2 }
handlers! { T1 T2 T3 }
handlers! { T1 T2 T3 T4 }
handlers! { T1 T2 T3 T4 T5 }
handlers! { T1 T2 T3 T4 T5 T6 }
handlers! { T1 T2 T3 T4 T5 T6 T7 }
handlers! { T1 T2 T3 T4 T5 T6 T7 T8 }

/// A handler whose state and parameters are settled.
pub(crate) type Call<C> = dyn Fn(&C) -> Result<BoxFuture<Result<(), BoxError>>, HandlerFault> + Send + Sync;

/// Settles a handler's state. A panic in what it does before its first await is caught here.
pub(crate) fn settle<C: 'static, S, H, M>(handler: H, state: Arc<S>) -> Arc<Call<C>>
where
    S: Send + Sync + 'static,
    H: Handler<C, S, M>,
{
    Arc::new(move |context| match std::panic::catch_unwind(AssertUnwindSafe(|| handler.call(context, &state))) {
        Ok(Ok(future)) => Ok(future),
        Ok(Err(error)) => Err(HandlerFault::Extract(error)),
        Err(panic) => Err(HandlerFault::Panicked(panic_text(&*panic))),
    })
}

/// [`settle`] for a handler of one event, which is called for events of that name.
pub(crate) fn settle_typed<T, E, S, H, M>(handler: H, state: Arc<S>) -> Arc<Call<EventContext<T>>>
where
    T: Side,
    E: TypedEvent,
    S: Send + Sync + 'static,
    H: Handler<EventContext<T, E>, S, M>,
{
    let call = settle(handler, state);
    Arc::new(move |context| call(&context.typed()))
}
