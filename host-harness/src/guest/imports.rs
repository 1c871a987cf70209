//! What a plugin is given: what Rust's standard library imports by itself, with nothing behind it.
//!
//! The environment is empty, standard output and error lead nowhere, standard input is at its end. Files, sockets, HTTP,
//! clocks and random numbers are not linked at all: a plugin that asks for them is refused before it runs.

use wasmtime::Engine;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::p2::bindings::{cli, sync};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiView};

use super::Host;

/// The table of streams and errors, which standard output and error are made of.
struct Io;

/// A context in which every question has the empty answer.
pub(super) fn nothing() -> WasiCtx {
    WasiCtxBuilder::new().build()
}

/// A linker with what the standard library imports and nothing else. Instantiating checks that a plugin wants no more.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    cli::environment::add_to_linker::<Host, WasiCli>(&mut linker, Host::cli)?;
    cli::exit::add_to_linker::<Host, WasiCli>(&mut linker, Host::cli)?;
    cli::stdin::add_to_linker::<Host, WasiCli>(&mut linker, Host::cli)?;
    cli::stdout::add_to_linker::<Host, WasiCli>(&mut linker, Host::cli)?;
    cli::stderr::add_to_linker::<Host, WasiCli>(&mut linker, Host::cli)?;
    cli::terminal_input::add_to_linker::<Host, WasiCli>(&mut linker, Host::cli)?;
    cli::terminal_output::add_to_linker::<Host, WasiCli>(&mut linker, Host::cli)?;
    cli::terminal_stdin::add_to_linker::<Host, WasiCli>(&mut linker, Host::cli)?;
    cli::terminal_stdout::add_to_linker::<Host, WasiCli>(&mut linker, Host::cli)?;
    cli::terminal_stderr::add_to_linker::<Host, WasiCli>(&mut linker, Host::cli)?;
    wasmtime_wasi_io::bindings::wasi::io::error::add_to_linker::<Host, Io>(&mut linker, |host| host.ctx().table)?;
    sync::io::poll::add_to_linker::<Host, Io>(&mut linker, |host| host.ctx().table)?;
    sync::io::streams::add_to_linker::<Host, Io>(&mut linker, |host| host.ctx().table)?;
    Ok(linker)
}

// === impl Io ===

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}
