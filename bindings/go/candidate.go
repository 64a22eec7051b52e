package mpsync

// #include "native.h"
import "C"

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync"
	"time"
)

// Leader is who leads, as others see it. A Token of 0 says that nobody does.
type Leader struct {
	Holder string // the leader's identity
	Value  string // what the leader tells its observers
	Token  uint64 // the fencing token of its term
}

// Candidate stands for a name that at most one candidate leads at a time.
type Candidate struct{ handle *handle }

// NewCandidate makes a candidate and checks its arguments.
func NewCandidate(name string, options ...Option) (*Candidate, error) {
	h, err := newHandle(name, true, settingsOf(options))
	if err != nil {
		return nil, err
	}
	return &Candidate{h}, nil
}

// Campaign stands and waits until this candidate leads. The value is what observers see of it.
func (c *Candidate) Campaign(ctx context.Context, value string) (*Held, error) {
	return c.handle.take(ctx, value, waitAsOption)
}

// CampaignTimeout waits no longer than the timeout, as [Lock.AcquireTimeout].
func (c *Candidate) CampaignTimeout(ctx context.Context, value string, timeout time.Duration) (*Held, error) {
	return c.handle.take(ctx, value, milliseconds(max(timeout, 0)))
}

// Do leads one term: it stands, runs the work while it leads, and resigns. The error is the work's,
// joined with [ErrLost] if the term was lost.
func (c *Candidate) Do(ctx context.Context, value string, work WorkFn) error {
	return (&run{value: value, waitMS: waitAsOption, work: work}).once(ctx, c.handle)
}

// Lead stands again and again, and runs the work in each term, until the context ends: then the
// work is told, the term is renewed until the work has returned, and the error is nil. Work that
// returns gives the term back, and so does [Candidate.Resign]. An error of the work is logged, and
// this candidate stands again after a pause that grows.
func (c *Candidate) Lead(ctx context.Context, value string, work func(ctx context.Context, term *Held) error) error {
	r := &run{value: value, waitMS: waitAsOption}
	r.work = func(ctx context.Context) error {
		err := work(ctx, FromContext(ctx))
		if err != nil && ctx.Err() == nil {
			c.handle.client.core.slog().Error("the work of a term has failed", "name", c.handle.name, "error", err)
		}
		return err
	}
	end, err := r.do(ctx, c.handle)
	if err == nil {
		err = end.err()
	}
	if ctx.Err() != nil && !errors.Is(err, &Error{Status: StatusClosed}) {
		return nil
	}
	return err
}

// Resign ends the present term, as [Held.Release]; [ErrNotHeld] without one.
func (c *Candidate) Resign() error { return c.handle.release() }

// IsLeader tells whether this candidate leads now.
func (c *Candidate) IsLeader() bool { return c.handle.isHeld() }

// SetValue changes what observers see of the present term.
func (c *Candidate) SetValue(value string) (err error) {
	defer runtime.KeepAlive(c.handle)
	failed := withText(func(text ...*C.char) {
		err = c.handle.client.core.ask(func(op C.uint64_t, e *C.mpsync_error) {
			C.mpsync_election_set_value_start(c.handle.native.election, op, text[0], e)
		})
	}, value)
	return errors.Join(failed, err)
}

// Leader tells who leads now.
func (c *Candidate) Leader(ctx context.Context) (Leader, error) {
	for leader, err := range c.Observe(ctx) {
		return leader, err
	}
	return Leader{}, context.Cause(ctx)
}

// Observe yields who leads now, and then each change, until the context or the loop ends. An error,
// as that the client is closed, is the last that it yields.
func (c *Candidate) Observe(ctx context.Context) iter.Seq2[Leader, error] {
	return func(yield func(Leader, error) bool) {
		seen := changes{ready: make(chan struct{}, 1)}
		r := &request{seen: seen.add}
		if err := c.handle.observe(r); err != nil {
			yield(Leader{}, err)
			return
		}
		defer c.handle.observeStop(r)
		for {
			select {
			case <-seen.ready:
				for _, leader := range seen.take() {
					if !yield(leader, nil) {
						return
					}
				}
			case <-r.end: // nothing else ends it
				yield(Leader{}, failure(StatusClosed, "the client is closed"))
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

func (h *handle) observe(r *request) error {
	core := h.client.core
	return core.with(func(native *C.mpsync_client) error {
		return h.start(r, h.name, func(op C.uint64_t, name *C.char, e *C.mpsync_error) {
			C.mpsync_client_observe_start(native, op, name, e)
		})
	})
}

func (h *handle) observeStop(r *request) {
	_ = h.client.core.with(func(native *C.mpsync_client) error {
		C.mpsync_client_observe_stop(native, C.uint64_t(r.op), nil)
		return nil
	})
}

// changes are kept until the observer reads them: the pump never waits for a slow one.
type changes struct {
	mutex sync.Mutex
	list  []Leader
	ready chan struct{}
}

func (c *changes) add(leader Leader) {
	c.mutex.Lock()
	c.list = append(c.list, leader)
	c.mutex.Unlock()
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *changes) take() []Leader {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	list := c.list
	c.list = nil
	return list
}
