//! Listening with TLS.
#![cfg(feature = "tls")]

use async_std::task;
use sockeye_async_std as sockeye;

use crate::sockeye::prelude::*;

#[path = "../../runtime-tokio/tests/shared/certificate.rs"]
mod certificate;
#[path = "../../runtime-tokio/tests/shared/tls.rs"]
mod shared;

#[test]
fn clients_are_served_over_tls_alone() {
    task::block_on(async {
        let (server, client) = certificate::configs();
        let listening = shared::server().listen_tls("127.0.0.1:0", server).await.unwrap();
        let address = listening.local_addr();
        task::spawn_blocking(move || shared::drive(address, &client)).await;
        listening.shutdown(shared::HANDSHAKE).await;
    });
}
