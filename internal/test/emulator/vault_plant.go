package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Plant is a version that was in a vault before, by whomever. What is left zero is as a plain set would leave it.
type Plant struct {
	Value       string    // "" draws one, which Values then holds
	Created     time.Time // whole seconds are kept; zero is now
	Expires     time.Time
	NotBefore   time.Time
	Disabled    bool
	Managed     bool // the secret is managed by a Key Vault certificate
	ContentType string
	Tags        map[string]string
}

// Put commits a version past all checks and returns its ID. The vault is a name in AzureCloud, or a host.
func (e *Emulator) Put(vault, name string, p Plant) (string, error) {
	v, err := e.find(vault)
	if err != nil {
		return "", err
	}
	p.Value = cmp.Or(p.Value, "planted-"+e.ids.version())
	e.addValue(p.Value)
	if p.Created.IsZero() {
		p.Created = e.Now()
	}
	ver := &version{
		id:        e.ids.version(),
		created:   p.Created.Unix(),
		updated:   p.Created.Unix(),
		expires:   unix(p.Expires),
		notBefore: unix(p.NotBefore),
		enabled:   !p.Disabled,
		managed:   p.Managed,
		tags:      maps.Clone(p.Tags),
		value:     p.Value,
	}
	if p.ContentType != "" {
		ver.contentType = &p.ContentType
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.settle(e.Now())
	v.commit(name, ver)
	return ver.id, nil
}

// Remove soft-deletes a secret past all checks; the deletion is done at once.
func (e *Emulator) Remove(vault, name string) error {
	v, err := e.find(vault)
	if err != nil {
		return err
	}
	now := e.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.settle(now)
	s := v.live(name, now)
	if s == nil {
		return fmt.Errorf("deleting %s in %s: it is not there", name, vault)
	}
	v.markDeleted(s, now, 0)
	return nil
}

func (e *Emulator) find(vault string) (*vault, error) {
	host := strings.ToLower(vault)
	if !strings.Contains(host, ".") {
		host += "." + clouds[0].domain
	}
	if v := e.vault(host); v != nil {
		return v, nil
	}
	return nil, errors.New("there is no vault " + host)
}

func unix(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	seconds := t.Unix()
	return &seconds
}

// Held is a version that a vault holds: all but the value.
type Held struct {
	Vault       string // the vault's host
	Name        string // as it was spelt first
	Version     string
	Created     time.Time
	Updated     time.Time
	Expires     time.Time // zero: never
	NotBefore   time.Time // zero: none
	Enabled     bool
	Managed     bool
	Current     bool // the name alone stands for it
	Deleted     bool // the secret is soft-deleted
	ContentType string
	Tags        map[string]string
	Digest      string // the Digest of the value
	Commit      int    // counts the vault's versions in the order in which they came to be
}

// Holds returns every version in every vault, deleted ones included, by vault, name and commit.
func (e *Emulator) Holds() []Held {
	var held []Held
	e.mu.Lock()
	vaults := slices.Collect(maps.Values(e.vaults))
	e.mu.Unlock()
	for _, v := range vaults {
		held = append(held, v.holds(e.Now())...)
	}
	slices.SortFunc(held, func(a, b Held) int {
		return cmp.Or(cmp.Compare(a.Vault, b.Vault), cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)),
			cmp.Compare(a.Commit, b.Commit))
	})
	return held
}

func (v *vault) holds(now time.Time) []Held {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.settle(now)
	var held []Held
	for _, s := range v.secrets {
		for _, ver := range s.committed {
			held = append(held, Held{
				Vault:       v.host(),
				Name:        s.name,
				Version:     ver.id,
				Created:     time.Unix(ver.created, 0),
				Updated:     time.Unix(ver.updated, 0),
				Expires:     timeOf(ver.expires),
				NotBefore:   timeOf(ver.notBefore),
				Enabled:     ver.enabled,
				Managed:     ver.managed,
				Current:     ver == s.newest,
				Deleted:     !s.deleted.IsZero(),
				ContentType: *cmp.Or(ver.contentType, new(string)),
				Tags:        maps.Clone(ver.tags),
				Digest:      Digest(ver.value),
				Commit:      ver.sequence,
			})
		}
	}
	return held
}

func timeOf(seconds *int64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return time.Unix(*seconds, 0)
}
