package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/refusal"
)

// A finding is what a vault tells of one secret.
type finding struct {
	secret   *declaration.Secret
	vault    string
	now      time.Time // by the vault's clock, once everything is looked up
	versions []keyvault.Version
	current  keyvault.Version  // zero: no version is enabled
	deleted  *keyvault.Deleted // nil: it is not soft-deleted
	err      *Error            // the look-up failed: nothing else is known
	whole    bool              // so will that of any other secret in this vault
}

// live reports whether there is a current version.
func (f *finding) live() bool { return f.current.ID != "" }

// missing reports whether the vault said that there is no version.
func (f *finding) missing() bool { return f.err == nil && len(f.versions) == 0 }

// tags returns those of the current version, or of the one that a recovery brings back.
func (f *finding) tags() map[string]string {
	if f.deleted != nil {
		return f.deleted.Tags
	}
	return f.current.Tags
}

// lookUp finds every secret in every one of its vaults, in the order of the declaration, the vaults of a secret together.
// The first request to a vault goes alone: a client that has no token yet would otherwise be challenged once for each.
// Where it shows that the vault cannot be reached by this identity, the vault's other secrets share its error.
func lookUp(ctx context.Context, secrets []declaration.Secret, vaults map[string]Vault, workers int) []finding {
	findings := unlooked(secrets)
	first := map[string]*finding{}
	var warmUp, rest []job
	for i := range findings {
		f := &findings[i]
		if leader := first[f.vault]; leader != nil {
			rest = append(rest, job{[]string{f.vault}, func() { f.follow(ctx, vaults[f.vault], leader) }})
			continue
		}
		first[f.vault] = f
		warmUp = append(warmUp, job{[]string{f.vault}, func() { f.look(ctx, vaults[f.vault]) }})
	}
	runAll(workers, warmUp)
	runAll(workers, rest)
	lookUpDeleted(ctx, findings, vaults, workers)
	for i := range findings {
		findings[i].now = vaults[findings[i].vault].Now()
	}
	return findings
}

func unlooked(secrets []declaration.Secret) (findings []finding) {
	for i := range secrets {
		for _, v := range secrets[i].Vaults {
			findings = append(findings, finding{secret: &secrets[i], vault: v.Name})
		}
	}
	return findings
}

// follow looks, unless the vault's first look-up has shown that there is no point.
func (f *finding) follow(ctx context.Context, v Vault, leader *finding) {
	if leader.whole {
		f.err = leader.err
		return
	}
	f.look(ctx, v)
}

// look asks for the versions and tells which is the current one.
func (f *finding) look(ctx context.Context, v Vault) {
	if ctx.Err() != nil {
		f.err = &Error{Reason: "the run was stopped before it was looked up", Remedy: "run again", Kind: refusal.Cancelled}
		return
	}
	versions, err := v.Versions(ctx, f.secret.Name)
	if err != nil {
		f.err, f.whole = explain("looking it up", err), concernsVault(err)
		return
	}
	current, err := currentOf(ctx, v, f.secret.Name, versions)
	if err != nil {
		f.err = explain("telling which version is current", err)
		return
	}
	f.versions, f.current = versions, current
}

// lookUpDeleted asks each vault that lacks a secret for the soft-deleted ones, once.
func lookUpDeleted(ctx context.Context, findings []finding, vaults map[string]Vault, workers int) {
	missing := map[string][]*finding{}
	for i := range findings {
		if f := &findings[i]; f.missing() {
			missing[f.vault] = append(missing[f.vault], f)
		}
	}
	var jobs []job
	for _, vault := range slices.Sorted(maps.Keys(missing)) {
		jobs = append(jobs, job{[]string{vault}, func() { matchDeleted(ctx, vaults[vault], missing[vault]) }})
	}
	runAll(workers, jobs)
}

// matchDeleted settles for findings of one vault whether they are soft-deleted. If the vault does not say, none of them is
// known to be missing.
func matchDeleted(ctx context.Context, v Vault, findings []*finding) {
	deleted, err := v.Deleted(ctx)
	for _, f := range findings {
		if err != nil {
			f.err = explain("looking for it among the soft-deleted secrets", err)
			continue
		}
		if d, ok := deleted[strings.ToLower(f.secret.Name)]; ok {
			f.deleted = &d
		}
	}
}

// currentOf returns the current version: the newest enabled one, and of several of one second the one whose tags the
// vault's own list shows. It returns the zero Version if none is enabled, and an error if the vault cannot tell.
func currentOf(ctx context.Context, v Vault, name string, versions []keyvault.Version) (keyvault.Version, error) {
	newest := newestEnabled(versions)
	if len(newest) == 0 {
		return keyvault.Version{}, nil
	}
	if sameOperation(newest) {
		return newest[0], nil
	}
	tags, listed, err := v.Current(ctx, name)
	if err != nil {
		return keyvault.Version{}, err
	}
	shown := slices.DeleteFunc(slices.Clone(versions), func(c keyvault.Version) bool {
		return c.Created.Before(newest[0].Created) || !maps.Equal(c.Tags, tags)
	})
	// A disabled version can be what the list shows. Then it tells nothing of the enabled ones.
	disabled := slices.ContainsFunc(shown, func(c keyvault.Version) bool { return !c.Enabled })
	if !listed || len(shown) == 0 || disabled || !sameOperation(shown) {
		return keyvault.Version{}, errTie(newest)
	}
	return shown[0], nil
}

// newestEnabled returns the enabled versions of the latest second that has any, by ID.
func newestEnabled(versions []keyvault.Version) (newest []keyvault.Version) {
	for _, v := range versions {
		switch {
		case !v.Enabled:
		case len(newest) == 0 || v.Created.After(newest[0].Created):
			newest = []keyvault.Version{v}
		case v.Created.Equal(newest[0].Created):
			newest = append(newest, v)
		}
	}
	slices.SortFunc(newest, func(a, b keyvault.Version) int { return strings.Compare(a.ID, b.ID) })
	return newest
}

// newerDisabled reports whether a disabled version is newer than the current one. Key Vault gives it, that is a refusal, to
// a reader who names no version.
func (f *finding) newerDisabled() bool {
	return slices.ContainsFunc(f.versions, func(v keyvault.Version) bool { return !v.Enabled && v.Created.After(f.current.Created) })
}

// sameOperation reports whether versions, one or more, are one operation's and so hold one value: any may stand for all.
func sameOperation(versions []keyvault.Version) bool {
	for _, v := range versions[1:] {
		if v.Tags[keyvault.OperationTag] == "" || v.Tags[keyvault.OperationTag] != versions[0].Tags[keyvault.OperationTag] {
			return false
		}
	}
	return true
}

func errTie(versions []keyvault.Version) error {
	var ids []string
	for _, v := range versions {
		ids = append(ids, v.ID)
	}
	return &Error{
		Reason: fmt.Sprintf("versions %s were made in the same second and the vault's list does not tell which is current", strings.Join(ids, " and ")),
		Remedy: "disable all but one of them, then run again",
	}
}

// managed reports whether the secret is the shadow of a certificate.
func (f *finding) managed() bool {
	return f.deleted != nil && f.deleted.Managed || slices.ContainsFunc(f.versions, func(v keyvault.Version) bool { return v.Managed })
}

// foreign reports whether the version that a new one would follow was not made by this action: the current one; where none
// is enabled, any of the newest; where the secret is soft-deleted, the one that a recovery brings back.
func (f *finding) foreign() bool {
	switch {
	case f.deleted != nil:
		return !ours(f.deleted.Tags)
	case f.live():
		return !ours(f.current.Tags)
	}
	return slices.ContainsFunc(f.versions, func(v keyvault.Version) bool { return !ours(v.Tags) })
}

// errNoVault is a mistake of the caller.
func errNoVault(name string) error { return errors.New("planning: no vault is given for " + name) }
