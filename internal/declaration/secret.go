package declaration

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"keyvault-passwords/internal/composite"
)

// A secretSpec is one declared secret as it was read: its references are not looked up yet.
type secretSpec struct {
	name        string
	place       Place
	policy      located[policyUse]
	login       located[string]
	generate    located[[]partSpec]
	value       located[*composite.Template]
	template    *yaml.Node // of the value, also where it is refused; nil where it is no text
	contentType string
	tags        map[string]string
	expires     located[time.Duration]
	notBefore   located[time.Duration]
	rotate      located[rotateSpec]
	superseded  located[supersededSpec]
	vaults      located[[]located[string]]
	sound       bool // nothing was wrong while it was read
}

// A partSpec is one entry of generate.
type partSpec struct {
	name   string
	place  Place
	policy located[policyUse]
}

type rotateSpec struct {
	after, beforeExpiry located[time.Duration]
	onPolicyChange      bool
}

type supersededSpec struct{ disableAfter located[time.Duration] }

// secretName is what Key Vault takes: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#objects-identifiers-and-versioning
var secretName = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)

// ownTags are the names of the tags that this action sets itself.
var ownTags = []string{"generated-by", "policy", "operation", "run"}

const secretWant = "expected a policy's name, or a mapping such as {policy: azure-sql, expires: 90d}"

// readSecrets reads the mapping of names to secrets, in order.
func (r *reader) readSecrets(n *yaml.Node, what string) []*secretSpec {
	pairs, ok := r.entries(n, what, "expected a mapping of names to secrets")
	if ok && len(deref(n).Content) == 0 {
		r.problem(r.place(n), "no secret is declared", "expected one name or more")
	}
	var secrets []*secretSpec
	first := map[string]Place{} // of each name, in lower case
	for _, pair := range pairs {
		name, place := deref(pair[0]).Value, r.place(pair[0])
		if !secretName.MatchString(name) {
			r.problem(place, fmt.Sprintf("%q is not a secret name", clip(name)), "expected 1 to 127 letters, digits and hyphens, as Key Vault does")
		}
		folded := strings.ToLower(name)
		if other, ok := first[folded]; ok {
			r.problem(place, fmt.Sprintf("secret %q differs from the one at %s in letter case alone", clip(name), other), "expected another name: to Key Vault both are one")
			continue
		}
		first[folded] = place
		secrets = append(secrets, r.readSecret(name, place, pair[1]))
	}
	return secrets
}

// readSecret reads what stands after a secret's name: nothing, the name of a policy, or a mapping.
func (r *reader) readSecret(name string, place Place, n *yaml.Node) *secretSpec {
	s := &secretSpec{name: name, place: place}
	before := r.found
	switch v := deref(n); {
	case v.Kind == yaml.ScalarNode && v.Tag == "!!null":
	case v.Kind == yaml.ScalarNode:
		s.policy = r.readPolicyUse(n, "the policy")
	default:
		readFields(r, n, "a secret", secretWant, secretFields, s)
	}
	if s.policy.given() && s.generate.given() {
		r.problem(s.generate.place, "both policy and generate", "expected one: generate names each part and its policy")
	}
	s.sound = r.found == before
	return s
}

// locateText reads a text and notes its place.
func (r *reader) locateText(n *yaml.Node, what string, most int) located[string] {
	text, ok := r.readText(n, what, most)
	if !ok {
		return located[string]{}
	}
	return locate(r, n, text)
}

const durationWant = "expected a duration such as 90d, 36h, P90D or PT12H"

// locateDuration reads a duration of at least a second.
func (r *reader) locateDuration(n *yaml.Node, what string) located[time.Duration] {
	d := r.locateGrace(n, what)
	if d.given() && d.value == 0 {
		r.problem(d.place, what+" is 0", "expected a duration of a second or more, or leave the key out")
		return located[time.Duration]{}
	}
	return d
}

// locateGrace reads a duration that may be none at all.
func (r *reader) locateGrace(n *yaml.Node, what string) located[time.Duration] {
	v := deref(n)
	want := durationWant
	if v.Kind == yaml.ScalarNode && v.Tag == "!!int" {
		want = fmt.Sprintf("expected a unit, as in %sd or %sh", clip(v.Value), clip(v.Value))
	}
	if v.Kind != yaml.ScalarNode || v.Style&yaml.TaggedStyle != 0 {
		r.problem(r.place(n), fmt.Sprintf("%s is %s", what, kindOf(v)), want)
		return located[time.Duration]{}
	}
	if calendar.MatchString(v.Value) {
		want = "expected days, as in 90d: months and years have no fixed length"
	}
	duration, err := parseDuration(v.Value)
	switch {
	case errors.Is(err, errTooLong):
		r.problem(r.place(n), fmt.Sprintf("%s: %q %v", what, clip(v.Value), err), "expected at most 3660d")
	case err != nil:
		r.problem(r.place(n), fmt.Sprintf("%s: %q %v", what, clip(v.Value), err), want)
	default:
		return locate(r, n, duration)
	}
	return located[time.Duration]{}
}

// readGenerate reads the parts of a composite.
func (s *secretSpec) readGenerate(r *reader, n *yaml.Node) {
	const want = "expected a mapping of names to policies, such as {key: hex-256, salt: default}"
	pairs, ok := r.entries(n, "generate", want)
	if ok && len(deref(n).Content) == 0 {
		r.problem(r.place(n), "generate names no part", want)
	}
	var parts []partSpec
	for _, pair := range pairs {
		part := partSpec{name: deref(pair[0]).Value, place: r.place(pair[0])}
		if !composite.IsName(part.name) {
			r.problem(part.place, fmt.Sprintf("%q is not the name of a part", clip(part.name)), aliasWant+", and not login")
		}
		part.policy = r.readPolicyUse(pair[1], fmt.Sprintf("the policy of part %q", clip(part.name)))
		parts = append(parts, part)
	}
	s.generate = locate(r, n, parts)
}

// readValue reads the template of a composite, and notes its mistakes at their columns.
func (s *secretSpec) readValue(r *reader, n *yaml.Node) {
	text, ok := r.scalar(n, "value")
	switch i := strings.IndexFunc(text, isOddControl); {
	case !ok:
		return
	case text == "":
		r.problem(r.place(n), "value is empty", "expected a text with ${PART} in it, or leave the key out")
		return
	case len(text) > maxValue:
		r.problem(r.place(n), fmt.Sprintf("value has %d bytes", len(text)), fmt.Sprintf("expected at most %d, which is what Key Vault takes", maxValue))
		return
	case i >= 0:
		r.problem(r.placeIn(n, i), "a control character in value", "expected printable text, tabs and line breaks")
		return
	}
	template, problems := composite.Parse(text)
	var offsets []int
	for _, p := range problems {
		offsets = append(offsets, p.Offset)
	}
	for i, place := range r.placesIn(n, offsets) {
		want := problems[i].Want
		if filter := problems[i].Filter; filter != "" {
			want = alternatives(filter, composite.Filters())
		}
		r.problem(place, problems[i].Text, want)
	}
	s.template = n
	if template != nil {
		s.value = locate(r, n, template)
	}
}

// isOddControl reports whether a character is one that no text of lines holds.
func isOddControl(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t' }

// readTags reads the user's tags.
func (s *secretSpec) readTags(r *reader, n *yaml.Node) {
	pairs, ok := r.entries(n, "tags", "expected a mapping of text to text, such as {owner: data-platform}")
	if ok && len(pairs) > maxTags {
		r.problem(r.place(n), fmt.Sprintf("%d tags", len(pairs)), fmt.Sprintf("expected at most %d: Key Vault takes 15, and 4 are the action's own", maxTags))
	}
	s.tags = map[string]string{}
	for _, pair := range pairs {
		name := deref(pair[0]).Value
		r.checkTagName(pair[0], name)
		value, ok := r.scalar(pair[1], "the value of tag "+fmt.Sprintf("%q", clip(name)))
		if ok {
			r.checkTagText(pair[1], "the value of a tag", value)
		}
		s.tags[name] = value
	}
	if len(s.tags) == 0 {
		s.tags = nil
	}
}

func (r *reader) checkTagName(n *yaml.Node, name string) {
	if slices.Contains(ownTags, strings.ToLower(name)) {
		r.problem(r.place(n), fmt.Sprintf("tag %q is set by the action itself", name), "expected another name than "+strings.Join(ownTags, ", "))
	}
	if name == "" {
		r.problem(r.place(n), "the name of a tag is empty", "expected text")
	}
	r.checkTagText(n, "the name of a tag", name)
}

func (r *reader) checkTagText(n *yaml.Node, what, text string) {
	if count := utf8.RuneCountInString(text); count > maxTag {
		r.problem(r.place(n), fmt.Sprintf("%s has %d characters", what, count), fmt.Sprintf("expected at most %d", maxTag))
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		r.control(n, what)
	}
}

// readRotate reads {after, before-expiry, on-policy-change}.
func (s *secretSpec) readRotate(r *reader, n *yaml.Node) {
	const want = "expected one or more of after, before-expiry, on-policy-change, such as {after: 60d}"
	var rotate rotateSpec
	before := r.found
	ok := readFields(r, n, "rotate", want, rotateFields, &rotate)
	if ok && r.found == before && !rotate.after.given() && !rotate.beforeExpiry.given() && !rotate.onPolicyChange {
		r.problem(r.place(n), "rotate says nothing of when", want)
	}
	s.rotate = locate(r, n, rotate)
}

// readSuperseded reads {disable-after}.
func (s *secretSpec) readSuperseded(r *reader, n *yaml.Node) {
	const want = "expected a mapping, such as {disable-after: 24h}"
	var superseded supersededSpec
	before := r.found
	ok := readFields(r, n, "superseded", want, supersededFields, &superseded)
	if ok && r.found == before && !superseded.disableAfter.given() {
		r.problem(r.place(n), "superseded has no disable-after", want)
	}
	s.superseded = locate(r, n, superseded)
}

// readVaults reads the list of vault aliases.
func (s *secretSpec) readVaults(r *reader, n *yaml.Node) {
	const want = "expected a list of names under vaults, such as [eu, us]"
	items, ok := r.items(n, "vaults", want)
	if ok && len(items) == 0 {
		r.problem(r.place(n), "vaults is empty", want)
	}
	var names []located[string]
	for _, item := range items {
		if name := r.locateText(item, "a vault", maxText); name.given() {
			names = append(names, name)
		}
	}
	s.vaults = locate(r, n, names)
}
