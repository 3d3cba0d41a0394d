package internal_test

import (
	"go/ast"
	"go/types"
	"testing"
)

// A literal of a struct with three fields or more names them: nobody has to look up which is which. Tests, whose rows are
// read as tables, are free.
func TestLiteralsNameTheirFields(t *testing.T) {
	looked := 0
	for _, c := range check(t) {
		for _, file := range c.syntax {
			ast.Inspect(file, func(node ast.Node) bool {
				literal, ok := node.(*ast.CompositeLit)
				if !ok || len(literal.Elts) < 3 {
					return true
				}
				of := c.values[literal].Type
				if _, ok := of.Underlying().(*types.Struct); !ok {
					return true
				}
				looked++
				if _, named := literal.Elts[0].(*ast.KeyValueExpr); !named {
					line := c.files.Position(literal.Pos()).Line
					t.Errorf("%s:%d: a literal of %s does not name its fields", c.place(literal), line, of)
				}
				return true
			})
		}
	}
	if looked < 100 {
		t.Errorf("%d literals; expected those of the whole module", looked)
	}
}
