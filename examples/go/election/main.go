// A program of the first Metaparticle Sync: one leads.
package main

import (
	"context"
	"fmt"
	"log"

	mpsync "github.com/metaparticle-io/sync/go/sync"
)

func main() {
	lock := mpsync.NewLock("example", mpsync.DEFAULT_INTERVAL)
	leader := func(ctx context.Context) error {
		fmt.Println("leading")
		return nil
	}
	follower := func(ctx context.Context) error { return nil }
	if err := mpsync.NewElection(lock, leader, follower).Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("not leading")
}
