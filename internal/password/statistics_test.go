package password

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/uniform"
)

// statisticDraws is how many passwords each statistic below is computed from: some millions together, and fewer with
// the race detector. The random bytes are fixed, so that each run comes out the same. That drawing is uniform is shown
// exactly elsewhere; this shows it at full size.
const statisticDraws = 2 * presetDraws

// seeded returns random bytes that are the same in each run.
func seeded(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// deviation returns by how many standard deviations the observed counts are off, by the chi-square test in the
// approximation of Wilson and Hilferty. Of a thousand fair ones, three are above 3, and none above 5.
// What is expected less than ten times is counted together.
func deviation(observed []int, expected []float64) float64 {
	var sum, degrees, rare, rarelySeen float64
	add := func(observed, expected float64) {
		sum += (observed - expected) * (observed - expected) / expected
		degrees++
	}
	for i, e := range expected {
		if e < 10 {
			rare, rarelySeen = rare+e, rarelySeen+float64(observed[i])
			continue
		}
		add(float64(observed[i]), e)
	}
	if rare > 10 {
		add(rarelySeen, rare)
	}
	if degrees--; degrees == 0 {
		return 0
	}
	return (math.Cbrt(sum/degrees) - 1 + 2/(9*degrees)) / math.Sqrt(2/(9*degrees))
}

// positionShares returns with what probability each character stands at a position, for a policy of one length whose
// minimums are 0 or 1, by inclusion and exclusion over the charsets that must appear. It knows no other rules.
func positionShares(p Policy, position int) []float64 {
	at := func(i int) string {
		switch {
		case i == 0 && len(p.First) > 0:
			return classMask(p.First).And(ascii.Of(charactersOf(spelledOut(p)))).Chars()
		case i == p.Length.Max-1 && len(p.Last) > 0:
			return classMask(p.Last).And(ascii.Of(charactersOf(spelledOut(p)))).Chars()
		}
		return charactersOf(spelledOut(p))
	}
	shares := make([]float64, 128)
	var total float64
	for missing := range 1 << len(p.Characters) {
		removed, sign, possible := "", 1.0, true
		for s, set := range p.Characters {
			if missing>>s&1 != 0 {
				removed, sign = removed+spelledOut(p).Characters[s].Chars, -sign
				possible = possible && set.Min > 0
			}
		}
		if !possible {
			continue
		}
		ways := sign
		for i := range p.Length.Max {
			if i != position {
				ways *= float64(len(ascii.Without(at(i), removed))) / float64(len(at(i)))
			}
		}
		for _, c := range ascii.Without(at(position), removed) {
			shares[c] += ways
			total += ways
		}
	}
	for c := range shares {
		shares[c] /= total
	}
	return shares
}

// spelledOut returns p with the characters of its charsets in place of their names.
func spelledOut(p Policy) Policy {
	p = p.clone()
	for i, s := range p.Characters {
		if chars, ok := ascii.Class(s.From); ok {
			p.Characters[i].From, p.Characters[i].Chars = "", chars
		}
	}
	return p
}

func TestPositionsOfPresets(t *testing.T) {
	tested := make(map[string]bool)
	for i, name := range Presets() {
		p, _ := Preset(name)
		if p.Passphrase != nil || tested[Fingerprint(p)] {
			continue
		}
		tested[Fingerprint(p)] = true
		s, err := Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		testPositions(t, name, s, byte(i), func(position int) []float64 { return positionShares(p, position) })
	}
}

// Policies whose passwords are drawn by rank: in each, all positions are alike.
func TestPositionsOfTightPolicies(t *testing.T) {
	for name, p := range map[string]Policy{
		"16, 4 of each":             fourSets(16, 4, ascii.Symbols),
		"32, 8 of each, one symbol": fourSets(32, 8, "-"),
		"48, 12 of each":            fourSets(48, 12, ascii.Symbols),
	} {
		s, err := Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		all := new(big.Int).Exp(big.NewInt(int64(len(alphabetOf(p)))), big.NewInt(int64(p.Length.Max)), nil)
		if new(big.Int).Lsh(s.size, 1).Cmp(all) >= 0 {
			t.Errorf("%s: passwords are not drawn by rank", name)
		}
		shares := make([]float64, 128)
		for _, set := range spelledOut(p).Characters {
			for _, c := range set.Chars {
				shares[c] = 1 / float64(len(p.Characters)*len(set.Chars))
			}
		}
		testPositions(t, name, s, 100, func(int) []float64 { return shares })
	}
}

// testPositions draws passwords and compares how often each character stands at each position with its share.
func testPositions(t *testing.T, name string, s *Space, seed byte, shares func(position int) []float64) {
	observed := make([][]int, s.max)
	for i := range observed {
		observed[i] = make([]int, 128)
	}
	from := uniform.NewSource(seeded(seed))
	dst := make([]byte, s.max)
	for range statisticDraws {
		if _, err := s.strings.Draw(dst, from); err != nil {
			t.Fatal(err)
		}
		for i, c := range dst {
			observed[i][c]++
		}
	}
	for i := range observed {
		expected := slices.Clone(shares(i))
		for c := range expected {
			expected[c] *= statisticDraws
			if expected[c] == 0 && observed[i][c] > 0 {
				t.Errorf("%s: a character at position %d that cannot be there", name, i)
			}
		}
		if off := deviation(observed[i], expected); off > 5 {
			t.Errorf("%s: the characters at position %d are off by %.1f standard deviations", name, i, off)
		}
	}
}

// How many digits a password has is distributed as the counts of the passwords with so many digits say. The policies
// are drawn in all three ways, with lengths in a range too.
func TestClassesOfPasswords(t *testing.T) {
	for name, p := range map[string]Policy{
		"random strings": fourSets(20, 1, ascii.Symbols),
		"random strings of several lengths": {Length: Length{8, 9}, MinEntropy: 1, Characters: []Charset{
			{From: "lower"}, {From: "digit"}}},
		"compositions": {Length: Length{16, 18},
			Characters: []Charset{{From: "lower", Min: 6}, {From: "digit", Min: 6}}},
		"trellis": {Length: Length{16, 18}, Characters: []Charset{{From: "letter", Min: 1}, {From: "digit", Min: 1}},
			ForbidPatterns: []string{"[a-z]{2}"}},
	} {
		s, err := Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		observed := make([]int, s.max+1)
		from := uniform.NewSource(seeded(200))
		dst := make([]byte, s.max)
		for range statisticDraws {
			length, err := s.strings.Draw(dst, from)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, c := range dst[:length] {
				if isDigit(c) {
					n++
				}
			}
			observed[n]++
		}
		if off := deviation(observed, digitShares(t, p, s)); off > 5 {
			t.Errorf("%s: the numbers of digits are off by %.1f standard deviations", name, off)
		}
	}
}

// digitShares returns how often a number of digits is expected.
func digitShares(t *testing.T, p Policy, s *Space) []float64 {
	expected := make([]float64, s.max+1)
	size, _ := s.size.Float64()
	for n := range expected {
		exactly := p.clone()
		for i, set := range exactly.Characters {
			if set.From == "digit" && n >= set.Min {
				exactly.Characters[i].Min, exactly.Characters[i].Max = n, &n
				ways, _ := count(t, exactly).Size.Float64()
				expected[n] = ways / size * statisticDraws
			}
		}
	}
	return expected
}
