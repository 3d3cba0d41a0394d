package internal_test

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/action"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/password"
)

// The kinds of names that a text may give.
const (
	anInput = "input"
	aMode   = "mode"
	aKey    = "key of the declaration"
	aWord   = "word of the declaration" // a preset, a class, a filter, ...
)

// A vocabulary is the real names, by kind.
type vocabulary map[string][]string

// names are the forms in which a text gives a name, and what kinds it may be of. A word that is no name but follows in
// plain English is among others.
var names = []struct {
	form   *regexp.Regexp
	kinds  []string
	others string
}{
	{
		form:   regexp.MustCompile(`\b[Ii]nputs? ([a-z][a-z-]*)`),
		kinds:  []string{anInput},
		others: "and are does holds in is of or stands that takes to type was were which",
	},
	{
		form:   regexp.MustCompile(`\b[Ii]nputs [a-z-]+(?:, [a-z-]+)* and ([a-z][a-z-]*)`),
		kinds:  []string{anInput},
		others: "declaration",
	},
	{
		form:   regexp.MustCompile(`\b[Ss]et ([a-z][a-z-]*)(?: to\b|:)`),
		kinds:  []string{anInput, aKey},
		others: "it them up",
	},
	{
		form:  regexp.MustCompile(`\b([a-z][a-z-]*): (?:true|false)\b`),
		kinds: []string{anInput, aKey},
	},
	{
		form:   regexp.MustCompile(`\b[Dd]eclare ([a-z][a-z-]*)`),
		kinds:  []string{aKey},
		others: "a an another each it one the them",
	},
	{
		form:   regexp.MustCompile(`\b(?:[Aa]dd|[Rr]emove) ([a-z][a-z-]*)(?:,| (?:to|from) (?:the|its|rotate)\b)`),
		kinds:  []string{anInput, aKey},
		others: "it",
	},
	{
		form:  regexp.MustCompile(`\b[Cc]heck(?: the inputs?)? ([a-z]+-[a-z-]+)\b`),
		kinds: []string{anInput, aKey},
	},
	{
		form:   regexp.MustCompile(`\bmodes? ([a-z]+)`),
		kinds:  []string{aMode},
		others: "does is that",
	},
	{
		form:  regexp.MustCompile(`\bmode: ([a-z]+)`),
		kinds: []string{aMode},
	},
	{
		form:   regexp.MustCompile("`([a-z][a-z-]+):?`"),
		kinds:  []string{anInput, aMode, aKey, aWord},
		others: "aa aaa abc abcd english required operation password passwordrules",
	},
}

// unknown returns each name in a text that is none, with what it should be, and how many names there are.
func (v vocabulary) unknown(text string) (wrong []string, found int) {
	for _, n := range names {
		for _, match := range n.form.FindAllStringSubmatch(text, -1) {
			name := match[1]
			if slices.Contains(strings.Fields(n.others), name) {
				continue
			}
			found++
			if !slices.ContainsFunc(n.kinds, func(kind string) bool { return slices.Contains(v[kind], name) }) {
				wrong = append(wrong, name+" is no "+strings.Join(n.kinds, " or "))
			}
		}
	}
	return wrong, found
}

// vocabularyOf returns the names that the program knows.
func vocabularyOf(t *testing.T, packages []checked) vocabulary {
	t.Helper()
	v := vocabulary{anInput: action.InputNames()}
	for _, mapping := range declaration.Grammar() {
		for _, key := range mapping.Keys {
			v[aKey] = append(v[aKey], key.Name)
		}
	}
	for _, words := range [][]string{
		password.Presets(), password.Classes(), password.Dictionaries(), composite.Filters(), lifecycle.OwnTags(),
		declaration.AuditRules(), declaration.UndeclaredWords(),
	} {
		v[aWord] = append(v[aWord], words...)
	}
	for _, c := range packages { // the modes are the constants of a type Mode
		for _, name := range c.scope.Names() {
			if known, ok := c.scope.Lookup(name).(*types.Const); ok {
				if of, ok := known.Type().(*types.Named); ok && of.Obj().Name() == "Mode" {
					v[aMode] = append(v[aMode], constant.StringVal(known.Val()))
				}
			}
		}
	}
	for kind, least := range map[string]int{anInput: 15, aMode: 3, aKey: 40, aWord: 40} {
		if len(v[kind]) < least {
			t.Errorf("%d names of the kind %q; expected %d at least", len(v[kind]), kind, least)
		}
	}
	return v
}

// gap stands in a text for what is known only when the program runs.
const gap = "\x00"

// textOf returns what an expression says, constants and concatenations of them as they are.
func (c checked) textOf(e ast.Expr) string {
	if value := c.values[e].Value; value != nil && value.Kind() == constant.String {
		return constant.StringVal(value)
	}
	if sum, ok := e.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		return c.textOf(sum.X) + c.textOf(sum.Y)
	}
	return gap
}

// texts returns all texts of a package, each with its place.
func (c checked) texts() map[string][]string {
	all := map[string][]string{}
	for _, file := range c.syntax {
		ast.Inspect(file, func(node ast.Node) bool {
			e, ok := node.(ast.Expr)
			if !ok {
				return true
			}
			text := c.textOf(e)
			if text == gap {
				return true
			}
			text = regexp.MustCompile(`%[-+#0-9.]*[a-zA-Z]`).ReplaceAllString(text, gap)
			all[c.place(e)] = append(all[c.place(e)], text)
			return false
		})
	}
	return all
}

// TestMessagesNameWhatExists holds every input, mode and key that a text of the program names against those that exist.
func TestMessagesNameWhatExists(t *testing.T) {
	packages := program(t)
	v := vocabularyOf(t, packages)
	total := 0
	for _, c := range packages {
		for place, texts := range c.texts() {
			for _, text := range texts {
				wrong, found := v.unknown(text)
				total += found
				for _, problem := range wrong {
					t.Errorf("%s: %s: %q", place, problem, text)
				}
			}
		}
	}
	if total < 50 {
		t.Errorf("%d names in all texts; the test looks at less than what they name", total)
	}
}

// Each form of a wrong name is found.
func TestMessagesWithWrongNames(t *testing.T) {
	v := vocabularyOf(t, program(t))
	for text, want := range map[string][]string{
		"to replace it, set the input adopt: true": nil,
		"to replace it, set the input adpt: true": {"adpt is no input",
			"adpt is no input or key of the declaration"},
		"check the inputs tenant-id and client-di":        {"client-di is no input"},
		"check tenant-ids, or ask whoever runs the proxy": {"tenant-ids is no input or key of the declaration"},
		"remove aply from the declaration":                {"aply is no input or key of the declaration"},
		"add logins to the secret":                        {"logins is no input or key of the declaration"},
		"set min-entropie to 45":                          {"min-entropie is no input or key of the declaration"},
		"to accept less, declare min-entropy: 45":         nil,
		"to accept less, declare entropy: 45":             {"entropy is no key of the declaration"},
		"run with mode: rotat":                            {"rotat is no mode"},
		"run with mode renew, which replaces all":         {"renew is no mode"},
		"the input is empty; expected one of `defaultt`":  {"defaultt is no input or mode or key of the declaration or word of the declaration"},
	} {
		if got, _ := v.unknown(text); cmp.Diff(want, got) != "" {
			t.Errorf("%q: %q; want %q", text, got, want)
		}
	}
}
