//! Tasks and time.

use std::time::Duration;

use sockeye_driver::{BoxFuture, Runtime};
use tokio::runtime::Handle;

/// A tokio runtime. Its timer must be enabled, as it is by default.
#[derive(Clone, Debug)]
pub struct TokioRuntime(Handle);

impl TokioRuntime {
    /// The runtime that this is called in.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn current() -> Self {
        Self(Handle::current())
    }

    /// Another runtime.
    pub fn new(handle: Handle) -> Self {
        Self(handle)
    }
}

impl Runtime for TokioRuntime {
    fn spawn(&self, task: BoxFuture) {
        self.0.spawn(task);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture {
        let _entered = self.0.enter();
        Box::pin(tokio::time::sleep(duration))
    }
}
