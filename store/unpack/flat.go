package unpack

import (
	"context"
	"fmt"
	"io"
	"path"
)

// FlatTar is Tar of a layer whose files lie in dir by the digests of what they
// hold, as in stores with composefs; list is the list of them, which the store
// keeps under ListKey. Nothing need be mounted for that.
func FlatTar(ctx context.Context, dir, record string, list io.Reader) (io.ReadCloser, error) {
	places := map[string]string{}
	err := eachListed(list, func(e *described) error {
		if e.Type != "reg" || e.Digest == "" {
			return nil
		}
		if err := e.Digest.Validate(); err != nil {
			return err
		}
		hex := e.Digest.Encoded()
		places[path.Clean("/"+e.Name)] = hex[:2] + "/" + hex[2:]
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the list of its files: %w", err)
	}
	return tarIn(ctx, dir, record, func(name string) string { return places[path.Clean("/"+name)] })
}
