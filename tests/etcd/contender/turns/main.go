// Takes turns by the mutex of etcd's own Go package and writes down what it believes, as
// tests/support/turns.c does.
//
//	turns ENDPOINTS NAME
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"golang.org/x/sys/unix"
)

const (
	turn       = 150 * time.Millisecond
	ttlSeconds = 10
)

func now() int64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &at); err != nil {
		log.Fatal(err)
	}
	return at.Nano()
}

func hasEnded(session *concurrency.Session) bool {
	select {
	case <-session.Done():
		return true
	default:
		return false
	}
}

// hold believes for one turn, or until its session has ended; it answers with the last moment of belief.
func hold(session *concurrency.Session, token, last int64) (int64, bool) {
	for end := now() + turn.Nanoseconds(); now() < end; time.Sleep(20 * time.Millisecond) {
		before := now()
		if hasEnded(session) {
			fmt.Println("ended", token, last, now())
			return last, false
		}
		fmt.Println("holds", token, before, now())
		last = before
	}
	return last, true
}

func takeATurn(client *clientv3.Client, session *concurrency.Session, name string) error {
	asked := now()
	mutex := concurrency.NewMutex(session, name)
	if err := mutex.Lock(session.Client().Ctx()); err != nil {
		return err
	}
	response, err := client.Get(context.Background(), mutex.Key())
	if err != nil || len(response.Kvs) == 0 {
		return err
	}
	token := response.Kvs[0].CreateRevision
	fmt.Println("acquired", token, asked, now())
	last, still := hold(session, token, asked)
	if still {
		fmt.Println("released", token, last, now())
		return mutex.Unlock(context.Background())
	}
	return nil
}

func main() {
	client, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(os.Args[1], ","), DialTimeout: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	for {
		session, err := concurrency.NewSession(client, concurrency.WithTTL(ttlSeconds))
		for err == nil && !hasEnded(session) {
			err = takeATurn(client, session, os.Args[2])
		}
		if err != nil {
			log.Print(err)
			time.Sleep(100 * time.Millisecond)
		}
		// What could not be unlocked must not live on.
		if session != nil {
			_ = session.Close()
		}
	}
}
