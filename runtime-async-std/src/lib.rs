//! Socket.IO for Rust on async-std.
