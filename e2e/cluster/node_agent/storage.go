package main

import (
	"context"
	"errors"
	"log"
	"os"
	"path/filepath"

	core "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	problems "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
)

const (
	provisioner = "porthole.dev/node-folder"
	folders     = "/var/local/volumes"

	askedOf       = "volume.kubernetes.io/storage-provisioner"
	selectedNode  = "volume.kubernetes.io/selected-node"
	provisionedBy = "pv.kubernetes.io/provisioned-by"
)

// storage makes volumes from folders of this node. A volume stays where it was made: it says
// so by its node affinity, as a disk of a real cluster's node or zone does.
type storage struct {
	node    string
	client  kubernetes.Interface
	claims  listers.PersistentVolumeClaimLister
	volumes listers.PersistentVolumeLister
	classes storagelisters.StorageClassLister
}

func (s *storage) sync(ctx context.Context) error {
	claims, err := s.claims.List(labels.Everything())
	if err != nil {
		return err
	}
	volumes, err := s.volumes.List(labels.Everything())
	if err != nil {
		return err
	}
	var failed []error
	for _, claim := range claims {
		if s.isWanted(claim) {
			failed = append(failed, s.provision(ctx, claim))
		}
	}
	for _, volume := range volumes {
		if s.isOver(volume) {
			failed = append(failed, s.remove(ctx, volume))
		}
	}
	return errors.Join(failed...)
}

// isWanted tells whether a claim waits for a volume of this node.
func (s *storage) isWanted(claim *core.PersistentVolumeClaim) bool {
	return claim.Annotations[askedOf] == provisioner &&
		claim.Annotations[selectedNode] == s.node &&
		claim.Spec.VolumeName == "" &&
		claim.DeletionTimestamp == nil &&
		claim.Spec.StorageClassName != nil
}

// isOver tells whether a volume of this node has lost its claim, and may go with its content.
func (s *storage) isOver(volume *core.PersistentVolume) bool {
	return volume.Annotations[provisionedBy] == provisioner &&
		volume.Labels[core.LabelHostname] == s.node &&
		volume.Status.Phase == core.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == core.PersistentVolumeReclaimDelete
}

func (s *storage) provision(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	class, err := s.classes.Get(*claim.Spec.StorageClassName)
	if err != nil {
		return err
	}
	volume := s.volumeFor(claim, class)
	if err := os.MkdirAll(volume.Spec.Local.Path, 0o777); err != nil {
		return err
	}
	// Whoever runs in the pod may write: most images have a user of their own.
	if err := os.Chmod(volume.Spec.Local.Path, 0o777); err != nil {
		return err
	}
	_, err = s.client.CoreV1().PersistentVolumes().Create(ctx, volume, meta.CreateOptions{})
	if problems.IsAlreadyExists(err) {
		return nil
	}
	log.Printf("volume %s for %s/%s", volume.Name, claim.Namespace, claim.Name)
	return err
}

func (s *storage) volumeFor(
	claim *core.PersistentVolumeClaim, class *storagev1.StorageClass,
) *core.PersistentVolume {
	name := "pvc-" + string(claim.UID)
	policy := core.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		policy = *class.ReclaimPolicy
	}
	here := core.NodeSelectorTerm{MatchExpressions: []core.NodeSelectorRequirement{
		{Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{s.node}},
	}}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{core.LabelHostname: s.node},
			Annotations: map[string]string{provisionedBy: provisioner},
		},
		Spec: core.PersistentVolumeSpec{
			AccessModes: claim.Spec.AccessModes,
			Capacity: core.ResourceList{
				core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage],
			},
			ClaimRef: &core.ObjectReference{
				APIVersion: "v1",
				Kind:       "PersistentVolumeClaim",
				Namespace:  claim.Namespace,
				Name:       claim.Name,
				UID:        claim.UID,
			},
			PersistentVolumeReclaimPolicy: policy,
			StorageClassName:              class.Name,
			PersistentVolumeSource: core.PersistentVolumeSource{
				Local: &core.LocalVolumeSource{Path: filepath.Join(folders, name)},
			},
			NodeAffinity: &core.VolumeNodeAffinity{
				Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{here}},
			},
		},
	}
}

func (s *storage) remove(ctx context.Context, volume *core.PersistentVolume) error {
	// Not the path that the object names: whoever may write it would have our hands.
	if err := os.RemoveAll(filepath.Join(folders, filepath.Base(volume.Name))); err != nil {
		return err
	}
	log.Printf("volume %s is gone", volume.Name)
	err := s.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, meta.DeleteOptions{})
	if problems.IsNotFound(err) {
		return nil
	}
	return err
}
