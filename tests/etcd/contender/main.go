// A contender that uses etcd's own Go package: one line on its input for each thing to do.
//
//	lock NAME | unlock NAME
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

func main() {
	client, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(os.Args[1], ",")})
	if err != nil {
		log.Fatal(err)
	}
	session, err := concurrency.NewSession(client)
	if err != nil {
		log.Fatal(err)
	}
	mutexes := map[string]*concurrency.Mutex{}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		name := words[1]
		if mutexes[name] == nil {
			mutexes[name] = concurrency.NewMutex(session, name)
		}
		if words[0] == "lock" {
			go func() {
				if err := mutexes[name].Lock(context.Background()); err != nil {
					log.Fatal(err)
				}
				response, err := client.Get(context.Background(), mutexes[name].Key())
				if err != nil {
					log.Fatal(err)
				}
				fmt.Println("held", name, response.Kvs[0].CreateRevision)
			}()
		} else if err := mutexes[name].Unlock(context.Background()); err != nil {
			log.Fatal(err)
		} else {
			fmt.Println("released", name)
		}
	}
}
