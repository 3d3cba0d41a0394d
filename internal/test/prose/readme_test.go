package prose_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/action"
	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/export"
	"keyvault-passwords/internal/password"
)

// metadata is action.yml, as far as users see it.
type metadata struct {
	Inputs  mapping
	Outputs mapping
}

func actionYML(t *testing.T) metadata {
	t.Helper()
	var m metadata
	parse(t, read(t, "action.yml"), &m)
	return m
}

func TestInputs(t *testing.T) {
	declared := actionYML(t).Inputs
	if diff := cmp.Diff(action.InputNames(), declared.Keys); diff != "" {
		t.Errorf("action.yml has other inputs than the code (-code +action.yml):\n%s", diff)
	}
	var told []string
	for _, row := range rows(t, between(t, read(t, "README.md"), "inputs")) {
		name, _ := code(row[0])
		told = append(told, name)
		checkDefault(t, name, row[2], declared)
	}
	if diff := cmp.Diff(declared.Keys, told); diff != "" {
		t.Errorf("README has other inputs than action.yml (-action.yml +README):\n%s", diff)
	}
}

// checkDefault compares the default that README tells with that of action.yml. An input without a default there is told
// one in words, since what happens then is for the code to say.
func checkDefault(t *testing.T, name, cell string, declared mapping) {
	t.Helper()
	var input struct{ Description, Default string }
	node := declared.Values[name]
	if err := node.Decode(&input); err != nil {
		t.Fatal(err)
	}
	if input.Description == "" {
		t.Errorf("input %s: action.yml does not describe it", name)
	}
	told, bare := code(cell)
	if bare && told != input.Default || !bare && input.Default != "" {
		t.Errorf("input %s: README tells the default %s, action.yml has %q", name, cell, input.Default)
	}
}

func TestOutputs(t *testing.T) {
	declared := actionYML(t).Outputs
	if diff := cmp.Diff(action.OutputNames(), declared.Keys); diff != "" {
		t.Errorf("action.yml has other outputs than the code (-code +action.yml):\n%s", diff)
	}
	var told []string
	for _, row := range rows(t, between(t, read(t, "README.md"), "outputs")) {
		name, _ := code(row[0])
		told = append(told, name)
	}
	if diff := cmp.Diff(declared.Keys, told); diff != "" {
		t.Errorf("README has other outputs than action.yml (-action.yml +README):\n%s", diff)
	}
}

// Each part of a text that code generates is what the code generates.
func TestGenerated(t *testing.T) {
	for _, part := range []struct {
		file, name string
		generate   func(*testing.T) string
	}{
		{".github/REFERENCE.md", "declaration reference", func(*testing.T) string { return declaration.Reference() }},
		{".github/REFERENCE.md", "presets", presets},
		{".github/REFERENCE.md", "audit rules", func(*testing.T) string { return auditRules() }},
		{".github/SECURITY.md", "faults", faultTable},
		{".github/SECURITY.md", "crashes", crashTable},
	} {
		t.Run(part.name, func(t *testing.T) {
			text := read(t, part.file)
			got, want := between(t, text, part.name), "\n"+strings.Trim(part.generate(t), "\n")+"\n\n"
			if got == want {
				return
			}
			if !*update {
				t.Fatalf("%s is not what the code says; run: go test ./internal/test/prose -update\n%s", part.file,
					cmp.Diff(want, got))
			}
			begin := "<!-- " + part.name + ": begin -->\n"
			write(t, root, part.file, strings.Replace(text, begin+got, begin+want, 1))
		})
	}
}

// auditRules is the table of the rules of an audit.
func auditRules() string {
	var table strings.Builder
	table.WriteString("| rule | level | what it means, and what to do | also known as |\n| --- | --- | --- | --- |\n")
	for _, rule := range audit.Rules() {
		fmt.Fprintf(&table, "| `%s` | %s | %s. %s | %s |\n", rule.ID, rule.Level, rule.Title, rule.Help,
			strings.Join(rule.Known, ", "))
	}
	return table.String()
}

// presets is the table of presets: the entropy of each, computed here and now, and what it is for.
func presets(t *testing.T) string {
	t.Helper()
	table := "| preset | length | entropy | what its target asks for | where that is said, and when it was looked up " +
		"|\n" +
		"| --- | --- | --- | --- | --- |\n"
	for _, name := range password.Presets() {
		policy, ok := password.Preset(name)
		if !ok {
			t.Fatalf("preset %s is listed and not there", name)
		}
		set, err := password.Compile(policy)
		if err != nil {
			t.Fatalf("preset %s: %v", name, err)
		}
		target, _ := password.TargetOf(name)
		table += fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", name, lengths(policy, set), set.Entropy(), target.Rule,
			pages(target))
	}
	return table
}

// pages are links to the pages of a target, and the date.
func pages(target password.Target) string {
	var links []string
	for i, page := range target.Pages {
		links = append(links, fmt.Sprintf("[%d](%s)", i+1, page))
	}
	if target.Checked != "" {
		links = append(links, target.Checked)
	}
	return strings.Join(links, " ")
}

func lengths(policy password.Policy, set *password.Space) string {
	if policy.Passphrase != nil {
		return fmt.Sprintf("%d words", policy.Passphrase.Words)
	}
	if least, most := set.Lengths(); least != most {
		return fmt.Sprintf("%d to %d", least, most)
	}
	least, _ := set.Lengths()
	return fmt.Sprint(least)
}

// Each YAML block is a workflow, a part of one, or a declaration, and is good as that.
func TestBlocks(t *testing.T) {
	for _, file := range texts(t) {
		for _, b := range blocks(read(t, file)) {
			t.Run(fmt.Sprintf("%s:%d", file, b.line), func(t *testing.T) { checkBlock(t, b) })
		}
	}
}

func checkBlock(t *testing.T, b block) {
	t.Helper()
	switch b.language {
	case "yaml":
		checkYAML(t, b.text)
	case "json":
		if !json.Valid([]byte(b.text)) {
			t.Error("the block is no JSON")
		}
	case "sh":
		checkCommands(t, b.text)
	case "mermaid":
		if !strings.HasPrefix(b.text, "sequenceDiagram\n") {
			t.Error("the diagram is not a sequence diagram, which is what was looked at when it was drawn")
		}
		if found := opaque.FindString(b.text); found != "" {
			t.Errorf("%q hides the text of GitHub's dark page, which is light; expected rgba with 0.2", found)
		}
	default:
		t.Errorf("nothing checks a block of language %q", b.language)
	}
}

// opaque finds the background of a part of a diagram that is not nearly transparent.
var opaque = regexp.MustCompile(`(?m)^\s*rect (rgb\(.*|rgba\(.*, (1|0\.[3-9]\d*)\))$`)

func checkYAML(t *testing.T, text string) {
	t.Helper()
	var top mapping
	parse(t, text, &top)
	switch {
	case slices.Contains(top.Keys, "jobs"):
		if !slices.Contains(top.Keys, "on") {
			text = "on: push\n" + text
		}
		lint(t, text)
	case slices.Equal(top.Keys, []string{"permissions"}):
		lint(t, "on: push\njobs:\n  job:\n    runs-on: ubuntu-latest\n    steps: [{run: echo}]\n"+text)
	case slices.Contains(top.Keys, "secrets") || slices.Contains(top.Keys, "policies"):
		declare(t, "README.md", text)
	default:
		t.Errorf("a block with the keys %v is neither a workflow nor a declaration", top.Keys)
	}
}

// declare parses a declaration as the action does, with a vault given by the input.
func declare(t *testing.T, file, text string) {
	t.Helper()
	d, err := declaration.Parse(declaration.Source{
		File:  file,
		Text:  []byte(text),
		Vault: &azure.Vault{Name: "kv-example"},
	})
	if err != nil {
		t.Fatalf("the declaration is refused:\n%v", err)
	}
	if len(d.Secrets) == 0 {
		t.Error("the declaration declares nothing")
	}
}

// Every row of a table has as many cells as its head: a bar within a cell, also within code, would end the cell.
func TestTables(t *testing.T) {
	for _, file := range texts(t) {
		head := 0
		for i, line := range strings.Split(prose(read(t, file)), "\n") {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "|") {
				head = 0
				continue
			}
			cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
			if head == 0 {
				head = cells
			}
			if cells != head {
				t.Errorf("%s: row %d of its prose has %d cells and its table's head %d: %s", file, i+1, cells-1, head-1,
					line)
			}
		}
	}
}

// The reference names every class of characters that there is.
func TestClasses(t *testing.T) {
	_, section, _ := strings.Cut(read(t, ".github/REFERENCE.md"), "\n## Policies\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, class := range password.Classes() {
		if !strings.Contains(section, "`"+class+"`") {
			t.Errorf("the reference's section on policies lacks the class %s", class)
		}
	}
}

// The reference tells of every form of report, and of every column of the one that spreadsheets count on.
func TestReports(t *testing.T) {
	_, section, _ := strings.Cut(read(t, ".github/REFERENCE.md"), "\n## Reports\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var endings []string
	for _, row := range rows(t, section) {
		ending, _ := code(row[0])
		endings = append(endings, ending)
	}
	if diff := cmp.Diff(export.Endings(), endings); diff != "" {
		t.Errorf("the reference has other forms than the code (-code +reference):\n%s", diff)
	}
	var csv strings.Builder
	if err := export.CSV(&csv, &audit.Report{}, export.Run{}); err != nil {
		t.Fatal(err)
	}
	columns := "`" + strings.ReplaceAll(strings.TrimSpace(csv.String()), ",", "`, `") + "`"
	if told := strings.Join(strings.Fields(section), " "); !strings.Contains(told, columns) {
		t.Errorf("the reference does not name the columns %s", columns)
	}
}

// What masking costs stands where it is looked for: under the runner's own words, and beside the input.
func TestMaskingIsTold(t *testing.T) {
	const heading = "\n## `Skip output 'versions' since it may contain secret.`\n"
	_, told, _ := strings.Cut(read(t, ".github/TROUBLESHOOTING.md"), heading)
	told, _, _ = strings.Cut(told, "\n## ")
	var input struct{ Description string }
	node := actionYML(t).Inputs.Values["mask-outputs"]
	if err := node.Decode(&input); err != nil {
		t.Fatal(err)
	}
	for place, check := range map[string]struct {
		text  string
		words []string
	}{
		"the heading for the runner's words": {told,
			[]string{"mask-outputs: none", "repository", "environment", "organisation", "whatever", "short", "`vars`"}},
		"the input mask-outputs": {input.Description,
			[]string{"any secret of the repository", "one or two letters", "`vars`", "a second use"}},
	} {
		for _, word := range check.words {
			if !strings.Contains(check.text, word) {
				t.Errorf("%s does not say %q", place, word)
			}
		}
	}
}

// Links between files lead somewhere, and so do those within a file.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`(?:\]\(|\b(?:src|srcset)=")([^)"\s]+)[)"]`)
	for _, file := range texts(t) {
		text := prose(read(t, file))
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			checkLink(t, file, text, found[1])
		}
	}
}

func checkLink(t *testing.T, file, text, target string) {
	t.Helper()
	if strings.HasPrefix(target, "https://") {
		return
	}
	name, heading, _ := strings.Cut(target, "#")
	if name != "" {
		name = path.Join(path.Dir(file), name)
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Errorf("%s: the link %s leads nowhere: %v", file, target, err)
			return
		}
		if heading != "" && !info.IsDir() {
			text = prose(read(t, name))
		}
	}
	if heading != "" && !slices.Contains(anchors(text), heading) {
		t.Errorf("%s: no heading for the link %s", file, target)
	}
}

// anchors returns the headings as GitHub turns them into anchors.
func anchors(text string) []string {
	var all []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(heading[1])
		name = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(name, "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// ours are the commands of this repository that its texts tell people to run, and where CI runs each.
var ours = map[string]*regexp.Regexp{
	"go run ./examples/local": regexp.MustCompile(`(?m)\bgo run \./examples/local\b`),
	"go test ./...":           regexp.MustCompile(`(?m)\bgo test .*\./\.\.\.`),
}

// checkCommands refuses a command that nothing here runs. Those of Azure's tools cannot be run without Azure; the tests
// of examples/setup hold their parameters against the files.
func checkCommands(t *testing.T, text string) {
	t.Helper()
	ci := read(t, ".ci/run")
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.Join(strings.Fields(line), " ")
		if strings.HasPrefix(line, "az ") || strings.HasPrefix(line, "terraform ") ||
			strings.HasSuffix(line, "./setup.sh") {
			continue
		}
		if measures := benchmarking.FindStringSubmatch(line); measures != nil {
			checkBenchmarks(t, measures[1], measures[2])
			continue
		}
		if runs, known := ours[line]; !known || !runs.MatchString(ci) {
			t.Errorf("%q is not run by .ci/run", line)
		}
	}
}

// benchmarking is a command that runs benchmarks: those of a package, by pattern.
var benchmarking = regexp.MustCompile(`^go test \./(\S+) -run '\^\$' -bench '?([^' ]+)'?$`)

// checkBenchmarks refuses a pattern that .ci/run does not run, and one of which a part matches no benchmark of the
// package: go test would pass and measure nothing.
func checkBenchmarks(t *testing.T, folder, pattern string) {
	t.Helper()
	same := regexp.MustCompile(`(?m)^\s*go test .*-bench '?` + regexp.QuoteMeta(pattern) + `'? .*\./` +
		regexp.QuoteMeta(folder) + `$`)
	if !same.MatchString(read(t, ".ci/run")) {
		t.Errorf("the benchmarks %s of %s are not run by .ci/run", pattern, folder)
	}
	var names []string
	for _, file := range files(t, folder+"/*_test.go") {
		for _, found := range regexp.MustCompile(`(?m)^func (Benchmark\w+)\(b \*testing\.B\)`).FindAllStringSubmatch(
			read(t, file), -1) {
			names = append(names, found[1])
		}
	}
	for part := range strings.SplitSeq(pattern, "|") {
		if !slices.ContainsFunc(names, regexp.MustCompile(part).MatchString) || len(names) == 0 {
			t.Errorf("%s has no benchmark that matches %q", folder, part)
		}
	}
}

// The commands that come first in README are the two that work with Go alone.
func TestFirstCommands(t *testing.T) {
	for _, b := range blocks(read(t, "README.md")) {
		if b.language == "sh" {
			if want := "go run ./examples/local\ngo test ./...\n"; b.text != want {
				t.Errorf("README's first commands are %q, not %q", b.text, want)
			}
			return
		}
	}
	t.Error("README has no commands")
}

// The data actions that README says are needed always are those of the role that the set-up makes, and what reads a
// value is needed never.
func TestRole(t *testing.T) {
	const prefix = "Microsoft.KeyVault/vaults/secrets/"
	needed := map[string][]string{}
	for _, row := range rows(t, between(t, read(t, "README.md"), "role")) {
		when, _, _ := strings.Cut(row[2], ",")
		for _, action := range strings.Split(row[0], ", ") {
			name, ok := code(action)
			if !ok {
				t.Errorf("%q is no data action", action)
			}
			needed[when] = append(needed[when], prefix+name)
		}
	}
	if diff := cmp.Diff(writeOnly, needed["always"]); diff != "" {
		t.Errorf("README's role is not write-only (-want +got):\n%s", diff)
	}
	if want := []string{prefix + "getSecret/action", prefix + "backup/action"}; !slices.Equal(needed["never"], want) {
		t.Errorf("README says that %q are never needed; want %q", needed["never"], want)
	}
}
