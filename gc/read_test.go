package gc

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// TestReadPlanLimits takes what lies on a bound and refuses what lies beyond.
func TestReadPlanLimits(t *testing.T) {
	long := strings.Repeat("n", maxText)
	image := func(i string, fields string) string { return fmt.Sprintf(`{"id":%q,%s}`, id(i), fields) }
	plan := func(images, layers, leftovers string, bytes int64) string {
		return fmt.Sprintf(`{"version":1,"images":[%s],"layers":[%s],"leftovers":[%s],"bytes":%d}`, images, layers, leftovers, bytes)
	}
	layer := func(id string, bytes int) string { return fmt.Sprintf(`{"id":%q,"bytes":%d}`, id, bytes) }
	leftover := func(kind LeftoverKind, id string, goes bool, bytes int) string {
		return fmt.Sprintf(`{"kind":%q,"id":%q,"goes":%t,"bytes":%d}`, kind, id, goes, bytes)
	}
	zeros := strings.Repeat("0", 63)
	tests := []struct {
		name, text string
		taken      bool
	}{
		{"sums", plan(image("A", `"goes":true,"reason":"dangling","bytes":5`), layer(id("a"), 0), leftover(LeftoverLayer, id("z"), true, 2), 7), true},
		{"all that is negative", plan(image("A", `"goes":true,"reason":"dangling"`), layer(id("a"), -1), "", 0), false},
		{"a negative size alone", plan(image("A", `"reason":"named","bytesAlone":-1`), "", "", 0), false},
		{"negative data", plan(image("A", `"reason":"named","bytesData":-1`), "", "", 0), false},
		{"what stays and comes free", plan(image("A", `"reason":"named","bytes":1`), "", "", 1), false},
		{"what goes after what stays", plan(image("A", `"reason":"named"`)+","+image("B", `"goes":true,"reason":"dangling"`), "", "", 0), false},
		{"what stays after what goes", plan(image("B", `"goes":true,"reason":"dangling"`)+","+image("A", `"reason":"named"`), "", "", 0), true},
		{"a sum that no number holds", plan(image("A", fmt.Sprintf(`"goes":true,"reason":"dangling","bytes":%d`, int64(math.MaxInt64)))+
			","+image("B", `"goes":true,"reason":"dangling","bytes":1`), "", "", math.MinInt64), false},
		{"the largest sum", plan(image("A", fmt.Sprintf(`"goes":true,"reason":"dangling","bytes":%d`, int64(math.MaxInt64))), "", "", math.MaxInt64), true},
		{"names of one that goes with all", plan(image("A", `"goes":true,"reason":"unused","names":["app:1"]`), "", "", 0), true},
		{"a long name", plan(image("A", `"reason":"named","names":["`+long+`"]`), "", "", 0), true},
		{"too long a name", plan(image("A", `"reason":"named","names":["x`+long+`"]`), "", "", 0), false},
		{"an empty name", plan(image("A", `"reason":"named","names":[""]`), "", "", 0), false},
		{"long texts", plan(image("A", fmt.Sprintf(`"reason":"named","by":%q,"byName":%[1]q,"was":%[1]q,"platform":%[1]q`, long)), "", "", 0), true},
		{"too long a reason", plan(image("A", `"reason":"named","by":"x`+long+`"`), "", "", 0), false},
		{"too long a name of who keeps it", plan(image("A", `"reason":"named","byName":"x`+long+`"`), "", "", 0), false},
		{"too long a former name", plan(image("A", `"reason":"named","was":"x`+long+`"`), "", "", 0), false},
		{"too long a platform", plan(image("A", `"reason":"named","platform":"x`+long+`"`), "", "", 0), false},
		{"a layer twice", plan("", layer(id("a"), 1)+","+layer(id("a"), 1), "", 0), false},
		{"a layer that comes free twice", plan("", layer(id("a"), 1), leftover(LeftoverLayer, id("a"), true, 1), 1), false},
		{"a leftover twice", plan("", "", leftover(LeftoverLayer, id("a"), false, 0)+","+leftover(LeftoverLayer, id("a"), false, 0), 0), false},
		{"a leftover that stays", plan("", "", leftover(LeftoverLayer, id("a"), false, 0), 0), true},
		{"a leftover that stays and comes free", plan("", "", leftover(LeftoverLayer, id("a"), false, 1), 1), false},
		{"a leftover of less than nothing", plan("", "", leftover(LeftoverLayer, id("a"), true, -1), -1), false},
		{"a leftover layer that is a path", plan("", "", leftover(LeftoverLayer, "/x", true, 0), 0), false},
		{"a long path", plan("", "", leftover(LeftoverDownload, "/"+long[1:], true, 0), 0), true},
		{"too long a path", plan("", "", leftover(LeftoverDownload, "/"+long, true, 0), 0), false},
		{"a negative target", `{"version":1,"free":-1}`, false},
		{"more than nothing with all", `{"version":1,"free":1,"withAll":1}`, true},
		{"less than nothing with all", `{"version":1,"free":1,"withAll":-1}`, false},
		{"an ID of 63", plan("", layer(zeros, 0), "", 0), false},
		{"an ID of 65", plan("", layer(zeros+"00", 0), "", 0), false},
	}
	for _, c := range "09af" {
		tests = append(tests, struct {
			name, text string
			taken      bool
		}{"an ID with " + string(c), plan("", layer(zeros+string(c), 0), "", 0), true})
	}
	for _, c := range "/:`gAF" {
		tests = append(tests, struct {
			name, text string
			taken      bool
		}{"an ID with " + string(c), plan("", layer(zeros+string(c), 0), "", 0), false})
	}
	for _, tt := range tests {
		if _, err := ReadPlan(strings.NewReader(tt.text)); (err == nil) != tt.taken {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
