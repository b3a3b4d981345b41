//! Socket.IO packets and arguments.
