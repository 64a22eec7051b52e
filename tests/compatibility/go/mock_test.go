package main

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	mpsync "github.com/metaparticle-io/sync/go/sync"
)

// The names of the first package, with its shapes.
var (
	_ string                                                            = mpsync.BaseLockURL
	_ int64                                                             = mpsync.DEFAULT_INTERVAL
	_ [3]int                                                            = [...]int{mpsync.OK, mpsync.NOTFOUND, mpsync.CONFLICT}
	_ func(string, int64) *mpsync.Lock                                  = mpsync.NewLock
	_ func(*mpsync.Lock, context.Context, mpsync.WorkFn) error          = (*mpsync.Lock).Lock
	_ func(*mpsync.Lock) bool                                           = (*mpsync.Lock).Locked
	_ func(*mpsync.Lock, mpsync.MockableClient)                         = (*mpsync.Lock).SetClient
	_ func(context.Context, int) context.Context                        = mpsync.WithRetry
	_ func(mpsync.Locker, mpsync.WorkFn, mpsync.WorkFn) mpsync.Election = mpsync.NewElection
	_ func(mpsync.Election, context.Context) error                      = mpsync.Election.Run
	_ mpsync.Locker                                                     = (*mpsync.Lock)(nil)
	_ mpsync.WorkFn                                                     = func(context.Context) error { return nil }
	_ mpsync.MockableClient                                             = (*mockClient)(nil)
)

const lockURL = mpsync.BaseLockURL + "locks/" // it is a constant, and ends in a slash

// mockClient is how tests of programs for the first package answered in an elector's place.
type mockClient struct {
	mutex sync.Mutex
	get   int
	puts  []int // the last one again and again
	err   error
	asked []string
}

func (m *mockClient) Get(url url.URL) (int, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.asked = append(m.asked, "GET "+url.String())
	return m.get, m.err
}

func (m *mockClient) Put(url url.URL) (int, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.asked = append(m.asked, "PUT "+url.String())
	code := m.puts[0]
	if len(m.puts) > 1 {
		m.puts = m.puts[1:]
	}
	return code, m.err
}

func (m *mockClient) calls() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return len(m.asked)
}

func lockWith(m *mockClient) *mpsync.Lock {
	lock := mpsync.NewLock("test", 1)
	lock.SetClient(m)
	return lock
}

// A lock that is free is asked for, taken, and held on with a beat in each interval.
func TestLockIsTakenAndHeld(t *testing.T) {
	for _, get := range []int{mpsync.OK, mpsync.NOTFOUND} {
		m := &mockClient{get: get, puts: []int{mpsync.OK}}
		lock := lockWith(m)
		broken := errors.New("broken")
		err := lock.Lock(context.Background(), func(ctx context.Context) error {
			if err := lock.Lock(ctx, nil); err == nil || err.Error() != "locks are not reentrant" {
				t.Errorf("%v came back from inside", err)
			}
			for end := time.Now().Add(time.Minute); m.calls() < 4 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			return broken
		})
		asked := strings.Join(m.asked[:3], " ")
		if err != broken || !lock.Locked() || asked != strings.Join([]string{"GET", lockURL + "test", "PUT", lockURL + "test", "PUT", lockURL + "test"}, " ") {
			t.Errorf("%v came back, after %s", err, asked)
		}
	}
}

// A lock that another has is asked for once in an interval: once, as often as WithRetry says, or until it is free.
func TestLockOfAnother(t *testing.T) {
	never := func(context.Context) error { t.Error("it works"); return nil }
	m := &mockClient{get: mpsync.OK, puts: []int{mpsync.CONFLICT}}
	if err := lockWith(m).Lock(context.Background(), never); err == nil || err.Error() != "could not obtain a lock after 1 attempt(s)" || m.calls() != 2 {
		t.Errorf("%v came back after %d calls", err, m.calls())
	}
	if err := lockWith(m).Lock(mpsync.WithRetry(context.Background(), 3), never); err == nil || err.Error() != "could not obtain a lock after 3 attempt(s)" || m.calls() != 6 {
		t.Errorf("%v came back after %d calls", err, m.calls())
	}
	m.puts = []int{mpsync.CONFLICT, mpsync.CONFLICT, mpsync.CONFLICT, mpsync.OK}
	if err := lockWith(m).Lock(mpsync.WithRetry(context.Background(), -1), func(context.Context) error { return nil }); err != nil {
		t.Errorf("%v came back", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m.puts = []int{mpsync.CONFLICT}
	if err := lockWith(m).Lock(mpsync.WithRetry(ctx, -1), never); !errors.Is(err, context.Canceled) {
		t.Errorf("%v came back", err)
	}
}

// What cannot be asked for is an error: a status that no elector answers, and the client's own.
func TestLockThatCannotBeAskedFor(t *testing.T) {
	never := func(context.Context) error { t.Error("it works"); return nil }
	for _, m := range []*mockClient{{get: 500}, {get: mpsync.OK, puts: []int{500}}} {
		if err := lockWith(m).Lock(context.Background(), never); err == nil || err.Error() != "Unexpected status: 500" {
			t.Errorf("%v came back", err)
		}
	}
	broken := errors.New("broken")
	if err := lockWith(&mockClient{err: broken}).Lock(context.Background(), never); err != broken {
		t.Errorf("%v came back", err)
	}
}

// A beat that fails ends the work's context, and the lock is not held any more.
func TestLockThatIsLost(t *testing.T) {
	m := &mockClient{get: mpsync.OK, puts: []int{mpsync.OK, mpsync.OK, mpsync.CONFLICT}}
	lock := lockWith(m)
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	err := lock.Lock(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) || lock.Locked() {
		t.Errorf("%v came back", err)
	}
}

// locker is a Locker of a program's own: it has Lock alone.
type locker func(context.Context, mpsync.WorkFn) error

func (l locker) Lock(ctx context.Context, work mpsync.WorkFn) error { return l(ctx, work) }

// An election over a mocked lock leads when the lock is free and follows when it is not; a Locker of a program's own
// says by what it does who leads.
func TestElectionsOfMocks(t *testing.T) {
	leads, follows := errors.New("leads"), errors.New("follows")
	leader := func(context.Context) error { return leads }
	follower := func(context.Context) error { return follows }
	m := &mockClient{get: mpsync.NOTFOUND, puts: []int{mpsync.OK}}
	if err := mpsync.NewElection(lockWith(m), leader, nil).Run(context.Background()); err != leads {
		t.Errorf("%v came back", err)
	}
	m.puts = []int{mpsync.CONFLICT}
	if err := mpsync.NewElection(lockWith(m), leader, follower).Run(context.Background()); err != follows {
		t.Errorf("%v came back", err)
	}
	own := locker(func(ctx context.Context, work mpsync.WorkFn) error { return work(ctx) })
	if err := mpsync.NewElection(own, leader, follower).Run(context.Background()); err != leads {
		t.Errorf("%v came back", err)
	}
}
