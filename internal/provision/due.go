package provision

// Due reports for each step whether mode rotate would give its secret a new version, by what the vaults hold as far as
// is known: before the plan is carried out, or, where results are given, after it. The decision is the plan's own. A
// secret that could not be looked up is not due: mode rotate would refuse it.
func (p *Plan) Due(results []Result, o Options) []bool {
	o.Mode = ModeRotate
	due := make([]bool, 0, len(p.Steps))
	for _, group := range p.groups(map[*Step]int{}) {
		holdings := make([]holding, len(group))
		for i, step := range group {
			h := step.holds
			if results != nil {
				h = results[len(due)+i].holds
			}
			holdings[i] = *h
		}
		for _, d := range decide(group[0].secret, holdings, o) {
			due = append(due, d.change.Writes())
		}
	}
	return due
}
