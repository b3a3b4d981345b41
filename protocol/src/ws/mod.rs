//! WebSocket (RFC 6455), both roles.
