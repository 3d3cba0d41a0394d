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

// carried returns the tags that a new version keeps of the one it follows: all that the declaration does not name (letter
// case aside), that are not this action's own, and that fit beside those.
func (f *finding) carried(o Options) map[string]string {
	declared := f.secret.Tags
	room := maxTags - len(newTags("", declared, nil, "", o.Run))
	carried := map[string]string{}
	for _, name := range unnamed(f.tags(), declared) {
		if len(carried) < room {
			carried[name] = f.tags()[name]
		}
	}
	return carried
}

// warnOfTags names the tags that do not fit; "" if all do.
func warnOfTags(current, carried, declared map[string]string) string {
	left := slices.DeleteFunc(unnamed(current, declared), func(name string) bool { _, kept := carried[name]; return kept })
	if len(left) == 0 {
		return ""
	}
	return fmt.Sprintf("Key Vault takes %d tags: of the current version's, %s will not be carried over", maxTags, strings.Join(left, ", "))
}

// unnamed returns the names of those of the current tags that are neither declared nor this action's own, sorted.
func unnamed(current, declared map[string]string) (names []string) {
	taken := map[string]bool{fileEncodingTag: true, generatedByTag: true, policyTag: true, keyvault.OperationTag: true, runTag: true}
	for name := range declared {
		taken[strings.ToLower(name)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(current)) {
		if !taken[strings.ToLower(name)] {
			names = append(names, name)
		}
	}
	return names
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
