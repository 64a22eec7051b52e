//go:build cgo

package mpsync

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// What an elector answers to the first wire, and what a [MockableClient] returns.
const (
	OK       = 200 // there is such a lock, or it is ours
	NOTFOUND = 404 // nobody holds it
	CONFLICT = 409 // another holder has it
)

// MockableClient stands for an elector in tests of earlier programs: see [Lock.SetClient].
type MockableClient interface {
	Get(url.URL) (int, error) // is there such a lock?
	Put(url.URL) (int, error) // take it, or hold it on
}

// SetClient lets a test answer instead of an elector. The lock, and an election over it, then do
// what they did in the first package: a Get, a Put at each interval, and after the work nothing,
// for there is no call that gives back. Set it before anything else is done with the lock.
func (l *Lock) SetClient(client MockableClient) {
	l.first.mock = &mocked{
		client: client, interval: time.Duration(l.first.intervalMS) * time.Millisecond,
		url: url.URL{Scheme: "http", Host: "localhost:13131", Path: "/locks/" + l.name},
	}
}

type mocked struct {
	client   MockableClient
	url      url.URL
	interval time.Duration
	locked   atomic.Bool
	working  atomic.Bool
}

func (m *mocked) lock(ctx context.Context, n int, work WorkFn) error {
	if m.working.Load() {
		return worded{notReentrant, ErrAlreadyHeld}
	}
	code, err := m.client.Get(m.url)
	if err != nil || code != OK && code != NOTFOUND {
		return unexpected(code, err)
	}
	for tries := n; tries != 0; tries-- {
		if code, err = m.client.Put(m.url); code == OK && err == nil {
			return m.hold(ctx, work)
		} else if err != nil || code != CONFLICT {
			return unexpected(code, err)
		}
		if !pause(ctx, m.interval) {
			return context.Cause(ctx)
		}
	}
	return notObtained(n, ErrTimeout)
}

func unexpected(code int, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("Unexpected status: %d", code) //nolint:staticcheck // the words that programs know
}

// hold runs the work beside a beat in each interval, the last of which comes after the work.
func (m *mocked) hold(ctx context.Context, work WorkFn) error {
	m.locked.Store(true)
	m.working.Store(true)
	defer m.working.Store(false)
	working, lose := context.WithCancelCause(ctx)
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	var heart sync.WaitGroup
	defer heart.Wait()
	defer stop()
	heart.Add(1)
	go func() {
		defer heart.Done()
		for beats := true; beats; {
			beats = pause(beating, m.interval)
			if code, err := m.client.Put(m.url); code != OK || err != nil {
				m.locked.Store(false)
				lose(failure(StatusLost, "it was lost: %v", unexpected(code, err)))
				return
			}
		}
	}()
	return work(working)
}

// pause is cut short by the end of the context.
func pause(ctx context.Context, length time.Duration) (full bool) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
