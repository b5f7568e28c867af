// Command kubernetes is every program of a Kubernetes cluster in one binary; the name that
// it is called by says which.
//
// One binary is one link step and one image layer instead of eight. It needs no files beside
// it and no C library.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// programs maps the names to what runs under them; each returns the exit status.
var programs = map[string]func() int{
	"etcd":                    etcd,
	"kube-apiserver":          command(apiserver.NewAPIServerCommand),
	"kube-controller-manager": command(controllers.NewControllerManagerCommand),
	"kube-proxy":              command(proxy.NewProxyCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubeadm":                 runKubeadm,
	"kubectl":                 runKubectl,
	// The command sets the signal handler itself, so it must not be given one that has.
	"kubelet": command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
}

func main() {
	program, known := programs[filepath.Base(os.Args[0])]
	if !known {
		names := make([]string, 0, len(programs))
		for name := range programs {
			names = append(names, name)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "call me by one of these names: %s\n", strings.Join(names, " "))
		os.Exit(2)
	}
	os.Exit(program())
}

func command(make func() *cobra.Command) func() int {
	return func() int { return cli.Run(make()) }
}

func etcd() int {
	etcdmain.Main(os.Args)
	return 0
}

func runKubeadm() int {
	if err := kubeadm.Run(); err != nil {
		return 1
	}
	return 0
}

func runKubectl() int {
	kubectlutil.BehaviorOnFatal(func(message string, status int) {
		fmt.Fprintln(os.Stderr, message)
		os.Exit(status)
	})
	// Not cli.Run: kubectl handles its own flags and plugins, and prints its own errors.
	if err := kubectl.NewDefaultKubectlCommand().Execute(); err != nil {
		return 1
	}
	return 0
}
