package mpsync

// #include "native.h"
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// Waiting is why a lock or a candidate still waits.
type Waiting struct {
	Name      string        // of the lock or the election
	Holder    string        // who has it; "" where that is not known
	Position  int           // 1 is next; 0 where the store does not know
	Unchanged time.Duration // for how long the holder has given no sign of life
}

// handle is a native lock or election; it is freed when nobody has it any more.
type handle struct {
	client  *Client
	name    string
	native  C.native
	waiting func(Waiting)
	latest  atomic.Pointer[Held]
}

func newHandle(name string, election bool, s *settings) (*handle, error) {
	client, err := clientOf(s)
	if err != nil {
		return nil, err
	}
	options, err := s.native()
	if err != nil {
		return nil, err
	}
	defer C.mpsync_options_free(options)
	h := &handle{client: client, name: name, waiting: s.waiting}
	var e C.mpsync_error
	err = client.core.with(func(native *C.mpsync_client) error {
		if err := withText(func(name ...*C.char) {
			if election {
				h.native.election = C.mpsync_election_new(native, name[0], options, &e)
			} else {
				h.native.lock = C.mpsync_lock_new(native, name[0], options, &e)
			}
		}, name); err != nil {
			return err
		}
		return errorOf(&e)
	})
	if err != nil {
		return nil, err
	}
	runtime.AddCleanup(h, func(n C.native) { C.free_native(n) }, h.native)
	return h, nil
}

const (
	waitAsOption = -2
	waitForEver  = -1
)

// take asks and waits. When the context ends first, the request is taken back.
func (h *handle) take(ctx context.Context, value string, waitMS int64) (*Held, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := &request{handle: h}
	err := h.start(r, value, func(op C.uint64_t, value *C.char, e *C.mpsync_error) {
		C.start(h.native, op, value, C.int64_t(waitMS), e)
	})
	if err != nil {
		return nil, err
	}
	select {
	case e := <-r.end:
		return r.held, e.err()
	case <-ctx.Done():
		C.withdraw(h.native, C.uint64_t(r.op))
		runtime.KeepAlive(h)
		return nil, context.Cause(ctx)
	}
}

func (h *handle) start(r *request, value string, call func(op C.uint64_t, value *C.char, e *C.mpsync_error)) (err error) {
	failed := withText(func(text ...*C.char) {
		err = h.client.core.start(r, func(op C.uint64_t, e *C.mpsync_error) { call(op, text[0], e) })
	}, value)
	if failed != nil {
		return failed
	}
	return err
}

// begin is called by the pump, before whoever asked is told. A run's context is that of a function which works
// under the grant.
func (h *handle) begin(ctx context.Context, e event) *Held {
	held := &Held{handle: h, grant: C.uint64_t(e.grant), token: e.token,
		ending: make(chan struct{}), lost: make(chan struct{})}
	if ctx != nil {
		held.ctx, held.cancel = context.WithCancelCause(context.WithValue(ctx, heldKey{}, held))
	}
	h.latest.Store(held)
	return held
}

func (h *handle) isHeld() bool {
	held := h.latest.Load()
	return held != nil && held.IsHeld()
}

func (h *handle) release() error {
	held := h.latest.Load()
	if held == nil {
		return failure(StatusNotHeld, "%q is not held", h.name)
	}
	return held.Release()
}
