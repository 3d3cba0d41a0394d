package export_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/export"
)

// officialSchema returns the schema of SARIF 2.1.0 as OASIS publishes it. A library for tests holds it as a constant
// that it does not export.
func officialSchema(t *testing.T) []byte {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").
		Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "schema.go"), nil,
		0)
	if err != nil {
		t.Fatal(err)
	}
	value := file.Scope.Lookup("schema").Decl.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value
	text, err := strconv.Unquote(value)
	if err != nil || !strings.Contains(text, `"Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema"`) {
		t.Fatalf("not the schema: %.200s (%v)", text, err)
	}
	return []byte(text)
}

// large returns a report of more findings than GitHub keeps.
func large() *audit.Report { return sample(3200) }

func TestSARIFIsOfTheOfficialSchema(t *testing.T) {
	schema := compiled(t, officialSchema(t))
	empty := sample(3)
	empty.Findings = nil
	for name, r := range map[string]*audit.Report{
		"few": sample(3), "many": sample(300), "large": large(), "none": empty,
		"hostile": hostileSARIF("[x](y) {0} \"\x00"),
	} {
		if err := validate(t, schema, written(t, export.SARIF, r)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if validate(t, schema, []byte(`{"version": "2.1.0", "runs": [{"results": []}]}`)) == nil {
		t.Error("the schema accepts a run without a tool: it is not the one of SARIF")
	}
}

// hostileSARIF returns a hostile report of which a SARIF can be written.
func hostileSARIF(text string) *audit.Report {
	r := hostile(text)
	r.File = ".github/passwords.yml"
	for i := range r.Vaults {
		r.Vaults[i].Complete = true
	}
	return r
}

// read returns the only run of a SARIF, as another implementation reads it.
func read(t *testing.T, text []byte) *sarif.Run {
	t.Helper()
	log, err := sarif.FromBytes(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(log.Runs) != 1 {
		t.Fatalf("%d runs; want 1", len(log.Runs))
	}
	return log.Runs[0]
}

// Each result has what GitHub needs to make an alert that stays the same alert.
func TestSARIFResults(t *testing.T) {
	r := sample(300)
	got := read(t, written(t, export.SARIF, r))
	if len(got.Results) != len(r.Findings) {
		t.Errorf("%d results of %d findings", len(got.Results), len(r.Findings))
	}
	if id := *got.AutomationDetails.ID; id != "keyvault-passwords/.github/passwords.yml/" {
		t.Errorf("automationDetails.id %q", id)
	}
	levels := map[audit.Level]string{"error": "error", "warning": "warning", "info": "note"}
	prints := map[string]int{}
	for i, result := range got.Results {
		f := r.Findings[i]
		if len(result.Locations) != 1 {
			t.Fatalf("%d locations", len(result.Locations))
		}
		at := result.Locations[0].PhysicalLocation
		if *at.ArtifactLocation.URI != ".github/passwords.yml" || *at.Region.StartLine != f.Place.Line ||
			f.Place.Line < 1 {
			t.Errorf("%+v is at %s:%d", f, *at.ArtifactLocation.URI, *at.Region.StartLine)
		}
		if rule := got.Tool.Driver.Rules[result.RuleIndex]; *rule.ID != f.Rule || *result.RuleID != f.Rule {
			t.Errorf("result %d is of rule %s, %s; want %s", i, *result.RuleID, *rule.ID, f.Rule)
		}
		if result.Level != levels[f.Level] {
			t.Errorf("%s: level %s; want that of %s", f.Rule, result.Level, f.Level)
		}
		if text := *result.Message.Text; !strings.HasPrefix(text, f.Secret+" in "+f.Vault+": "+f.Message) ||
			!strings.Contains(strings.ToLower(text), strings.ToLower(f.Remedy)) {
			t.Errorf("message %q lacks what the finding says: %+v", text, f)
		}
		prints[result.PartialFingerprints["primaryLocationLineHash"]]++
	}
	if len(prints) != len(r.Findings) || prints[""] > 0 {
		t.Errorf("%d fingerprints of %d findings; expected each to have its own", len(prints), len(r.Findings))
	}
}

// The run's commit is told where it is known, and no other word in its place.
func TestSARIFProvenance(t *testing.T) {
	for sha, told := range map[string]bool{run.SHA: true, "main": false, "": false} {
		from := run
		from.SHA = sha
		var text bytes.Buffer
		if err := export.SARIF(&text, sample(3), from); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text.String(), `"revisionId"`); got != told ||
			told && !strings.Contains(text.String(), sha) {
			t.Errorf("commit %q: a revision is told: %t; want %t", sha, got, told)
		}
	}
}

// A finding is the same alert wherever its line moves and however its name is spelt, and another secret's is another.
func TestSARIFFingerprint(t *testing.T) {
	of := func(change func(f *audit.Finding)) string {
		r := sample(300)
		change(&r.Findings[0])
		return read(t, written(t, export.SARIF, r)).Results[0].PartialFingerprints["primaryLocationLineHash"]
	}
	same := of(func(*audit.Finding) {})
	for name, tc := range map[string]struct {
		change func(f *audit.Finding)
		same   bool
	}{
		"moved":     {func(f *audit.Finding) { f.Place = declaration.Place{File: "x", Line: 99, Col: 1} }, true},
		"spelt":     {func(f *audit.Finding) { f.Secret = strings.ToUpper(f.Secret) }, true},
		"told":      {func(f *audit.Finding) { f.Message, f.Remedy = "x", "y" }, true},
		"its name":  {func(f *audit.Finding) { f.Secret += "x" }, false},
		"its vault": {func(f *audit.Finding) { f.Vault += "x" }, false},
		"its rule":  {func(f *audit.Finding) { f.Rule = audit.Managed }, false},
	} {
		if got := of(tc.change); (got == same) != tc.same {
			t.Errorf("%s: fingerprint %s and before %s; the same: want %t", name, got, same, tc.same)
		}
	}
}

// Every rule is there with what GitHub shows of it.
func TestSARIFRules(t *testing.T) {
	got := read(t, written(t, export.SARIF, sample(3))).Tool.Driver.Rules
	rules := audit.Rules()
	if len(got) != len(rules) {
		t.Fatalf("%d rules; want %d", len(got), len(rules))
	}
	for i, rule := range rules {
		g := got[i]
		severity, err := strconv.ParseFloat(g.Properties.Properties["security-severity"].(string), 64)
		if *g.ID != rule.ID || *g.ShortDescription.Text != rule.Title || !strings.HasPrefix(*g.Help.Text, rule.Help) ||
			*g.Help.Markdown == "" || len(*g.FullDescription.Text) > 1024 {
			t.Errorf("%s: %+v", rule.ID, g)
		}
		if err != nil || severity <= 0 || severity > 10 {
			t.Errorf("%s: severity %v (%v)", rule.ID, severity, err)
		}
		for _, known := range rule.Known {
			if !strings.Contains(*g.Help.Text, known) || !strings.Contains(*g.Help.Markdown, known) {
				t.Errorf("%s: its help does not name %s", rule.ID, known)
			}
		}
	}
}

// A rule is as grave as what is declared makes its findings, as long as that is one level.
func TestSARIFSeverityFollowsTheFindings(t *testing.T) {
	severity := func(levels ...audit.Level) string {
		r := sample(3)
		r.Findings = nil
		for i, level := range levels {
			r.Findings = append(r.Findings, audit.Finding{Rule: audit.Undeclared, Level: level, Secret: fmt.Sprint(i)})
		}
		for _, rule := range read(t, written(t, export.SARIF, r)).Tool.Driver.Rules {
			if *rule.ID == audit.Undeclared {
				return rule.DefaultConfiguration.Level + " " + rule.Properties.Properties["security-severity"].(string)
			}
		}
		return ""
	}
	for _, tc := range []struct {
		levels []audit.Level
		want   string
	}{
		{nil, "warning 5.0"},
		{[]audit.Level{"error", "error"}, "error 8.0"},
		{[]audit.Level{"error", "warning", "error"}, "warning 5.0"},
	} {
		if got := severity(tc.levels...); got != tc.want {
			t.Errorf("%v: %s; want %s", tc.levels, got, tc.want)
		}
	}
}

// GitHub keeps 5,000 results. Those that are left out matter no more than those that are there, and the run says so.
func TestSARIFStopsAtWhatIsKept(t *testing.T) {
	r := large()
	if len(r.Findings) <= 5000 {
		t.Fatalf("%d findings; expected more than 5,000", len(r.Findings))
	}
	slices.Reverse(r.Findings) // in no good order
	errorsIn := 0
	for _, f := range r.Findings {
		if f.Level == audit.LevelError {
			errorsIn++
		}
	}
	got := read(t, written(t, export.SARIF, r))
	if len(got.Results) != 5000 {
		t.Errorf("%d results; want 5000", len(got.Results))
	}
	for i, result := range got.Results {
		if (result.Level == "error") != (i < errorsIn) {
			t.Fatalf("result %d is of level %s; expected the %d errors first", i, result.Level, errorsIn)
		}
	}
	notices := got.Invocations[0].ToolExecutionNotifications
	if len(notices) != 1 || !strings.Contains(*notices[0].Message.Text, "the 5,000 most severe are here") {
		t.Errorf("notices %+v; expected one that says how many are left out", notices)
	}
	if few := read(t, written(t, export.SARIF, sample(3))); len(few.Invocations[0].ToolExecutionNotifications) > 0 {
		t.Error("a run that leaves nothing out has a notice")
	}
}

// A run without results closes the alerts of the one before; one without the key is refused by GitHub.
func TestSARIFOfNoFindings(t *testing.T) {
	r := sample(3)
	r.Findings = nil
	var log struct{ Runs []map[string]json.RawMessage }
	if err := json.Unmarshal(written(t, export.SARIF, r), &log); err != nil {
		t.Fatal(err)
	}
	if string(log.Runs[0]["results"]) != "[]" {
		t.Errorf("results: %s; want []", log.Runs[0]["results"])
	}
}

// Where alerts would be closed that are not fixed, or could stand nowhere, nothing is written, and the reason is told.
func TestSARIFOmitted(t *testing.T) {
	inline, outside := sample(3), sample(3)
	inline.File, outside.File = "", "/elsewhere/passwords.yml"
	for want, r := range map[string]*audit.Report{
		"kv-payments-us is not complete":            incomplete(300),
		"the declaration is in no file":             inline,
		"is in no file of the repository, and":      outside,
		"name it with the input file, or write a":   inline,
		"a part, and GitHub would close the alerts": sample(3),
	} {
		var b bytes.Buffer
		run := run
		run.Part = strings.HasPrefix(want, "a part")
		err := export.SARIF(&b, r, run)
		if _, ok := errors.AsType[export.Omitted](err); !ok || !strings.Contains(err.Error(), want) || b.Len() > 0 {
			t.Errorf("%d bytes, error %v; want none, and that %s", b.Len(), err, want)
		}
	}
}

// Two audits of one declaration, for one vault each, keep their alerts apart.
func TestSARIFCategory(t *testing.T) {
	other := run
	other.Vault = "kv-payments-eu"
	var b bytes.Buffer
	if err := export.SARIF(&b, sample(3), other); err != nil {
		t.Fatal(err)
	}
	const want = "keyvault-passwords/.github/passwords.yml/kv-payments-eu/"
	if id := *read(t, b.Bytes()).AutomationDetails.ID; id != want {
		t.Errorf("automationDetails.id %q", id)
	}
}

// No text from outside becomes a link, and each message has the lines that the code gives it.
func TestSARIFMessagesAreText(t *testing.T) {
	for _, result := range read(t, written(t, export.SARIF, hostileSARIF("[x](https://evil.example)\n\r"))).Results {
		text := *result.Message.Text
		if strings.Contains(strings.ReplaceAll(text, `\[`, ""), "[") || strings.Count(text, "\n") != 1 {
			t.Fatalf("message %q", text)
		}
	}
}
