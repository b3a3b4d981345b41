//! Our client and our server over loopback.

use sockeye_async_std as sockeye;

#[path = "../../runtime-tokio/tests/shared/client.rs"]
mod client;

/// Each test, on each transport.
macro_rules! on_each_transport {
    ($($test:ident)*) => {$(
        mod $test {
            #[test]
            fn polling() {
                async_std::task::block_on(crate::client::$test(0));
            }

            #[test]
            fn websocket() {
                async_std::task::block_on(crate::client::$test(1));
            }

            #[test]
            fn upgraded() {
                async_std::task::block_on(crate::client::$test(2));
            }
        }
    )*};
}
on_each_transport! { events listeners namespaces reconnection failures }
