package export

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"keyvault-passwords/internal/audit"
)

// Charts are SVG elements without a view box: lengths across are parts of the width, lengths down and letters are
// pixels. So a chart is as wide as its column and its letters keep their size, on a phone too.

// figure begins a chart with its title, and says in words what it shows. The words are for who does not see it.
func (d *dashboard) figure(class, id markup, title, words string) {
	d.raw("<figure class=\"").raw(class).raw("\" aria-labelledby=").raw(id).raw(">\n<figcaption><h2 id=").raw(id).
		raw(">").text(title).raw("</h2><p>").text(words).raw("</p></figcaption>\n")
}

func (d *dashboard) endFigure() { d.raw("</figure>\n") }

// A part is a piece of a bar, of a colour.
type part struct {
	class markup
	size  int
}

// bar draws parts of a whole, one after the other.
func (d *dashboard) bar(title string, whole int, parts ...part) {
	d.raw("<svg class=bar width=\"100%\" height=12 role=img><title>").text(title).raw("</title>")
	at := 0
	for _, p := range parts {
		if p.size > 0 {
			d.raw("<rect height=12 class=").raw(p.class).raw(` x="`).percent(float64(at), float64(whole)).
				raw(`" width="`).percent(float64(p.size), float64(whole)).raw(`"/>`)
			at += p.size
		}
	}
	d.raw("</svg>")
}

// ring draws which part of the secrets complies.
func (d *dashboard) ring() {
	title := d.all.share() + " of the secrets comply: " + grouped(d.all.comply()) + " of " + grouped(d.all.total) +
		" have neither an error nor a warning"
	d.raw("<svg class=ring viewBox=\"0 0 120 120\" role=img><title>").text(title).raw("</title>")
	at := 0.0
	for _, p := range []part{{"k", d.all.comply()}, {"w", d.all.warnings}, {"e", d.all.errors}} {
		if p.size == 0 {
			continue
		}
		size := float64(p.size) / float64(d.all.total) * 100
		gap := min(1, size/2)
		if p.size == d.all.total {
			gap = 0
		}
		d.raw("<circle cx=60 cy=60 r=50 pathLength=100 class=").raw(p.class).raw(` stroke-dasharray="`).
			decimal(size - gap).raw(" 100\" stroke-dashoffset=\"").decimal(-at).raw(`"/>`)
		at += size
	}
	if d.all.total == 0 {
		d.raw("<circle cx=60 cy=60 r=50 class=z />")
	}
	d.raw("<text x=60 y=63>").text(d.all.share()).raw("</text><text x=60 y=80 class=of>comply</text></svg>\n")
}

// levelChart shows the findings by level, and by rule, each with a link to its part of the table.
func (d *dashboard) levelChart() {
	total := len(d.report.Findings)
	errors, warnings, infos := d.levels[audit.LevelError], d.levels[audit.LevelWarning], d.levels[audit.LevelInfo]
	words := counted(errors, "error") + ", " + counted(warnings, "warning") + ", " + counted(infos, "note") + "."
	d.figure("levels", "by-level", "Findings by level", words)
	d.bar(words, total, part{"e", errors}, part{"w", warnings}, part{"i", infos})
	if total == 0 {
		d.raw("<p class=none>No findings.</p>\n")
	}
	most := 0
	for _, g := range d.rules {
		most = max(most, len(g.findings))
	}
	d.raw("<ul class=bars>\n")
	for _, g := range d.rules {
		class := classes[g.level]
		d.raw("<li><a href=\"#").text(g.id()).raw(`">`).text(g.rule.Title).raw("</a> <b>").number(len(g.findings)).
			raw("</b>")
		d.bar(g.rule.Title+": "+counted(len(g.findings), string(g.level)), most, part{class, len(g.findings)})
		d.raw("</li>\n")
	}
	d.raw("</ul>\n")
	d.endFigure()
}

// classes are the colours of the levels.
var classes = map[audit.Level]markup{audit.LevelError: "e", audit.LevelWarning: "w", audit.LevelInfo: "i"}

// complianceChart shows how many secrets of each vault comply, the worst vault first.
func (d *dashboard) complianceChart() {
	words := d.all.share() + " of all secrets have neither an error nor a warning."
	if d.all.total == 0 {
		words = "No secret is known."
	}
	d.figure("compliance", "by-vault", "Compliance by vault", words)
	d.raw("<ul class=bars>\n")
	worst := slices.Clone(d.vaults)
	slices.SortStableFunc(worst, func(a, b vaultFigures) int { return cmp.Compare(a.percent(), b.percent()) })
	for _, v := range worst[:min(len(worst), maxBars)] {
		d.complianceBar(v.Name, v.compliance, v.Complete)
	}
	d.raw("</ul>\n")
	d.more(len(worst)-maxBars, "vault", "The table of secrets has the compliance of each.")
	if d.declared.total > 0 && d.others.total > 0 {
		d.raw("<ul class=\"bars apart\">\n")
		d.complianceBar("All that are declared", d.declared, true)
		d.complianceBar("All that are not", d.others, true)
		d.raw("</ul>\n")
	}
	d.legend(key{"k", "complies"}, key{"w", "worst finding a warning"}, key{"e", "worst finding an error"})
	d.endFigure()
}

func (d *dashboard) complianceBar(name string, c compliance, whole bool) {
	d.raw("<li><span>").text(name)
	if !whole {
		d.raw(" <i class=\"badge e\">incomplete</i>")
	}
	d.raw("</span> <b>").text(c.share()).raw("</b>")
	numbers := counted(c.total, "secret") + ": " + grouped(c.comply()) + " comply, " + grouped(c.warnings) +
		" with warnings, " + grouped(c.errors) + " with errors"
	d.bar(name+", "+numbers, c.total, part{"k", c.comply()}, part{"w", c.warnings}, part{"e", c.errors})
	d.raw("<span class=at>").text(numbers).raw("</span></li>\n")
}

// A key is what a colour means.
type key struct{ class, name markup }

func (d *dashboard) legend(keys ...key) {
	d.raw("<ul class=legend>")
	for _, k := range keys {
		d.raw("<li class=").raw(k.class).raw(">").raw(k.name).raw("</li>")
	}
	d.raw("</ul>\n")
}

// A column is one of a chart of columns, of one or two parts on top of each other.
type column struct {
	label string // below it; "": none
	words string // what it shows
	parts [2]part
}

func (c column) total() int { return c.parts[0].size + c.parts[1].size }

const (
	columnHeight = 108 // of the highest
	columnTop    = 18  // room for its number
)

// columns draws a chart of columns.
func (d *dashboard) columns(title string, list []column) {
	highest := 1
	for _, c := range list {
		highest = max(highest, c.total())
	}
	d.raw("<svg class=columns width=\"100%\" height=").plain(columnTop + columnHeight + 22).raw(" role=img><title>").
		text(title).raw("</title>\n")
	base, n := columnTop+columnHeight, float64(len(list))
	for i, c := range list {
		x := float64(i)
		y := base
		d.raw("<g><title>").text(c.words).raw("</title>")
		for _, p := range c.parts {
			if p.size == 0 {
				continue
			}
			height := max(p.size*columnHeight/highest, 2)
			y -= height
			d.raw("<rect class=").raw(p.class).raw(` x="`).percent(x+0.14, n).raw(`" width="`).percent(0.72, n).
				raw(`" y=`).plain(y).raw(" height=").plain(height).raw(" />")
		}
		if c.total() > 0 {
			d.raw(`<text x="`).percent(x+0.5, n).raw(`" y=`).plain(y - 5).raw(">").text(brief(c.total())).raw("</text>")
		}
		if c.label != "" {
			d.raw(`<text class=of x="`).percent(x+0.5, n).raw(`" y=`).plain(base + 16).raw(">").text(c.label).
				raw("</text>")
		}
		d.raw("</g>\n")
	}
	d.raw("<line class=axis x1=0 x2=\"100%\" y1=").plain(base).raw(" y2=").plain(base).raw(" /></svg>\n")
}

// ageChart is a histogram of the ages of current versions.
func (d *dashboard) ageChart() {
	words := "How old the current versions are, in days and years."
	if d.aged == 0 {
		words = "No version is known."
	}
	d.figure("ages", "ages", "Age of current versions", words)
	labels := [...]string{"<30", "30–90", "90–180", "180–365", "1–2 y", ">2 y"}
	spoken := [...]string{"below 30 days", "30 to 90 days", "90 to 180 days", "180 to 365 days", "1 to 2 years",
		"2 years and more"}
	var list []column
	for i, age := range d.ages {
		list = append(list, column{
			label: labels[i],
			words: spoken[i] + ": " + grouped(age.ours) + " made by this action, " + grouped(age.others) + " by others",
			parts: [2]part{{"a", age.ours}, {"z", age.others}},
		})
	}
	d.columns(spokenOf("Current versions by age", list), list)
	d.legend(key{"a", "made by this action"}, key{"z", "made by others"})
	d.endFigure()
}

// monthChart shows how many versions were made each month.
func (d *dashboard) monthChart() {
	words := counted(d.made, "version") + " in the last twelve months, the month of the audit included."
	d.figure("months", "months", "Versions made per month", words)
	var list []column
	for _, m := range d.report.Months {
		first := m.First.UTC()
		list = append(list, column{
			label: first.Format("Jan"), words: first.Format("January 2006") + ": " + grouped(m.Versions),
			parts: [2]part{{"a", m.Versions}},
		})
	}
	if len(list) == 0 {
		d.raw("<p class=none>No version lists were read.</p>\n")
	} else {
		d.columns(spokenOf("Versions made", list), list)
	}
	d.endFigure()
}

// spokenOf returns a chart of columns in words.
func spokenOf(title string, list []column) string {
	text := title + ". "
	for i, c := range list {
		if i > 0 {
			text += "; "
		}
		text += c.words
	}
	return text
}

// timeline shows what is due or expires in the days to come: how much each week, and the first secrets by name.
func (d *dashboard) timeline() {
	words := "Nothing is due and nothing expires in the next " + strconv.Itoa(soonDays) + " days" +
		string(d.asFar()) + "."
	if d.ahead > 0 {
		words = counted(d.ahead, "secret") + " due for rotation or expiring, by week."
	}
	if d.replaced+d.expired > 0 {
		words += " Before that: " + grouped(d.replaced) + " due already, " + grouped(d.expired) + " expired."
	}
	d.figure("timeline", "soon", "The next "+strconv.Itoa(soonDays)+" days", words)
	if len(d.upcoming) > 0 {
		d.weekChart()
		d.legend(key{"a", "due for rotation"}, key{"w", "expires"})
		d.raw("<ol class=soon>\n<li class=scale aria-hidden=true><span></span><svg class=track width=\"100%\" " +
			"height=14>" +
			"<text x=0 y=11>today</text><text x=\"33.33%\" y=11>30 days</text><text x=\"66.67%\" y=11>60 days</text>" +
			"<text x=\"100%\" y=11>90 days</text></svg></li>\n")
		for _, u := range d.upcoming[:min(len(d.upcoming), maxUpcoming)] {
			d.coming(u)
		}
		d.raw("</ol>\n")
		d.more(len(d.upcoming)-maxUpcoming, "line", "The table of secrets has their dates.")
	}
	d.endFigure()
}

func (d *dashboard) weekChart() {
	var list []column
	for i, w := range d.weeks {
		from := d.report.Taken.UTC().AddDate(0, 0, i*7)
		c := column{
			words: "7 days from " + from.Format(time.DateOnly) + ": " + grouped(w.due) + " due, " +
				grouped(w.expires) + " expiring",
			parts: [2]part{{"a", w.due}, {"w", w.expires}},
		}
		if i%3 == 0 {
			c.label = from.Format("2 Jan")
		}
		list = append(list, c)
	}
	d.columns(spokenOf("Rotations due and versions expiring", list), list)
}

// coming is one secret's line: a dot where it is due, a diamond where it expires, and the time between them.
func (d *dashboard) coming(u upcoming) {
	s := u.secret
	words := ""
	if u.due >= 0 {
		words = "due " + dayOf(s.Next)
	}
	if u.expires >= 0 {
		if words != "" {
			words += ", "
		}
		words += "expires " + dayOf(s.Expires)
	}
	d.raw("<li><span><b class=n>").text(s.Name).raw("</b> <span class=at>").text(s.Vault).raw("</span></span>").
		raw("<svg class=track width=\"100%\" height=16 role=img><title>").text(s.Name + ": " + words).raw("</title>")
	for _, third := range [...]float64{0, 30, 60, 90} {
		d.raw(`<line class=grid x1="`).percent(third, soonDays).raw(`" x2="`).percent(third, soonDays).
			raw(`" y1=0 y2=16 />`)
	}
	to := float64(u.expires)
	if u.expires < 0 {
		to = soonDays
	}
	if u.due >= 0 && (u.expires > u.due || !s.Expires.IsZero() && u.expires < 0) {
		d.raw(`<line class=span x1="`).percent(float64(u.due), soonDays).raw(`" x2="`).percent(to, soonDays).
			raw(`" y1=8 y2=8 />`)
	}
	if u.due >= 0 {
		d.raw(`<circle class=a r=5 cy=8 cx="`).percent(float64(u.due), soonDays).raw(`"/>`)
	}
	if u.expires >= 0 {
		d.raw(`<svg overflow=visible x="`).percent(float64(u.expires), soonDays).
			raw(`"><path class=w d="M0 2l6 6-6 6-6-6z"/></svg>`)
	}
	d.raw("</svg><span class=at>").text(words).raw("</span></li>\n")
}

// brief returns a number for a narrow column: 12k.
func brief(n int) string {
	switch {
	case n >= 1_000_000:
		return strconv.Itoa(n/1_000_000) + "M"
	case n >= 10_000:
		return strconv.Itoa(n/1000) + "k"
	case n >= 1000:
		return strconv.Itoa(n/1000) + "." + strconv.Itoa(n%1000/100) + "k"
	}
	return strconv.Itoa(n)
}
