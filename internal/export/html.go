package export

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"io"
	"strconv"
	"time"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/declaration"
)

// Limits of what the page lists, which keep it below some megabytes, so that a phone opens it. Each list says what it
// leaves out. The forms JSON and CSV leave out nothing.
const (
	maxRows     = 5000 // of the table of secrets
	maxOfRule   = 200  // findings of one rule
	maxUpcoming = 24   // rows of the timeline
	unfolded    = 200  // so many secrets are shown at once; more are folded, by vault
	maxBars     = 12   // vaults in the chart of compliance
)

// openOf is how many findings of a rule are shown at once, by level.
var openOf = map[audit.Level]int{audit.LevelError: 25, audit.LevelWarning: 10}

//go:embed style.css
var style string

// HTML writes the dashboard: one page, for an artifact or a web server. It has no script, it asks for nothing, and its
// policy lets a browser run and load nothing. Charts are drawn in it, with a text for who cannot see them.
func HTML(w io.Writer, r *audit.Report, run Run) error {
	d := dashboard{page: newPage(w), report: r, run: run, figures: figuresOf(r)}
	d.head()
	d.masthead()
	d.incomplete()
	d.tiles()
	d.raw("<div class=charts>\n<div class=stack>\n")
	d.levelChart()
	d.monthChart()
	d.raw("</div>\n<div class=stack>\n")
	d.complianceChart()
	d.ageChart()
	d.raw("</div>\n</div>\n")
	d.timeline()
	d.findings()
	d.secrets()
	d.foot()
	return d.end()
}

// A dashboard is a page in the making.
type dashboard struct {
	*page
	*figures
	report *audit.Report
	run    Run
}

func (d *dashboard) head() {
	sum := sha256.Sum256([]byte(style))
	d.raw("<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n").
		raw(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-`).
		text(base64.StdEncoding.EncodeToString(sum[:])).
		raw("'; base-uri 'none'; form-action 'none'\">\n").
		raw("<meta name=viewport content=\"width=device-width, initial-scale=1\">\n").
		raw("<meta name=color-scheme content=\"light dark\">\n<meta name=referrer content=no-referrer>\n").
		raw("<meta name=robots content=noindex>\n<title>").text(d.title()).raw("</title>\n<style>").
		raw(markup(style)).raw("</style>\n</head>\n<body>\n<main>\n")
}

func (d *dashboard) title() string {
	return "Key Vault audit of " + d.report.Taken.UTC().Format(time.DateOnly) + ": " + d.verdict()
}

// verdict is the audit in a few words.
func (d *dashboard) verdict() string {
	errors, warnings := d.levels[audit.LevelError], d.levels[audit.LevelWarning]
	switch {
	case errors > 0 && warnings > 0:
		return counted(errors, "error") + ", " + counted(warnings, "warning")
	case errors > 0:
		return counted(errors, "error")
	case warnings > 0:
		return counted(warnings, "warning")
	case !d.report.Complete():
		return "incomplete"
	}
	return "no errors and no warnings"
}

// worst is the level of the gravest finding, as a class.
func (d *dashboard) worst() markup {
	switch {
	case d.levels[audit.LevelError] > 0 || !d.report.Complete():
		return "e"
	case d.levels[audit.LevelWarning] > 0:
		return "w"
	}
	return "k"
}

func (d *dashboard) masthead() {
	d.raw("<header class=\"mast ").raw(d.worst()).raw("\">\n<div>\n<p class=eyebrow>Key Vault audit</p>\n<h1>").
		text(capital(d.verdict())).raw("</h1>\n<p class=lede>").text(d.lede()).raw("</p>\n<dl class=facts>\n")
	fact := func(name markup, text, address string) {
		if text != "" {
			d.raw("<div><dt>").raw(name).raw("</dt><dd>")
			d.link(text, address)
			d.raw("</dd></div>\n")
		}
	}
	fact("Taken", d.report.Taken.UTC().Format("2006-01-02 15:04 UTC"), "")
	fact("Repository", d.run.Repository, d.run.repository())
	fact("Declaration", d.report.File, d.run.source(d.report.File))
	fact("Commit", short(d.run.SHA), "")
	fact("Run", d.run.ID, d.run.url())
	fact("Action", d.run.Version, "")
	d.raw("</dl>\n</div>\n")
	d.ring()
	d.raw("</header>\n")
}

// lede says what was looked at.
func (d *dashboard) lede() string {
	text := counted(d.all.total, "secret") + " in " + counted(len(d.vaults), "vault")
	if d.report.File != "" || d.declared.total > 0 {
		text += ", " + grouped(d.declared.total) + " of them declared"
	}
	if d.run.Part {
		text += ": a part, as the input only says"
	}
	if d.report.Complete() {
		return text + ". Every vault was listed whole."
	}
	return text + ", as far as they could be listed."
}

// incomplete says which vaults could not be listed whole: without it, a page would look better than the vaults are.
func (d *dashboard) incomplete() {
	if d.report.Complete() {
		return
	}
	d.raw("<section class=\"alert e\" aria-labelledby=incomplete>\n<h2 id=incomplete>This audit is incomplete</h2>\n").
		raw("<p>What is missing here may be wrong in the vault. The numbers below hold for what could be " +
			"listed.</p>\n<ul>\n")
	for _, v := range d.report.Vaults {
		if !v.Complete {
			d.raw("<li><b>").text(v.Name).raw("</b>: ").text(v.Why).raw("</li>\n")
		}
	}
	d.raw("</ul>\n</section>\n")
}

// asFar limits what is said of nothing: where a vault was not listed whole, there may be something.
func (d *dashboard) asFar() markup {
	if d.report.Complete() {
		return ""
	}
	return " in what could be listed"
}

// tiles are the totals.
func (d *dashboard) tiles() {
	d.raw("<ul class=tiles>\n")
	tile := func(class markup, n int, name string) {
		if n == 0 {
			class = "z"
		}
		d.raw("<li class=").raw(class).raw("><b>").number(n).raw("</b> ").text(name).raw("</li>\n")
	}
	tile("e", d.levels[audit.LevelError], noun(d.levels[audit.LevelError], "error"))
	tile("w", d.levels[audit.LevelWarning], noun(d.levels[audit.LevelWarning], "warning"))
	tile("i", d.levels[audit.LevelInfo], noun(d.levels[audit.LevelInfo], "note"))
	tile("a", d.due, "due for rotation now")
	tile("a", d.ahead, "due or expiring in "+strconv.Itoa(soonDays)+" days")
	tile("a", d.made, noun(d.made, "version")+" made in 12 months")
	d.raw("</ul>\n")
}

// link writes a text that leads to an address, if there is one.
func (d *dashboard) link(text, address string) {
	if address == "" {
		d.text(text)
		return
	}
	d.raw(`<a rel="noopener noreferrer" href="`).text(address).raw(`">`).text(text).raw("</a>")
}

// place writes where something is declared, as a link to its line if the commit is known.
func (d *dashboard) place(p declaration.Place) {
	if p.File == "" {
		return
	}
	address, text := "", baseOf(p.File)
	if p.Line > 0 {
		text += ":" + strconv.Itoa(p.Line)
	}
	if p.File == d.report.File {
		address = d.run.source(p.File)
	}
	if address != "" && p.Line > 0 {
		address += "#L" + strconv.Itoa(p.Line)
	}
	d.raw("<span class=at>")
	d.link(text, address)
	d.raw("</span>")
}

// findings is the table of findings, a part for each rule, the gravest first.
func (d *dashboard) findings() {
	d.raw("<section aria-labelledby=findings>\n<h2 id=findings>Findings</h2>\n")
	if len(d.rules) == 0 {
		d.raw("<p class=none>Nothing was found").raw(d.asFar()).raw(".</p>\n")
	}
	for _, group := range d.rules {
		d.group(group)
	}
	if d.report.Ignored > 0 {
		d.raw("<p class=note>").text(counted(d.report.Ignored, "finding")).
			raw(" left out: the declaration ignores them, each for a reason and until a day.</p>\n")
	}
	d.raw("</section>\n")
}

// group is the findings of one rule. A few are shown at once, many are folded.
func (d *dashboard) group(g *ruleFigures) {
	d.raw("<details class=rule id=\"").text(g.id()).raw(`"`)
	if len(g.findings) <= openOf[g.level] {
		d.raw(" open")
	}
	d.raw("><summary>")
	d.badge(g.level)
	d.raw(" <b>").text(g.rule.Title).raw("</b> <code>").text(g.rule.ID).raw("</code> <span class=count>").
		number(len(g.findings)).raw("</span></summary>\n")
	d.help(g.rule)
	d.found(g)
	d.more(len(g.findings)-maxOfRule, "finding", "The table of secrets has each secret's findings, the reports "+
		"in JSON and CSV have all of them.")
	d.raw("</details>\n")
}

// found is the table of a rule's findings. A remedy that all of them have stands above it.
func (d *dashboard) found(g *ruleFigures) {
	common := d.remedyOf(g)
	if common != "" {
		d.raw("<p class=todo><b>What to do:</b> ").text(common).raw("</p>\n")
	}
	d.raw("<table class=found>\n<thead><tr><th>Secret<th>What was seen")
	if common == "" {
		d.raw("<th>What to do")
	}
	d.raw("</thead>\n<tbody>\n")
	for _, i := range g.findings[:min(len(g.findings), maxOfRule)] {
		f := &d.report.Findings[i]
		d.raw("<tr><td>")
		d.named(f.Secret, f.Vault, f.Place)
		d.raw("<td>").text(capital(f.Message))
		if !f.Since.IsZero() {
			d.raw(" <span class=at>since ").text(dayOf(f.Since)).raw("</span>")
		}
		if common == "" {
			d.raw("<td>").text(capital(f.Remedy))
		}
		d.raw("\n")
	}
	d.raw("</tbody>\n</table>\n")
}

// remedyOf returns the remedy that several findings of a rule have, all of them; "" if there is none.
func (d *dashboard) remedyOf(g *ruleFigures) string {
	remedy := d.report.Findings[g.findings[0]].Remedy
	for _, i := range g.findings {
		if d.report.Findings[i].Remedy != remedy {
			return ""
		}
	}
	return remedy
}

func (d *dashboard) help(rule audit.Rule) {
	if rule.Help != "" {
		d.raw("<p class=help>").text(rule.Help).raw("</p>\n")
	}
	if len(rule.Known) > 0 {
		d.raw("<p class=known>Also known as ")
		for i, known := range rule.Known {
			if i > 0 {
				d.raw(", ")
			}
			d.text(known)
		}
		d.raw("</p>\n")
	}
}

// named writes a secret's name, its vault and its place.
func (d *dashboard) named(secret, vault string, p declaration.Place) {
	if secret != "" {
		d.raw("<b class=n>").text(secret).raw("</b> ")
	}
	d.raw("<span class=at>").text(vault).raw("</span>")
	if p.File != "" {
		d.raw(" <span class=at>· </span>")
		d.place(p)
	}
}

// more says how many more there are than a list shows, and where they are.
func (d *dashboard) more(n int, noun, where string) {
	if n > 0 {
		d.raw("<p class=note>").text(counted(n, "more "+noun)).raw(" not shown here. ").text(where).raw("</p>\n")
	}
}

// badges are the levels as marks.
var badges = map[audit.Level]markup{
	audit.LevelError:   "<i class=\"badge e\">error</i>",
	audit.LevelWarning: "<i class=\"badge w\">warning</i>",
	audit.LevelInfo:    "<i class=\"badge i\">note</i>",
}

func (d *dashboard) badge(level audit.Level) { d.raw(badges[level]) }

func (d *dashboard) foot() {
	d.raw("<footer>\n")
	if len(d.report.Notes) > 0 {
		d.raw("<h2>About this audit</h2>\n<ul>\n")
		for _, note := range d.report.Notes {
			d.raw("<li>").text(note).raw("</li>\n")
		}
		d.raw("</ul>\n")
	}
	d.raw("<p>Taken from metadata alone: names, dates, states and tags. No value was read, and the identity that ").
		raw("took it need not be able to. Ages and days are by the vaults' clock, in UTC. A secret complies if it " +
			"has ").
		raw("neither an error nor a warning.</p>\n</footer>\n</main>\n</body>\n</html>\n")
}
