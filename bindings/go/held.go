package mpsync

// #include "native.h"
import "C"

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Held is one grant of a lock, or one term of a leader. It stays ended when it has ended.
type Held struct {
	handle *handle
	grant  C.uint64_t
	token  uint64
	ctx    context.Context         // of the work of a run's term
	cancel context.CancelCauseFunc // nil without a run
	mutex  sync.Mutex
	why    *Ending // the first
	loss   *Ending
	ending chan struct{}
	lost   chan struct{}
}

// IsHeld tells whether this very grant is held now. It compares with the clock, so it is right
// after any pause.
func (h *Held) IsHeld() bool {
	defer runtime.KeepAlive(h)
	return C.is_held(h.handle.native, h.grant) != 0
}

// Remaining is how long the right lasts unless it is renewed; 0 when it is not held.
func (h *Held) Remaining() time.Duration {
	defer runtime.KeepAlive(h)
	return time.Duration(C.remaining_ms(h.handle.native, h.grant)) * time.Millisecond
}

// Token is the fencing token, greater than that of every earlier grant of the name.
func (h *Held) Token() uint64 { return h.token }

// Lost is closed when the right has ended without a release.
func (h *Held) Lost() <-chan struct{} { return h.lost }

// Err is nil until the right was lost, then an [*Ending], which is [ErrLost].
func (h *Held) Err() error {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.loss == nil {
		return nil
	}
	return h.loss
}

// Ending is closed when the work is to end: [Held.Why] says why.
func (h *Held) Ending() <-chan struct{} { return h.ending }

// Why is nil until the work is to end.
func (h *Held) Why() *Ending {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.why
}

// Release gives it back, and waits until the store knows, or the right has run out. Where a function
// is at work under it, as with [Lock.Do] or [Candidate.Lead], the function's context ends, nobody
// waits, and it is given back when the function has returned.
func (h *Held) Release() error {
	if h.cancel != nil {
		return h.releaseStart(0)
	}
	err := h.handle.client.core.ask(func(op C.uint64_t, e *C.mpsync_error) {
		C.release(h.handle.native, op, h.grant, e)
	})
	// The event that tells of a loss may not have been read yet.
	h.noteLoss()
	return err
}

func (h *Held) releaseStart(op C.uint64_t) error {
	var e C.mpsync_error
	C.release(h.handle.native, op, h.grant, &e)
	runtime.KeepAlive(h)
	return errorOf(&e)
}

// noteLoss is for those to whom no event tells it, or not yet.
func (h *Held) noteLoss() {
	if reason := C.lost_reason(h.handle.native, h.grant); reason != C.MPSYNC_REASON_NONE {
		h.end(int(reason), 0)
	}
	runtime.KeepAlive(h)
}

// end is called by the pump: the work is to end, or the right is lost, or first one and then the other.
func (h *Held) end(reason int, left time.Duration) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	why := &Ending{h.handle.name, C.GoString(C.mpsync_reason_text(C.int32_t(reason))), left, reason < C.MPSYNC_REASON_ASKED}
	if h.why == nil {
		h.why = why
		close(h.ending)
		if h.cancel != nil {
			h.cancel(why)
		}
	}
	if h.loss == nil && why.isLost() {
		h.loss = why
		close(h.lost)
	}
}

type heldKey struct{}

// FromContext is what the work with this context holds; nil if it is not work under a lock.
func FromContext(ctx context.Context) *Held {
	held, _ := ctx.Value(heldKey{}).(*Held)
	return held
}
