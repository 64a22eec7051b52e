package mpsync

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
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

const patience = time.Minute

// storeOf is a store of one test's own.
func storeOf(t *testing.T) string { return "file:" + filepath.Join(t.TempDir(), "locks.db") }

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
	elector.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	if err := elector.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = elector.Process.Kill(); _ = elector.Wait() })
}

func freeAddress() string {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	return listener.Addr().String()
}

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
			t.Fatal("not within a minute: " + what)
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

// left counts what a program could leak: goroutines of this package, threads of the C library, and
// descriptors.
func left() string {
	stacks := make([]byte, 1<<20)
	goroutines := strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "mpsync.(*")
	threads := 0
	for _, task := range must(os.ReadDir("/proc/self/task")) {
		status, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		if strings.Contains(string(status), "SigBlk:\tfffffff") { // Go's own block no signals
			threads++
		}
	}
	return fmt.Sprintf("%d goroutines, %d threads, %d descriptors", goroutines, threads, len(must(os.ReadDir("/proc/self/fd"))))
}
