//go:build cgo

package mpsync

import (
	"context"
	"sync"
	"time"
)

// WorkFn is work that is done while a lock is held. Its context ends when the work is to stop, and
// [context.Cause] says why: an [*Ending], or what ended the caller's context. What is not lost yet
// stays held until the work has returned.
type WorkFn func(context.Context) error

// Lock is one name that at most one holder has at a time. One Lock has or asks for one grant at a
// time; make one for each goroutine that is to take its turn.
type Lock struct {
	name    string
	options []Option
	first   first
	mutex   sync.Mutex
	handle  *handle
}

// New makes a lock and checks its arguments.
func New(name string, options ...Option) (*Lock, error) {
	l := &Lock{name: name, options: options, first: first{intervalMS: DEFAULT_INTERVAL}}
	_, err := l.open(false)
	return l, err
}

// open makes the handle. What has led an election is an election: for others there is no difference.
func (l *Lock) open(election bool) (*handle, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.handle != nil && (!election || l.handle.native.election != nil) {
		return l.handle, nil
	}
	if l.handle != nil && (l.handle.isHeld() || l.handle.client.core.asks(l.handle)) {
		return nil, failure(StatusAlreadyHeld, "%q is held, or asked for, already by this lock", l.name)
	}
	h, err := newHandle(l.name, election, settingsOf(l.options))
	if err == nil {
		l.handle = h
	}
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
	h, err := l.open(false)
	if err != nil {
		return nil, err
	}
	return h.take(ctx, "", waitMS)
}

// Release gives back what this lock holds, as [Held.Release]; [ErrNotHeld] without it.
func (l *Lock) Release() error {
	h, err := l.open(false)
	if err != nil {
		return err
	}
	return h.release()
}

// Do waits for the lock, runs the work, and releases it when the work has returned. The error is the
// work's, joined with [ErrLost] if the lock was lost.
func (l *Lock) Do(ctx context.Context, work WorkFn) error { return l.do(ctx, work, waitAsOption) }

func (l *Lock) do(ctx context.Context, work WorkFn, waitMS int64) error {
	h, err := l.open(false)
	if err != nil {
		return err
	}
	return (&run{waitMS: waitMS, work: work}).once(ctx, h)
}

// Locked tells whether this lock holds it now.
func (l *Lock) Locked() bool {
	if l.first.mock != nil {
		return l.first.mock.locked.Load()
	}
	l.mutex.Lock()
	h := l.handle
	l.mutex.Unlock()
	return h != nil && h.isHeld()
}

// Do waits for the lock of that name, runs the work while it is held, and releases it.
func Do(ctx context.Context, name string, work WorkFn, options ...Option) error {
	l, err := New(name, options...)
	if err != nil {
		return err
	}
	return l.Do(ctx, work)
}
