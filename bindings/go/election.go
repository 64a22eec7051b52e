package mpsync

// #include <mpsync.h>
// #include <stdlib.h>
import "C"

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync"
	"time"
	"unsafe"
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
	return c.handle.take(ctx, &value, waitAsOption)
}

// CampaignTimeout waits no longer than the timeout, as [Lock.AcquireTimeout].
func (c *Candidate) CampaignTimeout(ctx context.Context, value string, timeout time.Duration) (*Held, error) {
	return c.handle.take(ctx, &value, milliseconds(max(timeout, 0)))
}

// Do leads one term: it stands, runs the work while it leads, and resigns.
func (c *Candidate) Do(ctx context.Context, value string, work WorkFn) error {
	held, err := c.Campaign(ctx, value)
	if err != nil {
		return err
	}
	return held.run(ctx, work)
}

// Resign ends the present term; [ErrNotHeld] without one.
func (c *Candidate) Resign() error {
	held := c.handle.current()
	if held == nil {
		return failure(StatusNotHeld, "%q is not led by this candidate", c.handle.name)
	}
	return held.Release()
}

// IsLeader tells whether this candidate leads now.
func (c *Candidate) IsLeader() bool {
	held := c.handle.current()
	return held != nil && held.IsHeld()
}

// SetValue changes what observers see of the present term.
func (c *Candidate) SetValue(value string) error {
	cvalue, err := text("value", value)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(cvalue))
	defer runtime.KeepAlive(c.handle)
	return c.handle.client.ask(func(op C.uint64_t, e *C.mpsync_error) {
		C.mpsync_election_set_value_start(c.handle.election, op, cvalue, e)
	})
}

// Observe yields who leads now, and then each change, until the context or the loop ends.
func (c *Candidate) Observe(ctx context.Context) iter.Seq2[Leader, error] {
	return func(yield func(Leader, error) bool) {
		changes := newChanges()
		stop, err := c.observe(changes)
		if err != nil {
			yield(Leader{}, err)
			return
		}
		defer stop()
		for {
			select {
			case <-changes.ready:
				for _, leader := range changes.take() {
					if !yield(leader, nil) {
						return
					}
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// Leader tells who leads now.
func (c *Candidate) Leader(ctx context.Context) (Leader, error) {
	for leader, err := range c.Observe(ctx) {
		return leader, err
	}
	return Leader{}, context.Cause(ctx)
}

func (c *Candidate) observe(changes *changes) (stop func(), err error) {
	cname, err := text("name", c.handle.name)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(cname))
	client := c.handle.client
	r := &request{end: make(chan event, 1), progress: changes.add}
	number, err := client.start(r, func(op C.uint64_t, e *C.mpsync_error) {
		C.mpsync_client_observe_start(client.native, op, cname, e)
	})
	return func() {
		C.mpsync_client_observe_stop(client.native, C.uint64_t(number), nil)
		<-r.end
	}, err
}

// changes are kept until the observer reads them: the pump never waits for a slow one.
type changes struct {
	mutex sync.Mutex
	list  []Leader
	ready chan struct{}
}

func newChanges() *changes { return &changes{ready: make(chan struct{}, 1)} }

func (c *changes) add(e event) {
	if e.kind != C.MPSYNC_EVENT_LEADER {
		return
	}
	c.mutex.Lock()
	c.list = append(c.list, Leader{e.holder, e.value, e.token})
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

// Election runs one function while it leads and another while it does not.
type Election struct {
	locker           Locker
	leader, follower WorkFn
}

// NewElection makes an election over a lock. Either function may be nil.
func NewElection(locker Locker, leader, follower WorkFn) Election {
	return Election{locker, leader, follower}
}

const retryPause = time.Second

// Run stands again after each loss, until the context ends or the leader's function returns. That
// one gets a context that ends with the term; when it returns while it leads, the term is given back
// and Run returns what it returned. The follower's function runs while another leads: its context
// ends when this one leads, and it is not waited for; what it returns ends nothing.
func (e Election) Run(ctx context.Context) error {
	for {
		again, err := e.term(ctx)
		if !again {
			return err
		}
	}
}

func (e Election) term(ctx context.Context) (again bool, err error) {
	err = e.stand(ctx)
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, ErrLost):
		return true, nil
	case errors.Is(err, ErrUnreachable):
		pause(ctx)
		return true, nil
	}
	return false, err
}

// stand asks who leads, and follows until it is this one's turn. A Locker of the program's own is
// asked again and again: it has no turn, and says by an error that another has the lock.
func (e Election) stand(ctx context.Context) error {
	following, stop := context.WithCancel(ctx)
	defer stop()
	if lock, ok := e.locker.(*Lock); ok {
		held, err := lock.take(ctx, 0)
		if errors.Is(err, ErrBusy) {
			e.follow(following)
			held, err = lock.take(ctx, waitForEver)
		}
		if err != nil {
			return err
		}
		stop()
		return held.run(ctx, e.lead)
	}
	for followed := false; ; followed = true {
		led := false
		err := e.locker.Lock(ctx, func(ctx context.Context) error {
			led = true
			stop()
			return e.lead(ctx)
		})
		if led || err == nil || ctx.Err() != nil {
			return err
		}
		if !followed {
			e.follow(following)
		}
		pause(ctx)
	}
}

func (e Election) lead(ctx context.Context) error {
	if e.leader != nil {
		return e.leader(ctx)
	}
	<-ctx.Done()
	return nil
}

func (e Election) follow(ctx context.Context) {
	if e.follower != nil {
		go func() { _ = e.follower(ctx) }()
	}
}

func pause(ctx context.Context) {
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
