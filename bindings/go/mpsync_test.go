package mpsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// fresh is a store of one test's own.
func fresh(t *testing.T) Option {
	return WithURL("file:" + filepath.Join(t.TempDir(), "locks.db"))
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Work has the lock alone, and its goroutines all get their turn.
func TestDoTakesTurns(t *testing.T) {
	store := fresh(t)
	inside, turns := 0, 0
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			err := Do(context.Background(), "x", func(context.Context) error {
				inside++
				if inside != 1 {
					t.Error("two are inside")
				}
				turns++
				inside--
				return nil
			}, store)
			if err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	if turns != 8 {
		t.Errorf("%d turns", turns)
	}
}

// The error of the work comes back, and the lock is free although it failed or panicked.
func TestDoReleasesWhateverTheWorkDoes(t *testing.T) {
	lock := must(New("x", fresh(t)))
	broken := errors.New("broken")
	if err := lock.Do(context.Background(), func(context.Context) error { return broken }); err != broken {
		t.Errorf("%v came back", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = lock.Do(context.Background(), func(context.Context) error { panic("work") })
	}()
	if lock.Locked() {
		t.Error("it is still locked")
	}
	must(lock.TryAcquire(context.Background()))
}

// A context that ends stops the waiting with its own cause, and the lock can be asked for again.
func TestCancellingAWait(t *testing.T) {
	store := fresh(t)
	holder, waiter := must(New("x", store)), must(New("x", store))
	held := must(holder.Acquire(context.Background()))
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(enough)
	if _, err := waiter.Acquire(ctx); err != enough {
		t.Errorf("%v came back", err)
	}
	timed, stop := context.WithTimeout(context.Background(), time.Millisecond)
	defer stop()
	if _, err := waiter.Acquire(timed); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v came back", err)
	}
	if err := held.Release(); err != nil {
		t.Error(err)
	}
	must(waiter.Acquire(context.Background()))
}

// Misuse and bad arguments are told by their status, with a message.
func TestErrors(t *testing.T) {
	store := fresh(t)
	lock := must(New("x", store))
	if err := lock.Release(); !errors.Is(err, ErrNotHeld) {
		t.Errorf("%v came back", err)
	}
	must(lock.Acquire(context.Background()))
	if _, err := lock.Acquire(context.Background()); !errors.Is(err, ErrAlreadyHeld) {
		t.Errorf("%v came back", err)
	}
	if _, err := must(New("x", store)).TryAcquire(context.Background()); !errors.Is(err, ErrBusy) {
		t.Errorf("%v came back", err)
	}
	for name, options := range map[string][]Option{
		"": nil, "a\x00b": nil, "\xff": nil, strings.Repeat("n", 1025): nil,
		"y": {WithSetting("colour", "red")}, "z": {WithTTL(time.Millisecond)}, "u": {WithURL("gopher:x")},
	} {
		if _, err := New(name, append([]Option{store}, options...)...); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v came back", name, err)
		}
	}
}

// An elector that is not there is an error that says how to start one.
func TestNoElector(t *testing.T) {
	err := Do(context.Background(), "x", nil, WithURL("http://127.0.0.1:1"))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "mpsync elector") {
		t.Errorf("%v came back", err)
	}
}

// A release gives a new grant a new, higher token; the old one is never held again.
func TestGrantsAreApart(t *testing.T) {
	lock := must(New("x", fresh(t)))
	first := must(lock.Acquire(context.Background()))
	if !first.IsHeld() || first.Remaining() <= 0 {
		t.Error("it is not held")
	}
	if err := first.Release(); err != nil {
		t.Error(err)
	}
	second := must(lock.Acquire(context.Background()))
	if first.IsHeld() || !second.IsHeld() || second.Token() <= first.Token() {
		t.Error("the first grant is alive, or its token is no lower")
	}
	if err := first.Release(); !errors.Is(err, ErrNotHeld) || !second.IsHeld() {
		t.Errorf("%v came back from the release of an old grant", err)
	}
}

// A loss ends the work's context, whose cause says why, and is what Do returns.
func TestLossEndsTheWork(t *testing.T) {
	lock := must(New("x", fresh(t)))
	err := lock.Do(context.Background(), func(ctx context.Context) error {
		held := lock.handle.current()
		lock.handle.lose(event{grant: uint64(held.grant), reason: 2})
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, ErrLost) || !strings.Contains(cause.Error(), "taken") {
			t.Errorf("the cause is %v", cause)
		}
		return nil
	})
	if !errors.Is(err, ErrLost) {
		t.Errorf("%v came back", err)
	}
}

// A loss that comes while the release is under way is a loss, not a release of nothing.
func TestLossDuringTheRelease(t *testing.T) {
	lock := must(New("x", fresh(t)))
	held := must(lock.Acquire(context.Background()))
	held.forget()
	lock.handle.lose(event{grant: uint64(held.grant), reason: 1})
	if err := held.Err(); !errors.Is(err, ErrLost) {
		t.Errorf("%v came back", err)
	}
}

// The names of earlier programs.
func TestEarlierPrograms(t *testing.T) {
	store := "file:" + filepath.Join(t.TempDir(), "locks.db")
	t.Setenv("MPSYNC_URL", store)
	lock := NewLock("x", DEFAULT_INTERVAL)
	ran := false
	var quick int64 = 1000
	work := func(ctx context.Context) error {
		ran = lock.Locked()
		return NewLock("x", quick).Lock(WithRetry(ctx, 2), nil)
	}
	err := lock.Lock(context.Background(), work)
	if !errors.Is(err, ErrTimeout) || !ran || !strings.HasPrefix(err.Error(), "could not obtain a lock after 2 attempt(s)") {
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

// Observers see nobody, the leader and its value, and the change of it.
func TestObserving(t *testing.T) {
	store := fresh(t)
	candidate := must(NewCandidate("x", store))
	step := 0
	for leader, err := range must(NewCandidate("x", store)).Observe(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		switch step++; step {
		case 1:
			if leader.Token != 0 {
				t.Error("somebody leads")
			}
			must(candidate.Campaign(context.Background(), "one"))
		case 2:
			if leader.Value != "one" || !candidate.IsLeader() {
				t.Errorf("%v is seen", leader)
			}
			if err := candidate.SetValue("zwei"); err != nil {
				t.Error(err)
			}
		case 3:
			if leader.Value != "zwei" {
				t.Errorf("%v is seen", leader)
			}
			if err := candidate.Resign(); err != nil {
				t.Error(err)
			}
		default:
			if leader.Token != 0 {
				t.Errorf("%v is seen", leader)
			}
			return
		}
	}
}

// A thousand waiting locks have no goroutine or descriptor left when they are cancelled.
func TestNothingIsLeft(t *testing.T) {
	store := fresh(t)
	holder := must(New("x", store))
	must(holder.Acquire(context.Background()))
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 1000 {
		lock := must(New("x", store))
		all.Add(1)
		go func() {
			defer all.Done()
			if _, err := lock.Acquire(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}()
	}
	threads := len(must(os.ReadDir("/proc/self/task")))
	if threads > 100 {
		t.Errorf("%d threads wait", threads)
	}
	cancel()
	all.Wait()
	// The last of them have said that they are done, and end in a moment.
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > goroutines && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	if n := openDescriptors(t); n > descriptors {
		t.Errorf("%d descriptors, %d before", n, descriptors)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	return len(must(os.ReadDir("/proc/self/fd")))
}

// Handles that are dropped free what they hold.
func TestDroppedHandles(t *testing.T) {
	store := fresh(t)
	func() { must(must(New("x", store)).Acquire(context.Background())) }()
	lock := must(New("x", store))
	got := make(chan error, 1)
	go func() {
		_, err := lock.Acquire(context.Background())
		got <- err
	}()
	for {
		runtime.GC()
		select {
		case err := <-got:
			if err != nil {
				t.Error(err)
			}
			return
		default:
			runtime.Gosched()
		}
	}
}

func ExampleDo() {
	err := Do(context.Background(), "orders/42", func(ctx context.Context) error {
		fmt.Println("only one does this now")
		return nil
	}, WithURL("memory:"))
	fmt.Println(err)
	// Output:
	// only one does this now
	// <nil>
}

func ExampleLock_TryAcquire() {
	ctx := context.Background()
	first, _ := New("reports", WithURL("memory:"))
	second, _ := New("reports", WithURL("memory:"))
	held, _ := first.TryAcquire(ctx)
	_, err := second.TryAcquire(ctx)
	fmt.Println(held.IsHeld(), errors.Is(err, ErrBusy))
	_ = held.Release()
	// Output: true true
}

func ExampleCandidate() {
	ctx := context.Background()
	candidate, _ := NewCandidate("scheduler", WithURL("memory:"), WithIdentity("node-1"))
	err := candidate.Do(ctx, "http://node-1:8080", func(ctx context.Context) error {
		leader, err := candidate.Leader(ctx)
		fmt.Println(leader.Holder, leader.Value)
		return err
	})
	fmt.Println(err)
	// Output:
	// node-1 http://node-1:8080
	// <nil>
}
