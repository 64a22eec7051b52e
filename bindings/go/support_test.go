package mpsync

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 2 * time.Minute

// storeOf is a store of one test's own.
func storeOf(t *testing.T) string { return "file:" + filepath.Join(folderOf(t), "locks.db") }

// folderOf is a folder of one test's own. A client that nobody refers to any more may still be closing
// when it is removed, and write; for t.TempDir that would be a failure.
func folderOf(t *testing.T) string {
	folder := must(os.MkdirTemp("", "mpsync-"))
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

func fresh(t *testing.T) Option { return WithURL(storeOf(t)) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// command is the command mpsync, as it was built.
func command(arguments ...string) *exec.Cmd {
	path := os.Getenv("MPSYNC")
	if path == "" {
		path = must(filepath.Abs("../../build/bin/mpsync"))
	}
	return exec.Command(path, arguments...)
}

// lose takes the name from whoever holds it.
func lose(store, name string) {
	if out, err := command("release", "--force", "--now", "--url", store, name).CombinedOutput(); err != nil {
		panic(string(out))
	}
}

// startElector returns when it listens.
func startElector(t *testing.T, address string) {
	t.Helper()
	elector := command("elector", "--store", storeOf(t), "--listen", address)
	elector.Env = append(os.Environ(), "XDG_STATE_HOME="+folderOf(t))
	if err := elector.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = elector.Process.Kill(); _ = elector.Wait() })
}

// freeAddress is one that the kernel gives to no outgoing connection, nor the tests of other processes
// take while this one runs: they mark theirs likewise, see tests/integration/support.py.
func freeAddress() string {
	var connections int
	must(fmt.Sscan(string(must(os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"))), &connections))
	for {
		port := 10000 + rand.IntN(connections-10000)
		mark, err := net.Listen("unix", fmt.Sprintf("@mpsync-test-%d", port))
		if err != nil {
			continue
		}
		marks = append(marks, mark)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return address
		}
	}
}

// marks are kept open as long as the process runs.
var marks []net.Listener

// within fails the test when the channel tells nothing for too long.
func within[T any](t *testing.T, what string, told <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-told:
	case <-time.After(patience):
		stacks := make([]byte, 1<<20)
		t.Fatalf("no %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
	}
	return value
}

// eventually asks again and again.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ask(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// collected returns when the collector has found all that nobody refers to, and has cleaned up.
func collected() {
	for range 3 {
		done := make(chan struct{})
		func() {
			sign := new([16]byte)
			runtime.AddCleanup(sign, func(done chan struct{}) { close(done) }, done)
		}()
		for found := false; !found; {
			runtime.GC()
			select {
			case <-done:
				found = true
			case <-time.After(time.Millisecond):
			}
		}
	}
}

// isFree asks by a client of its own.
func isFree(t *testing.T, store, name string) bool {
	t.Helper()
	client := must(Open(store))
	defer client.Close()
	_, err := must(New(name, WithClient(client))).TryAcquire(context.Background())
	return err == nil
}

// A logbook keeps what a logger is told.
type logbook struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *logbook) Write(line []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(line)
}

func (l *logbook) count(words string) int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return strings.Count(l.text.String(), words)
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// present counts what a program could leak: goroutines of this package, threads of the C library, and
// descriptors.
type present struct{ goroutines, threads, descriptors int }

func left() (w present) {
	stacks := make([]byte, 1<<20)
	w.goroutines = strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "mpsync.(*")
	for _, task := range must(os.ReadDir("/proc/self/task")) {
		status, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		if strings.Contains(string(status), "SigBlk:\tfffffff") { // Go's own block no signals
			w.threads++
		}
	}
	w.descriptors = len(must(os.ReadDir("/proc/self/fd")))
	return w
}

// nothingMoreThan waits until no more is left: of what was there before, some may still have been
// closing.
func nothingMoreThan(t *testing.T, before present, collect func()) {
	t.Helper()
	eventually(t, fmt.Sprintf("%+v or less", before), func() bool {
		collect()
		now := left()
		return now.goroutines <= before.goroutines && now.threads <= before.threads && now.descriptors <= before.descriptors
	})
}
