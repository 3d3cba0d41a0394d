// Package audit judges what vaults hold, from metadata alone, against what is declared.
//
// It is given the metadata that a vault lists: versions, dates, tags, soft-deleted secrets. [Judge] returns a [Report]:
// the findings, each with its rule, its level, what was seen, what to do, and the place in the declaration; and what
// each vault holds. Which secrets are due it is told by the plan of a rotation ([Rotation]); when one is overdue,
// current, or of this action is decided by the package lifecycle, which that plan is made with. So an audit never says
// "due" where a rotation would keep.
//
// It reads no value and has no way to one. It contacts nothing and writes nothing.
package audit

import (
	"iter"
	"slices"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
)

// A Level is how much a finding matters.
type Level string

// The levels, the gravest first.
const (
	LevelError   Level = "error"
	LevelWarning Level = "warning"
	LevelInfo    Level = "info"
)

// Levels returns the levels, the gravest first.
func Levels() []Level { return []Level{LevelError, LevelWarning, LevelInfo} }

// Rank returns how much a level matters: the gravest is 0.
func (l Level) Rank() int { return slices.Index(Levels(), l) }

// A Rule is one thing that an audit looks at. Its ID is stable and is never used for another.
type Rule struct {
	ID    string
	Level Level    // as far as nothing declared changes it
	Title string   // short: "The secret never expires"
	Help  string   // what it means, why it matters, and what to do
	Known []string // what others call it: "Azure Policy 98728c90-32c7-4049-8429-847dc0f4fe37"
}

// A Finding is one rule that one secret, or one vault, does not satisfy.
type Finding struct {
	Rule     string // its ID
	Level    Level
	Vault    string            // the vault's real name
	Secret   string            // as declared, or as the vault spells it
	Declared bool              // the secret is
	Place    declaration.Place // of the secret's declaration, else of what declares the vault. Zero: nowhere
	Message  string            // what was seen
	Remedy   string            // what to do
	Since    time.Time         // when it became so. Zero: not known
}

// A Secret is what one vault holds of a secret, as an audit tells it. Zero times: none.
type Secret struct {
	Vault       string
	Name        string
	Declared    bool
	Place       declaration.Place
	Exists      bool // false: declared and not there, or soft-deleted
	Managed     bool // by a Key Vault certificate
	Ours        bool // this action made the current version
	Enabled     bool
	ContentType string
	Version     string              // the ID of the current version. "": not known
	Made        lifecycle.PolicyTag // the policy that the current version was made to. "": not known
	Policy      lifecycle.PolicyTag // the declared one. "": not declared
	Created     time.Time           // of the current version
	Expires     time.Time           // of the current version
	NotBefore   time.Time           // of the current version
	Next        time.Time           // when it is due by the declaration; may be past
	Due         lifecycle.Trigger   // why mode rotate would give it a version now: see Rotation. "": it would not
	DueReason   string              // the same in words
	Versions    int                 // that were listed; 1 where only the current one was asked for
	Whole       bool                // every version was listed
	Superseded  int                 // older versions of ours that are enabled past what is declared
	Deleted     time.Time           // when it was soft-deleted
	Purge       time.Time           // when it is purged
	Worst       Level               // of its findings. "": none
	Findings    []string            // the IDs of their rules, in the order of Rules
}

// A Vault is one vault that was looked at.
type Vault struct {
	Name     string
	Complete bool   // every list was read whole
	Why      string // why it is not complete, with the remedy
	Secrets  int    // in it, those managed by certificates included
	Deleted  int    // soft-deleted ones
}

// TriggerMissing is why a declared secret is due that its vaults do not hold: mode rotate creates it.
const TriggerMissing lifecycle.Trigger = "missing"

// A Month is how many versions were made in a calendar month, in UTC.
type Month struct {
	First    time.Time // its first day
	Versions int
}

// A Report is all that an audit found out.
type Report struct {
	Taken    time.Time // by the vaults' clock
	File     string    // the declaration's path in the workspace. "": inline, or none
	Vaults   []Vault
	Secrets  []Secret  // declared ones first, in the order of the declaration; then by vault and name
	Findings []Finding // the gravest first, then in the order of Secrets
	Due      []string  // the keys of declared secrets that mode rotate would give a new version, as outputs spell them
	Months   []Month   // the last twelve, the oldest first
	Ignored  int       // findings that the declaration ignores
	Notes    []string  // about the audit itself: an ignore that has ended
}

// Complete reports whether every vault was listed whole.
func (r *Report) Complete() bool {
	return !slices.ContainsFunc(r.Vaults, func(v Vault) bool { return !v.Complete })
}

// Counts returns how many findings there are of each level.
func (r *Report) Counts() map[Level]int {
	counts := map[Level]int{}
	for i := range r.Findings {
		counts[r.Findings[i].Level]++
	}
	return counts
}

// Whole returns the secrets, each with an element for each of its vaults. One that is declared for several vaults is
// one secret; of one that nobody declared, nothing says that another vault's is the same.
func (r *Report) Whole() iter.Seq[[]Secret] {
	return func(yield func([]Secret) bool) {
		for rest := r.Secrets; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[0].sharesWith(&rest[n]) {
				n++
			}
			if !yield(rest[:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// sharesWith reports whether two elements, one after the other, are of one secret.
func (s *Secret) sharesWith(other *Secret) bool {
	return s.Declared && other.Declared && s.Vault != other.Vault && s.Name == other.Name
}

// Totals are how many secrets an audit is about, whatever number of vaults each is in.
type Totals struct {
	Secrets  int
	Declared int // of them
	Due      int // of them: mode rotate would give them a version now
}

// Totals counts the secrets of a report.
func (r *Report) Totals() (t Totals) {
	for secret := range r.Whole() {
		t.Secrets++
		if secret[0].Declared {
			t.Declared++
		}
		if slices.ContainsFunc(secret, func(s Secret) bool { return s.Due != "" }) {
			t.Due++
		}
	}
	return t
}
