package export

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/refusal"
)

// maxResults is how many results of a run GitHub keeps. It takes more, and then it chooses which to drop.
// https://docs.github.com/code-security/reference/code-scanning/sarif-files/sarif-support#validating-your-sarif-file
const maxResults = 5000

// The objects of the form SARIF, as far as it is used here.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
type (
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifConfiguration struct {
		Level string `json:"level"`
	}
	sarifRule struct {
		ID               string             `json:"id"`
		Name             string             `json:"name"`
		ShortDescription sarifText          `json:"shortDescription"`
		FullDescription  sarifText          `json:"fullDescription"`
		Help             sarifText          `json:"help"`
		Configuration    sarifConfiguration `json:"defaultConfiguration"`
		Properties       sarifRuleBag       `json:"properties"`
	}
	sarifRuleBag struct {
		Tags     []string `json:"tags"`
		Severity string   `json:"security-severity"`
	}
	sarifDriver struct {
		Name            string      `json:"name"`
		Version         string      `json:"version,omitempty"`
		SemanticVersion string      `json:"semanticVersion,omitempty"`
		Rules           []sarifRule `json:"rules"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifID struct {
		ID string `json:"id"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		EndTime       *string             `json:"endTimeUtc,omitempty"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifProvenance struct {
		Repository string `json:"repositoryUri"`
		Revision   string `json:"revisionId,omitempty"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   sarifResultBag    `json:"properties"`
	}
	sarifResultBag struct {
		Vault  string `json:"vault,omitempty"`
		Secret string `json:"secret,omitempty"`
	}
)

// sarifLevels are the levels as SARIF has them, and how grave GitHub shows them: high, medium, low.
var sarifLevels = map[audit.Level]struct{ level, severity string }{
	audit.LevelError:   {"error", "8.0"},
	audit.LevelWarning: {"warning", "5.0"},
	audit.LevelInfo:    {"note", "2.0"},
}

// SARIF writes the findings for code scanning, each at its line of the declaration. An audit without findings is a run
// without results, which closes the alerts of the one before.
//
// GitHub takes an alert that is missing for one that was fixed. So an audit that is not complete, or of a part, is
// [Omitted]; and one whose declaration is in no file, where no alert could stand.
func SARIF(w io.Writer, r *audit.Report, run Run) error {
	file, err := sarifFile(r, run)
	if err != nil {
		return err
	}
	rules := audit.Rules()
	results := gravestFirst(r.Findings)
	invocation := sarifInvocation{Successful: true, EndTime: date(r.Taken)}
	if len(results) > maxResults {
		invocation.Notifications = append(invocation.Notifications, sarifNotification{
			Level: "warning",
			Message: sarifText{Text: fmt.Sprintf("%s found; the %s most severe are here. The reports in JSON and CSV "+
				"have all of them.", counted(len(results), "finding"), grouped(maxResults))},
		})
		results = results[:maxResults]
	}
	d := &document{w: bufio.NewWriter(w)}
	d.member("$schema", "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json")
	d.member("version", "2.1.0")
	d.name("runs")
	d.text("[")
	of := &document{w: d.w}
	of.member("tool", sarifTool{Driver: driverOf(r, run, rules)})
	of.member("automationDetails", sarifID{ID: run.category(file)})
	of.member("invocations", []sarifInvocation{invocation})
	if repository := run.repository(); repository != "" {
		provenance := sarifProvenance{Repository: repository}
		if isCommit().MatchString(run.SHA) {
			provenance.Revision = run.SHA
		}
		of.member("versionControlProvenance", []sarifProvenance{provenance})
	}
	of.member("columnKind", "unicodeCodePoints")
	members(of, "results", results, func(i *int) any { return resultOf(&r.Findings[*i], file, rules) })
	of.text("\n}")
	d.err = of.err
	d.text("]")
	return d.end()
}

// sarifFile returns the declaration's path in the repository, or why no SARIF is written.
func sarifFile(r *audit.Report, run Run) (string, error) {
	const act = "writing SARIF"
	if r.File == "" || path.IsAbs(r.File) || strings.HasPrefix(path.Clean(r.File), "../") {
		return "", Omitted{refusal.Refusal{
			Act:    act,
			Cause:  "the declaration is in no file of the repository, and each result needs a line of one",
			Remedy: "declare the secrets in a file and name it with the input file, or write another form of report",
		}}
	}
	if run.Part {
		return "", Omitted{refusal.Refusal{
			Act:    act,
			Cause:  "the audit is of a part, and GitHub would close the alerts of the rest as fixed",
			Remedy: "remove the input only, or write another form of report",
		}}
	}
	var names []string
	for _, v := range r.Vaults {
		if !v.Complete {
			names = append(names, v.Name)
		}
	}
	if names != nil {
		return "", Omitted{refusal.Refusal{
			Act: act,
			Cause: "the listing of " + strings.Join(names, ", ") +
				" is not complete, and GitHub would close the missing alerts as fixed",
			Remedy: "fix what stopped the listing, and run the audit again",
		}}
	}
	return path.Clean(r.File), nil
}

// category keeps the alerts of one audit apart from those of another: those that a new upload lacks are closed, among
// those of its category.
func (run Run) category(file string) string {
	id := toolName + "/" + file + "/"
	if run.Vault != "" {
		id += run.Vault + "/"
	}
	return id
}

// gravestFirst returns the places of the findings, the gravest first.
func gravestFirst(findings []audit.Finding) []int {
	order := make([]int, len(findings))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(findings[a].Level.Rank(), findings[b].Level.Rank())
	})
	return order
}

// driverOf describes the action and its rules. All of them are there, whether or not they found anything.
func driverOf(r *audit.Report, run Run, rules []audit.Rule) sarifDriver {
	driver := sarifDriver{Name: toolName, Version: run.Version, SemanticVersion: semantic(run.Version)}
	levels := levelOfRules(r)
	for _, rule := range rules {
		as := sarifLevels[cmp.Or(levels[rule.ID], rule.Level)]
		text, markdown := rule.Help, rule.Help
		if len(rule.Known) > 0 {
			text += "\n\nAlso known as: " + strings.Join(rule.Known, ", ")
			markdown += "\n\nAlso known as:\n\n- " + strings.Join(rule.Known, "\n- ")
		}
		driver.Rules = append(driver.Rules, sarifRule{
			ID:               rule.ID,
			Name:             pascal(rule.ID),
			ShortDescription: sarifText{Text: rule.Title},
			FullDescription:  sarifText{Text: rule.Help},
			Help:             sarifText{Text: text, Markdown: markdown},
			Configuration:    sarifConfiguration{Level: as.level},
			Properties:       sarifRuleBag{Tags: []string{"security", "azure-key-vault"}, Severity: as.severity},
		})
	}
	return driver
}

// levelOfRules returns the level of each rule whose findings all have one. It can be another than the rule's own: what
// is declared decides how much an undeclared secret matters. GitHub shows how grave an alert is by its rule.
func levelOfRules(r *audit.Report) map[string]audit.Level {
	levels := map[string]audit.Level{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if level, ok := levels[f.Rule]; ok && level != f.Level {
			levels[f.Rule] = "" // of several levels: its own
		} else {
			levels[f.Rule] = f.Level
		}
	}
	return levels
}

// semantic returns a version as SARIF wants it: v1.2.3 without the letter. Another word is none.
func semantic(version string) string {
	number, ok := strings.CutPrefix(version, "v")
	if !ok || strings.Count(number, ".") != 2 || strings.Trim(number, ".0123456789") != "" {
		return ""
	}
	return number
}

// pascal returns an ID as SARIF names rules: ExpiresSoon.
func pascal(id string) (name string) {
	for _, word := range strings.Split(id, "-") {
		name += capital(word)
	}
	return name
}

func resultOf(f *audit.Finding, file string, rules []audit.Rule) sarifResult {
	return sarifResult{
		RuleID:       f.Rule,
		RuleIndex:    slices.IndexFunc(rules, func(rule audit.Rule) bool { return rule.ID == f.Rule }),
		Level:        sarifLevels[f.Level].level,
		Message:      sarifText{Text: messageOf(f)},
		Locations:    []sarifLocation{locationOf(f, file)},
		Fingerprints: map[string]string{"primaryLocationLineHash": fingerprintOf(f)},
		Properties:   sarifResultBag{Vault: f.Vault, Secret: f.Secret},
	}
}

// messageOf is what was seen and what to do. The first sentence is the title of the alert, so it says of which secret.
func messageOf(f *audit.Finding) string {
	of := f.Vault
	if f.Secret != "" {
		of = f.Secret + " in " + f.Vault
	}
	text := line(of + ": " + f.Message)
	if f.Remedy != "" {
		text += ".\n" + capital(line(f.Remedy))
	}
	return noLinks.Replace(strings.TrimSuffix(text, ".")) + "."
}

// noLinks escapes what could begin a link in a message.
var noLinks = strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`)

// locationOf is the line of the declaration that a finding is about. One about nothing that is declared is at the
// first.
func locationOf(f *audit.Finding, file string) (l sarifLocation) {
	l.Physical.Artifact.URI = (&url.URL{Path: file}).String()
	l.Physical.Region = sarifRegion{StartLine: max(f.Place.Line, 1), StartColumn: f.Place.Col}
	return l
}

// fingerprintOf tells one finding from all others, wherever its line moves. GitHub makes one of the line's text
// otherwise: two secrets that nobody declared would be one alert, and another indentation would reopen all.
func fingerprintOf(f *audit.Finding) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.Join([]string{f.Rule, f.Vault, f.Secret}, "\x00"))))
	return hex.EncodeToString(sum[:16]) + ":1"
}
