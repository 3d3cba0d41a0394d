package export

import (
	"bufio"
	"encoding/json"
	"io"
	"time"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/declaration"
)

// schemaVersion is the version of the form JSON. A key may come; none changes its meaning or goes without a new
// version.
const schemaVersion = 1

// The objects of the form JSON. schema.json says what each key means. A key is always there; null is "none" or "not
// known".
type (
	jsonTool struct {
		Name    string  `json:"name"`
		Version *string `json:"version"`
	}
	jsonRun struct {
		Repository *string `json:"repository"`
		ID         *string `json:"id"`
		Attempt    *string `json:"attempt"`
		SHA        *string `json:"sha"`
		URL        *string `json:"url"`
	}
	jsonCounts struct {
		Errors   int `json:"errors"`
		Warnings int `json:"warnings"`
		Infos    int `json:"infos"`
		Ignored  int `json:"ignored"`
		Secrets  int `json:"secrets"`
		Declared int `json:"declared"`
		Due      int `json:"due"`
	}
	jsonVault struct {
		Name     string  `json:"name"`
		Complete bool    `json:"complete"`
		Why      *string `json:"why"`
		Secrets  int     `json:"secrets"`
		Deleted  int     `json:"deleted"`
	}
	jsonPlace struct {
		File   string `json:"file"`
		Line   *int   `json:"line"`
		Column *int   `json:"column"`
	}
	jsonSecret struct {
		Vault               string     `json:"vault"`
		Name                string     `json:"name"`
		Declared            bool       `json:"declared"`
		Place               *jsonPlace `json:"place"`
		Exists              bool       `json:"exists"`
		Managed             bool       `json:"managed"`
		Enabled             *bool      `json:"enabled"`
		ContentType         *string    `json:"content_type"`
		Version             *string    `json:"version"`
		Policy              *string    `json:"policy"`
		Fingerprint         *string    `json:"fingerprint"`
		DeclaredPolicy      *string    `json:"declared_policy"`
		DeclaredFingerprint *string    `json:"declared_fingerprint"`
		Drift               *bool      `json:"drift"`
		GeneratedBy         *string    `json:"generated_by"`
		Created             *string    `json:"created"`
		AgeDays             *int64     `json:"age_days"`
		Expires             *string    `json:"expires"`
		ExpiresUnix         *int64     `json:"expires_unix"`
		DaysLeft            *int64     `json:"days_left"`
		NotBefore           *string    `json:"not_before"`
		NotBeforeUnix       *int64     `json:"not_before_unix"`
		RotationDue         *string    `json:"rotation_due"`
		RotationDueUnix     *int64     `json:"rotation_due_unix"`
		OverdueDays         *int64     `json:"overdue_days"`
		Due                 *string    `json:"due"`
		DueReason           *string    `json:"due_reason"`
		Versions            int        `json:"versions"`
		VersionsComplete    bool       `json:"versions_complete"`
		SupersededEnabled   int        `json:"superseded_enabled"`
		DeletedOn           *string    `json:"deleted_on"`
		PurgeOn             *string    `json:"purge_on"`
		WorstLevel          *string    `json:"worst_level"`
		Findings            []string   `json:"findings"`
	}
	jsonFinding struct {
		Rule    string     `json:"rule"`
		Level   string     `json:"level"`
		Vault   *string    `json:"vault"`
		Secret  *string    `json:"secret"`
		Place   *jsonPlace `json:"place"`
		Message string     `json:"message"`
		Remedy  *string    `json:"remedy"`
		Since   *string    `json:"since"`
	}
	jsonMonth struct {
		Month    string `json:"month"`
		Versions int    `json:"versions"`
	}
)

// JSON writes the report as JSON, with all that is known and every text exactly as it is: one secret and one finding a
// line. schema.json describes it.
func JSON(w io.Writer, r *audit.Report, run Run) error {
	d := &document{w: bufio.NewWriter(w)}
	d.member("schema", schemaVersion)
	d.member("tool", jsonTool{Name: toolName, Version: orNull(run.Version)})
	d.member("run", jsonRun{
		Repository: orNull(run.Repository), ID: orNull(run.ID), Attempt: orNull(run.Attempt), SHA: orNull(run.SHA),
		URL: orNull(run.url()),
	})
	d.member("taken", date(r.Taken))
	d.member("declaration", orNull(r.File))
	d.member("complete", r.Complete())
	d.member("part", run.Part)
	d.member("counts", countsOf(r))
	members(d, "vaults", r.Vaults, func(v *audit.Vault) any {
		return jsonVault{
			Name: v.Name, Complete: v.Complete, Why: orNull(v.Why), Secrets: v.Secrets, Deleted: v.Deleted,
		}
	})
	members(d, "due", r.Due, func(name *string) any { return *name })
	members(d, "findings", r.Findings, func(f *audit.Finding) any { return findingOf(f) })
	members(d, "secrets", r.Secrets, func(s *audit.Secret) any { return secretOf(s, r.Taken) })
	members(d, "months", r.Months, func(m *audit.Month) any {
		return jsonMonth{Month: m.First.UTC().Format(monthFormat), Versions: m.Versions}
	})
	members(d, "notes", r.Notes, func(note *string) any { return *note })
	return d.end()
}

const monthFormat = "2006-01"

func countsOf(r *audit.Report) jsonCounts {
	levels, totals := r.Counts(), r.Totals()
	return jsonCounts{
		Errors: levels[audit.LevelError], Warnings: levels[audit.LevelWarning], Infos: levels[audit.LevelInfo],
		Ignored: r.Ignored, Secrets: totals.Secrets, Declared: totals.Declared, Due: totals.Due,
	}
}

func findingOf(f *audit.Finding) jsonFinding {
	return jsonFinding{
		Rule: f.Rule, Level: string(f.Level), Vault: orNull(f.Vault), Secret: orNull(f.Secret), Place: placeOf(f.Place),
		Message: f.Message, Remedy: orNull(f.Remedy), Since: date(f.Since),
	}
}

func secretOf(s *audit.Secret, taken time.Time) jsonSecret {
	j := jsonSecret{
		Vault: s.Vault, Name: s.Name, Declared: s.Declared, Place: placeOf(s.Place), Exists: s.Exists,
		Managed: s.Managed, Versions: s.Versions, VersionsComplete: s.Whole, SupersededEnabled: s.Superseded,
		ContentType: orNull(s.ContentType), Version: orNull(s.Version), Drift: drift(s),
		Policy: orNull(s.Made.Name()), Fingerprint: orNull(fingerprint(s.Made)),
		DeclaredPolicy: orNull(s.Policy.Name()), DeclaredFingerprint: orNull(fingerprint(s.Policy)),
		Created: date(s.Created), AgeDays: days(s.Created, taken),
		Expires: date(s.Expires), ExpiresUnix: unix(s.Expires), DaysLeft: days(taken, s.Expires),
		NotBefore: date(s.NotBefore), NotBeforeUnix: unix(s.NotBefore),
		RotationDue: date(s.Next), RotationDueUnix: unix(s.Next), OverdueDays: overdue(s, taken),
		Due: orNull(string(s.Due)), DueReason: orNull(s.DueReason),
		DeletedOn: date(s.Deleted), PurgeOn: date(s.Purge),
		WorstLevel: orNull(string(s.Worst)), Findings: s.Findings,
	}
	if s.Exists {
		j.Enabled = &s.Enabled
	}
	if s.Ours {
		j.GeneratedBy = orNull(toolName)
	}
	if j.Findings == nil {
		j.Findings = []string{}
	}
	return j
}

func placeOf(p declaration.Place) *jsonPlace {
	if p.File == "" {
		return nil
	}
	place := &jsonPlace{File: p.File}
	if p.Line > 0 {
		place.Line, place.Column = &p.Line, &p.Col
	}
	return place
}

// A document writes one JSON object, member by member, and keeps the first error.
type document struct {
	w    *bufio.Writer
	some bool // a member is written
	err  error
}

// name begins a member.
func (d *document) name(name string) {
	if d.some {
		d.text(",\n")
	} else {
		d.text("{\n")
	}
	d.some = true
	d.text(`"` + name + `": `)
}

func (d *document) text(text string) {
	if d.err == nil {
		_, d.err = d.w.WriteString(text)
	}
}

func (d *document) value(value any) {
	encoded, err := json.Marshal(value)
	if err != nil && d.err == nil {
		d.err = err
	}
	if d.err == nil {
		_, d.err = d.w.Write(encoded)
	}
}

func (d *document) member(name string, value any) {
	d.name(name)
	d.value(value)
}

// members writes a member that is an array, one element a line.
func members[T any](d *document, name string, list []T, of func(*T) any) {
	d.name(name)
	d.text("[")
	for i := range list {
		if i > 0 {
			d.text(",")
		}
		d.text("\n")
		d.value(of(&list[i]))
	}
	if len(list) > 0 {
		d.text("\n")
	}
	d.text("]")
}

func (d *document) end() error {
	d.text("\n}\n")
	if d.err != nil {
		return d.err
	}
	return d.w.Flush()
}
