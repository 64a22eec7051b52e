//go:build cgo

package mpsync

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Election runs one function while it leads and another while it does not.
type Election struct {
	locker           Locker
	leader, follower WorkFn
}

// NewElection makes an election over a lock. Either function may be nil.
func NewElection(locker Locker, leader, follower WorkFn) Election {
	if leader == nil {
		leader = func(ctx context.Context) error {
			<-ctx.Done()
			return nil
		}
	}
	return Election{locker, leader, follower}
}

// Run stands again after each loss, until the context ends or the leader's function returns. That
// one gets a context that ends with the term; when it returns while it leads, the term is given back
// and Run returns what it returned. The follower's function runs while another leads: its context
// ends when this one leads, and it is not waited for; what it returns ends nothing.
func (e Election) Run(ctx context.Context) error {
	lock, ours := e.locker.(*Lock)
	switch {
	case !ours:
		return e.runOver(ctx)
	case lock.first.mock != nil:
		return e.runOnce(ctx)
	}
	h, err := lock.open(true)
	if err != nil {
		return err
	}
	f := following{ctx: ctx, work: e.follower}
	defer f.stop()
	r := &run{waitMS: waitForEver, work: e.leader, follow: f.start, lead: f.stop}
	r.ends = func(told bool) bool { return !told }
	end, err := r.do(ctx, h)
	if err == nil && ctx.Err() == nil {
		err = end.err()
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return r.worked
}

// runOnce is what the first package did, for tests with a [MockableClient].
func (e Election) runOnce(ctx context.Context) error {
	err := e.locker.Lock(ctx, e.leader)
	if err != nil && e.follower != nil {
		return e.follower(ctx)
	}
	return err
}

const retryPause = time.Second

// runOver asks a Locker of the program's own again and again: it has no turn, and says by an error
// that another has the lock.
func (e Election) runOver(ctx context.Context) error {
	f := following{ctx: ctx, work: e.follower}
	defer f.stop()
	var before string
	for {
		led, told := false, false
		err := e.locker.Lock(ctx, func(ctx context.Context) error {
			led = true
			f.stop()
			err := e.leader(ctx)
			told = ctx.Err() != nil
			return err
		})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case led && !told, err == nil && !led:
			return err
		case !led && !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrBusy) && err.Error() != before:
			before = err.Error()
			slog.Warn("an election waits for its lock", "error", err)
		}
		if !led {
			f.start()
			pause(ctx, retryPause)
		}
	}
}

// following is the follower's function, at work while another leads.
type following struct {
	ctx  context.Context
	work WorkFn
	end  context.CancelFunc // nil while it does not follow
}

func (f *following) start() {
	if f.end == nil && f.work != nil {
		var ctx context.Context
		ctx, f.end = context.WithCancel(f.ctx)
		go func() { _ = f.work(ctx) }()
	}
}

func (f *following) stop() {
	if f.end != nil {
		f.end()
		f.end = nil
	}
}
