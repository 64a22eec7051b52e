package mpsync

// #include "native.h"
import "C"

import (
	"fmt"
	"time"
)

// Status says what a call came to; its numbers are those of the C library.
type Status int

// What a call can come to.
const (
	StatusInvalid         Status = C.MPSYNC_E_INVALID         // an argument breaks the contract
	StatusHeld            Status = C.MPSYNC_E_HELD            // another holder has it
	StatusLost            Status = C.MPSYNC_E_LOST            // the right ran out or was taken
	StatusUnreachable     Status = C.MPSYNC_E_UNREACHABLE     // the store did not answer in time
	StatusTimeout         Status = C.MPSYNC_E_TIMEOUT         // the wait ended without it
	StatusCancelled       Status = C.MPSYNC_E_CANCELLED       // the request was cancelled
	StatusNotHeld         Status = C.MPSYNC_E_NOT_HELD        // nothing is held that could be released
	StatusAlreadyHeld     Status = C.MPSYNC_E_ALREADY_HELD    // it is held, or asked for, already
	StatusForbidden       Status = C.MPSYNC_E_FORBIDDEN       // the store refuses; the message names what is missing
	StatusUnauthenticated Status = C.MPSYNC_E_UNAUTHENTICATED // the store does not know who asks
	StatusForked          Status = C.MPSYNC_E_FORKED          // the handle belongs to the parent process
	StatusClosed          Status = C.MPSYNC_E_CLOSED          // the client is closed
	StatusNoMemory        Status = C.MPSYNC_E_NO_MEMORY       // an allocation failed
	StatusUnsupported     Status = C.MPSYNC_E_UNSUPPORTED     // this store cannot do that
	StatusCorrupt         Status = C.MPSYNC_E_CORRUPT         // a record or file is not what this library writes
	StatusInternal        Status = C.MPSYNC_E_INTERNAL        // the system refused a thread or a descriptor
)

// Error is every error of this package. Compare with [errors.Is] and one of the Err values.
type Error struct {
	Status  Status // what the call came to
	Message string // what happened, to which name or file, and what to do
}

// The errors that programs tell apart, for [errors.Is]; each says what it stands for.
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

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Is tells that two errors have the same status.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Status == e.Status
}

// Ending is why work is to end: the [context.Cause] of its context, unless the caller's own context
// has ended. It is [ErrLost] if the right was lost, or is about to be.
type Ending struct {
	Name   string        // of the lock or the election
	Reason string        // "stopped", "asked", "closed", "returned", or of a loss "expired", "taken", …
	Left   time.Duration // how long it stays held meanwhile; below 0: until the work has ended; 0: not any more
	loss   bool
}

// Error is a sentence that names the lock and the reason.
func (e *Ending) Error() string {
	switch {
	case e.isLost():
		return fmt.Sprintf("%q was lost (%s)", e.Name, e.Reason)
	case e.loss:
		return fmt.Sprintf("%q is lost in %v (%s)", e.Name, e.Left, e.Reason)
	}
	return fmt.Sprintf("%q is to be given back (%s)", e.Name, e.Reason)
}

// Unwrap is an error of this package.
func (e *Ending) Unwrap() error {
	if e.loss {
		return &Error{StatusLost, e.Error()}
	}
	return &Error{StatusCancelled, e.Error()}
}

func (e *Ending) isLost() bool { return e.loss && e.Left == 0 }

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
