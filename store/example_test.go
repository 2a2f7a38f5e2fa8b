package store_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mpull/mpull/store"
)

// Reading creates nothing: where no store is, there is an empty one.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "mpull-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(store.Options{Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: "vfs"})
	if err != nil {
		log.Fatal(err)
	}
	snap, err := s.Snapshot(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(snap.Images), "images, exists:", s.Exists())
	if err := s.Close(); err != nil {
		log.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(dir, "root"))
	fmt.Println("created:", err == nil)
	// Output:
	// 0 images, exists: false
	// created: false
}
