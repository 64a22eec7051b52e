//! Locks and leader election for programs that run as many copies.
//!
//! ```
//! use metaparticle_sync::{Lock, Options};
//!
//! # fn main() -> Result<(), metaparticle_sync::Error> {
//! let lock = Lock::open("orders/42", &Options::new().url("memory:"))?;
//! let guard = lock.acquire()?; // released when it is dropped
//! println!("this is turn {}", guard.token());
//! assert!(guard.is_held());
//! # Ok(())
//! # }
//! ```
//!
//! And a leader, as a future of whatever runtime:
//!
//! ```
//! use metaparticle_sync::{Candidate, Options};
//!
//! # async fn lead() -> Result<(), metaparticle_sync::Error> {
//! let options = Options::new().url("memory:").identity("node-1");
//! let candidate = Candidate::open("scheduler", &options)?;
//! let term = candidate.campaign_async("http://node-1:8080").await?;
//! assert_eq!(candidate.leader()?.unwrap().holder, "node-1");
//! if let Some(why) = term.lost().await {
//!     eprintln!("{why}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! All locks of one URL share a connection, and one thread waits for all of them.

#![deny(missing_docs)]

mod claimant;
mod client;
mod election;
mod error;
mod grant;
mod handle;
mod lock;
mod native;
mod options;

pub use claimant::{Acquire, Canceller};
pub use client::DEFAULT_BASE_URI;
pub use election::{Candidate, Election, Handler, Leader, Observer};
pub use error::{Error, Status};
pub use grant::{Guard, Lost};
pub use lock::Lock;
pub use options::Options;
