package gc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// maxPlan bounds the JSON form of a plan: 10,000 images and 100,000 layers
// take 15 MB.
const maxPlan = 64 << 20

// maxText bounds each text of a plan.
const maxText = 8192

// ReadPlan reads the JSON form of a plan. It comes from a file: it is checked
// to be a plan, of this version, with plausible IDs and sums. Whether the
// store still is as it says is Verify's to tell.
func ReadPlan(r io.Reader) (*Plan, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPlan+1))
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	if len(data) > maxPlan {
		return nil, fmt.Errorf("reading the plan: it has more than %d bytes", maxPlan)
	}
	p := new(Plan)
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("reading the plan: it is not the JSON that prune --format json prints: %w", err)
	}
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	return p, nil
}

func (p *Plan) validate() error {
	if p.Version != PlanVersion {
		return fmt.Errorf("it has version %d; this mpull reads version %d: make a new plan", p.Version, PlanVersion)
	}
	var sum total
	seen := make(map[string]bool, len(p.Images))
	goes := true
	for i := range p.Images {
		d := &p.Images[i]
		if seen[d.ID] || d.Goes && !goes {
			return fmt.Errorf("image %.12q is in it twice or out of order", d.ID)
		}
		seen[d.ID], goes = true, d.Goes
		if err := d.validate(); err != nil {
			return fmt.Errorf("image %.12q: %w", d.ID, err)
		}
		sum.add(d.Bytes)
	}
	for _, l := range p.Layers {
		if !isID(l.ID) || seen[l.ID+" layer"] || l.Bytes < 0 {
			return fmt.Errorf("layer %.12q is in it twice, or is none", l.ID)
		}
		seen[l.ID+" layer"] = true
	}
	for i := range p.Leftovers {
		l := &p.Leftovers[i]
		if err := l.validate(); err != nil {
			return fmt.Errorf("leftover %.100q: %w", l.ID, err)
		}
		if seen[l.ID+" layer"] {
			return fmt.Errorf("leftover %.100q is in it twice", l.ID)
		}
		seen[l.ID+" layer"] = true
		sum.add(l.Bytes)
	}
	if p.Free < 0 || p.WithAll < 0 {
		return errors.New("the bytes that it was asked for make no sense")
	}
	if sum.overflow || sum.bytes != p.Bytes {
		return fmt.Errorf("its %d bytes are not the sum of its parts", p.Bytes)
	}
	return nil
}

func (d *Decision) validate() error {
	goes, known := d.Reason.goes()
	switch {
	case !isID(d.ID):
		return errors.New("its ID is none")
	case !known || goes != d.Goes:
		return fmt.Errorf("it goes = %t for the reason %.40q", d.Goes, d.Reason)
	case d.Alone < 0 || d.Data < 0 || d.Bytes < 0 || !goes && d.Bytes != 0:
		return errors.New("its bytes make no sense")
	case goes && d.Reason != Unused && len(d.Names) > 0:
		return fmt.Errorf("it has names and goes for the reason %q", d.Reason)
	case slices.ContainsFunc(d.Names, func(n string) bool { return n == "" || len(n) > maxText }):
		return errors.New("a name in it is none")
	case len(d.By) > maxText || len(d.ByName) > maxText || len(d.Was) > maxText || len(d.Platform) > maxText:
		return errors.New("a text in it is too long")
	}
	return nil
}

func (l *Leftover) validate() error {
	switch {
	case l.Bytes < 0 || !l.Goes && l.Bytes != 0:
		return errors.New("its bytes make no sense")
	case l.Kind == LeftoverLayer && isID(l.ID):
	case l.Kind == LeftoverDownload && filepath.IsAbs(l.ID) && filepath.Clean(l.ID) == l.ID && len(l.ID) <= maxText:
	default:
		return fmt.Errorf("it is no %.20q", l.Kind)
	}
	return nil
}

// isID tells whether text is an ID of an image or layer: 64 lower-case
// hexadecimal digits.
func isID(text string) bool { return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == "" }

// total adds numbers that are not negative and notices when they are too many.
type total struct {
	bytes    int64
	overflow bool
}

func (t *total) add(n int64) {
	t.bytes += n
	t.overflow = t.overflow || t.bytes < 0 || n < 0
}
