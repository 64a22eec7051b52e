package mpsync

// #include <mpsync.h>
// #include <stdlib.h>
import "C"

import (
	"context"
	"runtime"
	"sync"
	"time"
	"unsafe"
	"weak"
)

// handle is a native lock or election; it is freed when nobody has it any more.
type handle struct {
	client   *client
	name     string
	lock     *C.mpsync_lock
	election *C.mpsync_election
	mutex    sync.Mutex
	present  *Held
	latest   *Held // present, or being released: it may be lost yet
}

type native struct {
	client   *client
	id       uint64
	lock     *C.mpsync_lock
	election *C.mpsync_election
}

func (n native) free() {
	n.client.mutex.Lock()
	delete(n.client.handles, n.id)
	n.client.mutex.Unlock()
	C.mpsync_lock_free(n.lock)
	C.mpsync_election_free(n.election)
}

func newHandle(name string, election bool, s *settings) (*handle, error) {
	c, err := clientOf(s.url)
	if err != nil {
		return nil, err
	}
	options, err := s.native()
	if err != nil {
		return nil, err
	}
	defer C.mpsync_options_free(options)
	cname, err := text("name", name)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(cname))
	var e C.mpsync_error
	h := &handle{client: c, name: name}
	n := native{client: c}
	if election {
		h.election = C.mpsync_election_new(c.native, cname, options, &e)
		n.election, n.id = h.election, uint64(C.mpsync_election_id(h.election))
	} else {
		h.lock = C.mpsync_lock_new(c.native, cname, options, &e)
		n.lock, n.id = h.lock, uint64(C.mpsync_lock_id(h.lock))
	}
	if err := errorOf(&e); err != nil {
		return nil, err
	}
	c.mutex.Lock()
	c.handles[n.id] = weak.Make(h)
	c.mutex.Unlock()
	runtime.AddCleanup(h, native.free, n)
	return h, nil
}

const (
	waitAsOption = -2
	waitForEver  = -1
)

// take asks and waits. When the context ends first, the request is withdrawn.
func (h *handle) take(ctx context.Context, value *string, waitMS int64) (*Held, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	var cvalue *C.char
	if value != nil {
		var err error
		if cvalue, err = text("value", *value); err != nil {
			return nil, err
		}
		defer C.free(unsafe.Pointer(cvalue))
	}
	r := &request{handle: h, end: make(chan event, 1)}
	_, err := h.client.start(r, func(op C.uint64_t, e *C.mpsync_error) {
		if h.election != nil {
			C.mpsync_election_campaign_start(h.election, op, cvalue, C.int64_t(waitMS), e)
		} else {
			C.mpsync_lock_acquire_start(h.lock, op, C.int64_t(waitMS), e)
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case e := <-r.end:
		return r.held, e.err()
	case <-ctx.Done():
		h.cancel()
		<-r.end
		if r.held != nil {
			r.held.letGo()
		}
		return nil, context.Cause(ctx)
	}
}

func (h *handle) cancel() {
	if h.election != nil {
		C.mpsync_election_cancel(h.election, nil)
	} else {
		C.mpsync_lock_cancel(h.lock, nil)
	}
	runtime.KeepAlive(h)
}

// begin is called by the pump, before the asker is told.
func (h *handle) begin(e event) *Held {
	held := &Held{handle: h, grant: C.uint64_t(e.grant), token: e.token, lost: make(chan struct{})}
	h.mutex.Lock()
	h.present, h.latest = held, held
	h.mutex.Unlock()
	return held
}

// lose is called by the pump: the latest grant has ended unasked.
func (h *handle) lose(e event) {
	h.mutex.Lock()
	held := h.latest
	h.present, h.latest = nil, nil
	h.mutex.Unlock()
	if held != nil && uint64(held.grant) == e.grant {
		held.lose(C.int32_t(e.reason))
	}
}

func (h *handle) current() *Held {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.present
}

// Held is one grant of a lock, or one term of a leader. It stays ended when it has ended.
type Held struct {
	handle *handle
	grant  C.uint64_t
	token  uint64
	lost   chan struct{}
	losing sync.Once
	reason string
}

func (h *Held) lose(reason C.int32_t) {
	h.losing.Do(func() {
		h.reason = C.GoString(C.mpsync_reason_text(reason))
		close(h.lost)
	})
}

// IsHeld tells whether this very grant is held now. It compares with the clock, so it is right
// after any pause.
func (h *Held) IsHeld() bool {
	var held C.int32_t
	if h.handle.election != nil {
		held = C.mpsync_election_is_leader(h.handle.election, h.grant)
	} else {
		held = C.mpsync_lock_is_held(h.handle.lock, h.grant)
	}
	runtime.KeepAlive(h)
	return held != 0
}

// Remaining is how long the right lasts unless it is renewed; 0 when it is not held.
func (h *Held) Remaining() time.Duration {
	var ms C.int64_t
	if h.handle.election != nil {
		ms = C.mpsync_election_remaining_ms(h.handle.election, h.grant)
	} else {
		ms = C.mpsync_lock_remaining_ms(h.handle.lock, h.grant)
	}
	runtime.KeepAlive(h)
	return time.Duration(ms) * time.Millisecond
}

// Token is the fencing token, greater than that of every earlier grant of the name.
func (h *Held) Token() uint64 { return h.token }

// Lost is closed when the right has ended without a release.
func (h *Held) Lost() <-chan struct{} { return h.lost }

// Err is nil until the right was lost, then an error with status [StatusLost].
func (h *Held) Err() error {
	select {
	case <-h.lost:
		return failure(StatusLost, "%q was lost (%s)", h.handle.name, h.reason)
	default:
		return nil
	}
}

// Release gives it back, and waits until the store knows, or the right has run out.
func (h *Held) Release() error {
	h.forget()
	err := h.handle.client.ask(func(op C.uint64_t, e *C.mpsync_error) { h.releaseStart(op, e) })
	// The event that tells of a loss may not have been read yet.
	if reason := h.lostReason(); reason != 0 {
		h.lose(reason)
	}
	return err
}

func (h *Held) lostReason() (reason C.int32_t) {
	if h.handle.election != nil {
		reason = C.mpsync_election_lost_reason(h.handle.election, h.grant)
	} else {
		reason = C.mpsync_lock_lost_reason(h.handle.lock, h.grant)
	}
	runtime.KeepAlive(h)
	return reason
}

// letGo releases without waiting, and without a word if it has ended already.
func (h *Held) letGo() {
	h.forget()
	h.releaseStart(0, nil)
}

func (h *Held) releaseStart(op C.uint64_t, e *C.mpsync_error) {
	if h.handle.election != nil {
		C.mpsync_election_resign_start(h.handle.election, op, h.grant, e)
	} else {
		C.mpsync_lock_release_start(h.handle.lock, op, h.grant, e)
	}
	runtime.KeepAlive(h)
}

func (h *Held) forget() {
	h.handle.mutex.Lock()
	defer h.handle.mutex.Unlock()
	if h.handle.present == h {
		h.handle.present = nil
	}
}

// run calls the work with a context that ends when the right does, and releases afterwards.
func (h *Held) run(ctx context.Context, work WorkFn) (err error) {
	working, stop := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		select {
		case <-h.lost:
			stop(h.Err())
		case <-over:
		}
	}()
	defer func() {
		close(over)
		stop(context.Canceled)
		release := h.Release()
		if lost := h.Err(); lost != nil {
			err = lost
		} else if err == nil {
			err = release
		}
	}()
	return work(working)
}
