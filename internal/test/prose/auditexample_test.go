package prose_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An issue is one that testdata/gh keeps.
type issue struct {
	Number                             int
	State, Title, Label, Body, Comment string
}

// anAudit is a report of the form JSON, as far as the issue's step reads it.
func anAudit(t *testing.T, complete bool, findings ...[2]string) string {
	t.Helper()
	counts := map[string]int{"errors": 0, "warnings": 0, "infos": 0, "due": 2}
	list := []map[string]string{}
	for i, finding := range findings {
		counts[finding[1]+"s"]++
		list = append(list, map[string]string{"rule": finding[0], "level": finding[1],
			"secret": fmt.Sprint("a-secret-", i),
			"vault":  "kv-app-prod", "message": "a-secret `$(touch ran)`"})
	}
	text, err := json.Marshal(map[string]any{"complete": complete, "counts": counts, "findings": list})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// There is one issue: opened with the first finding, edited by the next audits, closed when nothing is left, and
// another one after that. It names no secret. Where there is no audit, it says so.
func TestAuditIssue(t *testing.T) {
	need(t, "jq")
	dir := t.TempDir()
	program(t, dir, "gh", read(t, "internal/test/prose/testdata/gh"))
	const (
		run  = "https://github.com/OWNER/REPO/actions/runs/1"
		head = "| rule | level | findings |\n| --- | --- | --- |\n"
		foot = "\n\nDue for a new version: 2. The artifact `audit` of [the run](" + run + ") has the names."
	)
	opened := func(number int, body string) issue {
		return issue{Number: number, State: "open", Title: "Audit of the passwords in Key Vault",
			Label: "keyvault-audit", Body: body}
	}
	closed := func(number int, body string) issue {
		i := opened(number, body)
		i.State, i.Comment = "closed", "Nothing is left to do: "+run
		return i
	}
	const (
		missing = head + "| missing | error | 1 |\n| expires-soon | warning | 2 |" + foot
		none    = "**There is no audit: [the run](" + run + ") tells why.**"
		partly  = "**The audit is not complete: a vault could not be listed whole.**\n\n" + head + foot
	)
	for _, step := range []struct {
		name, report string // "": there is none
		want         []issue
	}{
		{"nothing to do", anAudit(t, true, [2]string{"managed", "info"}), nil},
		{"findings", anAudit(t, true, [2]string{"missing", "error"}, [2]string{"expires-soon", "warning"},
			[2]string{"managed", "info"}, [2]string{"expires-soon", "warning"}), []issue{opened(1, missing)}},
		{"no audit", "", []issue{opened(1, none)}},
		{"an incomplete one", anAudit(t, false), []issue{opened(1, partly)}},
		{"nothing left", anAudit(t, true), []issue{closed(1, partly)}},
		{"nothing to do again", anAudit(t, true), []issue{closed(1, partly)}},
		{"findings again", "", []issue{closed(1, partly), opened(2, none)}},
	} {
		write(t, dir, "audit/.keep", "")
		report := filepath.Join(dir, "audit/passwords.json")
		if step.report == "" {
			if err := os.Remove(report); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		} else {
			write(t, dir, "audit/passwords.json", step.report)
		}
		if out, err := bash(t, script(t, "examples/audit/workflow.yml", "One issue"), dir, "GH_TOKEN=token",
			"GH_REPO=OWNER/REPO", "GH_STATE="+dir, "RUN="+run, "PATH="+dir+":"+os.Getenv("PATH")); err != nil {
			t.Fatalf("%s: %v\n%s", step.name, err, out)
		}
		var got []issue
		parseJSON(t, filepath.Join(dir, "issues.json"), &got)
		if diff := cmp.Diff(step.want, got, emptyIsNil); diff != "" {
			t.Errorf("%s: the issues (-want +got):\n%s", step.name, diff)
		}
		if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
			t.Errorf("%s: a finding was run", step.name)
		}
	}
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil || strings.Contains(string(calls), "search") {
		t.Errorf("%v: gh was called so:\n%s", err, calls)
	}
}

// emptyIsNil compares an empty list of issues with none at all.
var emptyIsNil = cmp.Transformer("issues", func(list []issue) map[int]issue {
	all := map[int]issue{}
	for _, i := range list {
		all[i.Number] = i
	}
	return all
})

func parseJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// The audit is made by an identity, in an environment and with permissions of its own; what writes has none of an
// issue's and code scanning's. The reports are taken up whatever became of the audit, and the second job runs for names
// alone: an empty list would be all of them.
func TestAuditExampleIsApart(t *testing.T) {
	var workflow struct {
		Jobs map[string]struct {
			Environment, If string
			Permissions     map[string]string
			Steps           []struct {
				Uses, Name, If string
				With           map[string]string
			}
		}
	}
	parse(t, read(t, "examples/audit/workflow.yml"), &workflow)
	got := map[string]map[string]string{}
	for name, job := range workflow.Jobs {
		got[name] = map[string]string{"environment": job.Environment, "if": job.If}
		for permission := range job.Permissions {
			got[name]["may"] += permission + " "
		}
		got[name]["may"] = strings.Join(sorted(strings.Fields(got[name]["may"])), " ")
		for _, step := range job.Steps {
			if step.Uses == "./" {
				for _, input := range []string{"client-id", "mode", "only", "mask-outputs"} {
					got[name][input] = step.With[input]
				}
			}
			if strings.Contains(step.Uses, "/upload-") || strings.HasPrefix(step.Name, "Which reports") {
				if !strings.HasPrefix(step.If, "${{ always()") {
					t.Errorf("a failed audit skips %s%s", step.Uses, step.Name)
				}
			}
		}
	}
	want := map[string]map[string]string{
		"audit": {"environment": "passwords-audit", "if": "", "client-id": "${{ vars.AZURE_AUDIT_CLIENT_ID }}",
			"may":  "actions contents id-token issues security-events",
			"mode": "audit", "only": "", "mask-outputs": "none"},
		"rotate": {"environment": "passwords-write", "client-id": "${{ vars.AZURE_CLIENT_ID }}",
			"if":  "${{ !cancelled() && needs.audit.outputs.due != '' && needs.audit.outputs.due != '[]' }}",
			"may": "contents id-token", "mode": "rotate", "only": "${{ needs.audit.outputs.due }}", "mask-outputs": ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the two jobs (-want +got):\n%s", diff)
	}
}
