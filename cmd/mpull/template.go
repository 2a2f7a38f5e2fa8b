//go:build linux

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode"
)

// layout is a --format that was read, and whose fields were found in the rows.
type layout struct {
	text  *template.Template
	table bool // in columns, with a heading
	whole bool // the template ranges over the rows itself
}

// wholeRange is how a template of podman begins that ranges over the rows itself.
var wholeRange = regexp.MustCompile(`^\{\{-?\s*range\s+\.\s*-?\}\}`)

// readLayout reads a --format for rows of a type. A leading "table" asks for
// columns with a heading, as in podman and docker.
func readLayout(format string, row reflect.Type) (*layout, error) {
	l := &layout{}
	if rest, ok := strings.CutPrefix(format, "table "); ok {
		l.table = true
		format = strings.ReplaceAll(strings.TrimSpace(rest), "}} {{", "}}\t{{")
	}
	format = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(format)
	var err error
	if l.text, err = template.New("format").Funcs(templateFuncs()).Parse(format); err != nil {
		return nil, usagef("--format: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	if l.text.Tree == nil {
		return nil, usagef("--format: the template is empty")
	}
	if l.whole = wholeRange.MatchString(format); l.whole {
		row = reflect.SliceOf(row)
	}
	if err := (&fieldCheck{root: row}).list(l.text.Root, row); err != nil {
		return nil, usagef("--format: %v", err)
	}
	return l, nil
}

// checkFormat reads a --format before anything is asked for the rows: "", json
// or a template with fields of the type T.
func checkFormat[T any](format string) error {
	if format == "" || isJSON(format) {
		return nil
	}
	_, err := readLayout(format, reflect.TypeFor[T]())
	return err
}

// printTemplate prints each row by a Go template that the user wrote, or nothing
// when one of them cannot be printed; a table with a heading or without.
func printTemplate[T any](w io.Writer, format string, rows []T, heading bool) error {
	row := reflect.TypeFor[T]()
	if row.Kind() == reflect.Interface && len(rows) > 0 {
		row = reflect.TypeOf(rows[0])
	}
	l, err := readLayout(format, row)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if l.whole {
		err = l.execute(&b, rows)
	}
	for i := 0; i < len(rows) && !l.whole && err == nil; i++ {
		err = l.execute(&b, rows[i])
	}
	if err != nil {
		return err
	}
	if !l.table {
		_, err = w.Write(b.Bytes())
		return err
	}
	t := &table{whole: true}
	if heading {
		t.head = strings.Split(l.heading(), "\t")
	}
	for line := range strings.Lines(b.String()) {
		t.add(strings.Split(strings.TrimSuffix(line, "\n"), "\t")...)
	}
	t.write(w)
	return nil
}

// execute prints one row; it ends its line unless the template did.
func (l *layout) execute(b *bytes.Buffer, row any) error {
	if err := l.text.Execute(b, row); err != nil {
		return usagef("--format: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	if !l.whole && !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
		b.WriteByte('\n')
	}
	return nil
}

// heading is the text of a table's template with the name of the first field of
// each of its parts in the place of its value.
func (l *layout) heading() string {
	var b strings.Builder
	for _, n := range l.text.Root.Nodes {
		if text, ok := n.(*parse.TextNode); ok {
			b.Write(text.Text)
			continue
		}
		if field := firstField.FindStringSubmatch(n.String()); field != nil {
			b.WriteString(columnName(field[1]))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var firstField = regexp.MustCompile(`[ {(]\.(?:[A-Za-z]\w*\.)*([A-Za-z]\w*)`)

// columnName is what stands above a column: podman's word, else the field's own.
func columnName(field string) string {
	switch field {
	case "ID", "Id":
		return "IMAGE ID"
	case "CreatedSince":
		return "CREATED"
	}
	var b strings.Builder
	for i, r := range field {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(rune(field[i-1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// fieldCheck looks for the fields of a template in the types of its rows, so
// that a wrong one is told before the first line. Where a type is not known,
// behind a function or a variable, it looks at nothing.
type fieldCheck struct{ root reflect.Type }

func (c *fieldCheck) list(n *parse.ListNode, dot reflect.Type) error {
	if n == nil {
		return nil
	}
	for _, node := range n.Nodes {
		if err := c.node(node, dot); err != nil {
			return err
		}
	}
	return nil
}

func (c *fieldCheck) node(node parse.Node, dot reflect.Type) error {
	switch n := node.(type) {
	case *parse.ActionNode:
		_, err := c.pipe(n.Pipe, dot)
		return err
	case *parse.IfNode:
		return c.branch(&n.BranchNode, dot, func(reflect.Type) reflect.Type { return dot })
	case *parse.WithNode:
		return c.branch(&n.BranchNode, dot, func(t reflect.Type) reflect.Type { return t })
	case *parse.RangeNode:
		return c.branch(&n.BranchNode, dot, element)
	}
	return nil
}

func (c *fieldCheck) branch(n *parse.BranchNode, dot reflect.Type, inner func(reflect.Type) reflect.Type) error {
	t, err := c.pipe(n.Pipe, dot)
	if err != nil {
		return err
	}
	if err := c.list(n.List, inner(t)); err != nil {
		return err
	}
	return c.list(n.ElseList, dot)
}

// pipe returns the type of a pipeline that is one value, else nil.
func (c *fieldCheck) pipe(p *parse.PipeNode, dot reflect.Type) (t reflect.Type, err error) {
	for _, cmd := range p.Cmds {
		for _, arg := range cmd.Args {
			if t, err = c.value(arg, dot); err != nil {
				return nil, err
			}
		}
	}
	if len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return nil, nil
	}
	return t, nil
}

func (c *fieldCheck) value(node parse.Node, dot reflect.Type) (reflect.Type, error) {
	switch n := node.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.FieldNode:
		return fieldType(dot, n.Ident)
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			return fieldType(c.root, n.Ident[1:])
		}
	case *parse.PipeNode:
		return c.pipe(n, dot)
	case *parse.ChainNode:
		t, err := c.value(n.Node, dot)
		if err != nil {
			return nil, err
		}
		return fieldType(t, n.Field)
	}
	return nil, nil
}

// element is what a range over a type sees.
func element(t reflect.Type) reflect.Type {
	if t != nil && slices.Contains([]reflect.Kind{reflect.Slice, reflect.Array, reflect.Map}, t.Kind()) {
		return t.Elem()
	}
	return nil
}

// fieldType follows fields, methods and keys from a type; nil is one that is not
// known.
func fieldType(t reflect.Type, path []string) (reflect.Type, error) {
	for _, name := range path {
		if t == nil || t.Kind() == reflect.Interface {
			return nil, nil
		}
		if m, ok := t.MethodByName(name); ok && m.Type.NumOut() > 0 {
			t = m.Type.Out(0)
			continue
		}
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() == reflect.Map && t.Key().Kind() == reflect.String {
			t = t.Elem()
			continue
		}
		if t.Kind() != reflect.Struct {
			return nil, fmt.Errorf("there is no field %q in a %s", name, kindName(t))
		}
		f, ok := t.FieldByName(name)
		if !ok || !f.IsExported() {
			return nil, noField(name, t)
		}
		t = f.Type
	}
	return t, nil
}

func kindName(t reflect.Type) string {
	return cmp.Or(map[reflect.Kind]string{
		reflect.Slice: "list: use range", reflect.Array: "list: use range", reflect.String: "text", reflect.Bool: "truth value",
	}[t.Kind()], "number")
}

// noField names the nearest of the fields, else all.
func noField(name string, t reflect.Type) error {
	var all []string
	best, bestDistance := "", maxDistance+1
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || f.Anonymous {
			continue
		}
		all = append(all, f.Name)
		if d := distance(strings.ToLower(name), strings.ToLower(f.Name)); d < bestDistance {
			best, bestDistance = f.Name, d
		}
	}
	if best != "" {
		return fmt.Errorf("there is no field %q; did you mean .%s?", name, best)
	}
	return fmt.Errorf("there is no field %q; there are %s", name, strings.Join(all, " "))
}
