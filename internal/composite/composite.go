// Package composite makes one value of generated parts, a login and fixed text, by a template such as
//
//	postgres://${login|url}:${password|url}@db.example.com/app
//
// A template is text with references. ${NAME} stands for a generated part, or for the login where NAME is "login";
// ${NAME|FILTER} for the part as FILTER writes it, and filters may be chained, applied from left to right:
// ${password|json|base64}. $$ is a dollar. Nothing else begins with a dollar, so that a slip of the finger is found when
// the declaration is read and not when a login fails.
//
// Every filter is injective: two different parts never become one text, so a value holds all the entropy of each part
// that its template refers to. Nothing here prints a part: [Template.Render] returns a value that is computed where it
// is revealed, and no earlier.
package composite

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"keyvault-passwords/internal/sensitive"
)

// Login is the name that stands for the login in a template. No part has it.
const Login = "login"

// A Template is a checked text with references. The zero Template renders as the empty value; [Parse] makes others.
type Template struct {
	text   string
	pieces []piece
}

// A piece is fixed text or a reference.
type piece struct {
	text    string // fixed, with $$ already read as $
	name    string // of the part; "" where the piece is fixed text
	offset  int    // of the name in the template's text
	filters []filter
}

// A Reference is one mention of a part, or of the login, in a template.
type Reference struct {
	Name   string
	Offset int // of the name in the text, in bytes
}

// A Problem is one mistake in a template. It quotes the template, which holds no generated value.
type Problem struct {
	Offset int    // in the text, in bytes
	Text   string // what is wrong
	Want   string // what was expected
	Filter string // the word that is none of [Filters], where that is what is wrong
}

// Text returns the text that the template was parsed from.
func (t *Template) Text() string { return t.text }

// Equal reports whether both templates have the same text, and so render alike. Nil equals nil only.
func (t *Template) Equal(u *Template) bool {
	if t == nil || u == nil {
		return t == u
	}
	return t.text == u.text
}

// References returns every reference of the template, in order.
func (t *Template) References() []Reference {
	var list []Reference
	for _, p := range t.pieces {
		if p.name != "" {
			list = append(list, Reference{p.name, p.offset})
		}
	}
	return list
}

// Names returns the names that the template refers to, each once, in order of their first mention.
func (t *Template) Names() []string {
	var names []string
	for _, r := range t.References() {
		if !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names
}

// Render returns the value that the template makes of parts and login. It is computed each time it is revealed. The map
// must hold every name that the template refers to, "login" apart: a missing one is a fault of the caller, and panics,
// since a value with a hole in it must not come into being.
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
	for _, p := range pieces {
		if p.name == "" {
			value = append(value, p.text...)
			continue
		}
		text := parts[slices.Index(names, p.name)]
		for _, f := range p.filters {
			text = f.write(text)
		}
		value = append(value, text...)
	}
	return value
}

// MaxLen returns a length in bytes that no value of the template exceeds, where partMax tells the greatest length of
// each part in bytes. It is exact for fixed text and login, and holds for parts of any bytes.
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

// name is how a part may be called.
var name = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// IsName reports whether a part may be called so: a letter, then up to 63 letters, digits, hyphens and underscores, and
// not "login".
func IsName(text string) bool { return name.MatchString(text) && text != Login }

// Parse reads a template. It returns all problems of the text, in order, and a template only where there are none.
// Whether the names it refers to exist is for the caller to check: see [Template.References].
func Parse(text string) (*Template, []Problem) {
	p := parse(text)
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return &Template{text: text, pieces: p.pieces}, nil
}

// Mentions returns the references that a text holds, in order, whether or not it is a template: a mistake in one of them
// hides no other.
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
	at       int    // what is before it has been read
	fixed    []byte // fixed text since the last reference
	pieces   []piece
	problems []Problem
}

// step reads fixed text up to the next dollar, or what begins with one.
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
		p.problem(p.at, "a single $ in the value", "expected ${NAME}, or $$ for a dollar")
		p.at++
	}
}

// reference reads what begins with ${.
func (p *parser) reference() {
	start := p.at + len("${")
	end := strings.IndexByte(p.text[start:], '}')
	if end < 0 {
		p.problem(p.at, "a ${ without its }", "expected ${NAME} or ${NAME|FILTER}, or $$ for a dollar")
		p.at = len(p.text)
		return
	}
	p.at = start + end + 1
	words := strings.Split(p.text[start:start+end], "|")
	if !name.MatchString(words[0]) {
		p.problem(start, fmt.Sprintf("%q is not the name of a part", clip(words[0])), "expected ${NAME} or ${NAME|FILTER}, without spaces")
		return
	}
	p.flush()
	p.pieces = append(p.pieces, piece{name: words[0], offset: start, filters: p.filters(start+len(words[0]), words[1:])})
}

// filters looks up the filters of a reference; the bar before the first stands at offset at.
func (p *parser) filters(at int, words []string) []filter {
	var list []filter
	for _, word := range words {
		i := slices.IndexFunc(filters, func(f filter) bool { return f.name == word })
		if i < 0 {
			p.problems = append(p.problems, Problem{at + 1, fmt.Sprintf("unknown filter %q", clip(word)),
				"expected one of " + strings.Join(Filters(), ", "), word})
		} else {
			list = append(list, filters[i])
		}
		at += 1 + len(word)
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

func (p *parser) problem(offset int, text, want string) {
	p.problems = append(p.problems, Problem{offset, text, want, ""})
}

// clip keeps a quotation short enough for one line.
func clip(text string) string {
	const most = 40
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
