package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
)

// An Input is what an audit judges, and by what.
type Input struct {
	File      string               // the declaration's path in the workspace. "": inline, or none
	Secrets   []declaration.Secret // the declared ones that are judged
	Rotations []Rotation           // what mode rotate would do: one for each of Secrets and of its vaults, in order
	Part      bool                 // Secrets are a part of what is declared: others are neither judged nor undeclared
	Rules     declaration.Audit
	Places    declaration.Places
	Listings  []Listing // of the vaults, in their order
	Taken     time.Time // by the vaults' clock
}

// A Rotation is what mode rotate would do to one declared secret in one vault.
type Rotation struct {
	Key     string            // the secret as outputs spell it
	Writes  bool              // it would get a new version
	Trigger lifecycle.Trigger // why. "": there is none yet
	Reason  string            // the same in words
}

// A Listing is what one vault lists.
type Listing struct {
	Vault   string
	Now     time.Time // by the vault's clock
	Why     string    // why it is not complete, with the remedy. "": it is
	Listed  bool      // the list of secrets was read whole: what is not in it is not in the vault
	Secrets []Holding
	Deleted []Deleted
}

// A Holding is what a vault lists of one secret.
type Holding struct {
	Name     string
	Listed   lifecycle.Version   // the current version as the list of secrets shows it, which has no version ID
	Versions []lifecycle.Version // nil: they were not asked for, or could not be read whole
	Excess   int                 // more versions than these, which is more than is read. 0: no
}

// A Deleted is a soft-deleted secret.
type Deleted struct {
	Name           string
	Deleted, Purge time.Time // zero: not known
	Managed        bool      // by a Key Vault certificate
}

// Current returns the current version: the newest one, and of several of one second the one that the vault's own list
// shows. Where only that list is known, or it does not show which, it is what the list shows, without an ID.
func (h *Holding) Current() lifecycle.Version {
	newest := lifecycle.Newest(h.Versions)
	switch {
	case len(newest) == 0:
		return h.Listed
	case lifecycle.Alike(newest):
		return newest[0]
	}
	if current, ok := lifecycle.Settle(newest, h.Listed.Tags); ok {
		return current
	}
	return h.Listed
}

// Judge judges what the vaults list.
func Judge(in Input) Report {
	j := &judge{
		Input: in, report: Report{Taken: in.Taken, File: in.File}, used: make([]bool, len(in.Rules.Ignore)),
		vaults: map[string]*index{},
	}
	for i := range in.Listings {
		l := &in.Listings[i]
		j.vaults[l.Vault] = newIndex(l)
		j.report.Vaults = append(j.report.Vaults, Vault{
			Name: l.Vault, Complete: l.Why == "", Why: l.Why, Secrets: len(l.Secrets), Deleted: len(l.Deleted),
		})
	}
	j.judgeDeclared()
	if !in.Part {
		j.judgeUndeclared()
	}
	j.sortFindings()
	j.report.Months = j.months.last(in.Taken)
	j.noteIgnores()
	return j.report
}

// A judge is one audit under way.
type judge struct {
	Input
	report Report
	vaults map[string]*index
	months months
	used   []bool // the entries of ignore that left a finding out
}

// An index finds what a vault lists by name, in lower case.
type index struct {
	*Listing
	secrets  map[string]*Holding
	deleted  map[string]*Deleted
	declared map[string]bool
}

func newIndex(l *Listing) *index {
	x := &index{
		Listing: l, secrets: make(map[string]*Holding, len(l.Secrets)), deleted: map[string]*Deleted{},
		declared: map[string]bool{},
	}
	for i := range l.Secrets {
		x.secrets[strings.ToLower(l.Secrets[i].Name)] = &l.Secrets[i]
	}
	for i := range l.Deleted {
		x.deleted[strings.ToLower(l.Deleted[i].Name)] = &l.Deleted[i]
	}
	return x
}

// A subject is one secret in one vault, while it is judged.
type subject struct {
	Secret
	declared *declaration.Secret // nil: nobody declared it
	holding  *Holding            // nil: it is not in the vault
	deleted  *Deleted            // nil: it is not soft-deleted
	current  lifecycle.Version
	now      time.Time
	found    []Finding
}

// judgeDeclared judges every declared secret in each of its vaults. One whose vault could not be listed is left out:
// nothing is known of it, and the vault says so.
func (j *judge) judgeDeclared() {
	rotations := j.Rotations
	for i := range j.Secrets {
		s := &j.Secrets[i]
		var subjects []*subject
		for k, v := range s.Vaults {
			x := j.vaults[v.Name]
			x.declared[strings.ToLower(s.Name)] = true
			subject := j.subjectOf(s, x)
			if subject.holding == nil && !x.Listed {
				continue
			}
			if r := rotations[k]; r.Writes {
				subject.Due, subject.DueReason = cmp.Or(r.Trigger, TriggerMissing), r.Reason
				j.report.Due = append(j.report.Due, r.Key)
			}
			subjects = append(subjects, subject)
		}
		rotations = rotations[len(s.Vaults):]
		for _, subject := range subjects {
			j.judgeTerms(subject)
			j.judgeState(subject)
		}
		diverged(subjects)
		for _, subject := range subjects {
			j.add(subject)
		}
	}
}

// subjectOf returns what is known of a declared secret in a vault.
func (j *judge) subjectOf(s *declaration.Secret, x *index) *subject {
	name := strings.ToLower(s.Name)
	subject := &subject{
		Secret: Secret{
			Vault: x.Vault, Name: s.Name, Declared: true, Place: s.Place, Policy: s.PolicyTag,
		},
		declared: s, holding: x.secrets[name], deleted: x.deleted[name], now: x.Now,
	}
	subject.fill()
	if subject.Exists && !subject.Managed { // nothing that is declared can hold for a certificate's
		subject.Next = s.Next(subject.current)
		if subject.holding.Versions != nil {
			subject.Superseded = len(s.Obsolete(subject.holding.Versions, subject.current, subject.now))
		}
	}
	return subject
}

// judgeUndeclared judges what the vaults hold besides, by vault and name.
func (j *judge) judgeUndeclared() {
	for i := range j.Listings {
		x := j.vaults[j.Listings[i].Vault]
		others := make([]*Holding, 0, len(x.Secrets))
		for k := range x.Secrets {
			if h := &x.Secrets[k]; !x.declared[strings.ToLower(h.Name)] {
				others = append(others, h)
			}
		}
		slices.SortFunc(others, func(a, b *Holding) int { return strings.Compare(a.Name, b.Name) })
		for _, h := range others {
			subject := &subject{
				Secret:  Secret{Vault: x.Vault, Name: h.Name, Place: j.Places.Of(x.Vault)},
				holding: h, now: x.Now,
			}
			subject.fill()
			if level := Level(j.Rules.Undeclared); !subject.Managed && level != Level(declaration.UndeclaredOff) {
				subject.find(Undeclared, "it is in the vault and not declared",
					"declare it, delete it, or add it to ignore of the declaration's audit")
				subject.found[0].Level = level
			}
			j.judgeState(subject)
			j.add(subject)
		}
	}
}

// fill notes what the vault holds.
func (s *subject) fill() {
	if s.deleted != nil {
		s.Deleted, s.Purge, s.Managed = s.deleted.Deleted, s.deleted.Purge, s.deleted.Managed
	}
	if s.holding == nil {
		return
	}
	s.current = s.holding.Current()
	v := s.current
	s.Exists, s.Ours, s.Enabled, s.ContentType, s.Version = true, v.Ours(), v.Enabled, v.ContentType, v.ID
	s.Managed = s.holding.Listed.Managed || v.Managed
	s.Created, s.Expires, s.NotBefore = v.Created, v.Expires, v.NotBefore
	if s.Ours {
		s.Made = v.Policy()
	}
	s.Versions, s.Whole = max(len(s.holding.Versions), s.holding.Excess, 1), s.holding.Versions != nil
}

// find notes a finding, at the level of its rule.
func (s *subject) find(rule, message, remedy string) *Finding {
	s.found = append(s.found, Finding{
		Rule: rule, Level: rules[rank(rule)].Level, Vault: s.Vault, Secret: s.Name,
		Declared: s.Declared, Place: s.Place,
		Message: message, Remedy: remedy,
	})
	return &s.found[len(s.found)-1]
}

// add adds a secret to the report, without the findings that are ignored.
func (j *judge) add(s *subject) {
	slices.SortStableFunc(s.found, func(a, b Finding) int { return cmp.Compare(rank(a.Rule), rank(b.Rule)) })
	for _, f := range s.found {
		if j.ignores(f) {
			j.report.Ignored++
			continue
		}
		j.report.Findings = append(j.report.Findings, f)
		s.Findings = append(s.Findings, f.Rule)
		if s.Worst == "" || f.Level.Rank() < s.Worst.Rank() {
			s.Worst = f.Level
		}
	}
	j.report.Secrets = append(j.report.Secrets, s.Secret)
	if s.holding != nil {
		j.months.count(s.holding)
	}
}

// ignores reports whether an entry of ignore that counts covers a finding. All that do are used.
func (j *judge) ignores(f Finding) (ignored bool) {
	for i, entry := range j.Rules.Ignore {
		if !entry.Ended(j.Taken) && entry.Covers(f.Rule, f.Secret) {
			j.used[i], ignored = true, true
		}
	}
	return ignored
}

// noteIgnores tells of entries of ignore that have ended, and of those that no finding needs. Where a part is judged,
// or a vault was not listed whole, they may be needed by the rest.
func (j *judge) noteIgnores() {
	whole := !j.Part && !slices.ContainsFunc(j.Listings, func(l Listing) bool { return l.Why != "" })
	for i, entry := range j.Rules.Ignore {
		last := entry.Until.Format(time.DateOnly)
		switch {
		case entry.Ended(j.Taken):
			j.report.Notes = append(j.report.Notes, fmt.Sprintf("%s: ignore of %s ended on %s and counts no more; "+
				"remove it, or set a later until with its reason", entry.Place, entry.Name, last))
		case !j.used[i] && whole:
			j.report.Notes = append(j.report.Notes, fmt.Sprintf("%s: ignore of %s matches no finding; remove it",
				entry.Place, entry.Name))
		}
	}
}

// sortFindings puts the gravest first; those of one level stay in the order of the secrets.
func (j *judge) sortFindings() {
	slices.SortStableFunc(j.report.Findings, func(a, b Finding) int {
		return cmp.Compare(a.Level.Rank(), b.Level.Rank())
	})
}

// months counts the versions that were made in each calendar month, by the year and the month of it.
type months map[[2]int]int

func (m *months) count(h *Holding) {
	if *m == nil {
		*m = months{}
	}
	versions := h.Versions
	if versions == nil {
		versions = []lifecycle.Version{h.Listed}
	}
	for _, v := range versions {
		made := v.Created.UTC()
		(*m)[[2]int{made.Year(), int(made.Month())}]++
	}
}

// last returns the twelve months that end with now's.
func (m months) last(now time.Time) []Month {
	const count = 12
	now = now.UTC()
	list := make([]Month, count)
	for i := range list {
		first := time.Date(now.Year(), now.Month()-time.Month(count-1-i), 1, 0, 0, 0, 0, time.UTC)
		list[i] = Month{First: first, Versions: m[[2]int{first.Year(), int(first.Month())}]}
	}
	return list
}
