package prose_test

import (
	"fmt"
	"strings"
	"testing"
)

// crashTable is what a run leaves that is killed, as package targets has seen it: a row for all steps in a row that
// leave the same.
func crashTable(t *testing.T) string {
	t.Helper()
	table := "| order | killed | a reader with the old value | a reader who asks now | the next `rotate` |\n" +
		"| --- | --- | --- | --- | --- |\n"
	count := 0
	for _, file := range []string{"crashes.txt", "crashes-azure.txt"} {
		var order string
		var steps []string
		for line := range strings.Lines(read(t, "internal/test/targets/testdata/"+file) + "\nend\n") {
			switch line = strings.TrimSpace(line); {
			case strings.Contains(line, "|"):
				steps = append(steps, line)
			case line != "":
				if order != "" {
					table, count = table+crashRows(order, steps[2:]), count+1 // after two lines of headings
				}
				order, steps = line, nil
			}
		}
	}
	if count != 3 {
		t.Fatalf("%d orders; want 3", count)
	}
	return table
}

// crashRows returns the rows of one order.
func crashRows(order string, steps []string) string {
	type row struct{ from, to, outcome string }
	var rows []row
	for _, line := range steps {
		cells := strings.Split(line, "|")
		outcome := strings.Join(strings.Fields(cells[1]), " ")
		step := strings.Join(strings.Fields(cells[0]), " ")
		if n := len(rows); n > 0 && rows[n-1].outcome == outcome {
			rows[n-1].to = step
			continue
		}
		rows = append(rows, row{step, step, outcome})
	}
	var text strings.Builder
	for i, r := range rows {
		words := strings.SplitN(r.outcome, " ", 3)
		when := r.from + ", " + r.to
		switch {
		case r.from == r.to, i == len(rows)-1:
			when = r.from
		case i == 0:
			when = "at any step " + r.to
		}
		when = strings.NewReplacer("identity: ", "", "login: connect", "the proof by a login").Replace(when)
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s |\n", order, when, logsIn[words[0]], logsIn[words[1]],
			thenDoes[words[2]])
	}
	return text.String()
}

var (
	logsIn   = map[string]string{"yes": "logs in", "NO": "**is refused**"}
	thenDoes = map[string]string{
		"rotated": "rotates, as it was due", "kept": "has nothing to do",
		"put right": "sets a new password in both",
	}
)
