package internal_test

import (
	"go/ast"
	"go/types"
	"strings"
	"testing"
)

// A run pays for what its packages make before main: patterns are compiled when they are first needed, since most runs
// need few of them. What is left is to be seen with `GODEBUG=inittrace=1`.
func TestNoPatternIsCompiledAtStartUp(t *testing.T) {
	looked := 0
	for _, c := range program(t) {
		if strings.HasPrefix(c.path, module+"/examples/") {
			continue
		}
		for _, file := range c.syntax {
			for _, declaration := range file.Decls {
				variables, ok := declaration.(*ast.GenDecl)
				if !ok {
					continue
				}
				ast.Inspect(variables, func(node ast.Node) bool {
					id, isName := node.(*ast.Ident)
					if _, later := node.(*ast.FuncLit); later || !isName {
						return !later
					}
					looked++
					if f, ok := c.uses[id].(*types.Func); ok && f.Pkg().Path() == "regexp" {
						t.Errorf("%s: a variable of the package compiles a pattern; expected sync.OnceValue",
							c.place(id))
					}
					return true
				})
			}
		}
	}
	if looked < 1000 {
		t.Errorf("%d names; expected those of all variables of packages", looked)
	}
}
