package password

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file is the wire format of Apple's password rules, and nothing else knows it:
//
//	rules    = [ property ] *( ";" [ property ] )
//	property = ( "minlength" / "maxlength" / "max-consecutive" ) ":" [ integer ]
//	         / ( "required" / "allowed" ) ":" [ class *( "," class ) ]
//	class    = "lower" / "upper" / "digit" / "special" / "ascii-printable" / "unicode" / "[" characters "]"
//
// Letter case of names does not matter, white space may stand between any two of these. In brackets stand printable
// characters; "-" only as the first, "]" only as the last ("[-a]]" holds "-", "a" and "]").
//
// Several `required` must all be met; the classes of one are alternatives, that is, their union. Of a repeated
// minlength the largest holds, of a repeated maxlength or max-consecutive the smallest, and 0 or nothing is as good as
// no property. The alphabet is what is required or allowed, and all printable ASCII where nothing is. The class
// "special" holds the space. Policies are ASCII: so "unicode" is taken as ascii-printable, and other characters in
// brackets are left out. A password of fewer characters is one that the rules allow.
//
// Where Apple's parser skips what it does not understand, this one refuses it.
//
// https://developer.apple.com/password-rules/
// https://github.com/apple/password-manager-resources/blob/main/tools/PasswordRulesParser.js

// rulesClasses are the named classes of the grammar, in the order in which they are printed.
var rulesClasses = []struct{ name, chars string }{
	{"ascii-printable", printables},
	{"unicode", printables},
	{"lower", lowers},
	{"upper", uppers},
	{"digit", digits},
	{"special", " " + symbols},
}

// passwordRules is a parsed string, in its canonical form: what means the same is equal.
type passwordRules struct {
	minLength, maxLength, maxConsecutive int // 0: not given

	required []string // the characters of each group, one of which must appear; sorted, no group twice
	allowed  string   // what may appear beside those; empty where there are none and all printable ASCII may appear
}

// parseRules returns the policy that a passwordrules string asks for, and what is wrong with the string, each problem
// with its offset in bytes from 0. The policy means something only if there is no problem.
func parseRules(text string) (Policy, []Problem) {
	rules, problems := parsePasswordRules(text)
	return rules.policy(), problems
}

// policy returns the rules as a policy. Its length is a single one: that of the default preset (32), or minlength
// where that is more, or maxlength where that is less. So it is never shorter than asked.
func (r passwordRules) policy() Policy {
	length := max(presets[0].policy.Length.Min, r.minLength)
	if r.maxLength > 0 {
		length = min(length, r.maxLength)
	}
	p := Policy{Length: Length{length, length}, MaxRun: r.maxConsecutive}
	for _, group := range r.required {
		p.Characters = append(p.Characters, Charset{Chars: group, Min: 1})
	}
	switch {
	case r.allowed != "":
		p.Characters = append(p.Characters, Charset{Chars: r.allowed})
	case len(r.required) == 0:
		p.Characters = []Charset{{Chars: printables}}
	}
	return p
}

// String returns the rules as a passwordrules string, which parses to the same rules.
func (r passwordRules) String() string {
	var properties []string
	add := func(name, value string) { properties = append(properties, name+": "+value+";") }
	addNumber := func(name string, n int) {
		if n > 0 {
			add(name, strconv.Itoa(n))
		}
	}
	addNumber("minlength", r.minLength)
	addNumber("maxlength", r.maxLength)
	for _, group := range r.required {
		add("required", rulesClassText(group))
	}
	if r.allowed != "" {
		add("allowed", rulesClassText(r.allowed))
	}
	addNumber("max-consecutive", r.maxConsecutive)
	return strings.Join(properties, " ")
}

// rulesClassText returns characters as a list of classes.
func rulesClassText(chars string) string {
	var names []string
	for _, class := range rulesClasses {
		if chars != "" && holdsChars(chars, class.chars) {
			names = append(names, class.name)
			chars = withoutChars(chars, class.chars)
		}
	}
	if chars != "" {
		names = append(names, "["+bracketOrder(chars)+"]")
	}
	return strings.Join(names, ", ")
}

// bracketOrder returns chars with "-" first and "]" last, where alone they may stand.
func bracketOrder(chars string) string {
	ordered := withoutChars(chars, "-]")
	if strings.Contains(chars, "-") {
		ordered = "-" + ordered
	}
	if strings.Contains(chars, "]") {
		ordered += "]"
	}
	return ordered
}

// A rulesParser reads one passwordrules string from front to back.
type rulesParser struct {
	text     string
	at       int // offset of the next byte
	rules    passwordRules
	problems []Problem
}

func parsePasswordRules(text string) (passwordRules, []Problem) {
	p := &rulesParser{text: text}
	for p.skipSpace(); p.at < len(p.text); p.skipSpace() {
		if p.take(';') {
			continue
		}
		if !p.property() {
			p.skipProperty()
		}
	}
	p.finish()
	return p.rules, p.problems
}

// finish brings the rules into their canonical form and checks what concerns several properties.
func (p *rulesParser) finish() {
	r := &p.rules
	slices.Sort(r.required)
	r.required = slices.Compact(r.required)
	r.allowed = withoutChars(sortedChars(r.allowed), sortedChars(r.required...))
	if len(r.required) == 0 && r.allowed == printables {
		r.allowed = ""
	}
	if r.maxLength > 0 && r.minLength > r.maxLength {
		p.problems = append(p.problems, Problem{
			Keys: []string{"rules"},
			Text: fmt.Sprintf("rules: minlength %d is above maxlength %d", r.minLength, r.maxLength),
			Want: "lower minlength or raise maxlength",
		})
	}
}

// property reads one property up to the ";" that ends it, and reports whether it was understood. If not, the parser
// stands at the byte that was not.
func (p *rulesParser) property() bool {
	start := p.at
	name := p.identifier()
	read := p.reader(strings.ToLower(name))
	if read == nil {
		p.at = start
		return p.fail(p.found(name), "want minlength, maxlength, max-consecutive, required or allowed")
	}
	p.skipSpace()
	if !p.take(':') {
		return p.fail(fmt.Sprintf("no colon after %q", name), "write "+name+": VALUE;")
	}
	if p.skipSpace(); p.atEnd() {
		return true
	}
	if !read() {
		return false
	}
	if p.skipSpace(); !p.atEnd() {
		return p.fail(p.found(""), "separate properties by a semicolon, classes by a comma")
	}
	return true
}

// reader returns what reads the value of the named property and keeps it. It is nil where there is no such property.
func (p *rulesParser) reader(name string) func() bool {
	larger := func(a, b int) int { return max(a, b) }
	smaller := func(a, b int) int {
		if a == 0 || b == 0 {
			return max(a, b)
		}
		return min(a, b)
	}
	switch name {
	case "minlength":
		return func() bool { return p.number(&p.rules.minLength, larger) }
	case "maxlength":
		return func() bool { return p.number(&p.rules.maxLength, smaller) }
	case "max-consecutive":
		return func() bool { return p.number(&p.rules.maxConsecutive, smaller) }
	case "required":
		return func() bool {
			chars, ok := p.classes()
			if ok {
				p.rules.required = append(p.rules.required, chars)
			}
			return ok
		}
	case "allowed":
		return func() bool {
			chars, ok := p.classes()
			p.rules.allowed += chars
			return ok
		}
	}
	return nil
}

// maxRulesNumber bounds the numbers of a passwordrules string, so that they fit into an int of 32 bits. The limits of
// a policy are far below.
const maxRulesNumber = 999_999_999

func (p *rulesParser) number(kept *int, choose func(a, b int) int) bool {
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(digits, p.text[p.at]) >= 0 {
		p.at++
	}
	if p.at == start {
		return p.fail(p.found(""), "want a number")
	}
	n, err := strconv.Atoi(p.text[start:p.at])
	if err != nil || n > maxRulesNumber {
		p.at = start
		return p.fail("the number is too large", fmt.Sprintf("want at most %d", maxRulesNumber))
	}
	*kept = choose(*kept, n)
	return true
}

// classes reads a list of classes and returns the characters of all of them.
func (p *rulesParser) classes() (chars string, ok bool) {
	for {
		one, ok := p.class()
		if !ok {
			return "", false
		}
		chars += one
		if p.skipSpace(); !p.take(',') {
			return sortedChars(chars), true
		}
		p.skipSpace()
	}
}

func (p *rulesParser) class() (chars string, ok bool) {
	start := p.at
	if p.take('[') {
		return p.bracket(start)
	}
	name := p.identifier()
	for _, class := range rulesClasses {
		if strings.EqualFold(class.name, name) {
			return class.chars, true
		}
	}
	p.at = start
	return "", p.fail(p.found(name),
		"want lower, upper, digit, special, ascii-printable, unicode or characters in brackets, such as [-_.]")
}

// bracket reads the characters of a class up to the bracket that closes it. The one that opens it, at start, is read.
func (p *rulesParser) bracket(start int) (chars string, ok bool) {
	for first := p.at; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		switch {
		case c == ']':
			return p.closeBracket(first)
		case c < ' ' || c == 0x7f:
			p.fail(p.found(""), "want printable characters in brackets")
		case c == '-' && p.at > first:
			p.fail("a - that is not the first of its brackets", "write the - first: [-_.]")
		}
	}
	p.at = start
	return "", p.fail("brackets that are not closed", "write ] at their end")
}

// closeBracket reads the bracket that ends the characters from first on, or the two that mean that "]" is one of them.
func (p *rulesParser) closeBracket(first int) (chars string, ok bool) {
	p.at++
	end := p.at - 1
	if p.take(']') {
		end++
	}
	chars = asciiOnly(p.text[first:end])
	if chars == "" {
		p.at = first - 1
		return "", p.fail("brackets without an ASCII character", "want characters in them, such as [-_.]")
	}
	return chars, true
}

// asciiOnly returns text without what is not ASCII.
func asciiOnly(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= utf8.RuneSelf {
			return -1
		}
		return c
	}, text)
}

// identifier reads a name: letters and hyphens.
func (p *rulesParser) identifier() string {
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(uppers+lowers+"-", p.text[p.at]) >= 0 {
		p.at++
	}
	return p.text[start:p.at]
}

// atEnd reports whether a property ends here.
func (p *rulesParser) atEnd() bool { return p.at == len(p.text) || p.text[p.at] == ';' }

func (p *rulesParser) take(c byte) bool {
	if p.at == len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *rulesParser) skipSpace() {
	for p.at < len(p.text) && strings.IndexByte(" \f\n\r\t", p.text[p.at]) >= 0 {
		p.at++
	}
}

// skipProperty goes to the end of a property that was not understood, so that the next one is read too.
func (p *rulesParser) skipProperty() {
	for !p.atEnd() {
		p.at++
	}
}

// found says what stands here, which is name if that is not empty.
func (p *rulesParser) found(name string) string {
	switch {
	case name != "":
		return fmt.Sprintf("unknown %q", name)
	case p.at == len(p.text):
		return "the rules end"
	}
	for _, c := range p.text[p.at:] {
		return fmt.Sprintf("unexpected %q", c)
	}
	return ""
}

// fail keeps a problem with what stands here, and returns false.
func (p *rulesParser) fail(text, want string) bool {
	p.problems = append(p.problems, Problem{
		Keys: []string{"rules"},
		Text: fmt.Sprintf("rules, offset %d: %s", p.at, text),
		Want: want,
	})
	return false
}
