package mpsync

// #include <mpsync.h>
import "C"

import "fmt"

// Status says what a call came to; its numbers are those of the C library.
type Status int

// What a call can come to.
const (
	StatusInvalid         Status = C.MPSYNC_E_INVALID
	StatusHeld            Status = C.MPSYNC_E_HELD
	StatusLost            Status = C.MPSYNC_E_LOST
	StatusUnreachable     Status = C.MPSYNC_E_UNREACHABLE
	StatusTimeout         Status = C.MPSYNC_E_TIMEOUT
	StatusCancelled       Status = C.MPSYNC_E_CANCELLED
	StatusNotHeld         Status = C.MPSYNC_E_NOT_HELD
	StatusAlreadyHeld     Status = C.MPSYNC_E_ALREADY_HELD
	StatusForbidden       Status = C.MPSYNC_E_FORBIDDEN
	StatusUnauthenticated Status = C.MPSYNC_E_UNAUTHENTICATED
	StatusForked          Status = C.MPSYNC_E_FORKED
	StatusClosed          Status = C.MPSYNC_E_CLOSED
	StatusNoMemory        Status = C.MPSYNC_E_NO_MEMORY
	StatusUnsupported     Status = C.MPSYNC_E_UNSUPPORTED
	StatusCorrupt         Status = C.MPSYNC_E_CORRUPT
	StatusInternal        Status = C.MPSYNC_E_INTERNAL
)

// Error is every error of this package. Compare with [errors.Is] and one of the Err values.
type Error struct {
	Status  Status
	Message string
}

// The errors that programs tell apart, for [errors.Is].
var (
	ErrInvalid     = &Error{StatusInvalid, "an argument breaks the contract"}
	ErrBusy        = &Error{StatusHeld, "another holder has it"}
	ErrLost        = &Error{StatusLost, "the right ran out or was taken"}
	ErrUnreachable = &Error{StatusUnreachable, "the store does not answer"}
	ErrTimeout     = &Error{StatusTimeout, "the wait ended without it"}
	ErrCancelled   = &Error{StatusCancelled, "the request was cancelled"}
	ErrNotHeld     = &Error{StatusNotHeld, "it is not held"}
	ErrAlreadyHeld = &Error{StatusAlreadyHeld, "it is held, or asked for, already"}
	ErrForbidden   = &Error{StatusForbidden, "the store refuses"}
	ErrUnsupported = &Error{StatusUnsupported, "this store cannot do that"}
)

func (e *Error) Error() string { return e.Message }

// Is tells that two errors have the same status.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Status == e.Status
}

func failure(status Status, format string, arguments ...any) *Error {
	return &Error{status, fmt.Sprintf(format, arguments...)}
}

// errorOf is nil on success.
func errorOf(e *C.mpsync_error) error {
	if e.status == C.MPSYNC_OK {
		return nil
	}
	return &Error{Status(e.status), C.GoString(&e.message[0])}
}
