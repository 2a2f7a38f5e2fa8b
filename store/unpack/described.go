package unpack

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	jsoniter "github.com/json-iterator/go"
	"golang.org/x/sys/unix"
)

// described is an entry of a layer's list.
type described struct {
	Type, Name, Linkname, Digest string
	Size, ChunkSize              int64
	UID, GID                     int
	ModTime, AccessTime          time.Time
	Attributes                   bool // it has extended ones
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
			e.Digest = in.ReadString()
		case "size":
			e.Size = in.ReadInt64()
		case "chunksize":
			e.ChunkSize = in.ReadInt64()
		case "uid":
			e.UID = in.ReadInt()
		case "gid":
			e.GID = in.ReadInt()
		case "modtime":
			e.ModTime = readTime(in)
		case "accesstime":
			e.AccessTime = readTime(in)
		case "xattrs":
			for key := in.ReadObject(); key != ""; key = in.ReadObject() {
				e.Attributes = true
				in.Skip()
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
// no more of it than podman needs: it leaves out devices and pipes, gives to
// root what it has to make for others to be in, and to links, takes attributes
// from a file that another link leads to, and what comes into a directory later
// changes its time. What can be set right, amend does; the rest is refused, so
// that such a layer comes whole.
type listedTree struct {
	seen  map[string]described // by their names, "/" the uppermost
	later []described          // directories and symbolic links
}

// add takes the next entry.
func (t *listedTree) add(e *described) error {
	if e.Type == "chunk" {
		return nil
	}
	name := path.Clean("/" + e.Name)
	if _, twice := t.seen[name]; twice {
		return fmt.Errorf("its list names %q twice", e.Name)
	}
	if dir := path.Dir(name); dir != "/" && t.seen[dir].Type != "dir" {
		return fmt.Errorf("its list names no directory that %q is in", e.Name)
	}
	switch e.Type {
	case "char", "block", "fifo":
		return fmt.Errorf("%q is a device or a pipe", e.Name)
	case "hardlink":
		if to := t.seen[path.Clean("/"+e.Linkname)]; to.Type != "reg" || to.Attributes {
			return fmt.Errorf("%q is a link to no file, or to one with attributes", e.Name)
		}
	case "dir", "symlink":
		t.later = append(t.later, *e)
	}
	t.seen[name] = *e
	return nil
}

// amend sets right what the library has not, in the directory with the files.
func (t *listedTree) amend(dest string, to manner) error {
	files, err := openTree(dest)
	if err != nil {
		return err
	}
	defer files.close()
	for _, e := range t.later {
		dir, base := split(e.Name)
		parent, err := files.open(dir)
		if err != nil {
			return err
		}
		at, hdr := entry{parent, base}, &tar.Header{Name: e.Name, Typeflag: tar.TypeDir, Uid: e.UID, Gid: e.GID, ModTime: e.ModTime, AccessTime: e.AccessTime}
		if e.Type == "dir" {
			err = setTimes(at, sinceEpoch(accessTime(hdr)), sinceEpoch(hdr.ModTime))
		} else if err = to.chown(hdr, func(uid, gid int) error { return unix.Fchownat(parent, base, uid, gid, unix.AT_SYMLINK_NOFOLLOW) }); err == nil {
			err = setTimes(at, timespec(accessTime(hdr)), timespec(hdr.ModTime))
		}
		if err != nil {
			return fmt.Errorf("setting the owner and time of %q: %w", e.Name, err)
		}
	}
	return nil
}
