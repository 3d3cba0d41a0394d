package action

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/report"
	"keyvault-passwords/internal/runner"
)

// A selection is which of the declared secrets the run is about. The zero selection: all of them.
type selection struct {
	given    bool
	patterns []string // names, VAULT/NAME, or globs of these
}

// isEmpty reports whether an empty list was given, which selects nothing.
func (s selection) isEmpty() bool { return s.given && len(s.patterns) == 0 }

// only reads the input of that name: one pattern a line, or a JSON array of them, as the outputs are.
func (c *checker) only() (s selection) {
	text := c.runner.Input(inputOnly)
	var patterns []string
	switch err := json.Unmarshal([]byte(text), &patterns); {
	case text == "":
		return s
	case strings.HasPrefix(text, "[") && err == nil:
		if slices.Contains(patterns, "") {
			c.problem(inputOnly, "it is an array with an empty name; expected names, or [] to select nothing")
			return s
		}
	case strings.HasPrefix(text, `["`):
		c.problem(inputOnly, "it is not a JSON array of names; expected one such as [\"a\",\"b\"], or one name a line")
		return s
	default:
		patterns = strings.Split(text, "\n")
	}
	s.given = true
	for _, pattern := range patterns {
		pattern = strings.TrimSpace(pattern)
		if pattern == "" {
			continue
		}
		if _, err := path.Match(pattern, ""); err != nil {
			c.problem(inputOnly, "%q is not a glob; expected a name, or a pattern of *, ? and [a-z]", pattern)
			continue
		}
		s.patterns = append(s.patterns, pattern)
	}
	return s
}

// of returns the secrets that a pattern of the selection matches, letter case aside, and an error for each pattern that
// matches none. A secret that is selected in one of its vaults is selected in all: they hold one value.
func (s selection) of(secrets []declaration.Secret) (chosen []declaration.Secret, mistakes []error) {
	if !s.given {
		return secrets, nil
	}
	hit := make([]bool, len(secrets))
	for _, pattern := range s.patterns {
		matched := false
		for i := range secrets {
			if matches(pattern, &secrets[i]) {
				hit[i], matched = true, true
			}
		}
		if !matched {
			mistakes = append(mistakes,
				fmt.Errorf("input %s: %q matches no declared secret; expected the name of one, a glob, or VAULT/NAME",
					inputOnly, pattern))
		}
	}
	for i, secret := range secrets {
		if hit[i] {
			chosen = append(chosen, secret)
		}
	}
	return chosen, mistakes
}

// matches reports whether a pattern is that of a secret: of its name, or of VAULT/NAME with a real name of a vault.
// Patterns are checked with the inputs, so that an error cannot happen here.
func matches(pattern string, s *declaration.Secret) bool {
	pattern, name := strings.ToLower(pattern), strings.ToLower(s.Name)
	if ok, _ := path.Match(pattern, name); ok {
		return true
	}
	for _, v := range s.Vaults {
		if ok, _ := path.Match(pattern, v.Name+"/"+name); ok {
			return true
		}
	}
	return false
}

// nothingSelected ends a run that has nothing to do, as when an audit before it found nothing that is due.
func (r *run) nothingSelected() error {
	const text = "The input only is an empty list: there is nothing to do, and nothing was contacted."
	r.runner.Print(text)
	if err := r.runner.Summarize(report.Nothing(text)); err != nil {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelWarning, Text: err.Error()})
	}
	return r.writeNoOutputs()
}
