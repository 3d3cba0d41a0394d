// Package passwordrules reads Apple's password rules, and nothing else knows their grammar:
//
//	rules    = [ property ] *( ";" [ property ] )
//	property = ( "minlength" / "maxlength" / "max-consecutive" ) ":" [ integer ]
//	         / ( "required" / "allowed" ) ":" [ class *( "," class ) ]
//	class    = "lower" / "upper" / "digit" / "special" / "ascii-printable" / "unicode" / "[" characters "]"
//
// The letter case of names does not matter, and white space may appear between any two of these. Brackets hold
// printable characters: "-" only as the first, "]" only as the last ("[-a]]" holds "-", "a" and "]").
//
// Several `required` must all be met; the classes of one are alternatives, that is, their union. Of a repeated
// minlength the largest applies, of a repeated maxlength or max-consecutive the smallest. 0 or nothing is the same as
// no property. The alphabet is what is required or allowed, and all printable ASCII if nothing is. The class "special"
// holds the space. Policies are ASCII: so "unicode" is taken as ascii-printable, and other characters in brackets are
// left out, which makes passwords that the rules allow.
//
// Apple's parser skips what it does not understand. This one refuses it.
//
// https://developer.apple.com/password-rules/
// https://github.com/apple/password-manager-resources/blob/main/tools/PasswordRulesParser.js
package passwordrules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/refusal"
)

// Rules are parsed rules in their canonical form: rules that mean the same are equal.
type Rules struct {
	MinLength, MaxLength, MaxConsecutive int // 0: not given

	Required []string // the characters of each group, one of which must appear; sorted, and no group twice
	Allowed  string   // what may appear besides. Empty: nothing, or with no Required all printable ASCII
}

// A Problem is one mistake in rules.
type Problem struct {
	refusal.Refusal
	Offset int // of the mistake in the text, in bytes from 0; it may be the end
}

// classes are the named classes of the grammar.
var classes = []struct{ name, chars string }{
	{"ascii-printable", ascii.Printable},
	{"unicode", ascii.Printable},
	{"lower", ascii.Lowers},
	{"upper", ascii.Uppers},
	{"digit", ascii.Digits},
	{"special", " " + ascii.Symbols},
}

// A parser reads one passwordrules string from front to back.
type parser struct {
	text     string
	at       int // offset of the next byte
	rules    Rules
	problems []Problem

	minAt, maxAt int // offsets of the MinLength and MaxLength that apply
}

// Parse reads rules. It returns all problems of the text, in order. The rules mean something only if there are none.
func Parse(text string) (Rules, []Problem) {
	p := &parser{text: text}
	for p.skipSpace(); p.at < len(p.text); p.skipSpace() {
		if p.take(';') {
			continue
		}
		if !p.property() {
			p.skipProperty()
		}
	}
	p.finish()
	slices.SortStableFunc(p.problems, func(a, b Problem) int { return a.Offset - b.Offset })
	return p.rules, p.problems
}

// finish brings the rules into their canonical form, and checks what concerns several properties.
func (p *parser) finish() {
	r := &p.rules
	slices.Sort(r.Required)
	r.Required = slices.Compact(r.Required)
	r.Allowed = ascii.Without(ascii.Sorted(r.Allowed), ascii.Sorted(r.Required...))
	if len(r.Required) == 0 && r.Allowed == ascii.Printable {
		r.Allowed = ""
	}
	if r.MaxLength > 0 && r.MinLength > r.MaxLength {
		p.at = max(p.minAt, p.maxAt)
		p.fail(fmt.Sprintf("minlength %d is above maxlength %d", r.MinLength, r.MaxLength),
			"lower minlength or raise maxlength")
	}
}

// separators is the remedy where a property or a class does not end.
const separators = "expected a semicolon between properties, a comma between classes"

// property reads one property up to the ";" that ends it, and reports whether it was understood. If not, the next byte
// is the first that was not.
func (p *parser) property() bool {
	start := p.at
	name := p.identifier()
	read := p.reader(strings.ToLower(name))
	if read == nil {
		p.at = start
		return p.fail(p.found("property", name), "expected minlength, maxlength, max-consecutive, required or allowed")
	}
	p.skipSpace()
	if !p.take(':') {
		return p.fail(fmt.Sprintf("no colon after %q", name), "expected "+name+": VALUE;")
	}
	if p.skipSpace(); p.atEnd() {
		return true
	}
	if !read() {
		return false
	}
	if p.skipSpace(); !p.atEnd() {
		return p.fail(p.found("", ""), separators)
	}
	return true
}

// reader returns the function that reads the value of a property. Nil: there is no such property.
func (p *parser) reader(name string) func() bool {
	larger := func(a, b int) int { return max(a, b) }
	smaller := func(a, b int) int {
		if a == 0 || b == 0 {
			return max(a, b)
		}
		return min(a, b)
	}
	switch name {
	case "minlength":
		return func() bool { return p.number(&p.rules.MinLength, &p.minAt, larger) }
	case "maxlength":
		return func() bool { return p.number(&p.rules.MaxLength, &p.maxAt, smaller) }
	case "max-consecutive":
		return func() bool { return p.number(&p.rules.MaxConsecutive, new(int), smaller) }
	case "required":
		return func() bool {
			chars, ok := p.classes()
			if ok {
				p.rules.Required = append(p.rules.Required, chars)
			}
			return ok
		}
	case "allowed":
		return func() bool {
			chars, ok := p.classes()
			p.rules.Allowed += chars
			return ok
		}
	}
	return nil
}

// maxNumber bounds the numbers, so that they fit into an int of 32 bits. The limits of a policy are far below.
const maxNumber = 999_999_999

// number reads a number and sets kept to the choice between it and what was kept before, and at to the chosen one's
// offset.
func (p *parser) number(kept, at *int, choose func(a, b int) int) bool {
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(ascii.Digits, p.text[p.at]) >= 0 {
		p.at++
	}
	if p.at == start {
		return p.fail(p.found("", ""), "expected a number")
	}
	n, err := strconv.Atoi(p.text[start:p.at])
	if err != nil || n > maxNumber {
		p.at = start
		return p.fail("the number is too large", fmt.Sprintf("expected at most %d", maxNumber))
	}
	if chosen := choose(*kept, n); chosen != *kept {
		*kept, *at = chosen, start
	}
	return true
}

// classes reads a list of classes and returns the characters of all of them.
func (p *parser) classes() (chars string, ok bool) {
	for {
		one, ok := p.class()
		if !ok {
			return "", false
		}
		chars += one
		if p.skipSpace(); !p.take(',') {
			return ascii.Sorted(chars), true
		}
		p.skipSpace()
	}
}

func (p *parser) class() (chars string, ok bool) {
	start := p.at
	if p.take('[') {
		return p.bracket(start)
	}
	name := p.identifier()
	for _, class := range classes {
		if strings.EqualFold(class.name, name) {
			return class.chars, true
		}
	}
	p.at = start
	return "", p.fail(p.found("class", name),
		"expected lower, upper, digit, special, ascii-printable, unicode or characters in brackets, such as [-_.]")
}

// bracket reads the characters of a class up to the bracket that closes it. The bracket that opens it, at start, was
// read.
func (p *parser) bracket(start int) (chars string, ok bool) {
	for first := p.at; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		switch {
		case c == ']':
			return p.closeBracket(first)
		case c < ' ' || c == 0x7f:
			p.fail(p.found("", ""), "expected printable characters in brackets")
		case c == '-' && p.at > first:
			p.fail("a hyphen that is not the first character in its brackets", "expected the hyphen first: [-_.]")
		}
	}
	p.at = start
	return "", p.fail("brackets that are not closed", "expected ] at their end")
}

// closeBracket reads the "]" that ends the characters from first on, or the "]]" that means that "]" is one of them.
func (p *parser) closeBracket(first int) (chars string, ok bool) {
	p.at++
	end := p.at - 1
	if p.take(']') {
		end++
	}
	chars = asciiOnly(p.text[first:end])
	if chars == "" {
		p.at = first - 1
		return "", p.fail("brackets without an ASCII character", "expected characters in them, such as [-_.]")
	}
	return chars, true
}

// asciiOnly returns the ASCII characters of text.
func asciiOnly(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= utf8.RuneSelf {
			return -1
		}
		return c
	}, text)
}

// identifier reads a name: letters and hyphens.
func (p *parser) identifier() string {
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(ascii.Uppers+ascii.Lowers+"-", p.text[p.at]) >= 0 {
		p.at++
	}
	return p.text[start:p.at]
}

// atEnd reports whether a property ends here.
func (p *parser) atEnd() bool { return p.at == len(p.text) || p.text[p.at] == ';' }

func (p *parser) take(c byte) bool {
	if p.at == len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *parser) skipSpace() {
	for p.at < len(p.text) && strings.IndexByte(" \f\n\r\t", p.text[p.at]) >= 0 {
		p.at++
	}
}

// skipProperty goes to the end of a property that was not understood, so that the next property is read.
func (p *parser) skipProperty() {
	for !p.atEnd() {
		p.at++
	}
}

// found says what is at the next byte: an unknown name of a kind, if name is not empty.
func (p *parser) found(kind, name string) string {
	switch {
	case name != "":
		return fmt.Sprintf("unknown %s %q", kind, name)
	case p.at == len(p.text):
		return "the rules end"
	}
	for _, c := range p.text[p.at:] {
		return fmt.Sprintf("unexpected %q", c)
	}
	return ""
}

// fail notes a problem at the next byte, and returns false.
func (p *parser) fail(cause, remedy string) bool {
	p.problems = append(p.problems, Problem{Refusal: refusal.Refusal{Cause: cause, Remedy: remedy}, Offset: p.at})
	return false
}
