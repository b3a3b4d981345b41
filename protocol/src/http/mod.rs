//! HTTP as plain data.
