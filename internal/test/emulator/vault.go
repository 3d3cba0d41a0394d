package emulator

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of a secret. The pattern, the value's 25 KB, the content type's 255 characters and the 15 tags are documented:
// https://learn.microsoft.com/azure/key-vault/secrets/about-secrets and
// https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates. A tag's name and value are said
// to have 256 characters in one place and 512 in another; the smaller is held here.
const (
	maxValue       = 25 * 1024
	maxContentType = 255
	maxTags        = 15
	maxTag         = 256
	pageSize       = 25
)

var secretName = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)

// clientAddress is what vaults tell of where a request came from. https://www.rfc-editor.org/rfc/rfc5737
const clientAddress = "203.0.113.7"

// VaultOptions describe a vault. Only Name is needed.
type VaultOptions struct {
	Name                 string
	Domain               string // "" is vault.azure.net; vault.usgovcloudapi.net, vault.azure.cn
	Tenant               string // whose tokens it takes; "" is the Emulator's own
	Region               string // "" is westeurope
	RecoverableDays      int    // how long a deleted secret is kept, 7 to 90; 0 is 90
	AccessPolicy         bool   // permissions are access policies, not roles
	Firewall             bool   // the client's address is not let in
	PublicAccessDisabled bool   // private endpoints alone are let in
	ReadOnly             bool   // the region has failed over: lists and reads work, writes do not
	RequireExpiry        bool   // Azure Policy denies a secret without exp
	RequireContentType   bool   // Azure Policy denies a secret without content type
	Resolves             Delays // the vault's name resolves only so long after AddVault
}

// A vault is one vault's state. Everything in it but the options is guarded by the lock.
type vault struct {
	e       *Emulator
	options VaultOptions
	cloud   *cloud
	name    sight // when it resolves

	mu       sync.Mutex
	access   map[string]actions // by client
	admitted sight              // the client's address is let in though there is a firewall
	turn     int                // of the front ends
	lookups  int                // of the vault's name
	secrets  map[string]*secret // by name in lower case
	order    []string           // the keys of secrets, sorted; nil: not known
	pending  []lateCommit
	deleted  bool // some secret may be
	commits  int  // so many versions were committed
	creates  window
	requests window
}

// A secret is a name's versions.
type secret struct {
	name      string     // as it was spelt first
	committed []*version // in the order of their IDs
	newest    *version   // what the name alone stands for

	deleted      time.Time // zero: it is not
	deletionSeen time.Time // until then the deletion is under way
	recoverySeen time.Time // until then a recovery is under way
}

// A version is a version. Its sequence number tells the order of commits, which no client is told.
type version struct {
	id          string
	sequence    int
	created     int64
	updated     int64
	notBefore   *int64
	expires     *int64
	enabled     bool
	managed     bool
	contentType *string
	tags        map[string]string
	value       string
	seen        time.Time // lists leave it out until then
}

// A lateCommit is a set that was answered before it was done.
type lateCommit struct {
	due     time.Time
	name    string
	version *version
}

// AddVault makes a vault, or replaces the one of that name and domain. Its tenant is made where there is none.
func (e *Emulator) AddVault(o VaultOptions) {
	o.Domain = cmp.Or(strings.ToLower(o.Domain), clouds[0].domain)
	o.Tenant = strings.ToLower(cmp.Or(o.Tenant, e.options.Tenant))
	o.Region = cmp.Or(o.Region, "westeurope")
	o.RecoverableDays = cmp.Or(o.RecoverableDays, 90)
	o.Name = strings.ToLower(o.Name)
	e.addTenant(o.Tenant)
	v := &vault{
		e: e, options: o, cloud: cmp.Or(cloudOfDomain(o.Domain), &clouds[0]), name: e.seenAfter(o.Resolves),
		access: map[string]actions{}, secrets: map[string]*secret{},
		creates: window{limit: e.options.Creates}, requests: window{limit: e.options.Transactions},
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for client, granted := range e.granted {
		v.access[client] = actions{}
		for action, allowed := range granted {
			v.access[client][action] = allowed
		}
	}
	e.vaults[v.host()] = v
}

func (e *Emulator) vault(host string) *vault {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.vaults[host]
}

func (v *vault) host() string { return v.options.Name + "." + v.options.Domain }

// resource is the Azure Resource Manager ID of the vault, or of a secret in it.
func (v *vault) resource(name string) string {
	id := "/subscriptions/6e7b1a5c-93d2-4f08-8a1b-0c2d4e6f8a90" +
		"/resourcegroups/rg-example/providers/microsoft.keyvault/vaults/" + v.options.Name
	if name != "" {
		id += "/secrets/" + strings.ToLower(name)
	}
	return id
}

func (v *vault) recoveryLevel() string {
	if v.options.RecoverableDays < 90 {
		return "CustomizedRecoverable+Purgeable"
	}
	return "Recoverable+Purgeable"
}

// settle lets happen what was due: late commits, and the purge of what was kept long enough.
func (v *vault) settle(now time.Time) {
	slices.SortStableFunc(v.pending, func(a, b lateCommit) int { return a.due.Compare(b.due) })
	for len(v.pending) > 0 && !v.pending[0].due.After(now) {
		late := v.pending[0]
		v.pending = v.pending[1:]
		v.commit(late.name, late.version)
	}
	if !v.deleted {
		return // nearly always: do not walk through all secrets at each request
	}
	for key, s := range v.secrets {
		if !s.deleted.IsZero() && !now.Before(v.purgeTime(s)) {
			delete(v.secrets, key)
			v.order = nil
		}
	}
}

func (v *vault) purgeTime(s *secret) time.Time {
	return s.deleted.AddDate(0, 0, v.options.RecoverableDays)
}

// commit adds a version, under the name's first spelling.
func (v *vault) commit(name string, added *version) *secret {
	s := v.secrets[strings.ToLower(name)]
	if s == nil {
		s = &secret{name: name}
		v.secrets[strings.ToLower(name)] = s
		v.order = nil
	}
	v.commits++
	added.sequence = v.commits
	at, _ := slices.BinarySearchFunc(s.committed, added.id,
		func(a *version, id string) int { return strings.Compare(a.id, id) })
	s.committed = slices.Insert(s.committed, at, added)
	if s.newest == nil || added.created >= s.newest.created {
		s.newest = added // whether enabled or not; of one second's versions, the one committed last
	}
	return s
}

func (s *secret) find(id string) *version {
	for _, ver := range s.committed {
		if strings.EqualFold(ver.id, id) {
			return ver
		}
	}
	return nil
}

// live returns the secret of a name that neither is deleted nor still being recovered.
func (v *vault) live(name string, now time.Time) *secret {
	s := v.secrets[strings.ToLower(name)]
	if s == nil || !s.deleted.IsZero() || now.Before(s.recoverySeen) {
		return nil
	}
	return s
}

// deletedSecret returns the secret of a name whose deletion is done.
func (v *vault) deletedSecret(name string, now time.Time) *secret {
	s := v.secrets[strings.ToLower(name)]
	if s == nil || s.deleted.IsZero() || now.Before(s.deletionSeen) {
		return nil
	}
	return s
}

// nameFree refuses a name that a deletion or a recovery holds.
func (v *vault) nameFree(name string, now time.Time) *refusal {
	s := v.secrets[strings.ToLower(name)]
	switch {
	case s == nil:
		return nil
	case now.Before(s.recoverySeen):
		return conflict("ObjectIsBeingRecovered", "Secret "+s.name+" is currently being recovered.")
	case s.deleted.IsZero():
		return nil
	case now.Before(s.deletionSeen):
		return conflict("ObjectIsBeingDeleted",
			"Secret "+s.name+" is currently being deleted and cannot be re-created; retry later.")
	}
	return conflict("ObjectIsDeletedButRecoverable",
		"Secret "+s.name+" is currently in a deleted but recoverable state, and its name "+
			"cannot be reused; in this state, the secret can only be recovered or purged.")
}

// newVersion makes a version of what a client sent, or says why not. Nothing of earlier versions comes into it.
func (v *vault) newVersion(in setRequest, now time.Time) (*version, *refusal) {
	switch {
	case in.Value == nil:
		return nil, badParameter("The parameter value is required.")
	case len(*in.Value) > maxValue:
		return nil, badParameter(fmt.Sprintf("The value is longer than %d bytes.", maxValue))
	case in.ContentType != nil && len(*in.ContentType) > maxContentType:
		return nil, badParameter(fmt.Sprintf("The content type is longer than %d characters.", maxContentType))
	}
	ver := &version{
		id:          v.e.ids.version(),
		created:     now.Unix(),
		enabled:     true,
		contentType: in.ContentType,
		value:       *in.Value,
	}
	if len(in.Tags) > 0 {
		ver.tags = in.Tags
	}
	if refused := ver.change(setRequest{Attributes: in.Attributes, Tags: in.Tags}, now); refused != nil {
		return nil, refused
	}
	return ver, v.azurePolicy(ver)
}

// change sets the attributes and tags that were sent.
func (ver *version) change(in setRequest, now time.Time) *refusal {
	if len(in.Tags) > maxTags {
		return badParameter(fmt.Sprintf("There are more than %d tags.", maxTags))
	}
	for name, value := range in.Tags {
		if len(name) > maxTag || len(value) > maxTag {
			return badParameter(fmt.Sprintf("A tag's name or value is longer than %d characters.", maxTag))
		}
	}
	if a := in.Attributes; a != nil {
		for _, t := range []*int64{a.NotBefore, a.Expires} {
			if t != nil && *t < 0 {
				return badParameter("A time is before 1970.")
			}
		}
		ver.enabled = *cmp.Or(a.Enabled, &ver.enabled)
		ver.notBefore = cmp.Or(a.NotBefore, ver.notBefore)
		ver.expires = cmp.Or(a.Expires, ver.expires)
	}
	if in.ContentType != nil {
		ver.contentType = in.ContentType
	}
	ver.updated = now.Unix()
	return nil
}

// azurePolicy denies what a policy with the effect Deny would. Which inner code the service then answers is not known.
// https://learn.microsoft.com/azure/key-vault/general/azure-policy
func (v *vault) azurePolicy(ver *version) *refusal {
	switch {
	case v.options.RequireExpiry && ver.expires == nil:
		return forbidden("ForbiddenByPolicy",
			"Operation was disallowed by policy: Key Vault secrets should have an expiration date.")
	case v.options.RequireContentType && (ver.contentType == nil || *ver.contentType == ""):
		return forbidden("ForbiddenByPolicy",
			"Operation was disallowed by policy: Secrets should have content type set.")
	}
	return nil
}

// withValue is for the two operations that tell one. It is a copy, since a bundle is sent after the vault's lock is
// free.
func (b bundle) withValue(value string) bundle {
	b.Value = &value
	return b
}

// withoutVersion is for lists of secrets: they name no version.
func (b bundle) withoutVersion() bundle {
	b.ID = b.ID[:strings.LastIndex(b.ID, "/")]
	return b
}

// bundle tells of a version. What it shares with the version is never changed in place, only replaced.
func (v *vault) bundle(s *secret, ver *version) bundle {
	return bundle{
		ContentType: ver.contentType,
		ID:          "https://" + v.host() + "/secrets/" + s.name + "/" + ver.id,
		Managed:     ver.managed,
		Tags:        ver.tags,
		Attributes: attributes{
			Enabled:         ver.enabled,
			NotBefore:       ver.notBefore,
			Expires:         ver.expires,
			Created:         ver.created,
			Updated:         ver.updated,
			RecoveryLevel:   v.recoveryLevel(),
			RecoverableDays: v.options.RecoverableDays,
		},
	}
}

// deletedBundle tells of a deleted secret's current version, never the value.
func (v *vault) deletedBundle(s *secret) bundle {
	b := v.bundle(s, s.newest)
	b.RecoveryID = "https://" + v.host() + "/deletedsecrets/" + s.name
	b.DeletedDate = s.deleted.Unix()
	b.ScheduledPurge = v.purgeTime(s).Unix()
	return b
}
