use crate::native::reason_text;
use std::fmt;

/// An enum whose numbers are those of the C library; of a number that it does not know, the last.
macro_rules! numbered {
    ($(#[$about:meta])* $name:ident: $($(#[$said:meta])* $value:ident = $number:literal,)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$said])* $value = $number,)*
        }

        impl $name {
            pub(crate) fn of(number: i32) -> $name {
                let all = [$($name::$value),*];
                let known = all.into_iter().find(|one| *one as i32 == number);
                known.unwrap_or(all[all.len() - 1])
            }
        }
    };
}

numbered! {
    /// What a call came to; the numbers are those of the C library.
    Status:
    /// An argument breaks the contract.
    Invalid = -1,
    /// Another holder has it.
    Held = -2,
    /// The right ran out or was taken.
    Lost = -3,
    /// The store did not answer in time.
    Unreachable = -4,
    /// The wait ended without it.
    Timeout = -5,
    /// The request was cancelled.
    Cancelled = -6,
    /// Nothing is held that could be released.
    NotHeld = -7,
    /// This lock is held, or asked for, already.
    AlreadyHeld = -8,
    /// The store refuses; the message names what is missing.
    Forbidden = -9,
    /// The store does not know who asks.
    Unauthenticated = -10,
    /// The lock belongs to the parent process.
    Forked = -11,
    /// The client is closed.
    Closed = -12,
    /// There is no memory.
    NoMemory = -13,
    /// This store cannot do that.
    Unsupported = -14,
    /// A record or file is not what this library writes.
    Corrupt = -15,
    /// A mistake of the library.
    Internal = -16,
}

numbered! {
    /// Why a right was lost, or why the work of a term has to end; in text, one word.
    Reason:
    /// No renewal was acknowledged in time, or none is: see [`End::left`](crate::End).
    Expired = 1,
    /// The store shows another holder.
    Taken = 2,
    /// The store's record is gone.
    Deleted = 3,
    /// Somebody released it by force.
    Revoked = 4,
    /// The wall clock ran ahead: this machine may have stood still.
    Clock = 5,
    /// Another elector has adopted it.
    OtherElector = 6,
    /// It is to be handed over, as somebody asked.
    Asked = 7,
    /// Its run was asked to end.
    Stopped = 8,
    /// Its work has ended, or its guard was released or dropped.
    Returned = 9,
    /// Its client was closed.
    Closed = 10,
    /// Not known to this version.
    Unknown = 0,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&reason_text(*self as i32))
    }
}

/// Every error of this crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    message: String,
}

impl Error {
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Error {
        let message = message.into();
        Error { status, message }
    }

    /// What the call came to.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether another holder has it, at once or after the wait.
    pub fn is_busy(&self) -> bool {
        matches!(self.status, Status::Held | Status::Timeout)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
