package export

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/lifecycle"
)

// toolName is what the action calls itself, in its tags too.
const toolName = "keyvault-passwords"

const secondsPerDay = 24 * 60 * 60

// orNull returns a text, or nil for "".
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// date returns a time in UTC as RFC 3339 has it; nil if there is none, or its year has more than four digits.
func date(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	if year := t.UTC().Year(); year < 0 || year > 9999 {
		return nil
	}
	return orNull(t.UTC().Format(time.RFC3339))
}

// unix returns a time in seconds since 1970, which any year has; nil if there is none.
func unix(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.Unix())
}

// days returns how many whole days lie between two times, rounded down; nil if one of them is none. A time.Duration
// would end at 292 years.
func days(from, to time.Time) *int64 {
	if from.IsZero() || to.IsZero() {
		return nil
	}
	seconds := to.Unix() - from.Unix()
	n := seconds / secondsPerDay
	if seconds%secondsPerDay < 0 {
		n--
	}
	return &n
}

// overdue returns for how many days a rotation has been due; nil if none is. A disabled version is blocked, and not
// due.
func overdue(s *audit.Secret, taken time.Time) *int64 {
	if !s.Exists || !s.Enabled || s.Next.After(taken) {
		return nil
	}
	return days(s.Next, taken)
}

// drift reports whether the current version was made to another policy than the declared one; nil if one of them is not
// known.
func drift(s *audit.Secret) *bool {
	if s.Made == "" || s.Policy == "" {
		return nil
	}
	return new(s.Made != s.Policy)
}

// fingerprint returns a policy tag without the policy's name.
func fingerprint(tag lifecycle.PolicyTag) string {
	_, fingerprint, _ := strings.Cut(string(tag), "@")
	return fingerprint
}

var (
	isServer     = pattern(`^https://[A-Za-z0-9.-]+(:[0-9]+)?$`)
	isRepository = pattern(`^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$`)
	isNumber     = pattern(`^[0-9]+$`)
	isCommit     = pattern(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
)

// pattern compiles a pattern when it is first needed: most runs write no report.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// repository returns the address of the repository; "" if it is not known, or not of the known shape.
func (run Run) repository() string {
	if !isServer().MatchString(run.Server) || !isRepository().MatchString(run.Repository) {
		return ""
	}
	return run.Server + "/" + run.Repository
}

// url returns the address of the run, likewise.
func (run Run) url() string {
	repository := run.repository()
	if repository == "" || !isNumber().MatchString(run.ID) {
		return ""
	}
	address := repository + "/actions/runs/" + run.ID
	if isNumber().MatchString(run.Attempt) {
		address += "/attempts/" + run.Attempt
	}
	return address
}

// source returns the address of a file at the commit that was audited, likewise.
func (run Run) source(file string) string {
	repository := run.repository()
	if repository == "" || file == "" || !isCommit().MatchString(run.SHA) {
		return ""
	}
	return repository + "/blob/" + run.SHA + "/" + pathEscaped(file)
}

// pathEscaped returns a path of the workspace as part of an address.
func pathEscaped(file string) string { return (&url.URL{Path: file}).EscapedPath() }
