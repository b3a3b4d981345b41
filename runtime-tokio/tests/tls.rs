//! Listening with TLS.
#![cfg(feature = "tls")]

use sockeye_tokio as sockeye;

use crate::sockeye::prelude::*;

#[path = "shared/certificate.rs"]
mod certificate;
#[path = "shared/tls.rs"]
mod shared;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_served_over_tls_alone() {
    let (server, client) = certificate::configs();
    let listening = shared::server().listen_tls("127.0.0.1:0", server).await.unwrap();
    let address = listening.local_addr();
    tokio::task::spawn_blocking(move || shared::drive(address, &client)).await.unwrap();
    listening.shutdown(shared::HANDSHAKE).await;
}
