//! Streams that outlive the head of an answer.

pub(crate) mod hijack;
pub(crate) mod json_lines;
pub(crate) mod mux;
pub(crate) mod websocket;
