package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestParseRecord(t *testing.T) {
	const entry = `{"name":"a:1","at":"2026-01-02T03:04:05Z","was":{},"command":"pull"}`
	for _, tt := range []struct {
		in   string
		want int // entries; -1 for an error
	}{
		{`{"version":1,"entries":[` + entry + `]}`, 1},
		{`{"version":1,"entries":[]}`, 0},
		{`{"version":1}`, 0},
		{`{"version":1,"unknown":true,"entries":[` + entry + `]}`, 1},
		{`{"version":1,"entries":[{"name":"","at":"2026-01-02T03:04:05Z"},` + entry + `]}`, 1},
		{`{"version":1,"entries":[{"name":"x"}]}`, 0},
		{`{"version":2,"entries":[` + entry + `]}`, -1},
		{`{}`, -1},
		{``, -1},
		{`[]`, -1},
		{`{"version":1,"entries":[{"at":"yesterday","name":"x"}]}`, -1},
		{`{"version":1}` + strings.Repeat(" ", maxRecord), -1},
	} {
		got, err := parseRecord([]byte(tt.in))
		if (err != nil) != (tt.want < 0) || err == nil && len(got) != tt.want {
			t.Errorf("parseRecord(%.60s) = %v, %v, want %d entries", tt.in, got, err, tt.want)
		}
	}
}

// TestRecordBounds takes what lies on a bound and refuses what lies beyond.
func TestRecordBounds(t *testing.T) {
	entry := func(fields string) string {
		return `{"name":"docker.io/library/a:1","at":"2026-01-02T03:04:05Z",` + fields + `}`
	}
	of := func(entries ...string) string { return `{"version":1,"entries":[` + strings.Join(entries, ",") + `]}` }
	var many []string
	for range maxEntries + 1 {
		many = append(many, entry(`"command":"c"`))
	}
	long := strings.Repeat("x", maxCommand)
	whole := `{"version":1}`
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"as long as may be":      {whole + strings.Repeat(" ", maxRecord-len(whole)), true},
		"longer":                 {whole + strings.Repeat(" ", maxRecord-len(whole)+1), false},
		"as many as may be":      {of(many[1:]...), true},
		"more":                   {of(many...), false},
		"a long command":         {of(entry(`"command":"` + long + `"`)), true},
		"too long a command":     {of(entry(`"command":"x` + long + `"`)), false},
		"a long platform":        {of(entry(`"was":{"platform":"` + long + `"}`)), true},
		"too long a platform":    {of(entry(`"was":{"platform":"x` + long + `"}`)), false},
		"too long a platform by": {of(entry(`"by":{"platform":"x` + long + `"}`)), false},
		"an ID":                  {of(entry(`"by":{"id":"` + strings.Repeat("a", 64) + `"}`)), true},
		"no ID":                  {of(entry(`"by":{"id":"` + strings.Repeat("a", 63) + `"}`)), false},
		"no digest":              {of(entry(`"by":{"digest":"sha256:1"}`)), false},
		"no full name":           {of(strings.Replace(many[0], "docker.io/library/", "", 1)), false},
	} {
		if _, err := ParseRecord([]byte(tt.text)); (err == nil) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for length, want := range map[int]int{1: 4096, 4096: 4096, 4097: 8192, 8192: 8192} {
		if got := len(padded(make([]byte, length))); got != want {
			t.Errorf("a record of %d bytes takes %d, not %d", length, got, want)
		}
	}
}

// TestRecordStaysSmall: each name once, and not more than maxEntries.
func TestRecordStaysSmall(t *testing.T) {
	s, _ := testStore(t)
	w := testWriter(t, s)
	id := addImage(t, s, amd64)
	many := record{Version: recordVersion}
	for i := range maxEntries {
		many.Entries = append(many.Entries, Displacement{Name: fmt.Sprintf("a:%d", i), At: now()})
	}
	data, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.lib.SetImageBigData(id, RecordKey, data, nil); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"b:1", "a:7", "b:1"} {
		if err := w.appendRecord(id, Displacement{Name: n, At: now()}); err != nil {
			t.Fatal(err)
		}
	}
	got := find(t, s, id).Displaced
	last := got[len(got)-1].Name
	if len(got) != maxEntries || last != "b:1" || got[len(got)-2].Name != "a:7" || got[0].Name != "a:1" {
		t.Errorf("%d entries, first %s, last %s", len(got), got[0].Name, last)
	}
}

// TestRecordKeepsItsSize is why a kill while a record is replaced leaves no
// image that a store check calls damaged.
func TestRecordKeepsItsSize(t *testing.T) {
	s, _ := testStore(t)
	w := testWriter(t, s)
	id := addImage(t, s, amd64)
	for i := range 8 {
		name := fmt.Sprintf("registry.test/a-rather-long-name/of-an-image:%d", i)
		if err := w.appendRecord(id, Displacement{Name: name, At: now()}); err != nil {
			t.Fatal(err)
		}
		img := find(t, s, id)
		if img.BigData[RecordKey] != 4<<10 || len(img.Displaced) != i+1 {
			t.Errorf("the record of %d entries has %d bytes", len(img.Displaced), img.BigData[RecordKey])
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"entries":[{"name":"a","at":"2026-01-02T03:04:05Z","by":{"id":"x"},"was":{},"command":"c"}]}`))
	f.Add([]byte(`{"version":1,"entries":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseRecord(data)
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.Name == "" || e.At.IsZero() {
				t.Errorf("an entry without name or time: %+v", e)
			}
		}
		again, err := json.Marshal(record{Version: recordVersion, Entries: entries})
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if back, err := parseRecord(again); len(again) <= maxRecord && (err != nil || len(back) != len(entries)) {
			t.Errorf("%d entries come back as %d: %v", len(entries), len(back), err)
		}
	})
}
