package provision_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
)

// A vault is a Key Vault in memory, as provision.Vault describes it and no kinder: it lists versions by ID, keeps whole
// seconds, ignores the letter case of names, inherits nothing, and takes no version of a soft-deleted name.
type vault struct {
	mu      sync.Mutex
	name    string
	clock   func() time.Time
	secrets map[string][]held // by lower-case name, in the order of their making
	deleted map[string][]held
	made    int
	calls   map[string]int // by operation, and by operation and name

	// before is called, without the lock, before each operation is carried out. An error is the operation's answer.
	before func(ctx context.Context, operation, name string) error
	// after is called likewise once a version was set or tagged, or versions were listed.
	after func(ctx context.Context, operation, name string) error
	// broken is told of what no caller may do.
	broken func(format string, args ...any)
}

// A held is one version in the vault.
type held struct {
	lifecycle.Version
	value string
}

func newVault(name string, clock func() time.Time) *vault {
	return &vault{
		name: name, clock: clock,
		secrets: map[string][]held{}, deleted: map[string][]held{}, calls: map[string]int{},
		before: func(context.Context, string, string) error { return nil },
		after:  func(context.Context, string, string) error { return nil },
		broken: func(format string, args ...any) { panic(fmt.Sprintf(format, args...)) },
	}
}

// put plants a past version, in the order of the calls.
func (v *vault) put(name string, version lifecycle.Version) lifecycle.Version {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.add(name, version, "planted")
}

func (v *vault) add(name string, version lifecycle.Version, value string) lifecycle.Version {
	v.made++
	if version.ID == "" {
		sum := sha256.Sum256([]byte(fmt.Sprint(v.name, v.made)))
		version.ID = hex.EncodeToString(sum[:16])
	}
	version.Created = version.Created.Truncate(time.Second)
	key := strings.ToLower(name)
	v.secrets[key] = append(v.secrets[key], held{version, value})
	return version
}

// softDelete deletes a secret with all its versions.
func (v *vault) softDelete(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := strings.ToLower(name)
	v.deleted[key] = v.secrets[key]
	delete(v.secrets, key)
}

// holds returns the versions of a secret in the order of their making.
func (v *vault) holds(name string) []held {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.secrets[strings.ToLower(name)])
}

// current returns the newest version, in any state, and of several of one second the one made last.
func current(versions []held) (newest held) {
	for _, h := range versions {
		if !h.Created.Before(newest.Created) {
			newest = h
		}
	}
	return newest
}

func (v *vault) call(ctx context.Context, operation, name string) (unlock func(), err error) {
	v.mu.Lock()
	v.calls[operation]++
	v.calls[operation+" "+name]++
	v.mu.Unlock()
	if err := v.before(ctx, operation, name); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, v.refusal(operation, name, refusal.Cancelled)
	}
	v.mu.Lock()
	return v.mu.Unlock, nil
}

func (v *vault) refusal(act, name string, kind refusal.Kind) *keyvault.Error {
	return &keyvault.Error{Secret: name, Refusal: refusal.Refusal{
		Act: act, Kind: kind, Cause: "seen by the vault", Remedy: "what to do",
	}}
}

func (v *vault) Now() time.Time { return v.clock() }

func (v *vault) Versions(ctx context.Context, name string) ([]lifecycle.Version, error) {
	unlock, err := v.call(ctx, "versions", name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := v.after(ctx, "versions", name); err != nil {
		return nil, err
	}
	var versions []lifecycle.Version
	for _, h := range v.secrets[strings.ToLower(name)] {
		h.Tags = maps.Clone(h.Tags)
		versions = append(versions, h.Version)
	}
	slices.SortFunc(versions, func(a, b lifecycle.Version) int { return strings.Compare(a.ID, b.ID) })
	return versions, nil
}

func (v *vault) Current(ctx context.Context, name string) (map[string]string, bool, error) {
	unlock, err := v.call(ctx, "current", name)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	versions := v.secrets[strings.ToLower(name)]
	if len(versions) == 0 {
		return nil, false, nil
	}
	return maps.Clone(versions[len(versions)-1].Tags), true, nil
}

func (v *vault) Deleted(ctx context.Context) (map[string]keyvault.Deleted, error) {
	unlock, err := v.call(ctx, "deleted", "")
	if err != nil {
		return nil, err
	}
	defer unlock()
	all := map[string]keyvault.Deleted{}
	for name, versions := range v.deleted {
		last := versions[len(versions)-1]
		all[name] = keyvault.Deleted{Tags: maps.Clone(last.Tags), Managed: last.Managed}
	}
	return all, nil
}

func (v *vault) Set(ctx context.Context, name string, n keyvault.NewVersion) (keyvault.Stored, error) {
	unlock, err := v.call(ctx, "set", name)
	if err != nil {
		return keyvault.Stored{}, err
	}
	defer unlock()
	key := strings.ToLower(name)
	if _, gone := v.deleted[key]; gone {
		return keyvault.Stored{}, v.refusal("setting", name, refusal.SoftDeleted)
	}
	operation := n.Tags[lifecycle.TagOperation]
	if n.Value.Reveal() == "" || operation == "" || len(n.Tags) > 15 {
		v.broken("%s: set with %d tags, operation %q", name, len(n.Tags), operation)
	}
	for _, h := range v.secrets[key] {
		if h.Managed {
			v.broken("%s: set, though it is managed by a Key Vault certificate", name)
		}
		if h.Tags[lifecycle.TagOperation] == operation {
			v.broken("%s: one operation set twice", name)
		}
	}
	made := v.add(name, lifecycle.Version{
		Created: v.clock(), Expires: n.Expires, NotBefore: n.NotBefore, Enabled: true, ContentType: n.ContentType,
		Tags: maps.Clone(n.Tags),
	}, n.Value.Reveal())
	return keyvault.Stored{Version: made.ID}, v.after(ctx, "set", name)
}

func (v *vault) Disable(ctx context.Context, name, version string) error {
	unlock, err := v.call(ctx, "disable", name)
	if err != nil {
		return err
	}
	defer unlock()
	versions := v.secrets[strings.ToLower(name)]
	i := slices.IndexFunc(versions, func(h held) bool { return h.ID == version })
	switch {
	case i < 0:
		return v.refusal("disabling", name, refusal.NotFound)
	case versions[i].ID == current(versions).ID:
		v.broken("%s: the current version is disabled", name)
	case versions[i].Tags["generated-by"] != "keyvault-passwords":
		v.broken("%s: a version is disabled that is not this action's", name)
	case !versions[i].Enabled:
		v.broken("%s: a version is disabled that is not enabled", name)
	}
	versions[i].Enabled = false
	return nil
}

func (v *vault) Tag(ctx context.Context, name, version string, tags map[string]string) error {
	unlock, err := v.call(ctx, "tag", name)
	if err != nil {
		return err
	}
	defer unlock()
	versions := v.secrets[strings.ToLower(name)]
	i := slices.IndexFunc(versions, func(h held) bool { return h.ID == version })
	if i < 0 {
		return v.refusal("tagging", name, refusal.NotFound)
	}
	for tag, text := range versions[i].Tags {
		if tags[tag] != text && tag != lifecycle.TagApplied { // which a server that holds another value takes away
			v.broken("%s: the tag %s is lost", name, tag)
		}
	}
	if len(tags) > 15 {
		v.broken("%s: %d tags", name, len(tags))
	}
	versions[i].Tags = maps.Clone(tags)
	return v.after(ctx, "tag", name)
}

func (v *vault) Recover(ctx context.Context, name string) error {
	unlock, err := v.call(ctx, "recover", name)
	if err != nil {
		return err
	}
	defer unlock()
	key := strings.ToLower(name)
	if v.deleted[key] == nil {
		return v.refusal("recovering", name, refusal.NotFound)
	}
	v.secrets[key] = v.deleted[key]
	delete(v.deleted, key)
	return nil
}
