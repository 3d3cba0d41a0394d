// Package strict reads YAML that people write by hand. It refuses what it does not understand, gives each problem its
// place (file, line, column), and goes on reading, so that one run finds every mistake of a text.
//
// [Open] parses the text within bounds on its size, its depth and its aliases. A [Reader] then turns nodes into values:
// a number must be a number, text that looks like a number needs quotes, a key must not be there twice, and YAML tags
// and merge keys are refused. [Reader.PlacesIn] finds the place of a byte inside a text value, past quotes, escapes and
// folded lines.
//
// The package knows nothing of what is declared. It quotes the text that it reads, so the text must hold no secret.
package strict

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"keyvault-passwords/internal/refusal"
)

// A Place is a position in the text. The zero Place is nowhere.
type Place struct {
	File      string // as the caller named it
	Line, Col int    // from 1, columns in characters. 0: the file as a whole
}

// String returns FILE:LINE:COL, as compilers print it and editors open it.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// A Problem is one mistake in the text. Its cause names the offending text, its remedy what was expected.
type Problem struct {
	refusal.Refusal

	Place Place
}

// Error returns "PLACE: CAUSE; REMEDY", without the place where that is nowhere.
func (p Problem) Error() string {
	if p.Place == (Place{}) {
		return p.Refusal.Error()
	}
	return p.Place.String() + ": " + p.Refusal.Error()
}

// Problems is every mistake found in one reading, in the order of the text.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// MaxProblems is how many problems a [Reader] keeps: a person corrects a few and reads again, and a hostile text has
// one in every byte.
const MaxProblems = 1000

// A Node is one value of the text, or a key.
type Node = yaml.Node

// A Reader turns nodes into values and collects what is wrong with them. Its methods report whether a value was read;
// where it was not, the problem is noted, and the caller goes on with the next node.
type Reader struct {
	file     string
	top      *Node
	problems Problems
	found    int    // problems, those beyond MaxProblems included
	finder   finder // in the text
}

// Open parses a text of one YAML document. A text that is too long, too deep, not UTF-8, or too large once its aliases
// are replaced is one problem, and so is any error of YAML's grammar: the parser cannot go on after one.
//
// The bounds are 1 MiB, 40,000 line breaks and commas, 20 levels and 300,000 values. file is for places only.
func Open(file string, text []byte) (*Reader, *Problem) {
	text = bytes.TrimPrefix(text, []byte(byteOrderMark)) // the parser counts it as no column, and so do editors
	top, problem := load(file, text)
	if problem != nil {
		return nil, problem
	}
	return &Reader{file: file, top: top, finder: finder{text: string(text)}}, nil
}

// byteOrderMark is what some editors put before a text in UTF-8.
const byteOrderMark = "\ufeff"

// Top returns the top node of the document; nil if the text holds none.
func (r *Reader) Top() *Node { return r.top }

// Place returns the place of a node; of an alias, its own and not that of what it refers to.
func (r *Reader) Place(n *Node) Place { return Place{File: r.file, Line: n.Line, Col: n.Column} }

// Whole returns the place of the file as a whole.
func (r *Reader) Whole() Place { return Place{File: r.file} }

// Refuse notes a problem.
func (r *Reader) Refuse(at Place, cause, remedy string) {
	r.found++
	if r.found <= MaxProblems {
		r.problems = append(r.problems, newProblem(at, cause, remedy))
	}
}

// Advise adds to the remedies of the problems at a place that were noted after so many others. advice may be "".
func (r *Reader) Advise(after int, at Place, advice string) {
	for i := after; advice != "" && i < len(r.problems); i++ {
		if r.problems[i].Place == at {
			r.problems[i].Remedy += "; " + advice
		}
	}
}

// Trial returns a reader of the same text that has found nothing yet: what it finds is not kept here.
func (r *Reader) Trial() *Reader { return &Reader{file: r.file, top: r.top, finder: r.finder} }

func newProblem(at Place, cause, remedy string) Problem {
	return Problem{Refusal: refusal.Refusal{Cause: cause, Remedy: remedy}, Place: at}
}

// Unknown notes a name that is none of the known ones: `unknown KIND "NAME"WHERE`, with the nearest known name.
func (r *Reader) Unknown(at Place, kind, name, where string, known []string, hints ...string) {
	if r.found >= MaxProblems {
		r.found++ // without the search for the nearest, which takes time
		return
	}
	remedy := Alternatives(name, known)
	for _, hint := range hints {
		if hint != "" {
			remedy = hint + "; here, " + enumerated(known)
		}
	}
	r.Refuse(at, fmt.Sprintf("unknown %s %q%s", kind, Clip(name), where), remedy)
}

// Found returns how many problems were found so far, those beyond [MaxProblems] included. A caller that compares it
// before and after knows whether a part of the text is sound.
func (r *Reader) Found() int { return r.found }

// Problems returns the problems, sorted by place. Equal ones at one place, as an alias causes them, are returned once.
func (r *Reader) Problems() Problems { return r.problems.Sorted() }

// Sorted returns the problems by place. Equal ones at one place are returned once.
func (ps Problems) Sorted() Problems {
	sorted := slices.SortedStableFunc(slices.Values(ps), func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Place.Line, b.Place.Line), cmp.Compare(a.Place.Col, b.Place.Col))
	})
	return slices.Compact(sorted)
}
