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

	"go.yaml.in/yaml/v4"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/password"
)

// A spec is a declaration as it was read: what refers to vaults and policies is not looked up yet.
type spec struct {
	vault, vaults *yaml.Node
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
	top, problem := loadYAML(source.File, source.Text)
	if problem != nil {
		return nil, Problems{*problem}
	}
	r := &reader{file: source.File, cursor: cursor{text: string(source.Text)}}
	declaration := r.resolve(r.readSpec(top, source.Inline), source)
	if len(r.problems) > 0 {
		return nil, ordered(r.problems)
	}
	return declaration, nil
}

// ordered sorts problems by their place, and leaves one of those that an alias repeats.
func ordered(problems Problems) Problems {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Place.Line, b.Place.Line), cmp.Compare(a.Place.Col, b.Place.Col))
	})
	return slices.Compact(problems)
}

// readSpec reads the whole text: the top mapping, or what the inline input holds of it.
func (r *reader) readSpec(top *yaml.Node, inline bool) spec {
	var s spec
	const want = "expected a mapping, with secrets: in it"
	switch {
	case top == nil || top.Kind == yaml.ScalarNode && top.Tag == "!!null":
		r.problem(Place{File: r.file}, "the declaration is empty", "expected a mapping of names to secrets")
	case inline:
		if !r.refuseWhole(top) {
			s.secrets = r.readSecrets(top, "the declaration")
		}
	default:
		before := r.found
		ok := readFields(r, top, "the declaration", want, topFields, &s)
		s.misspelt = ok && hasUnknown(top, namesOf(topFields))
		if ok && s.secrets == nil && r.found == before {
			r.problem(r.place(top), "the declaration has no secrets", want)
		}
		if s.misspelt && lacksSecrets(top) {
			r.problem(r.place(top), "the declaration has no secrets", "expected their names under secrets: and indented")
		}
	}
	return s
}

// hasUnknown reports whether a mapping has a key that is not known.
func hasUnknown(mapping *yaml.Node, known []string) bool {
	for i := 0; i < len(mapping.Content); i += 2 {
		if !slices.Contains(known, mapping.Content[i].Value) {
			return true
		}
	}
	return false
}

// lacksSecrets reports whether a mapping has no key secrets, nor one that may be meant to be it: then its other keys may
// be names of secrets. It looks at the first hundred: searching for what is near costs time.
func lacksSecrets(mapping *yaml.Node) bool {
	for i := 0; i < min(len(mapping.Content), 200); i += 2 {
		if nearest(mapping.Content[i].Value, []string{"secrets"}) != "" {
			return false
		}
	}
	return true
}

// refuseWhole notes a whole declaration where the inline input takes only what is under secrets, and reports whether it
// is one: what else is wrong with it as secrets is no news.
func (r *reader) refuseWhole(top *yaml.Node) bool {
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], deref(top.Content[i+1])
		if key.Value != "secrets" || value.Kind != yaml.MappingNode || len(value.Content) == 0 {
			continue
		}
		known := func(f field[secretSpec]) bool { return f.name == value.Content[0].Value }
		if !slices.ContainsFunc(secretFields, known) {
			r.problem(r.place(key), "the secrets input holds a whole declaration", "expected what is under secrets: alone; a whole declaration goes into a file")
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
	compiled     map[string]compiled
	fingerprints map[*password.Space]string
}

// resolve looks up every reference. Its result is of use only if there are no problems.
func (r *reader) resolve(s spec, source Source) *Declaration {
	res := &resolver{
		reader: r, policies: s.policies, named: presets(), aliases: map[string]Vault{}, vaultRefused: s.misspelt,
		compiled: map[string]compiled{}, fingerprints: map[*password.Space]string{},
	}
	maps.Copy(res.named, s.policies)
	res.policyNames = slices.Concat(slices.Sorted(maps.Keys(s.policies)), password.Presets())
	if source.Cloud != "" {
		known, err := azure.Parse(source.Cloud)
		if err != nil {
			r.problem(Place{}, "input cloud: "+err.Error(), "")
		}
		res.cloud = &known
	}
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
		ContentType: s.contentType, Tags: s.tags, Expires: s.expires.value, NotBefore: s.notBefore.value,
		Rotate: Rotate{s.rotate.value.after.value, s.rotate.value.beforeExpiry.value, s.rotate.value.onPolicyChange},
	}
	if s.superseded.given() {
		secret.Superseded = &Superseded{s.superseded.value.disableAfter.value}
	}
	r.checkLifecycle(s)
	r.checkTemplate(s, secret)
	if len(secret.Parts) > 0 && !slices.ContainsFunc(secret.Parts, func(p Part) bool { return p.Space == nil }) {
		r.checkSize(s, secret)
		secret.Policy = r.policyTag(secret)
	}
	return secret
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

// part compiles one part. Its Space is nil where something is wrong.
func (r *resolver) part(name string, use located[policyUse], s *secretSpec) Part {
	switch draft := use.value.draft; {
	case draft != nil && draft.sound:
		return Part{name, inline, withLogin(draft.policy, s.login.value), r.compileInline(draft, s)}
	case use.given() && use.value.name == "":
		return Part{Name: name} // what is wrong was said while it was read
	}
	policy, at := cmp.Or(use.value.name, "default"), use.place
	if !use.given() {
		at = s.place
	}
	draft, ok := r.named[policy]
	if !ok {
		r.unknown(at, "policy", policy, "", r.policyNames)
	}
	if !ok || !draft.sound {
		return Part{Name: name}
	}
	rules := withLogin(draft.policy, s.login.value)
	return Part{name, policy, rules, r.compileNamed(policy, rules, at, s)}
}

// presets returns the presets as if they stood under policies.
func presets() map[string]*policyDraft {
	drafts := map[string]*policyDraft{}
	for _, name := range password.Presets() {
		policy, ok := password.Preset(name)
		drafts[name] = &policyDraft{name: name, policy: policy, sound: ok}
	}
	return drafts
}

func withLogin(policy password.Policy, login string) password.Policy {
	policy.Login = login
	return policy
}

// compileInline compiles a policy that stands in the secret, with its login.
func (r *resolver) compileInline(draft *policyDraft, s *secretSpec) *password.Space {
	if s.login.given() {
		draft.places["login"] = s.login.place
	}
	return r.compileDraft(draft, s.login.value)
}

// compileNamed compiles a policy that stands elsewhere, with the secret's login: what is wrong is wrong here, since the
// policy alone has been found sound.
func (r *resolver) compileNamed(name string, policy password.Policy, at Place, s *secretSpec) *password.Space {
	set, err := r.compile("named "+name+" "+policy.Login, policy)
	if err != nil {
		if s.login.given() {
			at = s.login.place
		}
		for _, p := range problemsOf(err) {
			r.problem(at, fmt.Sprintf("policy %s with this login: %s", name, p.Cause), p.Remedy)
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
		r.problem(s.generate.place, fmt.Sprintf("%d parts and no value", len(secret.Parts)), "expected value, which says how they go together")
	}
}

// checkSize checks that no value of a secret exceeds what Key Vault takes. Its parts are compiled; their characters are
// ASCII, a byte each.
func (r *resolver) checkSize(s *secretSpec, secret Secret) {
	longest := map[string]int{}
	for _, part := range secret.Parts {
		_, longest[part.Name] = part.Space.Lengths()
	}
	size, at := longest[secret.Parts[0].Name], s.place
	if s.value.given() {
		size, at = secret.Value.MaxLen(func(name string) int { return longest[name] }, secret.Login), s.value.place
	}
	if size > maxValue {
		r.problem(at, fmt.Sprintf("the value may have %d bytes", size), fmt.Sprintf("expected at most %d, which is what Key Vault takes", maxValue))
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
	unknown := slices.DeleteFunc(composite.Mentions(deref(s.template).Value), func(ref composite.Reference) bool {
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
			r.problem(s.value.place, fmt.Sprintf("value leaves out part %q", clip(part.Name)), "expected every generated part in it")
		}
	}
}

// unknownReferences notes names in the template that are none of those known.
func (r *resolver) unknownReferences(s *secretSpec, unknown []composite.Reference, known []string) {
	var offsets []int
	for _, ref := range unknown {
		offsets = append(offsets, ref.Offset)
	}
	for i, place := range r.placesIn(s.template, offsets) {
		switch {
		case unknown[i].Name == composite.Login:
			r.problem(place, "${login} in a secret without login", "expected the key login in the secret")
		case len(known) > 0: // generate names no part: that was said while it was read
			r.unknown(place, "part", unknown[i].Name, "", known)
		}
	}
}

// checkLifecycle notes durations that contradict each other.
func (r *resolver) checkLifecycle(s *secretSpec) {
	after, before := s.rotate.value.after, s.rotate.value.beforeExpiry
	disable := s.superseded.value.disableAfter
	if before.given() && !s.expires.given() && s.sound {
		r.problem(before.place, "before-expiry without expires",
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
			r.problem(after.place, fmt.Sprintf("after %s never comes: before-expiry %s of expires %s comes no later", after.text(),
				before.text(), s.expires.text()), "expected a shorter after or before-expiry, or one of them alone")
		}
	}
}

// lasting notes a duration that is longer than a version lasts.
func (r *resolver) lasting(a located[time.Duration], what string, lasts time.Duration, reason string) {
	if a.given() && a.value > lasts {
		r.problem(a.place, fmt.Sprintf("%s %s is %s", what, a.text(), reason), "expected at most that: the next version would come first")
	}
}

// shorter notes a duration that is as long as another, or longer. Durations that are not given contradict none.
func (r *resolver) shorter(a located[time.Duration], what string, b located[time.Duration], than, want string) {
	if a.given() && b.given() && a.value >= b.value {
		r.problem(a.place, fmt.Sprintf("%s %s is not shorter than %s %s", what, a.text(), than, b.text()), want)
	}
}

// within notes a duration that is longer than another.
func (r *resolver) within(a located[time.Duration], what string, b located[time.Duration], than, want string) {
	if a.given() && b.given() && a.value > b.value {
		r.problem(a.place, fmt.Sprintf("%s %s is longer than %s %s", what, a.text(), than, b.text()), want)
	}
}

// text returns a duration as it was written.
func (l located[T]) text() string { return deref(l.node).Value }

// fingerprintLen is how many hexadecimal digits of a hash stand for a composite: as many as for a policy.
const fingerprintLen = 12

// policyTag says what a version of the secret was made to: the policy's name and fingerprint, or, where a template makes
// the value, a fingerprint of all its parts, the template and the login. It differs whenever another declaration would
// make other values.
func (r *resolver) policyTag(s Secret) string {
	if s.Value == nil {
		return s.Parts[0].Policy + "@" + r.fingerprints[s.Parts[0].Space]
	}
	hash := sha256.New()
	write := func(text string) { _, _ = io.WriteString(hash, strconv.Quote(text)) }
	write(s.Value.Text())
	write(s.Login)
	for _, part := range s.Parts {
		write(part.Name)
		write(r.fingerprints[part.Space])
	}
	return "composite@" + hex.EncodeToString(hash.Sum(nil))[:fingerprintLen]
}
