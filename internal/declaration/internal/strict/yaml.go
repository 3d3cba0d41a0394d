package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Bounds on what [Open] gives to the YAML parser and on what it takes of the answer. They are far above any text that a
// person maintains: 2,000 entries of ten lines take about 400 KB, 20,000 line breaks and 60,000 values. A text at the
// bounds takes a few tens of milliseconds and of megabytes, three times that if it is one JSON object.
const (
	MaxBytes  = 1 << 20 // of the text
	MaxBreaks = 40_000  // line breaks and commas: what separates values, counted before anything is parsed
	maxDepth  = 20      // of nesting
	maxWeight = 300_000 // values, with each alias replaced; 32 bytes of a scalar weigh as much as a value
)

// load returns the top node of the one document in the text, or nil if there is none.
func load(file string, text []byte) (*Node, *Problem) {
	if problem := checkBytes(file, text); problem != nil {
		return nil, problem
	}
	limits := loaderlimits.New(loaderlimits.DepthValue(maxDepth))
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithPlugin(limits))
	if err != nil {
		return nil, new(newProblem(Place{File: file}, "the YAML parser cannot be set up: "+err.Error(), ""))
	}
	var document, next Node
	if err := loader.Load(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxProblem(file, text, err)
	}
	if err := loader.Load(&next); err == nil {
		at := Place{File: file, Line: next.Line, Col: next.Column}
		return nil, new(newProblem(at, "a second YAML document", "remove the --- and what follows it"))
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(file, text, err)
	}
	top := document.Content[0]
	return top, checkAliases(file, top)
}

// checkBytes refuses a text that is too long or not UTF-8 before it is parsed.
func checkBytes(file string, text []byte) *Problem {
	whole := Place{File: file}
	refuse := func(at Place, cause, remedy string) *Problem { return new(newProblem(at, cause, remedy)) }
	if len(text) > MaxBytes {
		cause := fmt.Sprintf("the text has %d bytes", len(text))
		return refuse(whole, cause, fmt.Sprintf("expected at most %d", MaxBytes))
	}
	if n := bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte(",")); n > MaxBreaks {
		cause := fmt.Sprintf("the text has %d line breaks and commas", n)
		return refuse(whole, cause, fmt.Sprintf("expected at most %d", MaxBreaks))
	}
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return refuse(whole, "the text is UTF-16", "expected UTF-8; save the file in that encoding")
	}
	i := firstOdd(text)
	if i < 0 {
		return nil
	}
	cause := fmt.Sprintf("byte 0x%02X is not UTF-8", text[i])
	if text[i] == 0 {
		cause = "a NUL byte"
	}
	return refuse(placeOf(file, text, i), cause, "expected text in UTF-8")
}

// firstOdd returns the offset of the first byte that is NUL or not UTF-8; -1 if there is none.
func firstOdd(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == 0 || r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// placeOf returns the place of a byte of the text. What is before it must be UTF-8.
func placeOf(file string, text []byte, offset int) Place {
	w := walk{source: string(text), at: Place{File: file, Line: 1, Col: 1}}
	for len(text)-len(w.source) < offset {
		w.step()
	}
	return w.at
}

// syntax maps the parser's words to a remedy, where they need one. The first row whose words the message contains
// applies.
var syntax = []struct{ words, remedy string }{
	{"mapping values are not allowed",
		"expected KEY: VALUE on a line of its own; put a text that contains \": \" in quotes"},
	{"a tab", "expected spaces: YAML does not allow tabs as indentation"},
	{"cannot start any token", "expected quotes around a text that begins with @, %, } or a backtick"},
	{"could not find expected ':'", "expected KEY: VALUE; indent the lines of a text further than its key"},
	{"did not find expected key", "expected the indentation of the lines above"},
	{"did not find expected '-' indicator", "expected the indentation of the items above"},
	{"did not find expected ',' or", "expected the closing bracket, or a comma"},
	{"exceeded max depth", "expected fewer levels of nesting"},
	{"unexpected end of stream", "expected the closing quote"},
	{"unknown escape", `expected one of YAML's escapes; in double quotes, write a backslash as \\`},
	{"unknown anchor", "expected an anchor, &NAME, earlier in the text"},
	{"control characters", "expected text in UTF-8 without control characters"},
}

// syntaxProblem says where the text stops being YAML. The parser's message consists of fixed words and, at most, the
// name of an anchor.
func syntaxProblem(file string, text []byte, err error) *Problem {
	place, message := Place{File: file}, err.Error()
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		place.Line, place.Col, message = e.Mark.Line, e.Mark.Column, e.Message
		if strings.Contains(message, "end of stream") && e.ContextMark.Line > 0 {
			place.Line, place.Col = e.ContextMark.Line, e.ContextMark.Column
		}
	}
	source := finder{text: string(text)}
	if strings.HasPrefix(source.at(place.Line, place.Col), "\t") && !strings.Contains(message, "tab character") {
		message = strings.Replace(message, "character", "a tab", 1)
	}
	remedy := "expected YAML"
	for _, row := range slices.Backward(syntax) {
		if strings.Contains(message, row.words) {
			remedy = row.remedy
		}
	}
	return new(newProblem(place, "not YAML: "+message, remedy))
}

// checkAliases refuses a node that contains itself, and a top node that weighs more than maxWeight once each alias is
// replaced by what it refers to.
func checkAliases(file string, top *Node) *Problem {
	w := weigher{file: file, weights: map[*Node]int{}}
	w.weigh(top)
	return w.problem
}

// A weigher adds up the weights of nodes, each node once: its work is linear in the text.
type weigher struct {
	file    string
	weights map[*Node]int // open: the node is being weighed
	problem *Problem      // the first
}

const open = -1

func (w *weigher) weigh(n *Node) int {
	total := 1 + len(n.Value)/32
	if n.Kind == yaml.AliasNode {
		total += w.weights[n.Alias]
		if w.weights[n.Alias] == open {
			cause := fmt.Sprintf("alias *%s is inside its own anchor", n.Value)
			w.refuse(n, cause, "expected an alias of a value that ends before it")
		}
	}
	w.weights[n] = open
	for _, child := range n.Content {
		total = min(total+w.weigh(child), maxWeight+1)
	}
	if total > maxWeight {
		cause := fmt.Sprintf("more than %d values, with aliases replaced", maxWeight)
		w.refuse(n, cause, "expected fewer; use fewer aliases")
	}
	w.weights[n] = total
	return total
}

func (w *weigher) refuse(n *Node, cause, remedy string) {
	if w.problem == nil {
		w.problem = new(newProblem(Place{File: w.file, Line: n.Line, Col: n.Column}, cause, remedy))
	}
}

// deref returns what an alias refers to, and any other node as it is.
func deref(n *Node) *Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
