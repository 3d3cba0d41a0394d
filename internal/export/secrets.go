package export

import (
	"path"
	"strconv"
	"strings"
	"time"

	"keyvault-passwords/internal/audit"
)

// filters are the choices of the table of secrets. A row has the class of each choice that shows it.
var filters = []struct {
	class markup
	name  markup
	is    func(s *audit.Secret) bool
}{
	{class: "e", name: "With errors", is: func(s *audit.Secret) bool { return s.Worst == audit.LevelError }},
	{class: "w", name: "With warnings", is: func(s *audit.Secret) bool { return s.Worst == audit.LevelWarning }},
	{class: "d", name: "Due now", is: func(s *audit.Secret) bool { return s.Due != "" }},
	{class: "u", name: "Not declared", is: func(s *audit.Secret) bool { return !s.Declared }},
}

// secrets is the table of secrets, a part for each vault.
func (d *dashboard) secrets() {
	d.raw("<section class=secrets aria-labelledby=secrets>\n<h2 id=secrets>Secrets</h2>\n")
	if d.all.total == 0 {
		if d.report.Complete() {
			d.raw("<p class=none>The vaults hold no secret, and none is declared.</p>\n</section>\n")
		} else {
			d.raw("<p class=none>No secret could be listed.</p>\n</section>\n")
		}
		return
	}
	d.choices()
	shown := d.shown()
	for i := range d.vaults {
		d.vault(&d.vaults[i], shown)
	}
	d.more(len(d.report.Secrets)-maxRows, "row", "The page lists "+grouped(maxRows)+", those with the most severe "+
		"findings. The reports in JSON and CSV have all of them.")
	d.raw("</section>\n")
}

// choices are radio buttons that show a part of the rows. It is the style sheet that obeys them: there is no script.
func (d *dashboard) choices() {
	d.raw("<fieldset class=show><legend>Show</legend>\n").
		raw("<label><input type=radio name=show id=show-all checked> All</label>\n")
	for _, f := range filters {
		n := 0
		for i := range d.report.Secrets {
			if f.is(&d.report.Secrets[i]) {
				n++
			}
		}
		if n > 0 {
			d.raw("<label><input type=radio name=show id=show-").raw(f.class).raw("> ").raw(f.name).
				raw(" <span class=count>").number(n).raw("</span></label>\n")
		}
	}
	d.raw("</fieldset>\n")
}

// shown tells which secrets have a row: all, or those with the gravest findings.
func (d *dashboard) shown() []bool {
	shown, left := make([]bool, len(d.report.Secrets)), maxRows
	for _, level := range append(audit.Levels(), "") {
		for i := range d.report.Secrets {
			if left > 0 && d.report.Secrets[i].Worst == level {
				shown[i] = true
				left--
			}
		}
	}
	return shown
}

func (d *dashboard) vault(v *vaultFigures, shown []bool) {
	d.raw("<details class=vault")
	if len(d.report.Secrets) <= unfolded {
		d.raw(" open")
	}
	d.raw("><summary><b>").text(v.Name).raw("</b> <span class=count>").text(counted(v.total, "secret")).
		raw("</span> <span class=at>").text(v.share()).raw(" comply")
	if v.Deleted > 0 {
		d.raw(", ").number(v.Deleted).raw(" soft-deleted")
	}
	if !v.Complete {
		d.raw(", <b class=e>not listed whole</b>")
	}
	d.raw("</span> <span class=\"at paper\">(folded: open it on the screen to print it)</span></summary>\n<table " +
		"class=held>\n<thead><tr><th>Secret<th>State<th>Policy<th>Made<th>Expires" +
		"<th>Next rotation<th>Versions<th>Findings</thead>\n<tbody>\n")
	for _, i := range v.secrets {
		if shown[i] {
			d.secret(&d.report.Secrets[i])
		}
	}
	d.raw("</tbody>\n</table>\n</details>\n")
}

// secret is one row. A cell of nothing is empty, so that a narrow screen leaves it out.
func (d *dashboard) secret(s *audit.Secret) {
	d.raw("<tr class=\"r")
	for _, f := range filters {
		if f.is(s) {
			d.raw(" ").raw(f.class)
		}
	}
	d.raw("\"><td><b class=n>").text(s.Name).raw("</b> ")
	d.place(s.Place)
	d.raw("<td>").text(stateOf(s)).raw("<td>")
	d.policy(s)
	d.raw("<td>")
	d.date(s.Created, "")
	d.raw("<td>")
	if s.Exists {
		d.date(s.Expires, "never")
	}
	d.raw("<td>")
	d.rotation(s)
	d.raw("<td class=num>")
	if s.Versions > 0 {
		d.number(s.Versions)
		if !s.Whole && s.Versions > 1 {
			d.raw("+")
		}
	}
	d.raw("<td>")
	for i, rule := range s.Findings {
		if i > 0 {
			d.raw(" ")
		}
		d.raw("<code>").text(rule).raw("</code>")
	}
	d.raw("</tr>\n")
}

// stateOf is what a secret is, in a few words.
func stateOf(s *audit.Secret) string {
	switch {
	case !s.Deleted.IsZero():
		return "soft-deleted"
	case !s.Exists:
		return "missing"
	}
	var words []string
	if !s.Enabled {
		words = append(words, "disabled")
	}
	switch {
	case s.Managed:
		words = append(words, "managed")
	case !s.Declared:
		words = append(words, "not declared")
	case !s.Ours:
		words = append(words, "foreign")
	}
	if len(words) == 0 {
		return "declared"
	}
	return strings.Join(words, ", ")
}

func (d *dashboard) policy(s *audit.Secret) {
	d.text(s.Made.Name())
	if changed := drift(s); changed != nil && *changed {
		d.raw(" <span class=at>now declared: ").text(s.Policy.Name()).raw("</span>")
	}
}

// date writes a day, and how far it is from the day of the audit. Where a secret has none, otherwise says so.
func (d *dashboard) date(t time.Time, otherwise markup) {
	n := days(d.report.Taken, t)
	if n == nil && otherwise != "" {
		d.raw("<span class=at>").raw(otherwise).raw("</span>")
	}
	if n == nil {
		return
	}
	d.raw("<time>").text(dayOf(t)).raw("</time> <span class=at>").text(distance(*n)).raw("</span>")
}

func (d *dashboard) rotation(s *audit.Secret) {
	if s.Due != "" {
		d.raw("<b class=due>due now</b> <span class=at>").text(s.DueReason).raw("</span>")
		return
	}
	if !s.Next.IsZero() {
		d.date(s.Next, "")
	}
}

// distance is how many days ahead or back something is.
func distance(n int64) string {
	switch {
	case n == 0:
		return "within a day"
	case n == -1:
		return "a day ago"
	case n == 1:
		return "in a day"
	case n < 0:
		return strconv.FormatInt(-n, 10) + " days ago"
	}
	return "in " + strconv.FormatInt(n, 10) + " days"
}

// dayOf returns a day, of any year.
func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func baseOf(file string) string { return path.Base(file) }

// short returns the beginning of a commit's name, as people tell it.
func short(sha string) string { return sha[:min(len(sha), 12)] }

func noun(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return noun
}

func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
