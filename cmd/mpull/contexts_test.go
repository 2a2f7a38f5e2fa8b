package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayNameContext are the functions in which the flag library's context has its
// place: what the library itself calls, and hands on plain values.
func mayNameContext() []string {
	return []string{
		"action", "into", "given", "filled", // for commands and their flags
		"newApp", "onUsageError", // for the whole program
	}
}

// contextsIn lists the functions, types and variables of a file that name the
// flag library's context though they may not.
func contextsIn(file *ast.File) (found []string) {
	for _, decl := range file.Decls {
		name := "a declaration"
		if f, ok := decl.(*ast.FuncDecl); ok {
			name = f.Name.Name
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok || s.Sel.Name != "Context" {
				return true
			}
			if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "cli" && !slices.Contains(mayNameContext(), name) {
				found = append(found, name)
			}
			return true
		})
	}
	return found
}

// TestContextStaysInConstructors holds that commands work on parsed values: the
// flag library's context, from which a flag is read by a string, is named only
// where the library calls.
func TestContextStaysInConstructors(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 50 {
		t.Fatal(err, len(files))
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, where := range contextsIn(file) {
			t.Errorf("%s: %s names *cli.Context: hand it parsed values (flags.go, action)", name, where)
		}
	}
}

// TestContextIsFound holds that the test above finds a context wherever it may be
// named.
func TestContextIsFound(t *testing.T) {
	const source = `package main
func (p *program) deep(c *cli.Context) error { return nil }
func constructor() { _ = &cli.Command{Action: func(c *cli.Context) error { return nil }} }
type options struct { c *cli.Context }
func action() cli.ActionFunc { return func(c *cli.Context) error { return nil } }
func plain(ctx context.Context) {}
`
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := contextsIn(file); !slices.Equal(got, []string{"deep", "constructor", "a declaration"}) {
		t.Errorf("found in %q", got)
	}
}
