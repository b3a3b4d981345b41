//! A client behind a proxy: HTTP (`CONNECT`) or SOCKS5, and with TLS behind it where the server's URL says so.
//!
//! ```text
//! cargo run -p sockeye-tokio --example proxy -- http://127.0.0.1:3128 https://example.com
//! ```

use sockeye_tokio as sockeye;

#[path = "shared/proxy.rs"]
mod proxy;

#[tokio::main]
async fn main() -> Result<(), sockeye::BoxError> {
    match proxy::run(std::env::args().skip(1)).await? {}
}
