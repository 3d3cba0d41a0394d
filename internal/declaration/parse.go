package declaration

import (
	"maps"
	"slices"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/grammar"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/password"
)

// Parse reads and checks a declaration. An error is of type Problems: every mistake of the text, in its order, of which
// the first thousand found are kept. With an error, the declaration is nil.
//
// A text of more than 1 MiB or 40,000 lines is refused before it is parsed, and so is one that is nested deeper than 20
// levels or grows beyond 300,000 values through aliases.
func Parse(source Source) (*Declaration, error) {
	text, problem := strict.Open(source.File, source.Text)
	if problem != nil {
		return nil, Problems{*problem}
	}
	declaration := resolve(text, grammar.Read(text, source.Inline), source)
	if text.Found() > 0 {
		return nil, text.Problems()
	}
	return declaration, nil
}

// A resolver resolves the references of the secrets, and makes the declaration.
type resolver struct {
	*strict.Reader
	policies     map[string]*grammar.Policy // the user's own, and the presets. Nil: refused
	policyNames  []string                   // the user's own first
	aliases      map[string]Vault
	vault        *Vault           // the default vault; nil if there is none
	places       map[string]Place // of what names a vault, by its real name
	vaultRefused bool             // the reason why there is no default vault has been reported
	cloud        *azure.Cloud     // nil until an input or a vault URL names one
	compiled     map[policyKey]compiled
	fingerprints map[*password.Space]string
	characters   map[*password.Space]composite.Characters
	applied      map[string]string // the secrets that set each login at each target
	warnings     strict.Problems
}

// resolve makes a declaration of what was written. Its result is valid only if there are no problems.
func resolve(text *strict.Reader, d grammar.Declaration, source Source) *Declaration {
	r := &resolver{
		Reader: text, policies: presets(), aliases: map[string]Vault{}, places: map[string]Place{}, cloud: source.Cloud,
		policyNames:  slices.Concat(slices.Sorted(maps.Keys(d.Policies)), password.Presets()),
		vaultRefused: d.Misspelt || d.VaultRefused || source.VaultRefused || source.NoVaultNeeded,
		compiled:     map[policyKey]compiled{}, fingerprints: map[*password.Space]string{},
		characters: map[*password.Space]composite.Characters{}, applied: map[string]string{},
	}
	r.findDefault(d.Vault, source.Vault)
	r.nameVaults(d.Vaults)
	r.compileAll(d.Policies)
	declaration := &Declaration{
		Cloud: azure.Public(), Audit: auditOf(d.Audit), Places: Places{Secrets: d.SecretsPlace, Vaults: r.places},
	}
	for _, secret := range d.Secrets {
		declaration.Secrets = append(declaration.Secrets, r.secret(secret))
	}
	if r.cloud != nil {
		declaration.Cloud = *r.cloud
	}
	declaration.Warnings = r.warnings.Sorted()
	return declaration
}

// secret makes a secret of what was written.
func (r *resolver) secret(s *grammar.Secret) Secret {
	secret := Secret{
		Name: s.Name, Place: s.Place, Vaults: r.vaultsOf(s), Parts: r.parts(s), Value: s.Value.Value,
		ContentType: s.ContentType, Tags: s.Tags, Terms: termsOf(s),
	}
	switch logins := s.Login.Value; len(logins) {
	case 1:
		secret.Login = logins[0]
	case 2:
		secret.Logins = logins
	}
	secret.Apply = r.applyOf(s, secret)
	r.checkLifecycle(s)
	r.warnOfLifecycle(s)
	r.checkTemplate(s, secret)
	if len(secret.Parts) > 0 && !slices.ContainsFunc(secret.Parts, func(p Part) bool { return p.Space == nil }) {
		r.checkSize(s, secret)
		r.warnOfSurroundings(s, secret)
		secret.PolicyTag = r.policyTag(secret)
	}
	return secret
}

// termsOf returns what is declared of a secret's life, but for the policy's tag.
func termsOf(s *grammar.Secret) lifecycle.Terms {
	rotate := s.Rotate.Value
	terms := lifecycle.Terms{
		Expires: s.Expires.Value, NotBefore: s.NotBefore.Value,
		Rotate: lifecycle.Rotate{
			After: rotate.After.Value, BeforeExpiry: rotate.BeforeExpiry.Value, OnPolicyChange: rotate.OnPolicyChange,
		},
	}
	if s.Superseded.Given() {
		terms.Superseded = &lifecycle.Superseded{DisableAfter: s.Superseded.Value.DisableAfter.Value}
	}
	if len(s.Login.Value) == 2 {
		terms.KeepFor = readersKeep
	}
	terms.Confirm = s.Apply.Given() && s.Apply.Value.Azure.Given()
	return terms
}
