package declaration

import (
	"fmt"
	"strings"

	"keyvault-passwords/internal/declaration/internal/grammar"
	"keyvault-passwords/internal/password"
)

// What Azure takes as the password of a server's administrator: see [password.Presets].
const (
	minAdministrator     = 8
	maxAdministrator     = 128
	classesAdministrator = 3
)

// checkAzure checks what the administrator's password of an Azure server needs. It is set after the vault has it, so
// one that Azure refuses is found here and not then.
func (r *resolver) checkAzure(s *grammar.Secret, secret Secret, password string) {
	if len(s.Login.Value) == 2 {
		r.Refuse(s.Login.Place, "a server has one administrator, and the secret has two logins", "expected one login")
	}
	for _, part := range secret.Parts {
		if part.Name != password || part.Space == nil {
			continue
		}
		const remedy = "expected 8 to 128 characters of three of lower, upper, digit, symbol, as in the presets " +
			"azure-sql, azure-postgresql and azure-mysql"
		shortest, longest := part.Space.Lengths()
		alphabet, _, _ := part.Space.Characters()
		at := placeOfPolicy(s)
		switch {
		case shortest < minAdministrator || longest > maxAdministrator:
			r.Refuse(at, fmt.Sprintf("Azure refuses an administrator's password of %d to %d characters", shortest,
				longest), remedy)
		case classesIn(alphabet) < classesAdministrator:
			r.Refuse(at, "Azure refuses an administrator's password of these characters", remedy)
		case part.rules.Rules == "" && classesCertain(part.rules) < classesAdministrator:
			r.warn(at, "the policy allows passwords that Azure refuses of an administrator", remedy)
		}
	}
}

// placeOfPolicy returns the place of what generates the secret.
func placeOfPolicy(s *grammar.Secret) Place {
	switch {
	case s.Policy.Given():
		return s.Policy.Place
	case s.Generate.Given():
		return s.Generate.Place
	}
	return s.Place
}

// administratorClasses are the classes of which Azure asks for three. Any other character is a symbol.
func administratorClasses() []func(c rune) bool {
	within := func(from, to rune) func(rune) bool { return func(c rune) bool { return from <= c && c <= to } }
	lower, upper, digit := within('a', 'z'), within('A', 'Z'), within('0', '9')
	return []func(rune) bool{lower, upper, digit, func(c rune) bool { return !lower(c) && !upper(c) && !digit(c) }}
}

// classesIn returns of how many classes a text has a character.
func classesIn(text string) (count int) {
	for _, class := range administratorClasses() {
		if strings.ContainsFunc(text, class) {
			count++
		}
	}
	return count
}

// classesCertain returns of how many classes every password of a policy has a character, as its minimums say.
func classesCertain(p password.Policy) (count int) {
	certain, single := map[int]bool{}, map[int]bool{}
	for _, set := range p.Characters {
		class := classOf(set)
		single[class] = true
		if set.Min > 0 {
			certain[class] = true
		}
	}
	delete(certain, -1)
	switch {
	case p.Passphrase != nil:
		return classesOfPhrase(*p.Passphrase)
	case len(p.Characters) == 0:
		return len(administratorClasses()) // those of default
	case !single[-1] && len(single) == len(p.Characters):
		return max(len(certain), p.Sets) // one of each class
	}
	return len(certain)
}

// classOf returns the index of the class that all characters of a set are in; -1 if there is none.
func classOf(set password.Charset) int {
	switch set.From {
	case "lower":
		return 0
	case "upper":
		return 1
	case "digit":
		return 2
	case "symbol", "safe-symbol":
		return 3
	}
	for i, class := range administratorClasses() {
		if set.Chars != "" && !strings.ContainsFunc(set.Chars, func(c rune) bool { return !class(c) }) {
			return i
		}
	}
	return -1
}

// classesOfPhrase returns of how many classes every passphrase has a character.
func classesOfPhrase(p password.Passphrase) int {
	sample := "a" // the words have lower-case letters, also where the first of each is not
	if p.Words > 1 {
		sample += p.Separator
	}
	if p.Capitalize {
		sample += "A"
	}
	if p.Digit {
		sample += "0"
	}
	return classesIn(sample)
}
