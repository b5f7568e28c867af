package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	listers "k8s.io/client-go/listers/core/v1"
)

const (
	conflist = "/etc/cni/net.d/10-pods.conflist"
	// routeOwner marks the routes that are ours, so that those of nodes that left can go.
	routeOwner netlink.RouteProtocol = 112
)

// network connects the pods of all nodes: this node's get addresses of its own range, and
// those of every other node are reached through that node.
type network struct {
	node  string
	nodes listers.NodeLister
}

func (n *network) sync(context.Context) error {
	nodes, err := n.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	var failed []error
	wanted := map[string]net.IP{}
	for _, node := range nodes {
		address := net.ParseIP(internalAddress(node))
		if node.Spec.PodCIDR == "" || address == nil {
			continue // it has just joined, and there will be another ring
		}
		if node.Name == n.node {
			failed = append(failed, writeConfiguration(node.Spec.PodCIDR, address))
		} else {
			wanted[node.Spec.PodCIDR] = address
		}
	}
	return errors.Join(append(failed, route(wanted))...)
}

// writeConfiguration tells the container runtime how a pod of this node gets its network.
func writeConfiguration(pods string, address net.IP) error {
	mtu, err := mtuOf(address)
	if err != nil {
		return err
	}
	type object = map[string]any
	content, err := json.MarshalIndent(object{
		"cniVersion": "1.0.0",
		"name":       "pods",
		"plugins": []object{
			{
				"type":   "ptp",
				"ipMasq": true,
				"mtu":    mtu,
				"ipam": object{
					"type":    "host-local",
					"dataDir": "/run/pod-addresses",
					"ranges":  [][]object{{{"subnet": pods}}},
					"routes":  []object{{"dst": "0.0.0.0/0"}},
				},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		return err
	}
	if present, err := os.ReadFile(conflist); err == nil && bytes.Equal(present, content) {
		return nil
	}
	// The runtime reads it the moment that it appears.
	half := filepath.Join(filepath.Dir(conflist), ".half")
	if err := os.WriteFile(half, content, 0o644); err != nil {
		return err
	}
	log.Printf("pods of this node: %s", pods)
	return os.Rename(half, conflist)
}

// route makes the routes to other nodes' pods those of `wanted`: range of pods -> node.
func route(wanted map[string]net.IP) error {
	ours := &netlink.Route{Protocol: routeOwner}
	present, err := netlink.RouteListFiltered(netlink.FAMILY_V4, ours, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	var failed []error
	for _, old := range present {
		if gateway, stays := wanted[old.Dst.String()]; !stays || !gateway.Equal(old.Gw) {
			failed = append(failed, netlink.RouteDel(&old))
		}
	}
	for pods, node := range wanted {
		_, destination, err := net.ParseCIDR(pods)
		if err == nil {
			err = netlink.RouteReplace(&netlink.Route{Dst: destination, Gw: node, Protocol: routeOwner})
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("route to %s by %s: %w", pods, node, err))
		}
	}
	return errors.Join(failed...)
}

// mtuOf returns the largest packet of the interface that has an address of this node.
func mtuOf(address net.IP) (int, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			return 0, err
		}
		for _, one := range addresses {
			if one.IP.Equal(address) {
				return link.Attrs().MTU, nil
			}
		}
	}
	return 0, fmt.Errorf("no interface of this node has its address %s", address)
}

func internalAddress(node *core.Node) string {
	for _, address := range node.Status.Addresses {
		if address.Type == core.NodeInternalIP {
			return address.Address
		}
	}
	return ""
}
