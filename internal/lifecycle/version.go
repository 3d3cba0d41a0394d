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

// Exists reports whether v is a version at all: the zero Version is none.
func (v Version) Exists() bool { return v.ID != "" }

// Ours reports whether this action made v.
func (v Version) Ours() bool { return Ours(v.Tags) }

// Operation returns the ID of the operation that made v; "" if this action did not.
func (v Version) Operation() string { return v.Tags[TagOperation] }

// Policy returns the policy that v was made to, as its tag says; "" if it has no such tag.
func (v Version) Policy() PolicyTag { return PolicyTag(v.Tags[TagPolicy]) }

// Login returns which of two logins the value of v opens, as its tag says; "" if it has no such tag.
func (v Version) Login() string { return v.Tags[TagLogin] }

// Confirmed reports whether an Azure server confirmed that it holds the value of v.
func (v Version) Confirmed() bool { return v.Operation() != "" && v.Tags[TagApplied] == v.Operation() }

// Newest returns the versions of the latest second that has any, in any state, by ID: none, one, or several that Key
// Vault's whole-second timestamps cannot order. The current version is among them: it is the newest one, as it is for
// Key Vault and for a reader who names no version, also where it is disabled.
func Newest(versions []Version) (newest []Version) {
	for _, v := range versions {
		switch {
		case len(newest) == 0 || v.Created.After(newest[0].Created):
			newest = []Version{v}
		case v.Created.Equal(newest[0].Created):
			newest = append(newest, v)
		}
	}
	slices.SortFunc(newest, func(a, b Version) int { return strings.Compare(a.ID, b.ID) })
	return newest
}

// Alike reports whether versions, one or more, were made by one operation and are in one state. They hold one value
// then, and any of them may stand for all.
func Alike(versions []Version) bool {
	first := versions[0]
	for _, v := range versions[1:] {
		if v.Operation() == "" || v.Operation() != first.Operation() || v.Enabled != first.Enabled {
			return false
		}
	}
	return true
}

// Diverged returns, of the current versions that the vaults of one secret hold, the place of the first of each
// operation, where there are several: the vaults do not hold one value then, as far as tags tell. It returns nil where
// one operation made all of them, or none has one.
func Diverged(current []Version) (places []int) {
	seen := map[string]bool{}
	for i, v := range current {
		if !seen[v.Operation()] {
			seen[v.Operation()] = true
			places = append(places, i)
		}
	}
	if len(places) < 2 {
		return nil
	}
	return places
}

// Settle returns which of the newest versions is current where there are several, by the tags that the vault's own list
// of secrets shows for the current version. It reports false if they do not decide.
func Settle(newest []Version, tags map[string]string) (current Version, ok bool) {
	shown := slices.DeleteFunc(slices.Clone(newest), func(v Version) bool { return !maps.Equal(v.Tags, tags) })
	if len(shown) == 0 || !Alike(shown) {
		return Version{}, false
	}
	return shown[0], true
}
