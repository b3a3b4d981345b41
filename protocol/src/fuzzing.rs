//! The bodies of the fuzz targets: one function each, `fuzz/fuzz_targets/` calls them. They are compiled for tests too
//! and run over the committed corpus there, so that a refactoring cannot rot them.

mod client_engine;
mod client_manager;
mod client_server;
mod eio_payload;
mod http_request;
mod network;
mod pair;
mod server_ops;
mod socket;
mod ws_stream;

pub use client_engine::client_engine;
#[cfg(test)]
pub(crate) use client_engine::{Op, check};
pub use client_manager::client_manager;
pub use client_server::client_server;
pub use eio_payload::eio_payload;
pub use http_request::http_request;
pub use server_ops::server_ops;
pub use socket::{serde_args, sio_json};
pub use ws_stream::ws_stream;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use std::fs;

    use proptest::{collection::vec, prelude::*};

    pub(super) fn corpus(target: &str) -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/");
        let files = fs::read_dir([folder, target].concat()).unwrap();
        files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }

    /// A file of the corpus with some bytes changed, removed or copied to another place.
    fn mutated(target: &str) -> impl Strategy<Value = Vec<u8>> {
        let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4, any::<u8>());
        (prop::sample::select(corpus(target)), vec(change, 0..6)).prop_map(|(mut data, changes)| {
            for (at, other, kind, byte) in changes {
                let (at, other) = (at.index(data.len().max(1)), other.index(data.len().max(1)));
                match kind {
                    0 if at < data.len() => data[at] = byte,
                    1 => data.truncate(at),
                    2 => data.extend_from_within(at.min(other)..at.max(other)),
                    _ => data.insert(at, b"\"[]{},:0\\e-_"[usize::from(byte) % 12]),
                }
            }
            data
        })
    }

    macro_rules! targets {
        ($($target:ident: $near:ident),+ $(,)?) => {
            $(
                #[test]
                fn $target() {
                    let files = corpus(stringify!($target));
                    assert!(files.len() >= 8);
                    files.iter().for_each(|data| super::$target(data));
                }
            )+

            proptest! {
                $(
                    #[test]
                    fn $near(data in mutated(stringify!($target))) {
                        super::$target(&data);
                    }
                )+
            }
        };
    }

    targets! {
        client_engine: near_client_engine,
        client_manager: near_client_manager,
        client_server: near_client_server,
        eio_payload: near_eio_payload,
        http_request: near_http_request,
        serde_args: near_serde_args,
        server_ops: near_server_ops,
        sio_json: near_sio_json,
        ws_stream: near_ws_stream,
    }
}
