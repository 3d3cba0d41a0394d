package declaration

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"keyvault-passwords/internal/declaration/internal/grammar"
	"keyvault-passwords/internal/password"
	"keyvault-passwords/internal/refusal"
)

// partPassword is the name of the one part of a secret that does not name its parts, and of the password among several.
const partPassword = "password"

// parts compiles what is generated for a secret.
func (r *resolver) parts(s *grammar.Secret) []Part {
	if !s.Generate.Given() {
		return []Part{r.part(partPassword, s.Policy, s)}
	}
	var parts []Part
	for _, p := range s.Generate.Value {
		parts = append(parts, r.part(p.Name, p.Policy, s))
	}
	return parts
}

// part compiles one part. Its Space is nil if its policy was refused.
func (r *resolver) part(name string, use grammar.Located[grammar.PolicyUse], s *grammar.Secret) Part {
	policy, at := use.Value.Inline, use.Place
	if policy == nil {
		if !use.Given() {
			at = s.Place
		} else if use.Value.Name == "" {
			return Part{Name: name} // refused while it was read
		}
		policy = r.policyNamed(use, at)
	}
	if policy == nil || !policy.Sound {
		return Part{Name: name}
	}
	logins := loginsTogether(s)
	part := Part{Name: name, Policy: policy.Name, rules: withLogin(policy.Rules, logins)}
	if use.Value.Inline != nil {
		part.Space = r.compileWritten(policy, logins, s.Login.Place)
	} else {
		part.Space = r.compileNamed(policy, at, s)
	}
	return part
}

// loginsTogether returns the logins of a secret as a policy takes them. Their order does not matter.
func loginsTogether(s *grammar.Secret) string {
	return strings.Join(slices.Sorted(slices.Values(s.Login.Value)), "\n")
}

func withLogin(policy password.Policy, login string) password.Policy {
	policy.Login = login
	return policy
}

// presets returns the presets as if they were under policies.
func presets() map[string]*grammar.Policy {
	policies := map[string]*grammar.Policy{}
	for _, name := range password.Presets() {
		rules, ok := password.Preset(name)
		policies[name] = &grammar.Policy{Name: name, Source: name, Rules: rules, Sound: ok}
	}
	return policies
}

// policyNamed returns the policy that is used by its name, and notes a name that is none; nil if it was refused.
func (r *resolver) policyNamed(use grammar.Located[grammar.PolicyUse], at Place) *grammar.Policy {
	name := cmp.Or(use.Value.Name, "default")
	policy, ok := r.policies[name]
	if !ok {
		r.Unknown(at, "policy", name, "", r.policyNames, grammar.HintForPolicy(r.Reader, use), hintForPolicy(name))
	}
	return policy
}

// compileAll compiles every policy under policies, including unused ones.
func (r *resolver) compileAll(policies map[string]*grammar.Policy) {
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		r.policies[name] = nil
		if policy := policies[name]; policy.Sound && r.compileWritten(policy, "", Place{}) != nil {
			r.policies[name] = policy
		}
	}
}

// compileWritten compiles a policy where it is written out, and notes each problem at the key concerned. login is the
// place of the login; zero if there is none.
func (r *resolver) compileWritten(policy *grammar.Policy, logins string, login Place) *password.Space {
	space, err := r.compile(policy, logins)
	for _, p := range problemsOf(err) {
		r.Refuse(policy.PlaceOf(r.Reader, p, login), p.Cause, p.Remedy)
	}
	return space
}

// compileNamed compiles a policy that is referred to by name, with the secret's login. The policy alone was accepted,
// so a problem is placed at the login, or at the name.
func (r *resolver) compileNamed(policy *grammar.Policy, at Place, s *grammar.Secret) *password.Space {
	space, err := r.compile(policy, loginsTogether(s))
	if s.Login.Given() {
		at = s.Login.Place
	}
	for _, p := range problemsOf(err) {
		r.Refuse(at, fmt.Sprintf("policy %s with this login: %s", policy.Name, p.Cause), p.Remedy)
	}
	return space
}

// A policyKey identifies a policy with a login.
type policyKey struct{ source, login string }

// compiled is the result of compiling a policy.
type compiled struct {
	space *password.Space
	err   error
}

// compile compiles a policy with a login, once for all secrets that have both. A policy written out in many secrets is
// one too.
func (r *resolver) compile(policy *grammar.Policy, login string) (*password.Space, error) {
	key := policyKey{source: policy.Source, login: login}
	done, ok := r.compiled[key]
	if !ok {
		if done.space, done.err = password.Compile(withLogin(policy.Rules, login)); done.err == nil {
			r.fingerprints[done.space] = done.space.Fingerprint()
		}
		r.compiled[key] = done
	}
	return done.space, done.err
}

// problemsOf returns the problems of a refusal by password.Compile; none of nil.
func problemsOf(err error) []password.Problem {
	if refused, ok := errors.AsType[*password.Error](err); ok {
		return refused.Problems
	}
	if err != nil {
		return []password.Problem{{Refusal: refusal.Refusal{Cause: "the policy is refused: " + err.Error()}}}
	}
	return nil
}

// hintForPolicy says where a text belongs that is given as a policy's name; "" if that is not known.
func hintForPolicy(text string) string {
	switch {
	case grammar.IsPasswordRules(text):
		return "for password rules, write policy: {rules: ...}"
	case strings.Contains(text, "${"):
		return "for a template, write value: ..."
	case slices.Contains(password.Classes(), text):
		return fmt.Sprintf("for a class of characters, write policy: {characters: [{from: %s}]}", text)
	case strings.ContainsAny(text, `[](){}|\^$+*?`):
		return "for a pattern that no password matches, write policy: {forbid-patterns: [...]}"
	}
	return ""
}
