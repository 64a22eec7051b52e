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
//! candidate
//!     .lead_async("http://node-1:8080", |term| async move {
//!         println!("leading; this is turn {}", term.token());
//!         let end = term.ending().await; // keep going until it has to end
//!         println!("ending: {}", end.reason);
//!     })
//!     .await
//! # }
//! ```
//!
//! All locks of one URL share a connection, and one thread waits for all of them. Features: `stream`
//! (an observer as a `Stream` of `futures-core`), `tracing` (grants, losses and warnings; without it
//! warnings go to standard error).

#![deny(missing_docs)]

mod candidate;
mod client;
mod election;
mod error;
mod grant;
mod handle;
mod lock;
mod log;
mod native;
mod observer;
mod options;
mod request;
mod run;

pub use candidate::Candidate;
pub use client::{Client, DEFAULT_BASE_URI};
pub use election::{Election, Handler};
pub use error::{Error, Reason, Status};
pub use grant::{End, Ending, Guard, Lost, Moment, Term};
pub use handle::{Acquire, Canceller, Waiting};
pub use lock::Lock;
#[cfg(feature = "stream")]
pub use observer::Changes;
pub use observer::{Leader, Observer};
pub use options::Options;
pub use run::Outcome;
