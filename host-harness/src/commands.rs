//! The subcommands, one file each; what several of them share is in [`shared`].

pub mod annotate;
pub mod check;
pub mod completions;
pub mod explain;
pub mod gaps;
pub mod incidents;
pub mod inspect;
pub mod plugin_file;
#[cfg(feature = "oci")]
pub mod pull;
#[cfg(feature = "oci")]
pub mod push;
pub mod receive;
pub mod replay;
pub mod schema;
pub mod serve;
pub mod shared;
pub mod sign;
