package lifecycle

import (
	"maps"
	"slices"
	"strings"
)

// The tags that this action sets on each version that it makes.
const (
	TagGeneratedBy = "generated-by" // this action's name: whose version it is
	TagPolicy      = "policy"       // the policy that the value was made to
	TagOperation   = "operation"    // the ID of the operation that made it: one operation, one value
	TagRun         = "run"          // OWNER/REPO/RUN_ID/ATTEMPT
	TagLogin       = "login"        // which of two logins the value opens
	TagApplied     = "applied"      // the operation that a server confirmed
)

// generatedBy is the value of TagGeneratedBy.
const generatedBy = "keyvault-passwords"

var ownTags = [...]string{TagGeneratedBy, TagPolicy, TagOperation, TagRun, TagLogin, TagApplied}

const (
	// MaxTags is how many tags Key Vault takes for a version:
	// https://learn.microsoft.com/azure/key-vault/secrets/about-secrets#secret-tags
	MaxTags = 15
	// MaxUserTags is how many of them a declaration may set. The rest is for the action's own.
	MaxUserTags = MaxTags - len(ownTags)
)

// OwnTags returns the names of the tags that are the action's own. A declaration cannot set them.
func OwnTags() []string { return slices.Clone(ownTags[:]) }

// fileEncodingTag says how `az keyvault secret set --file` encoded the value that it stored. It describes that value
// and not the secret, so a new value does not have it.
const fileEncodingTag = "file-encoding"

// Ours reports whether a version with these tags was made by this action.
func Ours(tags map[string]string) bool { return tags[TagGeneratedBy] == generatedBy }

// A PolicyTag names the policy that a value is made to: NAME@FINGERPRINT, with the name "inline" for a policy without
// one and "composite" for a value of several parts.
type PolicyTag string

// NewPolicyTag returns the tag of a policy.
func NewPolicyTag(name, fingerprint string) PolicyTag { return PolicyTag(name + "@" + fingerprint) }

// Name returns the policy's name alone.
func (t PolicyTag) Name() string {
	name, _, _ := strings.Cut(string(t), "@")
	return name
}

// SameRun reports whether two run tags, OWNER/REPO/RUN_ID/ATTEMPT, are of one workflow run, whichever its attempts. A
// run outside GitHub cannot be told from another: its tag is of no run.
func SameRun(a, b string) bool {
	of := func(tag string) string { return tag[:max(strings.LastIndexByte(tag, '/'), 0)] }
	return of(a) != "" && of(a) == of(b)
}

// NewTags returns the tags of a new version: those carried over from the version it follows, the declared ones, and the
// action's own, which win over both. An empty run is left out.
func NewTags(policy PolicyTag, declared, carried map[string]string, operation, run string) map[string]string {
	tags := maps.Clone(carried)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, declared)
	tags[TagGeneratedBy] = generatedBy
	tags[TagPolicy] = string(policy)
	tags[TagOperation] = operation
	if run != "" {
		tags[TagRun] = run
	}
	return tags
}

// Carry returns which tags of the current version a new one keeps beside its own tags next, which come from [NewTags]:
// all that next does not name (letter case aside), that are not the action's own, and that fit. Left are those that do
// not fit.
func Carry(current, next map[string]string) (carried map[string]string, left []string) {
	taken := map[string]bool{fileEncodingTag: true}
	for _, name := range ownTags {
		taken[name] = true
	}
	for name := range next {
		taken[strings.ToLower(name)] = true
	}
	carried = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(current)) {
		switch {
		case taken[strings.ToLower(name)]:
		case len(next)+len(carried) < MaxTags:
			carried[name] = current[name]
		default:
			left = append(left, name)
		}
	}
	return carried, left
}
