package emulator

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// What a vault does for a caller whom it has let in; the caller of each holds the vault's lock.

// set commits a version, at once or late, and tells it with its value.
func (v *vault) set(c *call) (any, *refusal) {
	if c.bad {
		return nil, badParameter("The request body is not the JSON of a secret.")
	}
	if refused := v.nameFree(c.name, c.now); refused != nil {
		return nil, refused
	}
	if s := v.live(c.name, c.now); s != nil && s.newest.managed {
		return nil, &refusal{
			status:  http.StatusForbidden,
			code:    "Forbidden",
			message: "Operation set is not allowed on a managed secret.",
		}
	}
	ver, refused := v.newVersion(c.parsed, c.now.Add(c.late))
	if refused != nil {
		return nil, refused
	}
	if c.late > 0 {
		v.pending = append(v.pending, lateCommit{due: c.now.Add(c.late), name: c.name, version: ver})
		return nil, nil
	}
	if c.unseen > 0 {
		ver.seen = c.now.Add(c.unseen)
	}
	return v.bundle(v.commit(c.name, ver), ver).withValue(ver.value), nil
}

// get reads a value: of a version, or of the current one. Neither nbf nor exp keeps it back, only enabled does.
func (v *vault) get(c *call) (any, *refusal) {
	s, ver, refused := v.pick(c)
	if refused != nil {
		return nil, refused
	}
	if !ver.enabled {
		return nil, forbidden("SecretDisabled", "Operation get is not allowed on a disabled secret.")
	}
	return v.bundle(s, ver).withValue(ver.value), nil
}

// pick finds the version that a path names, or the current one.
func (v *vault) pick(c *call) (*secret, *version, *refusal) {
	id := ""
	if len(c.path) > 2 {
		id = c.path[2]
	}
	s := v.live(c.name, c.now)
	if s == nil {
		return nil, nil, secretNotFound(strings.TrimSuffix(c.name+"/"+id, "/"))
	}
	if id == "" {
		return s, s.newest, nil
	}
	if ver := s.find(id); ver != nil {
		return s, ver, nil
	}
	return nil, nil, secretNotFound(c.name + "/" + id)
}

// update changes a version's attributes, content type and tags.
func (v *vault) update(c *call) (any, *refusal) {
	var in setRequest
	if json.Unmarshal(c.body, &in) != nil {
		return nil, badParameter("The request body is not the JSON of a secret's properties.")
	}
	s, ver, refused := v.pick(c)
	if refused != nil {
		return nil, refused
	}
	changed := *ver
	if refused := changed.change(in, c.now); refused != nil {
		return nil, refused
	}
	if in.Tags != nil {
		changed.tags = in.Tags
	}
	if refused := v.azurePolicy(&changed); refused != nil {
		return nil, refused
	}
	*ver = changed
	return v.bundle(s, ver), nil
}

// remove is a soft deletion: the name is held at once, the deletion is seen a while later.
func (v *vault) remove(c *call) (any, *refusal) {
	s := v.live(c.name, c.now)
	if s == nil {
		if refused := v.nameFree(c.name, c.now); refused != nil && refused.inner != "ObjectIsDeletedButRecoverable" {
			return nil, refused
		}
		return nil, secretNotFound(c.name)
	}
	v.markDeleted(s, c.now, c.settleTime())
	return v.deletedBundle(s), nil
}

func (v *vault) markDeleted(s *secret, now time.Time, seenAfter time.Duration) {
	v.deleted = true
	s.deleted = now
	s.deletionSeen = now.Add(seenAfter)
}

func (c *call) settleTime() time.Duration { return cmp.Or(c.unseen, c.e.options.Settle) }

// recover brings all versions back, a while later.
func (v *vault) recover(c *call) (any, *refusal) {
	s := v.deletedSecret(c.name, c.now)
	if s == nil {
		return nil, deletedSecretNotFound(c.name)
	}
	s.deleted = time.Time{}
	s.recoverySeen = c.now.Add(c.settleTime())
	return v.bundle(s, s.newest), nil
}
