package declaration

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/grammar"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/lifecycle"
)

// checkTemplate checks the template of a secret against its parts.
func (r *resolver) checkTemplate(s *grammar.Secret, secret Secret) {
	switch {
	case s.Template != nil:
		r.checkReferences(s, secret.Parts)
	case len(secret.Parts) > 1 && s.Sound:
		r.Refuse(s.Generate.Place, fmt.Sprintf("the secret has %d parts and no value", len(secret.Parts)),
			"add value, which combines the parts")
	}
}

// checkSize checks that Key Vault accepts the longest value of a secret. The parts must be compiled. Their characters
// are ASCII, so that each is a byte.
func (r *resolver) checkSize(s *grammar.Secret, secret Secret) {
	longest := map[string]int{}
	for _, part := range secret.Parts {
		_, longest[part.Name] = part.Space.Lengths()
	}
	size, at := longest[secret.Parts[0].Name], s.Place
	if s.Value.Given() {
		at = s.Value.Place
		for _, login := range append([]string{secret.Login}, secret.Logins...) {
			size = max(size, secret.Value.MaxLen(func(name string) int { return longest[name] }, login))
		}
	}
	if size > grammar.MaxValue {
		r.Refuse(at, fmt.Sprintf("the value may have %d bytes", size), grammar.ValueRemedy())
	}
}

// checkReferences notes unknown names in the template. If there are none, it notes the parts that the template does not
// use: otherwise a misspelt part would be two mistakes.
func (r *resolver) checkReferences(s *grammar.Secret, parts []Part) {
	var known []string
	isKnown := map[string]bool{}
	for _, part := range parts {
		known = append(known, part.Name)
		isKnown[part.Name] = true
	}
	if s.HasLogin {
		known = append(known, composite.Login)
		isKnown[composite.Login] = true
	}
	var mentions []composite.Reference
	if s.Value.Given() {
		mentions = s.Value.Value.References()
	} else {
		mentions = composite.Mentions(strict.Value(s.Template))
	}
	unknown := slices.DeleteFunc(mentions, func(ref composite.Reference) bool {
		return isKnown[ref.Name]
	})
	if s.Value.Given() && len(unknown) == 0 {
		r.checkLeftOut(s, parts)
	}
	r.unknownReferences(s, unknown, known)
}

// checkLeftOut notes the parts that a sound template does not use.
func (r *resolver) checkLeftOut(s *grammar.Secret, parts []Part) {
	used := map[string]bool{}
	for _, name := range s.Value.Value.Names() {
		used[name] = true
	}
	for _, part := range parts {
		if !used[part.Name] {
			name := strict.Clip(part.Name)
			r.Refuse(s.Value.Place, fmt.Sprintf("value does not use the part %q", name),
				r.remedyForValue(s.Value.Value.Text(), name))
		}
	}
}

// unknownReferences notes the unknown names in the template.
func (r *resolver) unknownReferences(s *grammar.Secret, unknown []composite.Reference, known []string) {
	var offsets []int
	for _, ref := range unknown {
		offsets = append(offsets, ref.Offset)
	}
	for i, place := range r.PlacesIn(s.Template, offsets) {
		switch {
		case unknown[i].Name == composite.Login:
			r.Refuse(place, "value refers to ${login}, and the secret has no login", "add login to the secret")
		case len(known) > 0: // otherwise generate was refused while it was read
			r.Unknown(place, "part", unknown[i].Name, "", known)
		}
	}
}

// fingerprintLen is the length of the fingerprint of a composite, in hexadecimal digits: that of a policy's.
const fingerprintLen = 12

// policyTag says what a version of the secret was made to: the policy's name and fingerprint, or, where a template
// makes the value, a fingerprint of all its parts, the template and the login. It differs whenever another declaration
// would make other values.
func (r *resolver) policyTag(s Secret) lifecycle.PolicyTag {
	if s.Value == nil {
		return lifecycle.NewPolicyTag(s.Parts[0].Policy, r.fingerprints[s.Parts[0].Space])
	}
	hash := sha256.New()
	write := func(text string) { _, _ = io.WriteString(hash, strconv.Quote(text)) }
	write(s.Value.Text())
	write(s.Login)
	for _, login := range slices.Sorted(slices.Values(s.Logins)) {
		write(login)
	}
	for _, part := range s.Parts {
		write(part.Name)
		write(r.fingerprints[part.Space])
	}
	return lifecycle.NewPolicyTag(grammar.Composite, hex.EncodeToString(hash.Sum(nil))[:fingerprintLen])
}

// remedyForValue says what a value lacks that does not use a part: the part, or that it is no template at all.
func (r *resolver) remedyForValue(text, part string) string {
	if _, ok := r.policies[text]; ok {
		return fmt.Sprintf("for a policy, write policy: %s; a value is a template with ${%s} in it", text, part)
	}
	return "add ${" + part + "} to it"
}
