// Every way in which the first package could be used.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	mpsync "github.com/metaparticle-io/sync/go/sync"
)

func lose(name string) {
	if err := exec.Command(os.Getenv("MPSYNC"), "release", "--force", "--now", name).Run(); err != nil {
		panic(err)
	}
}

func locks() {
	ctx := context.Background()
	var interval int64 = 1000
	lock := mpsync.NewLock("a", mpsync.DEFAULT_INTERVAL)
	fmt.Println(lock.Locked())
	fmt.Println(lock.Lock(ctx, func(ctx context.Context) error {
		fmt.Println("held", lock.Locked(), ctx.Err())
		err := mpsync.NewLock("a", interval).Lock(ctx, nil)
		fmt.Println(err.Error()[:len("could not obtain a lock after 1 attempt(s)")])
		err = mpsync.NewLock("a", interval).Lock(mpsync.WithRetry(ctx, 2), nil)
		fmt.Println(err.Error()[:len("could not obtain a lock after 2 attempt(s)")])
		return errors.New("from the work")
	}))
	fmt.Println(lock.Locked())
	var again mpsync.WorkFn = func(context.Context) error { return nil }
	fmt.Println(lock.WithRetry(ctx, 3).Lock(ctx, again), lock.Lock(mpsync.WithRetry(ctx, 3), again))

	// A loss ends the work's context.
	fmt.Println(mpsync.NewLock("b", mpsync.DEFAULT_INTERVAL).Lock(ctx, func(ctx context.Context) error {
		lose("b")
		<-ctx.Done()
		return nil
	}) != nil)
	fmt.Println(mpsync.BaseLockURL, mpsync.OK, mpsync.NOTFOUND, mpsync.CONFLICT)
}

// A Locker of the program's own.
type own struct{ lock *mpsync.Lock }

func (o own) Lock(ctx context.Context, work mpsync.WorkFn) error {
	fmt.Println("own")
	return o.lock.Lock(ctx, work)
}

func elections() {
	// Nobody else leads: the follower does not run.
	leader := func(context.Context) error {
		fmt.Println("leader")
		return nil
	}
	follower := func(context.Context) error {
		fmt.Println("follower")
		return nil
	}
	var election mpsync.Election = mpsync.NewElection(mpsync.NewLock("c", mpsync.DEFAULT_INTERVAL), leader, follower)
	fmt.Println(election.Run(context.Background()))
	var locker mpsync.Locker = own{mpsync.NewLock("c", mpsync.DEFAULT_INTERVAL)}
	fmt.Println(mpsync.NewElection(locker, leader, follower).Run(context.Background()))

	// Another leads: the follower works until its context ends, and nobody waits for it.
	free := make(chan bool)
	held := make(chan bool)
	go func() {
		_ = mpsync.NewLock("d", mpsync.DEFAULT_INTERVAL).Lock(context.Background(), func(context.Context) error {
			held <- true
			<-free
			return nil
		})
	}()
	<-held
	stays := func(ctx context.Context) error {
		fmt.Println("follows")
		free <- true
		<-ctx.Done()
		time.Sleep(time.Hour)
		return nil
	}
	fmt.Println(mpsync.NewElection(mpsync.NewLock("d", mpsync.DEFAULT_INTERVAL), leader, stays).Run(context.Background()))

	// It stands again after a loss; its context ends it.
	terms := 0
	ctx, cancel := context.WithCancel(context.Background())
	loses := func(term context.Context) error {
		terms++
		fmt.Println("term", terms)
		if terms == 2 {
			cancel()
		} else {
			lose("e")
		}
		<-term.Done()
		return term.Err()
	}
	fmt.Println(mpsync.NewElection(mpsync.NewLock("e", mpsync.DEFAULT_INTERVAL), loses, nil).Run(ctx))
}

func main() {
	locks()
	elections()
	os.Exit(5)
}
