//go:build cgo

package mpsync

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Locker runs work under a lock.
type Locker interface {
	// Lock acquires the lock, runs the work, and releases it.
	Lock(ctx context.Context, work WorkFn) error
}

// DEFAULT_INTERVAL is the interval that earlier programs gave, in milliseconds.
const DEFAULT_INTERVAL = 10000 //nolint:revive // the name that programs know

// first is what earlier programs set.
type first struct {
	intervalMS int64
	mock       *mocked
}

const longestTTL = 24 * time.Hour

// NewLock makes a lock as earlier programs do. The interval, in milliseconds, is how often they
// renewed: the ttl is one and a half times as long, as the defaults are. What is wrong with the
// name is told by the first call.
func NewLock(name string, intervalMs int64) *Lock {
	if intervalMs <= 0 {
		intervalMs = DEFAULT_INTERVAL
	}
	shortened := min(intervalMs, int64(longestTTL/time.Millisecond))
	ttl := time.Duration(shortened) * time.Millisecond * 3 / 2
	return &Lock{name: name, first: first{intervalMS: intervalMs},
		options: []Option{WithTTL(min(max(ttl, time.Second), longestTTL))}}
}

type retriesKey struct{}

// WithRetry lets each [Lock.Lock] with this context wait as long as n tries in the lock's interval
// would take; -1 waits for ever.
func WithRetry(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, retriesKey{}, n)
}

func retriesOf(ctx context.Context) int {
	if n, given := ctx.Value(retriesKey{}).(int); given {
		return n
	}
	return 1
}

// worded has the words of the first package for an error of this one.
type worded struct {
	words string
	error
}

const notReentrant = "locks are not reentrant"

func (w worded) Error() string { return w.words }
func (w worded) Unwrap() error { return w.error }

func notObtained(n int, reason error) error {
	return worded{fmt.Sprintf("could not obtain a lock after %d attempt(s)", n), reason}
}

// Lock waits for one interval, or as [WithRetry] says, runs the work, and releases. The error is
// [ErrTimeout] when another had it all the time; what it wraps says who.
func (l *Lock) Lock(ctx context.Context, work WorkFn) error {
	n := retriesOf(ctx)
	switch {
	case n < 1 && n != waitForEver:
		return notObtained(n, ErrTimeout)
	case l.first.mock != nil:
		return l.first.mock.lock(ctx, n, work)
	}
	waitMS := int64(waitForEver)
	if n > 0 {
		waitMS = min(l.first.intervalMS, longestMS/int64(n)) * int64(n)
	}
	worked := false
	err := l.do(ctx, func(ctx context.Context) error {
		worked = true
		return work(ctx)
	}, waitMS)
	switch {
	case !worked && errors.Is(err, ErrTimeout):
		return notObtained(n, err)
	case !worked && errors.Is(err, ErrAlreadyHeld):
		return worded{notReentrant, err}
	}
	return err
}

// WithRetry is a Locker whose [Lock.Lock] waits as [WithRetry] says, at most as long as both contexts.
func (l *Lock) WithRetry(ctx context.Context, n int) Locker { return &retrying{l, ctx, n} }

type retrying struct {
	lock *Lock
	ctx  context.Context
	n    int
}

func (r *retrying) Lock(ctx context.Context, work WorkFn) error {
	joined, stop := context.WithCancelCause(WithRetry(ctx, r.n))
	defer stop(nil)
	defer context.AfterFunc(r.ctx, func() { stop(context.Cause(r.ctx)) })()
	return r.lock.Lock(joined, work)
}
