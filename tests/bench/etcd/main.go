// Etcd's own Go client doing what the benchmark of this library does, for comparison.
//
//	go run . pair URL    lock and unlock, uncontended
//	go run . handoff URL two clients in turn
//	go run . idle URL    holds one lock until its input ends, to be measured
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"sort"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

const rounds = 500

func open(url string) *concurrency.Session {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: strings.Split(strings.TrimPrefix(url, "etcd://"), ","), DialTimeout: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	session, err := concurrency.NewSession(client, concurrency.WithTTL(15))
	if err != nil {
		log.Fatal(err)
	}
	return session
}

func lock(mutex *concurrency.Mutex) {
	if err := mutex.Lock(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func unlock(mutex *concurrency.Mutex) {
	if err := mutex.Unlock(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func show(what, url string, took []time.Duration) {
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	fmt.Printf("%s over %s with etcd's Go client: median %d us, p99 %d us, of %d\n", what, url,
		took[len(took)/2].Microseconds(), took[len(took)*99/100].Microseconds(), len(took))
}

func pair(url string) {
	mutex := concurrency.NewMutex(open(url), "go-pair")
	var took []time.Duration
	for range rounds {
		start := time.Now()
		lock(mutex)
		unlock(mutex)
		took = append(took, time.Since(start))
	}
	show("lock and unlock", url, took)
}

func handoff(url string) {
	released := make(chan time.Time, 1)
	took := make(chan time.Duration, 2*rounds)
	ended := make(chan struct{})
	released <- time.Time{}
	for range 2 {
		mutex := concurrency.NewMutex(open(url), "go-handoff")
		go func() {
			for range rounds {
				lock(mutex)
				held := time.Now()
				if before := <-released; !before.IsZero() {
					took <- held.Sub(before)
				}
				time.Sleep(2 * time.Millisecond)
				released <- time.Now()
				unlock(mutex)
				time.Sleep(500 * time.Microsecond)
			}
			ended <- struct{}{}
		}()
	}
	<-ended
	<-ended
	close(took)
	var all []time.Duration
	for one := range took {
		all = append(all, one)
	}
	show("hand-off", url, all)
}

func idle(url string) {
	lock(concurrency.NewMutex(open(url), "go-idle"))
	fmt.Println("held")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		log.Fatal(err)
	}
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: pair|handoff|idle URL")
	}
	map[string]func(string){"pair": pair, "handoff": handoff, "idle": idle}[os.Args[1]](os.Args[2])
}
