use std::fmt;

/// What a call came to; the numbers are those of the C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Status {
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

const ALL: [Status; 16] = [
    Status::Invalid,
    Status::Held,
    Status::Lost,
    Status::Unreachable,
    Status::Timeout,
    Status::Cancelled,
    Status::NotHeld,
    Status::AlreadyHeld,
    Status::Forbidden,
    Status::Unauthenticated,
    Status::Forked,
    Status::Closed,
    Status::NoMemory,
    Status::Unsupported,
    Status::Corrupt,
    Status::Internal,
];

impl Status {
    pub(crate) fn of(number: i32) -> Status {
        ALL.into_iter()
            .find(|status| *status as i32 == number)
            .unwrap_or(Status::Internal)
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
        Error {
            status,
            message: message.into(),
        }
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
