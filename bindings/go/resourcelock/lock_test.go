package resourcelock

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	mpsync "github.com/metaparticle-io/sync/go/sync"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	rl "k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// client-go asks often; the default ttl leaves room for machines that are slow. A loss is noticed by
// the next renewal, and so with a shorter one.
const (
	leaseDuration = 6 * time.Second
	renewDeadline = 4 * time.Second
	retryPeriod   = 20 * time.Millisecond
	patience      = 2 * time.Minute
)

var soon = mpsync.WithTTL(4 * leaseDuration)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// storeOf is a store of one test's own. A client that nobody refers to any more may still be closing when
// the folder is removed, and write; for t.TempDir that would be a failure.
func storeOf(t *testing.T) string {
	folder := must(os.MkdirTemp("", "mpsync-"))
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return "file:" + filepath.Join(folder, "locks.db")
}

func within[T any](t *testing.T, what string, told <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-told:
	case <-time.After(patience):
		t.Fatal("not in time: " + what)
	}
	return value
}

// lose takes the name from whoever holds it.
func lose(t *testing.T, store, name string) {
	t.Helper()
	command := os.Getenv("MPSYNC")
	if command == "" {
		command = must(filepath.Abs("../../../build/bin/mpsync"))
	}
	if out, err := exec.Command(command, "release", "--force", "--now", "--url", store, name).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
}

// An elector is client-go's own, with a lock of ours.
type elector struct {
	lock    *Lock
	stop    context.CancelCauseFunc
	leads   chan bool
	stopped chan bool
	over    chan bool // Run has returned
}

func runElector(lock *Lock) *elector {
	ctx, stop := context.WithCancelCause(context.Background())
	e := &elector{lock, stop, make(chan bool, 1), make(chan bool, 1), make(chan bool, 1)}
	lock.OnLost = stop
	config := leaderelection.LeaderElectionConfig{
		Lock: lock, ReleaseOnCancel: true,
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { e.leads <- true },
			OnStoppedLeading: func() { e.stopped <- true },
		},
	}
	go func() {
		leaderelection.RunOrDie(ctx, config)
		e.over <- true
	}()
	return e
}

// client-go's record, as it writes it.
func recordOf(identity string) rl.LeaderElectionRecord {
	return rl.LeaderElectionRecord{HolderIdentity: identity, LeaseDurationSeconds: int(leaseDuration / time.Second)}
}

// holder is whom the lock tells of to client-go.
func holder(t *testing.T, lock *Lock) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	record, _, err := lock.Get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return record.HolderIdentity
}

// leader is who really has it.
func leader(t *testing.T, store string) string {
	t.Helper()
	return must(must(mpsync.NewCandidate("x", mpsync.WithURL(store))).Leader(context.Background())).Holder
}

func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ask(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// Of two electors one leads and really holds the name; when it ends, the other takes over.
func TestElectorsTakeOver(t *testing.T) {
	store := storeOf(t)
	one := runElector(must(New("x", "one", mpsync.WithURL(store))))
	within(t, "one leads", one.leads)
	two := runElector(must(New("x", "two", mpsync.WithURL(store))))
	if leader(t, store) != "one" || holder(t, one.lock) != "one" || one.lock.Held() == nil || two.lock.Held() != nil {
		t.Errorf("%q has it", leader(t, store))
	}
	token := one.lock.Held().Token()
	select {
	case <-two.leads:
		t.Error("two lead")
	case <-time.After(10 * retryPeriod):
	}
	one.stop(nil)
	within(t, "one stops", one.stopped)
	if one.lock.Held() != nil {
		t.Error("it is held after the end")
	}
	within(t, "two leads", two.leads)
	if leader(t, store) != "two" || two.lock.Held().Token() <= token {
		t.Errorf("%q has it", leader(t, store))
	}
	two.stop(nil)
	within(t, "two is over", two.over)
	if leader(t, store) != "" {
		t.Errorf("%q has it", leader(t, store))
	}
}

// The death of a leader's process makes room at once: client-go's LeaseDuration is not waited for.
func TestKilledLeader(t *testing.T) {
	store := storeOf(t)
	leader := exec.Command(os.Args[0], "-test.run=^$")
	leader.Env = append(os.Environ(), "MPSYNC_TEST_LEADS="+store)
	told := must(leader.StdoutPipe())
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = leader.Wait() }()
	must(told.Read(make([]byte, 1)))
	next := must(New("x", "next", mpsync.WithURL(store)))
	if holder(t, next) != "killed" {
		t.Errorf("%q has it", holder(t, next))
	}
	e := runElector(next)
	if err := leader.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	within(t, "the next leads", e.leads)
	e.stop(nil)
	within(t, "the next is over", e.over)
}

func init() {
	if store := os.Getenv("MPSYNC_TEST_LEADS"); store != "" {
		<-runElector(must(New("x", "killed", mpsync.WithURL(store)))).leads
		_, _ = os.Stdout.WriteString("+")
		select {}
	}
}

// A loss ends the elector at once, and the next one leads again.
func TestLossEndsTheTerm(t *testing.T) {
	store := storeOf(t)
	lock := must(New("x", "one", mpsync.WithURL(store), soon))
	e := runElector(lock)
	within(t, "it leads", e.leads)
	lose(t, store, "x")
	within(t, "it is over", e.over)
	e = runElector(lock)
	within(t, "it leads again", e.leads)
	e.stop(nil)
	within(t, "it is over again", e.over)
}

// A term whose right was lost is never renewed, whoever has it now.
func TestNoSecondRightInATerm(t *testing.T) {
	store := storeOf(t)
	lock := must(New("x", "one", mpsync.WithURL(store), soon))
	lost := make(chan error, 2)
	lock.OnLost = func(cause error) { lost <- cause }
	for range 2 { // a term's beginning, and a renewal
		if err := lock.Create(context.Background(), recordOf("one")); err != nil {
			t.Fatal(err)
		}
	}
	lose(t, store, "x")
	if cause := within(t, "it is told", lost); !errors.Is(cause, mpsync.ErrLost) || holder(t, lock) != "" {
		t.Errorf("%v is told, and %q has it", cause, holder(t, lock))
	}
	if err := lock.Update(context.Background(), recordOf("one")); !errors.Is(err, mpsync.ErrLost) {
		t.Errorf("%v came back from a renewal", err)
	}
	lock.RecordEvent("stopped leading")
	if err := lock.Update(context.Background(), recordOf("one")); err != nil {
		t.Errorf("%v came back from the next term", err)
	}
	if err := lock.Update(context.Background(), recordOf("")); err != nil || holder(t, lock) != "" {
		t.Errorf("%v came back, and %q has it", err, holder(t, lock))
	}
}

// Without ReleaseOnCancel a name stays held for one LeaseDuration, in which the same elector leads on
// when it runs again.
func TestWithoutReleaseOnCancel(t *testing.T) {
	store := storeOf(t)
	lock := must(New("x", "one", mpsync.WithURL(store)))
	record := recordOf("one")
	record.LeaseDurationSeconds = 15
	if err := lock.Update(context.Background(), record); err != nil {
		t.Fatal(err)
	}
	token := lock.Held().Token()
	lock.RecordEvent("stopped leading")
	record.LeaseDurationSeconds = 1
	if err := lock.Update(context.Background(), record); err != nil || lock.Held().Token() != token || leader(t, store) != "one" {
		t.Errorf("%v came back, and %q has it", err, leader(t, store))
	}
	if lock.leaving != nil {
		t.Error("it is given back while it leads on")
	}
	lock.RecordEvent("stopped leading")
	eventually(t, "it is given back", func() bool { return leader(t, store) == "" })
}

// Two locks of one host are two electors.
func TestIdentities(t *testing.T) {
	store := mpsync.WithURL(storeOf(t))
	if one, other := must(New("x", "", store)), must(New("x", "", store)); one.Identity() == other.Identity() {
		t.Errorf("both are %q", one.Identity())
	}
}

// A right that comes when client-go asks no more is given back.
func TestAStandbyThatEnds(t *testing.T) {
	store := storeOf(t)
	lock := must(New("x", "one", mpsync.WithURL(store)))
	ctx, cancel := context.WithCancel(context.Background())
	if _, _, err := lock.Get(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is granted", func() bool { return leader(t, store) == "one" })
	if lock.Held() != nil {
		t.Error("it leads")
	}
	cancel()
	eventually(t, "it is given back", func() bool { return leader(t, store) == "" })
}

// A right that does not outlast client-go's belief is none, and nothing stays held.
func TestTheRightOutlastsTheBelief(t *testing.T) {
	store := storeOf(t)
	lock := must(New("x", "", mpsync.WithURL(store), mpsync.WithTTL(leaseDuration)))
	if err := lock.Update(context.Background(), recordOf(lock.Identity())); err == nil {
		t.Error("it is held")
	}
	eventually(t, "it is given back", func() bool { return leader(t, store) == "" })
}

func after(d time.Duration) *time.Duration { return &d }

// A manager of controller-runtime, whose leader election this is.
func TestManager(t *testing.T) {
	store := storeOf(t)
	lock := must(New("x", "manager", mpsync.WithURL(store), soon))
	ctx, stop := context.WithCancelCause(context.Background())
	lock.OnLost = stop
	// No server is there: a manager without controllers asks nothing of it.
	m := must(manager.New(&rest.Config{Host: "http://127.0.0.1:1"}, manager.Options{
		LeaderElection: true, LeaderElectionResourceLockInterface: lock, LeaderElectionReleaseOnCancel: true,
		LeaseDuration: after(leaseDuration), RenewDeadline: after(renewDeadline), RetryPeriod: after(retryPeriod),
		Metrics: server.Options{BindAddress: "0"},
	}))
	var works atomic.Bool
	err := m.Add(manager.RunnableFunc(func(ctx context.Context) error {
		works.Store(true)
		<-ctx.Done()
		works.Store(false)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- m.Start(ctx) }()
	within(t, "it is elected", m.Elected())
	if leader(t, store) != "manager" {
		t.Errorf("%q has it", leader(t, store))
	}
	lose(t, store, "x")
	if err := within(t, "it ends", end); err != nil || works.Load() || !errors.Is(context.Cause(ctx), mpsync.ErrLost) {
		t.Errorf("%v came back; at work: %v; because of %v", err, works.Load(), context.Cause(ctx))
	}
}
