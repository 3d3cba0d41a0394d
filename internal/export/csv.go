package export

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"keyvault-passwords/internal/audit"
)

// columns are the columns of the form CSV. Spreadsheets and dashboards that others made name them and count them, so a
// new one comes last, and none is renamed, moved or removed.
var columns = []struct {
	name string
	cell func(s *audit.Secret, snapshot snapshot) string
}{
	{"taken", func(_ *audit.Secret, x snapshot) string { return x.taken }},
	{"repository", func(_ *audit.Secret, x snapshot) string { return x.repository }},
	{"run_id", func(_ *audit.Secret, x snapshot) string { return x.runID }},
	{"vault", func(s *audit.Secret, _ snapshot) string { return textCell(s.Vault) }},
	{"name", func(s *audit.Secret, _ snapshot) string { return textCell(s.Name) }},
	{"declared", func(s *audit.Secret, _ snapshot) string { return strconv.FormatBool(s.Declared) }},
	{"place", func(s *audit.Secret, _ snapshot) string { return textCell(s.Place.String()) }},
	{"managed", func(s *audit.Secret, _ snapshot) string { return strconv.FormatBool(s.Managed) }},
	{"enabled", func(s *audit.Secret, _ snapshot) string { return ifThere(s, strconv.FormatBool(s.Enabled)) }},
	{"content_type", func(s *audit.Secret, _ snapshot) string { return textCell(s.ContentType) }},
	{"policy", func(s *audit.Secret, _ snapshot) string { return textCell(s.Made.Name()) }},
	{"fingerprint", func(s *audit.Secret, _ snapshot) string { return textCell(fingerprint(s.Made)) }},
	{"drift", func(s *audit.Secret, _ snapshot) string { return cellOf(drift(s), strconv.FormatBool) }},
	{"generated_by", func(s *audit.Secret, _ snapshot) string { return generatedBy(s) }},
	{"created", func(s *audit.Secret, _ snapshot) string { return dateCell(s.Created) }},
	{"age_days", func(s *audit.Secret, x snapshot) string { return cellOf(days(s.Created, x.at), decimal) }},
	{"expires", func(s *audit.Secret, _ snapshot) string { return dateCell(s.Expires) }},
	{"days_left", func(s *audit.Secret, x snapshot) string { return cellOf(days(x.at, s.Expires), decimal) }},
	{"not_before", func(s *audit.Secret, _ snapshot) string { return dateCell(s.NotBefore) }},
	{"rotation_due", func(s *audit.Secret, _ snapshot) string { return dateCell(s.Next) }},
	{"overdue_days", func(s *audit.Secret, x snapshot) string { return cellOf(overdue(s, x.at), decimal) }},
	{"versions", func(s *audit.Secret, _ snapshot) string { return strconv.Itoa(s.Versions) }},
	{"superseded_enabled", func(s *audit.Secret, _ snapshot) string { return strconv.Itoa(s.Superseded) }},
	{"deleted_on", func(s *audit.Secret, _ snapshot) string { return dateCell(s.Deleted) }},
	{"purge_on", func(s *audit.Secret, _ snapshot) string { return dateCell(s.Purge) }},
	{"worst_level", func(s *audit.Secret, _ snapshot) string { return string(s.Worst) }},
	{"findings", func(s *audit.Secret, _ snapshot) string { return strings.Join(s.Findings, " ") }},
	{"exists", func(s *audit.Secret, _ snapshot) string { return strconv.FormatBool(s.Exists) }},
	{"due", func(s *audit.Secret, _ snapshot) string { return string(s.Due) }},
}

// A snapshot is what each row says of the audit, so that the rows of many audits can stand in one table.
type snapshot struct {
	at                       time.Time
	taken, repository, runID string
}

// CSV writes one row for each secret in each vault, as RFC 4180 has it, after a row of the columns' names. Dates are
// RFC 3339 in UTC, durations are whole days, rounded down. An empty cell is "none" or "not known"; so is a date after
// the year 9999, of which days_left tells.
func CSV(w io.Writer, r *audit.Report, run Run) error {
	rows := csv.NewWriter(w)
	rows.UseCRLF = true
	row := make([]string, len(columns))
	for i, column := range columns {
		row[i] = column.name
	}
	if err := rows.Write(row); err != nil {
		return err
	}
	of := snapshot{
		at: r.Taken, taken: dateCell(r.Taken), repository: textCell(run.Repository), runID: textCell(run.ID),
	}
	for i := range r.Secrets {
		for j, column := range columns {
			row[j] = column.cell(&r.Secrets[i], of)
		}
		if err := rows.Write(row); err != nil {
			return err
		}
	}
	rows.Flush()
	return rows.Error()
}

func ifThere(s *audit.Secret, cell string) string {
	if !s.Exists {
		return ""
	}
	return cell
}

func generatedBy(s *audit.Secret) string {
	if !s.Ours {
		return ""
	}
	return toolName
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// cellOf returns a value as a cell, or an empty one if there is none.
func cellOf[T any](value *T, text func(T) string) string {
	if value == nil {
		return ""
	}
	return text(*value)
}

func dateCell(t time.Time) string { return cellOf(date(t), func(text string) string { return text }) }

// textCell returns text from outside as a cell of one line that no spreadsheet takes for a formula: where one would
// begin, an apostrophe stands before it. https://owasp.org/www-community/attacks/CSV_Injection
func textCell(text string) string {
	text = line(text)
	switch first := strings.TrimLeft(text, " "); {
	case first == "":
		return ""
	case strings.ContainsRune("=+-@＝＋－＠", []rune(first)[0]):
		return "'" + text
	}
	return text
}

// line returns text in one line: a line break or other white space is a space, and what cannot be seen is U+FFFD.
func line(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case !unicode.IsPrint(c):
			return unicode.ReplacementChar
		}
		return c
	}, text)
}
