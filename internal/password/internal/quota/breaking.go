package quota

import "math"

// Breaking returns, by length from the shortest on, the share of the strings of that length that break a bound, at
// most: the sum of those that break each one. Whatever the first and the last character are, those between are
// independent. If these have enough of a set, so has the string; and it has not too many if they have two less.
func (r *Rules) Breaking() []float64 {
	factorials := make([]float64, r.Max+1) // their logarithms
	for n := range factorials {
		factorials[n], _ = math.Lgamma(float64(n + 1))
	}
	var all []float64
	for length := r.Min; length <= r.Max; length++ {
		inner := max(length-2, 0)
		breaking, absent := 0.0, 0.0
		for _, s := range r.Charsets {
			share := float64(s.Chars.And(r.Alphabet).Count()) / float64(r.Alphabet.Count())
			for k := range inner + 1 {
				switch {
				case k < s.Min || s.Max < r.Max && k > s.Max-2:
					breaking += binomial(inner, k, share, factorials)
				case k == 0:
					absent += binomial(inner, k, share, factorials)
				}
			}
		}
		if r.AtLeast > 0 { // as many of the sets must be absent, or more, in each string that has too few
			breaking += absent / float64(max(len(r.Charsets)-r.AtLeast+1, 1))
		}
		all = append(all, breaking)
	}
	return all
}

// binomial returns the probability of k of n, each of which has a probability. factorials are logarithms of n! by n.
func binomial(n, k int, each float64, factorials []float64) float64 {
	if each == 0 || each == 1 {
		if float64(k) == each*float64(n) {
			return 1
		}
		return 0
	}
	ways := factorials[n] - factorials[k] - factorials[n-k]
	return math.Exp(ways + float64(k)*math.Log(each) + float64(n-k)*math.Log1p(-each))
}
