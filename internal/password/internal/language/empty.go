package language

import (
	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/quota"
)

// IsEmptyAtAnyLength reports whether it is certain that no string of any length satisfies the rules, the dictionary
// aside. It does not count, which makes it quick. Min and Max must be 1 and MaxLength.
func IsEmptyAtAnyLength(r *Rules, work *automaton.Budget) bool {
	if !r.hasEnds() {
		return true
	}
	a, err := r.product(work)
	if err != nil {
		return false
	}
	q, err := quota.New(r.quotas(), maxQuotas, work)
	if err != nil {
		return false
	}
	parts := ascii.Split(r.Alphabet,
		func(c byte) [2]uint32 { return [2]uint32{r.quotas().Membership(c), uint32(a.Class[c])} })
	seen := make(map[[2]int32]bool) // the pairs of states that are reached after one character or more
	open := [][2]int32{{0, 0}}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		if work.Spend(30*len(parts)) != nil {
			return false
		}
		for _, part := range parts {
			to := [2]int32{a.Step(at[0], part.Lowest()), q.Step(at[1], part.Lowest())}
			if to[0] == dead || to[1] == dead || seen[to] {
				continue
			}
			if a.Accepts[to[0]] && q.Accepts[to[1]] {
				return false
			}
			seen[to] = true
			open = append(open, to)
		}
	}
	return true
}
