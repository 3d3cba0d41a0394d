package composite

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"keyvault-passwords/internal/refusal"
)

// Characters are those that a text can have: anywhere in it, as its first, and as its last.
type Characters struct{ Any, First, Last string }

// Misfits returns the references that do not fit the text around them, in order. Either the part can have a character
// that ends or changes something there, such as "@" in the user info of a URL; or a filter writes the part for another
// kind of text, and what is read there is not the part. known returns the characters of a part; ok is false if they are
// not known, and the references to the part then fit. The login's characters are its own.
//
// The text around a reference counts only where its kind is clear: see surroundings. A part that is encoded, by base64
// or base64url, is meant to be read as encoded.
func (t *Template) Misfits(known func(name string) (chars Characters, ok bool), login string) []Problem {
	var problems []Problem
	for i, p := range t.pieces {
		if len(t.around[i]) == 0 {
			continue
		}
		chars, ok := charactersOf(login), true
		if p.name != Login {
			chars, ok = known(p.name)
		}
		if !ok {
			continue
		}
		if why, bad := misfit(i, p, t.around[i], newSpread(chars)); bad {
			problems = append(problems, Problem{Refusal: why, Offset: p.offset})
		}
	}
	return problems
}

// charactersOf returns the characters of a text that does not vary.
func charactersOf(text string) Characters {
	if text == "" {
		return Characters{}
	}
	return Characters{Any: text, First: text[:1], Last: text[len(text)-1:]}
}

// misfit says why the reference that is piece i does not fit the levels around it, of which the outermost is the first.
func misfit(i int, p piece, levels []level, part spread) (why refusal.Refusal, bad bool) {
	chain := p.filters
	for _, l := range levels {
		if n := len(chain); n > 0 && slices.Contains(l.escapes, chain[n-1].name) {
			chain = chain[:n-1]
			continue
		}
		if breaking := l.breaking(i, part.through(chain)); len(breaking) > 0 {
			return refusal.Refusal{
				Cause:  fmt.Sprintf("%s stands in %s, and %s %s", p, l.where, p.allows(), list(breaking)),
				Remedy: remedy(i, p, levels, part),
			}, true
		}
	}
	innermost := levels[len(levels)-1]
	if innermost.start != i || innermost.end != i {
		return refusal.Refusal{}, false
	}
	for n, f := range slices.Backward(chain) {
		if f.encodes() {
			break // what is before it is read as encoded
		}
		if !part.through(chain[:n]).same(f) {
			return refusal.Refusal{
				Cause: fmt.Sprintf("%s stands in %s, where the filter %s changes what is read", p, innermost.where,
					f.name),
				Remedy: remedy(i, p, levels, part),
			}, true
		}
	}
	return refusal.Refusal{}, false
}

// String returns the reference as it is written in a template.
func (p piece) String() string {
	return "${" + strings.Join(append([]string{p.name}, p.names()...), "|") + "}"
}

func (p piece) names() (names []string) {
	for _, f := range p.filters {
		names = append(names, f.name)
	}
	return names
}

// allows is the verb before the characters that break something.
func (p piece) allows() string {
	switch {
	case len(p.filters) > 0:
		return "it can be written with"
	case p.name == Login:
		return "the login has"
	}
	return "its policy allows"
}

// remedy says how the reference is to be written: with its encoding, if it has one, and for each level from the
// innermost out the filter that the level needs.
func remedy(i int, p piece, levels []level, part spread) string {
	var chain []filter
	for n, f := range p.filters {
		if f.encodes() {
			chain = p.filters[: n+1 : n+1]
		}
	}
	outside := ""
	for _, l := range slices.Backward(levels) {
		if len(l.breaking(i, part.through(chain))) == 0 {
			continue
		}
		if l.marks != "" {
			outside = " outside " + l.marks
		}
		chain = append(chain, filters[slices.IndexFunc(filters, func(f filter) bool { return f.name == l.filter })])
	}
	p.filters = chain
	return "write " + p.String() + outside
}

// list returns the characters in words: "/", "?" and "@".
func list(chars []byte) string {
	const most = 5
	var words []string
	for _, c := range chars[:min(len(chars), most)] {
		switch {
		case c == ' ':
			words = append(words, "a space")
		case c == '"':
			words = append(words, `'"'`)
		case c >= 0x80 || c < ' ':
			words = append(words, fmt.Sprintf("the byte 0x%02X", c))
		default:
			words = append(words, `"`+string(c)+`"`)
		}
	}
	if left := len(chars) - most; left > 0 {
		words = append(words, fmt.Sprintf("%d more", left))
	}
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " and " + words[last]
	}
	return words[0]
}

// A set is a set of bytes.
type set [256]bool

func setOf(text string) (s set) {
	for i := range len(text) {
		s[text[i]] = true
	}
	return s
}

// A spread is the bytes that a text can have, as sets.
type spread struct{ any, first, last set }

func newSpread(chars Characters) spread {
	return spread{any: setOf(chars.Any), first: setOf(chars.First), last: setOf(chars.Last)}
}

// through returns what filters make of a text.
func (s spread) through(chain []filter) spread {
	for _, f := range chain {
		s = s.filtered(f)
	}
	return s
}

// filtered returns what one filter makes of a text. Each but an encoding writes every byte by itself, between marks if
// it has any.
func (s spread) filtered(f filter) (out spread) {
	if f.encodes() {
		out.any, out.last = setOf(f.alphabet), setOf(f.alphabet)
		out.first = setOf(strings.TrimSuffix(f.alphabet, "="))
		return out
	}
	for b := range 256 {
		if !s.any[b] {
			continue
		}
		text := f.write([]byte{byte(b)})
		for _, c := range text {
			out.any[c] = true
		}
		if s.first[b] {
			out.first[text[0]] = true
		}
		if s.last[b] {
			out.last[text[len(text)-1]] = true
		}
	}
	return out
}

// same reports whether a filter writes the text as it is.
func (s spread) same(f filter) bool {
	for b, can := range s.any {
		if can && !bytes.Equal(f.write([]byte{byte(b)}), []byte{byte(b)}) {
			return false
		}
	}
	return true
}

// breaking returns the bytes of a text that break the level, where it is the reference that is piece i.
func (l level) breaking(i int, text spread) (found []byte) {
	special := setOf(l.special)
	first, last := setOf(l.first), setOf(l.last)
	for n := 0; n+1 < len(l.pairs); n += 2 {
		if text.any[l.pairs[n+1]] {
			special[l.pairs[n]] = true
		}
	}
	for b := range 256 {
		bad := text.any[b] && (special[b] || l.literal != "" && !isAlphanumeric(byte(b)) &&
			strings.IndexByte(l.literal, byte(b)) < 0)
		bad = bad || l.start == i && text.first[b] && first[b] || l.end == i && text.last[b] && last[b]
		if bad {
			found = append(found, byte(b))
		}
	}
	return found
}

func isAlphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}
