package provision

// Due reports for each step whether mode rotate would give its secret a new version, by what the vaults hold after the
// results, one for each step, as far as is known. The decision is the plan's own. A secret that could not be looked up
// is not due: mode rotate would refuse it.
func (p *Plan) Due(results []Result, o Options) []bool {
	o.Mode = ModeRotate
	due := make([]bool, 0, len(p.Steps))
	for _, group := range p.groups(map[*Step]int{}) {
		var holdings []holding
		a := group[0].aim
		for i := range group {
			result := results[len(due)+i]
			if result.holds != nil {
				holdings = append(holdings, *result.holds)
				a = a.after(result)
			}
		}
		if len(holdings) < len(group) {
			due = append(due, make([]bool, len(group))...) // nothing was looked up
			continue
		}
		for _, d := range decide(group[0].secret, holdings, &a, o) {
			due = append(due, d.change.Writes())
		}
	}
	return due
}

// Untouched returns the result of each step before anything is done.
func (p *Plan) Untouched() []Result {
	results := make([]Result, len(p.Steps))
	for i := range p.Steps {
		results[i] = p.Steps[i].untouched()
	}
	return results
}
