//! One at a time: the guard is released when it is dropped, and says whether it is still held.

use metaparticle_sync::{Error, Lock, Options};

fn main() -> Result<(), Error> {
    let lock = Lock::open("example", &Options::new())?;
    let guard = lock.acquire()?;
    guard.check()?;
    println!("holding");
    drop(guard);
    println!("released");
    Ok(())
}
