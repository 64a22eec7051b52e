// One leads, until its term is lost or its work returns.
package main

import (
	"context"
	"fmt"
	"log"

	mpsync "github.com/metaparticle-io/sync/go/sync"
)

func main() {
	candidate, err := mpsync.NewCandidate("example")
	if err != nil {
		log.Fatal(err)
	}
	err = candidate.Do(context.Background(), "http://me:8080", func(ctx context.Context) error {
		fmt.Println("leading")
		return ctx.Err()
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("not leading")
}
