//! The client that Autobahn tests: the same program as on tokio.
//!
//! ```text
//! cargo run --release -p sockeye-async-std --example autobahn_async_std -- --url http://127.0.0.1:9001
//! ```

use sockeye_async_std as sockeye;

#[path = "../../runtime-tokio/examples/shared/autobahn.rs"]
mod shared;

fn main() -> Result<(), sockeye::BoxError> {
    async_std::task::block_on(shared::run(&sockeye::TcpConnector::default(), "sockeye-async-std"))
}
