package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
)

// A holding is what a vault holds of one secret.
type holding struct {
	secret   *declaration.Secret
	vault    string
	now      time.Time // by the vault's clock, once everything is looked up
	versions []lifecycle.Version
	current  lifecycle.Version // the newest, in any state. Zero: there is no version
	deleted  *keyvault.Deleted // nil: it is not soft-deleted
	failure  *refusal.Refusal  // the look-up failed: nothing else is known
}

// with returns what the vault holds once it has stored a version.
func (h *holding) with(made lifecycle.Version) *holding {
	return &holding{
		secret: h.secret, vault: h.vault, now: h.now, versions: append(slices.Clone(h.versions), made), current: made,
	}
}

// missing reports whether the vault said that there is no version.
func (h *holding) missing() bool { return h.failure == nil && len(h.versions) == 0 }

// tags returns those of the current version, or of the one that a recovery brings back.
func (h *holding) tags() map[string]string {
	if h.deleted != nil {
		return h.deleted.Tags
	}
	return h.current.Tags
}

// policy returns the policy of the current version, as far as this action can know it; "" if it did not make it.
func (h *holding) policy() lifecycle.PolicyTag {
	if !h.current.Exists() || h.foreign() {
		return ""
	}
	return h.current.Policy()
}

// madeByRun reports whether an attempt of this workflow run made the current version.
func (h *holding) madeByRun(o Options) bool {
	return h.current.Ours() && lifecycle.SameRun(h.current.Tags[lifecycle.TagRun], o.Run)
}

// carried returns which tags a new version keeps of the one it follows, and which do not fit.
func (h *holding) carried(o Options) (carried map[string]string, left []string) {
	next := lifecycle.NewTags(h.secret.PolicyTag, h.secret.Tags, nil, "", o.Run)
	if h.secret.Logins != nil {
		next[lifecycle.TagLogin] = ""
	}
	if h.secret.Confirm {
		next[lifecycle.TagApplied] = "" // it is added later
	}
	return lifecycle.Carry(h.tags(), next)
}

// managed reports whether the secret is managed by a Key Vault certificate.
func (h *holding) managed() bool {
	return h.deleted != nil && h.deleted.Managed ||
		slices.ContainsFunc(h.versions, func(v lifecycle.Version) bool { return v.Managed })
}

// foreign reports whether this action did not make the version that a new one would follow: the current one; if the
// secret is soft-deleted, the one that a recovery brings back.
func (h *holding) foreign() bool {
	if h.deleted != nil {
		return !lifecycle.Ours(h.deleted.Tags)
	}
	return h.current.Exists() && !h.current.Ours()
}

// lookUp looks every secret up in each of its vaults, in the order of the declaration, the vaults of a secret together.
// The first request to a vault goes alone: a client that has no token yet would otherwise be challenged once for each.
// If the vault refuses every secret alike, the others share that refusal.
func lookUp(ctx context.Context, secrets []declaration.Secret, vaults map[string]Lists, workers int) []holding {
	holdings := unlooked(secrets)
	first := map[string]bool{}
	var warmUp, rest []job
	for i := range holdings {
		h := &holdings[i]
		look := job{[]string{h.vault}, func() { h.look(ctx, vaults[h.vault]) }}
		if first[h.vault] {
			rest = append(rest, look)
			continue
		}
		first[h.vault] = true
		warmUp = append(warmUp, look)
	}
	runAll(workers, warmUp)
	runAll(workers, rest)
	lookUpDeleted(ctx, holdings, vaults, workers)
	for i := range holdings {
		holdings[i].now = vaults[holdings[i].vault].Now()
	}
	return holdings
}

func unlooked(secrets []declaration.Secret) (holdings []holding) {
	for i := range secrets {
		for _, v := range secrets[i].Vaults {
			holdings = append(holdings, holding{secret: &secrets[i], vault: v.Name})
		}
	}
	return holdings
}

// look asks for the versions, and settles which is the current one.
func (h *holding) look(ctx context.Context, v Lists) {
	if ctx.Err() != nil {
		h.failure = new(stopped("this was looked up"))
		return
	}
	versions, err := v.Versions(ctx, h.secret.Name)
	if err != nil {
		h.failure = new(explain("looking it up", err))
		return
	}
	current, err := currentOf(ctx, v, h.secret.Name, versions)
	if err != nil {
		h.failure = new(explain("finding its current version", err))
		return
	}
	h.versions, h.current = versions, current
}

// lookUpDeleted asks each vault that lacks a secret for the soft-deleted ones, once.
func lookUpDeleted(ctx context.Context, holdings []holding, vaults map[string]Lists, workers int) {
	missing := map[string][]*holding{}
	for i := range holdings {
		if h := &holdings[i]; h.missing() {
			missing[h.vault] = append(missing[h.vault], h)
		}
	}
	var jobs []job
	for _, vault := range slices.Sorted(maps.Keys(missing)) {
		jobs = append(jobs, job{[]string{vault}, func() { matchDeleted(ctx, vaults[vault], missing[vault]) }})
	}
	runAll(workers, jobs)
}

// matchDeleted settles for the missing secrets of one vault whether they are soft-deleted. If the vault does not say,
// none of them is known to be missing.
func matchDeleted(ctx context.Context, v Lists, missing []*holding) {
	deleted, err := v.Deleted(ctx)
	for _, h := range missing {
		if err != nil {
			h.failure = new(explain("looking for it among the soft-deleted secrets", err))
			continue
		}
		if d, ok := deleted[strings.ToLower(h.secret.Name)]; ok {
			h.deleted = &d
		}
	}
}

// currentOf returns the current version: the newest one, and of several of one second the one whose tags the vault's
// own list shows. It returns the zero Version if there is none, and an error if the vault cannot tell.
func currentOf(
	ctx context.Context, v Lists, name string, versions []lifecycle.Version,
) (current lifecycle.Version, err error) {
	newest := lifecycle.Newest(versions)
	if len(newest) == 0 {
		return current, nil
	}
	if lifecycle.Alike(newest) {
		return newest[0], nil
	}
	tags, listed, err := v.Current(ctx, name)
	if err != nil {
		return current, err
	}
	if current, ok := lifecycle.Settle(newest, tags); ok && listed {
		return current, nil
	}
	var ids []string
	for _, tied := range newest {
		ids = append(ids, tied.ID)
	}
	return current, refusal.Refusal{
		Cause: fmt.Sprintf("versions %s were made in the same second, and the vault's list does not show which is "+
			"current", strings.Join(ids, " and ")),
		Remedy: "give one of them another tag, which the list then shows or does not, and run the job again",
	}
}
