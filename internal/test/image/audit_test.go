package image

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

// auditor is the identity of audits: it may list and nothing else.
const auditor = "33333333-3333-3333-3333-333333333333"

// newAudit is the audit's example with stand-ins for what is GitHub's: its command line, the upload of artifacts and
// that of code scanning. What they are given is in the folder that it returns.
func newAudit(t *testing.T) (w *workflow, given string) {
	t.Helper()
	w, given = newWorkflow(t, "audit"), t.TempDir()
	w.services.Trust(emulator.Credential{Client: auditor})
	w.services.Grant(auditor, vaultName, emulator.ReadMetadata)
	gh := filepath.Join(t.TempDir(), "gh")
	write(t, gh, read(t, "internal/test/prose/testdata/gh"))
	if err := os.Chmod(gh, 0o755); err != nil {
		t.Fatal(err)
	}
	w.mounts = " -v " + given + ":" + given + " -v " + gh + ":/usr/local/bin/gh:ro"
	w.options = []string{"--env", "GH_STATE=" + given, "--secret", "GITHUB_TOKEN=stand-in",
		"--var", "AZURE_AUDIT_CLIENT_ID=" + auditor}
	for folder, stand := range map[string]struct{ action, input string }{
		"":             {"actions/upload-artifact", "path"},
		"upload-sarif": {"github/codeql-action", "sarif_file"},
	} {
		pin := regexp.MustCompile(`uses: ` + filepath.Join(stand.action, folder) + `@(\w+)`).FindStringSubmatch(
			read(t, "examples/audit/workflow.yml"))
		if pin == nil {
			t.Fatalf("the example does not use %s", stand.action)
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, folder, "action.yml"), strings.ReplaceAll(standIn, "INPUT", stand.input))
		w.options = append(w.options, "--local-repository", stand.action+"@"+pin[1]+"="+dir)
	}
	return w, given
}

// standIn is an action that puts the files that an input names, one a line, where the test finds them.
const standIn = `
name: stand-in
description: keeps what it is given
inputs:
  INPUT: {required: true, description: files}
  name: {description: as it is}
  category: {description: as it is}
  retention-days: {description: as it is}
runs:
  using: composite
  steps:
    - shell: bash
      env: {FILES: "${{ inputs.INPUT }}"}
      run: |
        while IFS= read -r file; do
          if [ -e "$file" ]; then cp "$file" "$GH_STATE/"; fi
        done <<< "$FILES"
`

// A year of audits in four weeks: what is missing is made, what is due is rotated, by the other identity, and the issue
// is opened, closed and opened again; the reports are taken up also when the audit fails.
func TestWorkflowAudit(t *testing.T) {
	w, given := newAudit(t)
	if _, err := w.services.Put(vaultName, "legacy-smtp", emulator.Plant{}); err != nil {
		t.Fatal(err)
	}
	all := []string{"redis-password", "session-signing-key", "sql-admin-password"}
	const day = 24 * time.Hour
	state := stored(w.services)
	for _, week := range []struct {
		name   string
		after  time.Duration
		failed bool
		want   []string // new versions of
		rule   string   // of code scanning's results. "": there are none
		issues string
	}{
		{"nothing is there", 0, true, all, "missing", "open"},
		{"all is well", time.Hour, false, nil, "", "closed"},
		{"one is due", 31 * day, false, []string{"session-signing-key"}, "", "closed"},
		{"all are overdue", 40 * day, true, all, "overdue-rotation", "closed open"},
	} {
		for _, name := range []string{"passwords.sarif", "passwords.html", "passwords.csv"} {
			if err := os.RemoveAll(filepath.Join(given, name)); err != nil {
				t.Fatal(err)
			}
		}
		w.services.Advance(week.after)
		log, err := w.try(t, "schedule")
		now := stored(w.services)
		if got := changed(state, now); (err != nil) != week.failed || !slices.Equal(got, week.want) {
			t.Fatalf("%s: %v, new versions of %q, want %q\n%s", week.name, err, got, week.want, log)
		}
		if writes := strings.Contains(log, "/rotate]"); writes != (len(week.want) > 0) {
			t.Errorf("%s: the job that writes ran: %t", week.name, writes)
		}
		if !strings.Contains(log, "as application "+auditor) {
			t.Errorf("%s: the audit is not the auditor's", week.name)
		}
		state = now
		if got := issues(t, given); got != week.issues {
			t.Errorf("%s: the issues are %q, want %q\n%s", week.name, got, week.issues, log)
		}
		if checkReports(t, given, week.rule); t.Failed() {
			t.Fatalf("%s:\n%s", week.name, log)
		}
	}
	if got := w.services.Requests()["get"]; got != 0 {
		t.Errorf("values were asked for %d times", got)
	}
}

// issues are the states of the issues, the first one first.
func issues(t *testing.T, given string) string {
	t.Helper()
	var list []struct{ State, Body string }
	readJSON(t, filepath.Join(given, "issues.json"), &list)
	var states []string
	for _, issue := range list {
		states = append(states, issue.State)
		if strings.Contains(issue.Body, "-password") || strings.Contains(issue.Body, "legacy-") {
			t.Errorf("the issue names a secret:\n%s", issue.Body)
		}
	}
	return strings.Join(states, " ")
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Error(err)
	}
}

// checkReports: each of the uploaded files is there and whole, and code scanning's results are of that rule, each on
// the declaration.
func checkReports(t *testing.T, given, rule string) {
	t.Helper()
	var sarif struct {
		Version string
		Runs    []struct {
			Results []struct {
				RuleID    string
				Level     string
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
				}
			}
		}
	}
	readJSON(t, filepath.Join(given, "passwords.sarif"), &sarif)
	if t.Failed() {
		return
	}
	if sarif.Version != "2.1.0" || len(sarif.Runs) != 1 || sarif.Runs[0].Results == nil {
		t.Fatalf("the SARIF file is %+v", sarif)
	}
	found := ""
	for _, result := range sarif.Runs[0].Results {
		place := result.Locations[0].PhysicalLocation
		if place.ArtifactLocation.URI != "examples/audit/passwords.yml" || place.Region.StartLine < 1 {
			t.Errorf("%s is at %+v", result.RuleID, place)
		}
		if result.Level == "error" {
			found = result.RuleID
		}
	}
	if found != rule {
		t.Errorf("code scanning is given the error %q, want %q", found, rule)
	}
	file, err := os.Open(filepath.Join(given, "passwords.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if rows, err := csv.NewReader(file).ReadAll(); err != nil || len(rows) != 5 || rows[0][0] != "taken" {
		t.Errorf("the CSV file has %d rows (%v), want a head, three declared secrets and one more", len(rows), err)
	}
	page, err := os.ReadFile(filepath.Join(given, "passwords.html"))
	if err != nil || !strings.Contains(string(page), "</html>") {
		t.Errorf("the page has %d bytes (%v)", len(page), err)
	}
}
