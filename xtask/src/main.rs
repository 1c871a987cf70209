//! `cargo run -p xtask -- CHORE`: chores that need nothing but cargo.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use xtask::dist::{self, Dist};

/// Chores of the workspace.
#[derive(Parser)]
#[command(name = "xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Make all that a release is made of: programs, plugins, an image, checksums, a list of parts, licences.
    ///
    /// The same sources, toolchain and target give the same bytes. Nothing is signed or published.
    Dist {
        /// The folder to write into. It is emptied before.
        #[arg(long, value_name = "DIR", default_value = "target/dist")]
        output: PathBuf,
        /// The target of the program: one whose programs need no shared libraries.
        #[arg(long, default_value = dist::TARGET)]
        target: String,
        /// Take this program for the target, and build none.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().chore {
        Chore::Dist { output, target, binary } => Dist { output, target, binary }.run(),
    }
}
