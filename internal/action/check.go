package action

import (
	"fmt"
	"strings"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/report"
	"keyvault-passwords/internal/runner"
)

// modeCheck is the mode of a run that looks at the declaration alone. It contacts no host, so it needs neither an
// identity nor the permission to request an ID token, and runs for pull requests from forks.
const modeCheck provision.Mode = "check"

// check tells of a declaration without mistakes: a line a secret, and the same in the summary. Its mistakes have ended
// the run before, and its warnings are annotations by now. What is about vaults in the inputs has no meaning here and
// is not refused: a workflow may give the same inputs to a check and to the run that follows the merge.
func (r *run) check() error {
	declared := make([]report.Declared, len(r.secrets))
	for i := range r.secrets {
		declared[i] = declaredOf(&r.secrets[i])
	}
	var text strings.Builder
	report.Check(&text, declared)
	r.runner.PrintLines(text.String())
	r.runner.Print(fmt.Sprintf("%s: the declaration is sound; nothing was contacted (%.2f s)",
		report.Counted(len(declared), "secret"), time.Since(r.start).Seconds()))
	if err := r.runner.Summarize(report.CheckSummary(declared, r.warnings)); err != nil {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelWarning, Text: err.Error()})
	}
	return r.writeNoOutputs()
}

// declaredOf returns what a check tells of a secret, in words.
func declaredOf(s *declaration.Secret) report.Declared {
	d := report.Declared{
		Name: s.Name, Place: s.Place, Bits: s.Bits(), Expires: "never",
		Rotates: strings.Join(rotations(s.Rotate), ", "),
	}
	for _, v := range s.Vaults {
		d.Vaults = append(d.Vaults, v.Name)
	}
	if s.Apply != nil {
		d.Target = s.Apply.Name()
	}
	var policies, lengths []string
	for _, part := range s.Parts {
		policies = append(policies, part.Policy)
		lengths = append(lengths, lengthOf(part))
	}
	d.Policy, d.Length = strings.Join(policies, " + "), strings.Join(lengths, " + ")
	if s.Expires > 0 {
		d.Expires = "after " + lifecycle.Words(s.Expires)
	}
	return d
}

// lengthOf returns how many characters a generated part has: "24", or "24 to 40".
func lengthOf(part declaration.Part) string {
	shortest, longest := part.Space.Lengths()
	if shortest == longest {
		return fmt.Sprint(shortest)
	}
	return fmt.Sprintf("%d to %d", shortest, longest)
}

// rotations returns what makes a secret due in mode rotate.
func rotations(rotate lifecycle.Rotate) (reasons []string) {
	if rotate.After > 0 {
		reasons = append(reasons, "after "+lifecycle.Words(rotate.After))
	}
	if rotate.BeforeExpiry > 0 {
		reasons = append(reasons, lifecycle.Words(rotate.BeforeExpiry)+" before it expires")
	}
	if rotate.OnPolicyChange {
		reasons = append(reasons, "when its policy changes")
	}
	return reasons
}
