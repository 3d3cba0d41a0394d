package declaration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"keyvault-passwords/internal/declaration/internal/strict"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/lifecycle"
)

// A secretSpec is one declared secret as it was read, before its references are resolved.
type secretSpec struct {
	name        string
	place       Place
	policy      located[policyUse]
	login       located[[]string] // one or two
	apply       located[*applySpec]
	generate    located[[]partSpec]
	value       located[*composite.Template]
	template    *strict.Node // of the value, even if it was refused; nil if it is no text
	contentType string
	tags        map[string]string
	expires     located[time.Duration]
	notBefore   located[time.Duration]
	rotate      located[rotateSpec]
	superseded  located[supersededSpec]
	vaults      located[[]located[string]]
	sound       bool // no problem was found while it was read
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

// keyVaultNamePattern is what Key Vault takes:
// https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#objects-identifiers-and-versioning
const keyVaultNamePattern = `^[0-9a-zA-Z-]{1,127}$`

// isSecretName is keyVaultNamePattern, whose 127 repetitions would take longer to compile than all other reading.
func isSecretName(name string) bool {
	const allowed = "0123456789-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return name != "" && len(name) <= 127 && strings.Trim(name, allowed) == ""
}

const secretRemedy = "expected a policy's name, or a mapping such as {policy: azure-sql, expires: 90d}"

// readSecrets reads the mapping of names to secrets, in order.
func (r *reader) readSecrets(n *strict.Node, what string) []*secretSpec {
	entries, ok := r.Entries(n, what, "expected a mapping of names to secrets")
	if ok && len(strict.EntriesOf(n)) == 0 {
		r.Refuse(r.Place(n), "no secret is declared", "expected at least one")
	}
	var secrets []*secretSpec
	first := map[string]Place{} // of each name, in lower case
	for _, entry := range entries {
		name, place := entry.Name(), r.Place(entry.Key)
		if !isSecretName(name) {
			r.Refuse(place, fmt.Sprintf("%q is not a secret name", strict.Clip(name)),
				"expected 1 to 127 letters, digits and hyphens")
		}
		folded := strings.ToLower(name)
		if other, ok := first[folded]; ok {
			cause := fmt.Sprintf("secret %q differs from the one at %s only in letter case", strict.Clip(name), other)
			r.Refuse(place, cause, "expected another name: Key Vault ignores letter case")
			continue
		}
		first[folded] = place
		secrets = append(secrets, r.readSecret(name, place, entry.Value))
	}
	return secrets
}

// readSecret reads what follows a secret's name: nothing, the name of a policy, or a mapping.
func (r *reader) readSecret(name string, place Place, n *strict.Node) *secretSpec {
	s := &secretSpec{name: name, place: place}
	before := r.Found()
	switch strict.KindOf(n) {
	case strict.Empty:
	case strict.Mapping, strict.List, strict.Tagged:
		readFields(r, n, "a secret", secretRemedy, secretFields, s)
	default:
		s.policy = r.readPolicyUse(n, "the policy")
	}
	if s.policy.given() && s.generate.given() {
		r.Refuse(s.generate.place, "the secret has both policy and generate",
			"remove policy; in generate, each part has its own")
	}
	s.sound = r.Found() == before
	return s
}

// locateText reads a text and notes its place.
func (r *reader) locateText(n *strict.Node, what string) located[string] {
	text, ok := r.Line(n, what, maxText)
	if !ok {
		return located[string]{}
	}
	return locate(r, n, text)
}

const durationRemedy = "expected a duration such as 90d, 36h, P90D or PT12H"

// locateDuration reads a duration of at least one second.
func (r *reader) locateDuration(n *strict.Node, what string) located[time.Duration] {
	d := r.locateGrace(n, what)
	if d.given() && d.value == 0 {
		r.Refuse(d.place, what+" is 0", "expected a second or more; otherwise remove the key")
		return located[time.Duration]{}
	}
	return d
}

// locateGrace reads a duration that may be 0.
func (r *reader) locateGrace(n *strict.Node, what string) located[time.Duration] {
	remedy, text := durationRemedy, strict.Value(n)
	switch kind := strict.KindOf(n); kind {
	case strict.Integer:
		remedy = fmt.Sprintf("expected a unit, as in %sd or %sh", strict.Clip(text), strict.Clip(text))
	case strict.Mapping, strict.List, strict.Tagged:
		r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, kind), remedy)
		return located[time.Duration]{}
	}
	if better := durationHint(text); better != "" {
		remedy = better
	}
	duration, err := parseDuration(text)
	switch {
	case errors.Is(err, errTooLong):
		r.Refuse(r.Place(n), fmt.Sprintf("%s: %q %v", what, strict.Clip(text), err), "expected at most 3660d")
	case err != nil:
		r.Refuse(r.Place(n), fmt.Sprintf("%s: %q %v", what, strict.Clip(text), err), remedy)
	default:
		return locate(r, n, duration)
	}
	return located[time.Duration]{}
}

// durationHint says how a text that is no duration is to be written, if it is clear what is meant; "" if it is not.
func durationHint(text string) string {
	plain := strings.ToLower(strings.ReplaceAll(text, " ", ""))
	for _, unit := range []string{"week", "day", "hour", "minute", "second"} {
		if number, ok := strings.CutSuffix(strings.TrimSuffix(plain, "s"), unit); ok {
			plain = number + unit[:1]
		}
	}
	switch _, err := parseDuration(plain); {
	case calendar().MatchString(text):
		return "expected days, as in 90d: months and years have no fixed length"
	case err == nil && len(text) <= maxText:
		return "expected " + plain
	case date().MatchString(text):
		return "expected how long after its creation, as in 90d: a date would pass, and each version needs its own"
	case fraction().MatchString(text):
		return "expected whole numbers, as in 1d12h"
	case strings.EqualFold(text, "never") || strings.EqualFold(text, "none"):
		return "remove the key"
	}
	return ""
}

// readGenerate reads the parts of a composite.
func (s *secretSpec) readGenerate(r *reader, n *strict.Node) {
	const remedy = "expected a mapping of names to policies, such as {key: hex-256, salt: default}"
	entries, ok := r.Entries(n, "generate", remedy)
	if ok && len(strict.EntriesOf(n)) == 0 {
		r.Refuse(r.Place(n), "generate has no part", remedy)
	}
	var parts []partSpec
	for _, entry := range entries {
		part := partSpec{name: entry.Name(), place: r.Place(entry.Key)}
		if !composite.IsName(part.name) {
			r.Refuse(part.place, fmt.Sprintf("%q is not the name of a part", strict.Clip(part.name)),
				nameRemedy+", but not login")
		}
		part.policy = r.readPolicyUse(entry.Value, fmt.Sprintf("the policy of part %q", strict.Clip(part.name)))
		parts = append(parts, part)
	}
	s.generate = locate(r, n, parts)
}

// readValue reads the template of a composite, and notes each mistake at its line and column.
func (s *secretSpec) readValue(r *reader, n *strict.Node) {
	text, ok := r.Scalar(n, "value")
	switch i := strings.IndexFunc(text, isOddControl); {
	case !ok:
		return
	case text == "":
		r.Refuse(r.Place(n), "value is empty", "expected a text with ${PART} in it; otherwise remove the key")
		return
	case len(text) > maxValue:
		r.Refuse(r.Place(n), fmt.Sprintf("value has %d bytes", len(text)), valueRemedy())
		return
	case i >= 0:
		r.Refuse(r.PlacesIn(n, []int{i})[0], "value contains a control character",
			"expected printable text, tabs and line breaks")
		return
	}
	template, problems := r.parseTemplate(text)
	var offsets []int
	for _, p := range problems {
		offsets = append(offsets, p.Offset)
	}
	for i, place := range r.PlacesIn(n, offsets) {
		remedy := problems[i].Remedy
		if filter := problems[i].Filter; filter != "" {
			remedy = strict.Alternatives(filter, composite.Filters())
		}
		r.Refuse(place, problems[i].Cause, remedy)
	}
	s.template = n
	if template != nil {
		s.value = locate(r, n, template)
	}
}

// parseTemplate parses a template, once for all secrets that have it by an alias.
func (r *reader) parseTemplate(text string) (*composite.Template, []composite.Problem) {
	if template := r.templates[text]; template != nil {
		return template, nil
	}
	template, problems := composite.Parse(text)
	if template != nil {
		r.templates[text] = template
	}
	return template, problems
}

// isOddControl reports whether a character is a control character other than those of lines of text.
func isOddControl(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t' }

// readTags reads the user's tags.
func (s *secretSpec) readTags(r *reader, n *strict.Node) {
	entries, ok := r.Entries(n, "tags", "expected a mapping of text to text, such as {owner: data-platform}")
	if ok && len(entries) > lifecycle.MaxUserTags {
		r.Refuse(r.Place(n), fmt.Sprintf("the secret has %d tags", len(entries)),
			fmt.Sprintf("expected at most %d: Key Vault allows %d, and %d are the action's own",
				lifecycle.MaxUserTags, lifecycle.MaxTags, len(lifecycle.OwnTags())))
	}
	s.tags = map[string]string{}
	first := map[string]Place{} // of each name, in lower case
	for _, entry := range entries {
		name := entry.Name()
		r.checkTagName(entry.Key, name)
		folded := strings.ToLower(name)
		if other, ok := first[folded]; ok {
			cause := fmt.Sprintf("tag %q differs from the one at %s only in letter case", strict.Clip(name), other)
			r.Refuse(r.Place(entry.Key), cause, "remove one of them: letter case does not tell the names of tags apart")
		} else {
			first[folded] = r.Place(entry.Key)
		}
		value, ok := r.Scalar(entry.Value, fmt.Sprintf("the value of tag %q", strict.Clip(name)))
		if ok {
			r.checkTagText(entry.Value, "the value of a tag", value)
		}
		s.tags[name] = value
	}
	if len(s.tags) == 0 {
		s.tags = nil
	}
}

func (r *reader) checkTagName(n *strict.Node, name string) {
	if own := lifecycle.OwnTags(); slices.Contains(own, strings.ToLower(name)) {
		r.Refuse(r.Place(n), fmt.Sprintf("tag %q is set by the action itself", name),
			"expected another name than "+strings.Join(own, ", "))
	}
	if name == "" {
		r.Refuse(r.Place(n), "the name of a tag is empty", "expected text")
	}
	r.checkTagText(n, "the name of a tag", name)
}

func (r *reader) checkTagText(n *strict.Node, what, text string) {
	if count := utf8.RuneCountInString(text); count > maxTag {
		cause := fmt.Sprintf("%s has %d characters", what, count)
		r.Refuse(r.Place(n), cause, fmt.Sprintf("expected at most %d", maxTag))
	}
	r.Printable(n, what)
}

// readRotate reads rotate, which must have at least one trigger.
func (s *secretSpec) readRotate(r *reader, n *strict.Node) {
	const remedy = "expected one or more of after, before-expiry, on-policy-change, such as {after: 60d}"
	var rotate rotateSpec
	before := r.Found()
	ok := readFields(r, n, "rotate", remedy, rotateFields, &rotate)
	trigger := rotate.after.given() || rotate.beforeExpiry.given() || rotate.onPolicyChange
	if ok && r.Found() == before && !trigger {
		r.Refuse(r.Place(n), "rotate has no trigger", remedy)
	}
	s.rotate = locate(r, n, rotate)
}

// readSuperseded reads superseded, which must have disable-after.
func (s *secretSpec) readSuperseded(r *reader, n *strict.Node) {
	const remedy = "expected a mapping, such as {disable-after: 24h}"
	var superseded supersededSpec
	before := r.Found()
	ok := readFields(r, n, "superseded", remedy, supersededFields, &superseded)
	if ok && r.Found() == before && !superseded.disableAfter.given() {
		r.Refuse(r.Place(n), "superseded has no disable-after", remedy)
	}
	s.superseded = locate(r, n, superseded)
}

// readVaults reads the list of the secret's vaults.
func (s *secretSpec) readVaults(r *reader, n *strict.Node) {
	const remedy = "expected a list of names under vaults, such as [eu, us]"
	items, ok := r.Items(n, "vaults", remedy)
	if ok && len(items) == 0 {
		r.Refuse(r.Place(n), "vaults is empty", remedy)
	}
	var names []located[string]
	for _, item := range items {
		if name := r.locateText(item, "a vault"); name.given() {
			names = append(names, name)
		}
	}
	s.vaults = locate(r, n, names)
}
