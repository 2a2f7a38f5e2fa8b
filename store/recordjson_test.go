package store

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParseRecordFromElsewhere(t *testing.T) {
	const id = "6587d5f44ca3ad76d1130d1ba4536019814a7d31da66b5b3fa089071319bb636"
	good := Displacement{Name: "docker.io/library/alpine:3.15", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		By: Party{ID: id, Digest: "sha256:" + id, Platform: "linux/amd64"}, Command: "pull"}
	for name, c := range map[string]struct {
		change func(*Displacement)
		want   string
	}{
		"good":          {func(*Displacement) {}, ""},
		"removed":       {func(d *Displacement) { d.By = Party{} }, ""},
		"short name":    {func(d *Displacement) { d.Name = "alpine" }, "full name"},
		"bad name":      {func(d *Displacement) { d.Name = "\x1b[2J" }, "full name"},
		"bad ID":        {func(d *Displacement) { d.By.ID = "../x" }, "image ID"},
		"bad digest":    {func(d *Displacement) { d.Was.Digest = "x" }, "digest"},
		"long command":  {func(d *Displacement) { d.Command = strings.Repeat("x", maxCommand+1) }, "command"},
		"long platform": {func(d *Displacement) { d.Was.Platform = strings.Repeat("x", maxCommand+1) }, "platform"},
	} {
		d := good
		c.change(&d)
		data, err := json.Marshal(record{Version: recordVersion, Entries: []Displacement{d}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseRecord(data)
		if c.want == "" && (err != nil || len(got) != 1) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, %v; want an error with %q", name, got, err, c.want)
		}
	}
	if _, err := ParseRecord([]byte(`{"version":7}`)); err == nil {
		t.Error("a record of another version was read")
	}
}
