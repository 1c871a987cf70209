//! `faultline.wasm` and `faultline-core.wasm`: the WIT world `plugin` over the annotator. Carries bytes; decides nothing
//! about incidents.
//!
//! For wasm32-wasip2 the result is a component. For wasm32-unknown-unknown it is a core module with the same functions by
//! the canonical ABI: it imports nothing at all.
#![cfg(target_family = "wasm")]

mod bindings;
mod incidents;
mod processor;

#[cfg(all(feature = "wee_alloc", not(target_os = "unknown")))]
compile_error!(
    "feature `wee_alloc` is for wasm32-unknown-unknown: a component links the allocator of its C library anyway"
);

use std::cell::RefCell;

use faultline_annotator::Annotator;

/// The component. All its state is one annotator: an instance is entered by one call at a time.
struct Component;

thread_local! {
    static ANNOTATOR: RefCell<Annotator> = RefCell::default();
}

#[cfg(feature = "wee_alloc")]
#[global_allocator]
static ALLOCATOR: wee_alloc::WeeAlloc<'static> = wee_alloc::WeeAlloc::INIT;

fn with_annotator<T>(call: impl FnOnce(&mut Annotator) -> T) -> T {
    ANNOTATOR.with_borrow_mut(call)
}
