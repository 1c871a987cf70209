//! Rust types and calls for the world `plugin`, made from `wit/` by wasmtime's macro at compile time.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "plugin",
    additional_derives: [PartialEq],
});
