//! OTLP in and out. Batches are bytes: what is not the plugin's to change leaves as it came.

mod body;
mod compression;
mod count;
pub mod grpc;
mod grpc_status;
pub mod hop;
pub mod http;
mod json;
pub mod refusal;
pub mod signal;
pub mod target;

pub use body::Pieces;
