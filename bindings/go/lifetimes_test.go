package mpsync

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// What is held stays held though nothing refers to it, until its client is closed; and a loss is
// told to whoever kept the channel alone.
func TestHeldWithoutReferences(t *testing.T) {
	store := storeOf(t)
	must(must(New("x", WithURL(store))).Acquire(context.Background()))
	lost := must(must(NewCandidate("y", WithURL(store))).Campaign(context.Background(), "")).Lost()
	collected()
	if isFree(t, store, "x") || isFree(t, store, "y") {
		t.Error("the collector has given it away")
	}
	lose(store, "y")
	within(t, "loss", lost)
}

// A context that ends takes back its own request: the next one of the same lock has its turn.
func TestAContextTakesBackItsOwnRequest(t *testing.T) {
	t.Parallel()
	lock := must(New("x", fresh(t)))
	for i := range 100 {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			time.Sleep(time.Duration(i%50) * 20 * time.Microsecond)
			cancel()
		}()
		if held, err := lock.Acquire(ctx); err == nil {
			err = held.Release()
			if err != nil {
				t.Fatal(err)
			}
		} else if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		held, err := lock.Acquire(context.Background())
		if err != nil {
			t.Fatalf("%v came back from request %d", err, i)
		}
		if err := held.Release(); err != nil {
			t.Fatal(err)
		}
	}
}

// A closed client has given back what was held, ended every wait, told the work, and left nothing.
func TestClose(t *testing.T) {
	store := storeOf(t)
	collected()
	before := left()
	client := must(Open(store, WithIdentity("me")))
	held := must(must(New("x", WithClient(client))).Acquire(context.Background()))
	waiting := background(func() error {
		_, err := must(New("x", WithClient(client))).Acquire(context.Background())
		return err
	})
	seen := make(chan Leader, 1)
	observing := background(func() (last error) {
		for leader, err := range must(NewCandidate("x", WithClient(client))).Observe(context.Background()) {
			if last = err; err == nil {
				seen <- leader
			}
		}
		return last
	})
	if leader := within(t, "leader", seen); leader.Holder != "me" {
		t.Errorf("%v has it", leader)
	}
	leads := make(chan bool, 1)
	leading := background(func() error {
		return must(NewCandidate("y", WithClient(client))).Lead(context.Background(), "",
			func(ctx context.Context, term *Held) error {
				leads <- true
				<-ctx.Done()
				if term.Why().Reason != "closed" {
					t.Errorf("%v", term.Why())
				}
				return nil
			})
	})
	within(t, "term", leads)
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	for _, end := range []<-chan error{waiting, observing, leading} {
		if err := within(t, "end", end); !errors.Is(err, closed) && !errors.Is(err, ErrCancelled) {
			t.Errorf("%v came back", err)
		}
	}
	if held.IsHeld() || !isFree(t, store, "x") || !isFree(t, store, "y") {
		t.Error("it is held")
	}
	if _, err := New("z", WithClient(client)); !errors.Is(err, closed) {
		t.Errorf("%v came back from a lock of a closed client", err)
	}
	nothingMoreThan(t, before, func() {})
}

// A client that nobody uses any more leaves no goroutine, thread or descriptor.
func TestClientsCloseByThemselves(t *testing.T) {
	collected()
	before := left()
	for range 5 {
		if err := Do(context.Background(), "x", func(context.Context) error { return nil }, fresh(t)); err != nil {
			t.Error(err)
		}
		must(must(NewCandidate("y", fresh(t))).Leader(context.Background()))
	}
	nothingMoreThan(t, before, collected)
}

// A thousand waiting locks need no threads, and have nothing left when they are cancelled.
func TestWaitsLeaveNothing(t *testing.T) {
	store := fresh(t)
	must(must(New("x", store)).Acquire(context.Background()))
	collected()
	before := left()
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
	if threads := len(must(os.ReadDir("/proc/self/task"))); threads > 100 {
		t.Errorf("%d threads wait", threads)
	}
	cancel()
	all.Wait()
	nothingMoreThan(t, before, func() {})
}

// Locks that are dropped while they wait ask no more, and locks that hold nothing are freed.
func TestDroppedLocks(t *testing.T) {
	lock := must(New("x", fresh(t)))
	freed := make(chan bool, 1)
	runtime.AddCleanup(lock.handle, func(freed chan bool) { freed <- true }, freed)
	if err := must(lock.Acquire(context.Background())).Release(); err != nil {
		t.Error(err)
	}
	lock = nil
	collected()
	within(t, "end of the handle", freed)
}
