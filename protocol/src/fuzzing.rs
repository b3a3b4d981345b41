//! The bodies of the fuzz targets: one function each, `fuzz/fuzz_targets/` calls them. They are compiled for tests too
//! and run over the committed corpus there, so that a refactoring cannot rot them.

// --- ws_stream ---

// --- eio_payload ---

// --- http_request ---

// --- sio_json ---

// --- serde_args ---

// --- server_ops ---

mod server_ops;

pub use server_ops::server_ops;
