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
	"strings"
	"time"

	"keyvault-passwords/internal/declaration/internal/strict"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/password"
)

// A spec is a declaration as it was read, before its references to vaults and policies are resolved.
type spec struct {
	vault, vaults *strict.Node
	policies      map[string]*policyDraft
	secrets       []*secretSpec
	secretsPlace  Place  // of the key secrets
	audit         *Audit // nil: nothing is declared
	misspelt      bool   // a key of the top mapping is unknown: it may be meant to be one that is missing
}

// maxValue is the length of the longest value that Key Vault accepts, in bytes: 25 KB.
// https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
const maxValue = 25 * 1024

func valueRemedy() string {
	return fmt.Sprintf("expected at most %d, the limit of Key Vault", maxValue)
}

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
	r := &reader{Reader: text, hint: hintForKey, templates: map[string]*composite.Template{}}
	declaration := r.resolve(r.readSpec(source.Inline), source)
	if r.Found() > 0 {
		return nil, r.Problems()
	}
	return declaration, nil
}

// readSpec reads the whole text: the top mapping, or in the inline input the mapping of secrets.
func (r *reader) readSpec(inline bool) spec {
	var s spec
	top := r.Top()
	const remedy = "expected a mapping with the key secrets"
	switch {
	case top == nil || strict.KindOf(top) == strict.Empty:
		r.Refuse(r.Whole(), "the declaration is empty", "expected a mapping of names to secrets")
	case inline:
		s.secretsPlace = r.Place(top)
		if !r.refuseWhole(top) {
			s.secrets = r.readSecrets(top, "the declaration")
		}
	default:
		before := r.Found()
		s.secretsPlace = r.placeOfKey(top, "secrets")
		ok := readFields(r, top, "the declaration", remedy, topFields, &s)
		s.misspelt = ok && hasUnknown(top, namesOf(topFields))
		if ok && s.secrets == nil && r.Found() == before {
			r.Refuse(r.Place(top), "the declaration has no secrets", remedy)
		}
		if s.misspelt && lacksSecrets(top) {
			r.Refuse(r.Place(top), "the declaration has no secrets", "expected their names under secrets:, indented")
		}
	}
	return s
}

// placeOfKey returns the place of a key of a mapping; of the mapping if it has none.
func (r *reader) placeOfKey(mapping *strict.Node, key string) Place {
	for _, entry := range strict.EntriesOf(mapping) {
		if entry.Name() == key {
			return r.Place(entry.Key)
		}
	}
	return r.Place(mapping)
}

// hasUnknown reports whether a mapping has an unknown key.
func hasUnknown(mapping *strict.Node, known []string) bool {
	return slices.ContainsFunc(strict.EntriesOf(mapping), func(e strict.Entry) bool {
		return !slices.Contains(known, e.Name())
	})
}

// lacksSecrets reports whether no key of a mapping is "secrets" or similar to it. Its keys may then be names of
// secrets. It looks at the first hundred: the search for similar words takes time.
func lacksSecrets(mapping *strict.Node) bool {
	entries := strict.EntriesOf(mapping)
	return !slices.ContainsFunc(entries[:min(len(entries), 100)], func(e strict.Entry) bool {
		return strict.Nearest(e.Name(), []string{"secrets"}) != ""
	})
}

// refuseWhole reports whether the secrets input is a whole declaration, and notes it. Its other mistakes are then not
// reported.
func (r *reader) refuseWhole(top *strict.Node) bool {
	for _, entry := range strict.EntriesOf(top) {
		within := strict.EntriesOf(entry.Value)
		if entry.Name() != "secrets" || len(within) == 0 {
			continue
		}
		if !slices.Contains(namesOf(secretFields), within[0].Name()) {
			r.Refuse(r.Place(entry.Key), "the secrets input is a whole declaration",
				"expected only what is under secrets:; to use a whole declaration, set the input file")
			return true
		}
	}
	return false
}

// A resolver resolves the references of the secrets, and makes the declaration.
type resolver struct {
	*reader
	policies     map[string]*policyDraft // the user's own
	named        map[string]*policyDraft // the user's own, and the presets
	policyNames  []string                // of named, the user's own first
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

// resolve resolves every reference. Its result is valid only if there are no problems.
func (r *reader) resolve(s spec, source Source) *Declaration {
	res := &resolver{
		reader: r, policies: s.policies, named: presets(), aliases: map[string]Vault{},
		vaultRefused: s.misspelt || source.VaultRefused || source.NoVaultNeeded, cloud: source.Cloud,
		places:   map[string]Place{},
		compiled: map[policyKey]compiled{}, fingerprints: map[*password.Space]string{},
		characters: map[*password.Space]composite.Characters{},
		applied:    map[string]string{},
	}
	maps.Copy(res.named, s.policies)
	res.policyNames = slices.Concat(slices.Sorted(maps.Keys(s.policies)), password.Presets())
	res.readDefault(s.vault, source.Vault)
	if s.vaults != nil {
		res.readAliases(s.vaults)
	}
	res.checkPolicies()
	declaration := &Declaration{
		Cloud: azure.Public(), Audit: DefaultAudit(), Places: Places{Secrets: s.secretsPlace, Vaults: res.places},
	}
	if s.audit != nil {
		declaration.Audit = *s.audit
	}
	for _, secret := range s.secrets {
		declaration.Secrets = append(declaration.Secrets, res.secret(secret))
	}
	if res.cloud != nil {
		declaration.Cloud = *res.cloud
	}
	declaration.Warnings = res.warnings.Sorted()
	return declaration
}

// secret makes a secret of what was read.
func (r *resolver) secret(s *secretSpec) Secret {
	secret := Secret{
		Name: s.name, Place: s.place, Vaults: r.vaultsOf(s), Parts: r.parts(s), Value: s.value.value,
		Login:       s.loginAlone(),
		ContentType: s.contentType, Tags: s.tags, Terms: s.terms(),
	}
	if len(s.login.value) == 2 {
		secret.Logins = s.login.value
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
	if len(s.login.value) == 2 {
		terms.KeepFor = readersKeep
	}
	terms.Confirm = s.apply.given() && s.apply.value.azure.given()
	return terms
}

// parts compiles what is generated for a secret.
func (r *resolver) parts(s *secretSpec) []Part {
	if !s.generate.given() {
		return []Part{r.part(partPassword, s.policy, s)}
	}
	var parts []Part
	for _, p := range s.generate.value {
		parts = append(parts, r.part(p.name, p.policy, s))
	}
	return parts
}

// part compiles one part. Its Set is nil if its policy was refused.
func (r *resolver) part(name string, use located[policyUse], s *secretSpec) Part {
	switch draft := use.value.draft; {
	case draft != nil && draft.sound:
		return Part{
			Name: name, Policy: inline, Space: r.compileInline(draft, s),
			rules: withLogin(draft.policy, s.loginsTogether()),
		}
	case use.given() && use.value.name == "":
		return Part{Name: name} // refused while it was read
	}
	policy, at := cmp.Or(use.value.name, "default"), use.place
	if !use.given() {
		at = s.place
	}
	draft, ok := r.named[policy]
	if !ok {
		r.Unknown(at, "policy", policy, "", r.policyNames, hintForPolicy(policy))
	}
	if !ok || !draft.sound {
		return Part{Name: name}
	}
	return Part{
		Name: name, Policy: policy, Space: r.compileNamed(draft, at, s),
		rules: withLogin(draft.policy, s.loginsTogether()),
	}
}

// partPassword is the name of the one part of a secret that does not name its parts, and of the password among several.
const partPassword = "password"

// loginAlone returns the login of a secret that has one; "" if it has none, or two.
func (s *secretSpec) loginAlone() string {
	if len(s.login.value) == 1 {
		return s.login.value[0]
	}
	return ""
}

// loginsTogether returns the logins of a secret as a policy takes them. Their order does not matter.
func (s *secretSpec) loginsTogether() string {
	return strings.Join(slices.Sorted(slices.Values(s.login.value)), "\n")
}

// presets returns the presets as if they were under policies.
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

// compileInline compiles a policy that is written out in the secret, with the secret's login.
func (r *resolver) compileInline(draft *policyDraft, s *secretSpec) *password.Space {
	if s.login.given() {
		draft.places["login"] = s.login.place
	}
	return r.compileDraft(draft, s.loginsTogether())
}

// compileNamed compiles a policy that is referred to by name, with the secret's login. The policy alone was accepted,
// so a problem is placed at the login, or at the name.
func (r *resolver) compileNamed(draft *policyDraft, at Place, s *secretSpec) *password.Space {
	set, err := r.compile(draft, s.loginsTogether())
	if err != nil {
		if s.login.given() {
			at = s.login.place
		}
		for _, p := range problemsOf(err) {
			r.Refuse(at, fmt.Sprintf("policy %s with this login: %s", draft.name, p.Cause), p.Remedy)
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
		r.Refuse(s.generate.place, fmt.Sprintf("the secret has %d parts and no value", len(secret.Parts)),
			"add value, which combines the parts")
	}
}

// checkSize checks that Key Vault accepts the longest value of a secret. The parts must be compiled. Their characters
// are ASCII, so that each is a byte.
func (r *resolver) checkSize(s *secretSpec, secret Secret) {
	longest := map[string]int{}
	for _, part := range secret.Parts {
		_, longest[part.Name] = part.Space.Lengths()
	}
	size, at := longest[secret.Parts[0].Name], s.place
	if s.value.given() {
		at = s.value.place
		for _, login := range append([]string{secret.Login}, secret.Logins...) {
			size = max(size, secret.Value.MaxLen(func(name string) int { return longest[name] }, login))
		}
	}
	if size > maxValue {
		r.Refuse(at, fmt.Sprintf("the value may have %d bytes", size), valueRemedy())
	}
}

// checkReferences notes unknown names in the template. If there are none, it notes the parts that the template does not
// use: otherwise a misspelt part would be two mistakes.
func (r *resolver) checkReferences(s *secretSpec, parts []Part) {
	var known []string
	isKnown := map[string]bool{}
	for _, part := range parts {
		known = append(known, part.Name)
		isKnown[part.Name] = true
	}
	if s.login.given() {
		known = append(known, composite.Login)
		isKnown[composite.Login] = true
	}
	var mentions []composite.Reference
	if s.value.given() {
		mentions = s.value.value.References()
	} else {
		mentions = composite.Mentions(strict.Value(s.template))
	}
	unknown := slices.DeleteFunc(mentions, func(ref composite.Reference) bool {
		return isKnown[ref.Name]
	})
	if s.value.given() && len(unknown) == 0 {
		r.checkLeftOut(s, parts)
	}
	r.unknownReferences(s, unknown, known)
}

// checkLeftOut notes the parts that a sound template does not use.
func (r *resolver) checkLeftOut(s *secretSpec, parts []Part) {
	used := map[string]bool{}
	for _, name := range s.value.value.Names() {
		used[name] = true
	}
	for _, part := range parts {
		if !used[part.Name] {
			name := strict.Clip(part.Name)
			r.Refuse(s.value.place, fmt.Sprintf("value does not use the part %q", name),
				r.remedyForValue(s.value.value.Text(), name))
		}
	}
}

// unknownReferences notes the unknown names in the template.
func (r *resolver) unknownReferences(s *secretSpec, unknown []composite.Reference, known []string) {
	var offsets []int
	for _, ref := range unknown {
		offsets = append(offsets, ref.Offset)
	}
	for i, place := range r.PlacesIn(s.template, offsets) {
		switch {
		case unknown[i].Name == composite.Login:
			r.Refuse(place, "value refers to ${login}, and the secret has no login", "add login to the secret")
		case len(known) > 0: // otherwise generate was refused while it was read
			r.Unknown(place, "part", unknown[i].Name, "", known)
		}
	}
}

// checkLifecycle notes durations that contradict each other.
func (r *resolver) checkLifecycle(s *secretSpec) {
	after, before := s.rotate.value.after, s.rotate.value.beforeExpiry
	disable := s.superseded.value.disableAfter
	if before.given() && !s.expires.given() && s.sound {
		r.Refuse(before.place, "before-expiry requires expires", "add expires to the secret")
	}
	expires := span{located: s.expires, key: "expires"}
	wait := span{located: s.notBefore, key: "not-before"}
	age := span{located: after, key: "rotate.after"}
	grace := span{located: disable, key: "disable-after"}
	r.shorter(span{located: before, key: "before-expiry"}, expires, "otherwise each new version is due at once")
	r.shorter(wait, expires, "otherwise no version can ever be used")
	r.within(span{located: after, key: "after"}, expires, "otherwise a version expires before the next one is made")
	r.within(grace, age, "otherwise the next version is made first")
	r.within(wait, age, "otherwise the next version is made first")
	r.within(wait, grace, "otherwise no version can be used in between")
	if before.given() && s.expires.given() && before.value < s.expires.value {
		r.checkBeforeExpiry(s, wait, grace)
	}
}

// checkBeforeExpiry notes durations that are too long for a secret whose versions are due some time before they expire.
func (r *resolver) checkBeforeExpiry(s *secretSpec, spans ...span) {
	after, before := s.rotate.value.after, s.rotate.value.beforeExpiry
	due := s.expires.value - before.value
	for _, a := range spans {
		if a.given() && a.value > due {
			cause := fmt.Sprintf("%s %s is longer than a version is current: expires %s minus before-expiry %s",
				a.key, a.text(), s.expires.text(), before.text())
			r.Refuse(a.place, cause, "expected at most that: otherwise the next version is made first")
		}
	}
	if after.given() && after.value >= due && after.value <= s.expires.value {
		cause := fmt.Sprintf("after %s has no effect: expires %s minus before-expiry %s is no later",
			after.text(), s.expires.text(), before.text())
		r.Refuse(after.place, cause, "expected a shorter after, a shorter before-expiry, or only one of them")
	}
}

// A span is a duration and its key, for messages.
type span struct {
	located[time.Duration]
	key string
}

// shorter notes a duration that is not shorter than another. It accepts durations of which one is absent.
func (r *resolver) shorter(a, b span, otherwise string) {
	if a.given() && b.given() && a.value >= b.value {
		cause := fmt.Sprintf("%s %s is not shorter than %s %s", a.key, a.text(), b.key, b.text())
		r.Refuse(a.place, cause, "expected less than "+b.text()+": "+otherwise)
	}
}

// within notes a duration that is longer than another. It accepts durations of which one is absent.
func (r *resolver) within(a, b span, otherwise string) {
	if a.given() && b.given() && a.value > b.value {
		cause := fmt.Sprintf("%s %s is longer than %s %s", a.key, a.text(), b.key, b.text())
		r.Refuse(a.place, cause, "expected at most "+b.text()+": "+otherwise)
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
	return lifecycle.NewPolicyTag(compositeTag, hex.EncodeToString(hash.Sum(nil))[:fingerprintLen])
}
