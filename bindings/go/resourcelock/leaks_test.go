package resourcelock

import (
	"context"
	"runtime"
	"testing"

	mpsync "github.com/metaparticle-io/sync/go/sync"
	"go.uber.org/goleak"
)

// A closed client, and a lock whose election has ended, leave no goroutine.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	store := storeOf(t)
	client := must(mpsync.Open(store))
	lock := must(New("x", "", mpsync.WithClient(client)))
	e := runElector(lock)
	within(t, "term", e.leads)
	e.stop(nil)
	within(t, "end", e.over)
	err := must(mpsync.NewCandidate("y", mpsync.WithClient(client))).Do(context.Background(), "", func(context.Context) error {
		return client.Close()
	})
	if err == nil {
		t.Error("the term of a closed client is none")
	}
	defer runtime.KeepAlive(client) // it is its Close that ends them
	eventually(t, "end of all goroutines", func() bool { return goleak.Find(before) == nil })
}
