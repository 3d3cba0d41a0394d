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

// figures is what the dashboard shows of a report in numbers.
type figures struct {
	levels   map[audit.Level]int
	rules    []*ruleFigures // the gravest first
	all      compliance
	vaults   []vaultFigures // in the order of the report
	declared compliance
	others   compliance // secrets that nobody declared
	ages     [len(ageBounds) + 1]ageFigures
	aged     int // secrets in ages
	upcoming []upcoming
	weeks    [weeks]weekFigures
	due      int // secrets that mode rotate would give a version now
	replaced int // those of them that are there
	expired  int // versions that are past their expiry and enabled
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

func (c *compliance) add(s *audit.Secret) {
	c.total++
	switch s.Worst {
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

// A weekFigures is how much happens in one week to come.
type weekFigures struct{ due, expires int }

// An upcoming is a secret that is due or expires in the days to come. A negative day: not within them.
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
		f.all.add(s)
		if s.Due != "" {
			f.due++
		}
		if s.Declared {
			f.declared.add(s)
		} else {
			f.others.add(s)
		}
		if v, ok := at[s.Vault]; ok {
			f.vaults[v].add(s)
			f.vaults[v].secrets = append(f.vaults[v].secrets, i)
		}
		if s.Exists {
			f.countAge(s, r.Taken)
			f.countSoon(s, r.Taken)
		}
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

// countSoon counts a secret among those that are due or expire soon, or should have been replaced already.
func (f *figures) countSoon(s *audit.Secret, taken time.Time) {
	u := upcoming{secret: s, due: soon(taken, s.Next), expires: soon(taken, s.Expires)}
	if !s.Enabled {
		u.expires = -1
	}
	if s.Due != "" {
		f.replaced++
	}
	if s.Enabled && !s.Expires.IsZero() && !s.Expires.After(taken) {
		f.expired++
	}
	if u.due < 0 && u.expires < 0 {
		return
	}
	if u.due >= 0 {
		f.weeks[u.due/7].due++
	}
	if u.expires >= 0 {
		f.weeks[u.expires/7].expires++
	}
	f.upcoming = append(f.upcoming, u)
}

// soon returns in how many days a time comes; -1 if it is past, or not within [soonDays], or none.
func soon(taken, at time.Time) int64 {
	n := days(taken, at)
	if n == nil || *n >= soonDays || !at.After(taken) {
		return -1
	}
	return *n
}
