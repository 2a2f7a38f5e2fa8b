package gc_test

import (
	"fmt"
	"log"
	"time"

	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// A plan is made from values: no store is needed to see what a policy does.
func ExampleMakePlan() {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	week := now.Add(-7 * 24 * time.Hour)
	config := &store.Config{OS: "linux", Architecture: "amd64"}
	snap := &store.Snapshot{Images: []store.Image{
		{ID: "aaaa", Names: []string{"docker.io/library/alpine:3.15"}, Config: config, Created: week},
		{ID: "bbbb", NamesHistory: []string{"docker.io/library/alpine:3.15"}, Config: config, Created: week, Displaced: []store.Displacement{
			{Name: "docker.io/library/alpine:3.15", At: week, Command: "pull"},
		}},
	}}
	for _, policy := range []gc.Policy{{}, {Keep: 1}} {
		plan, err := gc.MakePlan(snap, policy, now)
		if err != nil {
			log.Fatal(err)
		}
		for i := range plan.Images {
			d := &plan.Images[i]
			fmt.Println(d.ID, d.Goes, d.Reason)
		}
	}
	// Output:
	// bbbb true dangling
	// aaaa false named
	// aaaa false named
	// bbbb false kept-by-count
}
