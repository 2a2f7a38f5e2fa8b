package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// run is one measurement run: the registry's address and where stores go.
type run struct {
	options
	tools []tool
	host  string
	wire  *wire
	dir   string

	account *account // of the rows that an ordinary user runs; nil until then
}

// row is one measurement.
type row struct {
	name string // for -only; what is before "-" names all that begin so
	do   func(context.Context) error
}

func bench(ctx context.Context, o options) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("overlay stores need root: run as root")
	}
	dir, err := os.MkdirTemp("", "mpull-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	where := "tmpfs"
	if err := syscall.Mount("bench", dir, "tmpfs", 0, "size=12g"); err != nil {
		where = "disk (tmpfs cannot be mounted: " + err.Error() + ")"
	} else {
		defer func() { err = errors.Join(err, syscall.Unmount(dir, 0)) }()
	}
	if err := os.Chmod(dir, 0o755); err != nil { // an ordinary user's stores are in it too
		return err
	}
	between := &wire{}
	registry, err := serve(o, dir, between)
	if err != nil {
		return err
	}
	defer registry.Close()
	policy := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	mpull, err := filepath.Abs(o.mpull)
	if err != nil {
		return err
	}
	r := &run{options: o, tools: tools(mpull, self, policy, o.peers), host: registry.Host, wire: between, dir: dir}
	fmt.Printf("medians of %d alternating rounds, stores on %s\n", o.rounds, where)
	fmt.Printf("%-34s %-10s %9s %9s %8s %8s  %s\n", "WORK", "TOOL", "WALL", "CPU", "MAX RSS", "CAME", "MPULL / THIS")
	defer func() {
		if r.account != nil {
			err = errors.Join(err, r.account.remove())
		}
	}()
	return r.rows(ctx)
}

func (r *run) rows(ctx context.Context) error {
	rows := []row{
		{"mid", func(ctx context.Context) error {
			return r.cold(ctx, "cold pull, 4 layers, 43,000 files", r.host+"/bench/mid:1", overlay())
		}},
		{"many", func(ctx context.Context) error {
			return r.cold(ctx, "cold pull, 60 small layers", r.host+"/bench/many:1", overlay())
		}},
	}
	rows = append(rows, r.grounds()...)
	rows = append(rows, []row{
		{"again", r.again}, {"use", r.use}, {"check", r.check}, {"images", r.list}, {"prune", r.prune}, {"start", r.start},
		{"resume", r.resume}, {"slow", r.slow}, {"save", r.save},
	}...)
	for _, row := range rows {
		if !r.wants(row.name) {
			continue
		}
		if err := row.do(ctx); err != nil {
			return fmt.Errorf("row %s: %w", row.name, err)
		}
	}
	return nil
}

// alternate measures each tool once a round. prepare makes what one
// measurement needs, unmeasured, and returns the command; the place is removed
// afterwards, when verify, if there is one, is content with what it holds.
func (r *run) alternate(ctx context.Context, title string, on ground, able func(tool) bool, prepare func(tool, place) ([]string, error), verify func(place) error) error {
	results := map[string][]measurement{}
	for range r.rounds {
		for _, t := range r.tools {
			if !able(t) {
				continue
			}
			s, err := newPlace(r.dir, on)
			if err != nil {
				return err
			}
			m, err := r.once(ctx, t, s, prepare)
			if err == nil {
				results[t.name] = append(results[t.name], m)
			}
			if err == nil && verify != nil {
				err = verify(s)
			}
			if err := errors.Join(err, s.remove()); err != nil {
				return err
			}
		}
	}
	r.print(title, results)
	return nil
}

// once measures one run of a tool, its daemon running beside it.
func (r *run) once(ctx context.Context, t tool, s place, prepare func(tool, place) ([]string, error)) (m measurement, err error) {
	if t.daemon != nil {
		stop, err := t.daemon(ctx, s)
		if err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	argv, err := prepare(t, s)
	if err != nil {
		return m, err
	}
	before := r.wire.sent.Load()
	m, err = measure(ctx, argv, s.env())
	m.came = r.wire.sent.Load() - before
	return m, err
}

func (r *run) cold(ctx context.Context, title, source string, on ground) error {
	able := func(t tool) bool {
		return t.pull != nil && (t.daemon == nil || on.plain() && !fromLayout(source)) || t.cold != nil && on.plain() && !fromLayout(source)
	}
	return r.alternate(ctx, title, on, able, func(t tool, s place) ([]string, error) {
		if t.cold != nil {
			return t.cold(s, source), nil
		}
		return t.pull(s, source), nil
	}, nil)
}

func (r *run) again(ctx context.Context) error {
	return r.alternate(ctx, "pull again, nothing changed", overlay(), func(t tool) bool { return t.pull != nil && t.daemon == nil }, func(t tool, s place) ([]string, error) {
		argv := t.pull(s, r.host+"/bench/many:1")
		_, err := measure(ctx, argv, s.env())
		return argv, err
	}, nil)
}

// local measures what asks no registry, on an image of a usual number of layers
// and on one of many, each here for two platforms. Such commands are short, so
// each is run four times a round.
func (r *run) local(ctx context.Context, title string, command func(s place, ref, platform string) []string) (err error) {
	mpull := r.tools[0]
	for _, image := range []struct{ repo, title string }{
		{"/bench/few:1", title + ", 4 layers"},
		{"/bench/many:1", title + ", 60 layers"},
	} {
		s, err := newPlace(r.dir, overlay())
		if err != nil {
			return err
		}
		platforms := []string{"linux/arm64", "linux/amd64"}
		for _, p := range platforms {
			if _, err := measure(ctx, append(mpull.pull(s, r.host+image.repo), "--platform", p), nil); err != nil {
				return err
			}
		}
		results := map[string][]measurement{}
		for i := range 4 * r.rounds {
			m, err := measure(ctx, command(s, r.host+image.repo, platforms[i%2]), nil)
			if err != nil {
				return err
			}
			results[mpull.name] = append(results[mpull.name], m)
		}
		r.print(image.title, results)
		if err := s.remove(); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) use(ctx context.Context) error { return r.local(ctx, "switch a name", r.tools[0].use) }

func (r *run) check(ctx context.Context) error {
	return r.local(ctx, "will it start?", func(s place, ref, _ string) []string { return r.tools[0].look(s, ref) })
}

func (r *run) list(ctx context.Context) error {
	return r.withFilled(ctx, fmt.Sprintf("images -a, %d images", r.images), func(t tool) func(place) []string { return t.list }, r.images)
}

func (r *run) prune(ctx context.Context) error {
	return r.withFilled(ctx, fmt.Sprintf("prune %d of %d images", r.images/2, r.images), func(t tool) func(place) []string { return t.gc }, r.images-r.images/2)
}

// withFilled measures on copies of one store of many images, of which so many
// are to be left.
func (r *run) withFilled(ctx context.Context, title string, command func(tool) func(place) []string, left int) error {
	master, err := newPlace(r.dir, overlay())
	if err != nil {
		return err
	}
	if err := fill(master.root, master.run, r.images); err != nil {
		return err
	}
	err = r.alternate(ctx, title, overlay(), func(t tool) bool { return command(t) != nil }, func(t tool, s place) ([]string, error) {
		if out, err := exec.CommandContext(ctx, "cp", "-a", "--one-file-system", master.root, s.root).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("copying the store: %w: %s", err, out)
		}
		return command(t)(s), nil
	}, func(s place) error { return countImages(s, left) })
	return errors.Join(err, master.remove())
}

func (r *run) start(ctx context.Context) error {
	mpull := r.tools[0].list(place{})[0]
	for _, args := range [][]string{{"version"}, {"--help"}} {
		results := map[string][]measurement{}
		for range r.rounds * 4 {
			m, err := measure(ctx, append([]string{mpull}, args...), nil)
			if err != nil {
				return err
			}
			results["mpull"] = append(results["mpull"], m)
		}
		r.print("mpull "+args[0], results)
	}
	return nil
}

// print shows the medians of a row, and how mpull's compares.
func (r *run) print(title string, results map[string][]measurement) {
	ours := median(results["mpull"])
	for _, t := range r.tools {
		if len(results[t.name]) == 0 {
			continue
		}
		m := median(results[t.name])
		ratio := ""
		if t.name != "mpull" {
			ratio = fmt.Sprintf("%.2f", float64(ours.wall)/float64(m.wall))
		}
		fmt.Printf("%-34s %-10s %9s %9s %7dM %7.1fM  %s\n", title, t.name, round(m.wall), round(m.cpu), m.rss/1024, float64(m.came)/1e6, ratio)
		title = ""
	}
}

// median takes the median of each figure by itself.
func median(all []measurement) measurement {
	pick := func(f func(measurement) int64) int64 {
		values := make([]int64, len(all))
		for i, m := range all {
			values[i] = f(m)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	if len(all) == 0 {
		return measurement{}
	}
	return measurement{
		wall: time.Duration(pick(func(m measurement) int64 { return int64(m.wall) })),
		cpu:  time.Duration(pick(func(m measurement) int64 { return int64(m.cpu) })),
		rss:  pick(func(m measurement) int64 { return m.rss }),
		came: pick(func(m measurement) int64 { return m.came }),
	}
}

func round(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
