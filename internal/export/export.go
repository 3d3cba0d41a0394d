// Package export tells an audit in the forms that files have: JSON, which is complete, CSV for spreadsheets, SARIF for
// code scanning, and HTML, the dashboard that people read.
//
// Each form is a function of a report to a writer. It changes nothing, and it contacts nothing. The same report and run
// make the same bytes. What is seen and what to do about it is said in the words of [audit.Finding], in every form.
//
// Names, tags and content types are from outside: anybody who may write to a vault chooses them. So each form writes
// them as text that its readers cannot take for anything else: for markup, for a formula, or for another row.
package export

import (
	"io"
	"path"
	"strings"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/refusal"
)

// A Run is the run that took an audit. What is not known of it is zero.
type Run struct {
	Version    string // of the action, as the step names it: "v1"
	Server     string // "https://github.com"
	Repository string // OWNER/NAME
	ID         string // of the run
	Attempt    string
	SHA        string // the commit whose declaration was read
	Vault      string // the input of that name: one declaration can be audited for several, each by a step of its own
	Part       bool   // the input only is given: the audit is of a part of what is declared
}

// A Form is a form that an audit can be told in. It fails if the writer does, or with an [Omitted].
type Form func(w io.Writer, r *audit.Report, run Run) error

// An Omitted is why an audit is not told in a form. Nothing was written then.
type Omitted struct{ refusal.Refusal }

// forms are the forms by the ending of a file's name, in the order of the documentation.
var forms = []struct {
	ending string
	form   Form
}{
	{".json", JSON},
	{".csv", CSV},
	{".sarif", SARIF},
	{".html", HTML},
}

// Endings returns the endings of the names of files that have a form.
func Endings() (endings []string) {
	for _, f := range forms {
		endings = append(endings, f.ending)
	}
	return endings
}

// LeftOut returns how many findings the form of a file has no room for.
func LeftOut(file string, r *audit.Report) int {
	if strings.ToLower(path.Ext(file)) != ".sarif" {
		return 0
	}
	return max(0, len(r.Findings)-maxResults)
}

// FormOf returns the form of a file, by the ending of its name. It is nil if the ending is none of [Endings].
func FormOf(file string) Form {
	ending := strings.ToLower(path.Ext(file))
	for _, f := range forms {
		if f.ending == ending {
			return f.form
		}
	}
	return nil
}
