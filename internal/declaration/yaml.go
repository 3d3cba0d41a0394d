package declaration

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

// Bounds on what is fed to the YAML parser and on what is read of its answer. They are far above any declaration a
// person keeps: 2,000 secrets of ten lines take about 400 KB, 20,000 line breaks and 60,000 values. A text at the bounds
// takes a few tens of milliseconds and of megabytes, three times that where it is one JSON object.
const (
	maxBytes  = 1 << 20 // of the text
	maxBreaks = 40_000  // line breaks and commas: what separates values, counted before anything is parsed
	maxDepth  = 20      // of nesting; the grammar itself needs 8
	maxWeight = 300_000 // values, after aliases are replaced by what they stand for; a text weighs one more each 32 bytes
)

// loadYAML returns the top node of the one document in the text, or nil where there is none. A text that is too long,
// too deep, not UTF-8, or expands beyond maxWeight is one problem, and so is any error of YAML's grammar: the parser
// cannot go on after one.
func loadYAML(file string, text []byte) (*yaml.Node, *Problem) {
	if problem := checkBytes(file, text); problem != nil {
		return nil, problem
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return nil, &Problem{Place{File: file}, "the YAML parser cannot be set up: " + err.Error(), ""}
	}
	var document, next yaml.Node
	if err := loader.Load(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxProblem(file, text, err)
	}
	if err := loader.Load(&next); err == nil {
		return nil, &Problem{Place{file, next.Line, next.Column}, "a second YAML document", "expected one; remove what follows the ---"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(file, text, err)
	}
	top := document.Content[0]
	return top, checkAliases(file, top)
}

// checkBytes refuses what is not a text of a reasonable length before it is parsed.
func checkBytes(file string, text []byte) *Problem {
	breaks := bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte(","))
	problem := Problem{Place: Place{File: file}, Want: "expected a text in UTF-8"}
	switch i := firstOdd(text); {
	case len(text) > maxBytes:
		problem.Text, problem.Want = fmt.Sprintf("the declaration has %d bytes", len(text)), fmt.Sprintf("expected at most %d", maxBytes)
	case breaks > maxBreaks:
		problem.Text = fmt.Sprintf("the declaration has %d line breaks and commas", breaks)
		problem.Want = fmt.Sprintf("expected at most %d", maxBreaks)
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		problem.Text, problem.Want = "the declaration is UTF-16", "expected UTF-8; save it in that encoding"
	case i < 0:
		return nil
	case text[i] == 0:
		problem.Place, problem.Text = placeOf(file, text, i), "a NUL byte"
	default:
		problem.Place, problem.Text = placeOf(file, text, i), fmt.Sprintf("byte 0x%02X is not UTF-8", text[i])
	}
	return &problem
}

// firstOdd returns where the first byte is that is NUL or not UTF-8; -1 if there is none.
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

// placeOf returns the place of a byte of the text. What is before it is UTF-8.
func placeOf(file string, text []byte, offset int) Place {
	before := text[:offset]
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	return Place{file, bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(line) + 1}
}

// syntax maps the parser's words to a remedy, where they need one. The first that is contained applies.
var syntax = []struct{ words, want string }{
	{"mapping values are not allowed",
		"expected KEY: VALUE on a line of its own; a text that holds \": \" needs quotes"},
	{"a tab", "expected spaces: YAML is not indented with tabs"},
	{"cannot start any token", "expected quotes around a text that begins with @, %, } or a backtick"},
	{"could not find expected ':'", "expected KEY: VALUE; the lines of a text are indented further than its key"},
	{"did not find expected key", "expected the indentation of the lines above"},
	{"did not find expected '-' indicator", "expected the indentation of the items above"},
	{"did not find expected ',' or", "expected the closing bracket, or a comma"},
	{"exceeded max depth", "expected the grammar's own shape, which is flatter"},
	{"unexpected end of stream", "expected the closing quote"},
	{"unknown escape", `expected one of YAML's escapes; in double quotes a backslash is written \\`},
	{"unknown anchor", "expected an anchor, &NAME, earlier in the text"},
	{"control characters", "expected a text in UTF-8"},
}

// syntaxProblem says where the text stops being YAML. The parser's message is of fixed words and, at most, the name of
// an anchor.
func syntaxProblem(file string, text []byte, err error) *Problem {
	place, message := Place{File: file}, err.Error()
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		place.Line, place.Col, message = e.Mark.Line, e.Mark.Column, e.Message
		if strings.Contains(message, "end of stream") && e.ContextMark.Line > 0 {
			place.Line, place.Col = e.ContextMark.Line, e.ContextMark.Column
		}
	}
	source := cursor{text: string(text)}
	if strings.HasPrefix(source.at(place.Line, place.Col), "\t") && !strings.Contains(message, "tab character") {
		message = strings.Replace(message, "character", "a tab", 1)
	}
	want := "expected YAML"
	if i := slices.IndexFunc(syntax, func(s struct{ words, want string }) bool { return strings.Contains(message, s.words) }); i >= 0 {
		want = syntax[i].want
	}
	return &Problem{place, "not YAML: " + message, want}
}

// checkAliases refuses a node that holds itself, and one that weighs more than maxWeight once each alias is replaced by
// what it stands for.
func checkAliases(file string, top *yaml.Node) *Problem {
	w := weigher{file: file, weights: map[*yaml.Node]int{}}
	w.weigh(top)
	return w.problem
}

// A weigher adds up what nodes weigh, each node once: its work is linear in the text.
type weigher struct {
	file    string
	weights map[*yaml.Node]int // open: the node is being weighed
	problem *Problem           // the first
}

const open = -1

func (w *weigher) weigh(n *yaml.Node) int {
	total := 1 + len(n.Value)/32
	if n.Kind == yaml.AliasNode {
		total += w.weights[n.Alias]
		if w.weights[n.Alias] == open {
			w.refuse(n, fmt.Sprintf("alias *%s stands inside its own anchor", n.Value), "expected an alias of something complete")
		}
	}
	w.weights[n] = open
	for _, child := range n.Content {
		total = min(total+w.weigh(child), maxWeight+1)
	}
	if total > maxWeight {
		w.refuse(n, fmt.Sprintf("more than %d values, once aliases are replaced", maxWeight),
			"expected fewer; a policy under policies serves many secrets without aliases")
	}
	w.weights[n] = total
	return total
}

func (w *weigher) refuse(n *yaml.Node, text, want string) {
	if w.problem == nil {
		w.problem = &Problem{Place{w.file, n.Line, n.Column}, text, want}
	}
}

// deref returns what an alias stands for.
func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
