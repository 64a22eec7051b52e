// One at a time: the work's context ends when the lock is lost.
package main

import (
	"context"
	"fmt"
	"log"

	mpsync "github.com/metaparticle-io/sync/go/sync"
)

func main() {
	err := mpsync.Do(context.Background(), "example", func(ctx context.Context) error {
		fmt.Println("holding")
		return ctx.Err()
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("released")
}
