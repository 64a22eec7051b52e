//! A program of the first Metaparticle Sync: one at a time.

#[macro_use]
extern crate metaparticle_sync;

fn main() {
    lock!("example", || println!("holding"));
    println!("released");
}
