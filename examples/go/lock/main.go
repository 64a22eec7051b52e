// A program of the first Metaparticle Sync: one at a time.
package main

import (
	"context"
	"fmt"
	"log"

	mpsync "github.com/metaparticle-io/sync/go/sync"
)

func main() {
	lock := mpsync.NewLock("example", mpsync.DEFAULT_INTERVAL)
	err := lock.Lock(context.Background(), func(ctx context.Context) error {
		fmt.Println("holding")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("released")
}
