package internal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The tests of this folder are about the module as a whole: which package imports which, who reads a value, what a
// comment documents, which names a message gives, and what the module requires.

// A source is one of the module's Go files.
type source struct {
	path string // from the root of the module
	file *ast.File
}

// sources parses every Go file of the module. What is parsed is the file and not the build: other systems' files too.
func sources(t *testing.T, files *token.FileSet) []source {
	t.Helper()
	var all []source
	err := fs.WalkDir(os.DirFS(".."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || len(name) > 1 && strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		file, err := parser.ParseFile(files, filepath.Join("..", name), nil,
			parser.ParseComments|parser.SkipObjectResolution)
		all = append(all, source{path: name, file: file})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("%d Go files; the test looks at less than the module", len(all))
	}
	return all
}

// A checked is one of the module's packages, without its tests, with what each of its identifiers means.
type checked struct {
	path   string
	files  *token.FileSet
	syntax []*ast.File
	uses   map[*ast.Ident]types.Object
	values map[ast.Expr]types.TypeAndValue
	scope  *types.Scope
}

// place returns where a node stands: its file, from the folder internal.
func (c checked) place(node ast.Node) string {
	name := path.Base(filepath.ToSlash(c.files.Position(node.Pos()).Filename))
	return strings.TrimPrefix(path.Join(strings.TrimPrefix(c.path, module), name), "/")
}

// program returns the packages that the program may be made of: all but those of tests.
func program(t *testing.T) []checked {
	t.Helper()
	return slices.DeleteFunc(check(t), func(c checked) bool { return strings.HasPrefix(c.path, module+"/internal/test/") })
}

// check type-checks the packages of the module, without their tests.
func check(t *testing.T) []checked {
	t.Helper()
	command := exec.Command("go", "list", "-deps", "-export", "-json=ImportPath,Export,Dir,GoFiles", module+"/...")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	type listed struct {
		ImportPath, Export, Dir string
		GoFiles                 []string
	}
	exports := map[string]string{}
	var own []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := decoder.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[l.ImportPath] = l.Export
		if l.ImportPath == module || strings.HasPrefix(l.ImportPath, module+"/") {
			own = append(own, l)
		}
	}
	files := token.NewFileSet()
	look := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(files, "gc", look)}
	var all []checked
	for _, l := range own {
		c := checked{
			path:   l.ImportPath,
			files:  files,
			uses:   map[*ast.Ident]types.Object{},
			values: map[ast.Expr]types.TypeAndValue{},
		}
		for _, name := range l.GoFiles {
			file, err := parser.ParseFile(files, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			c.syntax = append(c.syntax, file)
		}
		its, err := config.Check(l.ImportPath, files, c.syntax, &types.Info{Uses: c.uses, Types: c.values})
		if err != nil {
			t.Fatal(err)
		}
		c.scope = its.Scope()
		all = append(all, c)
	}
	return all
}
