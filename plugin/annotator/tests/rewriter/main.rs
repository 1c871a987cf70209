//! The rewriter from outside: it equals the oracle on canonical batches, keeps its promises on all others, and survives
//! whatever bytes come.

mod against_oracle;
mod boundaries;
mod cases;
mod item_marks;
mod lists_of_edits;
mod mutations;
mod pitfalls;
mod promises;
mod requests;
mod scene;
mod strategies;
mod tree;
mod wire_format;
