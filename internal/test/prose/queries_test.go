package prose_test

import (
	"bytes"
	"encoding/csv"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/export"
)

// logTables are the columns that the queries may name, as Microsoft documents the two tables. What AzureDiagnostics has
// only where some resource sent it must be asked for with column_ifexists.
// https://learn.microsoft.com/azure/azure-monitor/reference/tables/azkvauditlogs
const logTables = `{"AZKVAuditLogs": "(TimeGenerated: datetime, OperationName: string, Id: string, ` +
	`HttpStatusCode: int, Identity: dynamic, CallerIpAddress: string, _ResourceId: string)", ` +
	`"AzureDiagnostics": "(TimeGenerated: datetime, ResourceProvider: string, OperationName: string, ` +
	`CallerIPAddress: string)"}`

// Where PARSERS=required says that npm and its registry are there, the queries are what the languages' own parsers,
// which Microsoft publishes there, take: Kusto's with the tables' columns, types and functions, Power Query's for its
// grammar.
func TestQueries(t *testing.T) {
	dir := parsers(t, map[string]string{"@kusto/language-service-next": "12.4.1",
		"@microsoft/powerquery-parser": "2.0.0"})
	write(t, dir, "tables.json", logTables)
	write(t, dir, "kusto.cjs", parseKusto)
	write(t, dir, "powerquery.cjs", parsePowerQuery)
	problems := func(program, text string) string {
		write(t, dir, "query", text)
		node := exec.CommandContext(t.Context(), "node", program, "query")
		node.Dir = dir
		out, err := node.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	for glob, language := range map[string]struct {
		program string
		spoil   *strings.Replacer
	}{
		"examples/setup/queries/*.kql": {"kusto.cjs", strings.NewReplacer("HttpStatusCode", "StatusCode")},
		"examples/setup/queries/*.pq":  {"powerquery.cjs", strings.NewReplacer("in Numbers", "inn Numbers")},
	} {
		for _, file := range files(t, glob) {
			if got := problems(language.program, read(t, file)); got != "" {
				t.Errorf("%s:\n%s", file, got)
			}
			if problems(language.program, language.spoil.Replace(read(t, file))) == "" {
				t.Errorf("%s has no problem with an error in it", file)
			}
		}
	}
}

// Each query asks both tables, and for what its name says.
func TestQueriesAsk(t *testing.T) {
	for file, texts := range map[string][]string{
		"last-read":           {`"SecretGet"`, "arg_max(TimeGenerated", "Reader"},
		"superseded-readers":  {`"SecretGet"`, "Version != Current", "Reader"},
		"reads-by-the-writer": {`"SecretGet"`, `"SecretBackup"`, "Reader in~ (writers)"},
	} {
		text := regexp.MustCompile(`(?m)^//.*$`).ReplaceAllString(read(t, "examples/setup/queries/"+file+".kql"), "")
		for _, asked := range append(texts, "AZKVAuditLogs", "AzureDiagnostics", `"MICROSOFT.KEYVAULT"`) {
			if !strings.Contains(text, asked) {
				t.Errorf("%s.kql lacks %s", file, asked)
			}
		}
	}
}

// The columns that Power Query gives a type are columns of an audit's CSV file.
func TestPowerQueryColumns(t *testing.T) {
	var file bytes.Buffer
	if err := export.CSV(&file, &audit.Report{}, export.Run{}); err != nil {
		t.Fatal(err)
	}
	columns, err := csv.NewReader(&file).Read()
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, list := range regexp.MustCompile(`\{("[a-z_]+"(?:, "[a-z_]+")+)\}`).FindAllStringSubmatch(
		read(t, "examples/setup/queries/audit.pq"), -1) {
		for _, name := range strings.Split(list[1], ", ") {
			if named++; !slices.Contains(columns, strings.Trim(name, `"`)) {
				t.Errorf("a CSV file has no column %s", name)
			}
		}
	}
	if named < 10 {
		t.Errorf("%d columns are named: the check looks at less than there is", named)
	}
}

// parseKusto prints what is wrong with a query of those tables.
const parseKusto = `
const { readFileSync } = require("node:fs");
require("@kusto/language-service-next/bridge.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.js");
const { KustoCode, GlobalState, Symbols } = Kusto.Language;
const { TableSymbol, DatabaseSymbol } = Symbols;
const tables = Object.entries(JSON.parse(readFileSync("tables.json", "utf8"))).map(([name, schema]) =>
  new TableSymbol.$ctor5(name, TableSymbol.TableState.None, TableSymbol.From(schema).Columns, null));
const logs = GlobalState.Default.WithDatabase(new DatabaseSymbol.ctor("logs", tables));
const problems = KustoCode.ParseAndAnalyze(readFileSync(process.argv[2], "utf8"), logs).GetDiagnostics();
for (let i = 0; i < problems.Count; i++) {
  console.log(problems.getItem(i).Start, problems.getItem(i).Message);
}
`

// parsePowerQuery prints where a query does not parse.
const parsePowerQuery = `
const { readFileSync } = require("node:fs");
const { DefaultSettings, TaskUtils } = require("@microsoft/powerquery-parser");
TaskUtils.tryLexParse(DefaultSettings, readFileSync(process.argv[2], "utf8")).then((task) => {
  if (task.resultKind !== "Ok") {
    console.log(task.error.message);
  }
});
`
