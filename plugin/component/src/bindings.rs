//! The world `plugin`, generated from `wit/`.
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    reason = "written by wit-bindgen; the canonical ABI is pointers and exported names"
)]

use super::Component;

wit_bindgen::generate!({ path: "../../wit", world: "plugin" });

export!(Component);
