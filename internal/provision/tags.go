package provision

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"keyvault-passwords/internal/keyvault"
)

// The tags that this action sets on each version, beside the operation's.
const (
	generatedByTag = "generated-by"
	generatedBy    = "keyvault-passwords"
	policyTag      = "policy"
	runTag         = "run"
)

// maxTags is how many tags a version may have:
// https://learn.microsoft.com/azure/key-vault/secrets/about-secrets#secret-tags
const maxTags = 15

// fileEncodingTag says how `az keyvault secret set --file` encoded the value that it stored. It describes that value and
// not the secret, so a new value does not have it.
const fileEncodingTag = "file-encoding"

// ours reports whether a version with these tags was made by this action.
func ours(tags map[string]string) bool { return tags[generatedByTag] == generatedBy }

// carryOver returns the tags of a current version that a new version keeps: all that the declaration does not name (letter
// case aside), that are not this action's own, and that fit beside those. What does not fit is in the warning.
func carryOver(current, declared map[string]string, run string) (carried map[string]string, warning string) {
	taken := map[string]bool{fileEncodingTag: true}
	for _, own := range []string{generatedByTag, policyTag, keyvault.OperationTag, runTag} {
		taken[own] = true
	}
	for name := range declared {
		taken[strings.ToLower(name)] = true
	}
	var left []string
	room := maxTags - len(newTags("", declared, nil, "", run))
	carried = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(current)) {
		switch {
		case taken[strings.ToLower(name)]:
		case len(carried) < room:
			carried[name] = current[name]
		default:
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		warning = fmt.Sprintf("Key Vault takes %d tags: of the current version's, %s will not be carried over", maxTags, strings.Join(left, ", "))
	}
	return carried, warning
}

// newTags returns the tags of a new version.
func newTags(policy string, declared, carried map[string]string, operation, run string) map[string]string {
	tags := maps.Clone(carried)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, declared)
	tags[generatedByTag] = generatedBy
	tags[policyTag] = policy
	tags[keyvault.OperationTag] = operation
	if run != "" {
		tags[runTag] = run
	}
	return tags
}
