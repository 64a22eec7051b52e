package mpsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Work has the lock alone, and its goroutines all get their turn.
func TestDoTakesTurns(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// A release gives a new grant a new, higher token; the old one is never held again.
func TestGrantsAreApart(t *testing.T) {
	t.Parallel()
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

// Observers see nobody, the leader and its value, and the change of it.
func TestObserving(t *testing.T) {
	t.Parallel()
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

func ExampleWithLogger() {
	timeless := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: timeless}))
	candidate, _ := NewCandidate("reporter", WithURL("memory:"), WithTTL(3*time.Second), WithLogger(logger))
	ctx, stop := context.WithCancel(context.Background())
	terms := 0
	_ = candidate.Lead(ctx, "", func(ctx context.Context, term *Held) error {
		if terms++; terms == 2 {
			stop()
			return nil
		}
		return errors.New("the printer is out of paper")
	})
	// Output:
	// level=ERROR msg="the work of a term has failed" name=reporter error="the printer is out of paper"
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
