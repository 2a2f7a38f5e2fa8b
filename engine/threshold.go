package engine

import (
	"fmt"

	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// Threshold ties a prune to how full the disk of the store is, as kubelet's
// imageGCHighThresholdPercent and imageGCLowThresholdPercent do. The zero value
// does not.
type Threshold struct {
	When  int // percent used from which something is removed; 0: always
	Until int // percent used at which enough came free; 0: everything goes that may
}

// apply sets how much a prune frees: nothing below When, then as many bytes as
// bring the disk down to Until. The arithmetic is kubelet's
// (pkg/kubelet/images/image_gc_manager.go, GarbageCollect).
func (t Threshold) apply(policy *gc.Policy, s *store.Store) error {
	if t == (Threshold{}) {
		return nil
	}
	disk, err := store.DiskOf(s.ImageRoot())
	if err != nil {
		return err
	}
	if policy.Free != 0 {
		return fmt.Errorf("planning a prune: a number of bytes and a threshold were asked for")
	}
	policy.Free, policy.Enough = t.target(disk)
	return nil
}

// target returns the bytes to free, 0 for no target, and whether nothing has to
// be.
func (t Threshold) target(d store.Disk) (free int64, enough bool) {
	if d.Total <= 0 || t.When > 0 && Used(d) < t.When {
		return 0, true
	}
	if t.Until == 0 {
		return 0, false
	}
	free = d.Total/100*int64(100-t.Until) + d.Total%100*int64(100-t.Until)/100 - d.Free
	return max(free, 0), free <= 0
}

// Used returns how full a disk is, in percent, as kubelet counts it.
func Used(d store.Disk) int {
	if d.Total <= 0 {
		return 0
	}
	return 100 - int(d.Free/max(d.Total/100, 1))
}
