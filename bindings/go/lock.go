package mpsync

import (
	"context"
	"errors"
	"sync"
	"time"
)

// WorkFn is work that is done while a lock is held. Its context ends when the lock is lost, and
// [context.Cause] says why; the work has to stop then.
type WorkFn func(context.Context) error

// A Locker runs work under a lock.
type Locker interface {
	// Lock acquires the lock, runs the work, and releases it.
	Lock(ctx context.Context, work WorkFn) error
}

// DEFAULT_INTERVAL is the interval that earlier programs gave, in milliseconds.
const DEFAULT_INTERVAL = 10000 //nolint:revive // the name that programs know

// Lock is one name that at most one holder has at a time. One Lock has or asks for one grant at a
// time; make one for each goroutine that is to take its turn.
type Lock struct {
	name     string
	interval time.Duration
	options  []Option
	mutex    sync.Mutex
	handle   *handle
}

// New makes a lock and checks its arguments.
func New(name string, options ...Option) (*Lock, error) {
	l := &Lock{name: name, interval: DEFAULT_INTERVAL * time.Millisecond, options: options}
	_, err := l.open()
	return l, err
}

// NewLock makes a lock as earlier programs do. The interval, in milliseconds, is how often they
// renewed: the ttl is one and a half times as long, as the defaults are. What is wrong with the
// name is told by the first call.
func NewLock(name string, intervalMs int64) *Lock {
	l := &Lock{name: name, interval: time.Duration(intervalMs) * time.Millisecond}
	if intervalMs <= 0 {
		l.interval = DEFAULT_INTERVAL * time.Millisecond
	}
	l.options = []Option{WithTTL(max(l.interval*3/2, time.Second))}
	return l
}

func (l *Lock) open() (*handle, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.handle != nil {
		return l.handle, nil
	}
	h, err := newHandle(l.name, false, settingsOf(l.options))
	l.handle = h
	return h, err
}

// Acquire waits until it is held, or the context ends, or the time of [WithWait] is over.
func (l *Lock) Acquire(ctx context.Context) (*Held, error) { return l.take(ctx, waitAsOption) }

// AcquireTimeout waits no longer than the timeout; the error is then [ErrTimeout], or [ErrBusy]
// without any wait.
func (l *Lock) AcquireTimeout(ctx context.Context, timeout time.Duration) (*Held, error) {
	return l.take(ctx, milliseconds(max(timeout, 0)))
}

// TryAcquire does not wait: [ErrBusy] says that another holder has it.
func (l *Lock) TryAcquire(ctx context.Context) (*Held, error) { return l.take(ctx, 0) }

func (l *Lock) take(ctx context.Context, waitMS int64) (*Held, error) {
	h, err := l.open()
	if err != nil {
		return nil, err
	}
	return h.take(ctx, nil, waitMS)
}

// Release gives back what this lock holds; [ErrNotHeld] without it.
func (l *Lock) Release() error {
	h, err := l.open()
	if err != nil {
		return err
	}
	held := h.current()
	if held == nil {
		return failure(StatusNotHeld, "%q is not held", l.name)
	}
	return held.Release()
}

// Do waits for the lock, runs the work, and releases it.
func (l *Lock) Do(ctx context.Context, work WorkFn) error { return l.do(ctx, work, waitAsOption) }

func (l *Lock) do(ctx context.Context, work WorkFn, waitMS int64) error {
	held, err := l.take(ctx, waitMS)
	if err != nil {
		return err
	}
	return held.run(ctx, work)
}

type retriesKey struct{}

// WithRetry lets each [Lock.Lock] with this context wait as long as n tries in the lock's interval
// would take; fewer than one waits for ever.
func WithRetry(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, retriesKey{}, n)
}

// Lock waits for one interval, or as [WithRetry] says, runs the work, and releases. The error is
// [ErrTimeout] when another holder had it all the time.
func (l *Lock) Lock(ctx context.Context, work WorkFn) error {
	n, given := ctx.Value(retriesKey{}).(int)
	if !given {
		n = 1
	}
	waitMS := int64(waitForEver)
	if n > 0 {
		waitMS = int64(n) * milliseconds(l.interval)
	}
	held, err := l.take(ctx, waitMS)
	if errors.Is(err, ErrTimeout) {
		return failure(StatusTimeout, "could not obtain a lock after %d attempt(s): %v", n, err)
	}
	if err != nil {
		return err
	}
	return held.run(ctx, work)
}

// Locked tells whether this lock holds it now.
func (l *Lock) Locked() bool {
	l.mutex.Lock()
	h := l.handle
	l.mutex.Unlock()
	if h == nil {
		return false
	}
	held := h.current()
	return held != nil && held.IsHeld()
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

// Do waits for the lock of that name, runs the work while it is held, and releases it.
func Do(ctx context.Context, name string, work WorkFn, options ...Option) error {
	l, err := New(name, options...)
	if err != nil {
		return err
	}
	return l.Do(ctx, work)
}
