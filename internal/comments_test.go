package internal_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A documented is a declaration with a doc comment.
type documented struct {
	names []string
	doc   *ast.CommentGroup
}

// declarations returns what a file declares at its top level with a comment of its own. The comment of a group is about
// the group.
func declarations(file *ast.File) (all []documented) {
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			all = append(all, documented{names: []string{d.Name.Name}, doc: d.Doc})
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				doc := d.Doc
				if d.Lparen.IsValid() {
					doc = nil
				}
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Doc != nil {
						doc = s.Doc
					}
					all = append(all, documented{names: []string{s.Name.Name}, doc: doc})
				case *ast.ValueSpec:
					if s.Doc != nil {
						doc = s.Doc
					}
					var names []string
					for _, name := range s.Names {
						names = append(names, name.Name)
					}
					all = append(all, documented{names: names, doc: doc})
				}
			}
		}
	}
	return slices.DeleteFunc(all, func(d documented) bool { return d.doc == nil || d.doc.Text() == "" })
}

var firstWord = regexp.MustCompile(`^(?:(?:A|An|The) )?([\pL_][\pL\d_]*)`)

// misplaced says how a comment fails to document its declaration: it has to begin with its name, after an article if
// need be. What a test shows is told in a sentence; that one may not begin with the name of another test.
func misplaced(d documented, test bool) string {
	words := firstWord.FindStringSubmatch(d.doc.Text())
	if words != nil && slices.Contains(d.names, words[1]) {
		return ""
	}
	first, _, _ := strings.Cut(d.doc.Text(), " ")
	isTest := regexp.MustCompile(`^(Test|Benchmark|Fuzz|Example)(\P{Ll}|$)`)
	if test && isTest.MatchString(d.names[0]) && !isTest.MatchString(first) {
		return ""
	}
	return fmt.Sprintf("the comment of %s begins with %q", strings.Join(d.names, ", "), first)
}

func TestCommentsBeginWithTheName(t *testing.T) {
	files := token.NewFileSet()
	looked := 0
	for _, s := range sources(t, files) {
		for _, d := range declarations(s.file) {
			looked++
			if problem := misplaced(d, strings.HasSuffix(s.path, "_test.go")); problem != "" {
				t.Errorf("%s:%d: %s", s.path, files.Position(d.doc.Pos()).Line, problem)
			}
		}
	}
	if looked < 1000 {
		t.Errorf("%d comments; expected those of the whole module", looked)
	}
}
