// Package composite makes one value of generated parts, a login and fixed text, by a template such as
//
//	postgres://${login|url}:${password|url}@db.example.com/app
//
// A template is text with references. ${NAME} is replaced by a generated part, or by the login if NAME is "login".
// ${NAME|FILTER} is replaced by the part as FILTER writes it. Filters may be chained and apply from left to right:
// ${password|json|base64}. $$ is a dollar. Any other dollar is refused, so that a typing error is found when the
// template is read and not when a login fails.
//
// Every filter is injective: two different parts never become the same text, so a value has all the entropy of each
// part that its template refers to. Nothing here prints a part: [Template.Render] returns a value that is computed when
// it is revealed, and not before.
package composite

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

// Login is the name of the login in a template. No part has this name.
const Login = "login"

// A Template is a checked text with references: see [Parse]. The zero Template renders as the empty value.
type Template struct {
	text   string
	pieces []piece
	around map[int][]level // of the pieces that are references: what stands around them
}

// A piece is fixed text or a reference.
type piece struct {
	text    string // fixed text, with $ for $$
	name    string // of the part, or Login; "" for fixed text
	offset  int    // of the name in the template's text
	filters []filter
}

// A Reference is one mention of a part, or of the login, in a template.
type Reference struct {
	Name   string
	Offset int // of the name in the text, in bytes
}

// A Problem is one mistake in a template. It quotes the template, which contains no generated value.
type Problem struct {
	refusal.Refusal

	Offset int    // in the text, in bytes
	Filter string // of an unknown filter: its name, as written
}

// Text returns the text that the template was parsed from.
func (t *Template) Text() string { return t.text }

// References returns every reference of the template, in order.
func (t *Template) References() []Reference {
	var list []Reference
	for _, p := range t.pieces {
		if p.name != "" {
			list = append(list, Reference{Name: p.name, Offset: p.offset})
		}
	}
	return list
}

// Names returns the names that the template refers to, each once, in the order of their first references.
func (t *Template) Names() []string {
	var names []string
	seen := map[string]bool{}
	for _, r := range t.References() {
		if !seen[r.Name] {
			seen[r.Name] = true
			names = append(names, r.Name)
		}
	}
	return names
}

// Render returns the value that the template makes of parts and login. It is computed each time it is revealed. parts
// must have every name that the template refers to, except "login". Render panics if one is missing: that is a fault of
// the caller, and an incomplete value must never be stored.
func (t *Template) Render(parts map[string]sensitive.Value, login string) sensitive.Value {
	names := t.Names()
	values := make([]sensitive.Value, len(names))
	for i, name := range names {
		if name == Login {
			values[i] = sensitive.New([]byte(login))
			continue
		}
		value, ok := parts[name]
		if !ok {
			panic("composite: no value for part " + name)
		}
		values[i] = value
	}
	pieces := t.pieces
	return sensitive.Derive(func(parts [][]byte) []byte { return join(pieces, names, parts) }, values...)
}

// join writes the pieces one after another; parts[i] are the bytes of the part called names[i].
func join(pieces []piece, names []string, parts [][]byte) []byte {
	var value []byte
	index := make(map[string]int, len(names))
	for i, name := range names {
		index[name] = i
	}
	for _, p := range pieces {
		if p.name == "" {
			value = append(value, p.text...)
			continue
		}
		text := parts[index[p.name]]
		for _, f := range p.filters {
			text = f.write(text)
		}
		value = append(value, text...)
	}
	return value
}

// MaxLen returns an upper bound of the length of the template's values, in bytes. partMax returns the length of the
// longest value of a part. Fixed text and login count exactly; a part may consist of any bytes.
func (t *Template) MaxLen(partMax func(name string) int, login string) int {
	total := 0
	for _, p := range t.pieces {
		switch p.name {
		case "":
			total += len(p.text)
		case Login:
			text := []byte(login)
			for _, f := range p.filters {
				text = f.write(text)
			}
			total += len(text)
		default:
			n := partMax(p.name)
			for _, f := range p.filters {
				n = f.maxLen(n)
			}
			total += n
		}
	}
	return total
}

var name = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`) })

// IsName reports whether text is a name for a part: a letter followed by up to 63 letters, digits, hyphens and
// underscores, and not "login".
func IsName(text string) bool { return text != Login && name().MatchString(text) }

// Parse reads a template. It returns all problems of the text, in order, or a template if there are none. It does not
// check that the names exist: see [Template.References].
func Parse(text string) (*Template, []Problem) {
	p := parse(text)
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return &Template{text: text, pieces: p.pieces, around: surroundings(p.pieces)}, nil
}

// Mentions returns the references in a text, in order, also if the text has mistakes: a mistake in one reference does
// not hide the others.
func Mentions(text string) []Reference {
	template := Template{pieces: parse(text).pieces}
	return template.References()
}

func parse(text string) parser {
	p := parser{text: text}
	for p.at < len(text) {
		p.step()
	}
	p.flush()
	return p
}

type parser struct {
	text     string
	at       int    // the offset of what is to be read next
	fixed    []byte // the fixed text since the last reference
	pieces   []piece
	problems []Problem
}

// step reads the text up to the next dollar, or what begins with a dollar.
func (p *parser) step() {
	rest := p.text[p.at:]
	switch dollar := strings.IndexByte(rest, '$'); {
	case dollar < 0:
		p.fixed = append(p.fixed, rest...)
		p.at = len(p.text)
	case dollar > 0:
		p.fixed = append(p.fixed, rest[:dollar]...)
		p.at += dollar
	case strings.HasPrefix(rest, "$$"):
		p.fixed = append(p.fixed, '$')
		p.at += 2
	case strings.HasPrefix(rest, "${"):
		p.reference()
	default:
		p.problem(p.at, "a single $", "expected ${NAME}, or $$ for a dollar")
		p.at++
	}
}

// reference reads what begins with ${.
func (p *parser) reference() {
	start := p.at + len("${")
	end := strings.IndexByte(p.text[start:], '}')
	if end < 0 {
		p.problem(p.at, "a ${ without a }", "expected ${NAME} or ${NAME|FILTER}, or $$ for a dollar")
		p.at = len(p.text)
		return
	}
	p.at = start + end + 1
	words := strings.Split(p.text[start:start+end], "|")
	if !name().MatchString(words[0]) {
		cause := fmt.Sprintf("%q is not the name of a part", clip(words[0]))
		p.problem(start, cause, "expected ${NAME} or ${NAME|FILTER}, without spaces")
		return
	}
	p.flush()
	filters := p.filters(start+len(words[0]), words[1:])
	p.pieces = append(p.pieces, piece{name: words[0], offset: start, filters: filters})
}

// filters looks up the filters of a reference. bar is the offset of the bar before the first.
func (p *parser) filters(bar int, words []string) []filter {
	var list []filter
	for _, word := range words {
		if i := slices.IndexFunc(filters, func(f filter) bool { return f.name == word }); i >= 0 {
			list = append(list, filters[i])
		} else {
			cause := fmt.Sprintf("unknown filter %q", clip(word))
			p.problem(bar+1, cause, "expected one of "+strings.Join(Filters(), ", "))
			p.problems[len(p.problems)-1].Filter = word
		}
		bar += 1 + len(word)
	}
	return list
}

// flush ends the fixed text before a reference.
func (p *parser) flush() {
	if len(p.fixed) > 0 {
		p.pieces = append(p.pieces, piece{text: string(p.fixed)})
		p.fixed = nil
	}
}

func (p *parser) problem(offset int, cause, remedy string) {
	p.problems = append(p.problems, Problem{
		Refusal: refusal.Refusal{Cause: cause, Remedy: remedy},
		Offset:  offset,
	})
}

// clip shortens a quotation to 40 characters.
func clip(text string) string {
	const most = 40
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
