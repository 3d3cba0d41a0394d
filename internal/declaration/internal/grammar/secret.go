package grammar

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/lifecycle"
)

// A Secret is one declared secret as it was written.
type Secret struct {
	Name        string
	Place       strict.Place
	Policy      Located[PolicyUse]
	Login       Located[[]string] // one or two
	HasLogin    bool              // login is written, even if it was refused
	Apply       Located[*Apply]
	Generate    Located[[]Part]
	Value       Located[*composite.Template]
	Template    *strict.Node // of the value, even if it was refused; nil if it is no text
	ContentType string
	Tags        map[string]string
	Expires     Located[time.Duration]
	NotBefore   Located[time.Duration]
	Rotate      Located[Rotate]
	Superseded  Located[Superseded]
	Vaults      Located[[]Located[string]]
	Sound       bool // no problem was found while it was read
}

// A Part is one entry of generate.
type Part struct {
	Name   string
	Policy Located[PolicyUse]
}

// A Rotate is what a secret's rotate says.
type Rotate struct {
	After, BeforeExpiry Located[time.Duration]
	OnPolicyChange      bool
}

// A Superseded is what a secret's superseded says.
type Superseded struct{ DisableAfter Located[time.Duration] }

// MaxValue is the length of the longest value that Key Vault accepts, in bytes: 25 KB.
// https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
const MaxValue = 25 * 1024

// ValueRemedy says what was expected in place of a value that is too long.
func ValueRemedy() string {
	return fmt.Sprintf("expected at most %d, the limit of Key Vault", MaxValue)
}

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
func (r *reader) readSecrets(n *strict.Node, what string) []*Secret {
	entries, ok := r.Entries(n, what, "expected a mapping of names to secrets")
	if ok && len(strict.EntriesOf(n)) == 0 {
		r.Refuse(r.Place(n), "no secret is declared", "expected at least one")
	}
	var secrets []*Secret
	first := map[string]strict.Place{}
	for _, entry := range entries {
		name, place := entry.Name(), r.Place(entry.Key)
		if !isSecretName(name) {
			r.Refuse(place, fmt.Sprintf("%q is not a secret name", strict.Clip(name)),
				"expected 1 to 127 letters, digits and hyphens")
		}
		if r.differs(entry, "secret", first, "expected another name: Key Vault ignores letter case") {
			secrets = append(secrets, r.readSecret(name, place, entry.Value))
		}
	}
	return secrets
}

// differs reports whether a name differs from all before it in more than letter case. It notes one that does not. first
// has the place of each name, in lower case.
func (r *reader) differs(entry strict.Entry, kind string, first map[string]strict.Place, remedy string) bool {
	name, place := entry.Name(), r.Place(entry.Key)
	other, taken := first[strings.ToLower(name)]
	if taken {
		r.Refuse(place, fmt.Sprintf("%s %q differs from the one at %s only in letter case", kind, strict.Clip(name),
			other), remedy)
		return false
	}
	first[strings.ToLower(name)] = place
	return true
}

// readSecret reads what follows a secret's name: nothing, the name of a policy, or a mapping.
func (r *reader) readSecret(name string, place strict.Place, n *strict.Node) *Secret {
	s := &Secret{Name: name, Place: place}
	before := r.Found()
	switch strict.KindOf(n) {
	case strict.Empty:
	case strict.Mapping, strict.List, strict.Tagged:
		readFields(r, n, "a secret", secretRemedy, secretFields, s)
		s.HasLogin = slices.ContainsFunc(strict.EntriesOf(n), func(e strict.Entry) bool { return e.Name() == "login" })
	default:
		s.Policy = r.readPolicyUse(n, "the policy")
	}
	if s.Policy.Given() && s.Generate.Given() {
		r.Refuse(s.Generate.Place, "the secret has both policy and generate",
			"remove policy; in generate, each part has its own")
	}
	s.Sound = r.Found() == before
	return s
}

// readGenerate reads the parts of a composite.
func (s *Secret) readGenerate(r *reader, n *strict.Node) {
	const remedy = "expected a mapping of names to policies, such as {key: hex-256, salt: default}"
	entries, ok := r.Entries(n, "generate", remedy)
	if ok && len(strict.EntriesOf(n)) == 0 {
		r.Refuse(r.Place(n), "generate has no part", remedy)
	}
	var parts []Part
	for _, entry := range entries {
		name := entry.Name()
		if !composite.IsName(name) {
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("%q is not the name of a part", strict.Clip(name)),
				nameRemedy+", but not login")
		}
		policy := r.readPolicyUse(entry.Value, fmt.Sprintf("the policy of part %q", strict.Clip(name)))
		parts = append(parts, Part{Name: name, Policy: policy})
	}
	s.Generate = locate(r, n, parts)
}

// readValue reads the template of a composite, and notes each mistake at its line and column.
func (s *Secret) readValue(r *reader, n *strict.Node) {
	text, ok := r.Scalar(n, "value")
	switch i := strings.IndexFunc(text, isOddControl); {
	case !ok:
		return
	case text == "":
		r.Refuse(r.Place(n), "value is empty", "expected a text with ${PART} in it; otherwise remove the key")
		return
	case len(text) > MaxValue:
		r.Refuse(r.Place(n), fmt.Sprintf("value has %d bytes", len(text)), ValueRemedy())
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
	s.Template = n
	if template != nil {
		s.Value = locate(r, n, template)
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
func (s *Secret) readTags(r *reader, n *strict.Node) {
	entries, ok := r.Entries(n, "tags", "expected a mapping of text to text, such as {owner: data-platform}")
	if ok && len(entries) > lifecycle.MaxUserTags {
		r.Refuse(r.Place(n), fmt.Sprintf("the secret has %d tags", len(entries)),
			fmt.Sprintf("expected at most %d: Key Vault allows %d, and %d are the action's own",
				lifecycle.MaxUserTags, lifecycle.MaxTags, len(lifecycle.OwnTags())))
	}
	s.Tags = map[string]string{}
	first := map[string]strict.Place{}
	for _, entry := range entries {
		name := entry.Name()
		r.checkTagName(entry.Key, name)
		r.differs(entry, "tag", first, "remove one of them: letter case does not tell the names of tags apart")
		value, ok := r.Scalar(entry.Value, fmt.Sprintf("the value of tag %q", strict.Clip(name)))
		if ok {
			r.checkTagText(entry.Value, "the value of a tag", value)
		}
		s.Tags[name] = value
	}
	if len(s.Tags) == 0 {
		s.Tags = nil
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
func (s *Secret) readRotate(r *reader, n *strict.Node) {
	const remedy = "expected one or more of after, before-expiry, on-policy-change, such as {after: 60d}"
	var rotate Rotate
	sound := readFields(r, n, "rotate", remedy, rotateFields, &rotate)
	if sound && !rotate.After.Given() && !rotate.BeforeExpiry.Given() && !rotate.OnPolicyChange {
		r.Refuse(r.Place(n), "rotate has no trigger", remedy)
	}
	s.Rotate = locate(r, n, rotate)
}

// readSuperseded reads superseded, which must have disable-after.
func (s *Secret) readSuperseded(r *reader, n *strict.Node) {
	const remedy = "expected a mapping, such as {disable-after: 24h}"
	var superseded Superseded
	sound := readFields(r, n, "superseded", remedy, supersededFields, &superseded)
	if sound && !superseded.DisableAfter.Given() {
		r.Refuse(r.Place(n), "superseded has no disable-after", remedy)
	}
	s.Superseded = locate(r, n, superseded)
}

// readVaults reads the list of the secret's vaults.
func (s *Secret) readVaults(r *reader, n *strict.Node) {
	const remedy = "expected a list of names under vaults, such as [eu, us]"
	var names []Located[string]
	for _, item := range r.readItems(n, "vaults", remedy, remedy) {
		if name := r.locateText(item, "a vault"); name.Given() {
			names = append(names, name)
		}
	}
	s.Vaults = locate(r, n, names)
}
