package unpack

import (
	"archive/tar"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	jsoniter "github.com/json-iterator/go"
	"github.com/opencontainers/go-digest"
	"go.podman.io/storage/pkg/archive"
)

// described is an entry of a layer's list, in zstd:chunked's terms. What is left
// out of JSON is nothing to take anything from.
type described struct {
	Type       string            `json:"type"`
	Name       string            `json:"name"`
	Mode       int64             `json:"mode,omitempty"`
	Size       int64             `json:"size,omitempty"`
	UID        int               `json:"uid,omitempty"`
	GID        int               `json:"gid,omitempty"`
	Attributes map[string]string `json:"xattrs,omitempty"` // values are in base64
	Digest     digest.Digest     `json:"digest,omitempty"`

	Linkname                      string    `json:"-"`
	ChunkSize, DevMajor, DevMinor int64     `json:"-"`
	ModTime, AccessTime           time.Time `json:"-"`
}

// header is the entry as a tar has it.
func (e *described) header() (*tar.Header, error) {
	kinds := map[string]byte{
		"reg": tar.TypeReg, "hardlink": tar.TypeLink, "symlink": tar.TypeSymlink, "dir": tar.TypeDir,
		"char": tar.TypeChar, "block": tar.TypeBlock, "fifo": tar.TypeFifo,
	}
	hdr := &tar.Header{
		Typeflag: kinds[e.Type], Name: e.Name, Linkname: e.Linkname, Mode: e.Mode, Uid: e.UID, Gid: e.GID,
		ModTime: e.ModTime, AccessTime: e.AccessTime, Devmajor: e.DevMajor, Devminor: e.DevMinor, PAXRecords: map[string]string{},
	}
	for name, text := range e.Attributes {
		value, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("its list gives %q no attribute: %w", e.Name, err)
		}
		hdr.PAXRecords[archive.PaxSchilyXattr+name] = string(value)
	}
	return hdr, nil
}

// eachListed reads the list of a layer as the library does, with the parser that
// it uses (unmarshalToc in pkg/chunked): what it finds there, is found here.
func eachListed(r io.Reader, each func(e *described) error) error {
	in := jsoniter.Parse(jsoniter.ConfigFastest, r, copyBuffer)
	for key := in.ReadObject(); key != ""; key = in.ReadObject() {
		if strings.ToLower(key) != "entries" {
			in.Skip()
			continue
		}
		for in.ReadArray() {
			e := readDescribed(in)
			if in.Error != nil {
				break
			}
			if err := each(&e); err != nil {
				return err
			}
		}
	}
	if in.Error == nil {
		in.WhatIsNext() // meets the end
	}
	if !errors.Is(in.Error, io.EOF) {
		return fmt.Errorf("its list is no list of files: %w", cmp.Or(in.Error, errors.New("something follows it")))
	}
	return nil
}

// readDescribed reads an entry.
func readDescribed(in *jsoniter.Iterator) (e described) {
	for key := in.ReadObject(); key != ""; key = in.ReadObject() {
		switch strings.ToLower(key) {
		case "type":
			e.Type = in.ReadString()
		case "name":
			e.Name = in.ReadString()
		case "linkname":
			e.Linkname = in.ReadString()
		case "digest":
			e.Digest = digest.Digest(in.ReadString())
		case "size":
			e.Size = in.ReadInt64()
		case "chunksize":
			e.ChunkSize = in.ReadInt64()
		case "mode":
			e.Mode = in.ReadInt64()
		case "devmajor":
			e.DevMajor = in.ReadInt64()
		case "devminor":
			e.DevMinor = in.ReadInt64()
		case "uid":
			e.UID = in.ReadInt()
		case "gid":
			e.GID = in.ReadInt()
		case "modtime":
			e.ModTime = readTime(in)
		case "accesstime":
			e.AccessTime = readTime(in)
		case "xattrs":
			e.Attributes = map[string]string{}
			for key := in.ReadObject(); key != ""; key = in.ReadObject() {
				e.Attributes[key] = in.ReadString()
			}
		default:
			in.Skip()
		}
	}
	return e
}

func readTime(in *jsoniter.Iterator) time.Time {
	at, err := time.Parse(time.RFC3339, in.ReadString())
	if err != nil {
		in.ReportError("reading a time", err.Error())
	}
	return at
}

// listedTree is what a list says of the entries of its layer. The library makes
// no more of it than podman needs: it leaves out devices and pipes, gives links
// to root, takes attributes from a file that a second link leads to, and what
// comes into a directory later changes its time. That is set right by amend.
// What the list does not tell, as the modes of directories that it does not
// name, is refused, so that such a layer comes whole.
type listedTree struct {
	seen  map[string]*tar.Header // by their names, "/" the uppermost; nil is a file without attributes
	later []*tar.Header          // what there is to set right

	bytes, entries, read int64 // what the layer counts for, which may come whole after all
}

func newListedTree() *listedTree { return &listedTree{seen: map[string]*tar.Header{}} }

// add takes the next entry.
func (t *listedTree) add(e *described) error {
	if e.Type == "chunk" {
		return nil
	}
	name := path.Clean("/" + e.Name)
	if _, twice := t.seen[name]; twice {
		return fmt.Errorf("its list names %q twice", e.Name)
	}
	if dir := path.Dir(name); dir != "/" && (t.seen[dir] == nil || t.seen[dir].Typeflag != tar.TypeDir) {
		return fmt.Errorf("its list names no directory that %q is in", e.Name)
	}
	if e.Type == "reg" && len(e.Attributes) == 0 {
		t.seen[name] = nil
		return nil
	}
	hdr, err := e.header()
	if err != nil {
		return err
	}
	t.seen[name] = hdr
	if e.Type == "hardlink" {
		switch to, ok := t.seen[path.Clean("/"+e.Linkname)]; {
		case !ok || to != nil && to.Typeflag != tar.TypeReg:
			return fmt.Errorf("%q is a link to no file", e.Name)
		case to == nil:
			return nil
		}
	}
	t.later = append(t.later, hdr)
	return nil
}

// amend sets right what the library has not, in the directory with the files.
func (t *listedTree) amend(dest string, to manner) error {
	files, err := openTree(dest)
	if err != nil {
		return err
	}
	defer files.close()
	x := &extractor{tree: files, manner: to}
	for _, hdr := range t.later {
		dir, base := split(hdr.Name)
		parent, err := files.open(dir)
		if err != nil {
			return err
		}
		switch e := (entry{parent, base}); {
		case hdr.Typeflag == tar.TypeDir:
			x.dirs = append(x.dirs, dirTimes{hdr.Name, hdr.AccessTime, hdr.ModTime})
		case hdr.Typeflag == tar.TypeSymlink || hdr.Typeflag == tar.TypeReg || hdr.Typeflag == tar.TypeLink:
			err = x.setMetadata(hdr, e)
		case !x.leftOut(hdr):
			err = x.create(hdr, dir, e, nil)
		}
		if err != nil {
			return fmt.Errorf("setting %q right: %w", hdr.Name, err)
		}
	}
	return x.finish()
}
