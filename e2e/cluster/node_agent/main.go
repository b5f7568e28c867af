// Command node-agent gives a node of a test cluster what a cloud would: a network for its
// pods, and volumes from its own disk.
//
// One runs on every node. All it knows it reads from the API server, and it does the whole of
// its work again after every change, so it may be killed at any time.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	resync  = 30 * time.Second // as often as everything is looked at again, changed or not
	backOff = time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("NODE_NAME")); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, node string) error {
	if node == "" {
		return fmt.Errorf("NODE_NAME must say on which node this runs")
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	// kind tells where the API server itself is: the Service's address leads nowhere, or to
	// strangers, until kube-proxy runs on this node.
	if endpoint := os.Getenv("CONTROL_PLANE_ENDPOINT"); endpoint != "" {
		config.Host = "https://" + endpoint
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, resync)
	nodes := factory.Core().V1().Nodes()
	claims := factory.Core().V1().PersistentVolumeClaims()
	volumes := factory.Core().V1().PersistentVolumes()
	classes := factory.Storage().V1().StorageClasses()

	changed := make(chan struct{}, 1)
	for _, informer := range []cache.SharedIndexInformer{
		nodes.Informer(), claims.Informer(), volumes.Informer(), classes.Informer(),
	} {
		if _, err := informer.AddEventHandler(ringing(changed)); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("%v were never listed", kind)
		}
	}

	network := network{node: node, nodes: nodes.Lister()}
	storage := storage{
		node:    node,
		client:  client,
		claims:  claims.Lister(),
		volumes: volumes.Lister(),
		classes: classes.Lister(),
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		for _, work := range []func(context.Context) error{network.sync, storage.sync} {
			if err := work(ctx); err != nil {
				log.Print(err)
				time.AfterFunc(backOff, func() { ring(changed) })
			}
		}
	}
}

// ringing turns every event into one ring: what happened is read from the caches.
func ringing(bell chan<- struct{}) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { ring(bell) },
		UpdateFunc: func(any, any) { ring(bell) },
		DeleteFunc: func(any) { ring(bell) },
	}
}

func ring(bell chan<- struct{}) {
	select {
	case bell <- struct{}{}:
	default: // it rings already
	}
}
