//! `faultline.wasm`: the WIT world `plugin` over the annotator. Carries bytes; decides nothing about incidents.
#![cfg(target_family = "wasm")]

mod bindings;
mod incidents;
mod processor;

use std::cell::RefCell;

use faultline_annotator::Annotator;

/// The component. All its state is one annotator: an instance is entered by one call at a time.
struct Component;

thread_local! {
    static ANNOTATOR: RefCell<Annotator> = RefCell::default();
}

fn with_annotator<T>(call: impl FnOnce(&mut Annotator) -> T) -> T {
    ANNOTATOR.with_borrow_mut(call)
}
