package mpsync

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// The names of earlier programs.
func TestEarlierPrograms(t *testing.T) {
	store := storeOf(t)
	t.Setenv("MPSYNC_URL", store)
	lock := NewLock("x", DEFAULT_INTERVAL)
	ran := false
	var quick int64 = 1000
	work := func(ctx context.Context) error {
		ran = lock.Locked()
		return NewLock("x", quick).Lock(WithRetry(ctx, 2), nil)
	}
	err := lock.Lock(context.Background(), work)
	if !errors.Is(err, ErrTimeout) || !ran || err.Error() != "could not obtain a lock after 2 attempt(s)" ||
		!strings.Contains(errors.Unwrap(err).Error(), "has it") {
		t.Errorf("%v came back", err)
	}
	if err := lock.WithRetry(context.Background(), 3).Lock(context.Background(),
		func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := NewLock("", DEFAULT_INTERVAL).Lock(context.Background(), work); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v came back", err)
	}
}

// Of two elections one leads; when it ends, the follower of the other stops following and leads.
func TestElectionsTakeOver(t *testing.T) {
	t.Parallel()
	store := fresh(t)
	led := make(chan int, 2)
	finish := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	var all sync.WaitGroup
	for i := range 2 {
		all.Add(1)
		go func() {
			defer all.Done()
			leader := func(ctx context.Context) error {
				led <- i
				<-finish[i]
				return nil
			}
			follower := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			election := NewElection(must(New("x", store)), leader, follower)
			if err := election.Run(context.Background()); err != nil {
				t.Error(err)
			}
		}()
	}
	first := <-led
	close(finish[first])
	if second := <-led; second == first {
		t.Error("the same led twice")
	}
	close(finish[1-first])
	all.Wait()
}

// A context's end and the leader's error end Run, not what a follower returns.
func TestElectionsEnd(t *testing.T) {
	t.Parallel()
	store := fresh(t)
	broken := errors.New("broken")
	fails := func(context.Context) error { return broken }
	if err := NewElection(must(New("x", store)), fails, nil).Run(context.Background()); err != broken {
		t.Errorf("%v came back", err)
	}
	must(must(New("x", store)).Acquire(context.Background()))
	ctx, cancel := context.WithCancel(context.Background())
	follower := func(context.Context) error { cancel(); return broken }
	if err := NewElection(must(New("x", store)), nil, follower).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v came back", err)
	}
}

// A Locker that says each time why it cannot: the election tells it once, and follows.
func TestElectionOverALockerOfOnesOwn(t *testing.T) {
	t.Parallel()
	store := fresh(t)
	held := must(must(New("x", store)).Acquire(context.Background()))
	followed := make(chan bool, 2)
	lock := must(New("x", store))
	lock.first.intervalMS = 100
	end := background(func() error {
		return NewElection(lock.WithRetry(context.Background(), 1), func(context.Context) error { return nil },
			func(ctx context.Context) error { followed <- true; <-ctx.Done(); return errors.New("follower") }).Run(context.Background())
	})
	within(t, "follower", followed)
	if err := held.Release(); err != nil {
		t.Error(err)
	}
	if err := within(t, "end", end); err != nil {
		t.Error(err)
	}
}

// A follower follows while another leads, and not before; a release in the term ends it, and the
// election stands again.
func TestElectionStandsAgain(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	lock := must(New("x", WithURL(store)))
	ctx, stop := context.WithCancel(context.Background())
	terms := ""
	err := NewElection(lock, func(ctx context.Context) error {
		switch terms += "t"; len(terms) {
		case 1:
			if err := lock.Release(); err != nil {
				t.Error(err)
			}
		case 2:
			lose(store, "x")
		case 3:
			stop()
		}
		<-ctx.Done()
		return errors.New("ignored")
	}, func(context.Context) error { t.Error("it follows itself"); return nil }).Run(ctx)
	if !errors.Is(err, context.Canceled) || terms != "ttt" || lock.Locked() {
		t.Errorf("%v came back after %q", err, terms)
	}
}

// Durations that no number of milliseconds is.
func TestDurations(t *testing.T) {
	const forEver = time.Duration(1<<63 - 1)
	store := WithURL("memory:")
	held := must(must(New("durations", store, WithWait(forEver))).AcquireTimeout(context.Background(), forEver))
	if _, err := must(New("durations", store)).AcquireTimeout(context.Background(), time.Nanosecond); !errors.Is(err, ErrTimeout) {
		t.Errorf("%v came back: a short wait is none", err)
	}
	if _, err := must(New("durations", store)).AcquireTimeout(context.Background(), -forEver); !errors.Is(err, ErrBusy) {
		t.Errorf("%v came back: a wait before now is a try", err)
	}
	if _, err := New("durations", store, WithTTL(forEver)); !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "-") {
		t.Errorf("%v came back", err)
	}
	for _, interval := range []int64{-1, 0, 1<<63 - 1} {
		t.Setenv("MPSYNC_URL", storeOf(t))
		if err := NewLock("x", interval).Lock(context.Background(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("%v came back with the interval %d", err, interval)
		}
	}
	if err := held.Release(); err != nil {
		t.Error(err)
	}
}

// server answers for an elector of the first package.
type server struct {
	mutex sync.Mutex
	holds map[string]string
	puts  int
	code  int // if not 0, always
}

type caller struct {
	name   string
	server *server
}

func (c caller) Get(url url.URL) (int, error) {
	c.server.mutex.Lock()
	defer c.server.mutex.Unlock()
	if c.server.holds[url.Path] == "" {
		return NOTFOUND, nil
	}
	return OK, nil
}

func (c caller) Put(url url.URL) (int, error) {
	s := c.server
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.puts++
	if s.code != 0 {
		return s.code, nil
	}
	if holder := s.holds[url.Path]; holder != "" && holder != c.name {
		return CONFLICT, nil
	}
	s.holds[url.Path] = c.name
	return OK, nil
}

func (s *server) set(url, holder string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.holds[url] = holder
}

// With a client of a test's own the lock does what it did: asks by Get, takes and beats by Put, and
// stays taken after the work.
func TestMockedLock(t *testing.T) {
	t.Parallel()
	s := &server{holds: map[string]string{}}
	ours, others := NewLock("x", 1), NewLock("x", 1)
	ours.SetClient(caller{"one", s})
	others.SetClient(caller{"other", s})
	beats := func(context.Context) error {
		eventually(t, "it beats", func() bool { s.mutex.Lock(); defer s.mutex.Unlock(); return s.puts > 3 })
		return nil
	}
	if err := ours.Lock(context.Background(), beats); err != nil || !ours.Locked() {
		t.Errorf("%v came back", err)
	}
	err := others.Lock(context.Background(), nil)
	if err == nil || err.Error() != "could not obtain a lock after 1 attempt(s)" || others.Locked() {
		t.Errorf("%v came back", err)
	}
	err = NewElection(others, nil, func(context.Context) error { return errors.New("follower") }).Run(context.Background())
	if err == nil || err.Error() != "follower" {
		t.Errorf("%v came back from an election", err)
	}
	end := background(func() error {
		return others.Lock(WithRetry(context.Background(), -1), func(ctx context.Context) error {
			s.set("/locks/x", "somebody")
			<-ctx.Done()
			return context.Cause(ctx)
		})
	})
	s.set("/locks/x", "")
	if err := within(t, "end", end); !errors.Is(err, ErrLost) || others.Locked() {
		t.Errorf("%v came back", err)
	}
	s.code = 500
	if err := ours.Lock(context.Background(), nil); err == nil || err.Error() != "Unexpected status: 500" {
		t.Errorf("%v came back", err)
	}
}
