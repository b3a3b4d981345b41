//! Our client and our server over loopback.

use sockeye_tokio as sockeye;

#[path = "shared/client.rs"]
mod client;

/// Each test, on each transport.
macro_rules! on_each_transport {
    ($($test:ident)*) => {$(
        mod $test {
            #[test]
            fn polling() {
                tokio::runtime::Runtime::new().unwrap().block_on(crate::client::$test(0));
            }

            #[test]
            fn websocket() {
                tokio::runtime::Runtime::new().unwrap().block_on(crate::client::$test(1));
            }

            #[test]
            fn upgraded() {
                tokio::runtime::Runtime::new().unwrap().block_on(crate::client::$test(2));
            }
        }
    )*};
}
on_each_transport! { events listeners namespaces reconnection failures }
