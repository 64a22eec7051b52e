//! `mpsync.h` as bindgen reads it. The documentation of each function is the header's own.
#![allow(non_camel_case_types, non_upper_case_globals)]
#![allow(clippy::all, rustdoc::all)]

include!("bindings.rs");
