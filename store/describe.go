package store

import "golang.org/x/sys/unix"

// Description tells which store options mean, without opening it.
type Description struct {
	Root     string `json:"root"`
	RunRoot  string `json:"runRoot"`
	Driver   string `json:"driver"` // of the store that is there, else the one that a new store gets
	Exists   bool   `json:"exists"`
	Writable bool   `json:"writable"` // true also where a store can be created
}

// Describe tells which store the options mean. It takes no lock, opens
// nothing, and needs no user namespace.
func (o Options) Describe() (Description, error) {
	options, err := o.resolve()
	if err != nil {
		return Description{}, err
	}
	d := Description{Root: options.GraphRoot, RunRoot: options.RunRoot, Driver: options.GraphDriverName, Writable: true}
	if d.Driver == "" {
		d.Driver = driverOf(options.GraphRoot)
	}
	if d.Exists = exists(options.GraphRoot); d.Exists {
		d.Writable = unix.Access(options.GraphRoot, unix.W_OK) == nil
	}
	return d, nil
}
