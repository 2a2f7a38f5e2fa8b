package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// containerd pulls with a daemon of its own, which unpacks four layers at once.
// Of the time only the client's counts as CPU, the daemon's being another process.
func containerd() (tool, bool) {
	daemon, client := peer("containerd"), peer("ctr")
	if daemon == "" || client == "" {
		return tool{}, false
	}
	socket := func(s place) string { return filepath.Join(s.dir, "sock") }
	return tool{
		name: "containerd",
		pull: func(s place, ref string) []string {
			return []string{client, "--address", socket(s), "images", "pull", "--plain-http", ref}
		},
		daemon: func(ctx context.Context, s place) (stop func() error, err error) {
			config := filepath.Join(s.dir, "config.toml")
			text := fmt.Sprintf("version = 3\nroot = %q\nstate = %q\n[grpc]\naddress = %q\n"+
				"[plugins.'io.containerd.transfer.v1.local']\nmax_concurrent_downloads = 4\nmax_concurrent_unpacks = 4\n", s.root, s.run, socket(s))
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				return nil, err
			}
			cmd := exec.CommandContext(ctx, daemon, "--config", config)
			log, err := os.Create(filepath.Join(s.dir, "log"))
			if err != nil {
				return nil, err
			}
			cmd.Stdout, cmd.Stderr = log, log
			if err := errors.Join(cmd.Start(), log.Close()); err != nil {
				return nil, err
			}
			stop = func() error {
				err := cmd.Process.Signal(os.Interrupt)
				_ = cmd.Wait() // it was told to end
				return err
			}
			for range 500 {
				if c, err := net.Dial("unix", socket(s)); err == nil {
					return stop, c.Close()
				}
				time.Sleep(20 * time.Millisecond) //nolint:forbidigo // nothing tells when another program listens
			}
			said, _ := os.ReadFile(log.Name())
			return nil, errors.Join(fmt.Errorf("containerd does not listen: %s", said), stop())
		},
	}, true
}
