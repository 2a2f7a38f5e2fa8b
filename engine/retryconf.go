package engine

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/mpull/mpull/store"
)

// containersConf is podman's configuration of itself, of which mpull heeds what
// is about registries.
func containersConf() store.ConfigSearch {
	return store.ConfigSearch{Name: "containers", Extension: "conf", Environment: "CONTAINERS_CONF"}
}

// ConfiguredRetry is what containers.conf says of retries, where it says
// something; the rest is as in o.
func ConfiguredRetry(o Retry) (Retry, error) {
	err := store.ReadConfig(containersConf(), func(_ string, in io.Reader) error {
		var conf struct {
			Engine struct {
				Retry *uint16 `toml:"retry"`
				Delay string  `toml:"retry_delay"`
			} `toml:"engine"`
		}
		if _, err := toml.NewDecoder(in).Decode(&conf); err != nil {
			return oneLine(err)
		}
		if conf.Engine.Retry != nil {
			o.Times = int(*conf.Engine.Retry)
		}
		if conf.Engine.Delay == "" {
			return nil
		}
		delay, err := time.ParseDuration(conf.Engine.Delay)
		if err != nil || delay < 0 {
			return fmt.Errorf("retry_delay = %q: use a time such as 5s", conf.Engine.Delay)
		}
		o.Delay = delay
		return nil
	})
	return o, err
}

// oneLine is an error of the TOML library without the piece of the file that it
// may draw below.
func oneLine(err error) error {
	if at, ok := errors.AsType[toml.ParseError](err); ok {
		return fmt.Errorf("line %d: %s", at.Position.Line, at.Message)
	}
	return err
}
