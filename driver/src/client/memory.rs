//! What clients remember of WebSocket (`rememberUpgrade`).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether WebSocket has worked, the last time that a client of this memory tried it: with
/// [`remember_upgrade`](super::ClientBuilder::remember_upgrade), the next connection of each of them begins with WebSocket
/// then, and not with polling.
///
/// JavaScript has one such flag for the whole process. Here it is yours: for the clients of one server, say, or of one
/// network. Clones are the same memory.
///
/// ```
/// # use sockeye_tokio::prelude::*;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// # let io = Server::new(Config::default());
/// # let listening = io.listen("127.0.0.1:0").await?;
/// # let url = format!("http://{}", listening.local_addr());
/// use sockeye_driver::client::UpgradeMemory;
///
/// let memory = UpgradeMemory::default();
/// let first = Client::builder(&url).remember_upgrade(&memory).connect().await?;
/// while first.transport() != Some("websocket") {
///     // The upgrade takes a few round trips.
/// #   tokio::time::sleep(std::time::Duration::from_millis(1)).await;
/// }
/// assert!(memory.has_worked());
///
/// let second = Client::builder(&url).remember_upgrade(&memory).connect().await?;
/// assert_eq!(second.transport(), Some("websocket"));
/// # drop((first, second));
/// # listening.shutdown(std::time::Duration::from_secs(1)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct UpgradeMemory(Arc<AtomicBool>);

impl UpgradeMemory {
    /// A memory that begins with this: what [`has_worked`](Self::has_worked) said in an earlier run of the program, for
    /// instance.
    ///
    /// ```
    /// use sockeye_driver::client::UpgradeMemory;
    ///
    /// assert!(UpgradeMemory::new(true).has_worked());
    /// assert!(!UpgradeMemory::default().has_worked());
    /// ```
    #[must_use]
    pub fn new(has_worked: bool) -> Self {
        Self(Arc::new(AtomicBool::new(has_worked)))
    }

    /// Whether WebSocket has worked the last time: set when one was opened, or an upgrade's probe was answered; cleared by
    /// an error, and when polling opens a session.
    ///
    /// ```
    /// # fn save(_: &str) {}
    /// # let memory = sockeye_driver::client::UpgradeMemory::default();
    /// save(if memory.has_worked() { "websocket first" } else { "polling first" });
    /// ```
    #[must_use]
    pub fn has_worked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, has_worked: bool) {
        self.0.store(has_worked, Ordering::Release);
    }
}
