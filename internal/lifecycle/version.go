// Package lifecycle is what becomes of a secret over time: which of its versions is the current one, whose it is, how
// old it may grow, when the next one is due, and which older ones are disabled. A rotation is planned by it and an
// audit judges by it, so that the two cannot disagree.
//
// It is arithmetic alone: it knows metadata and durations, contacts nothing, and has no place for a value. Every time
// that it is given is the vault's.
package lifecycle

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A Version is what Key Vault says of one version of a secret to an identity that cannot read its value.
type Version struct {
	ID          string    // 32 hexadecimal digits
	Created     time.Time // whole seconds: two versions of one second cannot be ordered by it
	Expires     time.Time // zero: never
	NotBefore   time.Time // zero: none
	Enabled     bool
	ContentType string
	Tags        map[string]string
	Managed     bool // the secret is managed by a Key Vault certificate
}

// Exists reports whether v is a version at all: the zero Version stands for none.
func (v Version) Exists() bool { return v.ID != "" }

// Ours reports whether this action made v.
func (v Version) Ours() bool { return Ours(v.Tags) }

// Operation returns the ID of the operation that made v; "" if this action did not.
func (v Version) Operation() string { return v.Tags[TagOperation] }

// Policy returns the policy that v was made to, as its tag says; "" if it has no such tag.
func (v Version) Policy() PolicyTag { return PolicyTag(v.Tags[TagPolicy]) }

// Newest returns the enabled versions of the latest second that has any, by ID: none, one, or several that Key Vault's
// whole-second timestamps cannot order.
func Newest(versions []Version) (newest []Version) {
	for _, v := range versions {
		switch {
		case !v.Enabled:
		case len(newest) == 0 || v.Created.After(newest[0].Created):
			newest = []Version{v}
		case v.Created.Equal(newest[0].Created):
			newest = append(newest, v)
		}
	}
	slices.SortFunc(newest, func(a, b Version) int { return strings.Compare(a.ID, b.ID) })
	return newest
}

// SameOperation reports whether versions, one or more, were made by one operation. Then they hold one value, and any of
// them may stand for all.
func SameOperation(versions []Version) bool {
	for _, v := range versions[1:] {
		if v.Operation() == "" || v.Operation() != versions[0].Operation() {
			return false
		}
	}
	return true
}

// Settle returns which of versions is current where [Newest] returned several, by the tags that the vault's own list of
// secrets shows for the current version. It reports false if they do not decide.
func Settle(versions, newest []Version, tags map[string]string) (current Version, ok bool) {
	shown := slices.DeleteFunc(slices.Clone(versions), func(v Version) bool {
		return v.Created.Before(newest[0].Created) || !maps.Equal(v.Tags, tags)
	})
	// The list can show a disabled version. Then it says nothing of the enabled ones.
	disabled := slices.ContainsFunc(shown, func(v Version) bool { return !v.Enabled })
	if len(shown) == 0 || disabled || !SameOperation(shown) {
		return Version{}, false
	}
	return shown[0], true
}
