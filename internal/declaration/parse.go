package declaration

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"keyvault-passwords/internal/declaration/internal/strict"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/password"
)

// A spec is a declaration as it was read: what refers to vaults and policies is not looked up yet.
type spec struct {
	vault, vaults *strict.Node
	policies      map[string]*policyDraft
	secrets       []*secretSpec
	misspelt      bool // a key of the top mapping is unknown: what it was meant to say is not missed as well
}

// maxValue is what Key Vault takes as a value, in bytes: 25 KB.
// https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
const maxValue = 25 * 1024

// Parse reads and checks a declaration. The error is Problems: every mistake of the text, in its order (the first
// thousand found). There is no declaration beside an error.
//
// A text of more than 1 MiB or 40,000 lines, or nested deeper than 20 levels, or that grows beyond 300,000 values through
// aliases, is refused before it costs more than that.
func Parse(source Source) (*Declaration, error) {
	text, problem := strict.Open(source.File, source.Text)
	if problem != nil {
		return nil, Problems{*problem}
	}
	r := &reader{Reader: text}
	declaration := r.resolve(r.readSpec(source.Inline), source)
	if r.Found() > 0 {
		return nil, r.Problems()
	}
	return declaration, nil
}

// readSpec reads the whole text: the top mapping, or what the inline input holds of it.
func (r *reader) readSpec(inline bool) spec {
	var s spec
	top := r.Top()
	const want = "expected a mapping, with secrets: in it"
	switch {
	case top == nil || strict.KindOf(top) == strict.Empty:
		r.Refuse(r.Whole(), "the declaration is empty", "expected a mapping of names to secrets")
	case inline:
		if !r.refuseWhole(top) {
			s.secrets = r.readSecrets(top, "the declaration")
		}
	default:
		before := r.Found()
		ok := readFields(r, top, "the declaration", want, topFields, &s)
		s.misspelt = ok && hasUnknown(top, namesOf(topFields))
		if ok && s.secrets == nil && r.Found() == before {
			r.Refuse(r.Place(top), "the declaration has no secrets", want)
		}
		if s.misspelt && lacksSecrets(top) {
			r.Refuse(r.Place(top), "the declaration has no secrets", "expected their names under secrets: and indented")
		}
	}
	return s
}

// hasUnknown reports whether a mapping has a key that is not known.
func hasUnknown(mapping *strict.Node, known []string) bool {
	return slices.ContainsFunc(strict.EntriesOf(mapping), func(e strict.Entry) bool {
		return !slices.Contains(known, e.Name())
	})
}

// lacksSecrets reports whether a mapping has no key secrets, nor one that may be meant to be it: then its other keys may
// be names of secrets. It looks at the first hundred: searching for what is near costs time.
func lacksSecrets(mapping *strict.Node) bool {
	entries := strict.EntriesOf(mapping)
	return !slices.ContainsFunc(entries[:min(len(entries), 100)], func(e strict.Entry) bool {
		return strict.Nearest(e.Name(), []string{"secrets"}) != ""
	})
}

// refuseWhole notes a whole declaration where the inline input takes only what is under secrets, and reports whether it
// is one: what else is wrong with it as secrets is no news.
func (r *reader) refuseWhole(top *strict.Node) bool {
	for _, entry := range strict.EntriesOf(top) {
		within := strict.EntriesOf(entry.Value)
		if entry.Name() != "secrets" || len(within) == 0 {
			continue
		}
		if !slices.Contains(namesOf(secretFields), within[0].Name()) {
			r.Refuse(r.Place(entry.Key), "the secrets input holds a whole declaration", "expected what is under secrets: alone; a whole declaration goes into a file")
			return true
		}
	}
	return false
}

// A resolver looks up what the secrets refer to, and makes the declaration.
type resolver struct {
	*reader
	policies     map[string]*policyDraft // the user's own
	named        map[string]*policyDraft // these and the presets
	policyNames  []string                // of named, the user's own first
	aliases      map[string]Vault
	vault        *Vault // of secrets that name none; nil if there is none
	vaultRefused bool   // that there is none has been said
	cloud        *azure.Cloud
	compiled     map[policyKey]compiled
	fingerprints map[*password.Set]string
}

// resolve looks up every reference. Its result is of use only if there are no problems.
func (r *reader) resolve(s spec, source Source) *Declaration {
	res := &resolver{
		reader: r, policies: s.policies, named: presets(), aliases: map[string]Vault{},
		vaultRefused: s.misspelt || source.VaultRefused, cloud: source.Cloud,
		compiled: map[policyKey]compiled{}, fingerprints: map[*password.Set]string{},
	}
	maps.Copy(res.named, s.policies)
	res.policyNames = slices.Concat(slices.Sorted(maps.Keys(s.policies)), password.Presets())
	res.readDefault(s.vault, source.Vault)
	if s.vaults != nil {
		res.readAliases(s.vaults)
	}
	res.checkPolicies()
	declaration := &Declaration{Cloud: azure.Public()}
	for _, secret := range s.secrets {
		declaration.Secrets = append(declaration.Secrets, res.secret(secret))
	}
	if res.cloud != nil {
		declaration.Cloud = *res.cloud
	}
	return declaration
}

// secret makes one secret.
func (r *resolver) secret(s *secretSpec) Secret {
	secret := Secret{
		Name: s.name, Place: s.place, Vaults: r.vaultsOf(s), Parts: r.parts(s), Value: s.value.value, Login: s.login.value,
		ContentType: s.contentType, Tags: s.tags, Terms: s.terms(),
	}
	r.checkLifecycle(s)
	r.checkTemplate(s, secret)
	if len(secret.Parts) > 0 && !slices.ContainsFunc(secret.Parts, func(p Part) bool { return p.Set == nil }) {
		r.checkSize(s, secret)
		secret.PolicyTag = r.policyTag(secret)
	}
	return secret
}

// terms returns what is declared of the secret's life, but for the policy's tag.
func (s *secretSpec) terms() lifecycle.Terms {
	rotate := s.rotate.value
	terms := lifecycle.Terms{
		Expires: s.expires.value, NotBefore: s.notBefore.value,
		Rotate: lifecycle.Rotate{
			After: rotate.after.value, BeforeExpiry: rotate.beforeExpiry.value, OnPolicyChange: rotate.onPolicyChange,
		},
	}
	if s.superseded.given() {
		terms.Superseded = &lifecycle.Superseded{DisableAfter: s.superseded.value.disableAfter.value}
	}
	return terms
}

// parts compiles what is generated for a secret.
func (r *resolver) parts(s *secretSpec) []Part {
	if !s.generate.given() {
		return []Part{r.part("password", s.policy, s)}
	}
	var parts []Part
	for _, p := range s.generate.value {
		parts = append(parts, r.part(p.name, p.policy, s))
	}
	return parts
}

// part compiles one part. Its Set is nil where something is wrong.
func (r *resolver) part(name string, use located[policyUse], s *secretSpec) Part {
	switch draft := use.value.draft; {
	case draft != nil && draft.sound:
		return Part{
			Name: name, Policy: inline, Set: r.compileInline(draft, s),
			Rules: withLogin(draft.policy, s.login.value),
		}
	case use.given() && use.value.name == "":
		return Part{Name: name} // what is wrong was said while it was read
	}
	policy, at := cmp.Or(use.value.name, "default"), use.place
	if !use.given() {
		at = s.place
	}
	draft, ok := r.named[policy]
	if !ok {
		r.Unknown(at, "policy", policy, "", r.policyNames)
	}
	if !ok || !draft.sound {
		return Part{Name: name}
	}
	return Part{
		Name: name, Policy: policy, Set: r.compileNamed(draft, at, s),
		Rules: withLogin(draft.policy, s.login.value),
	}
}

// presets returns the presets as if they stood under policies.
func presets() map[string]*policyDraft {
	drafts := map[string]*policyDraft{}
	for _, name := range password.Presets() {
		policy, ok := password.Preset(name)
		drafts[name] = &policyDraft{name: name, source: name, policy: policy, sound: ok}
	}
	return drafts
}

func withLogin(policy password.Policy, login string) password.Policy {
	policy.Login = login
	return policy
}

// compileInline compiles a policy that stands in the secret, with its login.
func (r *resolver) compileInline(draft *policyDraft, s *secretSpec) *password.Set {
	if s.login.given() {
		draft.places["login"] = s.login.place
	}
	return r.compileDraft(draft, s.login.value)
}

// compileNamed compiles a policy that stands elsewhere, with the secret's login: what is wrong is wrong here, since the
// policy alone has been found sound.
func (r *resolver) compileNamed(draft *policyDraft, at Place, s *secretSpec) *password.Set {
	set, err := r.compile(draft, s.login.value)
	if err != nil {
		if s.login.given() {
			at = s.login.place
		}
		for _, p := range problemsOf(err) {
			r.Refuse(at, fmt.Sprintf("policy %s with this login: %s", draft.name, p.Text), p.Want)
		}
	}
	return set
}

// checkTemplate checks the template of a secret against its parts.
func (r *resolver) checkTemplate(s *secretSpec, secret Secret) {
	switch {
	case s.template != nil:
		r.checkReferences(s, secret.Parts)
	case len(secret.Parts) > 1 && s.sound:
		r.Refuse(s.generate.place, fmt.Sprintf("%d parts and no value", len(secret.Parts)), "expected value, which says how they go together")
	}
}

// checkSize checks that no value of a secret exceeds what Key Vault takes. Its parts are compiled; their characters are
// ASCII, a byte each.
func (r *resolver) checkSize(s *secretSpec, secret Secret) {
	longest := map[string]int{}
	for _, part := range secret.Parts {
		_, longest[part.Name] = part.Set.Lengths()
	}
	size, at := longest[secret.Parts[0].Name], s.place
	if s.value.given() {
		size, at = secret.Value.MaxLen(func(name string) int { return longest[name] }, secret.Login), s.value.place
	}
	if size > maxValue {
		r.Refuse(at, fmt.Sprintf("the value may have %d bytes", size), fmt.Sprintf("expected at most %d, which is what Key Vault takes", maxValue))
	}
}

// checkReferences notes names in the template that are no parts. Where there is none, it notes the parts that the template
// leaves out: else a slip in the name of a part would be two mistakes.
func (r *resolver) checkReferences(s *secretSpec, parts []Part) {
	var known []string
	for _, part := range parts {
		known = append(known, part.Name)
	}
	if s.login.given() {
		known = append(known, composite.Login)
	}
	unknown := slices.DeleteFunc(composite.Mentions(strict.Value(s.template)), func(ref composite.Reference) bool {
		return slices.Contains(known, ref.Name)
	})
	if s.value.given() && len(unknown) == 0 {
		r.checkLeftOut(s, parts)
	}
	r.unknownReferences(s, unknown, known)
}

// checkLeftOut notes parts that a sound template leaves out.
func (r *resolver) checkLeftOut(s *secretSpec, parts []Part) {
	for _, part := range parts {
		if !slices.Contains(s.value.value.Names(), part.Name) {
			r.Refuse(s.value.place, fmt.Sprintf("value leaves out part %q", strict.Clip(part.Name)), "expected every generated part in it")
		}
	}
}

// unknownReferences notes names in the template that are none of those known.
func (r *resolver) unknownReferences(s *secretSpec, unknown []composite.Reference, known []string) {
	var offsets []int
	for _, ref := range unknown {
		offsets = append(offsets, ref.Offset)
	}
	for i, place := range r.PlacesIn(s.template, offsets) {
		switch {
		case unknown[i].Name == composite.Login:
			r.Refuse(place, "${login} in a secret without login", "expected the key login in the secret")
		case len(known) > 0: // generate names no part: that was said while it was read
			r.Unknown(place, "part", unknown[i].Name, "", known)
		}
	}
}

// checkLifecycle notes durations that contradict each other.
func (r *resolver) checkLifecycle(s *secretSpec) {
	after, before := s.rotate.value.after, s.rotate.value.beforeExpiry
	disable := s.superseded.value.disableAfter
	if before.given() && !s.expires.given() && s.sound {
		r.Refuse(before.place, "before-expiry without expires",
			"expected expires in the secret: a version that never expires has no time before")
	}
	r.shorter(before, "before-expiry", s.expires, "expires", "expected less: each new version would be due at once")
	r.shorter(s.notBefore, "not-before", s.expires, "expires", "expected less: no version could ever be used")
	r.within(after, "after", s.expires, "expires", "expected at most that: the version would expire before its successor is made")
	r.within(disable, "disable-after", after, "rotate.after", "expected at most that: the next version would come first")
	r.within(s.notBefore, "not-before", after, "rotate.after", "expected at most that: the next version would come first")
	r.within(s.notBefore, "not-before", disable, "disable-after", "expected at most that: in between, no version could be used")
	if before.given() && s.expires.given() && before.value < s.expires.value {
		lasts := s.expires.value - before.value
		reason := fmt.Sprintf("longer than a version lasts: expires %s less before-expiry %s", s.expires.text(), before.text())
		r.lasting(disable, "disable-after", lasts, reason)
		r.lasting(s.notBefore, "not-before", lasts, reason)
		if after.given() && after.value >= lasts && after.value <= s.expires.value {
			r.Refuse(after.place, fmt.Sprintf("after %s never comes: before-expiry %s of expires %s comes no later", after.text(),
				before.text(), s.expires.text()), "expected a shorter after or before-expiry, or one of them alone")
		}
	}
}

// lasting notes a duration that is longer than a version lasts.
func (r *resolver) lasting(a located[time.Duration], what string, lasts time.Duration, reason string) {
	if a.given() && a.value > lasts {
		r.Refuse(a.place, fmt.Sprintf("%s %s is %s", what, a.text(), reason), "expected at most that: the next version would come first")
	}
}

// shorter notes a duration that is as long as another, or longer. Durations that are not given contradict none.
func (r *resolver) shorter(a located[time.Duration], what string, b located[time.Duration], than, want string) {
	if a.given() && b.given() && a.value >= b.value {
		r.Refuse(a.place, fmt.Sprintf("%s %s is not shorter than %s %s", what, a.text(), than, b.text()), want)
	}
}

// within notes a duration that is longer than another.
func (r *resolver) within(a located[time.Duration], what string, b located[time.Duration], than, want string) {
	if a.given() && b.given() && a.value > b.value {
		r.Refuse(a.place, fmt.Sprintf("%s %s is longer than %s %s", what, a.text(), than, b.text()), want)
	}
}

// fingerprintLen is how many hexadecimal digits of a hash stand for a composite: as many as for a policy.
const fingerprintLen = 12

// policyTag says what a version of the secret was made to: the policy's name and fingerprint, or, where a template makes
// the value, a fingerprint of all its parts, the template and the login. It differs whenever another declaration would
// make other values.
func (r *resolver) policyTag(s Secret) lifecycle.PolicyTag {
	if s.Value == nil {
		return lifecycle.NewPolicyTag(s.Parts[0].Policy, r.fingerprints[s.Parts[0].Set])
	}
	hash := sha256.New()
	write := func(text string) { _, _ = io.WriteString(hash, strconv.Quote(text)) }
	write(s.Value.Text())
	write(s.Login)
	for _, part := range s.Parts {
		write(part.Name)
		write(r.fingerprints[part.Set])
	}
	return lifecycle.NewPolicyTag(compositeTag, hex.EncodeToString(hash.Sum(nil))[:fingerprintLen])
}
