// Demo walks mpull's story with the real binary, on a throw-away store and a
// registry in this process that serves the seven-platform alpine:3.15. It
// leaves nothing behind and asks nothing outside the machine. With -pages DIR it
// writes what a terminal shows of mpull into DIR instead.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

func main() {
	dir := flag.String("pages", "", "write terminal.md and story.svg into `DIR`; needs tmux")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: demo [-pages DIR] PATH-OF-MPULL")
		os.Exit(2)
	}
	run := func(binary string) error { return demo(binary, os.Stdout) }
	if *dir != "" {
		run = func(binary string) error { return pages(binary, *dir) }
	}
	if err := run(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(binary string, out io.Writer) (err error) {
	registry := testregistry.New()
	defer registry.Close()
	if err := stockStory(registry); err != nil {
		return err
	}
	d, err := newDemonstration(binary, registry.Host, out)
	if err != nil {
		return err
	}
	defer func() {
		if cleanErr := d.clean(); err == nil {
			err = cleanErr
		}
	}()
	return d.story()
}

// stockStory fills a registry with what the story is about.
func stockStory(registry *testregistry.Registry) error {
	index, err := testimage.Index(testimage.AlpinePlatforms(), testimage.Spec{Files: 40, FileSize: 64 << 10})
	if err != nil {
		return err
	}
	return registry.PushIndex("library/alpine:3.15", index)
}

// newDemonstration makes a machine of its own, whose docker.io is the registry
// at host.
func newDemonstration(binary, host string, out io.Writer) (*demonstration, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mpull-demo-")
	if err != nil {
		return nil, err
	}
	d := &demonstration{binary: binary, dir: dir, out: out}
	if err := d.configure(host); err != nil {
		return nil, errors.Join(err, d.clean())
	}
	return d, nil
}

type demonstration struct {
	binary string
	dir    string
	env    []string
	out    io.Writer // what the user sees
}

// configure writes the configuration that a machine would have: docker.io is
// the registry in this process, and anything is accepted from it.
func (d *demonstration) configure(host string) error {
	files := map[string]string{
		"registries.conf": fmt.Sprintf("unqualified-search-registries = [\"docker.io\"]\n\n[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n", host),
		"auth.json":       "{}\n",
		"policy.json":     `{"default": [{"type": "insecureAcceptAnything"}]}` + "\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	roots, err := testenv.Roots{Data: d.dir, Runtime: filepath.Join(d.dir, "user")}.Write(filepath.Join(d.dir, "storage.conf"), driver(), "")
	if err != nil {
		return err
	}
	d.env = append(append(os.Environ(), roots...),
		"CONTAINERS_REGISTRIES_CONF="+filepath.Join(d.dir, "registries.conf"),
		"REGISTRY_AUTH_FILE="+filepath.Join(d.dir, "auth.json"),
		"STORAGE_DRIVER=", "STORAGE_OPTS=",
	)
	return nil
}

// driver is vfs for ordinary users: it needs no mounts and so works on every
// kernel and in every container.
func driver() string {
	if os.Geteuid() == 0 {
		return "overlay"
	}
	return "vfs"
}

func (d *demonstration) story() error {
	d.say("This machine pulls alpine:3.15, and gets the image of its own platform.")
	if err := d.run("alpine:3.15"); err != nil {
		return err
	}
	own, err := d.command("images", "--format", "{{.Platform}}").Output()
	if err != nil {
		return err
	}
	device, asked := "linux/arm/v7", []string{"--arch", "arm", "--os", "linux", "--variant", "v7"}
	if strings.TrimSpace(string(own)) == device {
		device, asked = "linux/s390x", []string{"--arch", "s390x", "--os", "linux"}
	}
	d.say("Now the " + strings.TrimPrefix(device, "linux/") + " image of the same tag, for a device. The tag moves; mpull says from where.")
	if err := d.run(append(asked, "alpine:3.15")...); err != nil {
		return err
	}
	d.say("What is here: the first image is dangling. The * marks what this machine does not run natively.")
	if err := d.run("images"); err != nil {
		return err
	}
	d.say("Why is it dangling? The record says.")
	if err := d.run("why", "alpine:3.15"); err != nil {
		return err
	}
	d.say("Give the name back, offline, and ask whether it starts here; then switch again.")
	if err := d.run("restore", "alpine:3.15"); err != nil {
		return err
	}
	var verdict *exec.ExitError // of a program that does not start, or of which it is not known: under an emulator
	if err := d.run("check", "alpine:3.15"); err != nil && !errors.As(err, &verdict) {
		return err
	}
	if err := d.run("use", "--platform", device, "alpine:3.15"); err != nil {
		return err
	}
	d.say("Dangling images go, and the bytes come back.")
	if err := d.run("prune", "--force"); err != nil {
		return err
	}
	return d.run("images")
}

func (d *demonstration) say(text string) { fmt.Fprintf(d.out, "\n# %s\n", text) }

// run carries out one command line of mpull and shows it.
func (d *demonstration) run(args ...string) error {
	fmt.Fprintf(d.out, "$ mpull %s\n", strings.Join(args, " "))
	cmd := d.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, d.out, d.out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mpull %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func (d *demonstration) command(args ...string) *exec.Cmd {
	cmd := exec.Command(d.binary, append([]string{"--policy-file", filepath.Join(d.dir, "policy.json")}, args...)...)
	cmd.Env = d.env
	return cmd
}

// clean removes the store. The root of a layer may be a directory that not
// even its owner can write to; the images here hold files of one ID, so that
// the owner of the store owns them all.
func (d *demonstration) clean() error {
	err := filepath.WalkDir(d.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(d.dir))
}
