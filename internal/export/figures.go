package export

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"keyvault-passwords/internal/audit"
)

// soonDays is how far the timeline looks ahead.
const soonDays = 90

const weeks = (soonDays + 6) / 7

// figures is what the dashboard shows of a report in numbers. A secret that is declared for several vaults is one
// secret, of which each of them holds a version of its own.
type figures struct {
	levels   map[audit.Level]int
	rules    []*ruleFigures // the gravest first
	all      compliance
	vaults   []vaultFigures // in the order of the report
	declared compliance
	others   compliance // secrets that nobody declared
	ages     [len(ageBounds) + 1]ageFigures
	aged     int // versions in ages
	upcoming []upcoming
	ahead    int // secrets in upcoming
	weeks    [weeks]weekFigures
	due      int // secrets that mode rotate would give a version now
	replaced int // those of them that are there
	expired  int // secrets whose version is past its expiry and enabled
	made     int // versions in the months
}

// A ruleFigures is the findings of one rule at one level.
type ruleFigures struct {
	rule     audit.Rule
	rank     int // of the rule in the reference
	level    audit.Level
	findings []int // in the report
}

// id names the group in addresses within the page.
func (r *ruleFigures) id() string { return string(r.level) + "-" + r.rule.ID }

// A compliance is how many secrets have findings. One complies if it has neither an error nor a warning.
type compliance struct{ total, errors, warnings int }

func (c compliance) comply() int { return c.total - c.errors - c.warnings }

// percent returns how many of 100 secrets comply, rounded down, so that 100 means all.
func (c compliance) percent() int {
	if c.total == 0 {
		return 0
	}
	return c.comply() * 100 / c.total
}

// share returns that as a text. Of no secrets, none can be said to comply.
func (c compliance) share() string {
	if c.total == 0 {
		return "–"
	}
	return strconv.Itoa(c.percent()) + "%"
}

func (c *compliance) add(worst audit.Level) {
	c.total++
	switch worst {
	case audit.LevelError:
		c.errors++
	case audit.LevelWarning:
		c.warnings++
	}
}

// A vaultFigures is one vault and its secrets.
type vaultFigures struct {
	*audit.Vault
	compliance
	secrets []int // in the report
}

// An ageFigures is how many current versions are of an age.
type ageFigures struct{ ours, others int }

// ageBounds are the ages, in days, at which a column of the histogram ends.
var ageBounds = [...]int64{30, 90, 180, 365, 730}

// A weekFigures is how many secrets are due or expire in one week to come.
type weekFigures struct{ due, expires int }

// An upcoming is a secret of a vault that is due or expires in the days to come. A negative day: not within them.
type upcoming struct {
	secret       *audit.Secret
	due, expires int64
}

// first returns when it is due or expires, whichever comes first.
func (u upcoming) first() time.Time {
	if u.due < 0 || u.expires >= 0 && u.secret.Expires.Before(u.secret.Next) {
		return u.secret.Expires
	}
	return u.secret.Next
}

// figuresOf counts what the dashboard shows.
func figuresOf(r *audit.Report) *figures {
	f := &figures{levels: r.Counts()}
	f.countFindings(r)
	at := map[string]int{}
	for i := range r.Vaults {
		at[r.Vaults[i].Name] = i
		f.vaults = append(f.vaults, vaultFigures{Vault: &r.Vaults[i]})
	}
	for i := range r.Secrets {
		s := &r.Secrets[i]
		if v, ok := at[s.Vault]; ok {
			f.vaults[v].add(s.Worst)
			f.vaults[v].secrets = append(f.vaults[v].secrets, i)
		}
		if s.Exists {
			f.countAge(s, r.Taken)
		}
	}
	for secret := range r.Whole() {
		f.countSecret(secret, r.Taken)
	}
	slices.SortStableFunc(f.upcoming, func(a, b upcoming) int { return a.first().Compare(b.first()) })
	for _, m := range r.Months {
		f.made += m.Versions
	}
	return f
}

// countFindings groups the findings by level and by rule, the gravest first.
func (f *figures) countFindings(r *audit.Report) {
	groups, rules := map[string]*ruleFigures{}, audit.Rules()
	for i := range r.Findings {
		finding := &r.Findings[i]
		key := string(finding.Level) + "-" + finding.Rule
		group, ok := groups[key]
		if !ok {
			group = &ruleFigures{rule: audit.Rule{ID: finding.Rule, Title: finding.Rule}, level: finding.Level}
			group.rank = slices.IndexFunc(rules, func(rule audit.Rule) bool { return rule.ID == finding.Rule })
			if group.rank >= 0 {
				group.rule = rules[group.rank]
			}
			groups[key] = group
			f.rules = append(f.rules, group)
		}
		group.findings = append(group.findings, i)
	}
	slices.SortStableFunc(f.rules, func(a, b *ruleFigures) int {
		return cmp.Or(cmp.Compare(a.level.Rank(), b.level.Rank()), cmp.Compare(a.rank, b.rank))
	})
}

func (f *figures) countAge(s *audit.Secret, taken time.Time) {
	age := days(s.Created, taken)
	if age == nil {
		return
	}
	column := len(ageBounds)
	for i, bound := range ageBounds {
		if *age < bound {
			column = i
			break
		}
	}
	f.aged++
	if s.Ours {
		f.ages[column].ours++
	} else {
		f.ages[column].others++
	}
}

// countSecret counts a secret once, whatever number of vaults it is in: by its gravest finding, and among those that
// are due or expire soon, or should have been replaced already.
func (f *figures) countSecret(secret []audit.Secret, taken time.Time) {
	worst := secret[0].Worst
	var due, replaced, expired, ahead bool
	var weeks [weeks]weekFigures
	for i := range secret {
		s := &secret[i]
		if s.Worst != "" && (worst == "" || s.Worst.Rank() < worst.Rank()) {
			worst = s.Worst
		}
		due, replaced = due || s.Due != "", replaced || s.Due != "" && s.Exists
		if !s.Exists || !s.Enabled {
			continue
		}
		expired = expired || !s.Expires.IsZero() && !s.Expires.After(taken)
		u := upcoming{secret: s, due: soon(taken, s.Next), expires: soon(taken, s.Expires)}
		if u.due >= 0 {
			weeks[u.due/7].due = 1
		}
		if u.expires >= 0 {
			weeks[u.expires/7].expires = 1
		}
		if u.due >= 0 || u.expires >= 0 {
			f.upcoming = append(f.upcoming, u)
			ahead = true
		}
	}
	f.all.add(worst)
	if secret[0].Declared {
		f.declared.add(worst)
	} else {
		f.others.add(worst)
	}
	f.due += one(due)
	f.replaced += one(replaced)
	f.expired += one(expired)
	f.ahead += one(ahead)
	for i, w := range weeks {
		f.weeks[i].due += w.due
		f.weeks[i].expires += w.expires
	}
}

// one is 1 for true.
func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// soon returns in how many days a time comes; -1 if it is past, or not within [soonDays], or none.
func soon(taken, at time.Time) int64 {
	n := days(taken, at)
	if n == nil || *n >= soonDays || !at.After(taken) {
		return -1
	}
	return *n
}
