// Command registry is the distribution project's registry, version 3, as its
// library has it: for mirror-figures.sh, which runs one as the origin and one as
// a pull-through mirror.
//
//	registry CONFIG.yml
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/sirupsen/logrus"

	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // where it keeps what it has
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: registry CONFIG.yml")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	config, err := configuration.Parse(f)
	if err != nil {
		return err
	}
	logrus.SetLevel(logrus.ErrorLevel)
	server := &http.Server{
		Addr: config.HTTP.Addr, Handler: handlers.NewApp(context.Background(), config), ReadHeaderTimeout: time.Minute,
	}
	return server.ListenAndServe()
}
