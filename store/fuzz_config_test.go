package store

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzConfig checks that a config says what encoding/json reads in it.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		`{"created":"2024-01-01T00:01:19Z","architecture":"arm","variant":"v7","os":"linux","config":{"Cmd":["/bin/sh"],"Env":["A=<b>"],"Labels":{"n":"1"},"User":"1","WorkingDir":"/w"},"rootfs":{"type":"layers","diff_ids":["sha256:00"]},"history":[{"created":"2024-01-01T00:01:19Z","created_by":"a \u003e b","empty_layer":true}]}`,
		`{"config":{"Cmd":"sh"}}`, `{"os":"\ud800"}`, "{\"os\":\"\xff\"}", `{"OS":"a","os":"b","Os":"c"}`, `{"os":null,"config":null,"history":[null]}`, `null`, `{"os":"a"}x`, `{"created":"x"}`, `{"a":01}`, `{"a":1.}`,
		`{"a":"` + "\x01" + `"}`, `{"config":{"Labels":{"a":null,"b":"\\"}}}`, `{"history":{}}`, `{"unknown":[{"a":[1,2,{"b":tru}]}]}`, `{"config":{"Start":{"Cmd":["x"]}}}`, `{"history":[{"empty_layer":1}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		var want configFile
		wanted := json.Unmarshal(blob, &want)
		got, err := decodeConfig(blob)
		if (err == nil) != (wanted == nil) || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, %v; encoding/json has %+v, %v", blob, got, err, want, wanted)
		}
	})
}
