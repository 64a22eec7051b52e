// The yardsticks of tests/bench/kubernetes.sh, by client-go on the same API server.
//
//	bench KUBECONFIG NAMESPACE floor|handoff|requests
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	coordination "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func show(what string, took []time.Duration) {
	slices.Sort(took)
	fmt.Printf("%s: median %.1f ms, p99 %.1f ms, of %d\n", what,
		float64(took[len(took)/2].Microseconds())/1000,
		float64(took[len(took)*99/100].Microseconds())/1000, len(took))
}

// One write, its watch event, one write: what no hand-over can be quicker than.
func floor(config *rest.Config, namespace string) {
	ctx := context.Background()
	writer := kubernetes.NewForConfigOrDie(config).CoordinationV1().Leases(namespace)
	watcher := kubernetes.NewForConfigOrDie(config).CoordinationV1().Leases(namespace)
	lease := must(writer.Create(ctx, &coordination.Lease{ObjectMeta: metav1.ObjectMeta{Name: "floor"}}, metav1.CreateOptions{}))
	events := must(watcher.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=floor", ResourceVersion: lease.ResourceVersion}))
	write := func(client interface {
		Update(context.Context, *coordination.Lease, metav1.UpdateOptions) (*coordination.Lease, error)
	}) {
		now := metav1.NowMicro()
		lease.Spec.RenewTime = &now
		lease = must(client.Update(ctx, lease, metav1.UpdateOptions{}))
	}
	var took []time.Duration
	for range 500 {
		start := time.Now()
		write(writer)
		<-events.ResultChan()
		write(watcher)
		took = append(took, time.Since(start))
		<-events.ResultChan()
	}
	show("floor: write, watch event, write", took)
	_ = writer.Delete(ctx, "floor", metav1.DeleteOptions{})
}

func run(ctx context.Context, config *rest.Config, namespace, identity string, leads func()) chan struct{} {
	ended := make(chan struct{})
	go func() {
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: "client-go"},
				Client:     kubernetes.NewForConfigOrDie(config).CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
			},
			ReleaseOnCancel: true, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second,
			RetryPeriod: 2 * time.Second,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leads() }, OnStoppedLeading: func() {}},
		})
		close(ended)
	}()
	return ended
}

func handoff(config *rest.Config, namespace string) {
	var took []time.Duration
	leading := make(chan struct{}, 8)
	lead := func() { leading <- struct{}{} }
	ctx, cancel := context.WithCancel(context.Background())
	ended := run(ctx, config, namespace, "0", lead)
	<-leading
	for i := range 20 {
		next, cancelNext := context.WithCancel(context.Background())
		endedNext := run(next, config, namespace, fmt.Sprint(i+1), lead)
		time.Sleep(time.Duration(300+37*i) * time.Millisecond)
		start := time.Now()
		cancel()
		<-leading
		took = append(took, time.Since(start))
		<-ended
		cancel, ended = cancelNext, endedNext
	}
	cancel()
	<-ended
	show("client-go: hand-off by its defaults", took)
}

// One leader and four candidates for a minute; the script reads the server's counters.
func requests(config *rest.Config, namespace string) {
	ctx, cancel := context.WithCancel(context.Background())
	for i := range 5 {
		run(ctx, config, namespace, fmt.Sprint(i), func() {})
	}
	time.Sleep(time.Minute)
	cancel()
	time.Sleep(time.Second)
}

func main() {
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	config := must(clientcmd.BuildConfigFromFlags("", os.Args[1]))
	config.QPS = -1
	switch os.Args[3] {
	case "floor":
		floor(config, os.Args[2])
	case "handoff":
		handoff(config, os.Args[2])
	case "requests":
		requests(config, os.Args[2])
	}
}
