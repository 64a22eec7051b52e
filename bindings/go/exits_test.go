package mpsync

import (
	"context"
	"log"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// States of a candidate, and ways to end a program: its exit code, or the signal.
var (
	states = []string{"standing", "leading", "draining"}
	ways   = map[string]int{"exit": 5, "fatal": 1, "panic": 2, "SIGTERM": -int(syscall.SIGTERM), "SIGKILL": -int(syscall.SIGKILL)}
)

func end(way string) {
	switch way {
	case "exit":
		os.Exit(5)
	case "fatal":
		log.Fatal("the program's own")
	case "panic":
		panic("the program's own")
	case "SIGTERM":
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	case "child":
		child := exec.Command("cat")
		child.Stdin = os.Stdin
		if child.Start() == nil {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	case "SIGKILL":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	select {}
}

func init() {
	if state, way, given := strings.Cut(os.Getenv("MPSYNC_TEST_ENDS"), " "); given {
		ctx, stop := context.WithCancel(context.Background())
		one := must(NewCandidate(state+" "+way, WithWaiting(func(Waiting) { end(way) })))
		_ = one.Lead(ctx, "", func(_ context.Context, term *Held) error {
			if state == "draining" {
				stop()
				<-term.Ending()
			}
			end(way)
			return nil
		})
	}
}

// program starts another process that is to end in the state. What it waits for is held meanwhile.
func program(store, state, way string) (*exec.Cmd, *Held) {
	var held *Held
	if state == "standing" {
		held = must(must(New(state+" "+way, WithURL(store))).Acquire(context.Background()))
	}
	command := exec.Command(os.Args[0], "-test.run=^$")
	command.Env = append(os.Environ(), "MPSYNC_TEST_ENDS="+state+" "+way, "MPSYNC_URL="+store)
	return command, held
}

// ended waits for it. A code below 0 is a signal.
func ended(t *testing.T, command *exec.Cmd, code int) {
	t.Helper()
	_ = command.Wait()
	status := command.ProcessState.Sys().(syscall.WaitStatus)
	if status.ExitStatus() != code && (!status.Signaled() || -int(status.Signal()) != code) {
		t.Errorf("%v: %v", command.Env[len(command.Env)-2], command.ProcessState)
	}
}

func next(t *testing.T, store, name string, held *Held) {
	t.Helper()
	if held != nil && held.Release() != nil {
		t.Errorf("%s was not held", name)
	}
	eventually(t, name+" is free", func() bool { return isFree(t, store, name) })
}

// However a program ends, in whatever state, it ends as it would without, and its death is what gives
// back over a file.
func TestEndsOfEveryKind(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	var checks []func()
	for _, state := range states {
		for way, code := range ways {
			command, held := program(store, state, way)
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			checks = append(checks, func() {
				ended(t, command, code)
				next(t, store, state+" "+way, held)
			})
		}
	}
	for _, check := range checks {
		check()
	}
}

// A child process has nothing of its parent's, whose death it survives.
func TestChildProcess(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	for _, state := range states {
		command, held := program(store, state, "child")
		stdin, keep, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		command.Stdin = stdin
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		ended(t, command, -int(syscall.SIGKILL))
		next(t, store, state+" child", held)
		_ = stdin.Close()
		_ = keep.Close()
	}
}
