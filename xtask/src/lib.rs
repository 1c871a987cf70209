//! Chores of the workspace. [`dist`] is the one that there is, and names its steps in order.

pub mod archive;
pub mod cargo;
pub mod checksums;
pub mod dist;
pub mod image;
pub mod licences;
pub mod packages;
pub mod program;
pub mod sbom;
