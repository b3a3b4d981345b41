//! Sockets of the operating system, and when they are ready.

#[cfg(not(any(target_os = "android", target_os = "linux")))]
pub(crate) use async_io::Async as Source;
#[cfg(any(target_os = "android", target_os = "linux"))]
pub(crate) use watched::Source;

#[cfg(any(target_os = "android", target_os = "linux"))]
mod watched;
